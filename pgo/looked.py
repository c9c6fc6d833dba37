"""`$wie-keek`: the lines of who looked, newest first, a part at a time; as AuditEvents in a Bundle.

Of the Bundle, how far a reader is travels sealed in the link to the next page, for him only and
for an hour. Sentences merge what happened on a day, so their parts are whole days.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from pgo.audit.auditevent import audit_event
from pgo.audit.back import Mark, latest, mark
from pgo.audit.entry import Entry
from pgo.audit.without import without
from pgo.consent.model import SEALS
from pgo.cursor import Cursors, Kept
from pgo.dossier.log import Facet
from pgo.errors import BadValue, NotFound
from pgo.fhir.answers import Reply, query_text
from pgo.fhir.endpoint import Ask, Operation
from pgo.fhir.given import given
from pgo.fhir.spans import PAGE, span
from pgo.house import House
from pgo.moment import micros, moment
from pgo.regie import Regie
from pgo.shared import patient_id
from pgo.vault import Vault
from pgo.world import rules_of

_HERE: Final = ZoneInfo("Europe/Amsterdam")
_NAME: Final = "$wie-keek"
_AHEAD: Final = 86_400_000_000
"""Lines of workers whose clocks are ahead are there too (µs)."""
_LOGGING: Final = Facet("AuditEvent", ("logging",))
_LINES: Final = 1_000
"""In sentences, no day more than it takes to have told of so many lines."""
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked: lines from `since` up to `until` (µs), how many on a page; or a later page."""

    pairs: Pairs
    since: int = 0
    until: int | None = None
    count: int = PAGE


def wanted(pairs: Pairs) -> Wanted:
    """What parameters ask; each is given once.

    Raises:
        BadValue: no day, or no number.
    """
    days = {name: _day(name, value) for name, value in pairs if name in {"van", "tot"}}
    counted = span([pair for pair in pairs if pair[0] == "_count"])
    since = midnight(days["van"]) if "van" in days else 0
    until = midnight(days["tot"], later=1) if "tot" in days else None
    return Wanted(tuple(pairs), since, until, counted.count)


def midnight(day: date, *, later: int = 0) -> int:
    """When a day begins in Amsterdam, or one so many days later; µs since 1970, at most year 9999.

    What is before 1970 counts as 1970: there are no lines of then.
    """
    if day.year < 1970:  # noqa: PLR2004 - see above
        return 0
    day = min(day, date.max - timedelta(days=2))
    return micros(datetime.combine(day + timedelta(days=later), time.min, _HERE))


