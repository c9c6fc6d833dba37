"""The list of cases of the authorization server is whole: each number stands in a test's name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
ROOMS = ("oauth", "flows", "web", "clients")
CASES = [f"O{n:02}" for n in range(1, 31)] + [f"A{n}" for n in range(1, 17)]
_NAME = re.compile(r"def test_((?:(?:o\d\d|a\d{1,2}|and)_)+)")
_ID = re.compile(r'^ +"(a\d{1,2}|o\d\d) [^"]+": ', re.MULTILINE)


def _named() -> set[str]:
    """Every number in the name of a test, or of a row of one."""
    found: set[str] = set()
    for room in ROOMS:
        for path in (TESTS / room).rglob("test_*.py"):
            text = path.read_text()
            for name in _NAME.findall(text):
                found |= {each.upper() for each in name.split("_") if each not in {"", "and"}}
            found |= {each.upper() for each in _ID.findall(text)}
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_a_test_with_its_number(case):
    assert case in _named()
