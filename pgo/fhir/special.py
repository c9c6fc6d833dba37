"""Search parameters that no path can say: each reads a whole resource into index rows.

Known by the canonical address of their definition, so that a deployment's copy of that definition
means the same. Rows are those of `pgo.fhir.tables`.

* period of use (Nictiz, R4 and STU3): a Period whose missing end follows from a Duration, in the
  Period, beside it, or in a modifierExtension. Without start and end the period is unknown: it
  overlaps everything, so that no medicine is missed. For the same reason `ge` and `le` mean use on
  that day too: what ends today is found with `ge` today.
* when dispensed (Nictiz, STU3): handed over, or else prepared.
* latest stop (Nictiz, R4): a moment and a treatment for what stops one; which stop is the latest
  is decided in the search, among what the caller may see.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from orjson import Fragment

from pgo.fhir import convert, moments
from pgo.fhir.convert import Converter, Out
from pgo.fhir.text import number

_NICTIZ: Final = "http://nictiz.nl/fhir/"
_DEFINED: Final = f"{_NICTIZ}StructureDefinition/"
_PERIODS: Final = frozenset(
    {f"{_DEFINED}ext-TimeInterval.Period", f"{_DEFINED}zib-Medication-PeriodOfUse"}
)
_DURATIONS: Final = frozenset(
    {f"{_DEFINED}ext-TimeInterval.Duration", f"{_DEFINED}zib-MedicationUse-Duration"}
)
_STOP: Final = f"{_DEFINED}ext-StopType"
_UNDERSTOOD: Final = frozenset({*_PERIODS, *_DURATIONS, _STOP})
_MEDICATION: Final = frozenset({"MedicationRequest", "MedicationDispense", "MedicationStatement"})
_TREATMENT: Final = f"{_DEFINED}ext-PharmaceuticalTreatment.Identifier"
_AGREED: Final = (
    f"{_DEFINED}ext-AdministrationAgreement.AdministrationAgreementDateTime",
    f"{_DEFINED}ext-RegistrationDateTime",
)
_DAYS: Final = {"d": 1, "wk": 7}
_MONTHS: Final = {"mo": 1, "a": 12}
_SECONDS: Final[Mapping[str, Decimal]] = {
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "wk": Decimal(604_800),
    "mo": Decimal(2_629_800),
    "a": Decimal(31_557_600),
}
_DATE_LENGTH: Final = len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Special:
    """How the values asked for are read (`kind`), and what reads the resource."""

    kind: str
    convert: Converter


def period_of_use(p: str, tree: Any, _root: Any, out: Out) -> None:
    """The period of use of a MedicationRequest, MedicationDispense or MedicationStatement."""
    duration = next(_values(tree, _DURATIONS), None)
    found = [*_values(tree, _PERIODS)]
    if isinstance(tree.get("effectivePeriod"), dict):
        found.append(tree["effectivePeriod"])
    if not found and duration is not None:
        found.append({})
    for period in found:
        inner = next(_values(period, _DURATIONS), duration)
        out["dat"].append((p, *lasting(period, inner)))


def when_dispensed(p: str, tree: Any, root: Any, out: Out) -> None:
    """The moment of handing over, or of preparing when that is not known."""
    value = tree.get("whenHandedOver") or tree.get("whenPrepared")
    if value is not None:
        convert.date(p, value, root, out)


def latest_stop(p: str, tree: Any, _root: Any, out: Out) -> None:
    """For what stops a treatment: when it was agreed, and per category which treatment."""
    if not stops(tree):
        return
    for treatment in treatments(tree) or [f"#{tree.get('id', '')}"]:
        for category in _categories(tree):
            out["tok"].append((p, "", f"{category} {treatment}"))
    out["dat"].append((p, *agreed(tree)))


def stops(tree: Any) -> bool:
    """Whether this building block of medication stops a treatment, for now or for good."""
    return any(True for _ in _values(tree, {_STOP}))


def understood(type_: str, modifiers: Iterable[Any]) -> bool:
    """Whether the modifierExtensions with these addresses are all reckoned with here.

    One that is not may mean the opposite of what the rest of the resource says.
    """
    known = _UNDERSTOOD if type_ in _MEDICATION else frozenset[str]()
    return all(url in known for url in modifiers)


def treatments(tree: Any) -> list[str]:
    """The treatments this is part of, as system|value."""
    named = [one for one in _values(tree, {_TREATMENT}) if type(one.get("value")) is str]
    return [f"{one.get('system', '')}|{one['value']}" for one in named]


SPECIAL: Final[Mapping[str, Special]] = {
    f"{_NICTIZ}SearchParameter/period-of-use": Special("period", period_of_use),
    f"{_NICTIZ}SearchParameter/Medications-periodofuse": Special("period", period_of_use),
    f"{_NICTIZ}SearchParameter/MedicationDispense-whendispensed": Special("date", when_dispensed),
    f"{_NICTIZ}SearchParameter/is-latest-stop": Special("stop", latest_stop),
    "http://hl7.org/fhir/SearchParameter/DomainResource-text": Special("words", convert.words),
    "http://hl7.org/fhir/SearchParameter/Resource-content": Special("words", convert.words),
}


def _values(tree: Any, urls: frozenset[str] | set[str]) -> Iterator[dict[str, Any]]:
    """The values of extensions with these addresses, directly on a value or inside them."""
    for name in ("modifierExtension", "extension"):
        for one in tree.get(name, ()):
            if one.get("url") in urls:
                yield from (v for v in one.values() if type(v) is dict)
            elif one.get("url") in _PERIODS:
                yield from _values(one, urls)


def _categories(tree: Any) -> list[str]:
    concepts = tree.get("category", [])
    codings = [
        f"{coding.get('system', '')}|{coding.get('code', '')}"
        for concept in (concepts if type(concepts) is list else [concepts])
        for coding in concept.get("coding", ())
    ]
    return codings or [""]


def agreed(tree: Any) -> moments.Interval:
    """When this was agreed or told; the earliest there is when that is not known."""
    found = [tree.get("authoredOn"), tree.get("dateAsserted")]
    for url in _AGREED:
        found += [
            one.get("valueDateTime") for one in tree.get("extension", ()) if one["url"] == url
        ]
    for text in found:
        row = _moment(text)
        if row is not None:
            return row
    return moments.EARLIEST, moments.EARLIEST


def _moment(text: Any) -> moments.Interval | None:
    try:
        return moments.interval(text) if type(text) is str else None
    except ValueError:
        return None


# --- a period and how long it lasts --------------------------------------------------------------


def lasting(period: Mapping[str, Any], duration: Mapping[str, Any] | None) -> moments.Interval:
    """The half-open interval of a Period; a missing side follows from the duration, if known."""
    start, end = _moment(period.get("start")), _moment(period.get("end"))
    if start and end:
        return start[0], end[1]
    length = _length(duration)
    if start:
        return start[0], _moved(period["start"], start[0], length, 1) or moments.LATEST
    if end:
        return _moved(period["end"], end[1], length, -1) or moments.EARLIEST, end[1]
    return moments.EARLIEST, moments.LATEST


def _length(duration: Mapping[str, Any] | None) -> tuple[Decimal, str] | None:
    value = (duration or {}).get("value")
    code = str((duration or {}).get("code"))
    if type(value) is not Fragment or code not in _SECONDS:
        return None
    amount = Decimal(number(value))
    return (amount, code) if 0 <= amount * _SECONDS[code] < Decimal(10) ** 10 else None


def _moved(text: str, at: int, length: tuple[Decimal, str] | None, sign: int) -> int | None:
    """Days, weeks, months and years by the calendar, so that summer time changes nothing."""
    if length is None:
        return None
    amount, code = length
    if code in {*_DAYS, *_MONTHS} and amount == amount.to_integral_value():
        return _on_calendar(text, int(amount) * sign, code, (1 - sign) // 2)
    return at + sign * int(amount * _SECONDS[code] * 1_000_000)


def _on_calendar(text: str, amount: int, code: str, side: int) -> int | None:
    """From the start (side 0) of a moment, or back from its end (side 1)."""
    day = _last(text) if side else _first(text)
    try:
        if code in _DAYS:
            moved = day + timedelta(days=amount * _DAYS[code])
        else:
            months = day.year * 12 + day.month - 1 + amount * _MONTHS[code]
            year, month = months // 12, months % 12 + 1
            moved = date(year, month, min(day.day, monthrange(year, month)[1]))
    except (ValueError, OverflowError):
        return None
    return moments.interval(f"{moved.isoformat()}{text[_DATE_LENGTH:]}")[side]


def _first(text: str) -> date:
    return date.fromisoformat(f"{text[:_DATE_LENGTH]}{'-01-01'[len(text) - 4 :]}"[:_DATE_LENGTH])


def _last(text: str) -> date:
    first = _first(text)
    if len(text) >= _DATE_LENGTH:
        return first
    month = first.month if len(text) > len("2026") else 12
    return date(first.year, month, monthrange(first.year, month)[1])
