"""What a scope means in words, for the pages where a person decides and looks back. Pure.

Each line can be ticked or left out. Everything at once may also be given in part, by category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pgo.oauth.scopes import Cap, Reach, cap_of
from pgo.oauth.texts import DUTCH, Tongue, catalogue

LAUNCH = "launch/patient"
CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "person": ("Patient",),
    "medication": (
        *("Medication", "MedicationAdministration", "MedicationDispense", "MedicationRequest"),
        *("MedicationStatement", "Immunization"),
    ),
    "results": ("Observation", "DiagnosticReport", "Specimen", "Media"),
    "problems": ("Condition", "AllergyIntolerance", "Flag", "FamilyMemberHistory"),
    "care": (
        *("Encounter", "EpisodeOfCare", "Procedure", "NutritionOrder", "Device"),
        *("DeviceUseStatement", "ServiceRequest"),
    ),
    "plan": ("CarePlan", "Goal"),
    "calendar": ("Appointment", "Task"),
    "documents": ("DocumentReference", "Binary", "Questionnaire", "QuestionnaireResponse"),
    "people": ("CareTeam", "Consent", "RelatedPerson"),
}
"""The types of each category, in the order pages show them; a type elsewhere is "other"."""
_OF: Final = {type_: name for name, types in CATEGORIES.items() for type_ in types}
_ORDER: Final = ("everything", *CATEGORIES, "other", "app")
_VERBS: Final = (("read", "rs"), ("add", "c"), ("change", "u"), ("delete", "d"))
_OWN = frozenset({"127.0.0.1", "::1", "localhost", None})


@dataclass(frozen=True, slots=True)
class Part:
    """One category of everything: `name` in the form, and what it stands for."""

    name: str
    category: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to tick: `name` in the form; `parts` may be ticked instead, for these `verbs`."""

    name: str
    scope: str
    category: str
    sentence: str
    verbs: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one category."""

    category: str
    lines: tuple[Line, ...]


def lines(cap: Cap, words: Tongue = DUTCH) -> list[Line]:
    """What a person can tick; choosing a dossier is not one of them."""
    told = [
        Line(
            f"recht-{n}",
            str(reach),
            category(reach),
            sentence(reach, words),
            _verbs(reach, words),
            _parts(n, reach),
        )
        for n, reach in enumerate(cap.reaches)
    ]
    names = sorted(cap.context - {LAUNCH})
    return told + [
        Line(f"recht-{n}", name, "app", words[f"may.{name}"])
        for n, name in enumerate(names, len(told))
    ]


def grouped(told: Sequence[Line]) -> list[Group]:
    """Lines by category, in the order of pages."""
    return [
        Group(one, mine)
        for one in _ORDER
        if (mine := tuple(line for line in told if line.category == one))
    ]


def left_standing(offered: Cap, ticked: Mapping[str, str]) -> Cap:
    """What a person ticked of an offer, never more than that; launch/patient is no tick."""
    chosen: list[str] = []
    for line in lines(offered):
        if ticked.get(line.name):
            chosen.append(line.scope)
        else:
            chosen += [s for part in line.parts if ticked.get(part.name) for s in part.scopes]
    return cap_of((*chosen, *(offered.context & {LAUNCH})))


def category(reach: Reach) -> str:
    """The category of a resource scope."""
    return "everything" if reach.type_ == "*" else _OF.get(reach.type_, "other")


def sentence(reach: Reach, words: Tongue = DUTCH) -> str:
    """A sentence or two on one resource scope."""
    what, verbs = _what(reach.type_, words), _verbs(reach, words)
    told = [words.text("may.sentence", what=what, verbs=verbs)]
    if reach.level != "patient":
        told.append(words["may.everywhere"])
    if reach.only:
        told.append(words.text("may.only", parts=words.listed(_only(reach, words))))
    return " ".join(told)


def place_of(redirect_uri: str) -> str:
    """The host where a person goes after deciding; "" for an app on the person's own device."""
    host = urlsplit(redirect_uri).hostname
    return "" if host in _OWN or not redirect_uri.startswith("http") else str(host)


def _verbs(reach: Reach, words: Tongue) -> str:
    marks = set(reach.letters)
    return words.listed(words[f"may.{verb}"] for verb, mine in _VERBS if set(mine) & marks)


def _what(type_: str, words: Tongue) -> str:
    if type_ == "*":
        return words["type.any"]
    known = f"type.{type_}" in catalogue()
    return words[f"type.{type_}"] if known else words.text("type.unknown", name=type_)


def _only(reach: Reach, words: Tongue) -> list[str]:
    """What a search restriction leaves, in the app's own codes."""
    return [
        words.text("may.is", name=name, value=value.rpartition("|")[2])
        for name, value in reach.only
    ]


def _parts(n: int, reach: Reach) -> tuple[Part, ...]:
    if reach.type_ != "*":
        return ()
    letters = str(reach).rpartition(".")[2]
    return tuple(
        Part(f"deel-{n}-{name}", name, tuple(f"{reach.level}/{type_}.{letters}" for type_ in types))
        for name, types in CATEGORIES.items()
    )
