"""Scopes with a search restriction (`patient/Observation.rs?category=…`), on every door.

The verdict of a caller with such a token: as any other, and a row of a restricted type is seen only
while its newest version matches. The restriction is a search on the image, so it is part of every
statement that lists, counts, sorts or includes. Older versions are not indexed: under a restriction
only the newest one is seen. When reading and searching have different restrictions, both hold.
Source: http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html, finer-grained resource
constraints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pgo.consent.model import Decision
from pgo.dossier.image import Image, Row
from pgo.dossier.log import Delta
from pgo.errors import NotFound, PgoError, ScopeTooSmall
from pgo.fhir import search
from pgo.fhir.parameters import Parameters
from pgo.fhir.query import parse
from pgo.oauth.scopes import Cap, Only
from pgo.verdict import Verdict, Visible

if TYPE_CHECKING:
    from pgo.staged import Staged

_READING: Final = ("r", "s")
_NO_NAME: Final = frozenset({" "})
"""An id no resource has. With named ids a verdict decides supporting resources row by row, and so
by referrers that are seen, not by their facets."""

_OUTSIDE: Final = "the scope of this token does not reach this"

Sql = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Narrow:
    """What the restrictions in a token leave; `searches` by release."""

    cap: Cap
    image: Image
    searches: Mapping[str, Parameters]
    now: datetime
    in_context: bool

    def on(self, rel: str, type_: str, letters: Iterable[str]) -> list[Sql]:
        """Statements that each select the rid of what a letter leaves; none without limits."""
        found = []
        for letter in letters:
            onlys = self.cap.restrictions(letter, type_, in_context=self.in_context)
            if onlys is not None:
                found.append(self._either(rel, type_, onlys))
        return found

    def _either(self, rel: str, type_: str, onlys: Iterable[Only]) -> Sql:
        made = [self._matching(rel, type_, only) for only in onlys]
        sql = " UNION ALL ".join(f"SELECT rid FROM ({one})" for one, _ in made)
        return sql, [arg for _, args in made for arg in args]

    def _matching(self, rel: str, type_: str, only: Only) -> Sql:
        """What matches one restriction; nothing when this release does not know its parameter."""
        try:
            query = parse(rel, type_, only, parameters=self.searches[rel])
        except PgoError:
            return "SELECT rid FROM res WHERE 0", []
        made = search.compile(query, _everything, now=self.now, columns="r.rid AS rid")
        return made.sql, list(made.args)

    def holds(self, row: Row, letters: Iterable[str]) -> bool:
        """Whether this is the newest version of a resource that is left."""
        limits = self.on(row.rel, row.type, letters)
        if not limits:
            return True
        newest = self.image.get(row.rel, row.type, row.id)
        if newest is None or newest.ver != row.ver:
            return False
        return all(
            self.image.select(f"SELECT 1 FROM ({sql}) WHERE rid = ? LIMIT 1", (*args, row.rid))
            for sql, args in limits
        )

    def among(self, rel: str, types: frozenset[str] | None, alias: str) -> Sql:
        """The rows of an alias of `res` that are left, as a condition."""
        parts, bound = ["1"], []
        for type_ in sorted(self.cap.restricted_types):
            if types is not None and type_ not in types:
                continue
            for sql, args in self.on(rel, type_, _READING):
                parts.append(f"({alias}.type <> '{type_}' OR {alias}.rid IN ({sql}))")
                bound += args
        return " AND ".join(parts), bound


@dataclass(slots=True)
class NarrowedVerdict(Verdict):
    """A verdict within the restrictions of a token; `narrow` is always set."""

    narrow: Narrow | None = None

    def row(self, row: Row, action: str = "lezen") -> Decision:
        """As any verdict; what the restriction leaves out is out of scope."""
        decision = Verdict.row(self, row, action)
        if decision.permit and self.narrow is not None and not self.narrow.holds(row, _READING):
            return replace(decision, permit=False, reason="SCOPE")
        return decision

    def visible(self, rel: str, types: Iterable[str] | None) -> Visible:
        """As any verdict, and only what the restrictions leave."""
        wanted = None if types is None else frozenset(types)
        plain, narrow = Verdict.visible(self, rel, wanted), self.narrow
        if narrow is None:
            return plain

        def on(alias: str) -> Sql:
            (sql, args), (left, more) = plain(alias), narrow.among(rel, wanted, alias)
            return f"({sql} AND {left})", [*args, *more]

        return on


def check_change(verdict: Verdict, letter: str, put: str, done: Staged, at: int) -> None:
    """What a restriction says of one change: before and after it the resource is within.

    Args:
        verdict: of the caller.
        letter: c, u or d, as the operation needs.
        put: id the caller chose, or "".
        done: the change, not yet committed.
        at: µs since 1970.

    Raises:
        NotFound: what was there is not for this caller. ScopeTooSmall: it is outside, or gets so.
    """
    change, before = done.change, done.before
    if not isinstance(verdict, NarrowedVerdict) or verdict.narrow is None or change is None:
        return
    narrow = verdict.narrow
    if not narrow.on(change.rel, change.type, (letter,)):
        return
    live = before if before is not None and before.live else None
    if (live is None and put) or (live is not None and not verdict.sees(live)):
        raise NotFound("not found", place=done.op.place)
    if live is not None and not narrow.holds(live, (letter,)):
        raise ScopeTooSmall(_OUTSIDE, place=done.op.place)
    if change.method != "DELETE":
        with verdict.image.preview(Delta(verdict.image.n + 1, at, {}, (change,))):
            made = verdict.image.get(change.rel, change.type, change.id)
            if made is None or not narrow.holds(made, (letter,)):
                raise ScopeTooSmall(_OUTSIDE, place=done.op.place)


def narrowed(
    verdict: Verdict,
    cap: Cap,
    searches: Mapping[str, Parameters],
    now: datetime,
    *,
    in_context: bool,
) -> Verdict:
    """The verdict within the restrictions of a cap; the same one when it has none."""
    if not cap.restricted_types:
        return verdict
    narrow = Narrow(cap, verdict.image, searches, now, in_context)
    return NarrowedVerdict(
        verdict.world,
        verdict.image,
        verdict.ask,
        verdict.edges,
        verdict.named | _NO_NAME,
        verdict.concerns,
        narrow=narrow,
    )


def is_known(cap: Cap, searches: Mapping[str, Parameters]) -> bool:
    """Whether every restriction is a search that a release knows."""
    return all(
        any(_parses(rel, reach.type_, reach.only, known) for rel, known in searches.items())
        for reach in cap.reaches
        if reach.only
    )


def _parses(rel: str, type_: str, only: Only, known: Parameters) -> bool:
    try:
        parse(rel, type_, only, parameters=known)
    except PgoError:
        return False
    return True


def _everything(alias: str) -> Sql:
    del alias
    return "1", []
