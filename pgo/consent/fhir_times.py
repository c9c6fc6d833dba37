"""Periods of FHIR and of the model: inclusive ends there, half-open stretches here; pure.

A date is a day in Europe/Amsterdam, a partial date its whole month or year. An end counts up to
and including its own precision: 2027-06-01 the whole day, 10:00:00 that whole second
(http://hl7.org/fhir/R4/datatypes.html#Period).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pgo.consent import moments
from pgo.errors import BadValue, Unprocessable

_SECOND: Final = timedelta(seconds=1)
_MICRO: Final = timedelta(microseconds=1)
_FRACTION: Final = re.compile(r"T\d{2}:\d{2}:\d{2}(?:\.(\d{1,6}))?(?:Z|[+-]\d{2}:\d{2})", re.ASCII)


def written(moment: datetime) -> str:
    """A moment as a dateTime in UTC, with a fraction only where it has one."""
    text = moment.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def period(start: datetime | None, end: datetime | None) -> dict[str, str]:
    """The FHIR Period of [start, end); empty without either."""
    made = {}
    if start is not None:
        made["start"] = _day(start) or written(start)
    if end is not None:
        exact = bool(end.microsecond) or (start is not None and end - _SECOND < start)
        made["end"] = _day_before(end) or _inclusive(end - (_MICRO if exact else _SECOND), exact)
    return made


def _inclusive(last: datetime, exact: bool) -> str:  # noqa: FBT001 - one caller, beside it
    """The last second that counts, or the last microsecond."""
    if not exact:
        return written(last)
    return last.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _day(moment: datetime) -> str:
    local = moment.astimezone(moments.AMSTERDAM)
    day = local.date()
    return day.isoformat() if moments.midnight(day) == moment else ""


def _day_before(end: datetime) -> str:
    local = end.astimezone(moments.AMSTERDAM)
    midnight = moments.midnight(local.date()) == end
    return (local.date() - timedelta(days=1)).isoformat() if midnight else ""


def stretch(value: Any, place: str) -> tuple[datetime | None, datetime | None]:
    """The half-open stretch of a Period; (None, None) when there is none.

    Raises:
        Unprocessable: not a period that can be computed, with the place.
    """
    if value is None:
        return None, None
    if not isinstance(value, Mapping) or not value or not {"start", "end"}.issuperset(value):
        raise Unprocessable("a period has a start, an end or both, and no more", place=place)
    start = _first(value["start"], f"{place}.start") if "start" in value else None
    end = _last(value["end"], f"{place}.end") if "end" in value else None
    if start is not None and end is not None and end <= start:
        raise Unprocessable("this period ends before it begins", place=place)
    return start, end


def moment(value: Any, place: str) -> datetime:
    """A dateTime as the moment it begins."""
    return _first(value, place)


def _first(value: Any, place: str) -> datetime:
    days = moments.days_of(value) if isinstance(value, str) else None
    return moments.midnight(days[0]) if days else _read(value, place)


def _last(value: Any, place: str) -> datetime:
    days = moments.days_of(value) if isinstance(value, str) else None
    if days:
        return moments.midnight(days[1] + timedelta(days=1))
    read = _read(value, place)
    found = _FRACTION.search(value)
    digits = len((found[1] or "") if found else "")
    return read + timedelta(microseconds=10 ** (6 - digits))


def _read(value: Any, place: str) -> datetime:
    if isinstance(value, str) and _FRACTION.search(value):
        try:
            return moments.moment(value, place)
        except BadValue:
            pass
    raise Unprocessable("not a date, or a date-time with a time zone", place=place)
