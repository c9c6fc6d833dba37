"""Batch: each entry for itself. Transaction: all or nothing, references resolved, in one commit."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest

from pgo import staging
from pgo.caller import Caller
from pgo.errors import TooLarge
from pgo.fhir import text
from pgo.fhir.bundle import Op
from pgo.registry import Account

RELEASES = ("r4", "stu3")


def post(resource, full_url="", **request):
    """An entry that creates."""
    url = {"method": "POST", "url": resource["resourceType"]} | request
    return {"fullUrl": full_url or f"urn:uuid:{uuid4()}", "resource": resource, "request": url}


def put(resource, **request):
    """An entry that updates, or creates under its own id."""
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url} | request}


def bare(method, url, **request):
    """An entry without a resource."""
    return {"request": {"method": method, "url": url} | request}


def bundle(kind, *entries):
    """A batch or transaction."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def statuses(answer):
    """The HTTP status of each entry."""
    assert answer.status_code == 200, answer.text
    return [entry["response"]["status"] for entry in answer.json()["entry"]]


def condition(fresh, **more):
    """A problem."""
    return {
        "resourceType": "Condition",
        "code": {"text": "epilepsie"},
        "subject": fresh.subject(),
    } | more


# --- transaction ---------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
def test_a_transaction_is_one_commit_with_an_answer_per_entry_in_its_order(fresh, release):
    marjan = fresh.as_(release=release)
    marjan.put("Observation/oud", json=fresh.weight(id="oud"))
    marjan.put("Observation/weg", json=fresh.weight(id="weg"))
    before = fresh.commits()
    answer = marjan.post(
        "",
        json=bundle(
            "transaction",
            bare("GET", "Observation?_sort=_id"),
            put(fresh.weight("30", id="oud")),
            post(fresh.weight("31")),
            bare("DELETE", "Observation/weg"),
            bare("GET", "Observation/oud"),
            bare("HEAD", "Observation/oud"),
        ),
    )
    assert statuses(answer) == ["200", "200", "201", "204", "200", "200"]
    body = answer.json()
    assert (body["type"], fresh.commits()) == ("transaction-response", before + 1)
    searched, updated, created, _, read, head = body["entry"]
    assert updated["response"]["etag"] == 'W/"2"'
    assert created["response"]["location"].endswith("/_history/1")
    assert marjan.get(created["response"]["location"]).json()["valueQuantity"]["value"] == 31
    assert read["resource"]["valueQuantity"]["value"] == 30
    assert "resource" not in head
    assert "resource" not in updated
    found = [e["resource"]["valueQuantity"]["value"] for e in searched["resource"]["entry"]]
    assert sorted(found) == [30, 31]
    assert searched["resource"]["total"] == 2
    assert searched["resource"]["link"][0]["relation"] == "self"


def test_a_search_in_a_transaction_has_pages_too(fresh):
    marjan = fresh.as_()
    entries = [post(fresh.weight(str(n + 1))) for n in range(5)]
    search = bare("GET", "Observation?_count=2&_sort=value-quantity")
    page = marjan.post("", json=bundle("transaction", *entries, search)).json()["entry"][-1]
    page, seen = page["resource"], []
    while True:
        seen += [e["resource"]["valueQuantity"]["value"] for e in page["entry"]]
        onward = [one["url"] for one in page["link"] if one["relation"] == "next"]
        if not onward:
            break
        page = marjan.get(onward[0]).json()
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("release", RELEASES)
def test_entries_refer_to_each_other_by_whatever_name_they_have(fresh, release):
    marjan = fresh.as_(release=release)
    urn, url = f"urn:uuid:{uuid4()}", "https://elders.example/fhir/Condition/55"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{urn}">het probleem</a></div>'
    one = condition(fresh, text={"status": "generated", "div": div})
    two = condition(fresh, note=[{"text": f"letterlijk {urn}"}])
    plan = {
        "resourceType": "CarePlan", "status": "active", "intent": "plan",
        "subject": fresh.subject(), "identifier": [{"system": "urn:ietf:rfc:3986", "value": urn}],
        "addresses": [{"reference": urn}, {"reference": url}, {"reference": "Condition/55"}],
        "supportingInfo": [{"reference": "Condition/elders", "display": urn}],
        "extension": [{"url": "http://example.nl/x", "valueUri": urn}],
    }  # fmt: skip
    files = {
        "resourceType": "Media" if release == "r4" else "DocumentManifest",
        "status": "completed" if release == "r4" else "current", "subject": fresh.subject(),
        "content": {"contentType": "text/plain", "url": url},
    } if release == "r4" else condition(fresh)  # fmt: skip
    answer = marjan.post(
        "", json=bundle("transaction", post(plan), post(one, urn), post(two, url), post(files))
    )
    assert statuses(answer) == ["201"] * 4
    places = [entry["response"]["location"] for entry in answer.json()["entry"]]
    names = ["/".join(place.split("/")[-4:-2]) for place in places]
    kept = marjan.get(places[0]).json()
    targets = [one["reference"] for one in kept["addresses"]]
    assert targets == [names[1], names[2], names[2]]
    assert kept["supportingInfo"] == [{"reference": "Condition/elders", "display": urn}]
    assert kept["identifier"][0]["value"] == urn
    assert kept["extension"][0]["valueUri"] == names[1]
    assert f'href="{names[1]}"' in marjan.get(places[1]).json()["text"]["div"]
    assert marjan.get(places[2]).json()["note"][0]["text"] == f"letterlijk {urn}"
    if release == "r4":
        assert marjan.get(places[3]).json()["content"]["url"] == names[2]
    found = marjan.get(f"CarePlan?condition={names[1]}&_include=CarePlan:condition").json()
    assert {e["resource"]["resourceType"] for e in found["entry"]} == {"CarePlan", "Condition"}


