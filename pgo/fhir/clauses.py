"""From search values to SQL conditions on the index tables; every value is bound.

A condition is made for one row of one table under an alias; `search` puts the rows together.
Comparing intervals follows the table of prefixes in R4 3.1.1.4.6: for `eq` the searched interval
holds the whole target; `gt` and `lt` ask for an overlap with what lies beyond it; `ge` and `le`
are either of the two; `sa` and `eb` ask for the whole target beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from pgo.fhir.moments import micros
from pgo.fhir.parameters import Parameter
from pgo.fhir.query import Clause
from pgo.fhir.tables import name_number, system_number
from pgo.fhir.values import (
    Missing,
    Moment,
    Number,
    Quantity,
    Reference,
    Text,
    Together,
    Token,
    Uri,
    Value,
)

Sql = tuple[str, list[Any]]
Row = Callable[[str, Any], Sql]
"""A condition on one row: takes the table's alias and the value."""

TABLES: Final[Mapping[str, str]] = {
    "token": "tok",
    "string": "str",
    "date": "dat",
    "number": "num",
    "quantity": "qty",
    "reference": "ref",
    "uri": "uri",
}
NOTHING: Final[Sql] = ("0", [])


def condition(clause: Clause, now: datetime) -> Sql:
    """A condition on `r`, the resource: one clause of the search."""
    parameter, modifier, values = clause.parameter, clause.modifier, clause.values
    if modifier == "missing":
        return _missing(parameter, values)
    if parameter.code == "_id":
        codes = [value.code for value in values if isinstance(value, Token)]
        return f"r.id IN ({_marks(codes)})", codes
    if parameter.code == "_lastUpdated":
        return _any(partial(interval, "r.at", "r.at + 1", now=now), values)
    if parameter.kind == "composite":
        return _any(partial(_composite, parameter, now), values)
    if modifier == "text":
        return _text(parameter, values)
    name, table, row = parameter.code, TABLES[parameter.kind], _rows(now)[parameter.kind]
    if modifier in {"of-type", "identifier"}:
        name, table, row = f"{name}:{modifier}", "tok", token
    elif modifier in {"exact", "contains"}:
        row = exact if modifier == "exact" else contains
    sql, args = _any(partial(row, "x"), values)
    found = f"(SELECT x.rid FROM {table} x WHERE x.p=? AND ({sql}))"
    return f"r.rid {'NOT ' * (modifier == 'not')}IN {found}", [name_number(name), *args]


def _rows(now: datetime) -> Mapping[str, Row]:
    return {
        "token": token,
        "string": starts,
        "date": partial(_moment, now),
        "number": number,
        "quantity": quantity,
        "reference": reference,
        "uri": uri,
    }


def _any(row: Callable[[Any], Sql], values: Sequence[Value]) -> Sql:
    made = [row(value) for value in values]
    return " OR ".join(f"({sql})" for sql, _ in made), [arg for _, args in made for arg in args]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _missing(parameter: Parameter, values: Sequence[Value]) -> Sql:
    asked = {value.missing for value in values if isinstance(value, Missing)}
    if len(asked) > 1:
        return "1", []
    wanted = asked == {True}
    if parameter.code in {"_id", "_lastUpdated"}:
        return "0" if wanted else "1", []
    name, kind = parameter.code, parameter.kind
    if kind == "composite":
        name, kind = f"{name}$0", parameter.components[0].kind
    found = f"EXISTS (SELECT 1 FROM {TABLES[kind]} x WHERE x.rid=r.rid AND x.p=?)"
    return f"{'NOT ' * wanted}{found}", [name_number(name)]


def _text(parameter: Parameter, values: Sequence[Value]) -> Sql:
    sql, args = _any(partial(starts, "x"), values)
    found = f"EXISTS (SELECT 1 FROM txt x WHERE x.rid=r.rid AND x.p=? AND ({sql}))"
    return found, [name_number(parameter.code), *args]


def _composite(parameter: Parameter, now: datetime, value: Together) -> Sql:
    """All parts in one occurrence: rows of one resource with one group number."""
    tables, where, args = [], [], []
    rows = _rows(now)
    for position, part in enumerate(value.parts):
        kind, alias = parameter.components[position].kind, f"x{position}"
        tie = f" ON {alias}.rid=x0.rid AND {alias}.g=x0.g" if position else ""
        tables.append(f"{TABLES[kind]} {alias}{tie}")
        sql, more = rows[kind](alias, part)
        where.append(f"{alias}.p=? AND ({sql})")
        args += [name_number(f"{parameter.code}${position}"), *more]
    found = f"SELECT x0.rid FROM {' JOIN '.join(tables)} WHERE {' AND '.join(where)}"
    return f"r.rid IN ({found})", args


