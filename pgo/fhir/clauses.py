"""From conditions of a search to SQL on the index tables; every value is bound.

A condition on a value is made for one row of one table under an alias; `search` puts the whole
together. A chain or `_has` is a subquery on resources of the type it leads to: live, visible to the
caller, and only by parameters he may use there, so that what is hidden cannot be felt from outside.
Comparing intervals follows the table of prefixes in R4 3.1.1.4.6: for `eq` the searched interval
holds the whole target; `gt` and `lt` ask for an overlap with what lies beyond it; `ge` and `le`
are either of the two; `sa` and `eb` ask for the whole target beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson

from pgo.fhir.conditions import Chain, Clause, Condition, Has
from pgo.fhir.moments import micros
from pgo.fhir.parameters import Parameter
from pgo.fhir.systems import implied, spellings
from pgo.fhir.tables import name_number, system_number
from pgo.fhir.units import SYSTEMS
from pgo.fhir.values import (
    Below,
    Family,
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
    Words,
)

Sql = tuple[str, list[Any]]
Row = Callable[[str, Any], Sql]
"""A condition on one row: takes the table's alias and the value."""
Blind = Callable[[str], frozenset[str]]
"""Takes a resource type; gives the codes of parameters the caller may not use on it."""
Visible = Callable[[str], tuple[str, Sequence[Any]]]
"""Takes the alias of a `res` row; gives an SQL boolean and its arguments."""

TABLES: Final[Mapping[str, str]] = {
    "token": "tok",
    "string": "str",
    "date": "dat",
    "period": "dat",
    "number": "num",
    "quantity": "qty",
    "reference": "ref",
    "uri": "uri",
    "words": "wds",
    "stop": "dat",
}
NOTHING: Final[Sql] = ("0", [])
_EVERYTHING: Final[Sql] = ("1", [])


@dataclass(frozen=True, slots=True)
class Scope:
    """What holds for a whole search: its release, who asks it, and when."""

    release: str
    visible: Visible
    blind: Blind
    now: datetime


@dataclass(frozen=True, slots=True)
class Spot:
    """The resource a condition is about: its alias in the statement and its type."""

    alias: str
    type: str

    def further(self, type_: str) -> Spot:
        """The spot one step away; aliases `r`, `r_`, `r__`."""
        return Spot(f"{self.alias}_", type_)


def condition(asked: Condition, spot: Spot, scope: Scope) -> Sql:
    """A condition on the resource at a spot; nothing meets one on what the caller may not use."""
    if isinstance(asked, Has):
        return _has(asked, spot, scope)
    if asked.parameter.code in scope.blind(spot.type):
        return NOTHING
    if isinstance(asked, Chain):
        made = [_along(asked.parameter, *way, spot, scope) for way in asked.ways]
        return " OR ".join(sql for sql, _ in made), [arg for _, args in made for arg in args]
    return _clause(asked, spot.alias, scope)


def _along(parameter: Parameter, type_: str, then: Condition, spot: Spot, scope: Scope) -> Sql:
    """What refers, by this parameter, to what is found at the other end."""
    there = spot.further(type_)
    t, found = there.alias, _found(there, then, scope)
    sql = (
        f"{spot.alias}.rid IN (SELECT x.rid FROM res {t} CROSS JOIN ref x"
        f" ON x.p=? AND x.id={t}.id AND x.type={t}.type AND x.g=0 WHERE {found[0]})"
    )
    return sql, [name_number(parameter.code), *found[1]]


def _has(asked: Has, spot: Spot, scope: Scope) -> Sql:
    """What is referred to, by this parameter, from what is found there."""
    if asked.parameter.code in scope.blind(asked.source):
        return NOTHING
    there = spot.further(asked.source)
    t, found = there.alias, _found(there, asked.condition, scope)
    sql = (
        f"{spot.alias}.id IN (SELECT x.id FROM res {t} CROSS JOIN ref x"
        f" ON x.rid={t}.rid AND x.p=? AND x.type=? AND x.g=0 AND x.id IS NOT NULL"
        f" WHERE {found[0]})"
    )
    return sql, [name_number(asked.parameter.code), spot.type, *found[1]]


def _found(there: Spot, then: Condition, scope: Scope) -> Sql:
    """The live, visible resources of a type that meet a condition."""
    sql, args = condition(then, there, scope)
    wanted, more = scope.visible(there.alias)
    t = there.alias
    where = f"{t}.rel=? AND {t}.type=? AND {t}.live=1 AND ({sql}) AND ({wanted})"
    return where, [scope.release, there.type, *args, *more]


def _clause(clause: Clause, r: str, scope: Scope) -> Sql:
    parameter, values = clause.parameter, clause.values
    if clause.modifier == "missing":
        return _missing(parameter, values, r)
    if parameter.kind == "stop":  # says what else is found, not what is left out
        return _EVERYTHING
    if parameter.code == "_id":
        codes = [value.code for value in values if isinstance(value, Token)]
        return f"{r}.id IN ({_marks(codes)})", codes
    if parameter.code == "_lastUpdated":
        return _any(partial(interval, f"{r}.at", f"{r}.at + 1", now=scope.now), values)
    if parameter.kind == "composite":
        return _any(partial(_composite, parameter, r, scope.now), values)
    if parameter.kind == "words":
        return _any(partial(_words, parameter, r), values)
    if clause.modifier == "text":
        return _text(parameter, values, r)
    return _by_row(clause, r, scope)


