"""The clock of life events: puts announcements into dossiers, each once, whoever runs it and when.

`pgo.consent.life` says what is due. A notice lies in the dossier under the name of what it
announces, so several workers, restarts and runs that were missed tell nothing twice or never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from pgo.consent.life import Notice, due, next_mark
from pgo.dossier.log import Rule
from pgo.errors import NotFound, Unavailable
from pgo.house import House
from pgo.moment import instant, micros, moment
from pgo.office import Office, dossiers
from pgo.store.contract import NotNext
from pgo.world import rules_of

LIFE: Final = "levensloop"
_KIND: Final = "life"
_TURN: Final = ("beurt", "levensloop")
_TURN_SECONDS: Final = 600
_RACES, _PAUSE = 1000, 0.002


class Herald(Office):
    """Puts announcements into one dossier."""

    async def announce(self, notices: Sequence[Notice]) -> int:
        """Write down those that are not there yet; how many."""
        async with self.call("notice") as call:
            for _ in range(_RACES):
                with suppress(NotNext):
                    async with self.dossier.turn():
                        rules = [_rule(each, call.at) for each in notices]
                        kept = self.dossier.image.rules("notice")
                        fresh = [rule for rule in rules if rule.id not in kept]
                        if fresh:
                            await self.commit(call, (), fresh, {})
                        return len(fresh)
                await asyncio.sleep(_PAUSE)
            raise Unavailable("this dossier is very busy; nothing was announced")
        raise AssertionError("a call either answers or raises")


def _rule(notice: Notice, at: int) -> Rule:
    said: dict[str, Any] = {
        "kind": LIFE,
        "what": notice.kind,
        "at": at,
        "event": instant(micros(notice.at)),
        "today": notice.today,
        "for": list(notice.people),
        "about": notice.about,
        "confirm": list(notice.confirm),
    }
    return Rule("notice", f"{LIFE}-{notice.key}", said)


async def run(house: House, *, alone: bool = True) -> int:
    """Announce what is due in every dossier; how many announcements were made.

    A dossier that did not change and has nothing coming is not opened. With `alone`, one process
    at a time does this; the others leave it to that one.
    """
    until = int(house.clock().timestamp()) + _TURN_SECONDS
    if alone and not await house.store.put(*_TURN, b"1", until, fresh=True):
        return 0
    made = 0
    for client in await dossiers(house):
        with suppress(NotFound):
            made += await _one(house, client)
        await asyncio.sleep(0)
    return made


async def _one(house: House, client: str) -> int:
    """Announce what is due in one dossier, and remember as of which commit that was looked for."""
    now, head = house.clock(), await house.store.head(client)
    kept = await house.store.lookup(_KIND, client)
    box, place = house.registry_box, f"pgo1|{_KIND}|{client}".encode()
    before: dict[str, Any] = orjson.loads(box.open(place, kept)) if kept else {}
    later = before.get("next")
    if kept and before["n"] == head and (later is None or micros(now) < later):
        return 0
    dossier = await house.parts.dossiers.open(client)
    rules, n = rules_of(dossier, house.parts.policy), dossier.image.n
    since = moment(before["until"]) if kept else None
    programme = programme_ends(dossier.image.rules("grant"))
    told = dossier.image.rules("notice")
    found = [
        each
        for each in due(rules.world, rules.subject, since, now, programme)
        if f"{LIFE}-{each.key}" not in told
    ]
    made = await Herald(house, client, "pgo").announce(found) if found else 0
    coming = next_mark(rules.world, rules.subject, now, programme)
    state = {"until": micros(now), "next": micros(coming) if coming else None, "n": n}
    await house.store.register(_KIND, client, box.seal(place, orjson.dumps(state)), expected=kept)
    return made


async def forget(house: House, client: str) -> None:
    """Drop what is remembered of announcements in a dossier that was erased."""
    await house.store.unregister(_KIND, client)


def programme_ends(grants: dict[str, dict[str, Any]]) -> frozenset[str]:
    """Ids of grants that end because a programme does."""
    return frozenset(id_ for id_, kept in grants.items() if kept.get("reason") == "programma")