# --- conditions on one row -----------------------------------------------------------------------


def token(x: str, value: Token) -> Sql:
    """`|code` asks for no system: none in a coding, or none possible in a plain code."""
    if value.system is None:
        return f"{x}.code=?", [value.code]
    number_ = system_number(value.system)
    system = f"{x}.sys=?" if number_ else f"({x}.sys IS NULL OR {x}.sys=?)"
    if value.code is None:
        return system, [number_]
    return f"{x}.code=? AND {system}", [value.code, number_]


def starts(x: str, value: Text) -> Sql:
    """Starts with, folded."""
    return f"{x}.v>=? AND {x}.v<?", [value.folded, _after(value.folded)]


def _after(prefix: str) -> str:
    """The first string after all strings that start with `prefix`."""
    for end in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[end]) + 1
        if code == 0xD800:  # noqa: PLR2004 - halves of pairs are no characters
            code = 0xE000
        if code <= 0x10FFFF:  # noqa: PLR2004 - the last character there is
            return prefix[:end] + chr(code)
    return "\U0010ffff" * (len(prefix) + 1)


def exact(x: str, value: Text) -> Sql:
    """The whole string as it was written."""
    return f"{x}.v=? AND coalesce({x}.raw, {x}.v)=?", [value.folded, value.exact]


def contains(x: str, value: Text) -> Sql:
    """Anywhere in the string, folded."""
    return f"instr({x}.v, ?)>0", [value.folded]


def reference(x: str, value: Reference) -> Sql:
    """A local reference, also when it was written with our own address; or a url."""
    if not value.id:
        return f"{x}.url=?", [value.url]
    if not value.type:
        return f"{x}.id=?", [value.id]
    local = f"{x}.id=? AND {x}.type=?"
    if not value.url:
        return local, [value.id, value.type]
    return f"({local}) OR {x}.url=?", [value.id, value.type, value.url]


def uri(x: str, value: Uri) -> Sql:
    """The same uri."""
    return f"{x}.v=?", [value.uri]


def _moment(now: datetime, x: str, value: Moment) -> Sql:
    return interval(f"{x}.lo", f"{x}.hi", value, now=now)


def interval(lo: str, hi: str, value: Moment, *, now: datetime) -> Sql:
    """A date against the half-open interval [lo, hi)."""
    start, end = value.start, value.end
    if value.prefix == "ap":
        slack = abs(micros(now) - start) // 10
        return f"{hi}>? AND {lo}<?", [start - slack, end + slack]
    sql, edges = {
        "eq": (f"{lo}>=? AND {hi}<=?", [start, end]),
        "ne": (f"{lo}<? OR {hi}>?", [start, end]),
        "gt": (f"{hi}>?", [end]),
        "lt": (f"{lo}<?", [start]),
        "ge": (f"{hi}>? OR {lo}>=?", [end, start]),
        "le": (f"{lo}<? OR {hi}<=?", [start, end]),
        "sa": (f"{lo}>=?", [end]),
        "eb": (f"{hi}<=?", [start]),
    }[value.prefix]
    return sql, edges


def number(x: str, value: Number) -> Sql:
    """A number against the closed range [lo, hi]; only `eq`, `ne` and `ap` look at precision."""
    low, high = value.near if value.prefix == "ap" else value.implied
    sql, edges = {
        "eq": (f"{x}.lo>=? AND {x}.hi<?", [low, high]),
        "ne": (f"{x}.lo<? OR {x}.hi>=?", [low, high]),
        "ap": (f"{x}.hi>=? AND {x}.lo<=?", [low, high]),
        "gt": (f"{x}.hi>?", [value.exact]),
        "lt": (f"{x}.lo<?", [value.exact]),
        "ge": (f"{x}.hi>=?", [value.exact]),
        "le": (f"{x}.lo<=?", [value.exact]),
        "sa": (f"{x}.lo>?", [value.exact]),
        "eb": (f"{x}.hi<?", [value.exact]),
    }[value.prefix]
    return sql, edges


def quantity(x: str, value: Quantity) -> Sql:
    """A number with a unit; without a system the unit may be the code or the word."""
    sql, args = number(x, value.number)
    if value.system is not None:
        sql, args = f"({sql}) AND {x}.sys=?", [*args, system_number(value.system)]
        if value.code is not None:
            sql, args = f"{sql} AND {x}.code=?", [*args, value.code]
    elif value.code is not None:
        sql, args = f"({sql}) AND ({x}.code=? OR {x}.unit=?)", [*args, value.code, value.code]
    return sql, args
