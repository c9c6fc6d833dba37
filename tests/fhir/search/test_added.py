"""Our own search parameters and a deployment's: one folder, one mapping, clear refusals."""

import json

import pytest

from pgo import errors
from pgo.fhir import added, index, text, validate
from pgo.fhir.capability import Security, capability
from pgo.fhir.parameters import registry
from pgo.fhir.profiles import ours
from pgo.fhir.query import parse

OWN = {
    "resourceType": "SearchParameter",
    "url": "https://example.org/SearchParameter/kleur",
    "name": "Kleur",
    "status": "active",
    "description": "Kleur",
    "code": "kleur",
    "type": "token",
    "base": ["Patient"],
    "expression": "Patient.extension('http://e/kleur').value",
}
XML = """<SearchParameter xmlns="http://hl7.org/fhir"><url value="https://example.org/geur"/>
<name value="Geur"/><status value="active"/><description value="Geur"/><code value="geur"/>
<base value="Patient"/><type value="string"/>
<expression value="Patient.extension('http://e/geur').value"/></SearchParameter>"""
BASE, SECURITY = "https://e/fhir/r4", Security((("token", "https://e/token"),), (), "By token.")
FILES = [(file.parent.name, file) for file in sorted(added.OURS.rglob("*.json"))]


@pytest.mark.parametrize(("release", "file"), FILES, ids=lambda one: getattr(one, "stem", one))
def test_each_of_ours_is_valid_named_after_itself_and_in_plain_words(release, file):
    tree = text.parse(file.read_bytes())
    assert validate.validate(release, tree) == ()
    assert file.stem == f"SearchParameter-{tree['id']}"
    assert tree["description"].endswith(".")
    for type_ in tree["base"]:
        assert added.known(release).of(type_)[tree["code"]].url == tree["url"]


def test_hl7s_own_are_left_as_they_are():
    assert "period-of-use" not in registry("r4").of("MedicationRequest")
    assert "period-of-use" in added.known("r4").of("MedicationRequest")
    assert added.known("r4").mark != registry("r4").mark


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "r4").mkdir()
    (tmp_path / "r4" / "kleur.json").write_text(json.dumps(OWN))
    (tmp_path / "r4" / "geur.xml").write_text(XML)
    (tmp_path / "r4" / "README.md").write_text("not a parameter")
    return tmp_path


def test_a_deployments_own_are_indexed_searched_and_offered(folder):
    made = added.searches(folder)
    mine = made["r4"]
    coding = {"url": "http://e/kleur", "valueCoding": {"code": "rood"}}
    tree = {"resourceType": "Patient", "extension": [coding]}
    assert ("kleur", "", "rood") in index.rows("r4", tree, mine)["tok"]
    assert parse("r4", "Patient", [("kleur", "rood"), ("geur", "x")], parameters=mine).clauses
    offered = capability("r4", BASE, mine, ours().library("r4"), SECURITY)
    assert b'"name":"kleur","definition":"https://example.org/SearchParameter/kleur"' in offered
    usual = added.known("r4")
    assert b'"kleur"' not in capability("r4", BASE, usual, ours().library("r4"), SECURITY)


def test_other_definitions_mean_other_rows_and_the_same_ones_do_not(folder):
    made, again = added.searches(folder), added.searches(folder)
    assert made["r4"].mark == again["r4"].mark != added.known("r4").mark
    assert made["stu3"].mark == added.known("stu3").mark


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("r4/x.json", "{", "r4/x.json cannot be read"),
        ("r4/x.xml", "<a", "r4/x.xml cannot be read"),
        ("r4/x.json", '{"resourceType":"Patient"}', "no SearchParameter"),
        ("r4/x.json", json.dumps({**OWN, "code": ""}), "no SearchParameter"),
        ("r4/x.json", json.dumps({**OWN, "base": ["Teapot"]}), "cannot be used"),
        ("r4/x.json", json.dumps({**OWN, "expression": "Patient.name.first()"}), "cannot be used"),
        ("stu3/x.json", json.dumps({**OWN, "base": ["ServiceRequest"]}), "cannot be used"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder, name, content, word):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    with pytest.raises(errors.BadValue) as caught:
        added.searches(folder)
    assert caught.value.place == "PGO_SEARCH_PARAMETERS"
    assert word in caught.value.detail
    assert name in caught.value.detail


@pytest.mark.parametrize(("where", "word"), [("none", "no such folder"), (".", "r4/ or stu3/")])
def test_a_folder_that_is_not_one_is_said(tmp_path, where, word):
    with pytest.raises(errors.BadValue) as caught:
        added.searches(tmp_path / where)
    assert word in caught.value.detail


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("Patient.address.city", True),
        ("Patient.telecom.where(system='phone')", True),
        ("Patient.address.exists()", True),
        ("Patient.name | Patient.contact.name", True),
        ("Patient.name", False),
        ("Patient.extension('http://e/kleur').value", False),
    ],
)
def test_what_an_own_parameter_may_tell_of_a_patient_is_known(expression, told):
    mine = added.known("r4").extended([{**OWN, "expression": expression}])
    members = frozenset({"address", "telecom", "contact"})
    telling = mine.telling("Patient", members)
    assert ("kleur" in telling) == told
    assert {"_text", "_content", "address", "phone"} <= telling
    assert not telling & {"name", "birthdate", "_id", "identifier"}
