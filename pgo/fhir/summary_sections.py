"""What belongs in a patient summary: its sections as data, and what of a resource is current; pure.

Sections and codes are those of the International Patient Summary (http://hl7.org/fhir/uv/ips).
Nothing counts as current that says it is over, or of which something is not understood: a
modifierExtension that is not known here may mean the opposite of what the rest says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pgo.consent.categories import is_directive
from pgo.fhir import special

Pairs = tuple[tuple[str, str], ...]
Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One section: LOINC code and its name, a title in Dutch, and where its resources are found.

    `searches` are a type and the parameters of a search; `newest`: of each kind the newest only;
    `always`: there also when it is empty, which then says so.
    """

    code: str
    display: str
    title: str
    searches: tuple[tuple[str, Pairs], ...]
    newest: bool = False
    always: bool = False


_FINAL: Final = ("status", "final,amended,corrected")
_LAST: Final = ("_sort", "-_lastUpdated")
_RIGHT: Final = ("verification-status:not", "refuted,entered-in-error")
_LABORATORY: Final = "laboratory,http://snomed.info/sct|275711006"

SECTIONS: Final = (
    Section(
        "10160-0",
        "History of Medication use Narrative",
        "Medicijnen",
        (
            ("MedicationRequest", (("status", "active,on-hold,unknown"), _LAST)),
            ("MedicationStatement", (("status", "active,intended,on-hold,unknown"), _LAST)),
        ),
        always=True,
    ),
    Section(
        "48765-2",
        "Allergies and adverse reactions Document",
        "Allergieën",
        (("AllergyIntolerance", (_RIGHT, _LAST)),),
        always=True,
    ),
    Section(
        "11450-4",
        "Problem list - Reported",
        "Problemen en ziekten",
        (("Condition", (_RIGHT, _LAST)),),
        always=True,
    ),
    Section(
        "11369-6",
        "History of Immunization Narrative",
        "Vaccinaties",
        (("Immunization", (("status", "completed"), _LAST)),),
    ),
    Section(
        "30954-2",
        "Relevant diagnostic tests/laboratory data Narrative",
        "Uitslagen",
        (("Observation", (("category", _LABORATORY), _FINAL)),),
        newest=True,
    ),
    Section(
        "8716-3",
        "Vital signs",
        "Metingen",
        (("Observation", (("category", "vital-signs"), _FINAL)),),
        newest=True,
    ),
    Section(
        "47519-4",
        "History of Procedures Document",
        "Behandelingen",
        (("Procedure", (("status", "completed,in-progress"), _LAST)),),
    ),
    Section(
        "46264-8",
        "History of medical device use",
        "Hulpmiddelen",
        (("DeviceUseStatement", (_LAST,)),),
    ),
    Section(
        "18776-5",
        "Plan of care note",
        "Zorgplannen",
        (("CarePlan", (("status", "active"), _LAST)),),
    ),
    Section(
        "42348-3",
        "Advance directives",
        "Wensen over behandeling",
        (("Consent", (("status", "active"), _LAST)),),
    ),
    Section("104605-1", "Alert", "Let op", (("Flag", (_LAST,)),)),
)

_MEDICINES: Final = frozenset({"MedicationRequest", "MedicationStatement"})
_OVER: Final = frozenset({"inactive", "resolved", "remission"})
_LEGAL: Final = frozenset({"303186005", "151701000146105"})
"""Categories of a Condition that is no illness but a legal status or representation."""


def understood(tree: Any) -> bool:
    """Whether there is no modifierExtension in it, however deep, that is not reckoned with here."""
    return special.understood(str(tree["resourceType"]), _modifiers(tree))


def _modifiers(value: Any) -> Iterator[Any]:
    if type(value) is dict:
        for name, inner in value.items():
            if name == "modifierExtension":
                yield from (one.get("url") for one in inner)
            else:
                yield from _modifiers(inner)
    elif type(value) is list:
        for one in value:
            yield from _modifiers(one)


def current(tree: Tree, now: int, stopped: Mapping[str, int]) -> bool:
    """Whether a resource is about what is so now.

    Args:
        tree: a resource that one of the searches found.
        now: µs since 1970.
        stopped: the last moment (µs) at which each treatment was stopped, from `stopped_at`.
    """
    rule = _RULES.get(str(tree["resourceType"]))
    if tree["resourceType"] in _MEDICINES:
        return in_use(tree, now, stopped)
    return rule is None or rule(tree)


def stopped_at(trees: Iterable[Tree]) -> dict[str, int]:
    """The last moment (µs) at which these building blocks stopped each treatment."""
    found: dict[str, int] = {}
    for tree in trees:
        if special.stops(tree):
            at = special.agreed(tree)[0]
            for treatment in special.treatments(tree):
                found[treatment] = max(at, found.get(treatment, at))
    return found


def in_use(tree: Tree, now: int, stopped: Mapping[str, int]) -> bool:
    """Whether a medicine is, or will be, in use: not stopped, not over and not merely proposed."""
    if special.stops(tree) or tree.get("doNotPerform") is True or tree.get("intent") == "proposal":
        return False
    at = special.agreed(tree)[0]
    if any(at <= stopped[one] for one in special.treatments(tree) if one in stopped):
        return False
    periods = [hi for _, hi in used(tree)]
    return not periods or max(periods) > now


def used(tree: Tree) -> list[tuple[int, int]]:
    """The periods of use (µs, half open) of a medicine."""
    out: dict[str, list[tuple[Any, ...]]] = {"dat": []}
    special.period_of_use("", tree, tree, out)
    return [(int(lo), int(hi)) for _, lo, hi in out["dat"] if lo is not None]


def _goes_on(tree: Tree) -> bool:
    """No clinical status says that it is over; a legal status is none of these."""
    return _codes(tree, "clinicalStatus").isdisjoint(_OVER) and (
        "abatementDateTime" not in tree and _codes(tree, "category").isdisjoint(_LEGAL)
    )


def _is_active(tree: Tree) -> bool:
    return tree.get("status") == "active"


def _codes(tree: Tree, member: str) -> frozenset[str]:
    value = tree.get(member, [])
    concepts = [one for one in (value if type(value) is list else [value]) if type(one) is dict]
    codings = [coding for concept in concepts for coding in concept.get("coding", ())]
    return frozenset(str(coding.get("code", "")) for coding in codings)


_RULES: Final[Mapping[str, Callable[[Tree], bool]]] = {
    "AllergyIntolerance": _goes_on,
    "Condition": _goes_on,
    "DeviceUseStatement": _is_active,
    "Flag": _is_active,
    "Consent": lambda tree: is_directive("r4", tree),
}
