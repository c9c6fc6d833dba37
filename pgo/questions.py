"""May somebody do this, and why; and who may do what now: for who holds the reins, in plain Dutch.

Others are told what concerns themselves only, and of a no not the reason. Who has nothing here and
who does not exist get the same answer, so that nobody looks accounts up by asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pgo.call import Call
from pgo.caller import Caller
from pgo.consent import overview, what_if
from pgo.consent.explain import explain
from pgo.consent.fhir_systems import PURPOSES
from pgo.consent.model import (
    ACTIONS,
    CATEGORIES,
    FORBIDDEN_PURPOSES,
    Decision,
    Grant,
    Grantee,
    Level,
    Resource,
)
from pgo.consent.overview import Right
from pgo.consent.words import KIND_WORDS, summary
from pgo.door import PATIENT
from pgo.errors import BadValue, Forbidden, Missing, NotFound
from pgo.house import House
from pgo.oauth.scopes import cap_of
from pgo.plain.clean import clean, short
from pgo.regie import Regie
from pgo.registry import Account
from pgo.shared import caller_of_account
from pgo.verdict import Verdict
from pgo.world import Rules, rules_of, verdict_of

Json = dict[str, Any]
_EVERYTHING: Final = ("user/*.cruds",)
_SOMEBODY: Final = "iemand-van"
_RELEASES: Final = ("r4", "stu3")
_MOST_NAME: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: who (account id, "" is the caller), on what, which action, for which purpose.

    `what` is a category or Type/id of a resource of `release`.
    """

    who: str
    what: str
    action: str = "lezen"
    purpose: str = ""
    release: str = "r4"


def asked_of(pairs: Iterable[tuple[str, str]], release: str = "r4") -> Asked:
    """The question of parameters wie, wat, actie and doel.

    Raises:
        BadValue, Missing: naming the parameter.
    """
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in {"wie", "wat", "actie", "doel"} or name in given:
            raise BadValue("choose wie, wat, actie and doel, each once", place=name[:64])
        given[name] = value
    what, action = given.get("wat", ""), given.get("actie", "lezen")
    if not what:
        raise Missing("name a category or a resource", place="wat")
    if "/" not in what and what not in CATEGORIES:
        raise BadValue("choose one of " + " ".join(sorted(CATEGORIES)), place="wat")
    if action not in ACTIONS:
        raise BadValue("choose one of " + " ".join(sorted(ACTIONS)), place="actie")
    purpose = given.get("doel", "")
    if purpose and purpose not in PURPOSES | FORBIDDEN_PURPOSES:
        raise BadValue("not a code of v3-ActReason that is known here", place="doel")
    return Asked(given.get("wie", ""), what, action, purpose, release)


