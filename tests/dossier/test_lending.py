"""What referrers lend a supporting resource, as SQL, against walking the references by hand."""

from __future__ import annotations

import random
import sqlite3

from hypothesis import event, given, settings
from hypothesis import strategies as st

from pgo import lending
from pgo.dossier.log import Facet

PLAIN = ("Observation", "Appointment")
SUPPORTING = ("Practitioner", "PractitionerRole", "Organization")
TYPES = (*PLAIN, *SUPPORTING)
KINDS = ("uitslagen", "afspraken", "medicatie")
TABLES = (
    "CREATE TABLE res (rid INTEGER PRIMARY KEY, rel, type, id, live, facet);"
    "CREATE TABLE lnk (rid, type, id, PRIMARY KEY (rid, type, id));"
)


class World:
    """Random resources that refer to each other; `me` may read some kinds of some authors."""

    def __init__(self, rng: random.Random) -> None:
        self.kinds = set(rng.sample(KINDS, rng.randint(0, 2)))
        self.shut = rng.choice(["", "", "me", "you"])
        self.facets = dict(enumerate(self.some_facets(rng), 1))
        self.rows = [
            (rid, "r4" if rng.random() < 0.9 else "stu3", facet.type, str(rid),
             rng.random() < 0.9, fid)
            for rid, (fid, facet) in enumerate(
                (rng.choice(list(self.facets.items())) for _ in range(rng.randint(2, 14))), 1)
        ]  # fmt: skip
        named = [(row[2], row[3]) for row in self.rows if row[2] in SUPPORTING]
        self.links = {(row[0], *rng.choice(named)) for row in self.rows for _ in range(2) if named}

    def some_facets(self, rng):
        for type_ in TYPES:
            for author in rng.sample(["me", "you", "third"], rng.randint(1, 2)):
                kinds = tuple(sorted(rng.sample(KINDS, rng.randint(1, 2))))
                labels = ("R",) if rng.random() < 0.2 else ()
                yield Facet(type_, kinds if type_ in PLAIN else (), labels, author)

    def permits(self, facet):
        return bool(self.kinds & {*facet.categories}) and facet.author != self.shut

    def wrote(self, facet):
        return facet.author == "me"

    def by_sql(self, types):
        db = sqlite3.connect(":memory:")
        db.executescript(TABLES)
        db.executemany("INSERT INTO res VALUES (?,?,?,?,?,?)", self.rows)
        db.executemany("INSERT INTO lnk VALUES (?,?,?)", sorted(self.links))
        parts = lending.parts(self.facets, types, self.permits, self.wrote)
        where = " OR ".join(part.replace("§", "r") for part in parts) or "0"
        found = db.execute(f"SELECT rid FROM res r WHERE live AND ({where})").fetchall()
        db.close()
        return {rid for (rid,) in found}

    def by_hand(self, types):
        return {row[0] for row in self.rows if row[4] and row[2] in types and self.sees(row)}

    def sees(self, row):
        facet = self.facets[row[5]]
        lent = (lending.lending(facet, kinds) for kinds in self.lent(row, facet, set()))
        return self.permits(facet) or any(self.permits(one) for one in lent)

    def lent(self, row, facet, seen):
        for other in self.rows:
            linked = (other[0], row[2], row[3]) in self.links and other[1] == row[1] and other[4]
            theirs = self.facets[other[5]]
            if not linked or other[0] in seen or (self.wrote(theirs) and not self.wrote(facet)):
                continue
            seen.add(other[0])
            if theirs.type in SUPPORTING:
                yield from self.lent(other, facet, seen)
            elif self.permits(theirs):
                yield theirs.categories


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 2**32), st.sets(st.sampled_from(SUPPORTING), min_size=1))
def test_sql_and_walking_the_references_see_the_same(seed, types):
    world = World(random.Random(seed))
    expected = world.by_hand(types)
    assert world.by_sql(types) == expected
    direct = {rid for rid in expected if any(
        link[1:] == (row[2], row[3]) and world.rows[link[0] - 1][2] in PLAIN
        for row in world.rows if row[0] == rid for link in world.links)}  # fmt: skip
    event(f"only through others: {bool(expected - direct)}")


def test_other_types_are_not_said_anything_about():
    world = World(random.Random(1))
    assert world.by_sql({"Observation"}) == set()
    assert lending.parts({}, SUPPORTING, world.permits, world.wrote) == []
