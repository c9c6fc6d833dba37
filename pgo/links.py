"""The link between a provider's system and a dossier: a family's single-use code, no BSN."""

from __future__ import annotations

from dataclasses import replace

from pgo.audit.entry import REFUSED
from pgo.caller import Caller
from pgo.errors import Forbidden, NotFound, PgoError
from pgo.house import House
from pgo.regie import take_link_code
from pgo.shared import caller_of_account


async def make_code(house: House, client: str, person: str) -> str:
    """A code for a provider, asked by (or on behalf of) who holds the reins.

    Raises:
        NotFound: no such person; Forbidden: he does not hold the reins of this dossier.
    """
    account = await house.registry.account(person)
    if account is None or account.disabled:
        raise NotFound("there is no such person", place="person")
    caller = replace(caller_of_account(account), scope=("user/*.cruds",))
    return await house.regie(caller, client).link_code()


async def link(house: House, caller: Caller, code: str, request: str = "") -> str:
    """Link a provider system with a family's code; gives the dossier's id.

    Raises:
        Forbidden: not a provider system; InvalidGrant: the code is not good.
    """
    try:
        if caller.kind != "systeem" or not caller.org:
            raise Forbidden("only the system of a provider can use this code")
        now = int(house.clock().timestamp())
        kept = await take_link_code(house.store, code, now)
    except PgoError as error:
        await house.note(
            "request",
            outcome=REFUSED,
            status=error.status,
            person=caller.person,
            app=caller.app,
            request=request,
        )
        raise
    await house.regie(caller, kept["client"], request).link(kept["by"], kept["made"])
    return kept["client"]
