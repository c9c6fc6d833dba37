"""Who may say yes to what somebody asked, and what that yes does; pure (consent.md §1 to §3).

Between 12 and 15 nobody opens anything alone: what one asked waits for the other, child or one
parent with gezag. From 16 on it is the child's alone, also what was asked before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from pgo.consent import ages, sound
from pgo.consent.decide import decide
from pgo.consent.model import ONLY_AUTHOR, Decision, Person, Request, World
from pgo.consent.representation import CHILD, SIXTEEN
from pgo.standing import as_confirmed, gives, may_propose


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked: `to` is whom it is about ("" for nobody), `waits` what it waits for.

    `target` is as in a decision's request: grant, seal, relation or deny.
    """

    by: str
    to: str
    target: str
    waits: str


class Yes(Enum):
    """What a yes does."""

    DONE = "both have agreed: it holds"
    ALONE = "who says it may do so alone: it holds, as his own"
    FIRST = "it is his own from now on, and waits for the other party"
    OWN = "he asked it himself: the other party has to agree"
    NOTHING_TO_GIVE = "he holds the reins by a grant alone: the family decides"
    LAPSED = "who asked may not do so now"
    REFUSED = "not his to agree to"


def both_needed(child: Person, at: datetime) -> bool:
    """Whether the client is from 12 to 15: what opens something needs child and parent."""
    return ages.reached(child, CHILD, at, latest=True) and not ages.reached(
        child, SIXTEEN, at, latest=True
    )


def opens_less(before: str, after: str) -> bool:
    """Whether a seal in place of another (each "" for none) opens nothing that was closed."""
    return not before or after in {before, ONLY_AUTHOR}


def is_parent(world: World, child: Person, mine: Request) -> bool:
    """Whether who asks `mine` is a parent or voogd with gezag of a child of 12-15.

    Confirmed or not; but a deny of the child against him holds: then he is not asked. The level
    of his sign-in counts when he says yes, not before.
    """
    imagined = as_confirmed(world, child, mine.actor, mine.at)
    if imagined is None:
        return False
    asked = replace(_together(mine, Asked("", "", "grant", "")), loa="hoog")
    decision = decide(imagined, asked)
    return decision.permit and decision.reason.startswith("VERTEGENWOORDIGER:")


def is_other_party(world: World, child: Person, asked: Asked, mine: Request) -> bool:
    """Child or one parent with gezag, whoever did not ask it; never who it opens something to."""
    if asked.waits != sound.CO_CONSENT or mine.actor in {asked.by, asked.to}:
        return False
    if not both_needed(child, mine.at):
        return False
    if mine.actor == child.id:
        return True
    return asked.by == child.id and is_parent(world, child, mine)


def stands(world: World, child: Person, asked: Asked, at: datetime) -> bool:
    """Whether a question can still be answered: it falls with the right of who asked."""
    if asked.waits != sound.CO_CONSENT or not both_needed(child, at):
        return True
    return may_propose(world, child, asked.by, asked.to, at, target=asked.target).permit


def yes(world: World, child: Person, asked: Asked, mine: Request) -> tuple[Yes, Decision]:
    """What the yes of somebody does, and the decision it rests on.

    Args:
        world: the rules as they are now.
        child: the client.
        asked: what was asked.
        mine: a request for `beheren` by who says yes, as he is signed in, at this moment.
    """
    if is_other_party(world, child, asked, mine):
        theirs = may_propose(world, child, asked.by, asked.to, mine.at, target=asked.target)
        if not theirs.permit:
            return Yes.LAPSED, theirs
        imagined = as_confirmed(world, child, mine.actor, mine.at) or world
        own = decide(imagined, _together(mine, asked))
        return (Yes.DONE if own.permit else Yes.REFUSED), own
    own = decide(world, replace(mine, target=asked.target, grant_to=asked.to))
    if own.reason == "WACHT_OP_MEDETOESTEMMING":
        return (Yes.OWN if mine.actor == asked.by else Yes.FIRST), own
    if not own.permit:
        return Yes.REFUSED, own
    if both_needed(child, mine.at) and not gives(world, child, mine.actor, mine.at):
        return Yes.NOTHING_TO_GIVE, own
    return Yes.ALONE, own


def _together(mine: Request, asked: Asked) -> Request:
    """The same request, given that the other has agreed."""
    return replace(mine, co_consent=True, restrictive=False, target=asked.target, grant_to=asked.to)
