"""A dossier as far as it belongs to one service: the verdict of consent, made narrower.

Every door of the vault asks a verdict: of one row, or as SQL for a whole search. This one says no
to what the service does not contain, so counts, totals, includes and later pages never show more
than the service may. What belongs to it is worked out once per request, from what the caller may
see: nothing belongs to the service because something hidden refers to it.
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
_NO: Final[tuple[str, list[Any]]] = ("0", [])
Sql = tuple[str, list[Any]]


@dataclass
class Narrowed(Verdict):
    """A verdict within a service; `plain` is the verdict without it."""

    plain: Verdict = field(kw_only=True)
    service: Service = field(kw_only=True)
    now: datetime = field(kw_only=True)
    known: Parameters = field(kw_only=True)
    _inside: frozenset[int] | None = None

    def row(self, row: Row, action: str = "lezen") -> Decision:
        """The decision about one row; what is outside the service is refused."""
        decision = self.plain.row(row, action)
        if decision.permit and row.rid not in self._rids():
            return replace(decision, permit=False, reason=OUTSIDE, grants=())
        return decision

    def decide(self, action: str, facet: Facet, id_: str = "", day: int | None = None) -> Decision:
        """What consent says of a facet, whatever the service contains."""
        return self.plain.decide(action, facet, id_, day)

    def knows(self, facet: Facet) -> Decision:
        """May the caller know of the dossier? The service does not matter for that."""
        return self.plain.knows(facet)

    def visible(self, rel: str, types: Iterable[str] | None) -> Callable[[str], Sql]:
        """The rows of these types (None: all) that may be read and belong to the service."""
        if rel != self.service.release:
            return lambda _alias: _NO
        wanted = self.service.types if types is None else frozenset(types) & self.service.types
        permitted = self.plain.visible(rel, wanted)
        named = orjson.dumps(sorted(self._rids())).decode()

        def on(alias: str) -> Sql:
            sql, args = permitted(alias)
            return f"({sql} AND {alias}.rid IN (SELECT value FROM json_each(?)))", [*args, named]

        return on

    def _rids(self) -> frozenset[int]:
        """The live resources of the service that may be read, worked out when first needed."""
        if self._inside is None:
            self._inside = frozenset(self._found())
        return self._inside

    def _found(self) -> set[int]:
        rel, service = self.service.release, self.service
        parts = [self._matching(content) for content in service.contains]
        union = " UNION ".join(f"SELECT * FROM ({sql})" for sql, _ in parts)
        bound = [arg for _, args in parts for arg in args]
        wanted, more = self.plain.visible(rel, service.types)("t")
        linked = orjson.dumps(sorted(service.linked)).decode()
        forth = (
            "SELECT t.rid FROM inside i JOIN lnk l ON l.rid=i.rid"
            " JOIN res t ON t.rel=? AND t.type=l.type AND t.id=l.id"
            f" WHERE t.live AND t.type IN (SELECT value FROM json_each(?)) AND {wanted}"
        )
        back = (
            "SELECT t.rid FROM inside i JOIN res s ON s.rid=i.rid AND s.type=?"
            " JOIN lnk l ON l.type=s.type AND l.id=s.id"
            f" JOIN res t ON t.rid=l.rid AND t.rel=s.rel WHERE t.live AND t.type=? AND {wanted}"
        )
        bound += [rel, linked, *more]
        for type_, target in sorted(service.referring):
            bound += [target, type_, *more]
        steps = " UNION ".join([forth, *([back] * len(service.referring))])
        sql = f"WITH RECURSIVE inside(rid) AS ({union} UNION {steps})"
        return {rid for (rid,) in self.image.select(f"{sql} SELECT rid FROM inside", bound)}

    def _matching(self, content: Content) -> Sql:
        """The rows that are in the service by themselves, as far as the caller may see them."""
        release, type_ = self.service.release, content.type
        query = parse(release, type_, content.pairs, parameters=self.known)
        visible = self.plain.visible(release, (type_,))
        made = compiled(query, visible, now=self.now)
        return made.sql, list(made.args)


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
