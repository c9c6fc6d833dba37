"""Each thing a profile may say: what breaks it is named by place, code and profile."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import BASE, OWN, element, known, profile, tree

OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "category": [{"coding": [{"system": "http://c.test", "code": "vital"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "gewicht"},
    "subject": {"reference": "Patient/1"},
    "valueQuantity": {"value": 21.50, "unit": "kg", "system": "http://u.test", "code": "kg"},
    "note": [{"text": "een"}, {"text": "twee"}],
    "component": [
        {"code": {"coding": [{"system": "http://c.test", "code": "a"}]}, "valueString": "x"},
        {"code": {"coding": [{"system": "http://c.test", "code": "b"}]}, "valueInteger": 3},
    ],
}
VALUES = {
    "resourceType": "ValueSet",
    "url": f"{OWN}vs",
    "status": "active",
    "compose": {"include": [{"system": "http://c.test", "concept": [{"code": "vital"}]}]},
}
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "http://a.test", "value": "12"}],
    "name": [{"family": "Vos", "given": ["Fenna"]}],
    "birthDate": "2010-05-01",
}
OBS, PART = "Observation", "Observation.component"
KG = {"system": "http://u.test", "code": "kg"}

# The element of a profile; the place and code of what is wrong, or nothing.
TABLE = {
    "at least": (element(f"{OBS}.note", min=3), "Observation.note", "required"),
    "at least, good": (element(f"{OBS}.note", min=2), "", ""),
    "at least, absent": (element(f"{OBS}.method", min=1), "Observation.method", "required"),
    "at least, inside": (
        element(f"{OBS}.code.coding.version", min=1),
        "Observation.code.coding[0].version",
        "required",
    ),
    "inside what is absent": (element(f"{OBS}.method.text", min=1), "", ""),
    "at most": (element(f"{OBS}.note", max="1"), "Observation.note[1]", "structure"),
    "not here": (element(f"{OBS}.note", max="0"), "Observation.note[0]", "structure"),
    "choice at least": (element(f"{OBS}.effective[x]", min=1), "Observation.effective", "required"),
    "fixed": (element(f"{OBS}.status", fixedCode="amended"), "Observation.status", "value"),
    "fixed, good": (element(f"{OBS}.status", fixedCode="final"), "", ""),
    "fixed number": (
        element(f"{OBS}.value[x].value", fixedDecimal=21.5),
        "",
        "",
    ),
    "fixed, whole": (
        element(f"{OBS}.code", fixedCodeableConcept={"text": "gewicht"}),
        "Observation.code",
        "value",
    ),
    "pattern, good": (
        element(f"{OBS}.code", patternCodeableConcept={"coding": [{"code": "29463-7"}]}),
        "",
        "",
    ),
    "pattern": (
        element(f"{OBS}.code", patternCodeableConcept={"coding": [{"code": "8302-2"}]}),
        "Observation.code",
        "value",
    ),
    "pattern of a choice": (
        element(f"{OBS}.value[x]", patternQuantity={**KG, "code": "g"}),
        "Observation.valueQuantity",
        "value",
    ),
    "length": (element(f"{OBS}.note.text", maxLength=3), "Observation.note[1].text", "too-long"),
    "least value": (
        element(f"{OBS}.component.value[x]", minValueInteger=4),
        "Observation.component[1].valueInteger",
        "value",
    ),
    "most value": (
        element(f"{OBS}.value[x]", maxValueQuantity={"value": 20, "unit": "kg", **KG}),
        "Observation.valueQuantity",
        "value",
    ),
    "most value, good": (
        element(f"{OBS}.value[x]", maxValueQuantity={"value": 21.5, "unit": "kg", **KG}),
        "",
        "",
    ),
    "type of a choice": (
        element(f"{OBS}.value[x]", type=[{"code": "string"}]),
        "Observation.valueQuantity",
        "structure",
    ),
    "type of a choice, good": (
        element(f"{OBS}.value[x]", type=[{"code": "string"}, {"code": "Quantity"}]),
        "",
        "",
    ),
    "one type of a choice": (
        element(f"{OBS}.valueQuantity.unit", max="0"),
        "Observation.valueQuantity.unit",
        "structure",
    ),
    "target": (
        element(
            f"{OBS}.subject", type=[{"code": "Reference", "targetProfile": [f"{BASE}Location"]}]
        ),
        "Observation.subject.reference",
        "structure",
    ),
    "target, good": (
        element(
            f"{OBS}.subject", type=[{"code": "Reference", "targetProfile": [f"{BASE}Patient"]}]
        ),
        "",
        "",
    ),
    "target, unknown profile": (
        element(
            f"{OBS}.subject", type=[{"code": "Reference", "targetProfile": ["http://no.test/p"]}]
        ),
        "",
        "",
    ),
    "binding": (
        element(f"{OBS}.code", binding={"strength": "required", "valueSet": f"{OWN}vs"}),
        "Observation.code",
        "code-invalid",
    ),
    "binding, good": (
        element(f"{OBS}.category", binding={"strength": "required", "valueSet": f"{OWN}vs|1"}),
        "",
        "",
    ),
    "binding, extensible": (
        element(f"{OBS}.code", binding={"strength": "extensible", "valueSet": f"{OWN}vs"}),
        "",
        "",
    ),
    "must support": (element(f"{OBS}.method", mustSupport=True), "", ""),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_a_profile_says_is_asked(held, case):
    said, place, code = TABLE[case]
    values = VALUES | {"version": "1"}
    wrong = held(OBSERVATION, profile("Observation", said), values)
    assert [(one[0], one[1]) for one in wrong] == ([(code, place)] if place else [])
    assert all(f"{OWN}p" in words for _, _, words in wrong)


@pytest.mark.parametrize(
    ("reference", "good"),
    [("Patient/1", True), ("Location/1", False), ("https://h.test/fhir/Location/1", False),
     ("https://h.test/API/1", True), ("urn:uuid:6f1a5c34-5f1c-4b8e-9f07-1b2f3c4d5e6f", True),
     ("#p", True), ("#l", False), (None, True)],
)  # fmt: skip
def test_what_a_reference_is_to_is_told_by_its_words(held, reference, good):
    target = [{"code": "Reference", "targetProfile": [f"{BASE}Patient"]}]
    inside = [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Location", "id": "l"}]
    subject = {"reference": reference} if reference else {"display": "x"}
    one = OBSERVATION | {"subject": subject, "contained": inside}
    wrong = held(one, profile("Observation", element(f"{OBS}.subject", type=target)))
    assert [place for _, place, _ in wrong] == ([] if good else ["Observation.subject.reference"])


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("note.count() = 2", True),
        ("note.count() = 1", False),
        ("component.all(code.exists())", True),
        ("value.ofType(Quantity).value < 20", False),
        ("code.coding.where(system = 'http://loinc.org').exists()", True),
    ],
)
def test_an_invariant_is_told_by_its_key(held, expression, good):
    rule = {"key": "x-1", "severity": "error", "human": "x", "expression": expression}
    wrong = held(OBSERVATION, profile("Observation", {**element(OBS), "constraint": [rule]}))
    assert len(wrong) == (not good)
    assert all((c, p) == ("invariant", OBS) and "x-1" in words for c, p, words in wrong)


def test_an_invariant_of_an_element_is_about_each_of_them(held):
    rule = {"key": "x-2", "severity": "error", "expression": "text.length() < 4"}
    wrong = held(OBSERVATION, profile("Observation", element(f"{OBS}.note", constraint=[rule])))
    assert [(one[0], one[1]) for one in wrong] == [("invariant", "Observation.note[1]")]


@pytest.mark.parametrize(
    "expression",
    ["nonsense(", "unheard()", "subject.resolve().exists()", "status.matches('(f+)+$')",
     "descendants().descendants().descendants().empty()" + ".not()" * 900, "absent.code = 'x'"],
)  # fmt: skip
def test_an_invariant_that_cannot_be_told_is_a_note_and_refuses_nothing(held, expression):
    rule = {"key": "x-3", "severity": "error", "expression": expression}
    made = profile("Observation", {**element(OBS), "constraint": [rule]})
    assert held(OBSERVATION, made) == []
    notes = held(OBSERVATION, made, severity="information")
    assert [note[0] for note in notes] == ["informational"]
    assert "x-3" in notes[0][2]


def test_a_warning_does_not_refuse(held):
    rule = {"key": "x-4", "severity": "warning", "expression": "note.empty()"}
    made = profile("Observation", {**element(OBS), "constraint": [rule]})
    assert held(OBSERVATION, made) == []
    assert [one[0] for one in held(OBSERVATION, made, severity="warning")] == ["invariant"]
    assert known(made).faults("r4", tree(OBSERVATION | {"meta": {"profile": [f"{OWN}p"]}})) == []


# --- slices --------------------------------------------------------------------------------------


def sliced(by, *elements, rules="open", **more):
    discriminators = [{"type": kind, "path": path} for kind, path in by]
    slicing = {"discriminator": discriminators, "rules": rules, **more}
    return profile("Observation", element(PART, slicing=slicing), *elements)


BY_CODE = [("value", "code.coding.code")]
A = (element(f"{PART}:a", min=1), element(f"{PART}:a.code.coding.code", fixedCode="a"))
B = (element(f"{PART}:b"), element(f"{PART}:b.code.coding.code", fixedCode="b"))
Z = (element(f"{PART}:z", min=1), element(f"{PART}:z.code.coding.code", fixedCode="z"))
PATTERN_B = {"coding": [{"system": "http://c.test", "code": "b"}]}

STRANGE = [None, True, 7, 1.5, "x", "*", [], {}, [{}], [[]], {"x": 1}]
BY_TYPE = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}

SLICES = {
    "found": (sliced(BY_CODE, *A), []),
    "missing": (sliced(BY_CODE, *A, *Z), [("required", "Observation.component")]),
    "too often": (
        sliced(BY_CODE, element(f"{PART}:a", max="0"), A[1]),
        [("structure", "Observation.component[0]")],
    ),
    "inside a slice": (
        sliced(BY_CODE, *A, element(f"{PART}:a.value[x]", type=[{"code": "integer"}])),
        [("structure", "Observation.component[0].valueString")],
    ),
    "pattern": (
        sliced(
            [("pattern", "code")],
            element(f"{PART}:b", min=1, max="1"),
            element(f"{PART}:b.code", patternCodeableConcept=PATTERN_B),
            element(f"{PART}:b.interpretation", min=1),
        ),
        [("required", "Observation.component[1].interpretation")],
    ),
    "below a pattern": (
        sliced(
            BY_CODE,
            element(f"{PART}:b"),
            element(f"{PART}:b.code", patternCodeableConcept=PATTERN_B),
            element(f"{PART}:b.interpretation", min=1),
        ),
        [("required", "Observation.component[1].interpretation")],
    ),
    "type": (
        sliced(
            [("type", "value")],
            element(f"{PART}:n"),
            element(f"{PART}:n.value[x]", min=1, type=[{"code": "integer"}], maxValueInteger=2),
        ),
        [("value", "Observation.component[1].valueInteger")],
    ),
    "exists": (
        sliced(
            [("exists", "interpretation")],
            element(f"{PART}:without", max="1"),
            element(f"{PART}:without.interpretation", max="0"),
        ),
        [("structure", "Observation.component[1]")],
    ),
    "closed": (
        sliced(BY_CODE, *A, rules="closed"),
        [("structure", "Observation.component[1]")],
    ),
    "in order": (
        sliced(BY_CODE, *B, *A, ordered=True),
        [("structure", "Observation.component[1]")],
    ),
    "at the end": (
        sliced(BY_CODE, *B, rules="openAtEnd"),
        [("structure", "Observation.component[1]")],
    ),
    "choice by its type": (
        profile(
            "Observation",
            element(f"{OBS}.value[x]", slicing=BY_TYPE),
            element(f"{OBS}.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
            element(f"{OBS}.value[x]:valueQuantity.comparator", min=1),
        ),
        [("required", "Observation.valueQuantity.comparator")],
    ),
    "what cannot be told": (sliced([("value", "code.resolve()")], *Z), []),
}


@pytest.mark.parametrize("case", SLICES)
def test_a_slice_is_told_by_its_discriminator(held, case):
    made, expected = SLICES[case]
    wrong = [(code, place) for code, place, _ in held(OBSERVATION, made)]
    assert wrong == expected


def test_a_slice_whose_members_cannot_be_told_is_a_note(held):
    made = SLICES["what cannot be told"][0]
    assert held(OBSERVATION, made, severity="information")


def extension(url="http://x.test/colour", **members):
    root = element("Extension")
    fixed = element("Extension.url", fixedUri=url)
    value = element("Extension.value[x]", min=1, type=[{"code": "code"}], **members)
    made = profile("Extension", root, fixed, value, name="colour", kind="complex-type")
    return made | {"url": url}


def test_an_extension_is_told_by_its_url_and_kept_to_its_definition(held):
    slice_ = element(
        "Patient.extension:colour",
        min=1,
        max="1",
        type=[{"code": "Extension", "profile": ["http://x.test/colour"]}],
    )
    made = profile("Patient", element("Patient.extension"), slice_)
    other = {"url": "http://x.test/other", "valueString": "x"}
    wrong = held(PATIENT | {"extension": [other]}, made, extension())
    assert [(one[0], one[1]) for one in wrong] == [("required", "Patient.extension")]
    red = {"url": "http://x.test/colour", "valueString": "red"}
    wrong = held(PATIENT | {"extension": [other, red]}, made, extension())
    assert [(o[0], o[1]) for o in wrong] == [("structure", "Patient.extension[1].valueString")]
    good = {"url": "http://x.test/colour", "valueCode": "red"}
    assert held(PATIENT | {"extension": [other, good]}, made, extension()) == []
    assert held(PATIENT | {"extension": [good]}, made) == []  # without its definition: by its url


def test_a_profile_of_a_type_is_held_against_the_value(held):
    inner = profile("HumanName", element("HumanName.given", max="0"), name="n", kind="complex-type")
    type_ = [{"code": "HumanName", "profile": [f"{OWN}n"]}]
    made = profile("Patient", element("Patient.name", type=type_))
    wrong = held(PATIENT, made, inner)
    assert [(o[0], o[1]) for o in wrong] == [("structure", "Patient.name[0].given[0]")]
    assert f"{OWN}n" in wrong[0][2]


def test_what_a_profile_is_based_on_counts_too(held):
    below = profile("Patient", element("Patient.gender", min=1), name="below")
    above = profile("Patient", element("Patient.photo", min=1), base=f"{OWN}below")
    wrong = held(PATIENT, above, below)
    assert {one[1] for one in wrong} == {"Patient.gender", "Patient.photo"}


def test_a_slice_of_what_it_is_based_on_is_narrowed(held):
    url = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
    below = profile(
        "Patient",
        element("Patient.identifier", slicing=url),
        element("Patient.identifier:a"),
        element("Patient.identifier:a.system", fixedUri="http://a.test"),
        name="below",
    )
    above = profile(
        "Patient", element("Patient.identifier:a.value", maxLength=1), base=f"{OWN}below"
    )
    wrong = held(PATIENT, above, below)
    assert [(o[0], o[1]) for o in wrong] == [("too-long", "Patient.identifier[0].value")]


def test_a_snapshot_goes_before_the_differential(held):
    snapshot = {"element": [element("Patient"), element("Patient.gender", min=1)]}
    made = profile("Patient", element("Patient.photo", min=1), snapshot=snapshot)
    assert [one[1] for one in held(PATIENT, made)] == ["Patient.gender"]


def test_a_base_that_is_not_here_is_a_note(held):
    made = profile("Patient", element("Patient.gender", min=1), base="http://no.test/base")
    assert [one[1] for one in held(PATIENT, made)] == ["Patient.gender"]
    notes = held(PATIENT, made, severity="information")
    assert "based on" in notes[0][2]


def test_profiles_that_are_based_on_each_other_end(held):
    one = profile("Patient", element("Patient.gender", min=1), base=f"{OWN}q")
    two = profile("Patient", element("Patient.photo", min=1), base=f"{OWN}p", name="q")
    assert {row[1] for row in held(PATIENT, one, two)} == {"Patient.gender", "Patient.photo"}


def test_a_profile_for_another_type_is_refused(held):
    wrong = held(PATIENT, profile("Observation"))
    assert [(one[0], one[1]) for one in wrong] == [("structure", "Patient")]


def test_values_are_never_repeated(held):
    secret = "Geheim-4711"
    patient = copy.deepcopy(PATIENT)
    patient["name"][0]["family"] = secret
    made = profile(
        "Patient",
        element("Patient.name.family", fixedString="x", maxLength=2),
        element("Patient.name", patternHumanName={"family": "y"}),
    )
    wrong = held(patient, made)
    assert len(wrong) == 3
    assert secret not in repr(wrong)


# --- the BSN -------------------------------------------------------------------------------------

BSN = "http://fhir.nl/fhir/NamingSystem/bsn"
MASKED = {"extension": [{"url": f"{BASE}data-absent-reason", "valueCode": "masked"}]}


def asks_for_bsn():
    by = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
    rule = {"key": "bsn", "severity": "error", "expression": "value.length() = 9"}
    return profile(
        "Patient",
        element("Patient.identifier", slicing=by),
        element("Patient.identifier:bsn", min=1, constraint=[rule]),
        element("Patient.identifier:bsn.system", fixedUri=BSN),
        element("Patient.identifier:bsn.value", min=1, patternString="999990019"),
    )


def test_no_profile_can_ask_for_a_bsn(held):
    assert held(PATIENT, asks_for_bsn()) == []
    masked = [{"system": BSN, "_value": MASKED}]
    assert held(PATIENT | {"identifier": masked}, asks_for_bsn()) == []


# --- which profiles ------------------------------------------------------------------------------


def test_unknown_profiles_are_noted_by_place_and_refuse_nothing():
    one = tree(PATIENT | {"meta": {"profile": [f"{OWN}p", "http://no.test/q", f"{BASE}Patient"]}})
    profiles = known(profile("Patient"))
    assert profiles.faults("r4", one) == []
    (note,) = profiles.check("r4", one)
    assert (note.severity, note.code) == ("information", "not-found")
    assert note.place == "Patient.meta.profile[1]"
    assert "no.test" not in note.detail


def test_a_profile_counts_for_its_own_release_only():
    one = tree(PATIENT | {"meta": {"profile": [f"{OWN}p"]}})
    profiles = known(profile("Patient", element("Patient.photo", min=1)))
    assert len(profiles.faults("r4", one)) == 1
    assert profiles.faults("stu3", one) == []


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [("", ["Patient.photo"]), ("|1.2.0", ["Patient.gender"]), ("|1.10.0", ["Patient.photo"]),
     ("|7", [])],
)  # fmt: skip
def test_a_version_is_that_version_and_none_is_the_newest(asked, wrong):
    old = profile("Patient", element("Patient.gender", min=1), version="1.2.0")
    new = profile("Patient", element("Patient.photo", min=1), version="1.10.0")
    trial = profile("Patient", element("Patient.contact", min=1), version="1.10.0-beta")
    one = tree(PATIENT | {"meta": {"profile": [f"{OWN}p{asked}"]}})
    found = known(new, old, trial).faults("r4", one)
    assert [issue.place for issue in found] == wrong


def _spots(tree):
    """Every member and place in a tree, with what holds it."""
    for at, one in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, at
        if isinstance(one, dict | list):
            yield from _spots(one)


@given(
    st.sampled_from([*SLICES]),
    st.lists(st.tuples(st.integers(0), st.sampled_from(STRANGE)), min_size=1, max_size=4),
)
def test_a_definition_that_is_not_in_order_falls_over_nothing(case, changes):
    made = copy.deepcopy(SLICES[case][0])
    made["differential"]["element"] += [copy.deepcopy(one[0]) for one in TABLE.values()]
    for number, strange in changes:
        spots = [*_spots(made["differential"])]
        holder, at = spots[number % len(spots)]
        holder[at] = copy.deepcopy(strange)
    found = known(made, VALUES).check("r4", tree(OBSERVATION), [f"{OWN}p"])
    assert {one.severity for one in found} <= {"error", "information", "warning"}


def test_a_definition_that_cannot_be_used_is_a_note(held):
    made = profile("Patient", element("Patient.photo", min=1, type=[7]))
    assert held(PATIENT, made) == []
    assert "cannot be used" in held(PATIENT, made, severity="information")[0][2]


def test_of_a_resource_with_countless_faults_fifty_are_told(held):
    many = PATIENT | {"name": [{"family": "x"} for _ in range(200)]}
    made = profile("Patient", element("Patient.name.given", min=1))
    assert len(held(many, made)) == 50


def test_an_stu3_profile_has_stu3s_own_forms(held):
    made = profile(
        "Observation",
        element(
            f"{OBS}.subject",
            type=[{"code": "Reference", "targetProfile": f"{BASE}{one}"}
                  for one in ("Group", "Location")],
        ),
        element(f"{OBS}.status", binding={"strength": "required",
                                        "valueSetReference": {"reference": f"{OWN}vs"}}),
    )  # fmt: skip
    values = {**VALUES, "compose": {"include": [
        {"system": "http://hl7.org/fhir/observation-status", "concept": [{"code": "amended"}]}
    ]}}  # fmt: skip
    one = {name: OBSERVATION[name] for name in ("resourceType", "status", "code", "subject")}
    wrong = held(one, made, values, release="stu3")
    assert [(o[0], o[1]) for o in wrong] == [
        ("structure", "Observation.subject.reference"),
        ("code-invalid", "Observation.status"),
    ]
