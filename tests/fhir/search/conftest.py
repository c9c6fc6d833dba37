"""A fresh, empty world per test."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("search_world", Path(__file__).with_name("world.py"))
world = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(world)


@pytest.fixture
def r4():
    made = world.World("r4")
    yield made
    made.close()


@pytest.fixture
def stu3():
    made = world.World("stu3")
    yield made
    made.close()


@pytest.fixture
def only():
    return world.only


@pytest.fixture
def new_world():
    """For property tests, which need many worlds in one test."""
    return world.World