def test_the_patient_of_a_transaction_is_the_dossiers_own(fresh):
    marjan = fresh.as_()
    urn = f"urn:uuid:{uuid4()}"
    answer = marjan.post(
        "",
        json=bundle(
            "transaction",
            post(condition(fresh, subject={"reference": urn})),
            post({"resourceType": "Patient", "active": True}, urn),
            post(condition(fresh, subject={"reference": "Patient?identifier=http://x.nl/p|1"})),
        ),
    )
    assert statuses(answer) == ["201"] * 3
    found = marjan.get(f"Condition?patient={fresh.patient}").json()
    assert found["total"] == 2
    assert {e["resource"]["subject"]["reference"] for e in found["entry"]} == {
        f"Patient/{fresh.patient}"
    }


def wrong_entries(fresh):
    """Name, entry, status and place of what a transaction may not hold at number 2."""
    at = "Bundle.entry[2]"
    bad = fresh.weight(status="zzz")
    twice = fresh.weight(component=[{"code": {"text": "a"}}, {"valueString": "b"}])
    lost = fresh.weight(hasMember=[{"reference": f"urn:uuid:{uuid4()}"}])
    return {
        "no request": ({"resource": fresh.weight()}, 400, f"{at}.request"),
        "no entry": ("x", 400, f"{at}.request"),
        "patch": (bare("PATCH", "Observation/a"), 400, f"{at}.resource"),
        "no method": (bare("TRACE", "Observation/a"), 400, f"{at}.request.method"),
        "no url": (bare("GET", ""), 400, f"{at}.request.url"),
        "absolute": (bare("GET", "https://x.nl/fhir/Observation/1"), 400, f"{at}.request.url"),
        "no type": (bare("GET", "observation"), 400, f"{at}.request.url"),
        "no such type": (bare("GET", "Foo?x=1"), 400, f"{at}.request.url"),
        "history": (bare("GET", "Observation/a/_history"), 400, f"{at}.request.url"),
        "bad search": (bare("GET", "Observation?kleur=1"), 400, f"{at}.request.url"),
        "conditional create": (
            post(fresh.weight(), ifNoneExist="a=b"), 400, f"{at}.request.ifNoneExist"),
        "conditional put": (put(fresh.weight(id="a"), url="Observation?a=b"), 400,
                            f"{at}.request.url"),
        "conditional delete": (bare("DELETE", "Observation?a=b"), 400, f"{at}.request.url"),
        "if none match": (
            put(fresh.weight(id="a"), ifNoneMatch="*"), 400, f"{at}.request.ifNoneMatch"),
        "put without id": (put(fresh.weight(id="a"), url="Observation"), 400, f"{at}.request.url"),
        "post with id": (post(fresh.weight(), url="Observation/a"), 400, f"{at}.request.url"),
        "other id": (put(fresh.weight(id="b"), url="Observation/a"), 400, f"{at}.resource.id"),
        "other type": (post(fresh.weight(), url="Condition"), 400, f"{at}.resource"),
        "no resource": (bare("POST", "Observation"), 400, f"{at}.resource"),
        "resource too many": (
            bare("DELETE", "Observation/a") | {"resource": fresh.weight()}, 400, f"{at}.resource"),
        "not valid": (post(bad), 422, f"{at}.resource.status"),
        "deep inside": (post(twice), 422, f"{at}.resource.component[1].code"),
        "lost reference": (post(lost), 422, f"{at}.resource.hasMember[0].reference"),
        "somebody else": (
            post(fresh.weight(subject={"reference": "Patient/x"})), 422, f"{at}.resource.subject"),
        "parameters": (post({"resourceType": "Parameters"}), 422, f"{at}.resource"),
        "not there": (bare("GET", "Observation/nergens"), 404, at),
        "nothing to delete": (bare("DELETE", "Observation/nergens"), 404, at),
        "other version": (
            put(fresh.weight(id="oud"), ifMatch='W/"9"'), 412, at),
        "odd version": (put(fresh.weight(id="oud"), ifMatch="9"), 400, f"{at}.request.ifMatch"),
        "same id": (put(fresh.weight(id="goed")), 400, at),
        "same name": (post(fresh.weight(), "urn:uuid:een"), 400, at),
    }  # fmt: skip


