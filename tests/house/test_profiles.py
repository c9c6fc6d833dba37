"""Our own FHIR definitions are valid, and say what the code does."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pgo.consent.categories import CATEGORY_SYSTEM, TAGS
from pgo.consent.model import ACTIONS, CATEGORIES, SEALS
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
    ("name", "codes"), [("categorie", CATEGORIES), ("zegel", SEALS), ("actie", ACTIONS)]
)
def test_a_code_system_has_exactly_the_words_decisions_use(name, codes):
    tree = orjson.loads((FOLDER / f"CodeSystem-{name}.json").read_bytes())
    assert {concept["code"] for concept in tree["concept"]} == set(codes)
    assert tree["count"] == len(tree["concept"])


def test_the_tags_that_add_a_category_are_of_our_code_system():
    tree = orjson.loads((FOLDER / "CodeSystem-categorie.json").read_bytes())
    assert tree["url"] == CATEGORY_SYSTEM
    assert {concept["code"] for concept in tree["concept"]} >= TAGS
