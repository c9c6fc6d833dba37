"""HL7's search parameters by brute force: every value of every resource, no index and no store.

Reads the published SearchParameter resources as they are. A small evaluator of the part of FHIRPath
that they use walks plain JSON; it shares nothing with `pgo.fhir.paths`. What a value matches is
written down here too, after https://hl7.org/fhir/R4/search.html, in the simplest way there is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from pgo.demo.asking import _FIRST, _LAST, Question, _by_moment, _escaped, _span

_TYPE_NAMES = (
    "Address Age Annotation Attachment Boolean Canonical Code CodeableConcept Coding ContactPoint"
    " Count Date DateTime Decimal Distance Duration HumanName Identifier Instant Integer Money"
    " Oid Period Quantity Range Ratio Reference SampledData String Time Timing Uri Url Uuid"
    " UsageContext"
)
TYPES = tuple(_TYPE_NAMES.split())
_LOCAL = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")

Value = tuple[str, Any]
"""The name of the member a value was found in (tells the type of a choice), and the value."""


# --- FHIRPath, as far as search parameters go ----------------------------------------------------


class Beyond(Exception):
    """An expression this evaluator does not do."""


def evaluate(expression: str, resource: dict[str, Any]) -> list[Value]:
    """The values an expression of a SearchParameter gives for one resource."""
    found: list[Value] = []
    for branch in _split(expression, "|"):
        found += _branch(branch.strip(), resource)
    return found


def _split(words: str, mark: str) -> list[str]:
    """Cut at a mark that is not within brackets or quotes."""
    parts, depth, quoted = [""], 0, False
    for char in words:
        quoted ^= char == "'"
        depth += 0 if quoted else (char == "(") - (char == ")")
        if char == mark and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _branch(branch: str, resource: dict[str, Any]) -> list[Value]:
    while branch.startswith("(") and _closing(branch) == len(branch) - 1:
        branch = branch[1:-1].strip()
    if len(_split(branch, "|")) > 1:
        return evaluate(branch, resource)
    left, and_, right = branch.partition(" and ")
    if and_:
        name, unlike, other = right.partition(" != ")
        values = [str(found).lower() for _, found in evaluate(name.strip(), resource)]
        if not unlike:
            raise Beyond(branch)
        holds = all(found for _, found in evaluate(left, resource)) and other not in values
        return [("valueBoolean", holds)]
    head, as_, type_ = branch.rpartition(" as ")
    if as_ and ")" not in type_:
        return _of_type(_branch(head.strip(), resource), type_.strip())
    return _walk(_split(branch, "."), resource)


def _closing(words: str) -> int:
    depth = 0
    for place, char in enumerate(words):
        depth += (char == "(") - (char == ")")
        if not depth:
            return place
    raise Beyond(words)


def _walk(steps: list[str], resource: dict[str, Any]) -> list[Value]:
    first, *rest = [step.strip() for step in steps]
    if first.startswith("("):
        here = _branch(first, resource)
    elif first[0].isupper():
        fits = first in {resource["resourceType"], "Resource", "DomainResource"}
        here = [("", resource)] if fits else []
    else:
        here = _member(("", resource), first)
    for step in rest:
        here = _step(here, step, resource)
    return here


def _step(here: list[Value], step: str, resource: dict[str, Any]) -> list[Value]:
    name, bracket, rest = step.partition("(")
    if not bracket:
        return [found for one in here for found in _member(one, name)]
    inner = rest.rpartition(")")[0]
    if name in {"as", "ofType"}:
        return _of_type(here, inner)
    if name == "where":
        return [one for one in here if _holds(one, inner)]
    if name == "exists":
        return [("valueBoolean", bool(here))]
    if name == "extension":
        url = inner.strip("'")
        return [one for one in _step(here, "extension", resource) if one[1].get("url") == url]
    raise Beyond(step)


def _member(one: Value, name: str) -> Iterator[Value]:
    """The values of a member, of whichever type of a choice."""
    if not isinstance(one[1], dict):
        return
    names = (f"{name}{type_}" for type_ in TYPES)
    for named in (name,) if name in one[1] else names:
        value = one[1].get(named)
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                yield named, each


def _of_type(values: list[Value], type_: str) -> list[Value]:
    """Those of a type; a value of a choice has it in its name."""
    ending = type_[:1].upper() + type_[1:]
    return [one for one in values if one[0].endswith(ending) or one[0][-len(ending) :] == type_]


def _holds(one: Value, test: str) -> bool:
    if test.startswith("resolve() is "):
        wanted = test.removeprefix("resolve() is ").strip()
        reference = one[1].get("reference", "") if isinstance(one[1], dict) else str(one[1])
        named = one[1].get("type", "") if isinstance(one[1], dict) else ""
        steps = reference.partition("/_history/")[0].split("/")
        return not reference.startswith("#") and wanted in {named, *steps[-2:-1]}
    if test.startswith("hasExtension("):
        url = test[len("hasExtension(") : -1].strip("'")
        return any(found.get("url") == url for _, found in _member(one, "extension"))
    name, equals, value = test.partition("=")
    if not equals:
        raise Beyond(test)
    found = [found for _, found in _member(one, name.strip())]
    return value.strip().strip("'") in [str(each) for each in found]


# --- what is asked for a value, and what it matches ----------------------------------------------

Fits = Callable[[Any], bool]


def tokens(value: Value) -> Iterator[tuple[str | None, str]]:
    """(system, code); None when the system is implied."""
    name, found = value
    if isinstance(found, bool):
        yield None, str(found).lower()
    elif isinstance(found, str):
        yield None, found
    elif isinstance(found, dict) and ("coding" in found or set(found) <= {"text", "extension"}):
        for coding in found.get("coding", ()):
            if "code" in coding:
                yield coding.get("system", ""), coding["code"]
    elif isinstance(found, dict) and "value" in found:
        contact = {"phone", "fax", "email", "pager", "url", "sms", "other"}
        is_contact = name == "telecom" or found.get("system") in contact
        yield (None if is_contact else found.get("system", "")), str(found["value"])
    elif isinstance(found, dict) and "code" in found:
        yield found.get("system", ""), found["code"]


def _asked_token(value: tuple[str | None, str]) -> Iterator[tuple[str, Fits]]:
    system, code = value
    yield _escaped(code), lambda other: other[1] == code
    if system:
        yield f"{_escaped(system)}|{_escaped(code)}", lambda other: other == value
        yield f"{_escaped(system)}|", lambda other: other[0] == system
    if system == "":
        yield f"|{_escaped(code)}", lambda other: other[0] in ("", None) and other[1] == code


def moments(value: Value) -> Iterator[tuple[str, Any]]:
    """(a day, the span) of a date, a Period or a Timing."""
    name, found = value
    if isinstance(found, str):
        if found[:4].isdigit():  # a choice may hold words as well
            yield found[:10], _span(found)
    elif isinstance(found, dict) and {"event", "repeat"} & set(found):
        bounds = found.get("repeat", {}).get("boundsPeriod")
        for each in (*found.get("event", ()), *([bounds] if bounds else ())):
            yield from moments((name, each))
    elif isinstance(found, dict) and {"start", "end"} & set(found):
        low = _span(found["start"])[0] if "start" in found else _FIRST
        high = _span(found["end"])[1] if "end" in found else _LAST
        yield str(found.get("start") or found["end"])[:10], (low, high)


def _asked_reference(value: tuple[str, str]) -> Iterator[tuple[str, Fits]]:
    kind, address = value
    yield address, lambda other: other[1] == address
    if kind == "local":
        id_ = address.partition("/")[2]
        yield id_, lambda other: other[0] == "local" and other[1].partition("/")[2] == id_


def references(value: Value) -> Iterator[tuple[str, str]]:
    """(local, Type/id) without a version, or another address as written."""
    found = value[1].get("reference") if isinstance(value[1], dict) else value[1]
    if isinstance(found, str) and re.match(r"https?:|[A-Z][A-Za-z]+/", found):
        newest = found.partition("/_history/")[0]
        local = isinstance(value[1], dict) and _LOCAL.fullmatch(newest)
        yield ("local", newest) if local else ("", found)


_NAME_PARTS = ("family", "given", "prefix", "suffix", "text")
_ADDRESS_PARTS = ("line", "city", "district", "state", "postalCode", "country")
_PARTS = frozenset((*_NAME_PARTS, *_ADDRESS_PARTS))


def words(value: Value) -> Iterator[str]:
    """The strings of a value; those of the parts of a name or an address."""
    found = value[1]
    if isinstance(found, str):
        yield _plain(found)
    elif isinstance(found, dict):
        for name, part in found.items():
            if name in _PARTS:
                yield from (_plain(one) for one in (part if isinstance(part, list) else [part]))


def _plain(text: str) -> str:
    """Without capitals, accents and double spaces."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(char for char in apart if not unicodedata.combining(char)).split())


