"""A dossier as far as it belongs to one service: the verdict of consent, made narrower.

Every door of the vault asks a verdict: of one row, or as SQL for a whole search. This one says no
to what the service does not contain, so counts, totals, includes and later pages never show more
than the service may. What is linked is only ever reached along references from what belongs to the
service, or by its id; then a referrer that the caller may see must belong to the service, so that
nothing belongs to it because something hidden refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import orjson

from pgo.consent.model import Decision
from pgo.dossier.image import Row
from pgo.dossier.log import Facet
from pgo.fhir.parameters import Parameters
from pgo.fhir.query import parse
from pgo.fhir.search import compile as compiled
from pgo.medmij.services import Content, Service
from pgo.verdict import Verdict

OUTSIDE: Final = "BUITEN_DIENST"
Sql = tuple[str, list[Any]]
_NO: Final[Sql] = ("0", [])


@dataclass
class Narrowed(Verdict):
    """A verdict within a service; `plain` is the verdict without it.

    `known` are the search parameters that the service's contents are told in. With `along`, all
    that is asked about was reached along references from what belongs to the service.
    """

    plain: Verdict = field(kw_only=True)
    service: Service = field(kw_only=True)
    now: datetime = field(kw_only=True)
    known: Parameters = field(kw_only=True)
    along: bool = field(default=False, kw_only=True)
    _held: dict[int, bool] = field(default_factory=dict, kw_only=True)

    def row(self, row: Row, action: str = "lezen") -> Decision:
        """The decision about one row; what is outside the service is refused."""
        decision = self.plain.row(row, action)
        if not decision.permit or self.along or self._holds(row):
            return decision
        return replace(decision, permit=False, reason=OUTSIDE, grants=())

    def decide(self, action: str, facet: Facet, id_: str = "", day: int | None = None) -> Decision:
        """What consent says of a facet, whatever the service contains."""
        return self.plain.decide(action, facet, id_, day)

    def knows(self, facet: Facet) -> Decision:
        """May the caller know of the dossier? The service does not matter for that."""
        return self.plain.knows(facet)

    # --- as SQL --------------------------------------------------------------------------------

    def visible(self, rel: str, types: Iterable[str] | None) -> Callable[[str], Sql]:
        """The rows of these types (None: all) that may be read and belong to the service."""
        service = self.service
        wanted = service.types if types is None else frozenset(types) & service.types
        if rel != service.release or not wanted:
            return lambda _alias: _NO
        permitted, inside = self.plain.visible(rel, wanted), self._inside(wanted)

        def on(alias: str) -> Sql:
            sql, args = permitted(alias)
            more, others = inside(alias)
            return f"({sql} AND {more})", [*args, *others]

        return on

    def _inside(self, wanted: frozenset[str]) -> Callable[[str], Sql]:
        """Whether a row of these types belongs to the service."""
        contents = [one for one in self.service.contains if one.type in wanted]
        whole = {one.type for one in contents if not one.pairs}
        reached = self.service.linked | {type_ for type_, _ in self.service.referring}
        if not self.along:
            reached -= {one.type for one in contents}
        free = orjson.dumps(sorted((reached & wanted) | whole)).decode()
        parts = [self._matching(one) for one in contents if one.type not in whole]

        def on(alias: str) -> Sql:
            made = [f"{alias}.type IN (SELECT value FROM json_each(?))"]
            made += [f"{alias}.rid IN ({sql})" for sql, _ in parts]
            return f"({' OR '.join(made)})", [free, *(arg for _, args in parts for arg in args)]

        return on

    def _matching(self, content: Content, only: Sql = ("1", [])) -> Sql:
        """The rows a content finds, whoever may see them, among those that `only` is true of."""
        release, type_ = self.service.release, content.type
        query = parse(release, type_, content.pairs, parameters=self.known)
        made = compiled(query, lambda _alias: only, now=self.now)
        return made.sql, list(made.args)

    # --- one row -------------------------------------------------------------------------------

    def _holds(self, row: Row) -> bool:
        """Whether a row that may be read belongs to the service."""
        known = self._held.get(row.rid)
        if known is None:
            known = self._held[row.rid] = self._contains(row) or self._refers_to(row)
        return known

    def _contains(self, row: Row) -> bool:
        if row.rel != self.service.release:
            return False
        for content in self.service.contains:
            if content.type == row.type and (not content.pairs or self._finds(content, row)):
                return True
        return False

    def _finds(self, content: Content, row: Row) -> bool:
        sql, args = self._matching(content, ("r.rid=?", [row.rid]))
        return bool(self.image.select(sql, args))

    def _refers_to(self, row: Row) -> bool:
        """Whether something in the service that may be seen refers to it, or it to that."""
        service = self.service
        targets = [target for type_, target in service.referring if type_ == row.type]
        if targets and any(self._holds(one) for one in self._referred(row, targets)):
            return True
        if row.type not in service.linked or row.rel != service.release:
            return False
        return self._linked(row) or any(self._holds(one) for one in self._tied(row))

    def _tied(self, row: Row) -> list[Row]:
        """What goes along by itself, and refers to this row."""
        types = orjson.dumps(sorted({type_ for type_, _ in self.service.referring})).decode()
        found = self.image.select(
            "SELECT s.rid FROM lnk l CROSS JOIN res s ON s.rid=l.rid"
            " WHERE l.type=? AND l.id=? AND s.rel=? AND s.live"
            " AND s.type IN (SELECT value FROM json_each(?))",
            (row.type, row.id, row.rel, types),
        )
        rows = self.image.rows([rid for (rid,) in found])
        return [one for one in rows if self.plain.sees(one)]

    def _referred(self, row: Row, types: list[str]) -> list[Row]:
        found = self.image.select(
            "SELECT t.rid FROM lnk l CROSS JOIN res t ON t.rel=? AND t.type=l.type AND t.id=l.id"
            " WHERE l.rid=? AND t.live AND t.type IN (SELECT value FROM json_each(?))",
            (row.rel, row.rid, orjson.dumps(types).decode()),
        )
        rows = self.image.rows([rid for (rid,) in found])
        return [one for one in rows if self.plain.sees(one)]

    def _linked(self, row: Row) -> bool:
        """Back along references, through what is linked itself, to what the service contains."""
        rel, linked = row.rel, orjson.dumps(sorted(self.service.linked)).decode()
        contents = frozenset(one.type for one in self.service.contains)
        seen, more = self.plain.visible(rel, self.service.types)("s")
        step = (
            "CROSS JOIN res t ON t.rid=b.rid CROSS JOIN lnk l ON l.type=t.type AND l.id=t.id"
            f" CROSS JOIN res s ON s.rid=l.rid WHERE s.rel=? AND s.live AND {seen}"
        )
        contained = replace(self, along=False)._inside(contents)("s")  # noqa: SLF001 - itself
        sql = (
            "WITH RECURSIVE back(rid) AS (SELECT ? UNION"
            f" SELECT s.rid FROM back b {step} AND s.type IN (SELECT value FROM json_each(?)))"
            f" SELECT 1 FROM back b {step} AND {contained[0]} LIMIT 1"
        )
        args = (row.rid, rel, *more, linked, rel, *more, *contained[1])
        return bool(self.image.select(sql, args))


def within(plain: Verdict, service: Service, now: datetime, known: Parameters) -> Narrowed:
    """A verdict that stays within a service; `known` are the parameters its contents use."""
    return Narrowed(
        plain.world,
        plain.image,
        plain.ask,
        plain.edges,
        plain.named,
        plain=plain,
        service=service,
        now=now,
        known=known,
    )
