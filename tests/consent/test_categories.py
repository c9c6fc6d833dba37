"""Every type has its categories, labels and data date; nothing hides inside a resource."""

from __future__ import annotations

import re
from pathlib import Path

import fhir.resources.R4B
import fhir.resources.STU3
import orjson
import pytest

from pgo.consent import categories, presets
from pgo.consent.categories import CATEGORY_SYSTEM, classify, date_of, is_directive, labels_of
from pgo.consent.decide import decide
from pgo.consent.model import CATEGORIES, Request, Resource, World
from pgo.consent.reading import moments

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = orjson.loads((ROOT / "pgo/fhir/data/elements.json").read_bytes())
ABSTRACT = {"Resource", "DomainResource", "MetadataResource"}


def types_of(package):
    """The resource types of a release, as the classes of fhir.resources say.

    Read from its source: to build all models takes longer than all tests of consent.
    """
    heads = re.compile(r"^class (\w+)\(\w+\.(\w+)\):", re.MULTILINE)
    files = (file for folder in package.__path__ for file in Path(folder).glob("*.py"))
    bases = dict(found for file in files for found in heads.findall(file.read_text()))
    return {name for name in bases if "Resource" in above(name, bases)} - ABSTRACT


def above(name, bases):
    """The names of what a class is derived from."""
    while name in bases:
        name = bases[name]
        yield name


ALL_TYPES = sorted(
    types_of(fhir.resources.R4B)
    | types_of(fhir.resources.STU3)
    | set(PUBLISHED["r4"]["resources"])
    | set(PUBLISHED["stu3"]["resources"])
)


def test_every_r4_and_stu3_type_has_a_row_and_no_row_is_of_no_type():
    assert set(ALL_TYPES) - ABSTRACT == categories.types()
    assert len(ALL_TYPES) > 160


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_type_has_a_category_or_is_supporting_and_is_denied_to_a_stranger(release):
    for type_ in ALL_TYPES:
        kinds = classify(release, {"resourceType": type_})
        assert kinds <= CATEGORIES
        assert bool(kinds) != (type_ == "Patient" or type_ in categories.SUPPORTING), type_
        resource = Resource(categories=kinds, type=type_)
        at = moments.moment("2026-11-21T12:00:00+01:00")
        request = Request("wie", "anna", "lezen", "PATRQT", at, resource)
        assert decide(World.of(), request).reason == "GEEN_TOESTEMMING", type_


def test_no_preset_opens_what_fits_nothing():
    assert classify("r4", {"resourceType": "Onbekend"}) == {"overig"}
    assert classify("r4", {}) == {"overig"}
    for preset in presets.PRESETS.values():
        assert not {"overig", "dagboek", "logging", "financieel"} & set(preset.categories)


def concept(code, system="http://snomed.info/sct"):
    return {"coding": [{"system": system, "code": code}]}


def profile(name):
    return {"profile": [f"http://example.org/fhir/StructureDefinition/{name}"]}


