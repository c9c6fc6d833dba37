"""Part of a resource: what a summary keeps, and what no shortening may lose."""

import json

import pytest

from pgo.fhir import elements, subset, text
from pgo.fhir.query import parse

TAGS = {
    "r4": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "stu3": "http://hl7.org/fhir/v3/ObservationValue",
}
REQUEST = {
    "resourceType": "MedicationRequest",
    "id": "1",
    "meta": {"versionId": "3", "profile": ["http://p"]},
    "implicitRules": "http://rules",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "contained": [{"resourceType": "Medication", "id": "m"}],
    "extension": [{"url": "http://e", "valueString": "extra"}],
    "modifierExtension": [{"url": "http://stop", "valueBoolean": True}],
    "identifier": [{"value": "7"}],
    "status": "active",
    "_status": {"id": "s"},
    "intent": "order",
    "doNotPerform": True,
    "medicationReference": {"reference": "#m"},
    "subject": {"reference": "Patient/1"},
    "authoredOn": "2024-01-01",
    "note": [{"text": "note"}],
    "dispenseRequest": {
        "modifierExtension": [{"url": "http://m", "valueBoolean": True}],
        "numberOfRepeatsAllowed": 2,
    },
}
ALWAYS = {"resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "_status",
          "intent", "doNotPerform", "medicationReference", "subject", "contained"}  # fmt: skip


def shortened(tree=REQUEST, summary="", names=(), release="r4"):
    raw = text.dump(text.parse(json.dumps(tree).encode()))
    return json.loads(subset.subset(release, raw, summary, names))


@pytest.mark.parametrize(
    ("summary", "names", "more"),
    [
        ("true", (), {"authoredOn"}),
        ("text", (), {"text"}),
        ("data", (), set(REQUEST) - ALWAYS - {"text"}),
        ("", ("authoredOn",), {"authoredOn"}),
        ("", ("medication",), set()),
        ("", ("note", "text"), {"note", "text"}),
        ("text", ("note",), {"text", "note"}),
    ],
)
def test_a_part_has_what_was_asked_and_what_may_not_be_lost(summary, names, more):
    assert set(shortened(summary=summary, names=names)) == ALWAYS | more


@pytest.mark.parametrize("release", ["r4", "stu3"])
@pytest.mark.parametrize("summary", ["true", "text", "data", ""])
def test_a_part_says_that_it_is_one(release, summary):
    meta = shortened(summary=summary, names=("status",), release=release)["meta"]
    assert meta == {**REQUEST["meta"], "tag": [{"system": TAGS[release], "code": "SUBSETTED"}]}


def test_a_resource_without_meta_gets_the_tag_too():
    assert shortened({"resourceType": "Patient", "id": "1"}, "true")["meta"]["tag"]


def test_a_tag_is_said_once_and_others_stay():
    tags = [{"system": "http://t", "code": "a"}, {"system": TAGS["r4"], "code": "SUBSETTED"}]
    made = shortened({**REQUEST, "meta": {"tag": tags}}, "true")
    assert made["meta"]["tag"] == tags


def test_the_inside_of_an_element_is_a_summary_too():
    part = {"code": {"text": "c"}, "valueString": "v", "interpretation": [{"text": "i"}],
            "modifierExtension": [{"url": "http://m"}]}  # fmt: skip
    tree = {"resourceType": "Observation", "id": "1", "status": "final", "component": [part]}
    kept = {name: part[name] for name in ("code", "valueString", "modifierExtension")}
    assert shortened(tree, "true")["component"] == [kept]
    assert shortened(tree, "data")["component"] == [part]
    assert shortened(tree, "", ("component",))["component"] == [part]


def test_a_value_of_any_type_is_named_without_it():
    tree = {"resourceType": "Observation", "status": "final", "valueString": "v", "_valueString":
            {"id": "x"}, "issued": "2024-01-01T00:00:00Z"}  # fmt: skip
    for name in ("value", "valueString"):
        made = shortened(tree, "", (name,))
        assert set(made) == {"resourceType", "status", "valueString", "_valueString", "meta"}


def test_what_nothing_kept_points_to_is_left_out():
    tree = {**REQUEST, "medicationReference": {"reference": "Medication/1"}}
    assert "contained" not in shortened(tree, "true")


def test_order_and_digits_stay():
    raw = b'{"resourceType":"Observation","valueQuantity":{"value":1.50},"status":"final","id":"1"}'
    made = subset.subset("r4", raw, "true")
    assert made.startswith(raw[:-1])


def sample(element):
    value = "x" if element.primitive else {}
    return [value] if element.many else value


@pytest.mark.parametrize("release", ["r4", "stu3"])
@pytest.mark.parametrize("summary", ["true", "text", "data"])
def test_what_is_mandatory_stays_in_every_type(release, summary):
    for type_ in elements.resources(release):
        known = elements.members(release, type_)
        tree = {"resourceType": type_} | {name: sample(one) for name, one in known.items()}
        made = shortened(tree, summary, release=release)
        assert {one.name for one in known.values() if one.required} <= set(made), type_
        assert "modifierExtension" in made or "modifierExtension" not in known


RAW = text.dump(text.parse(json.dumps(REQUEST).encode()))


@pytest.mark.parametrize(
    ("pairs", "matches", "included"),
    [
        ([], True, True),
        ([("_summary", "false")], True, True),
        ([("_summary", "data")], False, False),
        ([("_elements", "status")], False, True),
        ([("_elements", "status"), ("_summary", "false")], False, True),
    ],
)
def test_a_search_shortens_what_it_should(pairs, matches, included):
    query = parse("r4", "MedicationRequest", pairs)
    assert (subset.wanted(query, RAW) == RAW) == matches
    assert (subset.wanted(query, RAW, included=True) == RAW) == included