def test_one_wrong_entry_stores_nothing_and_is_named(fresh):
    marjan = fresh.as_()
    marjan.put("Observation/oud", json=fresh.weight(id="oud"))
    before = fresh.commits()
    for name, (entry, status, place) in wrong_entries(fresh).items():
        good = put(fresh.weight("33", id="goed")), post(fresh.weight(), "urn:uuid:een")
        answer = marjan.post("", json=bundle("transaction", *good, entry, post(fresh.weight())))
        assert (name, answer.status_code, fresh.place(answer)) == (name, status, place)
    assert fresh.commits() == before
    assert marjan.get("Observation").json()["total"] == 1
    assert marjan.get("Observation/goed").status_code == 404
    assert marjan.get("Observation/oud/_history").json()["total"] == 1


def test_all_that_is_wrong_is_named_at_once(fresh):
    bad = [
        post(fresh.weight(status="zzz")),
        post(fresh.weight()),
        post(condition(fresh, onsetString=1)),
    ]
    answer = fresh.as_().post("", json=bundle("transaction", *bad))
    places = {issue["expression"][0] for issue in answer.json()["issue"]}
    assert places == {
        "Bundle.entry[0].resource.status",
        "Bundle.entry[2].resource.onsetString",
    }


def test_the_order_of_a_transaction_is_delete_create_update_read(fresh):
    marjan = fresh.as_()
    marjan.put("Observation/een", json=fresh.weight("1", id="een"))
    urn = f"urn:uuid:{uuid4()}"
    answer = marjan.post(
        "",
        json=bundle(
            "transaction",
            bare("GET", "Observation/een"),
            put(fresh.weight("2", id="een", hasMember=[{"reference": urn}])),
            post(fresh.weight("3"), urn),
        ),
    )
    assert statuses(answer) == ["200", "200", "201"]
    assert answer.json()["entry"][0]["resource"]["valueQuantity"]["value"] == 2
    gone = bundle("transaction", bare("GET", "Observation/een"), bare("DELETE", "Observation/een"))
    refused = marjan.post("", json=gone)
    assert (refused.status_code, fresh.place(refused)) == (410, "Bundle.entry[0]")
    assert marjan.get("Observation/een").status_code == 200


@pytest.mark.parametrize(("kind", "most"), [("transaction", 100), ("batch", 200)])
def test_a_bundle_has_its_limits(fresh, kind, most):
    marjan = fresh.as_()
    entries = [
        put({"resourceType": "Basic", "id": f"b{n}", "code": {"text": "x"}})
        for n in range(most + 1)
    ]
    answer = marjan.post("", json=bundle(kind, *entries))
    assert (answer.status_code, fresh.place(answer)) == (413, "Bundle.entry")
    assert fresh.commits() == 2
    assert statuses(marjan.post("", json=bundle(kind, *entries[:-1]))) == ["201"] * most
    assert (fresh.commits(), marjan.get("Basic").json()["total"]) == (3, most)


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.type"),
        ({"resourceType": "Bundle"}, "Bundle.type"),
        ({"resourceType": "Basic", "code": {"text": "x"}}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "Bundle.entry"),
    ],
)
def test_only_a_batch_or_transaction_is_taken(fresh, tree, place):
    answer = fresh.as_().post("", json=tree)
    assert (answer.status_code, fresh.place(answer)) == (400, place)


