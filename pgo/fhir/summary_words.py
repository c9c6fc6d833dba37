"""The narrative of a patient summary: one line in plain Dutch for each resource; pure, escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from orjson import Fragment

from pgo.fhir.text import number
from pgo.plain.clean import clean
from pgo.plain.words import MONTHS

EMPTY: Final = "Hier is voor u niets te zien. Dat betekent niet dat er niets is."
MORE: Final = "Er is meer dan hier staat. Kijk ook in het dossier."
UNSURE: Final = "Let op: hier staat iets bij dat wij niet kunnen lezen. Vraag de zorgverlener."
REPORTED: Final = "Dit heeft de cliënt of iemand om hem heen opgeschreven. Vraag het zorgteam na."
INTRO: Final = "Dit is een samenvatting van het dossier. U ziet alleen wat u mag zien."

_HERE: Final = ZoneInfo("Europe/Amsterdam")
_NAMELESS: Final = "zonder naam"
_LONGEST: Final = 300
_DAY, _MONTH, _YEAR = len("2026-01-31"), len("2026-01"), len("2026")
_NAMES: Final = (
    *("medicationCodeableConcept", "medicationReference", "code", "vaccineCode", "title"),
    *("description", "category", "type", "device", "scope"),
)
"""Members that say what a resource is about, the most telling first."""
_DATES: Final = (
    *("effectiveDateTime", "effectivePeriod", "occurrenceDateTime", "occurrenceString"),
    *("performedDateTime", "performedPeriod", "onsetDateTime", "onsetPeriod", "authoredOn"),
    *("effectiveInstant", "timingDateTime", "timingPeriod", "period", "dateTime"),
)
_UNSURE: Final = frozenset({"unconfirmed", "provisional", "differential"})
Names = Mapping[str, str]
"""What a resource that is referred to is called, by Type/id."""


def div(lines: Sequence[str], *notes: str) -> str:
    """A div with a list of lines and, under it, notes; all of it text, nothing of it markup."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    paragraphs = "".join(f"<p>{escape(note)}</p>" for note in notes)
    inner = f"<ul>{items}</ul>{paragraphs}" if items else paragraphs
    return f'<div xmlns="http://www.w3.org/1999/xhtml" lang="nl">{inner}</div>'


def line(tree: Mapping[str, Any], names: Names, reported: str = "") -> str:
    """One resource in one line: what it is, what is said of it, by whom if reported, and when."""
    inside = {f"#{one.get('id')}": called(one) for one in tree.get("contained", ())}
    names = {**names, **inside} if inside else names
    parts = [_name(tree, names), *_said(tree, names)]
    parts += [f"opgegeven door {reported}"] if reported else []
    when = next((day(tree[member]) for member in _DATES if member in tree), "")
    told = ", ".join(part for part in parts if part)
    return clean(f"{told} ({when})" if when else told, _LONGEST)


def called(tree: Mapping[str, Any]) -> str:
    """What people call a medicine, a person, a place."""
    name = tree.get("code") or tree.get("name") or tree.get("deviceName") or tree.get("type")
    if type(name) is list and name and "family" in name[0]:
        return str(name[0]["family"])
    return words(name, {})


def _name(tree: Mapping[str, Any], names: Names) -> str:
    if tree["resourceType"] == "Consent":
        inner = tree.get("provision", {}).get("code", [])
        found = [words(concept, names) for concept in inner]
        if any(found):
            return ", ".join(filter(None, found))
    found = [words(tree[member], names) for member in _NAMES if member in tree]
    return next(filter(None, found), _NAMELESS)


def _said(tree: Mapping[str, Any], names: Names) -> list[str]:
    """How a medicine is taken, what was measured, how bad it is."""
    doses = [*tree.get("dosageInstruction", ()), *tree.get("dosage", ())]
    found = [str(dose["text"]) for dose in doses if "text" in dose]
    found += [value(tree, names)]
    for part in tree.get("component", ()):
        measured = value(part, names)
        found.append(f"{words(part.get('code'), names)}: {measured}" if measured else "")
    for reaction in tree.get("reaction", ()):
        found += [words(one, names) for one in reaction.get("manifestation", ())]
    if tree.get("criticality") == "high":
        found.append("kan ernstig zijn")
    if tree.get("status") == "on-hold":
        found.append("even gestopt")
    doubts = tree.get("verificationStatus", {}).get("coding", ())
    if any(one.get("code") in _UNSURE for one in doubts):
        found.append("niet zeker")
    return found


def value(tree: Mapping[str, Any], names: Names) -> str:
    """What an Observation or a part of one measured."""
    for member, found in tree.items():
        if member == "valueQuantity":
            return quantity(found)
        if member == "valueBoolean":
            return "ja" if found else "nee"
        if member in {"valueString", "valueDateTime", "valueCodeableConcept", "valueInteger"}:
            return words(found, names)
    return ""


def quantity(found: Mapping[str, Any]) -> str:
    """A number as Dutch writes it, with its unit."""
    amount = found.get("value")
    told = number(amount).replace(".", ",") if type(amount) is Fragment else ""
    unit = str(found.get("unit") or found.get("code") or "")
    return " ".join(filter(None, (str(found.get("comparator", "")), told, unit)))


def words(found: Any, names: Names) -> str:
    """What a concept, a coding, a reference or a text says."""
    if type(found) is list:
        return ", ".join(filter(None, (words(one, names) for one in found)))
    if type(found) is Fragment:
        return number(found)
    if type(found) is not dict:
        return str(found or "")
    if "reference" in found or "display" in found:
        return str(found.get("display") or names.get(str(found.get("reference")), ""))
    codings = found.get("coding", ())
    named = [coding["display"] for coding in codings if "display" in coding]
    named += [coding["code"] for coding in codings if "code" in coding]
    return str(found.get("text") or next(iter(named), ""))


def day(found: Any) -> str:
    """A date, moment or Period in Dutch; an unreadable one as nothing."""
    if type(found) is dict:
        sides = (("vanaf", found.get("start")), ("tot en met", found.get("end")))
        told = ((word, day(side)) for word, side in sides)
        return " ".join(f"{word} {when}" for word, when in told if when)
    text = found if type(found) is str else ""
    try:
        if len(text) > _DAY:
            moment = datetime.fromisoformat(text).astimezone(_HERE)
            return _full(moment.date())
        if len(text) == _DAY:
            return _full(date.fromisoformat(text))
        if len(text) == _MONTH:
            return f"{MONTHS[int(text[5:]) - 1]} {text[:_YEAR]}"
    except (ValueError, IndexError):
        return ""
    return text if len(text) == _YEAR else ""


def _full(when: date) -> str:
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"