CASES = [
    ("r4", "CarePlan", {}, {"zorgplan"}),
    ("r4", "Goal", {}, {"zorgplan"}),
    ("r4", "MedicationRequest", {}, {"medicatie"}),
    ("stu3", "MedicationDispense", {}, {"medicatie"}),
    ("stu3", "MedicationStatement", {}, {"medicatie"}),
    ("r4", "MedicationAdministration", {}, {"medicatie"}),
    ("r4", "Observation", {}, {"metingen"}),
    ("r4", "Observation", {"category": [concept("vital-signs")]}, {"metingen"}),
    ("r4", "Observation", {"category": [concept("laboratory")]}, {"uitslagen"}),
    ("stu3", "Observation", {"category": [concept("49581000146104")]}, {"uitslagen"}),
    ("stu3", "Observation", {"category": [concept("275711006")]}, {"uitslagen"}),
    ("r4", "Observation", {"specimen": {"reference": "Specimen/1"}}, {"uitslagen"}),
    (
        "r4",
        "Observation",
        {"meta": profile("nl-core-LaboratoryTestResult|1.0")},
        {"uitslagen"},
    ),
    ("r4", "Observation", {"category": [concept("survey")]}, {"vragenlijsten"}),
    (
        "r4",
        "Observation",
        {"category": [concept("survey"), concept("laboratory")]},
        {"vragenlijsten", "uitslagen"},
    ),
    ("stu3", "Observation", {"code": concept("11591000146107")}, {"verslagen"}),
    ("stu3", "Observation", {"meta": profile("gp-JournalEntry")}, {"verslagen"}),
    ("r4", "DiagnosticReport", {}, {"verslagen"}),
    ("r4", "DiagnosticReport", {"category": [concept("LAB")]}, {"uitslagen"}),
    ("stu3", "DiagnosticReport", {"category": concept("4241000179101")}, {"uitslagen"}),
    ("r4", "Condition", {}, {"problemen"}),
    ("r4", "AllergyIntolerance", {}, {"allergieen"}),
    ("r4", "Immunization", {}, {"vaccinaties"}),
    ("r4", "Procedure", {}, {"behandeling"}),
    ("r4", "Encounter", {}, {"behandeling"}),
    ("stu3", "ReferralRequest", {}, {"behandeling"}),
    ("r4", "ServiceRequest", {}, {"behandeling"}),
    ("r4", "Appointment", {}, {"afspraken"}),
    ("r4", "QuestionnaireResponse", {}, {"vragenlijsten"}),
    ("r4", "RelatedPerson", {}, {"contactpersonen"}),
    ("r4", "DocumentReference", {}, {"documenten"}),
    ("r4", "DocumentReference", {"type": concept("18842-5")}, {"verslagen"}),
    ("r4", "DocumentReference", {"type": concept("11502-2")}, {"uitslagen"}),
    ("r4", "DocumentReference", {"type": concept("81334-5")}, {"wilsverklaring"}),
    ("r4", "Binary", {}, set()),
    ("r4", "Flag", {}, {"paspoort"}),
    ("r4", "Flag", {"category": [concept("140401000146105")]}, {"medicatie"}),
    ("r4", "Coverage", {}, {"financieel"}),
    ("r4", "AuditEvent", {}, {"logging"}),
    ("r4", "Communication", {}, {"berichten"}),
    ("r4", "Task", {}, {"aanvragen"}),
    ("r4", "List", {"code": concept("10160-0")}, {"medicatie"}),
    ("r4", "List", {}, {"overig"}),
    ("r4", "Basic", {}, {"overig"}),
    ("r4", "Consent", {}, {"toestemmingen"}),
    ("r4", "Consent", {"scope": concept("patient-privacy")}, {"toestemmingen"}),
    ("r4", "Consent", {"scope": concept("treatment")}, {"wilsverklaring"}),
    ("r4", "Consent", {"scope": concept("adr")}, {"wilsverklaring"}),
    (
        "r4",
        "Consent",
        {"scope": {"coding": [{"code": "adr"}, {"code": "patient-privacy"}]}},
        {"wilsverklaring", "toestemmingen"},
    ),
    ("r4", "Consent", {"category": [concept("11291000146105")]}, {"toestemmingen"}),
    ("stu3", "Consent", {"category": [concept("11291000146105")]}, {"wilsverklaring"}),
    ("stu3", "Consent", {"category": [concept("11341000146107")]}, {"wilsverklaring"}),
    ("stu3", "Consent", {"scope": concept("treatment")}, {"toestemmingen"}),
    ("r4", "Observation", {"category": "stuk"}, {"metingen"}),
    ("r4", "Observation", {"category": [{"coding": [None, {"code": 1}]}]}, {"metingen"}),
]


@pytest.mark.parametrize(
    ("release", "type_", "members", "kinds"),
    CASES,
    ids=[f"{release}-{type_}-{n}" for n, (release, type_, *_) in enumerate(CASES)],
)
def test_type_profile_and_code_give_the_categories(release, type_, members, kinds):
    assert classify(release, {"resourceType": type_, **members}) == kinds


def tagged(code, system=CATEGORY_SYSTEM):
    return {"meta": {"tag": [{"system": system, "code": code}]}}


