"""Index rows of single resources."""

import json

import orjson
import pytest

from pgo.fhir import index, text
from pgo.fhir.convert import fold
from pgo.fhir.decimals import HIGHEST, LOWEST, just_below, key, read
from pgo.fhir.moments import EARLIEST, LATEST, interval
from pgo.fhir.parameters import registry

SCT, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"


def rows(tree, release="r4"):
    return index.rows(release, text.parse(json.dumps(tree).encode()))


def of(table, code, tree, release="r4"):
    return [row[1:] for row in rows(tree, release).get(table, []) if row[0] == code]


def observation(**members):
    return {"resourceType": "Observation", "status": "final", **members}


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"coding": [{"system": SCT, "code": "1"}, {"code": "2"}]}, [(SCT, "1"), ("", "2")]),
        ({"coding": [{"system": SCT, "display": "no code"}]}, [(SCT, None)]),
        ({"text": "words only"}, [("", None)]),
    ],
)
def test_a_codeable_concept_gives_a_row_for_each_coding(member, expected):
    assert of("tok", "code", observation(code=member)) == expected


def test_words_beside_codes_are_kept_for_later():
    code = {"coding": [{"code": "1", "display": "Bloeddruk"}], "text": "Bloeddrúk  thuis"}
    assert of("txt", "code", observation(code=code)) == [("bloeddruk",), ("bloeddruk thuis",)]


def test_a_plain_code_and_a_boolean_have_an_implied_system():
    assert of("tok", "status", observation()) == [(None, "final")]
    assert of("tok", "active", {"resourceType": "Patient", "active": True}) == [(None, "true")]


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"system": "urn:oid:1", "value": "7"}, [("urn:oid:1", "7")]),
        ({"value": "7"}, [("", "7")]),
        ({"system": "http://bsn", "_value": {"extension": []}}, [("http://bsn", None)]),
    ],
)  # fmt: skip
def test_an_identifier_gives_system_and_value_and_a_masked_one_only_its_system(member, expected):
    assert of("tok", "identifier", observation(identifier=[member])) == expected


def test_an_identifier_with_a_type_can_be_found_by_it():
    kind = {"coding": [{"system": "http://t", "code": "MR"}]}
    tree = observation(identifier=[{"system": "s", "value": "7", "type": kind}])
    assert of("tok", "identifier:of-type", tree) == [("http://t", "MR|7")]


def test_telecom_is_split_by_its_system_and_has_none_in_the_index():
    telecom = [{"system": "phone", "value": "06"}, {"system": "email", "value": "a@b"}]
    tree = {"resourceType": "Patient", "telecom": telecom}
    assert of("tok", "phone", tree) == [("", "06")]
    assert of("tok", "email", tree) == [("", "a@b")]
    assert of("tok", "telecom", tree) == [("", "06"), ("", "a@b")]


@pytest.mark.parametrize("release", ["r4", "stu3"])
@pytest.mark.parametrize(
    ("member", "dead"),
    [
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2020"}, "true"),
    ],
)
def test_nobody_is_dead_who_is_said_to_be_alive(release, member, dead):
    tree = {"resourceType": "Patient", **member}
    assert of("tok", "deceased", tree, release) == [(None, dead)]


def test_every_part_of_a_name_and_an_address_is_found_folded():
    tree = {
        "resourceType": "Patient",
        "name": [{"family": "de Vríes", "given": ["Zoë", "IJsbrand"], "prefix": ["dr."]}],
        "address": [{"line": ["Kerkstraat 1"], "city": "'s-Gravenhage", "postalCode": "1234 AB"}],
    }
    assert of("str", "name", tree) == [
        ("de vries", "de Vríes"), ("zoe", "Zoë"), ("ijsbrand", "IJsbrand"), ("dr.", None),
    ]  # fmt: skip
    assert [folded for folded, _ in of("str", "address", tree)] == [
        "kerkstraat 1", "'s-gravenhage", "1234 ab",
    ]  # fmt: skip
    assert of("str", "family", tree) == [("de vries", "de Vríes")]


