"""Birthdays and death: when somebody turned twelve, sixteen, eighteen; pure (consent.md §3)."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

from pgo.consent import moments
from pgo.consent.model import Person

MARCH = 3


@lru_cache(maxsize=4096)
def birthday(birth: str, years: int, *, latest: bool = False) -> datetime | None:
    """The start (UTC) of the local day somebody turns `years`; None without a birth date.

    Of a partial birth date the earliest possible day counts, or the `latest`. Who was born on
    29 February has it on 1 March in other years.
    """
    days = moments.days_of(birth)
    if days is None:
        return None
    born = days[1] if latest else days[0]
    year = born.year + years
    try:
        return moments.midnight(date(year, born.month, born.day))
    except ValueError:
        return moments.midnight(date(year, MARCH, 1))


def reached(person: Person, years: int, at: datetime, *, latest: bool = False) -> bool:
    """Whether somebody has turned `years`; without a birth date he counts as an adult."""
    day = birthday(person.birth, years, latest=latest)
    return day is None or at >= day


def dead(person: Person, at: datetime) -> bool:
    """Whether somebody has died by `at`."""
    return person.deceased if isinstance(person.deceased, bool) else at >= person.deceased
