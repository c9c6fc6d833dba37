"""The end of a dossier: its key destroyed, then its contents; the audit trail stays.

In this order, so that it can be stopped anywhere and taken up again: it goes on the list that
outlives every restored copy; a last commit ends all rules, so that every worker refuses at once;
the key; what it sealed; what was remembered of it elsewhere (architecture 1, safety 2.1).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from pgo import life, telling
from pgo.audit.chain import LOG
from pgo.demo.load import SPACE as DEMO
from pgo.demo.published import SPACE as EXAMPLES
from pgo.dossier.log import Rule
from pgo.erased import ErasedList
from pgo.errors import BadValue, Incident, NotFound
from pgo.house import House
from pgo.moment import instant, micros
from pgo.office import Office, is_alive, must_have_been

ERASE: Final = "dossier-erase"
_LEAST: Final = 10


class Eraser(Office):
    """An operator who ends one dossier."""

    async def end_rules(self, note: str) -> None:
        """The last commit: no rule is left, so nobody may see anything; its line tells the end."""
        async with self.call(ERASE, note=note) as call:

            def ends() -> list[Rule]:
                found = self.dossier.image.select("SELECT kind, id FROM rule ORDER BY 1, 2", ())
                return [Rule(kind, id_, None) for kind, id_ in found]

            await self._put_made(call, ends)


async def erase(
    house: House, client: str, operator: str, reason: str, approved: dict[str, str] | None
) -> dict[str, Any]:
    """Erase a dossier; finishes one that was interrupted.

    Args:
        house: open.
        client: whose dossier.
        operator: account id of who does it.
        reason: why; under `strict` the approval's reason counts.
        approved: by whom and why, as `approved_by` gives it.

    Returns:
        The certificate: dossier, when, by whom, why, how many commits there were, and the hash of
        the audit line that `pgo audit verify` goes on checking.

    Raises:
        NotFound: there never was such a dossier. BadValue: no reason.
        Unavailable: the list of erased dossiers cannot be written; nothing was erased.
    """
    await must_have_been(house, client)
    said = approved or {"first": operator, "second": "", "reason": reason.strip()}
    if len(said["reason"]) < _LEAST:
        raise BadValue("give a reason of at least 10 characters", place="--reason")
    at = micros(house.clock())
    if await is_alive(house, client):
        erased = await ErasedList.of(house.settings.erased_list, house.keys)
        await asyncio.to_thread(erased.add, client, at)
        with suppress(Incident):  # what does not open any more is erased all the same
            second = f", with {said['second']}" if said["second"] else ""
            await Eraser(house, client, operator).end_rules(said["reason"] + second)
    await _destroy(house, client)
    await house.note(ERASE, person=operator, note=client)
    certificate = {"dossier": client, "erased": instant(at), **said}
    return {**certificate, **await _proof(house, client)}


async def hold(house: House) -> int:
    """Erase again what is on the list and came back with a restored copy; how many."""
    erased = await ErasedList.of(house.settings.erased_list, house.keys)
    back = [
        client
        for client in await asyncio.to_thread(erased.clients)
        if await is_alive(house, client)
    ]
    for client in back:
        with suppress(Incident, NotFound):
            await Eraser(house, client, "pgo").end_rules("on the list of erased dossiers")
        await _destroy(house, client)
        await house.note(ERASE, person="pgo", note=client)
    return len(back)


async def _destroy(house: House, client: str) -> None:
    await house.store.erase(client)
    house.keys.forget(client)
    await life.forget(house, client)
    await telling.forget(house, client)
    for space in (DEMO, EXAMPLES):
        for key, kept in (await house.store.listing(space)).items():
            if kept == client.encode():
                await house.store.unregister(space, key)


async def _proof(house: House, client: str) -> dict[str, Any]:
    """What is left: the number of the last commit, and the hash of its audit line.

    Raises:
        Incident: something of the content is left after all.
    """
    head = await house.store.head(client)
    if await is_alive(house, client) or await house.store.commits(client, 0, 1):
        raise Incident("a dossier that was erased is still there")
    line = ""
    async for one in house.store.trail(client):
        if one.writer == LOG and one.seq == head:
            line = one.hash.hex()
    return {"commits": head, "line": line}
