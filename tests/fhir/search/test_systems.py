"""Code systems: above and below, what a plain code implies, two ways of writing one system."""

import pytest

from pgo.fhir import systems

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CATEGORY = "terminology.hl7.org/CodeSystem/observation-category"


@pytest.mark.parametrize(
    ("release", "system", "code", "below", "above"),
    [
        ("r4", CLINICAL, "active", {"active", "recurrence", "relapse"}, {"active"}),
        ("r4", CLINICAL, "resolved", {"resolved"}, {"resolved", "inactive"}),
        ("r4", ACT, "IMP", {"IMP", "ACUTE", "NONAC"},
         {"IMP", "_ActEncounterCode", "_ActCareProvisionCode"}),
        ("r4", CLINICAL, "strange", {"strange"}, {"strange"}),
        ("stu3", "http://hl7.org/fhir/v3/ActCode", "ACUTE", {"ACUTE"},
         {"ACUTE", "IMP", "_ActEncounterCode", "_ActCareProvisionCode"}),
    ],
)  # fmt: skip
def test_a_hierarchy_that_is_known(release, system, code, below, above):
    assert systems.family(release, system, code, above=False) == below
    assert systems.family(release, system, code, above=True) == above


@pytest.mark.parametrize("system", ["http://snomed.info/sct", "http://loinc.org", CLINICAL])
def test_a_hierarchy_that_is_not(system):
    release = "stu3" if system == CLINICAL else "r4"
    assert systems.family(release, system, "x", above=False) is None


def condition(id_, code, system=CLINICAL):
    coding = [{"system": system, "code": code}]
    return {"resourceType": "Condition", "id": id_, "clinicalStatus": {"coding": coding}}


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("clinical-status:below", f"{CLINICAL}|active"), ["active", "relapse"]),
        (("clinical-status:below", f"{CLINICAL}|inactive"), ["remission"]),
        (("clinical-status:above", f"{CLINICAL}|relapse"), ["active", "relapse"]),
        (("clinical-status:below", f"{CLINICAL}|relapse,{CLINICAL}|inactive"),
         ["relapse", "remission"]),
        (("clinical-status", f"{CLINICAL}|active"), ["active"]),
    ],
)  # fmt: skip
def test_codes_are_found_with_those_above_or_below_them(r4, pair, expected):
    r4.put(*(condition(code, code) for code in ("active", "relapse", "remission")))
    r4.put(condition("other", "relapse", "http://other"))
    assert r4.ask("Condition", pair) == expected


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("status", "http://hl7.org/fhir/observation-status|final"), ["a"]),
        (("status", "http://loinc.org|final"), []),
        (("status", "|final"), ["a"]),
        (("code", "http://hl7.org/fhir/observation-status|final"), []),
    ],
)
def test_a_plain_code_has_the_system_of_its_binding(r4, pair, expected):
    code = {"coding": [{"code": "final"}]}
    r4.put({"resourceType": "Observation", "id": "a", "status": "final", "code": code})
    assert r4.ask("Observation", pair) == expected


@pytest.mark.parametrize("written", ["http", "https"])
@pytest.mark.parametrize("asked", ["http", "https"])
def test_terminology_of_hl7_may_be_written_in_two_ways(r4, written, asked):
    category = [{"coding": [{"system": f"{written}://{CATEGORY}", "code": "laboratory"}]}]
    r4.put({"resourceType": "Observation", "id": "a", "category": category})
    assert r4.ask("Observation", ("category", f"{asked}://{CATEGORY}|laboratory")) == ["a"]
    assert r4.ask("Observation", ("category", f"{asked}://{CATEGORY}|")) == ["a"]


def test_other_systems_are_what_they_are():
    assert systems.spellings("http://snomed.info/sct") == ("http://snomed.info/sct",)
    assert systems.spellings("ftp://terminology.hl7.org/x") == ("ftp://terminology.hl7.org/x",)


URLS = {
    "root": "http://e.nl/fhir",
    "one": "http://e.nl/fhir/a",
    "two": "http://e.nl/fhir/a/b",
    "near": "http://e.nl/fhirx",
    "slash": "http://e.nl/fhir/",
    "urn": "urn:oid:1.2.3",
}


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("url:below", "http://e.nl/fhir"), {"root", "one", "two", "slash"}),
        (("url:below", "http://e.nl/fhir/"), {"root", "one", "two", "slash"}),
        (("url:below", "http://e.nl/fhir/a"), {"one", "two"}),
        (("url:below", "http://e.nl"), {"root", "one", "two", "slash", "near"}),
        (("url:above", "http://e.nl/fhir/a/b"), {"root", "one", "two", "slash"}),
        (("url:above", "http://e.nl/fhir/a/b/c"), {"root", "one", "two", "slash"}),
        (("url:above", "http://e.nl/fhir"), {"root", "slash"}),
        (("url:above", "http://other.nl/fhir/a"), set()),
    ],
)
def test_urls_have_what_is_above_and_below_them(r4, pair, expected):
    r4.put(*({"resourceType": "ValueSet", "id": id_, "url": url} for id_, url in URLS.items()))
    assert set(r4.ask("ValueSet", pair)) == expected
