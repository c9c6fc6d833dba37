"""The index image of one dossier: an SQLite database in memory, derived from the log.

Losing it loses nothing. Bodies are not in it. `temp_store=MEMORY`, so that no sort spills
plaintext to disk (architecture 1, SQLite traps).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any, Final, NamedTuple
from weakref import finalize

import orjson

from pgo.dossier.log import SHOWS_A_RULE, Change, Delta, Facet, Rule
from pgo.errors import TooCostly
from pgo.fhir import tables

FORMAT: Final = "4"
_BUDGET_SECONDS: Final = 2.0
_STEPS: Final = 50_000
_GOT: Final = 1_024
_ROW_BYTES: Final = 600

_DDL: Final = """
CREATE TABLE res (rid INTEGER PRIMARY KEY, rel TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  ver INTEGER NOT NULL, at INTEGER NOT NULL, facet INTEGER NOT NULL, day INTEGER,
  live INTEGER NOT NULL, body BLOB, digest TEXT NOT NULL, made TEXT NOT NULL,
  UNIQUE (rel, type, id));
CREATE INDEX res_seen ON res (rel, type, live, facet, ver);
CREATE TABLE ver (rid INTEGER NOT NULL, ver INTEGER NOT NULL, n INTEGER NOT NULL,
  at INTEGER NOT NULL, method TEXT NOT NULL, body BLOB, facet INTEGER NOT NULL, day INTEGER,
  PRIMARY KEY (rid, ver)) WITHOUT ROWID;
