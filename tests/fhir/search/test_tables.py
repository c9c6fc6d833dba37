"""Rows in and out of the image."""

import sqlite3

import pytest

from pgo.fhir import tables

ROWS = {
    "tok": [["code", "http://s", "1"], ["status", None, "final"], ["p$0", "", "x", 3]],
    "txt": [["code", "words"]],
    "str": [["name", "anna", "Anna"]],
    "dat": [["date", 0, 10]],
    "num": [["probability", "1", "1"]],
    "qty": [["value-quantity", "1", "1", "http://u", "mg", "mg"]],
    "ref": [["subject", "Patient", "1", None], ["focus", None, None, "urn:x"]],
    "uri": [["url", "http://u"]],
    "lnk": [["Patient", "1"], ["Patient", "1"]],
}
SIZES = {name: len(some) for name, some in ROWS.items()} | {"lnk": 1}


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    connection.executescript(tables.DDL)
    yield connection
    connection.close()


def sizes(db):
    return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ROWS}


def test_all_rows_of_a_resource_go_in_and_only_its_own_go_out(db):
    tables.insert(db, 1, ROWS)
    tables.insert(db, 2, ROWS)
    assert sizes(db) == {name: 2 * size for name, size in SIZES.items()}
    tables.remove(db, 1)
    assert sizes(db) == SIZES
    tables.remove(db, 2)
    assert sum(sizes(db).values()) == 0


def test_an_implied_system_an_absent_one_and_a_named_one_differ(db):
    tables.insert(db, 1, {"tok": [["a", None, "x"], ["a", "", "x"], ["a", "http://s", "x"]]})
    systems = [row[0] for row in db.execute("SELECT sys FROM tok ORDER BY n")]
    assert systems[:2] == [None, 0]
    assert systems[2] == tables.system_number("http://s") not in {None, 0}


def test_the_group_of_a_composite_is_kept(db):
    tables.insert(db, 1, ROWS)
    assert [row[0] for row in db.execute("SELECT g FROM tok ORDER BY n")] == [0, 0, 3]


def test_numbers_for_names_never_change():
    # Images and queries are made by different processes and versions.
    assert tables.name_number("code") == 1997877400
    assert tables.system_number("http://loinc.org") == 4281956892100354830
