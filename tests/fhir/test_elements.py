"""The facts of both releases, and the tool that takes them out of HL7's packages."""

import io
import json
import tarfile

from pgo.fhir import definitions, elements


def test_members_say_type_number_and_codes():
    observation = elements.members("r4", "Observation")
    assert list(observation)[:3] == ["id", "meta", "implicitRules"]
    status = observation["status"]
    assert (status.type_, status.many, status.required) == ("code", False, True)
    assert "final" in status.codes
    assert observation["component"].type_ == "Observation.component"
    assert observation["component"].many
    assert observation["valueQuantity"].choice == "value[x]"
    assert observation["contained"].type_ == "Resource"
    assert elements.members("r4", "Observation.component")["referenceRange"].type_ == (
        "Observation.referenceRange"
    )
    assert elements.members("r4", "Nothing") == {}


def test_the_releases_differ_where_fhir_does():
    assert "ReferralRequest" in elements.resources("stu3") - elements.resources("r4")
    assert "MedicinalProduct" in elements.resources("r4") - elements.resources("stu3")
    assert "context" in elements.members("stu3", "Observation")
    assert "suspended" in elements.members("stu3", "CarePlan")["status"].codes
    assert "on-hold" in elements.members("r4", "CarePlan")["status"].codes
    clinical = elements.members("r4", "Condition")["clinicalStatus"].codes
    assert "active" in clinical["http://terminology.hl7.org/CodeSystem/condition-clinical"]


def test_every_type_that_is_named_is_there():
    for release in ("r4", "stu3"):
        for type_ in elements._elements()[release]["types"]:
            for one in elements.members(release, type_).values():
                known = one.primitive or one.type_ == "Resource"
                assert known or elements.members(release, one.type_), one


BOTH = [{"code": "string"}, {"code": "Age"}]


def _package(path, *resources):
    with tarfile.open(path, "w:gz") as tar:
        for resource in resources:
            data = json.dumps(resource).encode()
            info = tarfile.TarInfo(f"package/{resource['resourceType']}-{resource['name']}.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_the_tool_takes_types_numbers_and_codes_out_of_a_package(tmp_path):
    url = "http://x.test/"
    binding = {"strength": "required", "valueSet": f"{url}vs|1"}
    rows = [
        {"path": "Thing", "min": 0, "max": "*"},
        {"path": "Thing.id", "min": 0, "max": "1", "type": [{"code": "http://System.String"}]},
        {
            "path": "Thing.kind",
            "min": 1,
            "max": "1",
            "type": [{"code": "code"}],
            "binding": binding,
        },
        {"path": "Thing.part", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]},
        {"path": "Thing.part.value[x]", "min": 1, "max": "1", "type": BOTH},
        {"path": "Thing.part.part", "min": 0, "max": "*", "contentReference": "#Thing.part"},
        {"path": "Thing.gone", "min": 0, "max": "0", "type": [{"code": "string"}]},
    ]
    thing = {
        "resourceType": "StructureDefinition",
        "name": "Thing",
        "url": f"{url}Thing",
        "kind": "resource",
        "abstract": False,
        "snapshot": {"element": rows},
    }
    tree = [{"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]}, {"code": "d"}]
    system = {
        "resourceType": "CodeSystem",
        "name": "cs",
        "url": f"{url}cs",
        "content": "complete",
        "concept": tree,
    }
    below_b = {"property": "concept", "op": "is-a", "value": "b"}
    other = {"system": "y", "concept": [{"code": "e"}]}
    compose = {
        "include": [{"system": f"{url}cs", "filter": [below_b]}, other],
        "exclude": [{"system": f"{url}cs", "concept": [{"code": "c"}]}],
    }
    codes = {"resourceType": "ValueSet", "name": "vs", "url": f"{url}vs", "compose": compose}
    profile = thing | {"name": "Profile", "url": f"{url}Profile", "derivation": "constraint"}
    _package(tmp_path / "p.tgz", thing, system, codes, profile)
    package = definitions._package(tmp_path / "p.tgz")
    assert definitions._elements(package) == {
        "resources": ["Thing"],
        "types": {
            "Thing": ["id ? id", "kind ! code", "part * Thing.part"],
            "Thing.part": ["value[x] ! string Age", "part * Thing.part"],
        },
    }
    assert definitions._codes(package) == {"sets": [["b", "e"]], "bound": {"Thing.kind": 0}}
