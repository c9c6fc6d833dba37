"""Definitions of search parameters, HL7's and a deployment's own."""

import json
import tarfile

import pytest

from pgo.fhir import index, make_parameters
from pgo.fhir.parameters import registry
from pgo.fhir.paths import NotCovered
from pgo.fhir.tables import name_number

OWN = {
    "resourceType": "SearchParameter",
    "url": "https://example.org/SearchParameter/treatment",
    "code": "treatment",
    "type": "token",
    "base": ["MedicationRequest", "MedicationDispense"],
    "expression": "MedicationRequest.extension('http://e/treatment').value"
    " | MedicationDispense.extension('http://e/treatment')",
}


@pytest.mark.parametrize(("release", "types"), [("r4", 146), ("stu3", 117)])
def test_every_resource_type_has_at_least_the_parameters_of_all_resources(release, types):
    known = registry(release)
    assert len(known.types) == types
    for type_ in known.types:
        assert {"_id", "_lastUpdated", "_tag", "_profile", "_security"} <= set(known.of(type_))


def test_the_two_releases_differ_where_hl7_made_them_differ():
    assert "_source" in registry("r4").of("Observation")
    assert "_source" not in registry("stu3").of("Observation")
    assert "related-target" in registry("stu3").of("Observation")
    assert "Sequence" in registry("stu3")
    assert "Sequence" not in registry("r4")


def test_a_type_gets_only_its_own_branch_of_a_shared_expression():
    for release in ("r4", "stu3"):
        known = registry(release)
        roots = {path.root for path in known.of("Condition")["code"].paths}
        assert roots == {"Condition"}


def test_targets_and_components_are_known():
    known = registry("r4").of("Observation")
    assert "Patient" in known["subject"].targets
    kinds = [part.kind for part in known["code-value-quantity"].components]
    assert kinds == ["token", "quantity"]


def test_an_unknown_type_or_release_is_a_key_error():
    with pytest.raises(KeyError):
        registry("r4").of("Teapot")
    with pytest.raises(KeyError):
        registry("r5")


def test_names_of_one_type_never_share_a_number_in_the_image():
    for release in ("r4", "stu3"):
        known = registry(release)
        for type_ in known.types:
            names = [
                f"{code}{end}"
                for code in known.of(type_)
                for end in ("", ":of-type", ":identifier", "$0", "$1", "$2")
            ]
            assert len({name_number(name) for name in names}) == len(names)


def test_a_deployment_adds_its_own_parameter_without_touching_the_published_ones():
    mine = registry("r4").extended([OWN])
    tree = {
        "resourceType": "MedicationDispense",
        "extension": [{"url": "http://e/treatment", "valueIdentifier": {"value": "7"}}],
    }
    assert ("treatment", "", "7") in index.rows("r4", tree, mine)["tok"]
    assert "tok" not in index.rows("r4", tree)
    assert "treatment" not in registry("r4").of("MedicationDispense")


def test_an_own_parameter_replaces_the_published_one_of_the_same_name():
    own = {**OWN, "code": "status", "base": ["MedicationRequest"]}
    mine = registry("r4").extended([own])
    assert mine.of("MedicationRequest")["status"].url == OWN["url"]
    assert mine.of("MedicationDispense")["status"].url != OWN["url"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"expression": "MedicationRequest.dosage.first()"}, NotCovered),
        ({"base": ["Teapot"]}, ValueError),
        (
            {
                "type": "composite",
                "component": [{"definition": "http://nowhere", "expression": "code"}],
            },
            ValueError,
        ),
    ],
)
def test_an_own_parameter_that_cannot_work_is_refused_at_the_start(change, error):
    with pytest.raises(error):
        registry("r4").extended([{**OWN, **change}])


@pytest.mark.parametrize("definition", ["url", {"reference": "url"}])
def test_an_own_composite_may_be_written_in_either_release(definition):
    part = json.loads(json.dumps(definition).replace("url", OWN["url"], 1))
    if isinstance(definition, dict):
        part = {"reference": OWN["url"]}
    both = {
        **OWN,
        "url": "https://example.org/SearchParameter/both",
        "code": "both",
        "type": "composite",
        "component": [{"definition": part, "expression": "status"}],
    }
    mine = registry("r4").extended([OWN, both])
    assert mine.of("MedicationRequest")["both"].components[0].kind == "token"


def package(at, resources):
    with tarfile.open(at, "w:gz") as archive:
        for number, one in enumerate(resources):
            name = f"{one['resourceType']}-{number}.json"
            (at.parent / name).write_text(json.dumps(one))
            archive.add(at.parent / name, f"package/{name}")
    return str(at)


def test_the_tool_makes_the_data_file_from_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(make_parameters, "OUT", tmp_path / "data" / "parameters.json")
    structure = {
        "resourceType": "StructureDefinition",
        "id": "Teapot",
        "kind": "resource",
        "derivation": "specialization",
        "snapshot": {
            "element": [{"path": "Teapot.value[x]", "type": [{"code": "string"}, {"code": "Tea"}]}]
        },
    }
    parameter = {
        "resourceType": "SearchParameter",
        "id": "Teapot-tea",
        "code": "tea",
        "type": "string",
        "base": ["Teapot"],
        "expression": "Teapot.value",
    }
    left_out = [{**parameter, "id": "example"}, {**parameter, "base": None, "id": "none"}]
    left_out[1].pop("base")
    made = package(tmp_path / "one.tgz", [structure, parameter, *left_out])
    assert make_parameters.main([made, made]) == 0
    data = json.loads((tmp_path / "data" / "parameters.json").read_text())
    expected = {
        "types": ["Teapot"],
        "choices": {"value": ["Tea", "string"]},
        "parameters": [["Teapot-tea", "tea", "string", ["Teapot"], "Teapot.value"]],
    }
    assert data == {"r4": expected, "stu3": expected}


def test_the_tool_says_how_to_use_it(capsys):
    assert make_parameters.main([]) == 2
    assert "npm pack" in capsys.readouterr().err
