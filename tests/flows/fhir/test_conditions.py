"""Conditional create, update, patch, delete and read, and references that are searches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
SYSTEM = "https://voorbeeld.nl/nr"
FINAL = [{"op": "replace", "path": "/status", "value": "amended"}]


def numbered(fresh, number="1", **more):
    return fresh.weight(identifier=[{"system": SYSTEM, "value": number}], **more)


def asked(number="1"):
    return f"identifier={SYSTEM}|{number}"


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method, url, resource=None, **more):
    made = {"request": {"method": method, "url": url, **more}}
    return made if resource is None else made | {"resource": resource}


def statuses(answer):
    assert answer.status_code == 200, answer.text
    return [e["response"]["status"] for e in answer.json()["entry"]]


# --- create ------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_a_conditional_create_makes_it_once(fresh, release):
    marjan = fresh.as_(release=release)
    headers = {"If-None-Exist": asked()}
    first = marjan.post("Observation", json=numbered(fresh), headers=headers)
    again = marjan.post("Observation", json=numbered(fresh), headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["location"] == again.headers["location"]
    assert first.json() == again.json()
    assert marjan.get("Observation").json()["total"] == 1
    other = marjan.post("Observation", json=numbered(fresh, "2"), headers={
        "If-None-Exist": f"Observation?{asked('2')}"})  # fmt: skip
    assert other.status_code == 201


def test_more_than_one_match_is_412_and_stores_nothing(fresh):
    marjan = fresh.as_()
    for _ in range(2):
        marjan.post("Observation", json=numbered(fresh))
    before = fresh.commits()
    sent = numbered(fresh)
    url = f"Observation?{asked()}"
    answers = [
        marjan.post("Observation", json=sent, headers={"If-None-Exist": asked()}),
        marjan.put(url, json=sent),
        marjan.patch(url, json=FINAL, headers=JSON_PATCH),
        marjan.delete(url),
    ]
    assert [answer.status_code for answer in answers] == [412] * 4
    assert {fresh.issue(answer)["code"] for answer in answers} == {"multiple-matches"}
    assert fresh.commits() == before


@pytest.mark.parametrize(
    ("condition", "status"),
    [("", 400), ("kleur=rood", 400), ("_count=1", 400), ("status:zzz=x", 400), ("date=x", 400)],
)
def test_a_condition_that_is_no_search_is_refused(fresh, condition, status):
    marjan = fresh.as_()
    lenient = {"Prefer": "handling=lenient"}
    sent = numbered(fresh)
    for answer in (
        marjan.post("Observation", json=sent, headers=lenient | {"If-None-Exist": condition}),
        marjan.put(f"Observation?{condition}", json=sent, headers=lenient),
        marjan.delete(f"Observation?{condition}", headers=lenient),
        marjan.patch(f"Observation?{condition}", json=FINAL, headers=lenient | JSON_PATCH),
    ):
        assert answer.status_code == status, answer.text
    assert fresh.commits() == 2


def test_a_condition_with_an_unknown_part_does_not_become_a_wider_one(fresh):
    marjan = fresh.as_()
    marjan.post("Observation", json=numbered(fresh))
    lenient = {"Prefer": "handling=lenient"}
    gone = marjan.delete(f"Observation?{asked()}&kleur=rood", headers=lenient)
    assert gone.status_code == 400
    assert marjan.get("Observation").json()["total"] == 1


def test_creates_at_the_same_time_make_one(fresh):
    marjan = fresh.as_()

    def one(_):
        headers = {"If-None-Exist": asked()}
        return marjan.post("Observation", json=numbered(fresh), headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        said = sorted(pool.map(one, range(24)))
    assert said == [200] * 23 + [201]
    assert marjan.get("Observation").json()["total"] == 1


def test_what_is_hidden_does_not_count_as_a_match(fresh):
    """Else a condition would tell whether it is there."""
    marjan = fresh.as_()
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}
    hidden = {
        "resourceType": "Condition",
        "code": code,
        "subject": fresh.subject(),
        "identifier": [{"system": SYSTEM, "value": "1"}],
    }
    marjan.post("Condition", json=hidden)
    fresh.grant(
        to_who="p-samira",
        categories=["metingen"],
        actions=["lezen", "toevoegen", "wijzigen"],
    )
    samira = fresh.as_("p-samira")

    def tried(number):
        sent = hidden | {"identifier": [{"system": SYSTEM, "value": number}]}
        pointing = fresh.weight(focus=[{"reference": f"Condition?{asked(number)}"}])
        answers = [
            samira.post("Condition", json=sent, headers={"If-None-Exist": asked(number)}),
            samira.put(f"Condition?{asked(number)}", json=sent),
            samira.patch(f"Condition?{asked(number)}", json=FINAL, headers=JSON_PATCH),
            samira.delete(f"Condition?{asked(number)}"),
            samira.post("", json=bundle("transaction", entry("POST", "Observation", pointing))),
        ]
        return [(answer.status_code, answer.text) for answer in answers]

    there, nowhere = tried("1"), tried("2")
    assert there == nowhere
    assert marjan.get("Condition").json()["total"] == 1


def test_a_condition_needs_the_right_to_search(fresh):
    fresh.as_().post("Observation", json=numbered(fresh))
    small = fresh.as_("p-marjan", scope="user/*.crud")
    answer = small.post("Observation", json=numbered(fresh), headers={"If-None-Exist": asked()})
    assert answer.status_code == 403
    assert small.delete(f"Observation?{asked()}").status_code == 403


# --- update, patch, delete ---------------------------------------------------------------------


def test_a_conditional_update_creates_or_changes(fresh):
    marjan = fresh.as_()
    url = f"Observation?{asked()}"
    made = marjan.put(url, json=numbered(fresh))
    assert made.status_code == 201
    id_ = made.json()["id"]
    changed = marjan.put(url, json=numbered(fresh, status="amended"))
    assert (changed.status_code, changed.json()["id"]) == (200, id_)
    assert changed.headers["etag"] == 'W/"2"'
    named = marjan.put(url, json=numbered(fresh, id=id_))
    assert named.status_code == 200
    other = marjan.put(url, json=numbered(fresh, id="ander"))
    assert (other.status_code, fresh.place(other)) == (400, "Observation.id")
    chosen = marjan.put(f"Observation?{asked('2')}", json=numbered(fresh, "2", id="gekozen"))
    assert (chosen.status_code, chosen.json()["id"]) == (201, "gekozen")
    taken = marjan.put(f"Observation?{asked('3')}", json=numbered(fresh, "3", id="gekozen"))
    assert taken.status_code == 409
    late = marjan.put(url, json=numbered(fresh), headers={"If-Match": 'W/"1"'})
    assert late.status_code == 412


def test_a_conditional_patch_changes_the_one(fresh):
    marjan = fresh.as_()
    url = f"Observation?{asked()}"
    assert marjan.patch(url, json=FINAL, headers=JSON_PATCH).status_code == 404
    id_ = marjan.post("Observation", json=numbered(fresh)).json()["id"]
    changed = marjan.patch(url, json=FINAL, headers=JSON_PATCH)
    assert (changed.status_code, changed.json()["id"]) == (200, id_)
    assert changed.json()["status"] == "amended"


def test_a_conditional_delete_deletes_the_one_or_nothing(fresh):
    marjan = fresh.as_()
    url = f"Observation?{asked()}"
    before = fresh.commits()
    assert marjan.delete(url).status_code == 204
    assert fresh.commits() == before
    id_ = marjan.post("Observation", json=numbered(fresh)).json()["id"]
    marjan.post("Observation", json=numbered(fresh, "2"))
    assert marjan.delete(url).status_code == 204
    assert marjan.get(f"Observation/{id_}").status_code == 410
    assert marjan.get("Observation").json()["total"] == 1


# --- read --------------------------------------------------------------------------------------


def test_who_has_the_version_already_gets_no_text(fresh):
    marjan = fresh.as_()
    where = f"Observation/{marjan.post('Observation', json=fresh.weight()).json()['id']}"
    made = marjan.get(where)
    modified = made.headers["last-modified"]
    for headers in (
        {"If-None-Match": 'W/"1"'},
        {"If-None-Match": '"1"'},
        {"If-None-Match": 'W/"7", W/"1"'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
        {"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT"},
    ):
        for address in (where, f"{where}/_history/1"):
            answer = marjan.get(address, headers=headers)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == 'W/"1"'
            assert answer.headers["last-modified"] == modified
    for headers in (
        {"If-None-Match": 'W/"2"'},
        {"If-None-Match": 'W/"2"', "If-Modified-Since": modified},
        {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-Modified-Since": "gisteren"},
    ):
        answer = marjan.get(where, headers=headers)
        assert (answer.status_code, answer.content) == (200, made.content)
    for bare, status in (("1", 304), ("2", 200), ("x", 400)):
        assert marjan.get(where, headers={"If-None-Match": bare}).status_code == status


def test_what_is_hidden_is_not_there_whatever_version_one_says_to_have(fresh):
    marjan = fresh.as_()
    where = f"Observation/{marjan.post('Observation', json=fresh.weight()).json()['id']}"
    fresh.grant(to_who="p-samira", categories=["afspraken"], actions=["lezen"])
    samira = fresh.as_("p-samira")
    for headers in ({"If-None-Match": 'W/"1"'}, {"If-None-Match": "*"}):
        hidden = samira.get(where, headers=headers)
        nowhere = samira.get("Observation/nergens", headers=headers)
        assert hidden.status_code == nowhere.status_code == 404
        assert hidden.content == nowhere.content
    marjan.delete(where)
    assert marjan.get(where, headers={"If-None-Match": "*"}).status_code == 410


def test_reads_in_a_bundle_have_conditions_too(fresh):
    marjan = fresh.as_()
    where = f"Observation/{marjan.post('Observation', json=fresh.weight()).json()['id']}"
    answer = marjan.post(
        "",
        json=bundle(
            "batch",
            entry("GET", where, ifNoneMatch='W/"1"'),
            entry("GET", where, ifNoneMatch='W/"2"'),
            entry("GET", where, ifModifiedSince="2050-01-01T00:00:00Z"),
            entry("GET", where, ifModifiedSince="gisteren"),
            entry("DELETE", where, ifNoneMatch='W/"1"'),
        ),
    )
    assert statuses(answer) == ["304", "200", "304", "400", "400"]
    assert "resource" not in answer.json()["entry"][0]


# --- in a Bundle -------------------------------------------------------------------------------


def test_conditions_in_a_transaction(fresh):
    marjan = fresh.as_()
    old = marjan.post("Observation", json=numbered(fresh, "1")).json()["id"]
    gone = marjan.post("Observation", json=numbered(fresh, "2")).json()["id"]
    urn = "urn:uuid:11111111-2222-4333-8444-555555555555"
    found = entry("POST", "Observation", numbered(fresh, "1"), ifNoneExist=asked("1"))
    answer = marjan.post(
        "",
        json=bundle(
            "transaction",
            found | {"fullUrl": urn},
            entry("POST", "Observation", numbered(fresh, "3"), ifNoneExist=asked("3")),
            entry("DELETE", f"Observation?{asked('2')}"),
            entry("DELETE", f"Observation?{asked('8')}"),
            entry("DELETE", f"Observation?{asked('9')}"),
            entry("PUT", f"Observation?{asked('4')}", numbered(fresh, "4")),
            entry("POST", "Observation", fresh.weight(hasMember=[{"reference": urn}])),
        ),
    )
    assert statuses(answer) == ["200", "201", "204", "204", "204", "201", "201"]
    assert answer.json()["entry"][0]["response"]["location"].endswith(f"{old}/_history/1")
    assert marjan.get(f"Observation/{gone}").status_code == 410
    pointing = answer.json()["entry"][6]["response"]["location"]
    assert marjan.get(pointing).json()["hasMember"][0]["reference"] == f"Observation/{old}"


def test_the_same_condition_twice_is_refused(fresh):
    marjan = fresh.as_()
    one = entry("POST", "Observation", numbered(fresh), ifNoneExist=asked())
    answer = marjan.post("", json=bundle("transaction", one, one))
    assert (answer.status_code, fresh.place(answer)) == (422, "Bundle.entry[1]")
    assert marjan.get("Observation").json()["total"] == 0
    batch = marjan.post("", json=bundle("batch", one, one))
    assert statuses(batch) == ["201", "422"]
    again = marjan.post("", json=bundle("batch", one, one))
    assert statuses(again) == ["200", "200"]
    assert marjan.get("Observation").json()["total"] == 1


def test_a_condition_that_fails_in_a_transaction_is_named(fresh):
    marjan = fresh.as_()
    for _ in range(2):
        marjan.post("Observation", json=numbered(fresh))
    before = fresh.commits()
    good = entry("POST", "Observation", fresh.weight())
    for wrong, status, place in (
        (entry("POST", "Observation", numbered(fresh), ifNoneExist=asked()), 412, "ifNoneExist"),
        (entry("DELETE", f"Observation?{asked()}"), 412, "url"),
        (entry("PUT", f"Observation?{asked()}", numbered(fresh)), 412, "url"),
        (entry("DELETE", "Observation?kleur=rood"), 400, "url"),
        (entry("DELETE", "Observation?"), 400, "url"),
        (entry("GET", "Observation", ifNoneExist=asked()), 400, "ifNoneExist"),
    ):
        answer = marjan.post("", json=bundle("transaction", good, wrong))
        assert (answer.status_code, fresh.place(answer)) == (
            status, f"Bundle.entry[1].request.{place}")  # fmt: skip
    assert fresh.commits() == before


# --- references --------------------------------------------------------------------------------


def test_a_reference_may_be_a_search(fresh):
    marjan, system = fresh.as_(), fresh.system()
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": SYSTEM, "value": "7"}]}
    id_ = system.post("Practitioner", json=doctor | {"name": [{"text": "Dokter"}]}).json()["id"]
    system.post("Observation", json=fresh.weight(performer=[{"reference": f"Practitioner/{id_}"}]))
    reference = {"reference": f"Practitioner?{asked('7')}"}
    pointing = fresh.weight(performer=[reference, reference])
    made = system.post("", json=bundle("transaction", entry("POST", "Observation", pointing)))
    where = made.json()["entry"][0]["response"]["location"]
    kept = marjan.get(where).json()["performer"]
    assert kept == [{"reference": f"Practitioner/{id_}"}] * 2


def test_a_reference_may_mean_what_the_transaction_makes_on_a_condition(fresh):
    marjan = fresh.as_()
    doctor = {
        "resourceType": "Practitioner",
        "identifier": [{"system": SYSTEM, "value": "7"}],
        "name": [{"text": "Dokter"}],
    }
    pointing = fresh.weight(performer=[{"reference": f"Practitioner?{asked('7')}"}])
    answer = fresh.system().post(
        "",
        json=bundle(
            "transaction",
            entry("POST", "Observation", pointing),
            entry("POST", "Practitioner", doctor, ifNoneExist=asked("7")),
        ),
    )
    assert statuses(answer) == ["201", "201"]
    where = answer.json()["entry"][0]["response"]["location"]
    reference = marjan.get(where).json()["performer"][0]["reference"]
    assert marjan.get(reference).json()["name"] == [{"text": "Dokter"}]


def test_a_reference_to_none_or_to_more_than_one_is_refused_and_named(fresh):
    marjan = fresh.as_()
    for _ in range(2):
        marjan.post("Observation", json=numbered(fresh))
    before = fresh.commits()
    good = entry("POST", "Observation", fresh.weight())
    place = "Bundle.entry[1].resource.hasMember[1].reference"
    for search, status in ((asked(), 412), (asked("9"), 422), ("kleur=rood", 400), ("", 400)):
        pointing = fresh.weight(
            hasMember=[{"display": "x"}, {"reference": f"Observation?{search or '_count=1'}"}]
        )
        wrong = entry("POST", "Observation", pointing)
        answer = marjan.post("", json=bundle("transaction", good, wrong))
        assert (answer.status_code, fresh.place(answer)) == (status, place)
        batch = marjan.post("", json=bundle("batch", wrong))
        assert statuses(batch) == [str(status)]
    assert fresh.commits() == before


def test_a_search_beside_a_create_is_its_condition(fresh):
    marjan = fresh.as_()
    weight = fresh.weight(identifier=[{"system": "https://elders.example/id", "value": "1"}])
    asked = "Observation?identifier=https://elders.example/id|1"
    first, again = marjan.post(asked, json=weight), marjan.post(asked, json=weight)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    both = marjan.post(asked, json=weight, headers={"If-None-Exist": asked.partition("?")[2]})
    assert both.status_code == 400
    assert marjan.get("Observation?_count=0").json()["total"] == 1
