"""From one FHIR value to index rows, per kind of search parameter; no paths, no SQL.

A converter takes the parameter's name, the value, its resource and the rows to add to. The shape
of the value says what it is (a `coding` makes a CodeableConcept); in JSON that is enough, and it
also serves types of later releases. A value that is there but has nothing to search on leaves a
row of nulls, so that `:missing` can see it. Rows are those of `pgo.fhir.tables`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from orjson import Fragment

from pgo.fhir import decimals, moments
from pgo.fhir.paths import contained_type
from pgo.fhir.text import number
from pgo.fhir.words import content, fold, narrative

Out = dict[str, list[tuple[Any, ...]]]
Converter = Callable[[str, Any, Any, Out], None]

LOCAL: Final = re.compile(
    r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII
)
"""A relative reference to a resource, with or without version."""

_CURRENCY: Final = "urn:iso:std:iso:4217"
_CONTACT: Final = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})
_WORDS: Final = (
    "text",
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "state",
    "country",
    "postalCode",
)


def token(p: str, value: Any, _root: Any, out: Out) -> None:
    """Coding, CodeableConcept, Identifier, ContactPoint, code, id, string, boolean."""
    kind = type(value)
    if kind is dict:
        if "coding" in value:
            for coding in value["coding"]:
                _coding(p, coding, out)
        elif "value" in value and value.get("system") not in _CONTACT:
            _identifier(p, value, out)
        elif "value" in value:
            out["tok"].append((p, "", value["value"]))
        else:
            _coding(p, value, out)
        if "text" in value:
            out["txt"].append((p, fold(value["text"])))
    elif kind is bool:
        out["tok"].append((p, None, "true" if value else "false"))
    elif kind is str:
        out["tok"].append((p, None, value))
    elif kind is Fragment:
        out["tok"].append((p, None, number(value)))


def _coding(p: str, coding: dict[str, Any], out: Out) -> None:
    out["tok"].append((p, coding.get("system", ""), coding.get("code")))
    if "display" in coding:
        out["txt"].append((p, fold(coding["display"])))


def _identifier(p: str, identifier: dict[str, Any], out: Out) -> None:
    value = identifier["value"]
    if type(value) is not str:
        out["tok"].append((p, None, None))
        return
    out["tok"].append((p, identifier.get("system", ""), value))
    for coding in identifier.get("type", {}).get("coding", ()):
        typed = f"{coding.get('code', '')}|{value}"
        out["tok"].append((f"{p}:of-type", coding.get("system", ""), typed))


def string(p: str, value: Any, _root: Any, out: Out) -> None:
    """String, HumanName or Address: every part is a row of its own."""
    if type(value) is str:
        _string(p, value, out)
        return
    before = len(out["str"])
    if type(value) is dict:
        for name in _WORDS:
            part = value.get(name)
            for one in part if type(part) is list else (part,):
                if type(one) is str:
                    _string(p, one, out)
    if len(out["str"]) == before:
        out["str"].append((p, None, None))


def _string(p: str, value: str, out: Out) -> None:
    folded = fold(value)
    out["str"].append((p, folded, None if folded == value else value))


def date(p: str, value: Any, _root: Any, out: Out) -> None:
    """Date, dateTime, instant, Period, Timing (its outer limits)."""
    row = _outer(value)
    out["dat"].append((p, *row) if row else (p, None, None))


def _outer(value: Any) -> moments.Interval | None:
    if type(value) is str:
        try:
            return moments.interval(value)
        except ValueError:
            return None
    if type(value) is not dict:
        return None
    if "start" in value or "end" in value:
        start, end = _outer(value.get("start")), _outer(value.get("end"))
        return (start[0] if start else moments.EARLIEST, end[1] if end else moments.LATEST)
    parts = [_outer(event) for event in value.get("event", ())]
    parts.append(_outer(value.get("repeat", {}).get("boundsPeriod")))
    known = [part for part in parts if part]
    return (min(lo for lo, _ in known), max(hi for _, hi in known)) if known else None


def numeric(p: str, value: Any, _root: Any, out: Out) -> None:
    """Number, or Range or Quantity without looking at the unit."""
    out["num"].append((p, *_range(value)))


def quantity(p: str, value: Any, _root: Any, out: Out) -> None:
    """Quantity and its kinds, Money, Range; a comparator makes it half open."""
    unit = value if type(value) is dict else {}
    for side in ("low", "high"):
        unit = unit.get(side, unit)
    if "currency" in unit:
        unit = {"system": _CURRENCY, "code": unit["currency"]}
    system, code, word = unit.get("system", ""), unit.get("code"), unit.get("unit")
    out["qty"].append((p, *_range(value), system, code, word))


def _range(value: Any) -> tuple[str | None, str | None]:
    """Lowest and highest key of a number, string of digits, Quantity or Range."""
    if type(value) is dict and ("low" in value or "high" in value):
        low, high = _range(value.get("low"))[0], _range(value.get("high"))[1]
        return low or decimals.LOWEST, high or decimals.HIGHEST
    exact = _key(value.get("value") if type(value) is dict else value)
    if exact is None:
        return None, None
    sign = value.get("comparator", "") if type(value) is dict else ""
    if sign[:1] == "<":
        return decimals.LOWEST, exact if sign == "<=" else decimals.just_below(exact)
    if sign[:1] == ">":
        return exact if sign == ">=" else decimals.just_above(exact), decimals.HIGHEST
    return exact, exact


def _key(value: Any) -> str | None:
    try:
        if type(value) is Fragment:
            return decimals.key(Decimal(number(value)))
        return decimals.key(decimals.read(value)) if type(value) is str else None
    except ValueError:
        return None


def reference(p: str, value: Any, root: Any, out: Out) -> None:
    """Reference, canonical, uri, or a resource in a Bundle; identifiers of logical ones too."""
    if type(value) is str:
        _literal(p, value, root, out)
        return
    if type(value) is not dict:
        return
    if "resourceType" in value:
        out["ref"].append((p, value["resourceType"], value.get("id"), None))
        return
    literal = value.get("reference")
    if type(literal) is str:
        _literal(p, literal, root, out)
    else:
        out["ref"].append((p, value.get("type"), None, None))
    if type(value.get("identifier")) is dict:
        identifier = value["identifier"]
        if type(identifier.get("value")) is str:
            row = (f"{p}:identifier", identifier.get("system", ""), identifier["value"])
            out["tok"].append(row)


def _literal(p: str, literal: str, root: Any, out: Out) -> None:
    match = LOCAL.fullmatch(literal)
    if match:
        out["ref"].append((p, match[1], match[2], None))
    elif literal.startswith("#"):
        out["ref"].append((p, contained_type(root, literal[1:]) or None, None, None))
    else:
        plain = literal.partition("/_history/")[0]
        parts = plain.split("/")
        named = parts[-2] if len(parts) > 1 and LOCAL.fullmatch("/".join(parts[-2:])) else None
        out["ref"].append((p, named, None, plain))
        if "|" in plain:
            out["ref"].append((p, None, None, plain.partition("|")[0]))


def uri(p: str, value: Any, _root: Any, out: Out) -> None:
    """Uri, url, oid, canonical; a canonical with a version also without it."""
    if type(value) is str:
        out["uri"].append((p, value))
        if "|" in value:
            out["uri"].append((p, value.partition("|")[0]))


def words(p: str, value: Any, _root: Any, out: Out) -> None:
    """A whole resource: the words of its narrative, or those elsewhere in it."""
    line = narrative(value) if p == "_text" else content(value)
    if line:
        out["wds"].append((p, line))


CONVERTERS: Final[Mapping[str, Converter]] = {
    "token": token,
    "string": string,
    "date": date,
    "number": numeric,
    "quantity": quantity,
    "reference": reference,
    "uri": uri,
}
