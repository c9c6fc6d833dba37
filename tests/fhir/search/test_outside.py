"""Real Dutch examples: every one is indexed, and found again by what is in it."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from pgo.errors import PgoError
from pgo.fhir import index, search, text
from pgo.fhir.added import known
from pgo.fhir.moments import interval
from pgo.fhir.parameters import registry
from pgo.fhir.query import parse
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


DUTCH = {"r4": ("Nictiz-R4-MedicationProcess", "Nictiz-R4-zib2020"),
         "stu3": ("Nictiz-STU3-MedicationProcess", "Nictiz-STU3-Zib2017")}  # fmt: skip


def dutch(release):
    """The published Dutch definitions."""
    for folder in DUTCH[release]:
        for file in sorted((DATA / "fhir" / folder).rglob("SearchParameter-*.xml")):
            yield from_xml(file.read_bytes(), release)


@pytest.mark.parametrize(("release", "many"), [("r4", 11), ("stu3", 8)])
def test_every_dutch_search_parameter_is_known_and_says_what_its_publisher_says(release, many):
    trees = list(dutch(release))
    assert len(trees) == many
    for tree in trees:
        for type_ in set(tree["base"]) - {"DomainResource"}:
            mine = known(release).of(type_)[tree["code"]]
            assert mine.searchable
            assert (mine.url, mine.type) == (tree["url"], tree["type"])
            assert set(mine.targets) == set(tree.get("target", ()))


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_the_published_definitions_themselves_can_be_added_too(release):
    for tree in dutch(release):
        made = registry(release).extended([tree])
        for type_ in set(tree["base"]) - {"DomainResource"}:
            assert made.of(type_)[tree["code"]].searchable


# --- the searches of the Dutch standards ---------------------------------------------------------

LINE = re.compile(r"\s*\d+ search ([A-Z]\w+)\s*(?:/\$lastn)?(?:\?(.*))?")
FILLED = {"{id}": "x", "{date}": "2024-01-01", "{oid}": "urn:oid:1.2", "{code}": "1",
          "date=ge{var}": "date=ge2024", "{var}": "x1"}  # fmt: skip


def asked():
    """(release, type, pairs) of every published search; see the test for what is left out."""
    release = ""
    for line in (DATA / "nictiz" / "search-queries.txt").read_text().splitlines():
        if line.startswith("## "):
            release = line[3:].partition("/")[0].lower()
        match = LINE.fullmatch(line)
        if match:
            query = match[2] or ""
            for name, value in FILLED.items():
                query = query.replace(name, value)
            yield release, match[1], [tuple(p.split("=", 1)) for p in query.split("&") if p]


def test_every_search_of_the_dutch_standards_can_be_asked():
    count = Counter()
    for release, type_, pairs in asked():
        query = parse(release, type_, pairs)
        assert len(query.used) == len(pairs)
        made = search.compile(query, lambda _alias: ("1", []), now=datetime.now(UTC))
        assert made.sql.count("?") == len(made.args)
        count[release] += 1
    lines = (DATA / "nictiz" / "search-queries.txt").read_text().splitlines()
    written = sum(" search " in line for line in lines)
    assert count.total() == written - 3, "two name no type, and one is a wrong address on purpose"
    assert min(count["r4"], count["stu3"]) > 100


def test_a_dutch_period_of_use_is_found_in_its_extension():
    file = next((DATA / "fhir/Nictiz-STU3-Zib2017").rglob("SearchParameter-*periodofuse.xml"))
    published = registry("stu3").extended([from_xml(file.read_bytes(), "stu3")])
    url = "http://nictiz.nl/fhir/StructureDefinition/zib-Medication-PeriodOfUse"
    period = {"url": url, "valuePeriod": {"start": "2024-01-01", "end": "2024-01-31"}}
    tree = {"resourceType": "MedicationRequest", "extension": [period]}
    rows = index.rows("stu3", tree, published)["dat"]
    assert rows == [("periodofuse", interval("2024-01-01")[0], interval("2024-01-31")[1])]