def _asked_words(value: str) -> Iterator[tuple[str, Fits]]:
    start = " ".join(value.split()[:2])[:40].strip()
    if start:
        yield _escaped(start), lambda other: other.startswith(start)


def numbers(value: Value) -> Iterator[Decimal]:
    """A plain number, or both ends of a Range."""
    if isinstance(value[1], int | Decimal) and not isinstance(value[1], bool):
        yield Decimal(value[1])


def _close(asked: Decimal, other: Decimal) -> bool:
    """Within half of the last figure written."""
    half = Decimal(1).scaleb(int(asked.as_tuple().exponent)) / 2
    return asked - half <= other < asked + half


def _asked_number(value: Decimal) -> Iterator[tuple[str, Fits]]:
    yield str(value), lambda other: _close(value, other)
    yield f"gt{value}", lambda other: other > value
    yield f"le{value}", lambda other: other <= value


Amount = tuple[Decimal, str, str]
METRIC = {
    name: (Decimal(times), base)
    for base, named in {
        "m": {"m": "1", "cm": "0.01", "mm": "0.001", "[in_i]": "0.0254"},
        "g": {"g": "1", "kg": "1000", "mg": "0.001", "[lb_av]": "453.59237"},
    }.items()
    for name, times in named.items()
}
"""Units in the examples that stand for the same kind of thing, in one of them."""


