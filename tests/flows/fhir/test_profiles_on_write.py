"""What names a profile that is here keeps to it, however it is written; others are kept."""

from __future__ import annotations

import orjson
import pytest

DIARY = "https://pgo.example/fhir/StructureDefinition/pgo-dagboek"
KINDS = "https://pgo.example/fhir/CodeSystem/categorie"
OTHER = "http://profiles.example/StructureDefinition/nowhere"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
SECRET = "Geheim 4711"


def entry(fresh, *, profile=DIARY, **more):
    tag = {"system": KINDS, "code": "dagboek"}
    made = {
        "resourceType": "Communication",
        "meta": {"profile": [profile], "tag": [tag]},
        "status": "completed",
        "subject": fresh.subject(),
        "sent": "2026-03-01T10:00:00+01:00",
        "payload": [{"contentString": "Sanne sliep goed."}],
        **more,
    }
    return {name: one for name, one in made.items() if one is not None}


WRONG = {
    "without words": ({"payload": None}, "payload", "required"),
    "without a day": ({"sent": None}, "sent", "required"),
    "blank words": ({"payload": [{"contentString": "\u2003"}]}, "", "invariant"),
    "another kind of words": (
        {"payload": [{"contentReference": {"display": SECRET}}]},
        "payload[0].contentReference",
        "structure",
    ),
    "another tag": (
        {"meta": {"profile": [DIARY], "tag": [{"system": KINDS, "code": "gezin"}]}},
        "meta.tag",
        "required",
    ),
}


def refused(answer, place, code, before=""):
    assert answer.status_code == 422, answer.text
    found = [(one["code"], one["expression"][0]) for one in answer.json()["issue"]]
    at = f"{before or 'Communication'}.{place}".rstrip(".")
    assert found == [(code, at)]
    assert DIARY in answer.text
    assert SECRET not in answer.text
    return answer.json()


@pytest.mark.parametrize("case", WRONG)
def test_what_breaks_its_profile_is_refused_with_the_place_and_nothing_is_kept(fresh, case):
    marjan = fresh.as_()
    more, place, code = WRONG[case]
    before = fresh.commits()
    refused(marjan.post("Communication", json=entry(fresh, **more)), place, code)
    assert fresh.commits() == before


def test_an_invariant_is_named_by_its_key(fresh):
    said = refused(
        fresh.as_().post("Communication", json=entry(fresh, payload=[{"contentString": "\u2003"}])),
        "",
        "invariant",
    )
    assert "pgo-1" in said["issue"][0]["diagnostics"]


def test_update_and_patch_keep_to_the_profile_as_well(fresh):
    marjan = fresh.as_()
    made = marjan.post("Communication", json=entry(fresh))
    assert made.status_code == 201, made.text
    where = f"Communication/{made.json()['id']}"
    worse = {name: one for name, one in made.json().items() if name != "sent"}
    refused(marjan.put(where, json=worse), "sent", "required")
    patch = orjson.dumps([{"op": "remove", "path": "/sent"}])
    refused(marjan.patch(where, content=patch, headers=JSON_PATCH), "sent", "required")
    assert marjan.get(where).json()["meta"]["versionId"] == "1"
    # Who takes the profile away may take away what it asks.
    steps = [{"op": "remove", "path": "/sent"}, {"op": "remove", "path": "/meta/profile"}]
    free = marjan.patch(where, content=orjson.dumps(steps), headers=JSON_PATCH)
    assert free.status_code == 200


def bundle(kind, *resources):
    entries = [
        {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def test_a_transaction_is_refused_whole_and_a_batch_by_entry(fresh):
    marjan = fresh.as_()
    both = (fresh.weight(), entry(fresh, sent=None))
    before = fresh.commits()
    answer = marjan.post("", json=bundle("transaction", *both))
    refused(answer, "sent", "required", "Bundle.entry[1].resource")
    assert fresh.commits() == before
    answers = marjan.post("", json=bundle("batch", *both)).json()["entry"]
    assert [one["response"]["status"][:3] for one in answers] == ["201", "422"]
    (issue,) = answers[1]["response"]["outcome"]["issue"]
    assert issue["expression"] == ["Bundle.entry[1].resource.sent"]


def test_what_names_a_profile_that_is_not_here_is_kept_and_says_so_to_who_asks(fresh):
    marjan = fresh.as_()
    one = entry(fresh, profile=OTHER, sent=None, payload=None)
    asked = {"Prefer": "return=OperationOutcome"}
    answer = marjan.post("Communication", json=one, headers=asked)
    assert answer.status_code == 201
    (issue,) = answer.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    assert "Communication.meta.profile[0]" in issue["diagnostics"]
    assert OTHER not in answer.text
    good = marjan.post("Communication", json=entry(fresh), headers=asked).json()
    assert "profile" not in good["issue"][0]["diagnostics"]
    several = marjan.post("", json=bundle("batch", one), headers=asked).json()
    told = several["entry"][0]["response"]["outcome"]["issue"][0]["diagnostics"]
    assert "Communication.meta.profile[0]" in told
