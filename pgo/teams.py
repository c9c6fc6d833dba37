"""Who is in a team, as the provider says: its system replaces the list of one of its own teams.

The wish is kept with the organisation; accounts are made to agree with the newest wish before the
answer. So two lists at the same time end as the one that was kept last, and one that was
interrupted is finished by sending it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pgo.audit.entry import REFUSED
from pgo.caller import Caller
from pgo.errors import BadValue, Forbidden, Issue, NotFound, PgoError, ScopeTooSmall, TooLarge
from pgo.house import House
from pgo.oauth.scopes import cap_of
from pgo.plain.clean import clean
from pgo.registry import Account, Organisation

MOST: Final = 500
"""People in one team."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


async def replace_members(
    house: House, caller: Caller, team: str, name: str, members: Sequence[str], request: str
) -> dict[str, Any]:
    """Make exactly these people the team; holds for every request that starts after the answer.

    Raises:
        NotFound: not a team of the caller's organisation; BadValue: somebody who is not in it;
        Forbidden: not the system of a provider; ScopeTooSmall, TooLarge.
    """
    said = {"person": caller.person, "app": caller.app, "request": request}
    try:
        await _check(house, caller, team, members)
    except PgoError as error:
        await house.note("team", outcome=REFUSED, status=error.status, **said)
        raise
    wanted, shown = tuple(sorted(set(members))), clean(name) or team

    def wish(one: Organisation) -> Organisation:
        teams = {**one.teams, team: shown}
        return replace(one, teams=teams, members={**one.members, team: wanted})

    organisation = await house.registry.change(Organisation, caller.org, wish)
    agreed = None
    while agreed != (newest := frozenset(organisation.members.get(team, ()))):
        await _agree(house, team, newest)
        agreed = newest
        organisation = await house.registry.organisation(caller.org) or organisation
    await house.note("team", **said)
    return {"team": team, "naam": organisation.teams.get(team, shown), "leden": sorted(newest)}


async def _agree(house: House, team: str, wanted: frozenset[str]) -> None:
    """Who goes, goes first: what breaks off half-way has opened nothing too much."""

    def without(one: Account) -> Account:
        return replace(one, teams=tuple(each for each in one.teams if each != team))

    def within(one: Account) -> Account:
        return one if team in one.teams else replace(one, teams=(*one.teams, team))

    for account in await house.registry.accounts():
        if team in account.teams and account.id not in wanted:
            await house.registry.change(Account, account.id, without)
    for id_ in sorted(wanted):
        await house.registry.change(Account, id_, within)


async def _check(house: House, caller: Caller, team: str, members: Sequence[str]) -> None:
    if caller.kind != "systeem" or not caller.org:
        raise Forbidden("only the system of a provider says who is in its teams")
    if not cap_of(caller.scope).allows("u", "CareTeam"):
        raise ScopeTooSmall("the scope of this token does not reach this", place="CareTeam")
    if len(members) > MOST:
        raise TooLarge("more people than a team can have", place="leden")
    if _ID.fullmatch(team) is None:
        raise BadValue("small letters, digits and hyphens", place="team")
    await _owned(house, caller.org, team)
    wrong = [
        Issue("value", "not somebody of your organisation", f"leden[{place}]")
        for place, id_ in enumerate(members)
        if not _belongs(await house.registry.account(id_), caller.org)
    ]
    if wrong:
        raise BadValue("somebody here is not of your organisation", issues=tuple(wrong[:20]))


async def _owned(house: House, org: str, team: str) -> None:
    """A team of this organisation, or a name nobody else uses.

    Raises:
        NotFound: it is another's.
    """
    for each in await house.registry.organisations():
        if team in each.teams:
            if each.id != org:
                raise NotFound("there is no such team")
            return
    if await house.registry.organisation(org) is None:
        raise NotFound("there is no such team")
    for account in await house.registry.accounts():
        if team in account.teams and org not in account.orgs:
            raise NotFound("there is no such team")


def _belongs(account: Account | None, org: str) -> bool:
    return account is not None and not account.disabled and org in account.orgs