@pytest.mark.parametrize(
    ("one", "other"),
    [("Zoë", "ZOE"), ("Straße", "STRASSE"), ("ǅ", "dz\u030c"), ("a  b\t", "A B"), ("Ĳ", "ij")],
)
def test_folding_makes_equal_what_reads_the_same(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"effectiveDateTime": "2024-03"}, interval("2024-03")),
        ({"effectiveInstant": "2024-03-01T10:00:00Z"}, interval("2024-03-01T10:00:00Z")),
        ({"effectivePeriod": {"start": "2024-03"}}, (interval("2024-03")[0], LATEST)),
        ({"effectivePeriod": {"end": "2024-03-05"}}, (EARLIEST, interval("2024-03-05")[1])),
        (
            {"effectivePeriod": {"start": "2024", "end": "2025"}},
            (interval("2024")[0], interval("2025")[1]),
        ),
        ({"effectiveTiming": {"event": ["2024-05", "2024-02", "2024-03"]}},
         (interval("2024-02")[0], interval("2024-05")[1])),
        ({"effectiveTiming": {"event": ["2024-05"],
                              "repeat": {"boundsPeriod": {"start": "2023", "end": "2024-01"}}}},
         (interval("2023")[0], interval("2024-05")[1])),
        ({"effectiveTiming": {"repeat": {"frequency": 1}}}, (None, None)),
        ({"effectiveDateTime": "soon"}, (None, None)),
    ],
)  # fmt: skip
def test_dates_periods_and_timings_become_one_interval(member, expected):
    assert of("dat", "date", observation(**member)) == [expected]


FIVE, EIGHT = key(read("5")), key(read("8.0"))


@pytest.mark.parametrize(
    ("quantity", "low", "high"),
    [
        ({"value": 5}, FIVE, FIVE),
        ({"value": 5, "comparator": "<"}, LOWEST, just_below(FIVE)),
        ({"value": 5, "comparator": "<="}, LOWEST, FIVE),
        ({"value": 5, "comparator": ">="}, FIVE, HIGHEST),
        ({"value": 5, "comparator": ">"}, FIVE + "!", HIGHEST),
        ({"unit": "mg"}, None, None),
    ],
)
def test_a_quantity_with_a_comparator_is_a_half_open_range(quantity, low, high):
    tree = observation(valueQuantity={**quantity, "system": UCUM, "code": "mg", "unit": "milli"})
    assert of("qty", "value-quantity", tree) == [(low, high, UCUM, "mg", "milli")]


def test_ranges_and_money_are_quantities_too():
    onset = {"low": {"value": 5, "unit": "jaar"}, "high": {"value": 8.0, "unit": "jaar"}}
    tree = {"resourceType": "Condition", "onsetRange": onset}
    assert of("qty", "onset-age", tree) == [(FIVE, EIGHT, "", None, "jaar")]
    invoice = {"resourceType": "Invoice", "totalNet": {"value": 5, "currency": "EUR"}}
    assert of("qty", "totalnet", invoice) == [(FIVE, FIVE, "urn:iso:std:iso:4217", "EUR", None)]


def test_the_lexeme_decides_and_not_a_float():
    raw = b'{"resourceType":"Observation","valueQuantity":{"value":0.1000000000000000000000000001}}'
    (row,) = index.rows("r4", text.parse(raw))["qty"][-1:]
    assert row[1] == key(read("0.1000000000000000000000000001")) != key(read("0.1"))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Patient/1"}, [("Patient", "1", None)]),
        ({"reference": "Patient/1/_history/2"}, [("Patient", "1", None)]),
        ({"reference": "https://e.nl/fhir/Patient/1/_history/2"},
         [("Patient", None, "https://e.nl/fhir/Patient/1")]),
        ({"reference": "urn:uuid:6b0f"}, [(None, None, "urn:uuid:6b0f")]),
        ({"reference": "#p"}, [("Patient", None, None)]),
        ({"reference": "#q"}, [(None, None, None)]),
        ({"display": "oma"}, [(None, None, None)]),
    ],
)  # fmt: skip
def test_references_of_every_form_are_indexed(reference, expected):
    contained = [{"resourceType": "Patient", "id": "p"}]
    assert of("ref", "subject", observation(contained=contained, subject=reference)) == expected


def test_patient_is_only_a_subject_that_is_a_patient():
    for type_, expected in (("Patient", [("Patient", "1", None)]), ("Group", [])):
        tree = observation(subject={"reference": f"{type_}/1"})
        assert of("ref", "patient", tree) == expected


def test_a_logical_reference_is_found_by_its_identifier():
    tree = observation(subject={"identifier": {"system": "s", "value": "7"}, "type": "Patient"})
    assert of("ref", "subject", tree) == [("Patient", None, None)]
    assert of("tok", "subject:identifier", tree) == [("s", "7")]


