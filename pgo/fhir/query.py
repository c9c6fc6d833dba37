"""What a search asks: parameters parsed once into one frozen Query; no SQL, no store.

Limits are those of safety.md D05. Unknown parameters are refused, or left out when the caller
prefers lenient handling. Conditions are read by `pgo.fhir.conditions`; here is what the answer
should be like: its order, size, and what else goes with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pgo.errors import BadValue, TooCostly, Unsupported
from pgo.fhir import added, elements
from pgo.fhir.conditions import Clause, Condition, Conditions, Unknown, types_of
from pgo.fhir.elements import Release
from pgo.fhir.parameters import Parameter, Parameters
from pgo.fhir.values import Missing

PARAMETERS: Final = 10
INCLUDES: Final = 5
PAGE: Final = 200
SORT_KEYS: Final = 5
ELEMENTS: Final = 50

_IGNORED: Final = frozenset({"_format", "_pretty", "_totalMethod"})
"""What says nothing of the answer here; the last is what fhirpy sends with `_count=0`."""
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_ITERATE: Final = {"r4": "iterate", "stu3": "recurse"}
_ORDERLESS: Final = frozenset({"composite", "stop", "words"})
_SUMMARIES: Final = frozenset({"true", "text", "data", "count", "false"})


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by a parameter."""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` and `_revinclude`: from one resource to another along a reference parameter.

    Attributes:
        source: the type that refers; "" for every type.
        code: the parameter, or `*` for all.
        target: the type referred to; "" for every type.
        iterate: also from what was included.
        reverse: from the resource referred to, to the one that refers.
        reaches: the types it may add; None for every type.
    """

    source: str
    code: str
    target: str = ""
    iterate: bool = False
    reverse: bool = False
    reaches: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A search on one type of one release.

    Attributes:
        clauses: all must match.
        sort: keys, first first; ties are in order of arrival.
        includes: what to add to the matches.
        count: asked size of a page, at most 200; None = not asked; 0 = only the total.
        total: "" (not asked), none, estimate or accurate.
        summary: "" or true, text, data, count or false (the same as not asking).
        elements: members of the matches that are wanted; empty = all.
        used: the pairs that count, in order: what a `self` link repeats.
    """

    release: str
    type: str
    clauses: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    includes: tuple[Include, ...] = ()
    count: int | None = None
    total: str = ""
    summary: str = ""
    elements: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()

    @property
    def counts_only(self) -> bool:
        """Whether only the number of matches is asked."""
        return self.summary == "count" or self.count == 0

    @property
    def whole(self) -> bool:
        """Whether resources are wanted as they are."""
        return self.summary in {"", "false", "count"} and not self.elements

    @property
    def types(self) -> frozenset[str]:
        """The types whose resources say which ones match."""
        return frozenset([self.type, *(type_ for one in self.clauses for type_ in types_of(one))])

    @property
    def included_types(self) -> frozenset[str] | None:
        """The types that may be added; None for every type."""
        if any(one.reaches is None for one in self.includes):
            return None
        return frozenset().union(*(one.reaches for one in self.includes if one.reaches))


def parse(
    release: str,
    type_: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    base: str = "",
    parameters: Parameters | None = None,
) -> Query:
    """The query of a search on a resource type.

    Args:
        release: r4 or stu3.
        type_: the resource type in the address.
        pairs: names and values as sent, decoded, in order.
        lenient: leave out what this server does not know (`Prefer: handling=lenient`).
        base: our own FHIR address without a slash at the end.
        parameters: when a deployment has more than the published ones and ours.

    Raises:
        Unsupported: a type, parameter or modifier this server does not know.
        BadValue: a value that is not of its kind.
        TooCostly: more than the limits allow.
    """
    named: Release = "stu3" if release == "stu3" else "r4"
    known = parameters or added.known(named)
    if type_ not in known:
        raise Unsupported("This resource type is not known.")
    reader = _Reader(known, named, type_, Conditions(known, base))
    query = reader.all(Query(release, type_), pairs, lenient=lenient)
    if query.summary == "text" and query.includes:
        text = "_summary=text leaves out references, so nothing can be included."
        raise BadValue(text, place="_summary")
    return query


def not_both(clauses: Sequence[Condition]) -> None:
    """Refuse asking that something is missing and what it is: nothing found would seem an answer.

    Raises:
        BadValue: naming the parameter.
    """
    plain = [one for one in clauses if isinstance(one, Clause)]
    missing = {
        one.parameter.code
        for one in plain
        if one.modifier == "missing" and set(one.values) == {Missing(missing=True)}
    }
    for one in plain:
        there = one.modifier == "missing" and set(one.values) == {Missing(missing=False)}
        if one.parameter.code in missing and (there or one.modifier in {"", "exact", "contains"}):
            text = "This is asked to be missing, and to be something."
            raise BadValue(text, place=one.parameter.code)


@dataclass(frozen=True, slots=True)
class _Reader:
    known: Parameters
    release: Release
    type: str
    conditions: Conditions
    own: dict[str, Callable[[Query, str, str], Query]] = field(init=False)

    def __post_init__(self) -> None:
        made = {"_count": self.count, "_sort": self.sort, "_total": self.total}
        made |= {"_summary": self.summary, "_elements": self.elements}
        for name in ("_include", "_revinclude"):
            made |= {name: self.include, f"{name}:{_ITERATE[self.release]}": self.include}
        object.__setattr__(self, "own", made)

    def all(self, query: Query, pairs: Sequence[tuple[str, str]], *, lenient: bool) -> Query:
        for name, value in pairs:
            try:
                query = self.add(query, name, value)
            except Unknown as unknown:
                if not lenient:
                    raise Unsupported(unknown.detail, place=unknown.place) from None
            else:
                query = replace(query, used=(*query.used, (name, value)))
        return query

    def add(self, query: Query, name: str, value: str) -> Query:
        place = name[:64]
        if name in _IGNORED:
            return query
        if name in self.own:
            return self.own[name](query, place, value)
        clause = self.conditions.read(self.type, name, value, place)
        if len(query.clauses) == PARAMETERS:
            raise TooCostly(f"At most {PARAMETERS} parameters.", place=place)
        return replace(query, clauses=(*query.clauses, clause))

    def count(self, query: Query, place: str, text: str) -> Query:
        _once(query.count is None, place)
        if not _COUNT.fullmatch(text):
            raise BadValue("Write a whole number.", place=place)
        return replace(query, count=min(int(text), PAGE))

    def total(self, query: Query, place: str, text: str) -> Query:
        _once(not query.total, place)
        if text not in {"none", "estimate", "accurate"}:
            raise BadValue("Write none, estimate or accurate.", place=place)
        return replace(query, total=text)

    def summary(self, query: Query, place: str, text: str) -> Query:
        _once(not query.summary, place)
        if text not in _SUMMARIES:
            raise BadValue("Write true, text, data, count or false.", place=place)
        return replace(query, summary=text)

    def elements(self, query: Query, place: str, text: str) -> Query:
        _once(not query.elements, place)
        names = tuple(text.split(","))
        if len(names) > ELEMENTS:
            raise TooCostly(f"At most {ELEMENTS} elements.", place=place)
        known = elements.members(self.release, self.type).values()
        allowed = {one.name for one in known} | {one.choice.removesuffix("[x]") for one in known}
        allowed.add("resourceType")
        if not allowed.issuperset(names) or "" in names:
            raise BadValue("Write names of elements of this type, with commas.", place=place)
        return replace(query, elements=names)

    def sort(self, query: Query, place: str, text: str) -> Query:
        _once(not query.sort, place)
        codes = text.split(",")
        if len(codes) > SORT_KEYS:
            raise TooCostly(f"At most {SORT_KEYS} sort keys.", place=place)
        return replace(query, sort=tuple(self.sort_key(code, place) for code in codes))

    def sort_key(self, code: str, place: str) -> SortKey:
        parameter = self.conditions.parameter(self.type, code.removeprefix("-"), place)
        if parameter.kind in _ORDERLESS:
            raise Unknown("This search parameter has no order.", place=place)
        return SortKey(parameter, code.startswith("-"))

    def include(self, query: Query, place: str, text: str) -> Query:
        name, _, iterate = place.partition(":")
        made = self.included(text, place, reverse=name == "_revinclude", iterate=bool(iterate))
        alike = (made.iterate, made.reverse)
        if sum((one.iterate, one.reverse) == alike for one in query.includes) == INCLUDES:
            raise TooCostly(f"At most {INCLUDES} of {place}.", place=place)
        return replace(query, includes=(*query.includes, made))

    def included(self, text: str, place: str, *, reverse: bool, iterate: bool) -> Include:
        if text == "*":
            source = "" if reverse or iterate else self.type
            return Include(source, "*", iterate=iterate, reverse=reverse)
        source, _, rest = text.partition(":")
        code, _, target = rest.partition(":")
        if source not in self.known or (target and target not in self.known):
            raise Unknown("A type here is not known.", place=place)
        reaches = frozenset([source] if reverse else [target] if target else ()) or None
        if code != "*":
            parameter = self.conditions.reference(source, code, place)
            if reaches is None and parameter.targets:
                reaches = frozenset(parameter.targets)
        return Include(source, code, target, iterate, reverse, reaches)


def _once(first: bool, place: str) -> None:  # noqa: FBT001 - read as a sentence
    if not first:
        raise BadValue("This parameter may be given once.", place=place)


__all__ = ["Clause", "Condition", "Include", "Query", "SortKey", "not_both", "parse"]
