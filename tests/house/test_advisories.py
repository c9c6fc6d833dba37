"""No pinned version has a hole we know of; the list is ours, since auditors need the network."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
FILES = ["requirements.txt", "requirements-dev.txt"]


def known() -> dict[str, dict[str, str]]:
    """First version without each hole, by package."""
    return tomllib.loads((DEPLOY / "advisories.toml").read_text())


def holes(pins: dict[str, str]) -> list[str]:
    """What is known of these versions."""
    return [
        f"{package} {pins[package]}: {name}"
        for package, each in known().items()
        for name, fixed in each.items()
        if package in pins and Version(pins[package]) < Version(fixed)
    ]


@pytest.mark.parametrize("file", FILES)
def test_no_pinned_version_has_a_known_hole(file):
    pins = dict(PIN.findall((DEPLOY / file).read_text()))
    assert len(pins) > 20
    assert holes(pins) == []


def test_an_old_version_is_found():
    assert holes({"authlib": "1.6.8", "joserfc": "1.6.3"}) == [
        f"authlib 1.6.8: {name}"
        for name, fixed in known()["authlib"].items()
        if Version(fixed) > Version("1.6.8")
    ]


def test_what_checks_tokens_and_forms_is_on_the_list_and_pinned():
    pins = dict(PIN.findall((DEPLOY / FILES[0]).read_text()))
    assert {"authlib", "joserfc", "starlette", "cryptography"} <= known().keys() & pins.keys()
