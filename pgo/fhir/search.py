"""Search on the image of one dossier: a Query becomes one SQL statement; nothing is run here.

The verdict of consent is part of every statement, so that counts, order and includes cannot show
what the caller may not see. `res` is the image's own table of newest versions
(`pgo.dossier.image`); the index tables are those of `pgo.fhir.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from pgo.fhir.clauses import TABLES, Blind, Scope, Spot, Visible, condition, leading
from pgo.fhir.comparing import Sql
from pgo.fhir.conditions import Clause, Condition, Either
from pgo.fhir.index import STRANGE
from pgo.fhir.parameters import COLUMNS
from pgo.fhir.query import Include, Query, SortKey, parse
from pgo.fhir.special import period_of_use
from pgo.fhir.tables import name_number
from pgo.fhir.values import Missing, Moment, Together, Value

ITERATIONS: Final = 2
ADDED: Final = 1_000
"""Most resources that includes may add to one page."""

_ORDERED: Final = {
    "token": ("code", "code"),
    "string": ("v", "v"),
    "date": ("lo", "lo"),
    "period": ("lo", "lo"),
    "number": ("lo", "hi"),
    "quantity": ("canonical(x.lo, x.sys, x.code)", "canonical(x.hi, x.sys, x.code)"),
    "reference": ("coalesce(x.type || '/' || x.id, x.url)",) * 2,
    "uri": ("v", "v"),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and what is bound to it."""

    sql: str
    args: tuple[Any, ...]


def sighted(_type: str) -> frozenset[str]:
    """For who may search on everything."""
    return frozenset()


def compile(  # noqa: A001 - what it does; nobody needs the builtin here
    query: Query,
    visible: Visible,
    *,
    blind: Blind = sighted,
    now: datetime,
    columns: str = "r.rid",
) -> Statement:
    """The statement that gives the `rid` of all matches, in order.

    Args:
        query: from `parse`.
        visible: the verdict on resources of `query.types`; called for `r` and aliases that begin
            with it.
        blind: per type the codes the caller may not search on: such a clause matches nothing
            (`:missing` and `:not` too), and such a sort key does not order.
        now: for the prefix `ap`.
        columns: of `res r` to give instead of the `rid` alone.
    """
    scope = Scope(query.release, visible, blind, now)
    spot = Spot("r", query.type, leading(query.clauses, query.release))
    wanted, args = visible("r")
    where = ["r.rel=?", "r.type=?", "r.live=1", f"({wanted})"]
    bound: list[Any] = [query.release, query.type, *args]
    stop = next((one for one in query.clauses if _asks_for_stops(one)), None)
    for clause in query.clauses:
        sql, more = condition(clause, spot, scope)
        if stop is not None and _is_period(clause):
            also, others = _latest_stops(stop, query.type, scope)
            sql, more = f"{sql} OR r.rid IN ({also})", [*more, *others]
        where.append(f"({sql})")
        bound += more
    order, more = _order(query.sort, blind(query.type))
    sql = f"SELECT {columns} FROM res r WHERE {' AND '.join(where)} ORDER BY {order}"
    return Statement(sql, (*bound, *more))


def lasts(query: Query) -> bool:
    """Whether its statement hangs on what is visible of `r` and on nothing else.

    Not on the moment it is asked (`ap`), nor on what may be seen of other resources.
    """
    return all(map(_lasts, query.clauses))


def _lasts(asked: Condition) -> bool:
    if isinstance(asked, Either):
        return all(map(_lasts, asked.conditions))
    if not isinstance(asked, Clause) or asked.parameter.kind == "stop":
        return False
    return not any(map(_is_about_now, asked.values))


def _is_about_now(value: Value) -> bool:
    if isinstance(value, Together):
        return any(map(_is_about_now, value.parts))
    return isinstance(value, Moment) and value.prefix == "ap"


def _asks_for_stops(clause: Condition) -> bool:
    return isinstance(clause, Clause) and (
        clause.parameter.kind == "stop" and Missing(missing=True) in clause.values
    )


def _is_period(clause: Condition) -> bool:
    special = clause.parameter.special
    return special is not None and special.convert is period_of_use


def _latest_stops(clause: Condition, type_: str, scope: Scope) -> Sql:
    """Of each treatment and kind of building block the last stop that the caller may see.

    A stop with a modifierExtension that is not understood takes no other's place: who cannot use it
    would have no stop at all.
    """
    wanted, more = scope.visible("r_")
    number = name_number(clause.parameter.code)
    ranked = (
        "SELECT r_.rid AS rid, row_number() OVER (PARTITION BY k.code,"
        " EXISTS (SELECT 1 FROM tok s WHERE s.rid=d.rid AND +s.p=?)"
        " ORDER BY d.lo DESC, r_.rid DESC) AS place"
        " FROM dat d CROSS JOIN res r_ ON r_.rid=d.rid CROSS JOIN tok k ON k.rid=d.rid AND k.p=?"
        f" WHERE d.p=? AND r_.rel=? AND r_.type=? AND r_.live=1 AND ({wanted})"
    )
    args = [name_number(STRANGE), number, number, scope.release, type_, *more]
    return f"SELECT rid FROM ({ranked}) WHERE place=1", args


