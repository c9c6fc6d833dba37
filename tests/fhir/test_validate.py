"""A good resource passes, each thing wrong with another is named by its place and nothing else."""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.errors import Unprocessable
from pgo.fhir import elements, text, validate, xml

DATA = Path(__file__).resolve().parents[2] / "../shared/data/fhir"

OBSERVATION = {
    "resourceType": "Observation",
    "id": "bp-1",
    "meta": {"lastUpdated": "2024-02-29T23:59:60.5+01:00", "profile": ["http://x.test/bp"]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p title="t">Bloeddruk</p></div>',
    },
    "contained": [{"resourceType": "Practitioner", "id": "p"}],
    "extension": [{"url": "http://x.test/e", "valueDecimal": 1.5}],
    "status": "final",
    "_status": {"id": "s"},
    "category": [{"coding": [{"system": "http://x.test", "code": "vital-signs"}]}],
    "code": {"text": "Bloeddruk"},
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "#p"}],
    "effectiveDateTime": "2024-02",
    "component": [
        {
            "code": {"text": "boven"},
            "valueQuantity": {
                "value": 120.0,
                "unit": "mmHg",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            },
        },
        {"code": {"text": "tel"}, "valueInteger": 3},
    ],
}
STU3 = {
    "resourceType": "CarePlan",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/1"},
    "period": {"start": "2024-01-01", "end": "2024"},
    "activity": [{"detail": {"status": "in-progress"}}],
}


def tree(resource):
    return text.parse(json.dumps(resource).encode())


def changed(path, value, resource=OBSERVATION):
    """A copy of a resource with one member set; a value of ... takes it away."""
    one = copy.deepcopy(resource)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    at = one
    for step in steps:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return one


def found(resource, release="r4", place=""):
    return validate.validate(release, tree(resource), place=place)


def test_good_resources_pass():
    assert found(OBSERVATION) == ()
    assert found(STU3, "stu3") == ()
    validate.check("r4", tree(OBSERVATION))


# A place that starts with @ starts with Observation.
WRONG = [
    ("resourceType", "Observatie", "structure", ""),
    ("resourceType", 5, "structure", ""),
    ("status", "zzz", "code-invalid", "@.status"),
    ("status", ["final"], "value", "@.status"),
    ("status", "", "value", "@.status"),
    ("id", "a b", "value", "@.id"),
    ("id", "x" * 65, "value", "@.id"),
    ("id", "../1", "value", "@.id"),
    ("code", ..., "required", "@.code"),
    ("code", {}, "structure", "@.code"),
    ("code", [{"text": "x"}], "structure", "@.code"),
    ("category", {"text": "x"}, "structure", "@.category"),
    ("category", [], "structure", "@.category"),
    ("category", [None], "structure", "@.category[0]"),
    ("effectiveDateTime", "2024-02-30", "value", "@.effectiveDateTime"),
    ("effectiveDateTime", "2024-02-01T10:00", "value", "@.effectiveDateTime"),
    ("effectiveDateTime", "2024-02-01T10:00:00", "value", "@.effectiveDateTime"),
    ("effectivePeriod", {"start": "2024"}, "structure", "@.effective[x]"),
    ("effectivePeriod", {"start": "2024-02", "end": "2023"}, "invariant", "@.effectivePeriod"),
    ("issued", "2024-02-01", "value", "@.issued"),
    ("component/0/valueQuantity/value", "120", "value", "@.component[0].valueQuantity.value"),
    ("component/0/valueQuantity/system", ..., "invariant", "@.component[0].valueQuantity"),
    (
        "component/0/valueQuantity/comparator",
        "~",
        "code-invalid",
        "@.component[0].valueQuantity.comparator",
    ),
    ("component/1/valueInteger", 1.5, "value", "@.component[1].valueInteger"),
    ("component/1/valueInteger", 2**31, "value", "@.component[1].valueInteger"),
    ("component/1/valueBoolean", True, "structure", "@.component[1].value[x]"),
    ("component/1/code", ..., "required", "@.component[1].code"),
    ("component/1/status", "final", "structure", "@.component[1].status"),
    ("component/1/resourceType", "Observation", "structure", "@.component[1].resourceType"),
    ("subject/reference", "javascript:alert(1)", "value", "@.subject.reference"),
    ("subject/reference", "data:text/html,x", "value", "@.subject.reference"),
    ("subject/reference", "../Patient/1", "value", "@.subject.reference"),
    ("subject/reference", "#nobody", "invariant", "@.subject.reference"),
    ("subject/reference", "file:///etc/passwd", "value", "@.subject.reference"),
    ("extension/0/url", "javascript:1", "value", "@.extension[0].url"),
    ("extension/0/url", ..., "required", "@.extension[0].url"),
    ("extension/0/valueDecimal", ..., "invariant", "@.extension[0]"),
    ("extension/0/extension", [{"url": "x", "valueCode": "y"}], "invariant", "@.extension[0]"),
    ("category/0/coding/0/system", "JavaScript:1", "value", "@.category[0].coding[0].system"),
    ("category/0/coding/0/code", " x", "value", "@.category[0].coding[0].code"),
    ("_status", {}, "structure", "@._status"),
    ("_status", {"value": "x"}, "structure", "@._status.value"),
    ("_code", {"id": "x"}, "structure", "@"),
    ("meta/profile", "http://x.test", "structure", "@.meta.profile"),
    ("meta/_profile", [None, None], "structure", "@.meta._profile"),
    ("contained/0/contained", [{"resourceType": "Patient"}], "invariant", "@.contained[0]"),
    ("contained/0/resourceType", "X", "structure", "@.contained[0]"),
    ("contained/0/gender", "x", "code-invalid", "@.contained[0].gender"),
    ("text/status", "x", "code-invalid", "@.text.status"),
    ("text/div", "tekst", "value", "@.text.div"),
]