class Looked(Regie):
    """One caller who reads who looked into one dossier."""

    async def page(self, pairs: Pairs, cursor: str) -> tuple[list[Entry], str]:
        """The lines on one page, newest first, and the cursor of the next one, or "".

        Raises:
            Forbidden: he may not see the log; NotFound: the cursor is over, or another's.
            BadValue: as `wanted`.
        """
        async with self.call("wie-keek") as call:
            await self._may_read(call, _LOGGING)
            now = int(self._parts.clock().timestamp())
            if cursor:
                asked, before = await self._back_at(cursor, now)
            else:
                asked = wanted(pairs)
                before = self._end(asked.until)
            found = await self._latest(asked.since, before, asked.count + 1)
            shown = found[: asked.count]
            more = len(found) > len(shown)
            next_ = await self._keep(asked, mark(shown[-1]), now) if more else ""
        return shown, next_

    async def days(
        self, since: int, until: int | None, *, easy: bool = False
    ) -> tuple[list[Entry], dict[str, list[str]], date | None]:
        """The lines of the last days (µs), oldest first, and what the grants in them say.

        Whole days, as many as have 1,000 lines together; last the day to go on from, if any.

        Raises:
            Forbidden: he may not see the log.
        """
        async with self.call("wie-keek") as call:
            await self._may_read(call, _LOGGING)
            found = await self._latest(since, self._end(until), _LINES)
            go_on = None
            if len(found) >= _LINES:
                day = moment(found[_LINES - 1].at).astimezone(_HERE).date()
                start = max(since, midnight(day))
                rest = await self._latest(start, mark(found[-1]), sys.maxsize)
                found = [one for one in (*found, *rest) if one.at >= start]
                earlier = await self._latest(since, (start, ""), 1)
                go_on = day - timedelta(days=1) if earlier else None
            said = await self._words(rules_of(self.dossier, self._parts.policy), easy=easy)
        return found[::-1], said, go_on

    def _end(self, until: int | None) -> Mark:
        soon = micros(self._parts.clock()) + _AHEAD
        return (soon if until is None else min(soon, until)), ""

    async def _latest(self, since: int, before: Mark, enough: int) -> list[Entry]:
        hidden, now = await self._sealed(), micros(self._parts.clock())

        def show(entry: Entry) -> Entry | None:
            return None if entry.hide_until > now else without(entry, hidden, SEALS)

        return await latest(self._parts.trail, self.client, since, before, enough, show)

    async def _keep(self, asked: Wanted, last: Mark, now: int) -> str:
        kept = Kept(self._asker(), ["r4", _NAME], asked.pairs, last[1], [(last[0], 0)])
        return await self._cursors().keep(kept, now)

    async def _back_at(self, cursor: str, now: int) -> tuple[Wanted, Mark]:
        kept = await self._cursors().find(cursor, now)
        if kept is None or kept.who != self._asker() or kept.on != ["r4", _NAME]:
            raise NotFound("this page is not there any more; ask again", place="_cursor")
        return wanted([(name, value) for name, value in kept.pairs]), (kept.rest[0][0], kept.asked)

    def _cursors(self) -> Cursors:
        return Cursors(self._parts.dossiers.store, self.dossier.keys.box, self.client)

    def _asker(self) -> list[str]:
        return [self.caller.person, self.caller.app, self.caller.service]


def operations(house: House) -> dict[str, Operation]:
    """FHIR operations by name."""

    async def who_looked(ask: Ask, vault: Vault) -> Reply:
        """A searchset of AuditEvents (R4); `van` and `tot` are days, `_count` at most 200."""
        if ask.address.release != "r4":
            raise NotFound("$wie-keek answers AuditEvents of R4 only")
        sent = given(ask)
        sent.only(("van", "tot", "_count", "_cursor"))
        for name, _ in sent.pairs:
            sent.one(name)
        cursor = sent.one("_cursor")
        if cursor and len(sent.pairs) > 1:
            raise BadValue("a later page has no other parameters", place="_cursor")
        if not cursor:
            wanted(sent.pairs)
        vault.called = True  # the side of the door that knows the rules writes the line
        looked = Looked(house.parts, vault.caller, vault.client, request=ask.request)
        entries, next_ = await looked.page(sent.pairs, cursor)
        patient = patient_id(await house.parts.dossiers.open(vault.client), "r4")
        issuer = house.settings.issuer
        events = [audit_event(one, vault.client, patient=patient, server=issuer) for one in entries]
        return Reply(200, orjson.dumps(_bundle(ask.base, sent.pairs, events, next_)))

    return {_NAME: who_looked}


def _bundle(base: str, pairs: Pairs, events: list[dict[str, Any]], next_: str) -> dict[str, Any]:
    """A searchset; how many there are in all is told only when all are on this page."""
    home = f"{base}/{_NAME}"
    asked = query_text(pairs)
    links = [{"relation": "self", "url": f"{home}?{asked}" if asked else home}]
    if next_:
        links.append({"relation": "next", "url": f"{home}?_cursor={next_}"})
    whole = not next_ and not any(name == "_cursor" for name, _ in pairs)
    entries = [{"fullUrl": f"{base}/AuditEvent/{one['id']}", "resource": one} for one in events]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({"total": len(events)} if whole else {}),
        "link": links,
        **({"entry": entries} if entries else {}),
    }


def _day(name: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as fault:
        raise BadValue("not a day (YYYY-MM-DD)", place=name[:64]) from fault