def test_an_empty_transaction_is_answered_with_an_empty_one(fresh):
    answer = fresh.as_().post("", json={"resourceType": "Bundle", "type": "transaction"})
    assert (answer.status_code, answer.json()["type"]) == (200, "transaction-response")
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [("", None), ("return=minimal", None), ("return=representation", "Observation"),
     ("return=OperationOutcome", None)],
)  # fmt: skip
def test_the_answers_of_a_transaction_are_as_large_as_preferred(fresh, prefer, kind):
    answer = fresh.as_().post(
        "", json=bundle("transaction", post(fresh.weight())), headers={"Prefer": prefer}
    )
    (entry,) = answer.json()["entry"]
    assert entry.get("resource", {}).get("resourceType") == kind
    said = entry["response"].get("outcome", {}).get("resourceType")
    assert said == ("OperationOutcome" if "OperationOutcome" in prefer else None)


# --- batch ---------------------------------------------------------------------------------------


def test_each_entry_of_a_batch_is_for_itself(fresh):
    marjan = fresh.as_()
    marjan.put("Observation/oud", json=fresh.weight(id="oud"))
    for name, (entry, status, place) in wrong_entries(fresh).items():
        if name == "same name":  # there are no names in a batch
            continue
        good = put(fresh.weight("33", id="goed")), post(fresh.weight())
        answer = marjan.post(
            "", json=bundle("batch", *good, entry, bare("GET", "Observation/goed"))
        )
        said = statuses(answer)
        expected = 422 if name == "same id" else status
        assert (name, said[2]) == (name, str(expected))
        assert said[:2] in (["201", "201"], ["200", "201"])
        assert said[3] == "200"
        (issue, *_) = answer.json()["entry"][2]["response"]["outcome"]["issue"]
        assert (name, issue["expression"]) == (name, [place])
        assert answer.json()["entry"][3]["resource"]["id"] == "goed"
    assert marjan.get("Observation/oud/_history").json()["total"] == 1


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_entries_for_one_resource_the_later_is_named(fresh, turned):
    marjan = fresh.as_()
    known = [{"system": "http://example.nl/w", "value": "W-1"}]
    marjan.put("Observation/w", json=fresh.weight(id="w", identifier=known))
    search = "Observation?identifier=http://example.nl/w|W-1"
    again = {
        "resource": fresh.weight(identifier=known),
        "request": {"method": "PUT", "url": search},
    }
    entries = [again, bare("DELETE", "Observation/w")]
    if turned:
        entries.reverse()
    answer = marjan.post("", json=bundle("transaction", post(fresh.weight()), *entries))
    assert (answer.status_code, fresh.place(answer)) == (422, "Bundle.entry[2]")
    assert marjan.get("Observation/_history?_count=5").json()["entry"][1:] == []


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_older_version_is_read_in_a_bundle(fresh, kind):
    marjan = fresh.as_()
    for value in ("1.50", "2.50"):
        marjan.put("Observation/w", json=fresh.weight(value, id="w"))
    marjan.delete("Observation/w")

    def asked(*paths):
        entries = [{"request": {"method": "GET", "url": path}} for path in paths]
        tree = {"resourceType": "Bundle", "type": kind, "entry": entries}
        return marjan.post("", json=tree)

    good = asked("Observation/w/_history/2", "Observation/w/_history/1")
    values = [one["resource"]["valueQuantity"]["value"] for one in good.json()["entry"]]
    assert values == [2.5, 1.5]
    assert [one["response"]["etag"] for one in good.json()["entry"]] == ['W/"2"', 'W/"1"']
    for path, status in (
        ("Observation/w/_history/3", 410),
        ("Observation/w/_history/4", 404),
        ("Observation/none/_history/1", 404),
        ("Observation/w/_history/0", 400),
        ("Observation/w/_history", 400),
        ("Observation/w/_history/1?_summary=true", 400),
    ):
        answer = asked(path)
        if kind == "batch":
            assert answer.json()["entry"][0]["response"]["status"] == str(status), path
        else:
            assert answer.status_code == status, path
            assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[0]")


def test_a_bsn_in_a_search_of_a_batch_is_masked_before_it_is_asked(fresh):
    asked = bare("GET", "Patient?identifier=http://fhir.nl/fhir/NamingSystem/bsn|999990019")
    answer = fresh.as_().post("", json=bundle("batch", asked))
    assert statuses(answer) == ["200"]
    assert "999990019" not in answer.text


