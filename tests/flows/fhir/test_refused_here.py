"""Doses without a unit and Subscriptions are refused of people, systems and imports; nothing stays.

`tests/fhir/test_refused.py` has each kind of amount.
"""

from __future__ import annotations

import orjson
import pytest

from pgo.errors import NoSuchInteraction, NotFound, NotTaken

RELEASES = pytest.mark.parametrize("release", ["r4", "stu3"])


def order(fresh, release, **unit):
    dose = {"doseQuantity": {"value": 5, **unit}}
    return {
        "resourceType": "MedicationRequest",
        "identifier": [{"system": "https://delinde.example/id", "value": "m-1"}],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "valproaat"},
        "subject": fresh.subject(),
        "dosageInstruction": [{"doseAndRate": [dose]} if release == "r4" else dose],
    }


def place(release):
    part = ".doseAndRate[0]" if release == "r4" else ""
    return f"dosageInstruction[0]{part}.doseQuantity.unit"


def subscription():
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "nieuws",
        "criteria": "Observation",
        "channel": {"type": "rest-hook", "endpoint": "https://elders.example/hier"},
    }


@RELEASES
def test_a_dose_without_a_unit_is_refused_of_a_person_and_of_a_push_and_nothing_stays(
    fresh, release
):
    before = fresh.commits()
    marjan, system = fresh.as_(release=release), fresh.system(release=release)
    bare = order(fresh, release)
    for caller in (marjan, system):
        answer = caller.post("MedicationRequest", json=bare)
        assert answer.status_code == 422, answer.text
        assert fresh.issue(answer)["code"] == "required"
        assert fresh.place(answer) == f"MedicationRequest.{place(release)}"
    weight = fresh.weight() | {
        "identifier": [{"system": "https://delinde.example/id", "value": "w"}]
    }
    entries = [
        {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        for one in (weight, bare)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = system.post("", json=bundle)
    assert answer.status_code == 422
    assert fresh.place(answer) == f"Bundle.entry[1].resource.{place(release)}"
    assert fresh.commits() == before
    assert (
        system.post("MedicationRequest", json=order(fresh, release, unit="ml")).status_code == 201
    )


@RELEASES
def test_a_subscription_is_not_taken_and_its_refusal_says_why(fresh, release):
    before = fresh.commits()
    marjan = fresh.as_(release=release)
    put = {"method": "PUT", "url": "Subscription/mijn"}
    entry = {"resource": subscription() | {"id": "mijn"}, "request": put}
    for answer in (
        marjan.post("Subscription", json=subscription()),
        marjan.put("Subscription/mijn", json=subscription() | {"id": "mijn"}),
        fresh.system(release=release).post("Subscription", json=subscription()),
        marjan.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
    ):
        assert answer.status_code == 422, answer.text
        issue = fresh.issue(answer)
        assert issue["code"] == "not-supported"
        assert "not served" in issue["diagnostics"]
        assert "elders.example" not in answer.text
    told = marjan.post("Subscription", json=subscription())
    assert fresh.issue(told)["details"]["text"] == NotTaken.dutch
    assert fresh.commits() == before


@RELEASES
def test_the_statement_promises_no_making_of_subscriptions(fresh, release):
    statement = fresh.as_(release=release).get("metadata").json()
    said = {one["type"]: one for one in statement["rest"][0]["resource"]}
    makes = {"create", "update", "patch"}
    for type_, one in said.items():
        codes = {each["code"] for each in one["interaction"]}
        taken = type_ != "Subscription"
        assert (makes <= codes) == taken, type_
        assert taken or not makes & codes
        conditional = (one["conditionalCreate"], one["conditionalUpdate"], one["updateCreate"])
        assert conditional == (taken, taken, taken), type_
        assert {"read", "search-type", "delete"} <= codes


def test_an_import_says_which_it_refused_and_why(fresh, tmp_path):
    kept = {"weight": fresh.weight(), "drug": order(fresh, "r4"), "news": subscription()}
    for name, tree in kept.items():
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps(tree))
    said = fresh.served.pgo(
        "import", "--dossier", fresh.id, "--release", "r4", str(tmp_path), "--json", check=False
    )
    told = said.stdout.decode()
    assert "Subscriptions are not served here" in told
    assert "An amount of medicine needs a unit" in told
    found = fresh.as_().get("Observation?_summary=count").json()["total"]
    assert found == 1
    assert fresh.as_().get("MedicationRequest?_summary=count").json()["total"] == 0


def test_a_method_that_is_not_offered_is_not_told_as_something_that_is_not_there(fresh):
    marjan = fresh.as_()
    missing = marjan.get("Observation/nergens")
    assert missing.status_code == 404
    assert fresh.issue(missing)["details"]["text"] == NotFound.dutch
    answer = marjan.post("metadata", json={})
    assert answer.status_code == 405
    assert fresh.issue(answer)["details"]["text"] == NoSuchInteraction.dutch
    assert "niet gevonden" not in NoSuchInteraction.dutch


def test_a_parameter_the_overview_of_who_looked_does_not_know_is_named_as_such(fresh):
    answer = fresh.as_().get("$wie-keek?_sort=date")
    assert answer.status_code == 400
    issue = fresh.issue(answer)
    assert (issue["code"], fresh.place(answer)) == ("not-supported", "_sort")
    assert "day" not in issue["diagnostics"]
    answer = fresh.as_().get("$wie-keek?van=vijf")
    assert fresh.place(answer) == "van"
    assert "day" in fresh.issue(answer)["diagnostics"]
