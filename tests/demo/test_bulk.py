"""The generator for benchmarks."""

import importlib
import json
from collections import Counter

import pytest

from pgo.demo import as_json, many

MODELS = {"r4": "R4B", "stu3": "STU3"}


def references(tree):
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "reference":
                yield value
            else:
                yield from references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from references(value)


@pytest.mark.parametrize("release", MODELS)
def test_the_models_accept_all_that_is_made(release):
    for resource in many(150, release):
        type_ = resource["resourceType"]
        module = importlib.import_module(f"fhir.resources.{MODELS[release]}.{type_.lower()}")
        getattr(module, type_).model_validate(json.loads(as_json(resource)))


@pytest.mark.parametrize("release", MODELS)
def test_as_many_are_made_as_asked_about_one_patient_with_unique_ids(release):
    made = many(2000, release)
    names = [f"{resource['resourceType']}/{resource['id']}" for resource in made]
    assert len(made) == len(set(names)) == 2000
    kinds = Counter(resource["resourceType"] for resource in made)
    assert kinds["Patient"] == 1
    assert made[0]["resourceType"] == "Patient"
    wanted = {"Observation", "MedicationRequest", "Condition", "CarePlan", "Encounter", "Goal"}
    assert wanted <= kinds.keys()
    identifiers = [(r["resourceType"], r["identifier"][0]["value"]) for r in made]
    assert len(set(identifiers)) == 2000


@pytest.mark.parametrize("release", MODELS)
def test_references_point_back_or_within_the_last_block(release):
    made = many(500, release)
    names = {f"{resource['resourceType']}/{resource['id']}" for resource in made}
    for resource in made[:480]:
        assert set(references(resource)) <= names


@pytest.mark.parametrize("release", MODELS)
def test_a_shorter_list_is_the_beginning_of_a_longer_one(release):
    assert many(40, release) == many(90, release)[:40]
    assert many(0, release) == []


def test_a_resource_is_about_a_kilobyte():
    sizes = [len(as_json(resource)) for resource in many(500, "r4")]
    assert 600 < sum(sizes) / len(sizes) < 2000
