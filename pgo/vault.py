"""The vault: everything that can be asked of one dossier by one caller, through its one door.

Routes hold no store. Each public method is one call: it decides, does, and writes it down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from pgo.call import Call
from pgo.changing import Changing
from pgo.conditional import Queries
from pgo.consent.model import Decision
from pgo.cursor import Cursors, Kept, Place
from pgo.door import PATIENT, Parts
from pgo.dossier.image import Row
from pgo.dossier.log import Facet
from pgo.errors import Gone, Incident, NotFound, Unavailable
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.fhir.parameters import Parameters
from pgo.fhir.query import Query, parse
from pgo.fhir.spans import Span
from pgo.matching import Matching, as_seen
from pgo.oneself import oneself
from pgo.past import NOW, Mark, Past, types_of
from pgo.shown import Found, Outcome, Page, page_size
from pgo.store.contract import NotNext, Store
from pgo.verdict import Verdict

__all__ = ["Found", "Outcome", "Page", "Parts", "Vault"]

_RACES: Final = 100
_CURSOR_DIGITS: Final = 7
_SAME_CURSOR: Final = 60


class Vault(Matching):
    """One caller at one dossier."""

    # --- reading -------------------------------------------------------------------------------

    async def read(self, rel: str, type_: str, id_: str) -> Found:
        """The newest version.

        Raises:
            NotFound: not there, or not for this caller; Gone: deleted.
        """
        async with self.call("read", release=rel, type_=type_) as call:
            verdict, found = await self.verdict(), self.dossier.image.get(rel, type_, id_)
            decision = self._decided(verdict, found, (rel, type_, id_))
            if not (decision and decision.permit and self.cap.allows("r", type_)):
                await self.known(call)
            if found is None and (me := oneself(self.caller, self.cap, rel, type_, id_, call.at)):
                return me
            self.reach("r", type_)
            row = self._permitted(call, decision, found)
            if not row.live:
                raise Gone("this resource was deleted")
            return await self._shown(call, verdict, row)

    async def vread(self, rel: str, type_: str, id_: str, ver: int) -> Found:
        """One version; what the caller may see is decided for that version and for the newest."""
        async with self.call("vread", release=rel, type_=type_) as call:
            verdict = await self.known(call)
            self.reach("r", type_)
            rows = self._versions(call, verdict, rel, type_, id_)
            row = next((row for row in rows if row.ver == ver), None)
            if row is None:
                raise NotFound("not found")
            if row.method == "DELETE":
                raise Gone("this version is a deletion")
            return await self._shown(call, verdict, row)

    async def history(self, rel: str, type_: str, id_: str, span: Span, asked: str) -> Page:
        """Versions, newest first: of one resource, of a type, or ("", "") of the whole dossier.

        Deletions have an empty text. `asked` are the parameters as sent. The total is that of one
        resource only; of more it is -1: counting would cost more than the page.
        """
        kind = "instance" if id_ else "type" if type_ else "system"
        said = {"release": rel, "type_": type_, "query": asked}
        async with self.call(f"history-{kind}", **{k: v for k, v in said.items() if v}) as call:
            verdict = await self.known(call)
            past = self._past(call, verdict, rel, type_, id_)
            place = f"pgo1|past|{self.client}|{self.caller.person}|{self.caller.app}|{rel}|{type_}"
            place += f"|{id_}|{span.since}|{span.at}"
            before = self._mark(place.encode(), span.cursor)
            shown, after = past.page(span, before)
            bodies = await self._show(call, [row for row in shown if row.body is not None])
            self.because_of(call, verdict, shown)
            total = past.count(span, NOW) if id_ else -1
        by_version = {(found.row.rid, found.row.ver): found for found in bodies}
        found = tuple(by_version.get((row.rid, row.ver)) or Found(row, b"") for row in shown)
        sealed = self.dossier.keys.box.seal(place.encode(), b"%d.%d" % after) if after else b""
        return Page(found, total, sealed.hex())

    def _past(self, call: Call, verdict: Verdict, rel: str, type_: str, id_: str) -> Past:
        image = self.dossier.image
        if id_:
            self.reach("r", type_)
            newest = self._seen(call, verdict, (rel, type_, id_))
            return Past(image, verdict, rel, (type_,), newest.rid)
        if type_:
            self.reach("s", type_)
            return Past(image, verdict, rel, (type_,))
        types = [one for one in types_of(image, rel) if self.cap.allows("s", one)]
        if not types:
            self.reach("s", "*")
        return Past(image, verdict, rel, tuple(types))

    def _mark(self, place: bytes, cursor: str) -> Mark:
        """Where a later page begins; for whoever got the cursor, and for the same question only.

        Raises:
            NotFound: not a cursor of ours, or another's.
        """
        if not cursor:
            return NOW
        try:
            n, _, rid = self.dossier.keys.box.open(place, bytes.fromhex(cursor)).partition(b".")
        except (ValueError, Incident):
            raise NotFound("this page is not there; ask again", place="_cursor") from None
        return int(n), int(rid)

    def newest(self, call: Call, verdict: Verdict, rel: str, type_: str, id_: str) -> Row:
        """The newest version of a resource that an operation is about.

        Raises:
            NotFound: not there, or not for this caller; Gone: deleted.
        """
        row = self._seen(call, verdict, (rel, type_, id_))
        if not row.live:
            raise Gone("this resource was deleted")
        return row

    def _seen(self, call: Call, verdict: Verdict, name: tuple[str, str, str]) -> Row:
        row = self.dossier.image.get(*name)
        return self._permitted(call, self._decided(verdict, row, name), row)

    def _decided(
        self, verdict: Verdict, row: Row | None, name: tuple[str, str, str]
    ) -> Decision | None:
        """The decision about a row; where there is none one is made too, and not used.

        So the time of an answer does not tell what is hidden from what is not there.
        """
        if row is not None:
            return verdict.row(row)
        kind = self.dossier.image.kinds.get(name[1])
        if kind is None:
            verdict.decide("lezen", Facet(name[1]))
        else:
            verdict.row(Row(0, *name, 1, 0, kind, None, live=True, body=None))
        return None

    def _permitted(self, call: Call, decision: Decision | None, row: Row | None) -> Row:
        if row is None or decision is None:
            raise NotFound("not found")
        call.because(decision)
        if not decision.permit:
            raise NotFound("not found")
        return row

    def _versions(self, call: Call, verdict: Verdict, rel: str, type_: str, id_: str) -> list[Row]:
        newest = self._seen(call, verdict, (rel, type_, id_))
        return [row for row in self.dossier.image.versions(newest) if verdict.sees(row)]

    async def search(self, query: Query, asked: str) -> Page:
        """All matches the caller may see, the first page of them with what they include.

        `asked` is the query as sent, for the audit line (sealed there).
        """
        said = {"release": query.release, "type_": query.type, "query": asked}
        async with self.call("search-type", **said) as call:
            verdict = await self.known(call)
            self.reach("s", query.type)
            places, name = self.placed(verdict, query)
            size = page_size(query)
            page = self.dossier.image.rows([rid for rid, _ in places[:size]])
            included = self.included(verdict, query, page)
            found = await self._show(call, page, included)
            self.because_of(call, verdict, page)
            more = page and len(places) > size
            cursor = await self._next(name, query, asked, places[size:]) if more else ""
        return Page(tuple(found), len(places), cursor)

    async def page(self, rel: str, type_: str, cursor: str, base: str) -> tuple[Page, Query]:
        """A later page of a kept list of (id, version); each row and the total are decided anew.

        `base` is our own FHIR address, as when the query was first read.

        Raises:
            NotFound: the cursor is over, or another caller's.
        """
        async with self.call("search-type", release=rel, type_=type_) as call:
            verdict = await self.known(call)
            self.reach("s", type_)
            kept, start = await self.kept_cursor(cursor, rel, type_)
            pairs = tuple((name, value) for name, value in kept.pairs)
            query = _read_again(rel, type_, pairs, base, self.dossier.searches[rel])
            call.said["query"] = kept.asked
            places = kept.rest[start : start + page_size(query)]
            newest = self.dossier.image.rows([rid for rid, _ in places])
            vers = dict(places)
            rows = [row for one in newest if (row := self.then(verdict, one, vers[one.rid]))]
            included = self.included(verdict, query, rows)
            found = await self._show(call, rows, included)
            self.because_of(call, verdict, rows)
            end = start + len(places)
            more = f"{cursor.partition('.')[0]}.{end}" if end < len(kept.rest) else ""
            total = 0 if query.total == "none" else self.total(verdict, query)
        return Page(tuple(found), total, more), query

    async def _next(self, name: bytes, query: Query, asked: str, rest: Sequence[Place]) -> str:
        """The cursor of what comes after a first page; the same one for a minute.

        As long as nothing changes, that is, and for the very same question of the same caller.
        `name` is that of the statement that found all.
        """
        known, now, n = self.dossier.asked, self._now(), self.dossier.image.n
        about = ("cursor", name, len(rest), *self._asker(), query.used, asked)
        kept: tuple[int, str] | None = known.find(n, about)
        if kept is not None and 0 <= now - kept[0] < _SAME_CURSOR:
            return kept[1]
        cursor = await self.keep_cursor(query, asked, rest)
        known.hold(n, about, (now, cursor), 2 * len(asked) + len(cursor))
        return cursor

    async def keep_cursor(self, query: Query, asked: str, rest: Sequence[Place]) -> str:
        """Keep what comes after a first page; answers what leads to it, for this caller only."""
        on = [query.release, query.type]
        kept = Kept(self._asker(), on, query.used, asked, rest)
        return f"{await self._cursors().keep(kept, self._now())}.0"

    async def kept_cursor(self, cursor: str, rel: str, type_: str) -> tuple[Kept, int]:
        """What this caller's cursor leads to, and from where in it.

        Raises:
            NotFound: it is over, another's, or of another question.
        """
        name, _, start = cursor.partition(".")
        kept = await self._cursors().find(name, self._now())
        if kept is None or not (start.isdecimal() and len(start) < _CURSOR_DIGITS):
            raise NotFound("this page is not there any more; search again", place="_cursor")
        if kept.who != self._asker() or kept.on != [rel, type_]:
            raise NotFound("this page is not there any more; search again", place="_cursor")
        return kept, int(start)

    def _cursors(self) -> Cursors:
        return Cursors(self._parts.dossiers.store, self.dossier.keys.box, self.client)

    def _now(self) -> int:
        return int(self._parts.clock().timestamp())

    def _asker(self) -> list[str]:
        return [self.caller.person, self.caller.app, self.caller.service]

    def then(self, verdict: Verdict, newest: Row, ver: int) -> Row | None:
        """The version as it was when the list was made, if the caller may see it now."""
        if not verdict.sees(newest):
            return None
        if newest.ver == ver:
            return newest if newest.body is not None else None
        versions = self.dossier.image.versions(newest)
        row = next((row for row in versions if row.ver == ver), None)
        return row if row is not None and row.body is not None and verdict.sees(row) else None

    def because_of(self, call: Call, verdict: Verdict, rows: Sequence[Row]) -> None:
        """Remember what the showing of these rows rests on."""
        if rows:
            for row in {row.facet: row for row in rows}.values():
                call.because(verdict.row(row))
        else:
            call.because(verdict.decide("lezen", PATIENT))

    async def _shown(self, call: Call, verdict: Verdict, row: Row) -> Found:
        """One version as the caller may see it; most of what is asked is this."""
        facet = self.dossier.image.facets[row.facet]
        call.touched(f"{row.type}/{row.id}@{row.ver}", facet)
        raw = await self.dossier.text(row)
        return Found(row, as_seen(verdict, row, raw, facet) if _needs_care(facet) else raw)

    async def _show(
        self, call: Call, rows: Sequence[Row], included: Sequence[Row] = ()
    ) -> list[Found]:
        call.touch([*rows, *included], self.dossier.image.facets)
        return await self.texts(rows, included, {})

    async def texts(
        self, rows: Sequence[Row], included: Sequence[Row], fresh: dict[bytes, bytes]
    ) -> list[Found]:
        """The texts of these rows; `fresh` are those of this very request, by body id."""
        verdict, everything = await self.verdict(), [*rows, *included]
        stored = self._stored(everything, fresh) if fresh else self.dossier.texts(everything)
        texts = await stored
        facets = self.dossier.image.facets
        careful = {fid for fid in {row.facet for row in everything} if _needs_care(facets[fid])}
        if careful:
            texts = [
                as_seen(verdict, row, raw, facets[row.facet]) if row.facet in careful else raw
                for row, raw in zip(everything, texts, strict=True)
            ]
        added = zip(included, texts[len(rows) :], strict=True)
        return [*map(Found, rows, texts), *(Found(row, raw, included=True) for row, raw in added)]

    async def _stored(self, rows: Sequence[Row], fresh: dict[bytes, bytes]) -> list[bytes]:
        """The texts of these rows, some of which are not stored yet."""
        stored = [row for row in rows if row.body not in fresh]
        texts = dict(zip((r.body for r in stored), await self.dossier.texts(stored), strict=True))
        return [fresh.get(row.body or b"") or texts[row.body] for row in rows]

    # --- changing ------------------------------------------------------------------------------

    async def change(
        self,
        interaction: str,
        rel: Release,
        ops: Sequence[Op],
        *,
        operator: bool = False,
        isolated: bool = False,
        name: str = "",
        queries: Queries | None = None,
    ) -> list[Outcome]:
        """Do these operations in one commit: all or nothing, or, `isolated`, each for itself.

        Reads among them see what the changes make of the dossier. `name` is the caller's request
        id: the same request again changes nothing and gets the same answer. `queries` turns a GET
        entry, and conditions, into searches.

        Raises:
            PgoError: the first thing that is wrong, with its place; then nothing was stored.
        """
        said: dict[str, Any] = {"release": rel}
        if interaction in {"create", "update", "patch", "delete"}:
            said["type_"] = ops[0].type
        async with self.call(interaction, **said) as call:
            if not operator:
                await self.known(call)
                self.count_write()
            changing = Changing(self, call, rel, isolated, operator, queries)
            for _ in range(_RACES):
                try:
                    return await changing.run(ops, name)
                except NotNext:
                    await asyncio.sleep(0.002)
            raise Unavailable("this dossier is very busy; nothing was stored")
        raise AssertionError("a call either answers or raises")

    @property
    def store(self) -> Store:
        """For what is kept beside the dossier for a while, sealed with its keys."""
        return self._parts.dossiers.store

    def count_write(self) -> None:
        """One change of this dossier, by whomever.

        Raises:
            TooMany: there were too many in a short time.
        """
        self._parts.count("writes", self.client)


def _needs_care(facet: Facet) -> bool:
    """Whether a text is not shown just as it is stored."""
    return facet.type == "Patient" or bool(facet.seals)


@lru_cache(maxsize=256)
def _read_again(
    rel: str, type_: str, pairs: tuple[tuple[str, str], ...], base: str, known: Parameters
) -> Query:
    """The query of a first page, for its later pages."""
    return parse(rel, type_, pairs, lenient=True, base=base, parameters=known)
