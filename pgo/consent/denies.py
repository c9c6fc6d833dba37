"""Step 4 of a decision: denies, and who cannot be excluded by whom (consent.md §2)."""

from __future__ import annotations

from pgo.consent import ages, matching, representation
from pgo.consent.asking import Asking
from pgo.consent.model import Grant
from pgo.consent.representation import ADULT, CHILD, Basis


def standing(asking: Asking) -> list[Grant]:
    """The active denies that match this request and hold against this actor."""
    found = matching.hits(asking)
    if not found:
        return []
    bases = representation.bases(asking.world, asking.client, asking.actor.id, asking.at)
    return [grant for grant in found if _holds(grant, asking, bases)]


def by_court(asking: Asking) -> list[Grant]:
    """Those of them made by a court: they stand against everything, emergency included."""
    return [grant for grant in matching.hits(asking) if grant.by_court]


def _holds(grant: Grant, asking: Asking, bases: tuple[Basis, ...]) -> bool:
    if grant.by_court:
        return True
    if grant.by == asking.client.id:
        curator = any(basis.kind == "curator" for basis in bases)
        return not curator and not _cannot_exclude_parent(asking)
    if any(basis.kind in ("mentor", "curator") for basis in bases):
        return False
    return not (asking.action == "beheren" and bases and _from_representative(grant, asking))


def _cannot_exclude_parent(asking: Asking) -> bool:
    """A client under 12, or under 18 and unable to decide, against who has gezag now."""
    client, at = asking.client, representation.moment_of(asking.client, asking.at)
    limit = ADULT if client.wilsonbekwaam else CHILD
    if ages.reached(client, limit, at):
        return False
    relations = asking.world.between.get((client.id, asking.actor.id), ())
    return any(r.kind in ("ouder", "voogd") and r.gezag and r.holds(at) for r in relations)


def _from_representative(grant: Grant, asking: Asking) -> bool:
    return representation.ever(asking.world, asking.client.id, grant.by, asking.at)
