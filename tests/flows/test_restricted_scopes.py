"""A scope with a search restriction holds on every door: read, search, history, include, change."""

from __future__ import annotations

import pytest

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
VITAL = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
NARROW = f"user/Observation.cruds?category={VITAL} user/Practitioner.rs"


def observation(patient, kind=VITAL, **more):
    system, _, code = kind.partition("|")
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": system, "code": code}]}],
        "code": {"text": "meting"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-01-02T10:00:00+01:00",
        **more,
    }


@pytest.fixture(scope="module")
def anna(served):
    made = served.anna("narrow", [{"to_who": "sam", "categories": ["metingen", "uitslagen"]}])
    with served.client(made.person("anna"), "narrow") as all_:
        ids = {}
        for name, kind in (("lab", LAB), ("vital", VITAL), ("moved", LAB)):
            answer = all_.post("Observation", json=observation(made.patient, kind))
            assert answer.status_code == 201, answer.text
            ids[name] = answer.json()["id"]
        vital, lab = f"Observation/{ids['vital']}", f"Observation/{ids['lab']}"
        member = observation(made.patient, VITAL, hasMember=[{"reference": lab}])
        ids["panel"] = all_.post("Observation", json=member).json()["id"]
        changed = {**observation(made.patient, VITAL), "id": ids["moved"]}
        assert all_.put(f"Observation/{ids['moved']}", json=changed).status_code == 200
        assert all_.get(vital).status_code == 200
    return made, ids


@pytest.fixture
def narrow(served, anna):
    made, _ = anna
    with served.client(made.person("anna"), "narrow", NARROW) as client:
        yield client


def found(answer):
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


def test_a_read_of_what_is_left_out_is_not_found(narrow, anna):
    _, ids = anna
    assert narrow.get(f"Observation/{ids['vital']}").status_code == 200
    left_out = narrow.get(f"Observation/{ids['lab']}")
    nowhere = narrow.get("Observation/none")
    assert (left_out.status_code, nowhere.status_code) == (404, 404)
    assert left_out.json() == nowhere.json()


def test_a_search_its_total_and_its_order_leave_it_out(narrow, anna):
    _, ids = anna
    answer = narrow.get("Observation", params={"_sort": "-date", "_total": "accurate"})
    assert found(answer) == {ids["vital"], ids["panel"], ids["moved"]}
    assert answer.json()["total"] == 3
    assert found(narrow.get("Observation", params={"category": LAB})) == set()
    counted = narrow.get("Observation", params={"_id": ids["lab"], "_summary": "count"}).json()
    assert counted["total"] == 0


def test_pages_leave_it_out(narrow, anna):
    _, ids = anna
    page, seen = narrow.get("Observation", params={"_count": 1}), set()
    for _ in range(5):
        seen |= found(page)
        onward = [link["url"] for link in page.json()["link"] if link["relation"] == "next"]
        if not onward:
            break
        page = narrow.get(onward[0])
    assert seen == {ids["vital"], ids["panel"], ids["moved"]}


def test_includes_and_chains_leave_it_out(narrow, anna):
    _, ids = anna
    asked = {"_id": ids["panel"], "_include": "Observation:has-member"}
    assert found(narrow.get("Observation", params=asked)) == {ids["panel"]}
    asked = {"_id": ids["vital"], "_revinclude": "Observation:has-member"}
    assert found(narrow.get("Observation", params=asked)) == {ids["vital"]}
    chained = {"has-member:Observation.category": LAB}
    assert found(narrow.get("Observation", params=chained)) == set()
    assert found(narrow.get("Observation/$lastn", params={"code:text": "meting"})) <= {
        ids["vital"], ids["panel"], ids["moved"]
    }  # fmt: skip


def test_history_tells_the_newest_version_only(narrow, anna):
    _, ids = anna
    assert narrow.get(f"Observation/{ids['lab']}/_history").status_code == 404
    assert narrow.get(f"Observation/{ids['lab']}/_history/1").status_code == 404
    assert narrow.get(f"Observation/{ids['moved']}/_history/1").status_code == 404
    assert narrow.get(f"Observation/{ids['moved']}/_history/2").status_code == 200
    told = narrow.get(f"Observation/{ids['moved']}/_history").json()
    assert [entry["resource"]["meta"]["versionId"] for entry in told["entry"]] == ["2"]
    assert ids["lab"] not in found(narrow.get("Observation/_history"))


