"""The compiled subset of FHIRPath."""

import pytest

from pgo.fhir.parameters import NOT_COVERED, registry
from pgo.fhir.paths import NotCovered, compile_expression, found

CHOICES = {
    "value": ["Quantity", "string", "CodeableConcept", "dateTime", "Reference"],
    "deceased": ["boolean", "dateTime"],
}
TREE = {
    "resourceType": "Patient",
    "contained": [{"resourceType": "Practitioner", "id": "p1"}],
    "deceasedBoolean": False,
    "name": [{"given": ["Anna", None, "Maria"]}, {"given": ["An"]}],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}],
    "link": [
        {"other": {"reference": "Patient/1"}},
        {"other": {"reference": "https://example.org/fhir/Practitioner/2/_history/3"}},
        {"other": {"reference": "#p1"}},
        {"other": {"type": "Patient", "identifier": {"value": "x"}}},
        {"other": {"display": "somebody"}},
    ],
    "valueQuantity": {"value": "q"},
    "extension": [
        {"url": "http://e/1", "valueString": "one"},
        {"url": "http://e/2", "valueString": "two"},
        {"url": "http://e/3", "extension": [{"url": "in", "valueString": "deep"}]},
    ],
}


def values(expression):
    return [
        value
        for path in compile_expression(expression, CHOICES)
        for value in found(path.steps, TREE, TREE)
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Patient.name.given", ["Anna", "Maria", "An"]),
        ("Patient.name[0].given", ["Anna", "Maria"]),
        ("Patient.name[7].given", []),
        ("Patient.missing.given", []),
        ("Patient.telecom.where(system='email').value", ["2"]),
        ("Patient.telecom.where(system = 'phone').value | Patient.missing", ["1"]),
        ("Patient.value", [{"value": "q"}]),
        ("(Patient.value as Quantity)", [{"value": "q"}]),
        ("Patient.value.as(Quantity).value", ["q"]),
        ("Patient.value.ofType(string)", []),
        ("(Patient.value as Quantity).value", ["q"]),
        ("Patient.value.is(Quantity)", [True]),
        ("Patient.value.is(string)", []),
        ("Patient.extension('http://e/2').value", ["two"]),
        ("Patient.extension('http://e/2')", ["two"]),
        ("Patient.extension('http://e/3').extension('in').value", ["deep"]),
        ("Patient.deceased", [False]),
        ("Patient.deceased.exists()", [True]),
        ("Patient.missing.exists()", [False]),
        ("Patient.deceased.exists() and Patient.deceased != false", [False]),
        ("Patient.deceased.exists() and Patient.deceased != true", [True]),
        ("Patient.link.other.where(resolve() is Practitioner).reference",
         ["https://example.org/fhir/Practitioner/2/_history/3", "#p1"]),
        ("Patient.link.where(hasExtension('http://e/1'))", []),
        ("Patient", [TREE]),
        ("name.given", ["Anna", "Maria", "An"]),
    ],
)  # fmt: skip
def test_an_expression_reaches_its_values(expression, expected):
    assert values(expression) == expected


def test_resolve_takes_the_type_from_the_reference_or_its_type_element():
    reached = values("Patient.link.other.where(resolve() is Patient)")
    assert [one.get("reference", one.get("type")) for one in reached] == ["Patient/1", "Patient"]


@pytest.mark.parametrize(
    "beyond",
    [
        "Patient.name.given.first()",
        "Patient.name.where(given.exists())",
        "Patient.select(iif(a.empty(), b, a))",
        "Patient.name.given +",
        "Patient.name.where(",
        "(Patient.name",
        "Patient.name | ",
        "",
        "Patient.name and Patient.telecom",
        "Patient.telecom.where(system='a\\'b')",
    ],
)
def test_what_is_not_covered_is_said_at_once(beyond):
    with pytest.raises(NotCovered):
        compile_expression(beyond, CHOICES)


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_published_expression_compiles(release):
    known = registry(release)
    without = {
        parameter.url.rpartition("/")[2]
        for type_ in known.types
        for parameter in known.of(type_).values()
        if not parameter.paths
    }
    assert not NOT_COVERED
    # Left without paths are only those whose definition has no expression, and the two columns.
    assert without == WITHOUT[release]


WITHOUT = {
    "r4": {
        "Resource-id", "Resource-lastUpdated", "Resource-content", "Resource-query", "filter",
        "DomainResource-text", "patient-extensions-Patient-age",
        "patient-extensions-Patient-birthOrderBoolean",
    },
    "stu3": {
        "Resource-id", "Resource-lastUpdated", "Resource-content", "Resource-query",
        "DomainResource-text", "patient-extensions-Patient-age",
        "patient-extensions-Patient-birthOrderBoolean",
        "patient-extensions-Patient-mothersMaidenName",
        "condition-extensions-Condition-based-on", "condition-extensions-Condition-definition",
        "condition-extensions-Condition-part-of", "device-extensions-Device-din",
        "diagnosticreport-genetic-DiagnosticReport-assessed-condition",
        "elementdefinition-11179-DataElement-objectClass",
        "elementdefinition-11179-DataElement-objectClassProperty",
        "observation-genetic-Observation-amino-acid-change",
        "observation-genetic-Observation-dna-variant",
        "observation-genetic-Observation-gene-amino-acid-change",
        "observation-genetic-Observation-gene-dnavariant",
        "observation-genetic-Observation-gene-identifier",
    },
}  # fmt: skip