@pytest.mark.parametrize(("path", "value", "code", "place"), WRONG)
def test_what_is_wrong_is_named_by_its_place(path, value, code, place):
    issues = found(changed(path, value))
    place = place.replace("@", "Observation")
    assert (code, place) in [(one.code, one.place) for one in issues]


def test_stu3_has_its_own_elements_and_codes():
    assert found(changed("status", "on-hold", STU3), "stu3")[0].code == "code-invalid"
    assert found(changed("status", "suspended", STU3), "stu3") == ()
    assert found(changed("status", "suspended", STU3))[0].place == "CarePlan.status"
    assert found(changed("context", {"reference": "Encounter/1"}, STU3), "stu3") == ()
    assert found(changed("context", {"reference": "Encounter/1"}, STU3))[0].code == "structure"
    assert found({"resourceType": "ReferralRequest"}, "r4")[0].code == "structure"


def test_a_concept_needs_one_code_of_its_binding():
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    nictiz = {"system": "urn:oid:1.2", "code": "55561003"}
    good = {"coding": [nictiz, {"system": system, "code": "active"}]}
    assert found(condition | {"clinicalStatus": good}) == ()
    for wrong in ({"coding": [nictiz]}, {"text": "active"}):
        issues = found(condition | {"clinicalStatus": wrong})
        assert [one.place for one in issues] == ["Condition.clinicalStatus"]


def test_an_absent_value_may_have_a_reason_instead():
    why = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    reason = {"extension": [{"url": why, "valueCode": "masked"}]}
    assert found(changed("status", ...) | {"_status": reason}) == ()
    names = {"resourceType": "Patient", "name": [{"given": [None, "B"], "_given": [reason, None]}]}
    assert found(names) == ()
    names["name"][0]["_given"] = [None, reason]
    assert [one.place for one in found(names)] == ["Patient.name[0].given[0]"]


