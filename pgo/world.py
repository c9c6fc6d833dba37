"""The consent world of one dossier, made of its stored rules, and a caller's verdict in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Protocol

from pgo.caller import Caller
from pgo.consent.fhir_out import consent_id
from pgo.consent.model import (
    PROVIDER_KINDS,
    Grant,
    Level,
    Person,
    Policy,
    Relation,
    Request,
    Resource,
    World,
)
from pgo.consent.reading import person, relation, stored_grant
from pgo.dossier.image import Image
from pgo.dossier.log import Rule
from pgo.dossier.open import Dossier
from pgo.moment import micros
from pgo.narrowed import narrowed
from pgo.oauth.scopes import Cap
from pgo.verdict import Verdict

SUBJECT: Final = "client"
_CALLERS: Final = 64
_LETTERS: Final = {"lezen": ("r", "s"), "toevoegen": ("c", "u"), "wijzigen": ("u", "d")}


class People(Protocol):
    """Who knows kinds and memberships of accounts as of now."""

    async def person(self, id_: str) -> Person | None:
        """The person with this account id."""

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """What people call these persons and organisations, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A dossier's rules as of one commit: read once, used until they change.

    `uneven` are the seconds since 1970 within which a rule begins or ends; every other rule does so
    on a whole second, so that within any other second all decisions are the same.
    """

    subject: Person
    relations: tuple[Relation, ...]
    grants: tuple[Grant, ...]
    edges: tuple[int, ...]
    named: frozenset[str]
    strangers: tuple[str, ...]
    world: World
    uneven: frozenset[int]


def rules_of(dossier: Dossier, policy: Policy) -> Rules:
    """The rules of a dossier, remembered until a commit changes one."""
    image = dossier.image
    kept = dossier.memo.get("rules")
    if kept is not None and kept[0] == image.rules_n:
        return kept[1]  # type: ignore[no-any-return]
    made = _read(image, policy)
    dossier.memo["rules"] = (image.rules_n, made)
    return made


def _read(image: Image, policy: Policy) -> Rules:
    subject = _subject(image)
    relations = tuple(relation(value) for value in image.rules("relation").values())
    grants = tuple(
        stored_grant(value, client=subject.id) for value in _in_order(image.rules("grant"))
    )
    limits = {m for g in grants for m in (g.data_from, g.data_to) if m is not None}
    named = frozenset(i for g in grants for i in g.instances or ())
    chained = {g.parent for g in grants if g.parent}
    passed_on = {g.by for g in grants if g.parent}
    strangers = {g.grantee.id for g in grants if g.id in chained} | passed_on
    world = World.of({subject.id: subject}, relations, grants, policy)
    edges = tuple(sorted(micros(limit) for limit in limits))
    every: list[Person | Relation | Grant] = [subject, *relations, *grants]
    uneven = frozenset(int(moment.timestamp()) for rule in every for moment in _broken(rule))
    return Rules(subject, relations, grants, edges, named, tuple(sorted(strangers)), world, uneven)


def _broken(rule: Person | Relation | Grant) -> Iterable[datetime]:
    """The moments in a rule that are not on a whole second."""
    values = (getattr(rule, one.name) for one in fields(rule))
    return (value for value in values if isinstance(value, datetime) and value.microsecond)


def _in_order(grants: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Stored grants in the order they were made; `order` is ours, not the grant's."""
    kept = sorted(grants.values(), key=lambda value: int(value["order"]))
    return [{name: each for name, each in value.items() if name != "order"} for value in kept]


def _subject(image: Image) -> Person:
    value = dict(image.rule("subject", SUBJECT) or {})
    value.pop("patient", None)
    value.pop("name", None)
    return person(str(value.pop("person", SUBJECT)), value)


def subject_rule(subject: dict[str, Any]) -> Rule:
    """The facts about the client that decisions need (consent 8, persons), checked.

    Raises:
        BadValue: with the place.
    """
    known = {k: v for k, v in subject.items() if k not in {"person", "patient", "name"}}
    person(str(subject.get("person", SUBJECT)), known, "subject")
    return Rule("subject", SUBJECT, subject)


async def verdict_of(
    dossier: Dossier, caller: Caller, people: People, policy: Policy, now: datetime, cap: Cap
) -> Verdict:
    """What this caller may do in this dossier now; memberships are read as of now."""
    rules = rules_of(dossier, policy)
    world = rules.world
    if rules.strangers:
        persons = {rules.subject.id: rules.subject}
        for id_ in rules.strangers:
            found = await people.person(id_)
            if found is not None:
                persons.setdefault(id_, found)
        world = World.of(persons, rules.relations, rules.grants, policy)
    in_context = caller.dossier in {"", dossier.client}
    asker = _Asker(caller, rules, now, cap, in_context=in_context)
    verdict = Verdict(world, dossier.image, asker.ask, rules.edges, rules.named)
    verdict.concerns = lambda type_, id_: concerns(
        dossier.image, rules, asker.caller, now, type_, id_
    )
    return narrowed(verdict, cap, dossier.searches, now, in_context=in_context)