def _order(sort: Sequence[SortKey], blind: frozenset[str]) -> Sql:
    """Missing values come last; of several values the lowest counts, or the highest when turned."""
    parts, args = [], []
    for key in sort:
        code, kind = key.parameter.code, key.parameter.kind
        turned = "DESC" if key.descending else "ASC"
        if code in blind:
            continue
        if code in COLUMNS:
            parts.append(f"r.{COLUMNS[code]} {turned}")
            continue
        column = _ORDERED[kind][key.descending]
        column = column if "(" in column else f"x.{column}"
        edge = f"{'max' if key.descending else 'min'}({column})"
        # The plus keeps SQLite from walking the index by value: 4 ms became 0.3 ms.
        found = f"SELECT {edge} FROM {TABLES[kind]} x WHERE x.rid=r.rid AND +x.p=?"
        parts.append(f"({found}) {turned} NULLS LAST")
        args.append(name_number(code))
    return ", ".join([*parts, "r.rid"]), args


# --- includes ------------------------------------------------------------------------------------


def included(
    query: Query,
    rids: Sequence[int],
    visible: Visible,
    *,
    blind: Blind = sighted,
    types: Iterable[str] = ("Patient",),
) -> Statement:
    """The statement that gives the `rid` of what `_include` and `_revinclude` add to these matches.

    Args:
        query: from `parse`.
        rids: the matches of one page.
        visible: the verdict on resources of `query.included_types`; called for the aliases `a`
            and `b`, once or more for each step.
        blind: per type the codes the caller may not use; such references are not followed.
        types: the types for which `blind` may give something, for what leads from every type.

    Returns:
        A statement without rows when nothing is to be added; at most `ADDED` and one more.
        `:iterate` goes two steps further.
    """
    if not query.includes or not rids:
        return Statement("SELECT rid FROM res WHERE 0", ())
    closed = {type_: codes for type_ in types if (codes := blind(type_))}
    ways = [(one, _way(one, {**closed, one.source: blind(one.source)})) for one in query.includes]
    again = [way for way in ways if way[0].iterate]
    steps = [_step("m", ways, visible)]
    steps += [_step(f"s{n}", again, visible) for n in range(ITERATIONS if again else 0)]
    bound = [orjson.dumps(list(rids)).decode(), *(arg for _, args in steps for arg in args)]
    tables = ", ".join(f"s{n}(rid) AS MATERIALIZED ({sql})" for n, (sql, _) in enumerate(steps))
    union = " UNION ".join(f"SELECT rid FROM s{n}" for n in range(len(steps)))
    return Statement(
        f"WITH m(rid) AS MATERIALIZED (SELECT value FROM json_each(?)), {tables}"
        f" SELECT rid FROM ({union}) WHERE rid NOT IN (SELECT rid FROM m) ORDER BY rid"
        f" LIMIT {ADDED + 1}",
        tuple(bound),
    )


def _way(include: Include, closed: dict[str, frozenset[str]]) -> Sql:
    """A condition on a reference `x` from the resource `a` to the resource `b`."""
    parts, args = ["x.g=0"], list[Any]()
    if include.source:
        parts.append("a.type=?")
        args.append(include.source)
    if include.code != "*":
        parts.append("x.p=?")
        args.append(name_number(include.code))
    if include.target:
        parts.append("b.type=?")
        args.append(include.target)
    for type_, codes in closed.items():
        if codes and include.source in {"", type_}:
            marks = ",".join("?" * len(codes))
            parts.append(f"NOT (a.type=? AND x.p IN ({marks}))")
            args += [type_, *map(name_number, sorted(codes))]
    return " AND ".join(parts), args


def _step(source: str, ways: Sequence[tuple[Include, Sql]], visible: Visible) -> Sql:
    """From the resources in `source` along references, to what may be seen."""
    forth = [way for include, way in ways if not include.reverse]
    back = [way for include, way in ways if include.reverse]
    made = [_forth(source, forth, visible)] if forth else []
    made += [_back(source, way, visible) for way in back]
    return " UNION ".join(sql for sql, _ in made), [arg for _, args in made for arg in args]


def _forth(source: str, ways: Sequence[Sql], visible: Visible) -> Sql:
    wanted, more = visible("b")
    sql = (
        f"SELECT DISTINCT b.rid FROM {source} CROSS JOIN res a ON a.rid={source}.rid"
        " CROSS JOIN ref x ON x.rid=a.rid"
        " CROSS JOIN res b ON b.rel=a.rel AND b.type=x.type AND b.id=x.id"
        f" WHERE b.live=1 AND ({' OR '.join(f'({way})' for way, _ in ways)}) AND ({wanted})"
    )
    return sql, [*(arg for _, args in ways for arg in args), *more]


def _back(source: str, way: Sql, visible: Visible) -> Sql:
    """`lnk` says which resources refer here at all; `ref` whether by a parameter that counts."""
    wanted, more = visible("a")
    sql = (
        f"SELECT DISTINCT a.rid FROM {source} CROSS JOIN res b ON b.rid={source}.rid"
        " CROSS JOIN lnk l ON l.type=b.type AND l.id=b.id"
        " CROSS JOIN res a ON a.rid=l.rid AND a.rel=b.rel"
        " CROSS JOIN ref x ON x.rid=a.rid AND x.type=b.type AND x.id=b.id"
        f" WHERE a.live=1 AND {way[0]} AND ({wanted})"
    )
    return sql, [*way[1], *more]


__all__ = [
    "Blind",
    "Include",
    "Query",
    "Statement",
    "Visible",
    "compile",
    "included",
    "lasts",
    "parse",
    "sighted",
]
