"""What a search asks: parameters parsed once into one frozen Query; no SQL, no store.

Limits are those of safety.md D05. Unknown parameters are refused, or left out when the caller
prefers lenient handling; an unknown modifier is always refused (R4 3.1.1.4.5). Chains and `_has`
are recognised and refused for now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pgo.errors import BadValue, TooCostly, Unsupported
from pgo.fhir.parameters import COLUMNS, Parameter, Parameters, registry
from pgo.fhir.values import Missing, Reference, Together, Value, of_type, read, split

PARAMETERS: Final = 10
VALUES: Final = 50
INCLUDES: Final = 5
PAGE: Final = 200
SORT_KEYS: Final = 5

_MODIFIERS: Final = {
    "string": {"exact", "contains"},
    "token": {"not", "text", "of-type"},
    "reference": {"identifier"},
}
_IGNORED: Final = frozenset({"_format", "_pretty"})
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_ITERATE: Final = {"r4": "iterate", "stu3": "recurse"}


@dataclass(frozen=True, slots=True)
class Clause:
    """One parameter of the search: any of `values` must match."""

    parameter: Parameter
    modifier: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by a parameter."""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """`_include`: from resources of type `source`, along reference parameter `code` (or `*`)."""

    source: str
    code: str
    target: str = ""
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search on one type of one release.

    Attributes:
        clauses: all must match.
        sort: keys, first first; ties are in order of arrival.
        includes: what to add to the matches.
        count: asked size of a page, at most 200; None = not asked; 0 = only the total.
        total: "" (not asked), none, estimate or accurate.
        summary: "" or count; `_summary=false` is the same as not asking.
        used: the pairs that count, in order: what a `self` link repeats.
    """

    release: str
    type: str
    clauses: tuple[Clause, ...] = ()
    sort: tuple[SortKey, ...] = ()
    includes: tuple[Include, ...] = ()
    count: int | None = None
    total: str = ""
    summary: str = ""
    used: tuple[tuple[str, str], ...] = ()

    @property
    def counts_only(self) -> bool:
        """Whether only the number of matches is asked."""
        return self.summary == "count" or self.count == 0


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
        parameters: when a deployment has more than the published ones.

    Raises:
        Unsupported: a type, parameter or modifier this server does not know.
        BadValue: a value that is not of its kind.
        TooCostly: more than the limits allow.
    """
    known = parameters or registry(release)
    if type_ not in known:
        raise Unsupported("This resource type is not known.")
    reader = _Reader(known, type_, base)
    query = Query(release, type_)
    for name, value in pairs:
        try:
            query = reader.add(query, name, value)
        except _Unknown as unknown:
            if not lenient:
                raise Unsupported(unknown.detail, place=unknown.place) from None
        else:
            query = replace(query, used=(*query.used, (name, value)))
    return query


class _Unknown(Unsupported):
    """An unknown or unsupported parameter, which a lenient caller wants left out."""


