"""Moments, days and weekly windows in Europe/Amsterdam: text to values and back, no clock.

Everything that is kept is UTC; a date is the local day, a period is half-open [from, to).
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pgo.errors import BadValue

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_WEEKLY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):([0-5]\d)", re.IGNORECASE)
_YEARS = range(1800, 2400)


def midnight(day: date) -> datetime:
    """The start of a local day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=AMSTERDAM).astimezone(UTC)


def moment(value: Any, place: str = "") -> datetime:
    """A date (its start) or date-time as UTC; without an offset it is local time.

    Raises:
        BadValue: it is neither.
    """
    if isinstance(value, str):
        try:
            if _DAY.fullmatch(value):
                return _sane(midnight(date.fromisoformat(value)), place)
            if _TIME.fullmatch(value):
                read = datetime.fromisoformat(value)
                local = read if read.tzinfo else read.replace(tzinfo=AMSTERDAM)
                return _sane(local.astimezone(UTC), place)
        except (ValueError, OverflowError):
            pass
    raise BadValue("not a date or a date-time", place=place)


def _sane(read: datetime, place: str) -> datetime:
    if read.year not in _YEARS:
        raise BadValue("a year that cannot be meant", place=place)
    return read


def days_of(text: str) -> tuple[date, date] | None:
    """First and last possible day of YYYY, YYYY-MM or YYYY-MM-DD; None when it is not one."""
    found = _PARTIAL.fullmatch(text)
    if not found or int(found[1]) not in _YEARS:
        return None
    year, month, day = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    try:
        first = date(year, month if found[2] else 1, day if found[3] else 1)
    except ValueError:
        return None
    last_month = month if found[2] else 12
    last_day = day if found[3] else calendar.monthrange(year, last_month)[1]
    return first, date(year, last_month, last_day)


@lru_cache(maxsize=4096)
def span(text: str) -> tuple[datetime, datetime] | None:
    """The half-open stretch of time a FHIR date or date-time stands for; None when unreadable."""
    days = days_of(text)
    if days:
        return midnight(days[0]), midnight(days[1] + timedelta(days=1))
    try:
        start = moment(text)
    except BadValue:
        return None
    return start, start + timedelta(microseconds=1)


def window(value: Any, place: str = "") -> tuple[int, int]:
    """A weekly window {"from": "fri 15:00", "to": "sun 19:00"} as minutes since monday 00:00.

    Raises:
        BadValue: anything else.
    """
    if not isinstance(value, dict) or set(value) != {"from", "to"}:
        raise BadValue("not a weekly window", place=place)
    return _minute(value["from"], f"{place}.from"), _minute(value["to"], f"{place}.to")


def _minute(value: Any, place: str) -> int:
    found = _WEEKLY.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise BadValue("not a day of the week with a time", place=place)
    return (DAYS.index(found[1].lower()) * 24 + int(found[2])) * 60 + int(found[3])


def window_text(minute: int) -> str:
    """A minute of the week as "fri 15:00"."""
    day, rest = divmod(minute, 24 * 60)
    return f"{DAYS[day]} {rest // 60:02d}:{rest % 60:02d}"


def minute_of_week(at: datetime) -> int:
    """Local wall-clock minute since monday 00:00."""
    local = at.astimezone(AMSTERDAM)
    return (local.weekday() * 24 + local.hour) * 60 + local.minute


def inside(windows: tuple[tuple[int, int], ...], minute: int) -> bool:
    """Whether a minute lies in one of the windows; one that ends before it starts wraps round."""
    return any(
        start <= minute < end if start <= end else minute >= start or minute < end
        for start, end in windows
    )
