"""What is coming in somebody's life that changes who may do what; pure, no clock (consent.md §3).

Rights never wait for this: birthdays and ends are computed in each decision. This only says, in
time, what will change, to whom it matters, and which grants to look at again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from pgo.consent import ages, moments, representation
from pgo.consent.model import Grant, Level, Person, World

TWELVE, SIXTEEN, EIGHTEEN = "wordt-12", "wordt-16", "wordt-18"
MANDATE, GRANT, PROGRAMME = "einde-vertegenwoordiging", "einde-toestemming", "einde-programma"
KINDS: Final = (TWELVE, SIXTEEN, EIGHTEEN, MANDATE, GRANT, PROGRAMME)
_MONTH: Final = timedelta(days=30)
_FORTNIGHT: Final = timedelta(days=14)
_LIVE: Final = frozenset({"active", "waakvlam"})


@dataclass(frozen=True, slots=True)
class Notice:
    """One announcement.

    Attributes:
        key: the same for the same announcement, always: what makes telling it once possible.
        kind: one of `KINDS`. at: when it happens, UTC. said: from when on it is announced.
        today: it has happened; otherwise it is still to come.
        people: account ids it matters to, the client among them.
        about: id of the relation's person or of the grant it is about, or "".
        confirm: ids of grants to look at again.
    """

    key: str
    kind: str
    at: datetime
    said: datetime
    today: bool
    people: tuple[str, ...]
    about: str = ""
    confirm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    at: datetime
    marks: tuple[datetime, ...]
    people: frozenset[str]
    about: str = ""


def due(
    world: World,
    client: Person,
    since: datetime | None,
    now: datetime,
    programme: frozenset[str] = frozenset(),
) -> tuple[Notice, ...]:
    """What is to be announced after `since` up to and including `now`, earliest first.

    Of one event only the newest announcement counts, so who catches up after a while is not told
    three things at once. Without `since` (nothing was announced yet) only what is still to come.

    Args:
        world: relations and grants of the client.
        client: whose life it is.
        since: up to when announcements were made, aware; None when none were.
        now: aware.
        programme: ids of grants that end because a programme ends.
    """
    found = []
    for event in _events(world, client, now, programme):
        passed = [mark for mark in event.marks if mark <= now and (since is None or since < mark)]
        if passed and (since is not None or now < event.at):
            found.append(_notice(world, client, event, max(passed), now))
    return tuple(sorted(found, key=lambda notice: (notice.said, notice.key)))


def next_mark(
    world: World, client: Person, now: datetime, programme: frozenset[str] = frozenset()
) -> datetime | None:
    """When something is to be announced next; None when nothing is, as things are."""
    coming = (
        mark
        for event in _events(world, client, now, programme)
        for mark in event.marks
        if now < mark
    )
    return min(coming, default=None)


def to_confirm(world: World, client: Person, at: datetime) -> tuple[str, ...]:
    """Ids of grants that still count, made by somebody who could not make them at `at` (§2).

    They do not lapse; the client, or who represents him now, looks at them again.
    """
    return tuple(
        grant.id
        for grant in world.grants
        if _counts(grant, at)
        and grant.by != client.id
        and not representation.bases(world, client, grant.by, at)
    )


def _counts(grant: Grant, at: datetime) -> bool:
    return (
        (grant.effect, grant.parent, grant.own) == ("permit", "", False)
        and grant.status in _LIVE
        and (grant.revoked is None or at < grant.revoked)
        and (grant.to is None or at < grant.to)
    )


def _notice(world: World, client: Person, event: _Event, mark: datetime, now: datetime) -> Notice:
    day = event.at.astimezone(moments.AMSTERDAM).date()
    when = mark.astimezone(moments.AMSTERDAM).date()
    key = "-".join(part for part in (event.kind, event.about, f"{day}", f"{when}") if part)
    ages_or_mandate = event.kind not in {GRANT, PROGRAMME}
    return Notice(
        key,
        event.kind,
        event.at,
        mark,
        event.at <= now,
        tuple(sorted(event.people)),
        event.about,
        to_confirm(world, client, max(event.at, now)) if ages_or_mandate else (event.about,),
    )


def _events(
    world: World, client: Person, now: datetime, programme: frozenset[str]
) -> Iterable[_Event]:
    if ages.dead(client, now):
        return
    related = world.related.get(client.id, ())
    around = frozenset({client.id, *(each.person for each in related)})
    yield from _birthdays(client, around)
    for relation in related:
        if relation.to is not None and relation.kind in representation.REPRESENTATIVE_KINDS:
            marks = _before(relation.to, relation.from_, _MONTH)
            yield _Event(MANDATE, relation.to, marks, around, relation.person)
    for grant in world.grants:
        if grant.to is None or not _counts(grant, min(now, grant.to - timedelta(microseconds=1))):
            continue
        kind, ahead = (PROGRAMME, _MONTH) if grant.id in programme else (GRANT, _FORTNIGHT)
        personal = {grant.to_who} if grant.grantee.level == Level.PERSON else set()
        start = max(filter(None, (grant.made, grant.from_)), default=None)
        marks = _before(grant.to, start, ahead)
        yield _Event(kind, grant.to, marks, around | personal, grant.id)


def _birthdays(client: Person, people: frozenset[str]) -> Iterable[_Event]:
    for kind, years in ((TWELVE, 12), (SIXTEEN, 16), (EIGHTEEN, 18)):
        day = ages.birthday(client.birth, years)
        if day is not None:
            marks: tuple[datetime, ...] = (day - _MONTH, day)
            if kind == EIGHTEEN:
                marks = (_half_a_year_before(day), *marks)
            yield _Event(kind, day, marks, people)


def _before(end: datetime, start: datetime | None, ahead: timedelta) -> tuple[datetime, ...]:
    """Some time ahead and at the end; nothing is announced before it began."""
    return tuple(mark for mark in (end - ahead, end) if start is None or start <= mark)


def _half_a_year_before(day: datetime) -> datetime:
    """The start of the local day six months earlier, or of the last one of that month."""
    local = day.astimezone(moments.AMSTERDAM).date()
    months = local.year * 12 + local.month - 1 - 6
    year, month = divmod(months, 12)
    for last in range(local.day, 0, -1):
        try:
            return moments.midnight(date(year, month + 1, last))
        except ValueError:
            continue
    raise AssertionError("every month has a first day")