def test_entries_of_a_batch_cannot_refer_to_each_other(fresh):
    marjan = fresh.as_()
    urn = f"urn:uuid:{uuid4()}"
    pointing = fresh.weight(hasMember=[{"reference": urn}])
    answer = marjan.post("", json=bundle("batch", post(fresh.weight(), urn), post(pointing)))
    assert statuses(answer) == ["201", "422"]
    assert marjan.get("Observation").json()["total"] == 1


def test_nobody_learns_from_a_batch_what_he_may_not_see(fresh):
    marjan = fresh.as_()
    marjan.put("Condition/geheim", json=condition(fresh, id="geheim"))
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen", "toevoegen"])
    samira = fresh.as_("p-samira")

    def asked(id_):
        entries = (
            bare("GET", f"Condition/{id_}"),
            bare("DELETE", f"Condition/{id_}"),
            put(condition(fresh, id=id_), ifMatch='W/"1"'),
            bare("GET", "Condition?_summary=count"),
            bare("GET", f"Condition?_id={id_}"),
        )
        answer = samira.post("", json=bundle("batch", *entries))
        return answer.text.replace(id_, "…")

    assert asked("geheim") == asked("nergens")
    assert '"total":0' in asked("geheim")


def test_a_stranger_gets_the_answer_of_a_dossier_that_is_not_there(fresh):
    stranger = fresh.as_("p-anja")
    sent = bundle("transaction", post(fresh.weight()))
    there = stranger.post("", json=sent)
    nowhere = stranger.post(f"{fresh.served.url}/dossiers/{'0' * 32}/fhir/r4", json=sent)
    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content


@pytest.mark.parametrize("url", ["MedicationRequest", "MedicationRequest/m"])
def test_an_emergency_in_a_batch_is_told_to_the_family_before_anything_is_shown(fresh, url):
    drug = {
        "resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order",
        "medicationCodeableConcept": {"text": "valproaat"}, "subject": fresh.subject(),
    }  # fmt: skip
    marjan = fresh.as_()
    assert fresh.system().put("MedicationRequest/m", json=drug).status_code == 201

    async def doctor(house):
        await house.registry.keep_account(
            Account("p-seh", "Sara Spoed", kind="zorgverlener", orgs=("isselzkh",), loa="hoog")
        )

    fresh.inside(doctor)
    seh = fresh.as_("p-seh")

    def told():
        rules = marjan.get(f"{fresh.served.url}/dossiers/{fresh.id}/toestemmingen").json()
        return [one["person"] for one in rules["notice"] if one["kind"] == "noodtoegang"]

    sent = bundle("batch", bare("GET", url))
    assert seh.post("", json=sent).status_code == 404
    assert told() == []
    declared = {"X-Noodtoegang": 'code=ETREAT; reason="patient binnen met aanhoudende aanval"'}
    answer = seh.post("", json=sent, headers=declared)
    assert statuses(answer) == ["200"]
    assert "valproaat" in answer.text
    assert told() == ["p-seh"]


def test_a_full_dossier_takes_nothing_new_but_can_be_kept_and_thinned(fresh, monkeypatch):
    marjan = fresh.as_()
    for id_ in ("a", "b"):
        marjan.put(f"Observation/{id_}", json=fresh.weight(id=id_))
    monkeypatch.setattr(staging, "MOST_RESOURCES", 3)
    mother = Caller("p-marjan", scope=("user/*.cruds",))

    def change(*ops):
        async def work(house):
            return await house.vault(mother, fresh.id).change("transaction", "r4", ops)

        return fresh.inside(work)

    def op(method, id_, index):
        sent = fresh.weight("5", id=id_) if method == "PUT" else None
        tree = text.parse(orjson.dumps(sent)) if sent else None
        return Op(method, "Observation", id_, tree, place=f"Bundle.entry[{index}]", index=index)

    with pytest.raises(TooLarge) as full:
        change(op("PUT", "c", 0), op("PUT", "d", 1))
    assert full.value.place == "Bundle.entry[1]"
    assert marjan.get("Observation").json()["total"] == 2
    change(op("PUT", "c", 0), op("PUT", "a", 1))
    change(op("PUT", "a", 0), op("DELETE", "b", 1))
    assert marjan.get("Observation").json()["total"] == 2
