"""Moments: microseconds since 1970 UTC inside, FHIR instants outside."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def micros(moment: datetime) -> int:
    """µs since 1970 UTC of a moment with a time zone."""
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def moment(at: int) -> datetime:
    """The moment, in UTC, of µs since 1970."""
    seconds, rest = divmod(at, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def instant(at: int) -> str:
    """A FHIR instant, in UTC with milliseconds, of µs since 1970."""
    return f"{moment(at).isoformat(timespec='milliseconds')[:-6]}Z"


def http_date(at: int) -> str:
    """An HTTP date (RFC 9110 5.6.7) of µs since 1970."""
    return _http_date(at // 1_000_000)


@lru_cache(maxsize=1_024)
def _http_date(at: int) -> str:
    """Of a second since 1970; without strftime, which took 8 µs of 10."""
    year, month, day, hour, minute, second, weekday, *_ = gmtime(at)
    date = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month]} {year:04}"
    return f"{date} {hour:02}:{minute:02}:{second:02} GMT"
