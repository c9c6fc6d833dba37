"""Published profiles and examples: what their makers hold to be good is never refused.

Zibs of 2020 (R4) and 2017 (STU3) come from the folder with outside data; HL7's R4 definitions and
examples from `make install-node`; other packages with examples in them (such as `hl7.fhir.uv.ips`)
from a folder named in PGO_TEST_PROFILES. Every profile and example there is looked at.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgo.fhir import bsn, elements, text, validate, xml
from pgo.fhir.profiles import Profiles
from pgo.fhir.profiles_folder import pack, unpack
from pgo.fhir.profiles_package import KEPT, Package, definition, read_package

from .conftest import OWN, element, known, profile

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "../shared/data/fhir"
HL7 = ROOT / "tests/node/node_modules/hl7.fhir.r4.examples"
MORE = os.environ.get("PGO_TEST_PROFILES", "")
PUBLISHED = {
    "r4": ("Nictiz-R4-zib2020", "Nictiz-R4-zib2020/examples"),
    "stu3": ("Nictiz-STU3-Zib2017", "Nictiz-STU3-Zib2017/Examples"),
}
# Files of HL7 that define FHIR itself, or hold the whole of it.
DEFINING = KEPT | {"SearchParameter", "ConceptMap", "OperationDefinition"}
# HL7's own examples that refer to a type that their definition does not allow there.
KNOWN = {
    "DeviceMetric-example.json": "DeviceMetric.parent.reference",
    "DeviceUseStatement-example.json": "DeviceUseStatement.reasonReference[0].reference",
    "MedicationRequest-medrx0301.json": "MedicationRequest.dispenseRequest.performer.reference",
    "Observation-clinical-gender.json": "Observation.performer[0].reference",
}


def read(path, release):
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    return xml.from_xml(raw, release) if path.suffix == ".xml" else text.parse_definition(raw)


def defined(folder, release):
    """The definitions in a folder, as if they were a package."""
    found = {}
    for at, path in enumerate(sorted(folder.rglob("*"))):
        if path.suffix in {".xml", ".json"} and any(k in path.read_text("utf-8") for k in KEPT):
            tree = read(path, release)
            if tree.get("resourceType") in KEPT and "url" in tree:
                found[f"{at}.json"] = definition(tree)
    return found


def kept(release, definitions):
    package = Package("published", "1", release, (), definitions)
    return Profiles([unpack(pack(package), package.label)])


def held(profiles, release, tree, urls=None):
    """Places of what is refused; None when FHIR itself refuses it, or no profile is known."""
    bsn.mask(tree)
    if validate.validate(release, tree) or not profiles.known(release, tree, urls):
        return None
    found = profiles.check(release, tree, urls)
    return [issue.place for issue in found if issue.severity == "error"]


@pytest.mark.long
@pytest.mark.outside
@pytest.mark.parametrize("release", PUBLISHED)
def test_examples_of_the_zibs_keep_to_their_profiles(release):
    folder, examples = (FOLDER / one for one in PUBLISHED[release])
    if not examples.is_dir():
        pytest.skip("the folder with outside data is not here")
    profiles = kept(release, defined(folder, release))
    told = {}
    for path in sorted(examples.iterdir()):
        if path.suffix in {".xml", ".json"}:
            told[path.name] = held(profiles, release, read(path, release))
    looked = [one for one in told.values() if one is not None]
    assert len(looked) >= 200
    assert {name: one for name, one in told.items() if one} == {}


@pytest.mark.long
@pytest.mark.outside
@pytest.mark.parametrize("release", PUBLISHED)
def test_an_example_without_what_its_profile_asks_is_refused_there(release):
    """Each element that a profile demands beyond FHIR: taken away, it is missed by its place."""
    folder, examples = (FOLDER / one for one in PUBLISHED[release])
    if not examples.is_dir():
        pytest.skip("the folder with outside data is not here")
    profiles = kept(release, defined(folder, release))
    missed = 0
    for path in sorted(examples.iterdir()):
        tree = read(path, release)
        for url in profiles.known(release, tree):
            rules = profiles.library(release).rules(url)
            asked = [name for name, rule in rules.children.items() if rule.least and name in tree]
            for name in asked:
                less = {key: one for key, one in tree.items() if key.strip("_") != name}
                wrong = held(profiles, release, less, [url])
                if wrong is not None:
                    assert f"{tree['resourceType']}.{name}" in wrong, (path.name, url)
                    missed += 1
    assert missed > 20


@pytest.mark.long
def test_hl7s_examples_keep_to_hl7s_own_definitions_as_profiles():
    """A profile that repeats its base with all its invariants refuses nothing that is good."""
    if not HL7.is_dir():
        pytest.skip("run make install-node")
    found = defined(HL7, "r4")
    for tree in found.values():
        if tree.get("derivation") == "specialization" and tree["kind"] == "resource":
            tree |= {"derivation": "constraint", "url": OWN + tree["type"]}
    profiles = kept("r4", found)
    told = {}
    for path in sorted(HL7.glob("*-*.json")):
        if path.name.partition("-")[0] in DEFINING or path.stat().st_size > 2_000_000:
            continue
        tree = text.parse(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        if "resourceType" in tree and not validate.validate("r4", tree):
            told[path.name] = held(profiles, "r4", tree, [OWN + tree["resourceType"]])
    assert len(told) > 700
    assert {name: one for name, one in told.items() if one} == {n: [p] for n, p in KNOWN.items()}


@pytest.mark.long
def test_examples_in_other_packages_keep_to_the_profiles_beside_them():
    files = sorted(Path(MORE).glob("*.tgz")) if MORE else []
    if not files:
        pytest.skip("PGO_TEST_PROFILES names no folder with packages")
    packages = [read_package(path) for path in files]
    profiles = Profiles([unpack(pack(one), one.label) for one in packages])
    told = {}
    for path, package in zip(files, packages, strict=True):
        with tarfile.open(path) as tar:
            for member in tar:
                if "/example" in member.name and member.name.endswith(".json"):
                    tree = text.parse(tar.extractfile(member).read())
                    if "resourceType" in tree:
                        told[member.name] = held(profiles, package.release, tree)
    assert any(one is not None for one in told.values())
    assert {name: one for name, one in told.items() if one} == {}


# --- a profile that says nothing new -------------------------------------------------------------

RESOURCES = [
    {
        "resourceType": "Patient",
        "identifier": [{"system": "http://a.test", "value": "1"}],
        "name": [{"family": "Vos", "given": ["Fenna", "Noor"], "_given": [None, {"id": "g"}]}],
        "_birthDate": {"extension": [{"url": "http://x.test/e", "valueCode": "x"}]},
        "deceasedBoolean": False,
        "contact": [{"name": {"text": "x"}, "telecom": [{"value": "1", "system": "phone"}]}],
        "contained": [{"resourceType": "Practitioner", "id": "p"}],
        "generalPractitioner": [{"reference": "#p"}],
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"code": "a"}], "text": "x"},
        "effectivePeriod": {"start": "2020", "end": "2021-01-01T10:00:00Z"},
        "valueQuantity": {"value": 1, "unit": "x"},
        "component": [{"code": {"text": "x"}, "valueString": "y"}],
    },
    {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Basic", "code": {"text": "x"}}}],
    },
    {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string"}]}],
    },
]


def repeated(release, kind, path, depth):
    """What FHIR says of each element below a type, as elements of a profile."""
    rows = {}
    for one in elements.members(release, kind).values():
        name = one.choice or one.name
        row = rows.setdefault(name, element(f"{path}.{name}", type=[]))
        row |= {"min": int(one.required), "max": "*" if one.many else "1"}
        row["type"].append({"code": one.type_ if "." not in one.type_ else "BackboneElement"})
        if not one.choice and not one.primitive and one.type_ != "Resource" and depth:
            rows |= {
                row["path"]: row
                for row in repeated(release, one.type_, f"{path}.{one.name}", depth - 1)
            }
    return [*rows.values()]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.sampled_from(RESOURCES), st.sampled_from(["r4", "stu3"]), st.data())
def test_a_profile_that_repeats_fhir_refuses_nothing(resource, release, data):
    tree = text.parse(text.dump(resource))
    if validate.validate(release, tree):
        return
    kind = resource["resourceType"]
    rows = repeated(release, kind, kind, 2)
    chosen = data.draw(st.lists(st.sampled_from(rows), unique_by=lambda row: row["path"]))
    found = known(profile(kind, *chosen), release=release).check(release, tree, [f"{OWN}p"])
    assert found == []


def test_a_definition_of_a_type_is_no_profile():
    made = profile("Patient", element("Patient.photo", min=1)) | {"derivation": "specialization"}
    assert known(made).known("r4", {}, [f"{OWN}p"]) == []
