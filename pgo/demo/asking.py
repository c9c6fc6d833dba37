"""Searches anybody could make up from a handful of resources, and what they must find; no index.

Each question comes with its answer, worked out from the plain members: by a table of our own, not
by the published expressions, with `datetime` and the machine's time zones, so that it shares
nothing with the search it is held against. Source of the comparisons: R4 3.1.1.4.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pgo.demo.shapes import Release, Resource

# Type → `parameter=members`. The first sign says what is searched: # a code, @ a moment, > another
# resource. A release in front keeps a row to that release.
_TABLE: Final[Mapping[str, str]] = {
    "AllergyIntolerance": "#category=category #code=code,reaction.substance >patient=patient"
    " @date=recordedDate,assertedDate",
    "CarePlan": "#category=category @date=period >subject=subject"
    " >activity-reference=activity.reference",
    "CareTeam": "#category=category @date=period >subject=subject >participant=participant.member",
    "Composition": "#type=type r4:#category=category @date=date >subject=subject"
    " >entry=section.entry",
    "Condition": "#category=category #code=code >subject=subject >encounter=encounter,context"
    " @onset-date=onsetDateTime,onsetPeriod r4:@recorded-date=recordedDate"
    " stu3:@asserted-date=assertedDate",
    "Consent": "#category=category @date=dateTime >patient=patient",
    "Coverage": "#type=type r4:>patient=beneficiary stu3:>beneficiary=beneficiary",
    "Device": "#type=type >patient=patient >location=location",
    "DeviceRequest": "@authored-on=authoredOn >subject=subject",
    "DeviceUseStatement": ">subject=subject >device=device",
    "DiagnosticReport": "#category=category #code=code @date=effectiveDateTime,effectivePeriod"
    " >subject=subject >result=result",
    "DocumentManifest": "@created=created >subject=subject",
    "DocumentReference": "#type=type #class=class @created=created @indexed=indexed"
    " >subject=subject",
    "Encounter": "@date=period >subject=subject >participant=participant.individual",
    "EpisodeOfCare": "@date=period >patient=patient >organization=managingOrganization",
    "Flag": "@date=period >subject=subject",
    "Goal": "#category=category @start-date=startDate >subject=subject",
    "HealthcareService": "#category=category,serviceCategory >organization=providedBy",
    "Immunization": "#vaccine-code=vaccineCode @date=occurrenceDateTime,date >patient=patient",
    "ImmunizationRecommendation": "@date=date,recommendation.date >patient=patient",
    "Location": "#type=type >organization=managingOrganization",
    "Media": "@created=createdDateTime,createdPeriod >subject=subject",
    "Medication": "#code=code >ingredient=ingredient.itemReference",
    "MedicationAdministration": "#code=medicationCodeableConcept >subject=subject"
    " @effective-time=effectiveDateTime,effectivePeriod >medication=medicationReference",
    "MedicationDispense": "#code=medicationCodeableConcept @whenhandedover=whenHandedOver"
    " >subject=subject >medication=medicationReference",
    "MedicationRequest": "#category=category #code=medicationCodeableConcept"
    " @authoredon=authoredOn >subject=subject >medication=medicationReference",
    "MedicationStatement": "#category=category #code=medicationCodeableConcept"
    " @effective=effectiveDateTime,effectivePeriod >subject=subject"
    " >medication=medicationReference",
    "NutritionOrder": "@datetime=dateTime >patient=patient",
    "Observation": "#category=category #code=code #component-code=component.code"
    " @date=effectiveDateTime,effectivePeriod >subject=subject >encounter=encounter,context"
    " >performer=performer r4:>has-member=hasMember r4:>derived-from=derivedFrom",
    "Organization": "#type=type >partof=partOf",
    "Patient": "#gender=gender @birthdate=birthDate >general-practitioner=generalPractitioner",
    "Person": "@birthdate=birthDate",
    "PractitionerRole": "#role=code #specialty=specialty >practitioner=practitioner"
    " >organization=organization",
    "Procedure": "#category=category #code=code @date=performedDateTime,performedPeriod"
    " >subject=subject",
    "ProcedureRequest": "#code=code @authored=authoredOn >subject=subject",
    "RelatedPerson": "#gender=gender @birthdate=birthDate >patient=patient",
    "Specimen": "#type=type >subject=subject"
    " @collected=collection.collectedDateTime,collection.collectedPeriod",
    "Substance": "#category=category #code=code,ingredient.substanceCodeableConcept",
}  # fmt: skip
_HERE: Final = ZoneInfo("Europe/Amsterdam")
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_DAY: Final = len("2026-01-31")

Span = tuple[datetime, datetime]
Fits = Callable[[Any], bool]


class Question(NamedTuple):
    """A search on a type by one parameter, and the ids it must find."""

    type: str
    parameter: str
    value: str
    ids: frozenset[str]


class _Row(NamedTuple):
    sign: str
    parameter: str
    paths: tuple[tuple[str, ...], ...]


def questions(release: Release, resources: Iterable[Resource]) -> Iterator[Question]:
    """Every code, moment and reference in these resources of one dossier, asked for once.

    A moment is asked for as its day, and as `ge` and `lt` that day.
    """
    by_type: dict[str, list[Resource]] = {}
    for one in resources:
        by_type.setdefault(one["resourceType"], []).append(one)
    for type_, some in by_type.items():
        for row in _rows(release, type_):
            held = [(one["id"], _values(row, one)) for one in some]
            known = [value for _, values in held for value in values]
            asked = dict(pair for value in known for pair in _ASKED[row.sign](value))
            for word, fits in asked.items():
                ids = frozenset(id_ for id_, values in held if any(map(fits, values)))
                yield Question(type_, row.parameter, word, ids)


@cache
def _rows(release: Release, type_: str) -> tuple[_Row, ...]:
    made = []
    for words in _TABLE.get(type_, "").split():
        only, _, rest = words.rpartition(":")
        if only in {"", release}:
            name, _, members = rest[1:].partition("=")
            paths = tuple(tuple(member.split(".")) for member in members.split(","))
            made.append(_Row(rest[0], name, paths))
    return tuple(made)


def _values(row: _Row, resource: Resource) -> list[Any]:
    """What the resource holds for a parameter: codings, spans of time, or references."""
    found = [value for path in row.paths for value in _at(resource, path)]
    read = {"#": _codings, "@": _spans, ">": _references}[row.sign]
    return [made for value in found for made in read(value)]


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _at(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


# --- codes ---------------------------------------------------------------------------------------


def _codings(value: Any) -> Iterator[tuple[str | None, str]]:
    """(system, code); the system of a plain code is implied, and None."""
    if isinstance(value, str):
        yield None, value
    elif isinstance(value, dict):
        for coding in value.get("coding", ()):
            if "code" in coding:
                yield coding.get("system", ""), coding["code"]


def _by_code(value: tuple[str | None, str]) -> Iterator[tuple[str, Fits]]:
    system, code = value
    yield _escaped(code), lambda other: other[1] == code
    if system:
        yield f"{_escaped(system)}|{_escaped(code)}", lambda other: other == value


def _escaped(words: str) -> str:
    return "".join(f"\\{char}" if char in ",|$\\" else char for char in words)


# --- references ----------------------------------------------------------------------------------


def _references(value: Any) -> Iterator[str]:
    reference = value.get("reference") if isinstance(value, dict) else None
    if isinstance(reference, str) and reference[:1].isupper() and reference.count("/") == 1:
        yield reference


def _by_reference(value: str) -> Iterator[tuple[str, Fits]]:
    yield value, lambda other: other == value


# --- moments -------------------------------------------------------------------------------------


def _spans(value: Any) -> Iterator[tuple[str, Span]]:
    """(a day to ask for, the span); of a period its start is asked for, or else its end."""
    if isinstance(value, str):
        yield value[:_DAY], _span(value)
    elif isinstance(value, dict) and ("start" in value or "end" in value):
        start, end = value.get("start"), value.get("end")
        whole = (_span(start)[0] if start else _FIRST, _span(end)[1] if end else _LAST)
        yield str(start or end)[:_DAY], whole


def _by_moment(value: tuple[str, Span]) -> Iterator[tuple[str, Fits]]:
    day = value[0]
    start, end = _span(day)

    def inside(other: tuple[str, Span]) -> bool:
        return start <= other[1][0] and other[1][1] <= end

    yield day, inside
    yield f"ge{day}", lambda other: other[1][1] > end or inside(other)
    yield f"lt{day}", lambda other: other[1][0] < start


def _span(words: str) -> Span:
    """The half-open span of a FHIR date or dateTime; without a zone it is Dutch time."""
    if "T" not in words:
        return _dates(*(int(part) for part in words.split("-")))
    start = datetime.fromisoformat(words)
    start = start if start.tzinfo else start.replace(tzinfo=_HERE)
    clock = words.partition("T")[2]
    _, dot, fraction = clock.partition(".")
    digits = len(fraction.rstrip("Z").partition("+")[0].partition("-")[0]) if dot else 0
    return start.astimezone(UTC), start.astimezone(UTC) + timedelta(seconds=10**-digits)


def _dates(year: int, month: int = 0, day: int = 0) -> Span:
    start = datetime(year, month or 1, day or 1, tzinfo=_HERE)
    if day:
        end = datetime.combine(start.date() + timedelta(days=1), start.timetz())
    else:
        next_ = year * 12 + month if month else (year + 1) * 12
        end = datetime(next_ // 12, next_ % 12 + 1, 1, tzinfo=_HERE)
    return start.astimezone(UTC), end.astimezone(UTC)


_ASKED: Final[Mapping[str, Callable[[Any], Iterator[tuple[str, Fits]]]]] = {
    "#": _by_code,
    "@": _by_moment,
    ">": _by_reference,
}
