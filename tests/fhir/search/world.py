"""A small dossier for search tests: resources in a real image database, by plain dicts."""

import json
import sqlite3
from datetime import UTC, datetime

from pgo.fhir import index, search, tables, text

RES = (
    "CREATE TABLE res (rid INTEGER PRIMARY KEY, rel TEXT, type TEXT, id TEXT, ver INTEGER,"
    " at INTEGER, facet INTEGER, day INTEGER, live INTEGER, body BLOB, UNIQUE (rel, type, id));"
    "CREATE INDEX res_seen ON res (rel, type, live, facet, ver);"
)
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
SECOND = 1_000_000


def everything(_alias):
    return "1", []


def sighted(_type):
    return frozenset()


def only(facets):
    def visible(alias):
        return f"{alias}.facet IN ({','.join('?' * len(facets))})", list(facets)

    return visible


class World:
    """`put` resources, `ask` with a query string as pairs; answers are ids in order."""

    def __init__(self, release="r4"):
        self.release = release
        self.db = sqlite3.connect(":memory:")
        tables.functions(self.db)
        self.db.executescript(RES + tables.DDL)

    def close(self):
        self.db.close()

    def put(self, *resources, facet=0, live=1, at=0):
        for tree in resources:
            row = (self.release, tree["resourceType"], tree["id"], at, facet, live)
            made = self.db.execute(
                "INSERT INTO res (rel, type, id, ver, at, facet, live) VALUES (?,?,?,1,?,?,?)", row
            )
            parsed = text.parse(json.dumps(tree).encode())
            tables.insert(self.db, made.lastrowid, index.rows(self.release, parsed))

    def parse(self, type_, *pairs, **options):
        return search.parse(self.release, type_, pairs, **options)

    def ask(self, type_, *pairs, **options):
        return self.names(self.answer(type_, *pairs, **options))

    def answer(self, type_, *pairs, visible=everything, blind=None, **options):
        query = self.parse(type_, *pairs, **options)
        made = search.compile(query, visible, blind=blind or sighted, now=NOW)
        return [rid for (rid,) in self.db.execute(made.sql, made.args).fetchall()]

    def add(self, type_, *pairs, visible=everything, blind=None):
        """What `_include` adds to the visible matches."""
        query = self.parse(type_, *pairs)
        rids = self.answer(type_, *pairs, visible=visible)
        made = search.included(query, rids, visible, blind=blind or sighted)
        return self.names([rid for (rid,) in self.db.execute(made.sql, made.args).fetchall()])

    def page(self, type_, *pairs, visible=everything):
        """As a server does: one parse, all matches, and what the first twenty include."""
        query = self.parse(type_, *pairs)
        made = search.compile(query, visible, now=NOW)
        rids = [rid for (rid,) in self.db.execute(made.sql, made.args).fetchall()]
        more = search.included(query, rids[:20], visible)
        return rids[:20], self.db.execute(more.sql, more.args).fetchall()

    def names(self, rids):
        place = dict(self.db.execute("SELECT rid, id FROM res"))
        return [place[rid] for rid in rids]
