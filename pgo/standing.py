"""Who may record or end a relation: nobody takes the reins from another by the back door; pure.

Ending a relation excludes somebody altogether, so only who could exclude him by a deny may do it
(consent 2, step 4); and never is nobody left who holds the reins (consent 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pgo.consent import denies, reading, representation
from pgo.consent.asking import ask
from pgo.consent.decide import decide
from pgo.consent.model import Grant, Grantee, Level, Person, Relation, Request, Resource, World
from pgo.errors import BadValue, Forbidden, Missing

_MEMBERS: Final = frozenset(
    {
        *("person", "kind", "gezag", "from", "to", "child_confirmed", "order", "verified"),
        *("actions", "categories", "labels", "as", "treedt_niet_op"),
    }
)
_EVIDENCE: Final = {"mentor": "order", "curator": "order", "gemachtigde": "verified"}
_PURPOSE: Final = "FAMRQT"


def sent_relation(sent: Mapping[str, Any], client: str) -> tuple[Relation, dict[str, Any]]:
    """A relation as somebody wants to record it, and the form it is stored in.

    Raises:
        BadValue: with the place, also for a member or kind that is not known;
        Missing: the evidence the law asks for this kind.
    """
    if not _MEMBERS.issuperset(sent):
        raise BadValue("a member that is not known", place="relation")
    made = {**sent, "client": client}
    relation = reading.relation(made, "relation")
    if relation.kind not in representation.REPRESENTATIVE_KINDS:
        raise BadValue("not a kind of representative", place="relation.kind")
    proof = _EVIDENCE.get(relation.kind, "")
    if proof and not getattr(relation, proof):
        raise Missing("this kind needs evidence", place=f"relation.{proof}")
    if relation.kind == "familie" and relation.as_ not in representation.KINSHIP:
        raise Missing("this kind needs the kinship", place="relation.as")
    return relation, made


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


def _could_exclude(world: World, client: Person, relation: Relation, by: str, at: datetime) -> bool:
    person = relation.person
    deny = Grant("", client.id, by, "deny", person, Grantee(Level.PERSON, person))
    imagined = World.of(world.persons, world.relations, (deny,), world.policy)
    return bool(denies.standing(ask(imagined, _to_hold(client, person, at))))


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