CREATE INDEX ver_n ON ver (n, rid);
CREATE TABLE facet (fid INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE ident (org TEXT, rel TEXT, type TEXT, system TEXT, value TEXT, rid INTEGER,
  PRIMARY KEY (org, rel, type, system, value)) WITHOUT ROWID;
CREATE INDEX ident_rid ON ident (rid);
CREATE TABLE rule (kind TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE answer (name TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Row(NamedTuple):
    """One resource version as the image knows it; `body` is the id of its sealed text."""

    rid: int
    rel: str
    type: str
    id: str
    ver: int
    at: int
    facet: int
    day: int | None
    live: bool
    body: bytes | None
    digest: str = ""
    method: str = ""


_ROW: Final = "r.rid, r.rel, r.type, r.id, r.ver, r.at, r.facet, r.day, r.live, r.body, r.digest"


class Image:
    """One dossier's index; every method is synchronous and never waits.

    `facets` are by number; `kinds` has one number of each resource type that was ever here.
    """

    def __init__(self, kept: bytes | None = None) -> None:
        """An empty image, or one as `serialize` gave it.

        Raises:
            ValueError: kept by another version of this program; rebuild from the log.
        """
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        finalize(self, self.db.close)  # an image lives as long as somebody looks at it
        tables.functions(self.db)
        if kept is not None:
            self.db.deserialize(kept)
            self.db.execute("PRAGMA temp_store=MEMORY")
            if self._meta("format") != FORMAT:
                raise ValueError("image of another format")
        else:
            self.db.execute("PRAGMA temp_store=MEMORY")
            self.db.executescript(_DDL + tables.DDL)
            self._set("format", FORMAT)
        self._load()

    def _load(self) -> None:
        found = self.db.execute("SELECT fid, text FROM facet").fetchall()
        self.facets: dict[int, Facet] = {fid: Facet.of(text) for fid, text in found}
        self._fids: dict[str, int] = {text: fid for fid, text in found}
        self.kinds = {facet.type: fid for fid, facet in self.facets.items()}
        self._got: dict[tuple[str, str, str], Row | None] = {}
        self._rows: dict[int, Row] = {}
        self.n = int(self._meta("n") or 0)
        self.rules_n = int(self._meta("rules_n") or 0)

    def serialize(self) -> bytes:
        """The whole image as bytes (plaintext: seal it before it goes anywhere)."""
        return self.db.serialize()

    def size(self) -> int:
        """Bytes of memory it takes."""
        pages: int = self.db.execute("PRAGMA page_count").fetchall()[0][0]
        return pages * 4096 + _ROW_BYTES * len(self.facets)

    def beside(self) -> int:
        """Bytes of memory that rows take which were looked up and may be asked again."""
        return _ROW_BYTES * (len(self._got) + len(self._rows))

    # --- changing ------------------------------------------------------------------------------

    def apply(self, delta: Delta) -> None:
        """Take in the next commit; all or nothing."""
        if delta.n != self.n + 1:
            raise ValueError("not the next commit")
        with self._transaction():
            fresh = self._take_in(delta)
        self.n = delta.n
        for row in fresh[-_GOT:]:  # most are looked at next
            self._got[row.rel, row.type, row.id] = row

    @contextmanager
    def preview(self, delta: Delta) -> Iterator[None]:
        """The image as it would be after `delta`, for as long as the block runs; do not await."""
        self.db.execute("SAVEPOINT preview")
        rules_n = self.rules_n
        try:
            self._take_in(delta)
            yield
        finally:
            self.db.execute("ROLLBACK TO preview")
            self.db.execute("RELEASE preview")
            self._load()
            self.rules_n = rules_n

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            self._load()
            raise
        self.db.execute("COMMIT")

    def _take_in(self, delta: Delta) -> list[Row]:
        """The newest versions that a commit made."""
        self._got.clear()
        self._rows.clear()
        who = orjson.dumps(delta.who).decode()
        self.db.execute("INSERT INTO log VALUES (?,?,?)", (delta.n, delta.at, who))
        for rule in delta.rules:
            self._rule(rule)
        fresh = self._changes(delta)
        for name, answer in delta.answers:
            self.db.execute("INSERT OR IGNORE INTO answer VALUES (?,?)", (name, answer))
        self._set("n", str(delta.n))
        if delta.rules:
            self.rules_n = delta.n
            self._set("rules_n", str(delta.n))
        return fresh

    def _changes(self, delta: Delta) -> list[Row]:
        """All changes of a commit; the index rows of new resources go in together, at the end."""
        sealed = self.db.execute("SELECT 1 FROM rule WHERE kind='seal' LIMIT 1").fetchall()
        laid: tables.Rows = {}
        fresh = []
        for change in delta.changes:
            fresh.append(row := self._change(delta, change, sealed=bool(sealed)))
            if change.ver > 1:  # what was there goes out, also what this very commit put in
                tables.put_in(self.db, laid)
                laid.clear()
                tables.remove(self.db, row.rid)
            if change.method != "DELETE":
                tables.lay_out(row.rid, change.rows, laid)
        tables.put_in(self.db, laid)
        return fresh

    def _change(self, delta: Delta, change: Change, *, sealed: bool) -> Row:
        """One version, without its index rows. `sealed`: whether there are any seals."""
        named = (change.rel, change.type, change.id)
        seal = self.rule("seal", "/".join(named)) if sealed else None
        facet = replace(change.facet, seals=(seal["label"],)) if seal else change.facet
        fid, live = self._fid(facet), change.method != "DELETE"
        body = bytes.fromhex(change.body) if change.body else None
        rid: int = self.db.execute(
            "INSERT INTO res (rel, type, id, ver, at, facet, day, live, body, digest, made)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (rel, type, id) DO UPDATE SET"
            " ver=excluded.ver, at=excluded.at, facet=excluded.facet, day=excluded.day,"
            " live=excluded.live, body=excluded.body, digest=excluded.digest, made=excluded.made"
            " RETURNING rid",
            (*named, change.ver, delta.at, fid, change.day, live, body, change.digest, change.made),
        ).fetchall()[0][0]
        self.db.execute(
            "INSERT INTO ver VALUES (?,?,?,?,?,?,?,?)",
            (rid, change.ver, delta.n, delta.at, change.method, body, fid, change.day),
        )
        if change.ver > 1:
            self.db.execute("DELETE FROM ident WHERE rid=?", (rid,))
        if change.idents:
            self.db.executemany(
                "INSERT OR REPLACE INTO ident VALUES (?,?,?,?,?,?)",
                [(facet.org, change.rel, change.type, *ident, rid) for ident in change.idents],
            )
        rel, type_, id_ = named
        at, day, digest = delta.at, change.day, change.digest
        return Row(rid, rel, type_, id_, change.ver, at, fid, day, live, body, digest)

    def reindex(self, row: Row, rows: dict[str, list[Any]], made: str) -> None:
        """Other index rows for a resource that itself stays as it is; `made` as in a Change."""
        with self._transaction():
            tables.remove(self.db, row.rid)
            tables.insert(self.db, row.rid, rows)
            self.db.execute("UPDATE res SET made=? WHERE rid=?", (made, row.rid))

    def _rule(self, rule: Rule) -> None:
        if rule.value is None:
            self.db.execute("DELETE FROM rule WHERE kind=? AND id=?", (rule.kind, rule.id))
        else:
            value = orjson.dumps(rule.value).decode()
            self.db.execute(
                "INSERT OR REPLACE INTO rule VALUES (?,?,?)", (rule.kind, rule.id, value)
            )
        if rule.kind == "seal":
            self._seal(rule)

    def _seal(self, rule: Rule) -> None:
        rel, type_, id_ = rule.id.split("/")
        seals = (str(rule.value["label"]),) if rule.value else ()
        row = self.get(rel, type_, id_)
        if row is None:
            return
        versions = self.db.execute("SELECT ver, facet FROM ver WHERE rid=?", (row.rid,)).fetchall()
        for ver, fid in versions:
            sealed = self._fid(replace(self.facets[fid], seals=seals))
            self.db.execute("UPDATE ver SET facet=? WHERE rid=? AND ver=?", (sealed, row.rid, ver))
        sealed = self._fid(replace(self.facets[row.facet], seals=seals))
        self.db.execute("UPDATE res SET facet=? WHERE rid=?", (sealed, row.rid))

    def _fid(self, facet: Facet) -> int:
        text = facet.text()
        fid = self._fids.get(text)
        if fid is None:
            made = self.db.execute("INSERT INTO facet (text) VALUES (?) RETURNING fid", (text,))
            fid = int(made.fetchall()[0][0])
            self._fids[text], self.facets[fid] = fid, facet
            self.kinds[facet.type] = fid
        return fid

    # --- asking --------------------------------------------------------------------------------

    def get(self, rel: str, type_: str, id_: str) -> Row | None:
        """The newest version of a resource, deleted ones too."""
        name = (rel, type_, id_)
        if name in self._got:
            return self._got[name]
        found = self.db.execute(
            f"SELECT {_ROW} FROM res r WHERE r.rel=? AND r.type=? AND r.id=?", name
        ).fetchall()
        row = Row(*found[0]) if found else None
        if not self.db.in_transaction and len(self._got) < _GOT:
            self._got[name] = row
        return row

    def rows(self, rids: Sequence[int]) -> list[Row]:
        """The newest versions of these resources, in this order."""
        known = self._rows
        try:
            return [known[rid] for rid in rids]
        except KeyError:
            found = self._looked_up(rids)
        if not self.db.in_transaction and len(found) <= _GOT:
            if len(known) + len(found) > _GOT:
                known.clear()
            known.update((row.rid, row) for row in found)
        return found

    def _looked_up(self, rids: Sequence[int]) -> list[Row]:
        named = orjson.dumps(list(rids)).decode()
        found = self.db.execute(
            f"SELECT {_ROW} FROM json_each(?) j JOIN res r ON r.rid = j.value ORDER BY j.key",
            (named,),
        )
        return [Row(*row) for row in found.fetchall()]

    def versions(self, row: Row) -> list[Row]:
        """All versions of a resource, newest first."""
        found = self.db.execute(
            "SELECT ver, at, facet, day, method, body FROM ver WHERE rid=? ORDER BY ver DESC",
            (row.rid,),
        ).fetchall()
        return [
            row._replace(ver=ver, at=at, facet=facet, day=day, method=method, body=body)
            for ver, at, facet, day, method, body in found
        ]

    def outdated(self, marks: Mapping[str, str]) -> list[Row]:
        """Live resources whose index rows were made otherwise than `marks` says for their release.

        With no marks: all of them.
        """
        names = list(marks.items())
        where = "".join(" AND NOT (r.rel=? AND r.made=?)" for _ in names)
        found = self.db.execute(
            f"SELECT {_ROW} FROM res r WHERE r.live{where} ORDER BY r.rid",
            [part for name in names for part in name],
        )
        return [Row(*row) for row in found.fetchall()]

    def select(self, sql: str, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Rows of a query made by pgo.fhir.search or pgo.verdict, fetched whole.

        Raises:
            TooCostly: it took more than two seconds (safety 4, D05).
        """
        until = monotonic() + _BUDGET_SECONDS
        self.db.set_progress_handler(lambda: monotonic() > until, _STEPS)
        try:
            return self.db.execute(sql, tuple(args)).fetchall()
        except sqlite3.OperationalError as fault:
            if str(fault) == "interrupted":
                raise TooCostly("this search takes too long; make it narrower") from fault
            raise
        finally:
            self.db.set_progress_handler(None, 0)

    def owned(self, org: str, rel: str, type_: str, ident: tuple[str, str]) -> Row | None:
        """The resource this organisation sent before under this business identifier."""
        found = self.db.execute(
            f"SELECT {_ROW} FROM ident i JOIN res r ON r.rid = i.rid WHERE i.org=? AND i.rel=?"
            " AND i.type=? AND i.system=? AND i.value=?",
            (org, rel, type_, *ident),
        ).fetchall()
        return Row(*found[0]) if found else None

    def patient(self, rel: str) -> Row | None:
        """The dossier's Patient of this release."""
        found = self.db.execute(
            f"SELECT {_ROW} FROM res r WHERE r.rel=? AND r.type='Patient' AND r.live"
            " ORDER BY r.rid LIMIT 1",
            (rel,),
        ).fetchall()
        return Row(*found[0]) if found else None

    def rule(self, kind: str, id_: str) -> dict[str, Any] | None:
        """One grant, relation, seal, notice or fact."""
        found = self.db.execute("SELECT value FROM rule WHERE kind=? AND id=?", (kind, id_))
        rows = found.fetchall()
        return dict(orjson.loads(rows[0][0])) if rows else None

    def rules(self, kind: str) -> dict[str, dict[str, Any]]:
        """All of one kind, by id, in order of id."""
        found = self.db.execute("SELECT id, value FROM rule WHERE kind=? ORDER BY id", (kind,))
        return {id_: orjson.loads(value) for id_, value in found.fetchall()}

    def answer(self, name: str) -> str | None:
        """What was answered to a request with this name (idempotency)."""
        rows = self.db.execute("SELECT answer FROM answer WHERE name=?", (name,)).fetchall()
        return str(rows[0][0]) if rows else None

    def count(self) -> int:
        """How many resources are live, without those that only show a rule."""
        sql = "SELECT count(*) FROM res WHERE live AND digest<>?"
        return int(self.db.execute(sql, (SHOWS_A_RULE,)).fetchall()[0][0])

    def _meta(self, name: str) -> str | None:
        rows = self.db.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchall()
        return str(rows[0][0]) if rows else None

    def _set(self, name: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))