def amounts(value: Value) -> Iterator[Amount]:
    """(value, system, code) of a quantity that is exactly known."""
    found = value[1]
    if isinstance(found, dict) and "value" in found and "comparator" not in found:
        unit = found.get("code", found.get("currency", ""))
        yield Decimal(found["value"]), found.get("system", ""), unit


def _asked_amount(value: Amount) -> Iterator[tuple[str, Fits]]:
    number, system, code = value
    times, base = METRIC.get(code, (Decimal(1), code))

    def fits(test: Callable[[Decimal], bool]) -> Fits:
        def one(other: Amount) -> bool:
            factor, unit = METRIC.get(other[2], (Decimal(1), other[2]))
            return (other[1], unit) == (system, base) and test(other[0] * factor / times)

        return one

    if system and code:
        unit = f"|{_escaped(system)}|{_escaped(code)}"
        yield f"{number}{unit}", fits(lambda other: _close(number, other))
        yield f"ge{number}{unit}", fits(lambda other: other >= number)
        yield f"lt{number}{unit}", fits(lambda other: other < number)


def addresses(value: Value) -> Iterator[str]:
    """A uri as it is."""
    if isinstance(value[1], str):
        yield value[1]


def _asked_address(value: str) -> Iterator[tuple[str, Fits]]:
    yield _escaped(value), lambda other: other == value


KINDS: dict[str, tuple[Callable[[Value], Iterator[Any]], Callable[[Any], Iterator[Any]]]] = {
    "token": (tokens, _asked_token),
    "date": (moments, _by_moment),
    "reference": (references, _asked_reference),
    "string": (words, _asked_words),
    "number": (numbers, _asked_number),
    "quantity": (amounts, _asked_amount),
    "uri": (addresses, _asked_address),
}


# --- all questions -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Defined:
    """A published search parameter on one type; `parts` are those of a composite."""

    type: str
    code: str
    kind: str
    expression: str
    parts: tuple[tuple[str, str], ...] = ()


def defined(published: Iterable[dict[str, Any]]) -> list[Defined]:
    """The parameters of SearchParameter resources, by type."""
    trees = list(published)
    kinds = {tree["url"]: tree["type"] for tree in trees}
    return [
        Defined(
            base,
            tree["code"],
            tree["type"],
            tree["expression"],
            tuple(
                (kinds[one["definition"]], one["expression"]) for one in tree.get("component", ())
            ),
        )
        for tree in trees
        if "expression" in tree
        for base in tree["base"]
    ]


def questions(
    parameters: Iterable[Defined], resources: Iterable[dict[str, Any]], most: int
) -> Iterator[Question]:
    """For every parameter of their types at most `most` values, asked for in every form."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for one in resources:
        by_type.setdefault(one["resourceType"], []).append(one)
    for one in parameters:
        for type_ in by_type if one.type in {"Resource", "DomainResource"} else [one.type]:
            if by_type.get(type_) and (one.kind in KINDS or one.parts):
                yield from _about(one, type_, by_type[type_], most)


def _about(one: Defined, type_: str, some: list[dict[str, Any]], most: int) -> Iterator[Question]:
    held = [(each["id"], _held(one, each)) for each in some]
    distinct = dict.fromkeys(value for _, values in held for value in values)
    for value in list(distinct)[:most]:
        for asked, fits in _asked(one, value):
            ids = frozenset(id_ for id_, values in held if any(map(fits, values)))
            yield Question(type_, one.code, asked, ids)


def _held(one: Defined, resource: dict[str, Any]) -> list[Any]:
    found = evaluate(one.expression, resource)
    if not one.parts:
        return [made for value in found for made in KINDS[one.kind][0](value)]
    return [pair for value in found for pair in _pairs(one, value, resource)]


def _pairs(one: Defined, value: Value, resource: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Each combination of values of the parts within one value of a composite."""
    parts = [
        [made for found in _part(at, value, resource) for made in KINDS[kind][0](found)]
        for kind, at in one.parts
    ]
    yield from product(*parts)


def _part(expression: str, value: Value, resource: dict[str, Any]) -> list[Value]:
    if expression.startswith("%resource."):
        return evaluate(expression.replace("%resource", resource["resourceType"]), resource)
    here = value[1] if isinstance(value[1], dict) else {}
    return evaluate(expression, {"resourceType": "", **here})


def _asked(one: Defined, value: Any) -> Iterator[tuple[str, Fits]]:
    if not one.parts:
        yield from KINDS[one.kind][1](value)
        return
    asked = [list(KINDS[kind][1](part)) for (kind, _), part in zip(one.parts, value, strict=True)]
    for forms in product(*asked):
        yield "$".join(words for words, _ in forms), _all([fits for _, fits in forms])


def _all(tests: list[Fits]) -> Fits:
    return lambda parts: all(fits(part) for fits, part in zip(tests, parts, strict=True))