def test_a_batch_reads_no_more(narrow, anna):
    _, ids = anna
    asked = [{"request": {"method": "GET", "url": f"Observation/{ids[name]}"}} for name in ids]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": asked}
    answer = narrow.post("", json=bundle)
    told = [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
    assert dict(zip(ids, told, strict=True)) == {
        "lab": "404", "vital": "200", "moved": "200", "panel": "200"
    }  # fmt: skip


def test_a_change_stays_within_before_and_after(served, narrow, anna):
    made, ids = anna
    assert narrow.post("Observation", json=observation(made.patient, LAB)).status_code == 403
    own = narrow.post("Observation", json=observation(made.patient))
    assert own.status_code == 201
    name = f"Observation/{own.json()['id']}"
    out = {**observation(made.patient, LAB), "id": own.json()["id"]}
    assert narrow.put(name, json=out).status_code == 403
    patch = [{"op": "replace", "path": "/category/0/coding/0/code", "value": "laboratory"}]
    media = {"content-type": "application/json-patch+json"}
    assert narrow.patch(name, json=patch, headers=media).status_code == 403
    assert narrow.get(name).json()["meta"]["versionId"] == "1"
    inside = {**observation(made.patient), "id": ids["lab"]}
    assert narrow.put(f"Observation/{ids['lab']}", json=inside).status_code == 404
    assert narrow.delete(f"Observation/{ids['lab']}").status_code == 404
    new = {**observation(made.patient), "id": "chosen"}
    assert narrow.put("Observation/chosen", json=new).status_code == 404
    assert narrow.delete(name).status_code == 204
    with served.client(made.person("anna"), "narrow") as all_:
        assert all_.get(f"Observation/{ids['lab']}").json()["meta"]["versionId"] == "1"


def test_of_a_batch_only_what_is_within_is_stored(narrow, anna):
    made, _ = anna
    wanted = [
        {"resource": observation(made.patient, kind), "request": {"method": "POST", "url": url}}
        for kind, url in ((LAB, "Observation"), (VITAL, "Observation"))
    ]
    answer = narrow.post("", json={"resourceType": "Bundle", "type": "batch", "entry": wanted})
    told = [entry["response"] for entry in answer.json()["entry"]]
    assert [each["status"][:3] for each in told] == ["403", "201"]
    whole = narrow.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": wanted})
    assert whole.status_code == 403
    made_id = told[1]["location"].split("Observation/")[1].split("/")[0]
    assert narrow.delete(f"Observation/{made_id}").status_code == 204


def test_what_is_lent_by_something_left_out_is_not_lent(served, anna):
    """A practitioner is seen through the results that name him: not through one left out."""
    made, _ = anna
    doctor = "genoemd"
    named = observation(made.patient, LAB, performer=[{"reference": f"Practitioner/{doctor}"}])
    someone = {"resourceType": "Practitioner", "id": doctor}
    served.brought("narrow", "r4", someone, named | {"id": "met-naam"})
    reads = "user/Observation.rs user/Practitioner.rs"
    with served.client(made.person("sam"), "narrow", reads) as whole:
        assert whole.get(f"Practitioner/{doctor}").status_code == 200
        assert found(whole.get("Practitioner")) == {doctor}
    with served.client(made.person("sam"), "narrow", NARROW) as part:
        assert part.get(f"Practitioner/{doctor}").status_code == 404
        assert found(part.get("Practitioner")) == set()


def test_other_types_are_as_they_were(served, anna):
    made, _ = anna
    scope = f"{NARROW} user/Patient.rs"
    with served.client(made.person("anna"), "narrow", scope) as client:
        assert client.get("Condition").status_code == 403
        assert client.get("Patient").status_code == 200


def test_two_restrictions_of_one_type_give_what_either_leaves(served, anna):
    made, ids = anna
    scope = f"user/Observation.rs?category={VITAL} user/Observation.rs?category={LAB}&_id=none"
    with served.client(made.person("anna"), "narrow", scope) as client:
        assert client.get(f"Observation/{ids['vital']}").status_code == 200
        assert client.get(f"Observation/{ids['lab']}").status_code == 404
    scope = f"user/Observation.rs?category={VITAL} user/Observation.rs?category={LAB}"
    with served.client(made.person("anna"), "narrow", scope) as client:
        assert client.get(f"Observation/{ids['lab']}").status_code == 200


def test_a_parameter_this_release_does_not_know_leaves_nothing(served, anna):
    made, ids = anna
    with served.client(made.person("anna"), "narrow", "user/Observation.rs?nonsense=1") as client:
        assert client.get(f"Observation/{ids['vital']}").status_code == 404
        assert found(client.get("Observation")) == set()
