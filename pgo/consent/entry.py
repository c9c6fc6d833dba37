"""Step 0 of a decision: what any request must have before rights are looked at (consent.md §2)."""

from __future__ import annotations

from collections.abc import Callable

from pgo.consent.asking import Asking
from pgo.consent.model import ACTIONS, FORBIDDEN_PURPOSES, LOAS


def _not_signed_in(asking: Asking) -> bool:
    return not asking.request.authenticated or not asking.actor.id


def _other_dossier(asking: Asking) -> bool:
    return asking.resource.client not in ("", asking.client.id)


def _token_revoked(asking: Asking) -> bool:
    return asking.request.token_revoked


def _out_of_scope(asking: Asking) -> bool:
    return not asking.request.scope_ok or asking.action not in ACTIONS


def _operator(asking: Asking) -> bool:
    return asking.actor.kind == "beheerder"


def _no_purpose(asking: Asking) -> bool:
    return not asking.request.purpose.strip()


def _forbidden_purpose(asking: Asking) -> bool:
    return asking.request.purpose in FORBIDDEN_PURPOSES


def _assurance_too_low(asking: Asking) -> bool:
    """Widening and sensitive labels need substantieel; restricting never needs more (§1)."""
    request = asking.request
    if request.loa in LOAS[1:] or (request.action == "beheren" and request.restrictive):
        return False
    return request.widening or bool(asking.sensitive)


def _not_a_member(asking: Asking) -> bool:
    org = asking.org
    return org not in asking.actor.orgs if org else asking.actor.kind == "copiloot"


def _towards_himself(asking: Asking) -> bool:
    return asking.request.widening and asking.request.grant_to == asking.actor.id


def _management_limited(asking: Asking) -> bool:
    """What a copiloot with beheren leaves alone; his own grant he may give up (§1, §4)."""
    request = asking.request
    if asking.actor.kind != "copiloot" or asking.action != "beheren":
        return False
    if request.target not in ("", "grant"):
        return True
    own = request.restrictive and request.grant_to == asking.actor.id
    return not own and asking.world.person(request.grant_to).kind == "copiloot"


CHECKS: tuple[tuple[str, Callable[[Asking], bool]], ...] = (
    ("NIET_INGELOGD", _not_signed_in),
    ("ANDER_DOSSIER", _other_dossier),
    ("TOKEN_INGETROKKEN", _token_revoked),
    ("SCOPE", _out_of_scope),
    ("BEHEERDER_GEEN_INHOUD", _operator),
    ("DOEL_ONTBREEKT", _no_purpose),
    ("DOEL_VERBODEN", _forbidden_purpose),
    ("LOA_TE_LAAG", _assurance_too_low),
    ("GEEN_LID_ORGANISATIE", _not_a_member),
    ("NIET_AAN_ZICHZELF", _towards_himself),
    ("BEHEER_BEPERKT", _management_limited),
)


def refusal(asking: Asking) -> str:
    """The first thing the request lacks; "" when it may be looked at."""
    for reason, lacks in CHECKS:
        if lacks(asking):
            return reason
    return ""
