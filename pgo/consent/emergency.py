"""Step 3 of a decision: noodtoegang, the checks in the order of consent.md §5."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import timedelta

from pgo.caller import Emergency
from pgo.consent import ages, denies
from pgo.consent.asking import Asking

CODES = frozenset({"ETREAT", "BTG"})
LONG_ENOUGH = 10
# Letters and symbols that show nothing: Hangul fillers and the empty Braille pattern.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def visible(text: str) -> int:
    """How many characters of a text one can see; a letter with its accents counts as one."""
    return sum(unicodedata.category(c)[0] not in "ZCM" and c not in _BLANK for c in text)


def _client_died(asking: Asking, _: Emergency) -> bool:
    return ages.dead(asking.client, asking.at)


def _not_a_provider(asking: Asking, _: Emergency) -> bool:
    kinds = asking.world.policy.emergency_kinds
    return asking.actor.kind not in kinds or asking.request.loa != "hoog"


def _no_reason(_: Asking, declared: Emergency) -> bool:
    return declared.code not in CODES or visible(declared.reason) < LONG_ENOUGH


def _more_than_reading(asking: Asking, _: Emergency) -> bool:
    return asking.action != "lezen"


def _opted_out(asking: Asking, _: Emergency) -> bool:
    return asking.client.geen_noodtoegang


def _outside_the_set(asking: Asking, _: Emergency) -> bool:
    return not asking.categories <= asking.world.policy.emergency_set


def _expired(asking: Asking, declared: Emergency) -> bool:
    if declared.opened is None:
        return False
    length = timedelta(hours=asking.world.policy.emergency_hours)
    return not declared.opened <= asking.at < declared.opened + length


def _court_denied(asking: Asking, _: Emergency) -> bool:
    return bool(denies.by_court(asking))


CHECKS: tuple[tuple[str, Callable[[Asking, Emergency], bool]], ...] = (
    ("OVERLEDEN", _client_died),
    ("NOOD_ALLEEN_ZORGVERLENER", _not_a_provider),
    ("NOOD_ZONDER_REDEN", _no_reason),
    ("NOOD_ALLEEN_LEZEN", _more_than_reading),
    ("NOOD_UITGEZET_DOOR_CLIENT", _opted_out),
    ("NOOD_BUITEN_NOODSET", _outside_the_set),
    ("NOOD_VERLOPEN", _expired),
    ("WEIGERING_WINT", _court_denied),
)


def refusal(asking: Asking, declared: Emergency) -> str:
    """Why this emergency does not open the resource; "" when it does."""
    for reason, fails in CHECKS:
        if fails(asking, declared):
            return reason
    return ""
