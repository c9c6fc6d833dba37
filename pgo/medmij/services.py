"""The service catalogue: what each service answers and may contain, read from `services.toml`.

Pure: nothing is asked of a dossier here. `pgo.medmij.within` keeps a dossier within a service,
`pgo.medmij.offer` answers. Reading the catalogue checks all of it; a test does so for ours.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl

from pgo.errors import BadValue, Missing, NotFound, PgoError, Unsupported
from pgo.fhir import elements
from pgo.fhir.elements import Release

Pairs = Sequence[tuple[str, str]]

FORM: Final = frozenset({"_format", "_pretty"})
GENERAL: Final = FORM | {"_count", "_total", "_summary", "_elements", "_sort", "_cursor"}
"""Parameters that shape an answer and never widen it."""
_REPEATED: Final[Mapping[str, str]] = {"r4": "_include:iterate", "stu3": "_include:recurse"}
_OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(),
    "$lastn": frozenset({"max"}),
    "$latest-stops": frozenset({"mbh", "category", "include-details"}),
}
_LONGEST_NAME: Final = 50
_OWN_SHAPE: Final = frozenset({"patient", "subject"})


@dataclass(frozen=True, slots=True)
class Search:
    """One search, or one operation on a type, that a service answers.

    Attributes:
        fixed: parameters that must be given, and the values each may have.
        allowed: parameters that may be given.
        include, iterate: what `_include` and its repeated form may say.
        adds: types that refer to what was found and go along unasked.
    """

    type: str
    operation: str = ""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    iterate: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()

    def wrong(self, release: Release, pairs: Pairs) -> PgoError | None:
        """Why these parameters are not what this search asks, or None when they are."""
        general = FORM if self.operation == "$latest-stops" else GENERAL
        known = general | _OPERATIONS[self.operation] | {*self.fixed, *self.allowed}
        for name, value in pairs:
            if name in {"_include", _REPEATED[release]}:
                offered = self.include if name == "_include" else (*self.include, *self.iterate)
                if value not in offered:
                    return Unsupported("this service does not include that", place=name)
            elif name not in known:
                return _not_known(name)
            elif name in self.fixed and not _one_of(value, self.fixed[name]):
                return BadValue("this service has other values here", place=name)
        missing = self.fixed.keys() - {name for name, _ in pairs}
        if missing:
            place = min(missing)
            return Missing(f"this service demands {place}", place=place)
        return None

    def answered(self, pairs: Pairs) -> int:
        """How many of its own parameters these have; to tell which search was meant."""
        names = {name for name, _ in pairs}
        return len(names & self.fixed.keys()) - len(self.fixed.keys() - names)


def _not_known(name: str) -> PgoError:
    words = "this service does not know this parameter"
    if name.partition(":")[0].partition(".")[0] in _OWN_SHAPE:
        words = "the token says whose data are asked for; leave this parameter out"
    return Unsupported(words, place=name[:64])


def _one_of(text: str, values: Iterable[str]) -> bool:
    """Each of the values in `text` is among those; one ending in | stands for a whole system."""
    systems = tuple(value for value in values if value.endswith("|"))
    return all(one in values or (systems and one.startswith(systems)) for one in text.split(","))


@dataclass(frozen=True, slots=True)
class Content:
    """What belongs to a service: the resources of a type that a search with `pairs` finds."""

    type: str
    pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """One service (gegevensdienst) in one FHIR release.

    Attributes:
        id: as in the address; ids with another name for the same are in `Offered.of`.
        name: on the list of services; plain: for people, in plain Dutch.
        linked: types of which it holds what its contents refer to, directly or through others.
        reads: types that can be read by id.
        same: values that callers send, with what they mean.
    """

    id: str
    name: str
    plain: str
    release: Release
    searches: tuple[Search, ...]
    contains: tuple[Content, ...]
    linked: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    same: Mapping[str, str] = field(default_factory=dict)
    own: bool = False

    @property
    def types(self) -> frozenset[str]:
        """All resource types that can be in an answer."""
        added = {type_ for search in self.searches for type_ in search.adds}
        return frozenset({content.type for content in self.contains} | self.linked | added)

    @property
    def referring(self) -> frozenset[tuple[str, str]]:
        """Pairs of types: the first goes along when it refers to the second."""
        return frozenset((type_, one.type) for one in self.searches for type_ in one.adds)

    def search(self, type_: str, operation: str, pairs: Pairs) -> Search:
        """The search that is asked.

        Raises:
            NotFound: this service has no such type or operation.
            Unsupported, BadValue, Missing: a parameter, a value, or one that is not there.
        """
        meant = [one for one in self.searches if (one.type, one.operation) == (type_, operation)]
        if not meant:
            raise NotFound("this service does not have that")
        wrong = [one.wrong(self.release, pairs) for one in meant]
        for one, fault in zip(meant, wrong, strict=True):
            if fault is None:
                return one
        likely = max(range(len(meant)), key=lambda number: meant[number].answered(pairs))
        raise wrong[likely] or NotFound("this service does not have that")

    def meant(self, pairs: Pairs) -> tuple[tuple[str, str], ...]:
        """The parameters with values in the form in which resources have them."""
        if not self.same:
            return tuple(pairs)
        return tuple((name, self._same(value)) for name, value in pairs)

    def _same(self, text: str) -> str:
        return ",".join(self.same.get(one, one) for one in text.split(","))


@dataclass(frozen=True, slots=True)
class Offered:
    """What an address of ours offers: one service, or under a plain name several together."""

    id: str
    name: str
    plain: str
    by_release: Mapping[Release, Service]

    @property
    def release(self) -> Release:
        """The release in which is answered when the caller names none."""
        return next(iter(self.by_release))


class Catalogue:
    """All services; `of` finds one by id, by another name for it, or by a plain name."""

    def __init__(self, services: Sequence[Service], offered: Mapping[str, Offered]) -> None:
        self.services = tuple(services)
        self.offered = offered

    def of(self, name: str) -> Offered:
        """What is offered under this name.

        Raises:
            NotFound: nothing.
        """
        found = self.offered.get(name)
        if found is None:
            raise NotFound("there is no such service")
        return found


@cache
def catalogue() -> Catalogue:
    """The services of this server."""
    return read(files("pgo.medmij").joinpath("services.toml").read_text("utf-8"))


def read(text: str) -> Catalogue:
    """A catalogue in the form of `services.toml`.

    Raises:
        ValueError: what is wrong, and in which service.
    """
    data = tomllib.loads(text)
    services: list[Service] = []
    offered: dict[str, Offered] = {}
    for row in data["service"]:
        try:
            made = _service(row)
        except (PgoError, KeyError, TypeError) as fault:
            raise ValueError(f"service {row.get('id')}: {fault!r}") from fault
        services.append(made)
        for id_ in (made.id, *row.get("aliases", ())):
            _add(offered, Offered(made.id, made.name, made.plain, {made.release: made}), id_)
    by_id = {service.id: service for service in services}
    for row in data.get("bundle", ()):
        _add(offered, _bundle(row, by_id), row["id"])
    return Catalogue(services, offered)


def _add(offered: dict[str, Offered], one: Offered, id_: str) -> None:
    if id_ in offered:
        raise ValueError(f"{id_} is there twice")
    if not 3 <= len(one.name) <= _LONGEST_NAME:  # noqa: PLR2004 - as on the list of services
        raise ValueError(f"{id_}: a name has 3 to 50 characters")
    offered[id_] = one


_KEYS: Final = frozenset(
    [
        *("id", "aliases", "name", "plain", "release", "own", "searches", "contains", "linked"),
        *("reads", "same"),
    ]
)


def _service(row: Mapping[str, Any]) -> Service:
    if not row.keys() <= _KEYS:
        raise KeyError(*(row.keys() - _KEYS))
    release: Release = "stu3" if row["release"] == "stu3" else "r4"
    linked = frozenset(row.get("linked", ()))
    made = Service(
        row["id"],
        row["name"],
        row["plain"],
        release,
        tuple(_search(one) for one in row["searches"]),
        tuple(_content(one) for one in row["contains"]),
        linked,
        frozenset(row.get("reads", linked)),
        row.get("same", {}),
        row.get("own", False),
    )
    unknown = made.types - elements.resources(release)
    if unknown or not made.reads <= made.types:
        raise KeyError(*(unknown or made.reads - made.types))
    return made


def _search(row: Mapping[str, Any]) -> Search:
    lists = {name: tuple(row.get(name, ())) for name in ("allowed", "include", "iterate", "adds")}
    operation = row.get("operation", "")
    known = {"type", "operation", "fixed", *lists}
    if not row.keys() <= known or operation not in _OPERATIONS:
        raise KeyError(*(row.keys() - known or [operation]))
    fixed = {name: tuple(values) for name, values in row.get("fixed", {}).items()}
    return Search(row["type"], operation, fixed, **lists)


def _content(text: str) -> Content:
    type_, _, query = text.partition("?")
    return Content(type_, tuple(parse_qsl(query, strict_parsing=bool(query))))


def _bundle(row: Mapping[str, Any], by_id: Mapping[str, Service]) -> Offered:
    found: dict[Release, Service] = {}
    for id_ in row["services"]:
        part = by_id[id_]
        before = found.get(part.release)
        found[part.release] = _together(row, part, before) if before else _renamed(row, part)
    return Offered(row["id"], row["name"], row["plain"], found)


def _renamed(row: Mapping[str, Any], part: Service) -> Service:
    return _together(row, part, Service("", "", "", part.release, (), ()))


def _together(row: Mapping[str, Any], one: Service, other: Service) -> Service:
    """Two services of one release as one."""
    return Service(
        row["id"],
        row["name"],
        row["plain"],
        one.release,
        (*other.searches, *one.searches),
        (*other.contains, *one.contains),
        other.linked | one.linked,
        other.reads | one.reads,
        {**other.same, **one.same},
        own=True,
    )
