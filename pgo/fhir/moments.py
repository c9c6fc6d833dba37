"""FHIR dates and times as half-open intervals of microseconds since 1970 UTC; no search rules.

`2024-03` is the whole month. What has no zone is Dutch local time. The rule for summer time is
here, not in the machine's tables: rows in the image and the dates of a search must use the same
rule wherever they are made (the tables of `tzdata` before 1977 changed in 2022, and would shift
birth dates), and it takes 0.1 µs. Before 1977 local time counts as UTC+1.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from functools import lru_cache
from typing import Final

Interval = tuple[int, int]

EARLIEST: Final = -(2**62)
"""Start of an interval that is open at the start."""
LATEST: Final = 2**62

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MOMENT: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def interval(text: str) -> Interval:
    """The interval of a FHIR date, dateTime, instant or partial date.

    Raises:
        ValueError: not a moment, or not on the calendar.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("not a moment")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        return _days(int(year), month, day)
    start = _midnight(int(year), int(month), int(day))
    start += _clock(int(hour), int(minute), int(second or 0))
    width = _MINUTE if second is None else _SECOND
    if fraction:
        start += int(fraction[:6].ljust(6, "0"))
        width = 10 ** max(0, 6 - len(fraction))
    start = start - _offset(zone) if zone else _utc(start, int(year))
    return start, start + width


def _days(year: int, month: str | None, day: str | None) -> Interval:
    if month is None:
        start, days = _midnight(year, 1, 1), 365 + (monthrange(year, 2)[1] == 29)  # noqa: PLR2004
    elif day is None:
        start, days = _midnight(year, int(month), 1), monthrange(year, int(month))[1]
    else:
        start, days = _midnight(year, int(month), int(day)), 1
    return _utc(start, year), _utc(start + days * _DAY, year)


def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH) * _DAY


def _clock(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004 - a clock; 60 is a leap second
        raise ValueError("not on the clock")
    return hour * _HOUR + minute * _MINUTE + second * _SECOND


def _offset(zone: str) -> int:
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 14 or minutes > 59:  # noqa: PLR2004 - a clock; +14:00 is the largest in FHIR
        raise ValueError("not a zone")
    size = hours * _HOUR + minutes * _MINUTE
    return -size if zone[0] == "-" else size


def _utc(local: int, year: int) -> int:
    """Dutch local time to UTC; of an hour that comes twice, the first."""
    start, end = _summer(year)
    return local - (2 * _HOUR if start <= local < end else _HOUR)


@lru_cache(maxsize=512)
def _summer(year: int) -> Interval:
    """Summer time of a year, in local time as it is written: 03:00 after the change, until 03:00.

    Changes at 01:00 UTC (Directive 2000/84/EC and its forerunners).
    """
    if year < 1977:  # noqa: PLR2004 - no summer time between 1946 and 1977
        return 0, 0
    first = {1977: (4, 3), 1978: (4, 2), 1979: (4, 1), 1980: (4, 6)}.get(year)
    start = first or (3, _last_sunday(year, 3))
    if year < 1996:  # noqa: PLR2004
        last = (10, 1) if year == 1978 else (9, _last_sunday(year, 9))  # noqa: PLR2004
    else:
        last = (10, _last_sunday(year, 10))
    return _midnight(year, *start) + 3 * _HOUR, _midnight(year, *last) + 3 * _HOUR


def _last_sunday(year: int, month: int) -> int:
    days = monthrange(year, month)[1]
    return days - date(year, month, days).isoweekday() % 7
