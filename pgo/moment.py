"""Moments: microseconds since 1970 UTC inside, FHIR instants outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


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
    when = moment(at)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def http_date(at: int) -> str:
    """An HTTP date (RFC 9110 5.6.7) of µs since 1970."""
    when = moment(at)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[when.weekday()]
    return f"{day}, {when:%d} {_MONTHS[when.month * 3 - 3 : when.month * 3]} {when:%Y %H:%M:%S} GMT"
