"""The primitive types of FHIR: is this value one of its type; no elements, no codes, no places.

Formats: https://hl7.org/fhir/R4/datatypes.html#primitive. Beyond the formats: a date must exist in
the calendar, and a URI may not be of a kind that a program would run or open by itself. Looser
in one thing: a string of spaces only is taken, since published Dutch examples have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import orjson

from pgo.fhir import text

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE: Final = re.compile(r"[^\s]+(\s[^\s]+)*")
_URI: Final = re.compile(r"[^\s\x00-\x20\x7f<>\"`\\]+")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_OID: Final = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_UUID: Final = re.compile(r"urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?")
_ZONE: Final = re.compile(r"Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_SPACES: Final = re.compile(r"[ \t\r\n]")

_LARGEST: Final = 2**31 - 1
_LOWEST: Final = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
_HARMLESS: Final = ("http:", "https:", "urn:")  # the most there are
_RUNS: Final = frozenset(
    {
        *("javascript", "vbscript", "livescript", "data", "blob", "file", "filesystem"),
        *("about", "view-source", "jar", "mhtml", "ms-its", "res", "chrome", "intent"),
    }
)


def check_of(type_: str) -> Callable[[Any], str]:
    """What says why a value is not of a primitive type, in words without it; "" when it is."""
    return _CHECKS[type_]


def fault(type_: str, value: Any) -> str:
    """Why a value is not of a primitive type, in words without the value; "" when it is."""
    return _CHECKS[type_](value)


def opens_by_itself(uri: str) -> bool:
    """Whether a URI is of a kind that runs or embeds something, such as javascript: or data:."""
    if uri.startswith(_HARMLESS):
        return False
    scheme = _SCHEME.match(uri)
    return scheme is not None and scheme[1].lower() in _RUNS


def _boolean(value: Any) -> str:
    return "" if value is True or value is False else "This is not true or false."


def _whole(type_: str) -> Callable[[Any], str]:
    lowest = _LOWEST[type_]

    def check(value: Any) -> str:
        if type(value) is not orjson.Fragment:
            return "This is not a number."
        lexeme = text.number(value)
        good = _INTEGER.fullmatch(lexeme) and lowest <= int(lexeme) <= _LARGEST
        return "" if good else f"This is not a number of the type {type_}."

    return check


def _decimal(value: Any) -> str:
    return "" if type(value) is orjson.Fragment else "This is not a number."


def _words(value: Any) -> str:
    if type(value) is not str:
        return "This is not a string."
    return "" if value else "This string is empty."


def _like(pattern: re.Pattern[str], name: str) -> Callable[[Any], str]:
    matches, words = pattern.fullmatch, f"This is not a value of the type {name}."

    def check(value: Any) -> str:
        return "" if type(value) is str and matches(value) else words

    return check


def _uri(value: Any) -> str:
    if type(value) is not str or not _URI.fullmatch(value):
        return "This is not a URI."
    return "This kind of URI is not allowed." if opens_by_itself(value) else ""


def _day(value: str) -> bool:
    """A date, month or year that exists."""
    found = _DATE.fullmatch(value)
    if not found:
        return False
    year, month, day = found.groups("1")
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _moment(value: str) -> bool:
    """A full date, a time and a zone."""
    time = _TIME.match(value, 11)
    return (
        time is not None
        and value[10] == "T"
        and _day(value[:10])
        and _ZONE.fullmatch(value, time.end()) is not None
    )


def _date(value: Any) -> str:
    return "" if type(value) is str and _day(value) else "This is not a date."


def _date_time(value: Any) -> str:
    good = type(value) is str and (_moment(value) if "T" in value else _day(value))
    return "" if good else "This is not a date, or not a date with a time and a zone."


def _instant(value: Any) -> str:
    good = type(value) is str and _moment(value)
    return "" if good else "This is not a moment: date, time with seconds, and zone."


def _base64(value: Any) -> str:
    if type(value) is not str:
        return "This is not a string."
    dense = _SPACES.sub("", value)
    return "" if dense and len(dense) % 4 == 0 and _BASE64.fullmatch(dense) else "Not base64."


_CHECKS: Final[dict[str, Callable[[Any], str]]] = {
    "boolean": _boolean,
    "integer": _whole("integer"),
    "unsignedInt": _whole("unsignedInt"),
    "positiveInt": _whole("positiveInt"),
    "decimal": _decimal,
    "string": _words,
    "markdown": _words,
    "xhtml": _words,
    "code": _like(_CODE, "code"),
    "id": _like(_ID, "id"),
    "oid": _like(_OID, "oid"),
    "uuid": _like(_UUID, "uuid"),
    "uri": _uri,
    "url": _uri,
    "canonical": _uri,
    "date": _date,
    "dateTime": _date_time,
    "instant": _instant,
    "time": _like(_TIME, "time"),
    "base64Binary": _base64,
}
