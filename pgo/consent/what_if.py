"""What would change a decision: single changes, each tried through the very same `decide`; pure.

Nothing is guessed from the reason: a change is told only when the decision with it is another one.
For the client, the privacy officer and who is concerned, never for somebody who was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pgo.consent import ages, moments
from pgo.consent.asking import ask
from pgo.consent.decide import decide
from pgo.consent.denies import standing
from pgo.consent.model import (
    LOAS,
    SEALS,
    Grant,
    Grantee,
    Level,
    Person,
    Relation,
    Request,
    World,
)
from pgo.consent.words import ACTION_WORDS, CATEGORY_WORDS, PURPOSE_WORDS, day, listed

_PURPOSES: Final = ("PATRQT", "FAMRQT", "SUPNWK", "CAREMGT", "TREAT")
_AGES: Final = (12, 16, 18)
_WEEK: Final = 7 * 24 * 60
_LIVE: Final = frozenset({"proposed", "waakvlam", "inactive"})
MOST: Final = 12
"""Changes that are told at most; the first ones are the most likely to be wanted."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: a code, the words for it, and what it is about (a grant, a purpose, a moment).

    Codes: TOESTEMMING, NIVEAU, DOEL, WEIGERING_WEG, WEER_ACTIEF, VANAF, LID, MEDETOESTEMMING,
    ZEGEL_WEG; and for what may: TOT, ZONDER_TOESTEMMING, ZONDER_RELATIE.
    """

    code: str
    text: str
    about: str = ""


def changes(world: World, request: Request) -> tuple[Change, ...]:
    """The single changes that would make this a yes; of a yes, those that would make it a no."""
    if decide(world, request).permit:
        found = [*_ends(world, request), *_losses(world, request)]
    else:
        found = [change for change, there, asked in _tries(world, request) if _may(there, asked)]
        found += _later(world, request, wanted=True)
    return tuple(found[:MOST])


def _may(world: World, request: Request) -> bool:
    return decide(world, request).permit


# --- from no to yes ----------------------------------------------------------------------------


def _tries(world: World, request: Request) -> Iterator[tuple[Change, World, Request]]:
    yield from _with_a_grant(world, request)
    yield from _asked_otherwise(world, request)
    yield from _without_a_deny(world, request)
    yield from _awake(world, request)
    resource = request.resource
    if resource.labels & SEALS:
        bare = replace(request, resource=replace(resource, labels=resource.labels - SEALS))
        yield Change("ZEGEL_WEG", "Als het zegel eraf gaat."), world, bare


def _asked_otherwise(world: World, request: Request) -> Iterator[tuple[Change, World, Request]]:
    known = LOAS.index(request.loa) if request.loa in LOAS else 0
    for loa in LOAS[known + 1 :]:
        text = f"Met inloggen op niveau {loa}."
        yield Change("NIVEAU", text, loa), world, replace(request, loa=loa)
    for purpose in _PURPOSES:
        if purpose != request.purpose:
            text = f"Met als doel {PURPOSE_WORDS[purpose]}."
            yield Change("DOEL", text, purpose), world, replace(request, purpose=purpose)
    if not request.co_consent:
        agreed = replace(request, co_consent=True)
        yield Change("MEDETOESTEMMING", "Als de ander ook ja zegt."), world, agreed
    actor = request.person or world.person(request.actor)
    if request.org and request.org not in actor.orgs:
        member = replace(request, person=replace(actor, orgs=actor.orgs | {request.org}))
        yield Change("LID", "Als de organisatie deze persoon als lid noemt."), world, member


def _with_a_grant(world: World, request: Request) -> Iterator[tuple[Change, World, Request]]:
    """A grant for just this, by the client or by who represents him now; one of them is enough."""
    asked = ask(world, request)
    if request.actor == request.client or not request.actor:
        return
    named = [CATEGORY_WORDS[name] for name in CATEGORY_WORDS if name in asked.categories]
    sensitive = " en voor extra gevoelige gegevens" if asked.sensitive else ""
    text = f"Met een toestemming voor {listed(named) or 'iets'}{sensitive}."
    if request.action != "lezen":
        doing = ACTION_WORDS.get(request.action, request.action)
        text = f"Met een toestemming voor {doing}: {listed(named)}{sensitive}."
    for giver in _givers(world, request):
        grant = Grant(
            id="nieuw",
            client=request.client,
            by=giver,
            effect="permit",
            to_who=request.actor,
            grantee=Grantee(Level.PERSON, request.actor),
            actions=frozenset({request.action}),
            categories=asked.categories,
            labels=asked.sensitive or None,
            depth=1 if request.action == "delen" else 0,
            made=request.at,
        )
        there = _world(world, grants=(*world.grants, grant))
        if _may(there, request):
            yield Change("TOESTEMMING", text, "+".join(sorted(asked.categories))), there, request
            return


def _givers(world: World, request: Request) -> list[str]:
    related = [relation.person for relation in world.related.get(request.client, ())]
    return [request.client, *dict.fromkeys(who for who in related if who != request.actor)]


def _without_a_deny(world: World, request: Request) -> Iterator[tuple[Change, World, Request]]:
    against = standing(ask(world, request))
    for grant in against:
        left = tuple(one for one in world.grants if one is not grant)
        change = Change("WEIGERING_WEG", "Als deze weigering weg is.", grant.id)
        yield change, _world(world, grants=left), request
    if len(against) > 1:
        left = tuple(one for one in world.grants if all(one is not each for each in against))
        about = "+".join(grant.id for grant in against)
        text = f"Als alle {len(against)} weigeringen weg zijn."
        yield Change("WEIGERING_WEG", text, about), _world(world, grants=left), request


def _awake(world: World, request: Request) -> Iterator[tuple[Change, World, Request]]:
    for grant in world.grants:
        over = grant.revoked is not None and grant.revoked <= request.at
        if grant.effect != "permit" or not (grant.status in _LIVE or over):
            continue
        active = replace(grant, status="active", revoked=None)
        there = tuple(active if one is grant else one for one in world.grants)
        change = Change("WEER_ACTIEF", "Als deze toestemming (weer) aan staat.", grant.id)
        yield change, _world(world, grants=there), request


def _world(world: World, **changed: tuple[Grant, ...] | tuple[Relation, ...]) -> World:
    relations: tuple[Relation, ...] = changed.get("relations", world.relations)  # type: ignore[assignment]
    grants: tuple[Grant, ...] = changed.get("grants", world.grants)  # type: ignore[assignment]
    return World.of(world.persons, relations, grants, world.policy)


# --- from yes to no ----------------------------------------------------------------------------


def _losses(world: World, request: Request) -> Iterator[Change]:
    """Without this grant, or this relation, there would be no right left."""
    for id_ in decide(world, request).grants[:1]:
        left = tuple(one for one in world.grants if one.id != id_)
        if not _may(_world(world, grants=left), request):
            yield Change("ZONDER_TOESTEMMING", "Alleen door deze toestemming.", id_)
    mine = tuple(one for one in world.relations if one.person != request.actor)
    if len(mine) < len(world.relations) and not _may(_world(world, relations=mine), request):
        yield Change("ZONDER_RELATIE", "Alleen door deze vertegenwoordiging.", request.actor)


def _ends(world: World, request: Request) -> list[Change]:
    return _later(world, request, wanted=False)


# --- another moment ----------------------------------------------------------------------------


def _later(world: World, request: Request, *, wanted: bool) -> list[Change]:
    """The first later moment at which the answer is the one that is wanted."""
    for at in sorted(set(_moments(world, request))):
        if at > request.at and _may(world, replace(request, at=at)) is wanted:
            word, code = ("Vanaf", "VANAF") if wanted else ("Tot", "TOT")
            return [Change(code, f"{word} {day(at)}.", at.isoformat())]
    return []


def _moments(world: World, request: Request) -> Iterable[datetime]:
    client = world.person(request.client)
    for grant in world.grants:
        yield from filter(None, (grant.from_, grant.to, grant.revoked))
        for start, end in grant.weekly or ():
            yield from (_next(request.at, start), _next(request.at, end))
    for relation in world.related.get(request.client, ()):
        yield from filter(None, (relation.from_, relation.to, relation.child_confirmed))
    yield from _birthdays(client)


def _birthdays(client: Person) -> Iterable[datetime]:
    for age in _AGES:
        for latest in (False, True):
            found = ages.birthday(client.birth, age, latest=latest)
            if found is not None:
                yield found


def _next(at: datetime, minute: int) -> datetime:
    """The first moment after `at` whose local clock shows this minute of the week."""
    whole = at.replace(second=0, microsecond=0)
    ahead = (minute - moments.minute_of_week(whole)) % _WEEK or _WEEK
    found = whole + timedelta(minutes=ahead)
    drift = (minute - moments.minute_of_week(found) + _WEEK // 2) % _WEEK - _WEEK // 2
    return found + timedelta(minutes=drift)
