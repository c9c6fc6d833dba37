"""Conditions of changes: which resource a search means, inside the turn; used by pgo.changing only.

Only what the caller may see counts: a hidden resource never matches, so that nobody learns from a
condition what he may not read. The search is strict: a parameter that is not known is refused.

Sources: https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #transaction (references).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from pgo.dossier.image import Row
from pgo.errors import (
    BadValue,
    Conflict,
    ManyMatches,
    NotFound,
    TooCostly,
    Unprocessable,
    Unsupported,
)
from pgo.fhir.bundle import Op, conditional
from pgo.fhir.query import Query

SEARCHES: Final = 100
"""How many different searches the conditions of one request may make."""


class Queries(Protocol):
    """Makes a query of a type and the text of a search; errors name `place`.

    `strict`: also when the caller prefers lenient handling.
    """

    def __call__(self, type_: str, asked: str, place: str, *, strict: bool = False) -> Query:
        """The query; raises what is wrong with it."""


@dataclass(slots=True)
class Conditions:
    """The conditions of one request, at one moment.

    `matches` gives the rows of a query that the caller may see, or raises when his token does not
    reach a search; `present` the newest version of (type, id) if he may see it.
    """

    queries: Queries | None
    matches: Callable[[Query, str], list[Row]]
    present: Callable[[str, str], Row | None]
    _found: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    _made: set[tuple[str, str]] = field(default_factory=set)

    def settled(self, op: Op) -> Op:
        """The same operation on the resource that its condition means.

        Raises:
            ManyMatches: more than one; NotFound: none to patch; Conflict, BadValue: the resource
            that was sent has an id that does not fit; Unprocessable: two entries would both make
            what neither found.
        """
        if op.condition is None:
            return op
        member = "ifNoneExist" if op.method == "POST" else "url"
        row = self._one(op.type, op.condition, f"{op.place}.request.{member}" if op.place else "")
        if row is None and op.method in {"POST", "PUT"}:
            self._once(op)
        if op.method == "POST":
            return replace(op, met=row.id) if row is not None else op
        if op.method == "PUT":
            return self._put(op, row)
        if row is None and op.method == "PATCH":
            raise NotFound("not found", place=op.place)
        return replace(op, id=row.id) if row is not None else op

    def _put(self, op: Op, row: Row | None) -> Op:
        sent = (op.tree or {}).get("id")
        place = f"{op.place}.resource.id" if op.place else f"{op.type}.id"
        if row is not None:
            if sent not in (None, row.id):
                raise BadValue("the resource's id is not that of the one resource", place=place)
            return replace(op, id=row.id)
        if sent is None:
            return replace(op, method="POST")
        if self.present(op.type, str(sent)) is not None:
            raise Conflict("another resource has this id already", place=place)
        return replace(op, id=str(sent))

    def references(self, op: Op, pending: frozenset[str]) -> dict[str, str]:
        """What the conditional references of an operation's resource mean, as Type/id.

        `pending` are those that mean what this very request makes.

        Raises:
            ManyMatches: more than one; Unprocessable: none; with the place of the reference.
        """
        names: dict[str, str] = {}
        start = f"{op.place}.resource" if op.place else op.type
        for type_, asked, place in conditional(op.tree, start):
            written = f"{type_}?{asked}"
            if written in names or written in pending:
                continue
            row = self._one(type_, asked, place)
            if row is None:
                raise Unprocessable("this reference is to nothing that is here", place=place)
            names[written] = f"{type_}/{row.id}"
        return names

    def _one(self, type_: str, asked: str, place: str) -> Row | None:
        rows = self._rows(type_, asked, place)
        if len(rows) > 1:
            raise ManyMatches("more than one resource fits this condition", place=place)
        return rows[0] if rows else None

    def _rows(self, type_: str, asked: str, place: str) -> list[Row]:
        known = self._found.get((type_, asked))
        if known is not None:
            return known
        if len(self._found) == SEARCHES:
            raise TooCostly(f"at most {SEARCHES} conditions in one request", place=place)
        if self.queries is None:
            raise Unsupported("conditions are not offered here", place=place)
        query = self.queries(type_, asked, place, strict=True)
        if not query.clauses:
            raise BadValue("a condition names at least one parameter", place=place)
        found = self._found[type_, asked] = self.matches(query, place)
        return found

    def _once(self, op: Op) -> None:
        key = (op.type, op.condition or "")
        if key in self._made:
            raise Unprocessable("two entries have the same condition", place=op.place)
        self._made.add(key)


def pending(ops: Sequence[Op]) -> frozenset[str]:
    """The conditional references that mean what these operations make: their own conditions."""
    return frozenset(
        f"{op.type}?{op.condition}"
        for op in ops
        if op.method == "POST" and op.condition is not None
    )