@dataclass(frozen=True, slots=True)
class _Reader:
    known: Parameters
    type: str
    base: str
    own: dict[str, Callable[[Query, str, str], Query]] = field(init=False)

    def __post_init__(self) -> None:
        made = {"_count": self.count, "_sort": self.sort, "_total": self.total}
        made |= {"_summary": self.summary, "_include": self.include}
        made[f"_include:{_ITERATE[self.known.release]}"] = self.include
        object.__setattr__(self, "own", made)

    def add(self, query: Query, name: str, value: str) -> Query:
        place = name[:64]
        if name in _IGNORED:
            return query
        if name in self.own:
            return self.own[name](query, place, value)
        clause = self.clause(name, value, place)
        if len(query.clauses) == PARAMETERS:
            raise TooCostly(f"At most {PARAMETERS} parameters.", place=place)
        return replace(query, clauses=(*query.clauses, clause))

    def clause(self, name: str, text: str, place: str) -> Clause:
        *hops, last = name.split(".")
        if hops or name.startswith("_has:"):
            raise _Unknown("Chained parameters are not supported yet.", place=place)
        code, _, modifier = last.partition(":")
        parameter = self.parameter(code, place)
        self.check(parameter, modifier, place)
        texts = split(text, ",")
        if len(texts) > VALUES:
            raise TooCostly(f"At most {VALUES} values for one parameter.", place=place)
        values = tuple(self.value(parameter, modifier, one, place) for one in texts)
        return Clause(parameter, modifier, values)

    def parameter(self, code: str, place: str) -> Parameter:
        found = self.known.of(self.type).get(code)
        if found is None:
            raise _Unknown("This search parameter is not known.", place=place)
        if not found.searchable:
            raise _Unknown("This search parameter is not supported.", place=place)
        return found

    def check(self, parameter: Parameter, modifier: str, place: str) -> None:
        if modifier in {"", "missing"}:
            return
        allowed = modifier in _MODIFIERS.get(parameter.kind, ())
        if parameter.code in COLUMNS:
            allowed = False
        elif parameter.kind == "reference" and modifier in self.known:
            allowed = True
        if not allowed:
            raise Unsupported("This modifier is not supported here.", place=place)

    def value(self, parameter: Parameter, modifier: str, text: str, place: str) -> Value:
        if modifier == "missing":
            if text not in {"true", "false"}:
                raise BadValue("Write true or false.", place=place)
            return Missing(text == "true")
        if modifier == "of-type":
            return of_type(text, place)
        if modifier in {"text", "identifier"}:
            return read("string" if modifier == "text" else "token", text, place)
        if parameter.kind == "composite":
            return self.together(parameter, text, place)
        value = read(parameter.kind, text, place, self.base)
        return _of_type(value, modifier, place) if isinstance(value, Reference) else value

    def together(self, parameter: Parameter, text: str, place: str) -> Value:
        texts = split(text, "$")
        if len(texts) != len(parameter.components):
            raise BadValue("A composite has another number of parts.", place=place)
        kinds = (component.kind for component in parameter.components)
        parts = zip(kinds, texts, strict=True)
        return Together(tuple(read(kind, part, place, self.base) for kind, part in parts))

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
        if text in {"true", "text", "data"}:
            raise _Unknown("Only _summary=count and false are supported.", place=place)
        if text not in {"count", "false"}:
            raise BadValue("Write true, text, data, count or false.", place=place)
        return replace(query, summary=text)

    def sort(self, query: Query, place: str, text: str) -> Query:
        _once(not query.sort, place)
        codes = text.split(",")
        if len(codes) > SORT_KEYS:
            raise TooCostly(f"At most {SORT_KEYS} sort keys.", place=place)
        return replace(query, sort=tuple(self.sort_key(code, place) for code in codes))

    def sort_key(self, code: str, place: str) -> SortKey:
        parameter = self.parameter(code.removeprefix("-"), place)
        if parameter.kind == "composite":
            raise _Unknown("This search parameter has no order.", place=place)
        return SortKey(parameter, code.startswith("-"))

    def include(self, query: Query, place: str, text: str) -> Query:
        iterate = place != "_include"
        made = self.included(text, place, iterate=iterate)
        if sum(one.iterate == iterate for one in query.includes) == INCLUDES:
            raise TooCostly(f"At most {INCLUDES} of {place}.", place=place)
        return replace(query, includes=(*query.includes, made))

    def included(self, text: str, place: str, *, iterate: bool) -> Include:
        if text == "*":
            return Include(self.type, "*", iterate=iterate)
        source, _, rest = text.partition(":")
        code, _, target = rest.partition(":")
        if source not in self.known or (target and target not in self.known):
            raise _Unknown("A type here is not known.", place=place)
        if code != "*":
            parameter = self.known.of(source).get(code)
            if parameter is None or parameter.kind != "reference" or not parameter.searchable:
                raise _Unknown("This is not a reference parameter of that type.", place=place)
        return Include(source, code, target, iterate)


def _of_type(value: Reference, modifier: str, place: str) -> Reference:
    """`subject:Patient=1` means `subject=Patient/1`."""
    if not modifier:
        return value
    if value.url and not value.id:
        raise BadValue("With a type, write the id.", place=place)
    if value.type not in {"", modifier}:
        raise BadValue("The type here is another one than in the name.", place=place)
    return replace(value, type=modifier)


def _once(first: bool, place: str) -> None:  # noqa: FBT001 - read as a sentence
    if not first:
        raise BadValue("This parameter may be given once.", place=place)
