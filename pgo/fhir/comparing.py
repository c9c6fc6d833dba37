"""From one value that is asked to an SQL condition on one row of an index table; all is bound.

Comparing intervals follows the table of prefixes in R4 3.1.1.4.6: for `eq` the searched interval
holds the whole target; `gt` and `lt` ask for an overlap with what lies beyond it; `ge` and `le`
are either of the two; `sa` and `eb` ask for the whole target beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from pgo.fhir.systems import spellings
from pgo.fhir.tables import system_number
from pgo.fhir.units import SYSTEMS
from pgo.fhir.values import Below, Family, Moment, Number, Quantity, Reference, Text, Token, Uri
from pgo.moment import micros

Sql = tuple[str, list[Any]]
Row = Callable[[str, Any], Sql]
"""A condition on one row: takes the table's alias and the value."""


def by_kind(now: datetime) -> Mapping[str, Row]:
    """The condition for each kind of parameter; `now` is for the prefix `ap`."""
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


def marks(values: Sequence[object]) -> str:
    """A placeholder for each value."""
    return ",".join("?" * len(values))


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
    same = f"{x}.sys=?" if len(numbers) == 1 else f"{x}.sys IN ({marks(numbers)})"
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
        return f"{x}.sys IN ({marks(systems)}) AND ({sql})", args
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
    return f"{x}.code IN ({marks(codes)}) AND ({sql})", [*codes, *args]
