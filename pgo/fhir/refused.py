"""What this server asks of a resource beyond FHIR: an amount of medicine says of what. Pure.

A dose of 5 without a unit is 5 of anything: whoever gives the medicine may take it for tablets,
millilitres or milligrams. FHIR allows it; here it is refused, of people and of systems alike.
A Subscription is refused, since nothing would ever be sent for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pgo.errors import Issue

NOT_TAKEN: Final = {
    "Subscription": "Subscriptions are not served here, so none is taken. Nobody would be told.",
}
"""Types of which none is made here, and why."""

_MEDICATION: Final = frozenset(
    {
        *("MedicationRequest", "MedicationStatement", "MedicationDispense"),
        "MedicationAdministration",
    }
)
_AMOUNTS: Final = frozenset(
    {
        *("doseQuantity", "doseRange", "rateQuantity", "rateRange", "rateRatio", "dose"),
        *("maxDosePerPeriod", "maxDosePerAdministration", "maxDosePerLifetime", "quantity"),
    }
)
"""Elements of these types that say how much: of a Quantity, a Range or a Ratio."""
_PARTS: Final = ("low", "high", "numerator", "denominator")
_NO_UNIT: Final = "An amount of medicine needs a unit: say of what, in unit or in code."


def refused(type_: str, tree: dict[str, Any], place: str) -> list[Issue]:
    """What is refused here of one resource in the form of its type; contained ones apart."""
    if type_ in NOT_TAKEN:
        return [Issue("not-supported", NOT_TAKEN[type_], place)]
    if type_ not in _MEDICATION:
        return []
    return [Issue("required", _NO_UNIT, where) for where in _bare(tree, place)]


def _bare(tree: Any, place: str) -> Iterator[str]:
    """Where an amount has a number and no unit."""
    if type(tree) is list:
        for i, one in enumerate(tree):
            yield from _bare(one, f"{place}[{i}]")
    elif type(tree) is dict:
        for name, value in tree.items():
            if name in _AMOUNTS and type(value) is dict:
                yield from _unnamed(value, f"{place}.{name}")
            elif name not in {"contained", "extension", "modifierExtension"}:
                yield from _bare(value, f"{place}.{name}")


def _unnamed(amount: dict[str, Any], place: str) -> Iterator[str]:
    parts = [(amount[name], f"{place}.{name}") for name in _PARTS if name in amount]
    for one, where in parts or [(amount, place)]:
        if "value" in one and not any(str(one.get(name, "")).strip() for name in ("unit", "code")):
            yield f"{where}.unit"