def test_resources_in_a_bundle_are_looked_at_with_their_own_place():
    entry = {"fullUrl": "urn:uuid:0b1d", "resource": changed("status", "zzz")}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": OBSERVATION}]}
    assert found(bundle) == ()
    bundle["entry"].append(entry)
    assert found(bundle)[0].place == "Bundle.entry[1].resource.status"
    deeper = {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": bundle}]}
    assert found(deeper)[0].place == "Parameters.parameter[0].resource.entry[1].resource.status"


def test_the_caller_gives_the_start_of_the_place():
    issues = found(changed("status", "zzz"), place="Bundle.entry[3].resource")
    assert issues[0].place == "Bundle.entry[3].resource.status"


def test_no_more_than_fifty_issues_and_all_of_them_in_one_error():
    many = changed("category", [{"coding": "x"}] * 80)
    with pytest.raises(Unprocessable) as caught:
        validate.check("r4", tree(many))
    assert len(caught.value.issues) == 50
    assert caught.value.status == 422


def test_a_secret_is_never_repeated():
    for path, value, *_ in WRONG:
        if type(value) is str:
            said = str(found(changed(path, value + "SECRET\n<")))
            assert "SECRET" not in said
    assert "SECRET" not in str(found(OBSERVATION | {"SECRET": 1, "_SECRET": 2}))


@pytest.mark.parametrize("words", ["a\u00a0b", "\u00a0", " ", "é\u2009\n\tß", "日本"])
def test_any_letters_and_spaces_are_text(words):
    assert found(changed("code/text", words)) == ()


def test_deep_extensions_are_no_trouble():
    inner = {"url": "http://x.test", "valueCode": "x"}
    for _ in range(29):
        inner = {"url": "http://x.test", "extension": [inner]}
    assert found(changed("extension", [inner])) == ()


def test_what_only_r4_has_is_judged_by_r4():
    meta = {"url": "http://x.test", "valueMeta": {"versionId": "1"}}
    assert found(changed("extension", [meta])) == ()
    variable = {
        "resourceType": "EvidenceVariable",
        "status": "draft",
        "type": "dichotomous",
        "characteristic": [{"definitionCodeableConcept": {"text": "x"}}],
    }
    assert found(variable) == ()
    assert found(variable | {"actual": True})[0].code == "structure"
    product = {"resourceType": "MedicinalProduct", "name": [{"productName": "x"}]}
    assert found(product) == ()
    assert found(product | {"name": [{}]})[0].place == "MedicinalProduct.name[0]"
    canonical = {
        "resourceType": "PlanDefinition",
        "status": "draft",
        "subjectCanonical": "http://x",
    }
    assert found(canonical)[0].code == "structure"


def _models(release):
    for type_ in sorted(
        elements.resources(release) | {"Extension", "Quantity", "Timing", "Dosage"}
    ):
        if release == "stu3" or type_ not in validate.R4_ALONE:
            yield type_, validate._model(release, type_)


def _difference(release, type_, model):
    ours = set(elements.members(release, type_))
    theirs = {field.alias for name, field in model.model_fields.items() if "__ext" not in name}
    return ours ^ (theirs - {"resourceType", "fhir_comments", None})


@pytest.mark.parametrize(
    ("release", "known"),
    [
        ("stu3", {}),
        (
            "r4",
            {
                "ActivityDefinition": {"subjectCanonical"},
                "PlanDefinition": {"subjectCanonical"},
                "Extension": {"valueMeta", "valueCodeableReference", "valueRatioRange"},
            },
        ),
    ],
)
def test_the_models_differ_from_the_definitions_only_where_we_know(release, known):
    found = {type_: _difference(release, type_, model) for type_, model in _models(release)}
    assert {type_: names for type_, names in found.items() if names} == known


def test_r4_types_without_a_model_are_known():
    for type_ in validate.R4_ALONE:
        assert type_ in elements.resources("r4")
    missing = set()
    for type_ in elements.resources("r4"):
        try:
            validate._model("r4", type_)
        except ValueError:
            missing.add(type_)
    assert validate.R4_ALONE - missing == {"Evidence", "EvidenceVariable"}
    assert missing <= validate.R4_ALONE


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("aé -:/#<", max_size=4),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(st.sampled_from(
        ["id", "extension", "url", "value", "_value", "coding", "system", "resourceType"]
    ), one, max_size=3),
    max_leaves=6,
)  # fmt: skip
PATHS = sorted({path for path, *_ in WRONG} | {"component", "component/0", "contained", "meta"})


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PATHS), JUNK)
def test_no_junk_makes_it_fall_over(path, junk):
    issues = found(changed(path, junk))
    assert all(one.detail and one.code for one in issues)


OUTSIDE = [
    ("r4", "Nictiz-R4-zib2020/examples", 271),
    ("stu3", "Nictiz-STU3-Zib2017/Examples", 208),
    ("stu3", "Nictiz-STU3-MedicationProcess/Examples", 31),
]


@pytest.mark.outside
@pytest.mark.parametrize(("release", "folder", "least"), OUTSIDE)
def test_published_examples_are_accepted(release, folder, least):
    if not DATA.is_dir():
        pytest.skip("the folder with outside test data is not beside the checkout")
    files = sorted((DATA / folder).rglob("*.xml"))
    assert len(files) >= least
    wrong = {}
    for file in files:
        issues = validate.validate(release, xml.from_xml(file.read_bytes(), release))
        if issues:
            wrong[file.name] = {re.sub(r"\[\d+\]", "", one.place) for one in issues}
    assert wrong == {}
    assert all(places == {"Observation.text.div"} for places in wrong.values())


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_an_extension_may_say_why_its_value_is_not_there(release):
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason"}
    beside = {"extension": [reason | {"valueCode": "masked"}]}
    for value in ("String", "DateTime", "Decimal", "Boolean"):
        extension = {"url": "http://example.nl/x", f"_value{value}": beside}
        basic = {"resourceType": "Basic", "code": {"text": "x"}, "extension": [extension]}
        assert validate.validate(release, basic) == ()
        basic["extension"] = [extension | {"_valueOnbekend": beside}]
        assert validate.validate(release, basic)
