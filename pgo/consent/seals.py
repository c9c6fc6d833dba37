"""Step 2 of a decision: seals, the labels no grant opens (consent.md §2)."""

from __future__ import annotations

from pgo.consent import representation
from pgo.consent.asking import Asking
from pgo.consent.model import (
    NOT_FOR_RELATIVES,
    NOT_FOR_REPRESENTATIVE,
    ONLY_AUTHOR,
    SEALS,
)


def closed(asking: Asking) -> str:
    """The seal that stops this actor; "" when none does. Author and client are not affected."""
    labels = asking.resource.labels
    if labels.isdisjoint(SEALS) or asking.actor.id in (asking.resource.author, asking.client.id):
        return ""
    if ONLY_AUTHOR in labels:
        return "VERZEGELD"
    if NOT_FOR_REPRESENTATIVE in labels and _representative(asking):
        return "VERBORGEN_VOOR_VERTEGENWOORDIGER"
    if NOT_FOR_RELATIVES in labels and _relative(asking):
        return "VERBORGEN_VOOR_NAASTEN"
    return ""


def _representative(asking: Asking) -> bool:
    return representation.ever(asking.world, asking.client.id, asking.actor.id, asking.at)


def _relative(asking: Asking) -> bool:
    """A naaste or copiloot who does not represent the client now."""
    if not asking.private and asking.actor.kind != "copiloot":
        return False
    return not representation.bases(asking.world, asking.client, asking.actor.id, asking.at)
