"""Decision tables anyone can run (consent.md §8): the very same `decide` that serves requests.

A row passes when permit, reason and obligations are as expected; an expectation that is left out
is not compared, but `permit` must be there. A row or world that cannot be read is a failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgo.consent import reading
from pgo.consent.decide import decide
from pgo.consent.fields import flag, mapping, rows, text, words
from pgo.consent.model import Decision, World
from pgo.errors import BadValue, PgoError

_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Report:
    """What a table did: one line per failure, and places of grants that counted as a deny."""

    failures: tuple[str, ...]
    passed: int
    failed: int
    unreadable: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """One line per failure and the closing line `N passed, N failed`."""
        return [*self.failures, f"{self.passed} passed, {self.failed} failed"]


def check(table: Any) -> Report:
    """Run a table of situations; never raises, whatever is in it."""
    try:
        raw = mapping(table, "table")
        cases = rows(raw, "cases", "table")
    except BadValue as error:
        return Report((_said(error),), 0, 1)
    if not cases:
        return Report(("table.cases: no rows",), 0, 1)
    try:
        world = reading.world(raw.get("world"))
    except PgoError as error:
        failures = tuple(f"{_name(case, place)}: {_said(error)}" for place, case in cases)
        return Report(failures, 0, len(cases))
    failures = tuple(line for place, case in cases if (line := failure(world, case, place)))
    unreadable = tuple(grant.unreadable for grant in world.grants if grant.unreadable)
    return Report(failures, len(cases) - len(failures), len(failures), unreadable)


def failure(world: World, case: Any, place: str = "case") -> str:
    """What is wrong with one row, as one line; "" when the decision is as expected."""
    name = _name(case, place)
    try:
        raw = mapping(case, place)
        expected = _expected(raw, place)
        decision = decide(world, reading.request(raw.get("request"), f"{place}.request"))
    except PgoError as error:
        return f"{name}: {_said(error)}"
    found = _found(decision)
    wrong = [
        f"{key} {_shown(found[key])} instead of {_shown(value)}"
        for key, value in expected.items()
        if found[key] != value
    ]
    return f"{name}: {'; '.join(wrong)}" if wrong else ""


def _expected(raw: Mapping[str, Any], place: str) -> dict[str, Any]:
    if "permit" not in raw:
        raise BadValue("missing", place=f"{place}.permit")
    obligations = words(raw, "obligations", place)
    expected: dict[str, Any] = {"permit": flag(raw, "permit", place)}
    if raw.get("reason") is not None:
        expected["reason"] = text(raw, "reason", place)
    if obligations is not None:
        expected["obligations"] = sorted(obligations)
    return expected


def _found(decision: Decision) -> dict[str, Any]:
    return {
        "permit": decision.permit,
        "reason": decision.reason,
        "obligations": sorted(decision.obligations),
    }


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _printable("+".join(value) if isinstance(value, list) else str(value))


def _name(case: Any, place: str) -> str:
    name = case.get("id") if isinstance(case, dict) else None
    return _printable(str(name)) if isinstance(name, str | int) else place


def _printable(words: str) -> str:
    """The words without half characters, which no screen and no file takes."""
    return words.encode("utf-8", "replace").decode("utf-8")


def _said(error: PgoError) -> str:
    return f"{error.place}: {error.detail}"


def run(path: Path | str) -> tuple[list[str], int, int]:
    """Check the table in a file: its lines (the closing one last), how many passed and failed."""
    report = report_of(path)
    return report.lines, report.passed, report.failed


def report_of(path: Path | str) -> Report:
    """What the table in a file did."""
    try:
        raw = Path(path).read_text(encoding="utf-8")
        table = json.loads(raw, object_pairs_hook=_once, parse_int=_whole)
    except (OSError, ValueError, RecursionError) as error:
        return Report((f"{Path(path).name}: {_unreadable(error)}",), 0, 1)
    return check(table)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no member stands twice: nobody knows which one would count."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _unreadable(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON, line {error.lineno} column {error.colno}"
    if isinstance(error, OSError):
        return "cannot be opened"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