def test_the_familys_own_tags_take_the_place_of_what_people_write_themselves():
    assert classify("r4", {"resourceType": "QuestionnaireResponse", **tagged("paspoort")}) == {
        "paspoort"
    }
    assert classify("r4", {"resourceType": "Communication", **tagged("dagboek")}) == {"dagboek"}
    assert classify("r4", {"resourceType": "Communication", **tagged("gezin")}) == {"gezin"}


def test_elsewhere_a_tag_comes_on_top_and_other_tags_say_nothing():
    lab = {"resourceType": "Condition"}
    assert classify("r4", {**lab, **tagged("gezin")}) == {"gezin", "problemen"}
    assert classify("r4", {**lab, **tagged("medicatie")}) == {"problemen"}
    assert classify("r4", {**lab, **tagged("gezin", "http://elders")}) == {"problemen"}
    assert classify("r4", {"resourceType": "Patient", **tagged("gezin")}) == frozenset()


def test_what_is_contained_or_bundled_counts_along():
    lab = {"resourceType": "Observation", "category": [concept("laboratory")]}
    plan = {"resourceType": "CarePlan", "contained": [lab, {"resourceType": "Practitioner"}]}
    assert classify("r4", plan) == {"zorgplan", "uitslagen"}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": plan}, {"fullUrl": "x"}]}
    assert classify("r4", bundle) == {"overig", "zorgplan", "uitslagen"}


def test_a_clinical_directive_is_health_data_and_a_mixed_one_is_not():
    assert is_directive("r4", {"resourceType": "Consent", "scope": concept("adr")})
    mixed = {"coding": [{"code": "adr"}, {"code": "patient-privacy"}]}
    assert not is_directive("r4", {"resourceType": "Consent", "scope": mixed})
    assert not is_directive("r4", {"resourceType": "Consent"})
    assert not is_directive("r4", {"resourceType": "DocumentReference", "type": concept("81334-5")})


def test_labels_are_the_codes_of_security_without_our_seals():
    tree = {
        "meta": {"security": [{"code": "R"}, {"code": "niet-voor-naasten"}, {"display": "geheim"}]},
        "contained": [{"meta": {"security": {"code": "PSY"}}}, "stuk"],
    }
    assert labels_of(tree) == {"R", "PSY", categories.UNKNOWN_LABEL}
    assert labels_of({}) == frozenset()
    assert labels_of({"meta": {"security": ["R"]}}) == {categories.UNKNOWN_LABEL}


@pytest.mark.parametrize(
    ("tree", "date"),
    [
        ({"resourceType": "Observation", "effectiveDateTime": "2026-05-01"}, "2026-05-01"),
        (
            {
                "resourceType": "Observation",
                "effectivePeriod": {"start": "2026-05"},
                "issued": "2026-07-01T10:00:00Z",
            },
            "2026-05",
        ),
        ({"resourceType": "Observation", "issued": "2026-07-01T10:00:00Z"}, "2026-07-01T10:00:00Z"),
        ({"resourceType": "CarePlan", "period": {"start": "2026"}}, "2026"),
        ({"resourceType": "CarePlan", "period": {"end": "2026"}}, ""),
        ({"resourceType": "Appointment", "start": "2026-01-01T10:00:00Z"}, "2026-01-01T10:00:00Z"),
        ({"resourceType": "Procedure", "performedDateTime": "ooit"}, ""),
        ({"resourceType": "Procedure", "performedPeriod": {"start": "2026-02-01"}}, "2026-02-01"),
        ({"resourceType": "Patient", "date": "2026-02-01"}, ""),
        ({"resourceType": "Condition", "onsetString": "lang geleden"}, ""),
        ({}, ""),
    ],
)
def test_the_data_date_is_the_date_the_data_are_about(tree, date):
    assert date_of("r4", tree) == date
    assert date_of("stu3", tree) == date


def test_what_is_masked_of_a_patient_is_said_by_category():
    assert set(categories.PATIENT_PARTS) <= CATEGORIES
    assert "telecom" in categories.PATIENT_PARTS["adres"]
    assert "contact" in categories.PATIENT_PARTS["contactpersonen"]