async def verdict_again(
    dossier: Dossier, caller: Caller, people: People, policy: Policy, now: datetime, cap: Cap
) -> Verdict:
    """`verdict_of`, or the one this very caller got earlier in this second when it is the same.

    It is the same when no commit came since and no rule begins or ends within this second; a
    decision that hangs on facts from elsewhere (other persons, an emergency) is always made anew.
    """
    rules, second = rules_of(dossier, policy), int(now.timestamp())
    if rules.strangers or caller.emergency is not None or second in rules.uneven:
        return await verdict_of(dossier, caller, people, policy, now, cap)
    mark = (dossier.image.n, second)
    kept = dossier.memo.get("verdicts")
    if kept is None or kept[1][0] is not rules or kept[1][1] != mark or len(kept[1][2]) >= _CALLERS:
        kept = dossier.memo["verdicts"] = (dossier.image.n, (rules, mark, {}))
    known: dict[tuple[int, int], tuple[Caller, Cap, Verdict]] = kept[1][2]
    place = (id(caller), id(cap))
    found = known.get(place)
    if found is None:
        made = await verdict_of(dossier, caller, people, policy, now, cap)
        found = known[place] = (caller, cap, made)
    return found[2]


def concerns(
    image: Image, rules: Rules, caller: Caller, now: datetime, type_: str, id_: str
) -> bool:
    """Whether the rule behind a Consent or RelatedPerson gives the caller himself something now.

    A deny does not concern him: who is kept out is not told.
    """
    if type_ == "RelatedPerson":
        kept = image.rule("relation", id_)
        found = relation(kept) if kept else None
        return found is not None and found.person == caller.person and found.holds(now)
    return any(
        consent_id(one.id) == id_ and given_to(one, caller, now)
        for one in rules.grants
        if type_ == "Consent"
    )


def given_to(grant: Grant, caller: Caller, now: datetime) -> bool:
    """Whether a permit is in force for this caller, or was passed on by him."""
    over = (grant.revoked is not None and grant.revoked <= now) or grant.status != "active"
    early = grant.from_ is not None and now < grant.from_
    late = grant.to is not None and grant.to <= now
    if grant.effect != "permit" or over or early or late:
        return False
    if grant.parent and grant.by == caller.person:
        return True
    name, level = grant.grantee.id, grant.grantee.level
    if level == Level.PERSON:
        return name == caller.person
    if caller.kind not in PROVIDER_KINDS:
        return False
    if level == Level.TEAM:
        return name in caller.teams
    return name == caller.org and grant.grantee.role in {"", caller.role}


class _Asker:
    """Makes decision requests of one caller."""

    def __init__(
        self, caller: Caller, rules: Rules, now: datetime, cap: Cap, *, in_context: bool
    ) -> None:
        self.caller, self._cap, self._in_context = caller, cap, in_context
        self._now, self._client = now, rules.subject.id
        self._purpose = caller.emergency.code if caller.emergency else _purpose(caller, rules, now)
        self._person = Person(caller.person, caller.birth, caller.kind, caller.orgs, caller.teams)
        if caller.person == rules.subject.id:
            self._person = rules.subject

    def ask(self, action: str, resource: Resource, *, anyhow: bool = False, **more: Any) -> Request:
        """May the caller do this with that? `anyhow` leaves the token's scope aside."""
        caller = self.caller
        return Request(
            actor=caller.person,
            client=self._client,
            action=action,
            purpose=self._purpose,
            at=self._now,
            resource=resource,
            org=caller.org,
            role=caller.role,
            loa=caller.loa,
            scope_ok=anyhow or self._reaches(action, resource.type),
            emergency=caller.emergency,
            person=self._person,
            **more,
        )

    def _reaches(self, action: str, type_: str) -> bool:
        letters = _LETTERS.get(action)
        if letters is None:
            return True
        first, second = letters
        allows, context = self._cap.allows, self._in_context
        return allows(first, type_, in_context=context) or allows(second, type_, in_context=context)


def _purpose(caller: Caller, rules: Rules, now: datetime) -> str:
    """The purpose, from the token or from what the caller is to this client (architecture 2)."""
    if caller.purpose:
        return caller.purpose
    if caller.person == rules.subject.id:
        return "PATRQT"
    related = (r for r in rules.relations if r.person == caller.person and r.holds(now))
    return "FAMRQT" if any(related) else "SUPNWK"