class Questions(Regie):
    """One caller and what he may ask about the rights in one dossier."""

    def __init__(self, house: House, caller: Caller, client: str, *, request: str = "") -> None:
        super().__init__(house.parts, caller, client, request=request)
        self._registry = house.registry

    async def may(self, pairs: Sequence[tuple[str, str]], release: str = "r4") -> Json:
        """May somebody do something, by which rule and grants, and what would change it.

        Raises:
            Forbidden: about somebody else, without `beheren`; NotFound: no such resource for him.
        """
        async with self.call("mag") as call:
            holds = await self._holds(call)
            asked = asked_of(pairs, release)
            who = asked.who or self.caller.person
            if who != self.caller.person and not holds:
                raise Forbidden("you may ask this about yourself only")
            resource = await self._resource(asked)
            return await self._answer(asked, who, resource, whole=holds)

    async def who_may(self, pairs: Sequence[tuple[str, str]]) -> list[Json]:
        """Each person and team with what they may do now; for others their own row only."""
        async with self.call("wie-mag") as call:
            holds = await self._holds(call)
            if pairs:
                raise BadValue("this has no parameters", place=pairs[0][0][:64])
            rules = rules_of(self.dossier, self._parts.policy)
            askers = await self._everybody(rules) if holds else [(self.caller.person, self.caller)]
            ids = {_bare(name) for name, _ in askers}
            names = await self._parts.people.names(ids)
            found = []
            for name, asker in askers:
                row = await self._row(rules, name, asker, names)
                if row is not None:
                    found.append(row)
                await asyncio.sleep(0)
        return found

    # --- who may ask ---------------------------------------------------------------------------

    async def _holds(self, call: Call) -> bool:
        """Whether the caller holds the reins; he may know of the dossier in any case."""
        verdict = await self.known(call)
        self.reach("r", "Consent")
        decision = self._judged_as(verdict)
        call.because(decision if decision.permit else verdict.decide("lezen", PATIENT))
        return decision.permit

    def _judged_as(self, verdict: Verdict) -> Decision:
        self._verdict = verdict
        resource = Resource(frozenset({"toestemmingen"}), "Consent")
        return self._judged("beheren", resource, restrictive=True)

    # --- one question --------------------------------------------------------------------------

    async def _resource(self, asked: Asked) -> Resource:
        if "/" not in asked.what:
            return Resource(frozenset({asked.what}))
        type_, _, id_ = asked.what.partition("/")
        row = self.dossier.image.get(asked.release, type_, id_)
        verdict = await self.verdict()
        if asked.release not in _RELEASES or row is None or not row.live or not verdict.sees(row):
            raise NotFound("not found")
        return verdict.resource_of(row)

    async def _answer(self, asked: Asked, who: str, resource: Resource, *, whole: bool) -> Json:
        rules = rules_of(self.dossier, self._parts.policy)
        said, verdict, request = None, None, None
        for asker in await self._askers(rules, who):
            verdict = await self._verdict_as(asker)
            request = verdict.ask(asked.action, resource, anyhow=True)
            if asked.purpose:
                request = replace(request, purpose=asked.purpose)
            said = explain(verdict.world, request)
            if said.decision.permit:
                break
        if said is None or verdict is None or request is None:
            raise NotFound("not found")
        decision = said.decision
        if not whole and not decision.permit:
            return {"mag": False, "zinnen": ["Dit mag niet."]}
        changes = what_if.changes(verdict.world, request) if whole else ()
        used = [grant for grant in rules.grants if grant.id in decision.grants]
        return {
            "mag": decision.permit,
            "reden": decision.reason,
            "stap": said.step,
            "doel": request.purpose,
            "toestemmingen": await self._summed_up(used),
            "verandert": [
                {"code": one.code, "tekst": one.text, "over": one.about} for one in changes
            ],
            "bijna": [
                {"toestemming": miss.grant, "regels": list(miss.rules)}
                for miss in (said.misses if whole else ())
            ],
            "zinnen": [
                *said.sentences[:2],
                *(f"{_lead(decision)} {_low(c.text)}" for c in changes),
            ],
            "beleid": decision.policy,
            "moment": decision.evaluated_at.isoformat(),
        }

    async def _summed_up(self, grants: Sequence[Grant]) -> list[Json]:
        names = await self._parts.people.names({grant.grantee.id for grant in grants})
        return [{"id": grant.id, "samenvatting": summary(grant, names)} for grant in grants]

    async def _verdict_as(self, asker: Caller) -> Verdict:
        parts = self._parts
        cap, now = cap_of(_EVERYTHING), parts.clock()
        return await verdict_of(self.dossier, asker, parts.people, parts.policy, now, cap)

    async def _askers(self, rules: Rules, who: str) -> list[Caller]:
        """Somebody as he would call, once for each organisation he may act for.

        Who has nothing to do with the dossier is asked for as if he were nobody in particular.
        """
        if who == self.caller.person:
            return [replace(self.caller, dossier="", scope=_EVERYTHING, emergency=None)]
        account = await self._registry.account(who)
        if account is None or account.disabled or not _concerned(rules, account):
            return [Caller(person=who or _SOMEBODY, scope=_EVERYTHING)]
        whole = replace(caller_of_account(account), scope=_EVERYTHING)
        several = account.orgs if len(account.orgs) > 1 else ()
        roles = account.roles
        return [replace(whole, org=org, role=roles.get(org, "")) for org in several] or [whole]

    # --- everybody -----------------------------------------------------------------------------

    async def _everybody(self, rules: Rules) -> list[tuple[str, Caller]]:
        """Whom a rule names: the client, who is related, who was given something, and groups."""
        related = (relation.person for relation in rules.relations)
        given = (grant.grantee for grant in rules.grants if grant.effect == "permit")
        groups: dict[str, Grantee] = {}
        people = dict.fromkeys([rules.subject.id, *related])
        for grantee in given:
            if grantee.level == Level.PERSON:
                people[grantee.id] = None
            else:
                groups[_written(grantee)] = grantee
        found = []
        for person in people:
            found += [(person, asker) for asker in await self._askers(rules, person)]
        return [*found, *((name, _member(grantee)) for name, grantee in groups.items())]

    async def _row(
        self, rules: Rules, name: str, asker: Caller, names: dict[str, str]
    ) -> Json | None:
        rights = await self._rights_of(asker)
        if asker.person.startswith(_SOMEBODY):
            by_system = await self._rights_of(replace(asker, kind="systeem"))
            rights = (*rights, *(one for one in by_system if one.own or not rights))
        if not rights:
            return None
        known = short(clean(names.get(_bare(name), _bare(name))), _MOST_NAME)
        kind = _kind(rules, name, asker)
        shown = f"{known} ({KIND_WORDS[kind]})" if kind in KIND_WORDS else known
        zinnen = [sentence for right in rights for sentence in overview.said(shown, right)]
        made = [_right(right) for right in rights]
        return {"wie": name, "naam": known, "soort": kind, "rechten": made, "zinnen": zinnen}

    async def _rights_of(self, asker: Caller) -> tuple[Right, ...]:
        verdict = await self._verdict_as(replace(asker, dossier="", scope=_EVERYTHING))

        def asked(action: str, resource: Resource) -> Any:
            return verdict.ask(action, resource, anyhow=True)

        return overview.rights(verdict.world, asked, self._parts.clock())


