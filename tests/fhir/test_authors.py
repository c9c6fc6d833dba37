"""The table of who says whose a record is names members that exist, of what people sign with."""

from __future__ import annotations

from importlib import resources

import orjson
import pytest

from pgo.fhir.authors import said
from pgo.fhir.elements import members

TABLE = orjson.loads((resources.files("pgo.fhir") / "data" / "authors.json").read_bytes())
DOCTOR = {"reference": "Practitioner/d"}


def places(release, tree):
    return [one.place for one in said(release, tree)]


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_member_of_the_table_is_one_of_its_type(release):
    for type_, named in TABLE[release].items():
        if type_ == "Signature":  # its choice is a plain reference in R4
            continue
        assert set(named.split()) <= set(members(release, type_)), type_


@pytest.mark.parametrize(
    ("release", "type_", "member"),
    [
        ("r4", "MedicationRequest", "requester"),
        ("r4", "MedicationRequest", "reportedReference"),
        ("r4", "Observation", "performer"),
        ("r4", "CarePlan", "author"),
        ("r4", "Communication", "sender"),
        ("r4", "Condition", "asserter"),
        ("r4", "QuestionnaireResponse", "author"),
        ("r4", "DocumentReference", "author"),
        ("r4", "Provenance.agent", "who"),
        ("stu3", "MedicationRequest.requester", "agent"),
        ("stu3", "Procedure.performer", "actor"),
        ("stu3", "DiagnosticReport.performer", "actor"),
        ("stu3", "Provenance.agent", "whoReference"),
        ("stu3", "Condition", "asserter"),
    ],
)
def test_what_people_sign_with_is_in_it(release, type_, member):
    assert member in TABLE[release][type_].split()


def test_who_takes_part_or_receives_is_no_author():
    named = {f"{type_}.{one}" for type_, row in TABLE["r4"].items() for one in row.split()}
    assert named.isdisjoint({"Communication.recipient", "Encounter.participant.individual"})
    assert named.isdisjoint(
        {"Task.owner", "Appointment.participant.actor", "ServiceRequest.performer"}
    )


def test_authors_are_found_at_any_depth_and_in_what_is_kept_inside():
    drug = {"resourceType": "MedicationRequest", "requester": DOCTOR}
    tree = {
        "resourceType": "CarePlan",
        "contained": [drug],
        "author": DOCTOR,
        "activity": [{"progress": [{"text": "x", "authorString": "d"}]}],
    }
    at = ["contained[0].requester", "author", "activity[0].progress[0].authorString"]
    assert places("r4", tree) == [f"CarePlan.{one}" for one in at]
    kept = {"resourceType": "Bundle", "entry": [{"resource": drug}]}
    assert places("r4", kept) == ["Bundle.entry[0].resource.requester"]


def test_a_note_is_one_saying_with_who_said_it():
    first, second = (
        {"resourceType": "Condition", "note": [{"text": one, "authorReference": DOCTOR}]}
        for one in ("a", "b")
    )
    [one], [other] = said("r4", first), said("r4", second)
    assert one.same != other.same
    turned = {"note": [{"authorReference": DOCTOR, "text": "a"}], "resourceType": "Condition"}
    assert next(said("r4", turned)).same == one.same
