"""Who may record or end a relation: nobody takes the reins from another by the back door.

Ending a relation excludes somebody altogether, so only who could exclude him by a deny may do it
(consent 2, step 4); and never is nobody left who holds the reins (consent 4).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pgo.consent import denies, labels, reading, representation
from pgo.consent.ages import birthday, reached
from pgo.consent.asking import ask
from pgo.consent.decide import decide
from pgo.consent.model import (
    Decision,
    Grant,
    Grantee,
    Level,
    Person,
    Relation,
    Request,
    Resource,
    World,
)
from pgo.consent.representation import CHILD, SIXTEEN, Basis
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Forbidden, Missing
from pgo.moment import instant

_MEMBERS: Final = frozenset(
    {
        *("person", "kind", "gezag", "from", "to", "child_confirmed", "order", "verified"),
        *("actions", "categories", "labels", "as", "treedt_niet_op"),
    }
)
_EVIDENCE: Final = {"mentor": "order", "curator": "order", "gemachtigde": "verified"}
_PURPOSE: Final = "FAMRQT"
_PURPOSES: Final = {"copiloot": "CAREMGT", "zorgverlener": "TREAT"}


def sent_relation(
    sent: Mapping[str, Any], client: str, place: str = "relation", *, whole: bool = False
) -> tuple[Relation, dict[str, Any]]:
    """A relation as somebody wants to record it, and the form it is stored in.

    `whole`: for an operator who brings in what there is; to others, that a child let his parent
    in is not known: the child says so himself.

    Raises:
        BadValue: with the place, also for a member or kind that is not known;
        Missing: the evidence the law asks for this kind.
    """
    if not (_MEMBERS if whole else _MEMBERS - {"child_confirmed"}).issuperset(sent):
        raise BadValue("a member that is not known", place=place)
    made = {**sent, "client": client}
    relation = reading.relation(made, place)
    if relation.kind not in representation.REPRESENTATIVE_KINDS:
        raise BadValue("not a kind of representative", place=f"{place}.kind")
    proof = _EVIDENCE.get(relation.kind, "")
    if proof and not getattr(relation, proof):
        raise Missing("this kind needs evidence", place=f"{place}.{proof}")
    if relation.kind == "familie" and relation.as_ not in representation.KINSHIP:
        raise Missing("this kind needs the kinship", place=f"{place}.as")
    return relation, made


def claimed(relation: Relation, made: Mapping[str, Any], by: str, at: int) -> Rule:
    """The rule of a new relation; one that rests on evidence is a claim until that is verified.

    Parental authority, a court order and a mandate rest on evidence (consent 1).
    """
    if relation.kind not in _EVIDENCE and not relation.gezag:
        return Rule("relation", f"r-{secrets.token_hex(8)}", dict(made))
    said = {"relation": dict(made), "person": relation.person, "by": by, "made": instant(at)}
    return Rule("claim", f"c-{secrets.token_hex(8)}", {**said, "status": "te-controleren"})


def may_end(world: World, client: Person, relation: Relation, by: str, at: datetime) -> None:
    """Whether `by` may end this relation; his own he may, as long as somebody is left.

    Raises:
        Forbidden: he may not.
    """
    if relation.person == by:
        if not _somebody_left(world, client, relation, at):
            raise Forbidden("nobody would be left who holds the reins of this dossier")
    elif not _could_exclude(world, client, relation, by, at):
        raise Forbidden("you may not end what somebody else represents the client by")


def may_propose(
    world: World,
    client: Person,
    who: str,
    grant_to: str,
    at: datetime,
    *,
    co_consent: bool = True,
    target: str = "grant",
) -> Decision:
    """Whether somebody may open something to somebody now, given that the other party agrees.

    `target` is as in a decision's request: what it is done with.
    """
    resource = Resource(frozenset({"toestemmingen"}), "Consent")
    actor = client if who == client.id else world.person(who)
    asked = Request(who, client.id, "beheren", _PURPOSES.get(actor.kind, _PURPOSE), at, resource)
    return decide(
        world,
        replace(
            asked,
            person=actor,
            org=min(actor.orgs, default=""),
            co_consent=co_consent,
            target=target,
            grant_to=grant_to,
        ),
    )


def within_bounds(world: World, client: Person, grant: Grant, at: datetime) -> None:
    """Who represents the client gives no more than he represents him for: no half grants.

    Raises:
        Forbidden: the grant reaches further.
    """
    if grant.by == client.id:
        return
    bases = _giving(world, client, grant.by, at)
    if not bases:
        raise Forbidden("only the client, or who represents him with beheren, gives this")
    if not any(each.categories is None or grant.contained <= each.categories for each in bases):
        raise Forbidden("this is outside what you represent the client for")


def gives(world: World, client: Person, who: str, at: datetime) -> bool:
    """Whether a permit that somebody makes himself can count (consent 2).

    Who holds the reins by a grant alone has nothing of his own to give: he proposes, and ends.
    """
    return who == client.id or bool(_giving(world, client, who, at))


def gives_all(world: World, client: Person, grant: Grant, at: datetime) -> bool:
    """Whether who gives a permit could give all that it says at `at`, its labels too.

    What he could not give it does not open (consent 2), so who gives such a grant in his place
    would open more than it did.
    """
    if grant.by == client.id:
        return True
    named = grant.labels or frozenset()
    return any(
        (each.categories is None or grant.contained <= each.categories)
        and (each.kind != "gemachtigde" or labels.covered(named, each.labels or frozenset()))
        for each in _giving(world, client, grant.by, at)
    )


def _giving(world: World, client: Person, who: str, at: datetime) -> tuple[Basis, ...]:
    bases = representation.bases(world, client, who, at)
    return tuple(each for each in bases if each.actions is None or "beheren" in each.actions)


def as_confirmed(world: World, client: Person, who: str, at: datetime) -> World | None:
    """The world in which a child of 12-15 has confirmed this parent or voogd with gezag.

    None when the client is not of that age: there is nothing to confirm.
    """
    twelve = birthday(client.birth, CHILD, latest=True)
    if twelve is None or not twelve <= at or reached(client, SIXTEEN, at, latest=True):
        return None
    relations = tuple(
        replace(each, child_confirmed=twelve) if each.person == who and each.gezag else each
        for each in world.relations
    )
    return World.of(world.persons, relations, world.grants, world.policy)


def _could_exclude(world: World, client: Person, relation: Relation, by: str, at: datetime) -> bool:
    person = relation.person
    deny = Grant("", client.id, by, "deny", person, Grantee(Level.PERSON, person))
    imagined = World.of(world.persons, world.relations, (deny,), world.policy)
    return bool(denies.standing(ask(imagined, _to_hold(client, person, at))))


def holds_reins(
    world: World, client: Person, relations: tuple[Relation, ...], who: str, at: datetime
) -> bool:
    """Whether somebody holds the reins, were these the relations."""
    imagined = World.of(world.persons, relations, world.grants, world.policy)
    return decide(imagined, _to_hold(client, who, at)).permit


def _somebody_left(world: World, client: Person, relation: Relation, at: datetime) -> bool:
    others = {each.person for each in world.relations if each.person != relation.person}
    left = World.of(
        world.persons,
        tuple(each for each in world.relations if each.person != relation.person),
        world.grants,
        world.policy,
    )
    return any(decide(left, _to_hold(client, who, at)).permit for who in (client.id, *others))


def _to_hold(client: Person, who: str, at: datetime) -> Request:
    resource = Resource(frozenset({"toestemmingen"}), "Consent")
    asked = Request(who, client.id, "beheren", _PURPOSE, at, resource, restrictive=True)
    return replace(asked, person=client) if who == client.id else asked
