"""Which part of a history is asked for: `_since`, `_at`, `_count`; pure.

Source: https://hl7.org/fhir/R4/http.html#history. Moments are µs since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pgo.errors import BadValue, Unsupported
from pgo.fhir.moments import interval

PAGE: Final = 50
MOST: Final = 200
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Span:
    """The versions asked for: made at or after `since`; the newest ones at some time in `at`."""

    since: int | None = None
    at: tuple[int, int] | None = None
    count: int = PAGE
    cursor: str = ""


def span(pairs: Sequence[tuple[str, str]]) -> Span:
    """The span of a history's parameters.

    Raises:
        Unsupported: another parameter; BadValue: a value that is none, or a name given twice.
    """
    found, seen = Span(), set[str]()
    for name, value in pairs:
        place = name[:64]
        if name in seen:
            raise BadValue("this parameter may be given once", place=place)
        seen.add(name)
        if name == "_cursor":
            found = replace(found, cursor=value)
        elif name == "_count":
            if not value.isdecimal() or not value.isascii():
                raise BadValue("write a whole number", place=place)
            found = replace(found, count=max(1, min(int(value[:_DIGITS]), MOST)))
        elif name == "_since":
            found = replace(found, since=_moment(value, place)[0])
        elif name == "_at":
            found = replace(found, at=_moment(value, place))
        else:
            raise Unsupported("a history knows _since, _at and _count", place=place)
    return found


def _moment(value: str, place: str) -> tuple[int, int]:
    """An instant, or a date that stands for its whole day, month or year; a plus may be a space."""
    try:
        return interval(value.replace(" ", "+"))
    except ValueError:
        raise BadValue("this is not a moment", place=place) from None
