"""What is asked beyond FHIR: an amount of medicine says of what, and no Subscription is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pgo.errors import NotTaken, Unprocessable
from pgo.fhir import text, xml
from pgo.fhir.refused import refused
from pgo.fhir.validate import check, validate

ABOUT = {"reference": "Patient/1"}
DRUG = {"medicationCodeableConcept": {"text": "valproaat"}, "subject": ABOUT}
PUBLISHED = Path(__file__).resolve().parents[2] / "../shared/data/fhir"


def quantity(**more: Any) -> dict[str, Any]:
    return {"value": 5, **more}


def read(tree: dict[str, Any]) -> dict[str, Any]:
    """As it is after it was sent."""
    return text.parse(orjson.dumps(tree))


def asked(release: str, dosage: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request for medicine of this release."""
    made = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", **DRUG}
    return made | {"dosageInstruction": [dosage], **more}


def dosed(release: str, part: dict[str, Any]) -> dict[str, Any]:
    """A dosage with this dose or rate, where the release has it."""
    return {"doseAndRate": [part]} if release == "r4" else part


def places(release: str, tree: dict[str, Any]) -> list[str]:
    issues = validate(release, read(tree))
    assert {(one.code, one.severity) for one in issues} <= {("required", "error")}, issues
    return [one.place for one in issues]


RELEASES = pytest.mark.parametrize("release", ["r4", "stu3"])
OF = {"r4": "MedicationRequest.dosageInstruction[0].doseAndRate[0]",
      "stu3": "MedicationRequest.dosageInstruction[0]"}  # fmt: skip


@RELEASES
@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"doseQuantity": quantity()}, ["doseQuantity"]),
        ({"doseQuantity": quantity(unit=" ")}, ["doseQuantity"]),
        ({"rateQuantity": quantity()}, ["rateQuantity"]),
        ({"doseRange": {"low": quantity(), "high": quantity()}},
         ["doseRange.low", "doseRange.high"]),
        ({"doseRange": {"low": quantity(unit="ml"), "high": quantity()}}, ["doseRange.high"]),
        ({"rateRatio": {"numerator": quantity(unit="ml"), "denominator": quantity()}},
         ["rateRatio.denominator"]),
    ],
)  # fmt: skip
def test_a_dose_or_rate_without_a_unit_is_refused_at_its_place(release, part, named):
    tree = asked(release, dosed(release, part))
    assert places(release, tree) == [f"{OF[release]}.{name}.unit" for name in named]
    with pytest.raises(Unprocessable) as caught:
        check(release, read(tree))
    assert caught.value.status == 422
    assert caught.value.place.startswith(OF[release])


@RELEASES
@pytest.mark.parametrize("told", [
    {"unit": "tablet"},
    {"system": "http://unitsofmeasure.org", "code": "mg"},
    {"unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
])  # fmt: skip
def test_a_unit_as_text_or_as_code_is_enough(release, told):
    tree = asked(release, dosed(release, {"doseQuantity": quantity(**told)}))
    assert places(release, tree) == []


@RELEASES
def test_the_most_that_may_be_given_says_of_what(release):
    bare = {"numerator": quantity(), "denominator": {"value": 1, "unit": "dag"}}
    most = {
        "maxDosePerPeriod": bare,
        "maxDosePerAdministration": quantity(),
        "maxDosePerLifetime": quantity(unit="mg"),
    }
    at = "MedicationRequest.dosageInstruction[0]"
    assert places(release, asked(release, most)) == [
        f"{at}.maxDosePerPeriod.numerator.unit",
        f"{at}.maxDosePerAdministration.unit",
    ]


@RELEASES
def test_what_is_handed_out_or_given_says_of_what(release):
    order = asked(release, {"text": "zo nodig"}, dispenseRequest={"quantity": quantity()})
    assert places(release, order) == ["MedicationRequest.dispenseRequest.quantity.unit"]
    handed = {"resourceType": "MedicationDispense", "status": "completed", **DRUG}
    handed |= {"quantity": quantity(), "daysSupply": {"value": 30}}
    assert places(release, handed) == ["MedicationDispense.quantity.unit"]
    when = {"effectiveDateTime": "2026-03-01"}
    given = {"resourceType": "MedicationAdministration", "status": "completed", **DRUG, **when}
    assert places(release, given | {"dosage": {"dose": quantity()}}) == [
        "MedicationAdministration.dosage.dose.unit"
    ]
    used = {"resourceType": "MedicationStatement", "status": "active", **DRUG}
    used |= {"taken": "y"} if release == "stu3" else {}
    dose = dosed(release, {"doseQuantity": quantity()})
    assert len(places(release, used | {"dosage": [dose]})) == 1


@RELEASES
def test_an_amount_that_is_not_told_needs_no_unit(release):
    unknown = [{
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "unknown",
    }]  # fmt: skip
    part = dosed(release, {"doseQuantity": {"extension": unknown}})
    assert places(release, asked(release, part)) == []
    assert places(release, asked(release, {"text": "1 keer per dag"})) == []


@RELEASES
def test_what_is_contained_or_in_a_bundle_is_looked_at_too(release):
    bare = asked(release, dosed(release, {"doseQuantity": quantity()})) | {"id": "m"}
    about = {"resourceType": "Basic", "code": {"text": "x"}, "contained": [bare]}
    (inside,) = places(release, about)
    assert inside.startswith("Basic.contained[0].dosageInstruction[0]")
    entry = {"fullUrl": "urn:uuid:6b1f1e9e-1111-4a5e-9c1e-000000000001", "resource": bare}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    (inside,) = places(release, bundle)
    assert inside.startswith("Bundle.entry[0].resource.dosageInstruction[0]")


@RELEASES
def test_other_numbers_need_no_unit(release):
    score = {"resourceType": "Observation", "status": "final", "code": {"text": "score"}}
    assert places(release, score | {"valueQuantity": {"value": 3}}) == []


SUBSCRIPTION = {
    "resourceType": "Subscription",
    "status": "requested",
    "reason": "nieuws",
    "criteria": "Observation",
    "channel": {"type": "rest-hook", "endpoint": "https://elders.example/hier"},
}


@RELEASES
def test_a_subscription_is_refused_with_the_reason(release):
    (issue,) = validate(release, SUBSCRIPTION)
    assert (issue.code, issue.place) == ("not-supported", "Subscription")
    assert "not served" in issue.detail
    assert "elders.example" not in issue.detail
    with pytest.raises(NotTaken) as caught:
        check(release, SUBSCRIPTION)
    assert caught.value.status == 422
    assert "nemen wij niet aan" in caught.value.dutch


def amounts() -> list[tuple[str, Path]]:
    found = [(path, path.read_bytes()) for path in sorted(PUBLISHED.rglob("*.xml"))]
    starts = (b"<MedicationRequest ", b"<MedicationDispense ", b"<MedicationStatement ",
              b"<MedicationAdministration ")  # fmt: skip
    return [
        ("stu3" if "STU3" in str(path) else "r4", path)
        for path, raw in found
        if any(one in raw for one in starts)
    ]


@pytest.mark.outside
@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no published examples beside the checkout")
def test_no_published_dutch_example_of_medication_is_refused_for_its_amounts():
    seen = 0
    for release, path in amounts():
        tree = xml.from_xml(path.read_bytes(), release)
        if tree["resourceType"].startswith("Medication"):
            assert refused(tree["resourceType"], tree, path.name) == []
            seen += 1
    assert seen >= 15
