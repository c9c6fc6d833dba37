"""Our own FHIR definitions are valid, and say what the code does."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pgo.consent import fhir_systems as systems
from pgo.consent.categories import CATEGORY_SYSTEM, TAGS
from pgo.consent.model import ACTIONS, CATEGORIES, SEALS
from pgo.consent.representation import REPRESENTATIVE_KINDS
from pgo.fhir import text, validate

FOLDER = Path(__file__).resolve().parents[2] / "fhir_profiles"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_is_valid_r4_and_named_after_itself(path):
    tree = text.parse(path.read_bytes())
    assert validate.validate("r4", tree) == ()
    assert path.stem == f"{tree['resourceType']}-{tree['id']}"
    assert tree["url"] == f"https://pgo.example/fhir/{tree['resourceType']}/{tree['id']}"
    assert path.name in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("categorie", CATEGORIES),
        ("zegel", SEALS),
        ("actie", ACTIONS),
        ("soort-relatie", REPRESENTATIVE_KINDS),
        ("lijst-van-toestemming", systems.LIST_WORDS.values()),
        ("soort-toestemming", {"toestemming", "weigering", "koppeling"}),
    ],
)
def test_a_code_system_has_exactly_the_words_decisions_use(name, codes):
    tree = orjson.loads((FOLDER / f"CodeSystem-{name}.json").read_bytes())
    assert {concept["code"] for concept in tree["concept"]} == set(codes)
    assert tree["count"] == len(tree["concept"])


def test_the_tags_that_add_a_category_are_of_our_code_system():
    tree = orjson.loads((FOLDER / "CodeSystem-categorie.json").read_bytes())
    assert tree["url"] == CATEGORY_SYSTEM
    assert {concept["code"] for concept in tree["concept"]} >= TAGS


def test_every_address_of_ours_that_a_consent_bears_has_its_definition():
    named = {
        value
        for name, value in vars(systems).items()
        if name[0] != "_" and isinstance(value, str) and value.startswith(f"{systems.HOME}/")
    }
    defined = {orjson.loads(path.read_bytes())["url"] for path in FILES}
    kinds = ("StructureDefinition", "CodeSystem")
    assert {one for one in named if one.split("/")[-2] in kinds} <= defined


def test_the_actions_of_the_value_set_are_those_a_consent_names():
    tree = orjson.loads((FOLDER / "ValueSet-actie.json").read_bytes())
    include = tree["compose"]["include"]
    named = {(one["system"], c["code"]) for one in include for c in one.get("concept", ())}
    whole = {one["system"] for one in include if "concept" not in one}
    codes = systems.ACTION_CODES.values()
    assert named == {one for one in codes if one[0] == systems.CONSENT_ACTION}
    assert whole == {systems.ACTIONS}


def test_extensions_that_narrow_a_grant_may_not_be_overlooked():
    for url in (systems.WEEKLY, systems.NOTHING, systems.OWN, systems.UNREADABLE):
        name = url.rpartition("/")[2]
        tree = orjson.loads((FOLDER / f"StructureDefinition-{name}.json").read_bytes())
        assert tree["differential"]["element"][0]["isModifier"] is True
