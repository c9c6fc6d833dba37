"""The decision: default deny, deny wins; pure, complete (consent.md §1-§6), first hit ends.

::

    entry ─▶ self ─▶ seals ─▶ emergency ─▶ denies ─▶ representation ─▶ permits ─▶ no

`decide` knows no clock, store or request; the moment is in the request.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgo.consent import (
    ages,
    delegation,
    denies,
    emergency,
    entry,
    matching,
    representation,
    seals,
)
from pgo.consent.asking import Asking, ask
from pgo.consent.model import Decision, Grant, Request, World
from pgo.consent.representation import CHILD, SIXTEEN

AUDIT = ("audit",)
LIVE = frozenset({"active", "proposed", "waakvlam"})
AFTER_EMERGENCY = ("audit", "notify-client", "review")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one step, with the grants that made it."""

    permit: bool
    reason: str
    grants: tuple[Grant, ...] = ()
    obligations: tuple[str, ...] = AUDIT


def decide(world: World, request: Request) -> Decision:
    """Whether the actor may do this, with the reason that goes to the audit line.

    Never raises on anything that `reading` lets through; what is not permitted is denied.
    """
    verdict = judge(ask(world, request))
    return Decision(
        permit=verdict.permit,
        reason=verdict.reason,
        grants=tuple([grant.id for grant in verdict.grants]),
        obligations=verdict.obligations,
        policy=world.policy.version,
        evaluated_at=request.at,
    )


def judge(asking: Asking) -> Verdict:
    """The steps in their order; the first one that says something ends it."""
    refused = entry.refusal(asking)
    if refused:
        return Verdict(permit=False, reason=refused)
    if asking.actor.id == asking.client.id:
        reason = own_access(asking)
        return Verdict(permit=not reason, reason=reason or "ZELF")
    sealed = seals.closed(asking)
    if sealed:
        return Verdict(permit=False, reason=sealed)
    if asking.request.emergency is not None:
        return _emergency(asking)
    giving_up = own_grants(asking)
    against = [] if giving_up else denies.standing(asking)
    if against:
        return Verdict(permit=False, reason="WEIGERING_WINT", grants=tuple(against))
    return _rights(asking, giving_up)


def own_access(asking: Asking) -> str:
    """Step 1: why the client himself may not; "" when he may."""
    client, at, request = asking.client, asking.at, asking.request
    if ages.dead(client, at):
        return "OVERLEDEN"
    if not ages.reached(client, CHILD, at, latest=True):
        return "KIND_<12_GEEN_EIGEN_TOEGANG"
    if not request.widening:
        return ""
    if not ages.reached(client, SIXTEEN, at, latest=True) and not request.co_consent:
        return "WACHT_OP_MEDETOESTEMMING"
    if representation.under_curatele(asking.world, client, at):
        return "CURATELE_BEHEERT"
    return ""


def _emergency(asking: Asking) -> Verdict:
    declared = asking.request.emergency
    refused = emergency.refusal(asking, declared) if declared else ""
    if refused:
        grants = tuple(denies.by_court(asking)) if refused == "WEIGERING_WINT" else ()
        return Verdict(permit=False, reason=refused, grants=grants)
    return Verdict(permit=True, reason="NOOD", obligations=AFTER_EMERGENCY)


def _rights(asking: Asking, giving_up: tuple[Grant, ...]) -> Verdict:
    """Steps 5 to 7: representation, then grants; what lay outside the bounds is said last."""
    outside = ""
    for basis in representation.bases(asking.world, asking.client, asking.actor.id, asking.at):
        why = representation.bounded(basis, asking)
        if not why:
            return Verdict(permit=True, reason=f"VERTEGENWOORDIGER:{basis.name}")
        outside = outside or why
    granted = permits(asking)
    if granted.permit:
        return granted
    if giving_up:
        return Verdict(permit=True, reason=f"TOESTEMMING:{giving_up[0].id}", grants=giving_up[:1])
    return Verdict(permit=False, reason=outside) if outside else granted


def permits(asking: Asking) -> Verdict:
    """Step 6: the first matching permit that holds, in the order of §2."""
    shallow: list[Grant] = []
    broken: list[Grant] = []
    for grant in matching.candidates(asking):
        if not matching.matches(grant, asking):
            continue
        if asking.action == "delen" and not delegation.passable(grant):
            continue
        held = delegation.chain(grant, asking)
        if not held:
            if grant.parent:
                broken.append(grant)
        elif asking.action == "delen" and grant.depth < 1:
            shallow.append(grant)
        else:
            return Verdict(permit=True, reason=f"TOESTEMMING:{grant.id}", grants=held)
    if shallow:
        return Verdict(permit=False, reason="DELEGATIE_DIEPTE", grants=tuple(shallow))
    reason = "DELEGATIE_ONGELDIG" if broken else "GEEN_TOESTEMMING"
    return Verdict(permit=False, reason=reason, grants=tuple(broken))


def own_grants(asking: Asking) -> tuple[Grant, ...]:
    """The actor's own grants that this request gives up; a grantee may always do that (§1).

    The grant is named by the id of the resource, or it is whatever he has when the request is
    about himself.
    """
    request = asking.request
    if asking.action != "beheren" or not request.restrictive or request.target not in ("", "grant"):
        return ()
    mine = [grant for grant in asking.world.grants if _can_be_given_up(grant, asking)]
    named = asking.resource.id
    if (asking.client.id, named) in asking.world.by_id:
        return tuple(grant for grant in mine if grant.id == named)
    return tuple(mine) if request.grant_to == asking.actor.id else ()


def _can_be_given_up(grant: Grant, asking: Asking) -> bool:
    return (
        grant.client == asking.client.id
        and grant.to_who == asking.actor.id
        and grant.effect == "permit"
        and grant.status in LIVE
        and (grant.revoked is None or asking.at < grant.revoked)
        and (grant.to is None or asking.at < grant.to)
    )
