"""Decision tables, ours and the outside sample, run through the same check anybody can run."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from pgo.consent import check

TABLES = sorted((Path(__file__).parent / "tables").glob("*.json"))
SAMPLE = Path(__file__).resolve().parents[2] / "../shared/data/consent-sample.json"
GOOD = {
    "world": {"persons": {"anna": {"birth": "1980-05-01"}}},
    "cases": [
        {
            "id": "A1",
            "permit": True,
            "reason": "ZELF",
            "obligations": ["audit"],
            "request": {
                "actor": "anna",
                "client": "anna",
                "action": "lezen",
                "purpose": "PATRQT",
                "at": "2026-11-21T12:00:00+01:00",
                "resource": {"category": "zorgplan"},
            },
        }
    ],
}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_row_of_our_tables_is_decided_as_written(path):
    lines, passed, failed = check.run(path)
    assert lines == [f"{passed} passed, 0 failed"]
    assert failed == 0
    assert passed == len(json.loads(path.read_text(encoding="utf-8"))["cases"])


def test_there_are_enough_rows_and_no_two_share_an_id():
    ids = [
        (path.stem, case["id"])
        for path in TABLES
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
    ]
    assert len(ids) == len(set(ids)) >= 800


def test_every_reason_the_rules_know_is_reached_by_a_row():
    from pgo.consent import explain

    reached = {
        case["reason"].partition(":")[0]
        for path in TABLES
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
    }
    assert reached == {*explain.WHY, "TOESTEMMING", "VERTEGENWOORDIGER"}


@pytest.mark.outside
def test_the_sample_from_outside_passes():
    if not SAMPLE.exists():
        pytest.skip("the folder with outside test data is not beside this checkout")
    lines, passed, failed = check.run(SAMPLE)
    assert (lines, failed) == ([f"{passed} passed, 0 failed"], 0)
    assert passed > 10


def changed(**members):
    table = copy.deepcopy(GOOD)
    table["cases"][0].update(members)
    return table


def test_a_right_row_passes_and_the_closing_line_says_so():
    assert check.check(GOOD).lines == ["1 passed, 0 failed"]


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"permit": False}, "A1: permit true instead of false"),
        ({"reason": "NOOD"}, "A1: reason ZELF instead of NOOD"),
        (
            {"obligations": ["audit", "review"]},
            "A1: obligations audit instead of audit+review",
        ),
        ({"obligations": []}, "A1: obligations audit instead of "),
        (
            {"permit": False, "reason": "SCOPE"},
            "A1: permit true instead of false; reason ZELF instead of SCOPE",
        ),
        ({"permit": "true"}, "A1: table.cases[0].permit: not true or false"),
        ({"request": None}, "A1: table.cases[0].request: not an object"),
        (
            {"request": {**GOOD["cases"][0]["request"], "at": "gisteren"}},
            "A1: table.cases[0].request.at: not a date or a date-time",
        ),
        (
            {"request": {**GOOD["cases"][0]["request"], "action": "kijken"}},
            "A1: table.cases[0].request.action: not a known word",
        ),
        (
            {"request": {**GOOD["cases"][0]["request"], "resource": {"category": "zorg"}}},
            "A1: table.cases[0].request.resource.category: not a known word",
        ),
        (
            {"request": {**GOOD["cases"][0]["request"], "resource": {"date": "2026-13"}}},
            "A1: table.cases[0].request.resource.date: not a date or a date-time",
        ),
    ],
)
def test_a_wrong_or_unreadable_row_is_one_line_and_a_failure(members, line):
    assert check.check(changed(**members)).lines == [line, "0 passed, 1 failed"]


def test_expectations_that_are_left_out_are_not_compared_but_permit_must_be_there():
    only_permit = {key: GOOD["cases"][0][key] for key in ("id", "permit", "request")}
    assert check.check({**GOOD, "cases": [only_permit]}).failed == 0
    without = {key: GOOD["cases"][0][key] for key in ("id", "reason", "request")}
    report = check.check({**GOOD, "cases": [without, GOOD["cases"][0]]})
    assert report.lines == ["A1: table.cases[0].permit: missing", "1 passed, 1 failed"]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ([], "table: not an object"),
        ({}, "table.cases: no rows"),
        ({"cases": []}, "table.cases: no rows"),
        ({"cases": {}}, "table.cases: not a list"),
    ],
)
def test_what_is_no_table_is_a_failure(table, line):
    assert check.check(table).lines == [line, "0 passed, 1 failed"]


@pytest.mark.parametrize(
    ("world", "place"),
    [
        (None, "world"),
        ({"persons": {"x": {"birth": "ooit"}}}, "world.persons.0.birth"),
        ({"persons": {"x": {"kind": "baas"}}}, "world.persons.0.kind"),
        ({"persons": {"x": {"curatele": "ja"}}}, "world.persons.0.curatele"),
        ({"relations": [{"person": "a", "client": "b"}]}, "world.relations[0].kind"),
        (
            {"relations": [{"person": "a", "client": "b", "kind": "ouder", "from": "x"}]},
            "world.relations[0].from",
        ),
        ({"policy": {"kind_12_15": "streng"}}, "world.policy.kind_12_15"),
        ({"policy": {"emergency_hours": 0}}, "world.policy.emergency_hours"),
        ({"policy": {"emergency_set": ["pillen"]}}, "world.policy.emergency_set"),
        ({"grants": {}}, "world.grants"),
    ],
)
def test_a_world_that_cannot_be_read_fails_every_row(world, place):
    report = check.check({"world": world, "cases": GOOD["cases"] * 2})
    assert (report.passed, report.failed) == (0, 2)
    assert all(line.startswith(f"A1: {place}: ") for line in report.failures)


def test_grants_that_counted_as_a_deny_are_told_apart():
    world = {**GOOD["world"], "grants": [{"id": "x", "client": "anna", "to_who": "sam"}]}
    report = check.check({**GOOD, "world": world})
    assert report.unreadable == ("world.grants[0].effect",)
    assert report.failed == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "t.json: not JSON, line 1 column 2"),
        ('{"a": 1, "a": 2}', "t.json: a member stands twice in one object"),
        ("[" * 100_000, "t.json: nested too deeply"),
        ("[" + "9" * 5_000 + "]", "t.json: a number has too many digits"),
        ('{"cases": [{"id": "\\ud800", "permit": 1}]}', "?: world: not an object"),
    ],
)
def test_a_file_that_is_no_json_is_a_failure(tmp_path, text, line):
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    assert check.run(path) == ([line, "0 passed, 1 failed"], 0, 1)


def test_a_file_that_is_not_there_or_not_utf8_is_a_failure(tmp_path):
    assert check.run(tmp_path / "weg.json")[0][0] == "weg.json: cannot be opened"
    path = tmp_path / "t.json"
    path.write_bytes(b'{"a": "\xff"}')
    assert check.run(path)[0][0] == "t.json: not UTF-8"
