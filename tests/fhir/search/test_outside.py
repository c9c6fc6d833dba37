"""Real Dutch examples: every one is indexed, and found again by what is in it."""

import json
import time
from collections import Counter
from pathlib import Path
from statistics import median

import orjson
import pytest

from pgo.errors import PgoError
from pgo.fhir import index, text
from pgo.fhir.moments import interval
from pgo.fhir.parameters import registry
from pgo.fhir.paths import NotCovered
from pgo.fhir.xml import from_xml

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
FOLDERS = {
    "r4": ("fhir/Nictiz-R4-zib2020/examples",),
    "stu3": ("fhir/Nictiz-STU3-Zib2017/Examples",),
}
pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(not DATA.exists(), reason="the folder with outside test data is absent"),
]


def examples(release):
    for folder in FOLDERS[release]:
        for file in sorted((DATA / folder).rglob("*.xml")):
            try:
                yield file.name, from_xml(file.read_bytes(), release)
            except PgoError:  # what cannot be read is the business of other tests
                continue


@pytest.mark.parametrize(("release", "at_least"), [("r4", 200), ("stu3", 150)])
def test_every_example_is_indexed(release, at_least):
    done = 0
    for name, tree in examples(release):
        made = index.rows(release, tree)
        assert orjson.loads(orjson.dumps(made)), name
        done += 1
    assert done >= at_least


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_example_is_found_by_its_codes_dates_and_references(request, release):
    world = request.getfixturevalue(release)
    asked = Counter()
    for number, (_, tree) in enumerate(examples(release)):
        if tree["resourceType"] == "Bundle":
            continue
        tree["id"] = f"x{number}"
        put(world, tree)
        for code, value in questions(tree):
            assert tree["id"] in world.ask(tree["resourceType"], (code, value)), (code, value)
            asked[code] += 1
    assert min(asked["code"], asked["subject"], asked["date"]) > 10, asked


def put(world, tree):
    world.put(json.loads(text.dump(tree)))


def questions(tree):
    """What can be asked about a resource, from its own plain members."""
    for coding in (
        tree.get("code", {}).get("coding", ()) if isinstance(tree.get("code"), dict) else ()
    ):
        if "code" in coding and tree["resourceType"] in {"Observation", "Condition", "Procedure"}:
            yield "code", f"{coding.get('system', '')}|{coding['code']}"
    if tree["resourceType"] in {"Observation", "Procedure", "Condition"}:
        reference = tree.get("subject", {}).get("reference", "")
        if reference and not reference.startswith("#"):
            yield "subject", reference
    moment = tree.get("effectiveDateTime")
    if moment and tree["resourceType"] == "Observation":
        yield "date", moment


def test_the_official_medmij_fixtures_are_indexed():
    done = 0
    for file in sorted((DATA / "nictiz").glob("*/resources.ndjson")):
        release = "stu3" if file.parent.name.endswith(("2-0", "BgLZ-3-0", "PDFA-3-0")) else "r4"
        for line in file.read_bytes().splitlines():
            tree = text.parse(line)
            tree = tree.get("resource", tree)
            if tree.get("resourceType") and tree["resourceType"] != "Bundle":
                index.rows(release, tree)
                done += 1
    assert done > 500


@pytest.mark.long
def test_an_observation_is_indexed_in_150_microseconds():
    trees = [tree for _, tree in examples("r4") if tree["resourceType"] == "Observation"]
    rounds = []
    for _ in range(9):
        start = time.perf_counter()
        for tree in trees:
            index.rows("r4", tree)
        rounds.append((time.perf_counter() - start) / len(trees))
    assert median(rounds) <= 150e-6


@pytest.mark.parametrize(
    ("release", "folder", "refused"),
    [
        ("r4", "Nictiz-R4-MedicationProcess", set()),
        ("r4", "Nictiz-R4-zib2020", set()),
        ("stu3", "Nictiz-STU3-MedicationProcess", {"whendispensed"}),  # select(iif(…))
        ("stu3", "Nictiz-STU3-Zib2017", set()),
    ],
)
def test_dutch_search_parameters_can_be_added(release, folder, refused):
    found = sorted((DATA / "fhir" / folder).rglob("SearchParameter-*.xml"))
    trees = [from_xml(file.read_bytes(), release) for file in found]
    could_not = set()
    for tree in trees:
        try:
            added = registry(release).extended([tree])
        except NotCovered:
            could_not.add(tree["code"])
            continue
        for type_ in set(tree["base"]) - {"DomainResource"}:
            assert added.of(type_)[tree["code"]].searchable == (tree["type"] != "special")
    assert trees
    assert could_not == refused


def test_a_dutch_period_of_use_is_found_in_its_extension():
    file = next((DATA / "fhir/Nictiz-STU3-Zib2017").rglob("SearchParameter-*periodofuse.xml"))
    known = registry("stu3").extended([from_xml(file.read_bytes(), "stu3")])
    url = "http://nictiz.nl/fhir/StructureDefinition/zib-Medication-PeriodOfUse"
    period = {"url": url, "valuePeriod": {"start": "2024-01-01", "end": "2024-01-31"}}
    tree = {"resourceType": "MedicationRequest", "extension": [period]}
    rows = index.rows("stu3", tree, known)["dat"]
    assert rows == [("periodofuse", interval("2024-01-01")[0], interval("2024-01-31")[1])]