def _right(right: Right) -> Json:
    return {
        "acties": list(right.actions),
        "categorieen": list(right.categories),
        "recht": right.reason.partition(":")[0] if right.grant else right.reason,
        "toestemming": right.grant,
        "sinds": right.since.isoformat() if right.since else None,
        "tot": right.until.isoformat() if right.until else None,
        "deel": right.part,
    }


def _concerned(rules: Rules, account: Account) -> bool:
    """Whether any rule of the dossier is about this account, or a group it belongs to."""
    if account.id == rules.subject.id or any(r.person == account.id for r in rules.relations):
        return True
    for grant in rules.grants:
        level, name = grant.grantee.level, grant.grantee.id
        member = name in (account.teams if level == Level.TEAM else account.orgs)
        if account.id in (grant.by, grant.to_who) or (level != Level.PERSON and member):
            return True
    return False


def _member(grantee: Grantee) -> Caller:
    """Somebody of a team or organisation, signed in as such people are."""
    group = frozenset({grantee.id})
    team = grantee.level == Level.TEAM
    return Caller(
        person=f"{_SOMEBODY}-{grantee.id}",
        kind="zorgverlener",
        org="" if team else grantee.id,
        orgs=frozenset() if team else group,
        teams=group if team else frozenset(),
        role=grantee.role,
        purpose="TREAT",
        scope=_EVERYTHING,
    )


def _kind(rules: Rules, name: str, asker: Caller) -> str:
    """client, what somebody is to the client, the kind of his account, or the kind of group."""
    if asker.person.startswith(_SOMEBODY):
        prefix, _, rest = name.partition(":")
        return "team" if prefix == "team" else "rol" if "/" in rest else "organisatie"
    if name == rules.subject.id:
        return "client"
    relation = next((one for one in rules.relations if one.person == name), None)
    return asker.kind or (relation.kind if relation is not None else "naaste")


def _written(grantee: Grantee) -> str:
    if grantee.level == Level.TEAM:
        return f"team:{grantee.id}"
    return f"org:{grantee.id}/{grantee.role}" if grantee.role else f"org:{grantee.id}"


def _bare(name: str) -> str:
    return name.partition(":")[2].partition("/")[0] if ":" in name else name


def _lead(decision: Decision) -> str:
    return "Dit verandert:" if decision.permit else "Wel:"


def _low(text: str) -> str:
    return text[:1].lower() + text[1:]
