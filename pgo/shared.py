"""The dossiers that are shared with one person: hints from the store, decided one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from pgo.caller import Caller
from pgo.dossier.log import Facet
from pgo.dossier.open import Dossier
from pgo.errors import NotFound
from pgo.house import House
from pgo.oauth.choices import Choice
from pgo.oauth.scopes import cap_of
from pgo.registry import Account
from pgo.verdict import Verdict
from pgo.world import SUBJECT, rules_of, verdict_of

_EVERYTHING = ("user/*.cruds",)


@dataclass(frozen=True, slots=True)
class Shared:
    """One dossier somebody may enter; a dormant one (waakvlam) is shown by name only."""

    client: str
    name: str
    patients: dict[str, str]
    dormant: bool = False


async def shared_with(house: House, caller: Caller) -> list[Shared]:
    """What this caller may enter now, in order of name."""
    names = [
        caller.person,
        *(f"org:{o}" for o in caller.orgs),
        *(f"team:{t}" for t in caller.teams),
    ]
    clients = {client for name in names for client in await house.store.links(name)}
    found = []
    for client in sorted(clients):
        one = await _one(house, caller, client)
        if one is not None:
            found.append(one)
    return sorted(found, key=lambda each: (each.dormant, each.name, each.client))


async def choices_of(house: House, caller: Caller) -> list[Choice]:
    """What this caller may choose from on a page; of one name, with what tells them apart."""
    found = [one for one in await shared_with(house, caller) if not one.dormant]
    named = Counter(one.name for one in found)
    return [await _choice(house, caller, one, alone=named[one.name] == 1) for one in found]


async def _choice(house: House, caller: Caller, one: Shared, *, alone: bool) -> Choice:
    """The year of birth only where it is needed, and for who may read the Patient."""
    dossier = await house.parts.dossiers.open(one.client)
    own = subject_of(dossier) == caller.person
    row = dossier.image.patient("r4") or dossier.image.patient("stu3")
    if alone or own or row is None or not (await _verdict(house, caller, dossier)).sees(row):
        return Choice(one.client, one.name, own=own)
    born = str((dossier.image.rule("subject", SUBJECT) or {}).get("birth", ""))
    return Choice(one.client, one.name, year=born[:4])


async def _verdict(house: House, caller: Caller, dossier: Dossier) -> Verdict:
    """What the caller may do here, whatever the reach of his token."""
    parts = house.parts
    asking = replace(caller, dossier="", scope=_EVERYTHING)
    now, cap = parts.clock(), cap_of(_EVERYTHING)
    return await verdict_of(dossier, asking, parts.people, parts.policy, now, cap)


async def _one(house: House, caller: Caller, client: str) -> Shared | None:
    try:
        dossier = await house.parts.dossiers.open(client)
    except NotFound:
        return None
    verdict = await _verdict(house, caller, dossier)
    name = subject_name(dossier)
    if verdict.knows(Facet("Patient")).permit:
        return Shared(client, name, {rel: patient_id(dossier, rel) for rel in ("r4", "stu3")})
    rules = rules_of(dossier, house.parts.policy)
    asleep = any(g.status == "waakvlam" and g.to_who == caller.person for g in rules.grants)
    return Shared(client, name, {}, dormant=True) if asleep else None


def subject_name(dossier: Dossier) -> str:
    """What the client is called on pages for those who may enter."""
    return str((dossier.image.rule("subject", SUBJECT) or {}).get("name", "Naam onbekend"))


def subject_of(dossier: Dossier) -> str:
    """Account of the client himself; "" when he has none."""
    return str((dossier.image.rule("subject", SUBJECT) or {}).get("person", ""))


def patient_id(dossier: Dossier, rel: str) -> str:
    """The id of the dossier's Patient of a release, also before there is one."""
    row = dossier.image.patient(rel)
    if row is not None:
        return row.id
    return str((dossier.image.rule("subject", SUBJECT) or {}).get("patient", dossier.client))


def caller_of_account(account: Account) -> Caller:
    """A person as he would call, without app or token."""
    return Caller(
        person=account.id,
        kind=account.kind,
        name=account.name,
        org=account.orgs[0] if len(account.orgs) == 1 else "",
        orgs=frozenset(account.orgs),
        teams=frozenset(account.teams),
        role=account.roles.get(account.orgs[0], "") if len(account.orgs) == 1 else "",
        loa=account.loa,
        purpose={"copiloot": "CAREMGT", "zorgverlener": "TREAT"}.get(account.kind, ""),
        birth=account.birth,
    )
