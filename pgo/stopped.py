"""Tells a person that an app of his was stopped, because a key of the app was used twice.

The notice lies in the dossier the app was let into, for this person alone; of an app that was let
into no dossier in particular, in the first one he has something in. Without any, nobody is told
but the trail, and the list of his apps says that access is over.
"""

from __future__ import annotations

from contextlib import suppress

from pgo.dossier.log import Rule
from pgo.errors import PgoError
from pgo.house import House
from pgo.office import Office

APP = "app"
"""The kind of the notice; see `pgo.plain.notices`."""


class _Herald(Office):
    """Puts such a notice into one dossier."""

    async def stopped(self, person: str, family: str) -> None:
        """Write it down, unless it is there; `family` is of the tokens that ended."""
        async with self.call("notice") as call:
            name = f"{APP}-{family}"
            if name not in self.dossier.image.rules("notice"):
                said = {"kind": APP, "at": call.at, "for": [person]}
                await self._put(call, (Rule("notice", name, said),))


async def tell(house: House, person: str, dossier: str, family: str) -> None:
    """Tell the person, once for each family; a dossier that is not there any more is left alone.

    Args:
        house: where the dossiers are.
        person: account id.
        dossier: the app was let into, or "".
        family: of the tokens that ended.
    """
    client = dossier or next(iter(await house.store.links(person)), "")
    if client:
        with suppress(PgoError):
            await _Herald(house, client, "pgo").stopped(person, family)