def test_a_canonical_is_found_with_and_without_its_version():
    tree = {"resourceType": "CarePlan", "instantiatesCanonical": ["http://e/plan|2"]}
    urls = [url for _, _, url in of("ref", "instantiates-canonical", tree)]
    assert urls == ["http://e/plan|2", "http://e/plan"]
    meta = {"profile": ["http://e/p|1"]}
    profiles = of("uri", "_profile", observation(meta=meta))
    assert profiles == [("http://e/p|1",), ("http://e/p",)]


def test_meta_is_indexed_for_every_type():
    coding = {"system": "http://s", "code": "R"}
    meta = {"tag": [coding], "security": [coding], "source": "urn:x"}
    for type_ in ("Observation", "Binary", "Parameters"):
        tree = {"resourceType": type_, "meta": meta}
        assert of("tok", "_tag", tree) == of("tok", "_security", tree) == [("http://s", "R")]
        assert of("uri", "_source", tree) == [("urn:x",)]


def test_the_parts_of_a_composite_are_tied_by_a_group():
    component = [
        {"code": {"coding": [{"code": "sys"}]}, "valueQuantity": {"value": 5}},
        {"code": {"coding": [{"code": "dia"}]}, "valueQuantity": {"value": 8.0}},
        {"code": {"coding": [{"code": "no value"}]}},
    ]
    tree = observation(component=component)
    name = "component-code-value-quantity"
    codes = {group: code for _, code, group in of("tok", f"{name}$0", tree)}
    values = {row[-1]: row[0] for row in of("qty", f"{name}$1", tree)}
    assert {codes[group]: values[group] for group in values} == {"sys": FIVE, "dia": EIGHT}
    assert len(codes) == 2


def test_a_path_from_the_resource_works_inside_a_composite():
    tree = {
        "resourceType": "MolecularSequence",
        "referenceSeq": {"chromosome": {"coding": [{"code": "7"}]}},
        "variant": [{"start": 5, "end": 8}],
    }
    assert of("tok", "chromosome-variant-coordinate$0", tree) == [("", "7", 1)]
    assert of("num", "chromosome-variant-coordinate$2", tree) == [(key(read("8")),) * 2 + (1,)]


def test_what_is_contained_is_not_found_as_if_it_were_the_resource():
    inner = observation(id="x", code={"coding": [{"code": "secret"}]})
    tree = {"resourceType": "DiagnosticReport", "contained": [inner]}
    assert "tok" not in rows(tree)


def test_all_local_links_are_listed_once_wherever_they_are():
    tree = observation(
        subject={"reference": "Patient/1"},
        performer=[{"reference": "Patient/1"}, {"reference": "Practitioner/2/_history/9"}],
        extension=[{"url": "http://e", "valueReference": {"reference": "Device/3"}}],
        contained=[{"resourceType": "Basic", "id": "b", "author": {"reference": "Person/4"}}],
        note=[{"text": "x", "authorReference": {"reference": "https://e.nl/fhir/Patient/5"}}],
        focus=[{"reference": "#b"}, {"reference": "Teapot/6"}, {"reference": "javascript:x/7"}],
    )
    assert sorted(rows(tree)["lnk"]) == [
        ("Device", "3"), ("Patient", "1"), ("Person", "4"), ("Practitioner", "2"),
    ]  # fmt: skip


def test_an_attachment_that_points_to_a_binary_is_a_link():
    attachment = {"contentType": "application/pdf", "url": "Binary/77"}
    tree = {"resourceType": "DocumentReference", "content": [{"attachment": attachment}]}
    assert rows(tree)["lnk"] == [("Binary", "77")]


def test_rows_can_be_written_as_json_and_the_tree_is_not_changed():
    raw = b'{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.00}}'
    tree = text.parse(raw)
    made = index.rows("r4", tree)
    assert json.loads(orjson.dumps(made))["tok"] == [["status", None, "final"]]
    assert text.dump(tree) == raw


def test_many_components_take_time_in_proportion():
    part = {"code": {"coding": [{"code": "c"}]}, "valueQuantity": {"value": 1}}
    made = rows(observation(component=[part] * 2000))
    groups = {row[-1] for row in made["qty"] if row[0] == "component-code-value-quantity$1"}
    assert len(groups) == 2000


def test_an_unknown_type_has_no_rows_but_an_error():
    with pytest.raises(KeyError):
        rows({"resourceType": "Teapot"})


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_type_can_be_indexed_when_it_is_empty(release):
    for type_ in registry(release).types:
        made = rows({"resourceType": type_}, release)
        assert set(made) <= {"tok"}, type_
