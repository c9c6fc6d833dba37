"""Whether a permit counts: its grantor's standing, or the chain it was passed on through (§2, §4).

`chain` walks up from a grant to the one made by the client or a representative, and asks at each
step whether that ancestor would permit this very request to its own grantee now.
"""

from __future__ import annotations

from datetime import datetime

from pgo.consent import ages, denies, labels, matching, representation, seals
from pgo.consent.asking import Asking, ask_for_giver
from pgo.consent.model import Grant, Level
from pgo.consent.representation import CHILD, Basis


def chain(grant: Grant, asking: Asking) -> tuple[Grant, ...]:
    """The grant with all its ancestors, nearest first; empty when it does not hold now."""
    links, people = [grant], {grant.to_who}
    while links[-1].parent:
        child = links[-1]
        parent = asking.world.by_id.get((child.client, child.parent))
        if parent is None or parent.to_who in people:
            return ()
        if not _passed_on(child, parent) or not _would_permit(parent, asking):
            return ()
        links.append(parent)
        people.add(parent.to_who)
    return tuple(links) if has_standing(links[-1], asking) else ()


def _passed_on(child: Grant, parent: Grant) -> bool:
    """Whether the child could be made from the parent by the one who made it."""
    return (
        parent.effect == "permit"
        and passable(parent)
        and child.by == parent.to_who
        and child.depth <= parent.depth - 1
        and "delen" in parent.allowed
    )


def passable(grant: Grant) -> bool:
    """Whether a grant can be passed on at all: only personal ones can."""
    return grant.grantee.level == Level.PERSON and not grant.own


def _would_permit(parent: Grant, asking: Asking) -> bool:
    """Whether this ancestor permits the request to its own grantee, who may still pass on."""
    giver = ask_for_giver(asking, parent)
    if giver.actor.kind == "beheerder" or not _still_member(giver):
        return False
    if not matching.matches(parent, giver) or seals.closed(giver):
        return False
    if denies.standing(giver):
        return False
    giver.action = "delen"
    return not denies.standing(giver)


def _still_member(giver: Asking) -> bool:
    """A copiloot who belongs to no organisation any more has nothing to pass on."""
    return giver.actor.kind != "copiloot" or bool(giver.actor.orgs)


def has_standing(grant: Grant, asking: Asking) -> bool:
    """Whether the grantor of a permit without parent had something to give when it was made."""
    client, made = asking.client, grant.made or asking.at
    if grant.by == grant.to_who or _made_after_death(grant, asking):
        return False
    if grant.by == client.id:
        return ages.reached(client, CHILD, made, latest=True) and not _was_under_curatele(
            asking, made, known=grant.made is not None
        )
    relations = asking.world.between.get((client.id, grant.by), ())
    grounds = representation.living(asking.world, client, relations, made) if relations else ()
    return any(_could_give(basis, asking) for basis in grounds)


def _made_after_death(grant: Grant, asking: Asking) -> bool:
    died = asking.client.deceased
    return grant.made is not None and isinstance(died, datetime) and grant.made >= died


def _was_under_curatele(asking: Asking, made: datetime, *, known: bool) -> bool:
    test = representation.was_under_curatele if known else representation.under_curatele
    return test(asking.world, asking.client, made)


def _could_give(basis: Basis, asking: Asking) -> bool:
    """A representative gives within his bounds; a mandate must hold beheren."""
    if basis.actions is not None and "beheren" not in basis.actions:
        return False
    if basis.categories is not None and not asking.categories <= basis.categories:
        return False
    return basis.kind != "gemachtigde" or labels.covered(
        asking.sensitive, basis.labels or frozenset()
    )