def _by_row(clause: Clause, r: str, scope: Scope) -> Sql:
    """What has a row that meets the condition or, with `:not`, has none."""
    parameter, modifier = clause.parameter, clause.modifier
    name, table, row = parameter.code, TABLES[parameter.kind], _rows(scope.now)[parameter.kind]
    if modifier in {"of-type", "identifier"}:
        name, table, row = f"{name}:{modifier}", "tok", token
    elif modifier in {"exact", "contains"}:
        row = exact if modifier == "exact" else contains
    elif parameter.kind == "token":
        row = partial(token, plain=implied(scope.release, parameter.url))
    sql, args = _any(partial(row, "x"), clause.values)
    found = f"(SELECT x.rid FROM {table} x WHERE x.p=? AND ({sql}))"
    return f"{r}.rid {'NOT ' * (modifier == 'not')}IN {found}", [name_number(name), *args]


def _rows(now: datetime) -> Mapping[str, Row]:
    return {
        "token": token,
        "string": starts,
        "date": partial(_moment, now),
        "period": partial(_period, now),
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


def _missing(parameter: Parameter, values: Sequence[Value], r: str) -> Sql:
    asked = {value.missing for value in values if isinstance(value, Missing)}
    if len(asked) > 1:
        return "1", []
    wanted = asked == {True}
    if parameter.code in {"_id", "_lastUpdated"}:
        return "0" if wanted else "1", []
    name, kind = parameter.code, parameter.kind
    if kind == "composite":
        name, kind = f"{name}$0", parameter.components[0].kind
    found = f"EXISTS (SELECT 1 FROM {TABLES[kind]} x WHERE x.rid={r}.rid AND x.p=?)"
    return f"{'NOT ' * wanted}{found}", [name_number(name)]


def _text(parameter: Parameter, values: Sequence[Value], r: str) -> Sql:
    sql, args = _any(partial(starts, "x"), values)
    found = f"EXISTS (SELECT 1 FROM txt x WHERE x.rid={r}.rid AND x.p=? AND ({sql}))"
    return found, [name_number(parameter.code), *args]


def _words(parameter: Parameter, r: str, value: Words) -> Sql:
    """Each word, or a longer one that begins so; `_content` looks in the narrative too."""
    names = ["_text", "_content"] if parameter.code == "_content" else [parameter.code]
    numbers = [name_number(name) for name in names]
    sql = (
        f"EXISTS (SELECT 1 FROM wds x WHERE x.rid={r}.rid AND x.p IN ({_marks(numbers)})"
        " AND instr(x.v, ?)>0)"
    )
    made = [(sql, [*numbers, f" {word}"]) for word in value.words]
    return " AND ".join(sql for sql, _ in made), [arg for _, args in made for arg in args]


def _composite(parameter: Parameter, r: str, now: datetime, value: Together) -> Sql:
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
    return f"{r}.rid IN ({found})", args


# --- conditions on one row -----------------------------------------------------------------------


def token(x: str, value: Token | Family, plain: frozenset[str] = frozenset()) -> Sql:
    """`|code` asks for no system: none in a coding, or none possible in a plain code.

    `plain` are the systems that the plain codes of this parameter are of, though they do not say.
    """
    if isinstance(value, Family):
        codes = orjson.dumps(value.codes).decode()
        sql, args = _system(x, value.system, plain)
        return f"{x}.code IN (SELECT value FROM json_each(?)) AND {sql}", [codes, *args]
    if value.system is None:
        return f"{x}.code=?", [value.code]
    sql, args = _system(x, value.system, plain)
    if value.code is None:
        return sql, args
    return f"{x}.code=? AND {sql}", [value.code, *args]


def _system(x: str, system: str, plain: frozenset[str]) -> Sql:
    if not system:
        return f"({x}.sys IS NULL OR {x}.sys=?)", [system_number(system)]
    numbers = [system_number(one) for one in spellings(system)]
    same = f"{x}.sys=?" if len(numbers) == 1 else f"{x}.sys IN ({_marks(numbers)})"
    return (f"({same} OR {x}.sys IS NULL)" if system in plain else same), numbers


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


def uri(x: str, value: Uri | Below) -> Sql:
    """The same uri, or one below it."""
    if isinstance(value, Uri):
        return f"{x}.v=?", [value.uri]
    under = f"{value.uri}/"
    return f"{x}.v=? OR ({x}.v>=? AND {x}.v<?)", [value.uri, under, _after(under)]


def _moment(now: datetime, x: str, value: Moment) -> Sql:
    return interval(f"{x}.lo", f"{x}.hi", value, now=now)


def _period(now: datetime, x: str, value: Moment) -> Sql:
    """A period of use: `ge` and `le` ask whether there is use on that day or beyond it."""
    if value.prefix == "ge":
        return f"{x}.hi>?", [value.start]
    if value.prefix == "le":
        return f"{x}.lo<?", [value.end]
    return _moment(now, x, value)


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
    if value.alike:
        made = [_in_unit(x, number_, codes) for number_, codes in value.alike]
        systems = [system_number(one) for one in SYSTEMS]
        sql = " OR ".join(f"({sql})" for sql, _ in made)
        args = [*systems, *(arg for _, args in made for arg in args)]
        return f"{x}.sys IN ({_marks(systems)}) AND ({sql})", args
    sql, args = number(x, value.number)
    if value.system is not None:
        sql, args = f"({sql}) AND {x}.sys=?", [*args, system_number(value.system)]
        if value.code is not None:
            sql, args = f"{sql} AND {x}.code=?", [*args, value.code]
    elif value.code is not None:
        sql, args = f"({sql}) AND ({x}.code=? OR {x}.unit=?)", [*args, value.code, value.code]
    return sql, args


def _in_unit(x: str, number_: Number, codes: Sequence[str]) -> Sql:
    sql, args = number(x, number_)
    return f"{x}.code IN ({_marks(codes)}) AND ({sql})", [*codes, *args]
