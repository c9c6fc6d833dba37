"""Which search parameters each resource type has, from HL7's definitions and a deployment's own.

Definitions only: nothing is extracted or searched here. Data: `data/parameters.json`, made by
`pgo.fhir.make_parameters`. Paths are compiled for a type when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import orjson

from pgo.fhir.paths import Choices, Path, compile_expression
from pgo.fhir.special import SPECIAL, Special

COLUMNS: Final[Mapping[str, str]] = MappingProxyType({"_id": "id", "_lastUpdated": "at"})
"""Parameters answered from the image's own `res` table, and the column."""

INDEXED: Final = "5"
"""Names how index rows are made out of resources; another one makes all rows anew."""
KINDS: Final = frozenset(
    {"token", "reference", "date", "string", "number", "quantity", "uri", "composite"}
    | {one.kind for one in SPECIAL.values()}
)
NOT_COVERED: Final[Mapping[str, str]] = MappingProxyType({})
"""Published expressions that do not compile, with the reason. There are none; a test says so."""

_HL7: Final = "http://hl7.org/fhir/SearchParameter/"
_ROOTS: Final = ("Resource", "DomainResource")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NOT_DOMAIN: Final = frozenset({"Binary", "Bundle", "Parameters"})


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite parameter; `paths` start at the composite's own values."""

    kind: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type.

    Attributes:
        code: the name in the address, such as `clinical-status`.
        kind: how its values are read: token, reference, date, string, number, quantity, uri,
            composite, period, words or stop; special when this server has no way to read it.
        url: canonical address of the definition.
        paths: where its values are; empty when the definition does not say so.
        targets: resource types a reference may point to; empty = any.
        components: the parts of a composite, in order.
        special: what reads the whole resource instead of `paths`.
        published: the type as the definition says it; "" when that is `kind`.
        names: the names in its expressions, for `Parameters.telling`.
    """

    code: str
    kind: str
    url: str
    paths: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    special: Special | None = None
    published: str = ""
    names: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def type(self) -> str:
        """The type in a capability statement."""
        return self.published or self.kind

    @property
    def searchable(self) -> bool:
        """Whether this server can answer it."""
        if self.special is not None or self.code in COLUMNS:
            return True
        return self.kind in KINDS and bool(self.paths)


@dataclass(frozen=True, slots=True)
class _Row:
    """A definition as it is in the data file or in a SearchParameter resource."""

    url: str
    code: str
    kind: str
    types: tuple[str, ...]
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()


class Parameters:
    """All search parameters of one release; see `registry` and `extended`."""

    def __init__(
        self, release: str, types: tuple[str, ...], choices: Choices, rows: tuple[_Row, ...]
    ) -> None:
        self.release, self.types = release, types
        self._known = frozenset(types)
        self._choices, self._rows = choices, rows
        self._made: dict[str, Mapping[str, Parameter]] = {}

    def __contains__(self, type_: object) -> bool:
        return type_ in self._known

    def of(self, type_: str) -> Mapping[str, Parameter]:
        """The parameters of a resource type by code, those of every resource included.

        Raises:
            KeyError: no resource type of this release.
        """
        made = self._made.get(type_)
        if made is None:
            if type_ not in self._known:
                raise KeyError(type_)
            made = self._made[type_] = MappingProxyType(self._make(type_))
        return made

    @cached_property
    def mark(self) -> str:
        """Names what index rows made with these parameters hold; equal for equal definitions."""
        rows = [row for row in self._rows if row.expression or row.url in SPECIAL]
        return blake2b(repr((INDEXED, rows)).encode(), digest_size=6).hexdigest()

    def telling(self, type_: str, members: frozenset[str]) -> frozenset[str]:
        """The codes of a type that may tell something about these members of it.

        Rather too many than too few: every parameter that has one of the names anywhere in its
        expressions, and those that read the whole resource.
        """
        return frozenset(
            code
            for code, one in self.of(type_).items()
            if one.special is not None or not members.isdisjoint(one.names)
        )

    def extended(self, definitions: Iterable[Mapping[str, Any]]) -> Parameters:
        """These and a deployment's own SearchParameter resources (JSON trees).

        A definition replaces one with the same code on the same type.

        Raises:
            NotCovered: an expression is beyond `pgo.fhir.paths`; start refuses, naming it.
            ValueError: it names a type or component this release does not have.
        """
        trees = tuple(definitions)
        kinds = {row.url: row.kind for row in self._rows}
        kinds |= {tree["url"]: tree["type"] for tree in trees}
        more = tuple(_of_resource(one, kinds) for one in trees)
        made = Parameters(self.release, self.types, self._choices, (*self._rows, *more))
        for row in more:
            for type_ in row.types:
                if type_ not in self._known and type_ not in _ROOTS:
                    raise ValueError(f"{row.url}: no such resource type")
                if type_ in self._known:
                    made.of(type_)
        return made

    def _make(self, type_: str) -> dict[str, Parameter]:
        roots = _ROOTS[:1] if type_ in _NOT_DOMAIN else _ROOTS
        general = [row for row in self._rows if not {*roots}.isdisjoint(row.types)]
        own = [row for row in self._rows if type_ in row.types]
        return {row.code: self._parameter(row, {type_, *roots}) for row in (*general, *own)}

    def _parameter(self, row: _Row, roots: set[str]) -> Parameter:
        special = SPECIAL.get(row.url)
        if special is not None:
            return Parameter(row.code, special.kind, row.url, special=special, published=row.kind)
        paths: tuple[Path, ...] = ()
        if row.expression and row.code not in COLUMNS:
            compiled = compile_expression(row.expression, self._choices)
            paths = tuple(path for path in compiled if path.root in roots)
        components = tuple(
            Component(kind, compile_expression(expression, self._choices))
            for kind, expression in row.components
        )
        said = " ".join([row.expression, *(expression for _, expression in row.components)])
        names = frozenset(_NAME.findall(said))
        return Parameter(row.code, row.kind, row.url, paths, row.targets, components, names=names)


@lru_cache
def registry(release: str) -> Parameters:
    """The published parameters of `r4` (4.0.1) or `stu3` (3.0.2).

    Raises:
        KeyError: another release.
    """
    text = files("pgo.fhir").joinpath("data/parameters.json").read_bytes()
    data = orjson.loads(text)[release]
    rows = tuple(_of_data(row) for row in data["parameters"])
    return Parameters(release, tuple(data["types"]), data["choices"], rows)


def _of_data(row: list[Any]) -> _Row:
    id_, code, kind, types, expression, targets, components = (row + [""] * 3)[:7]
    parts = tuple((part, path) for part, path in components)
    return _Row(_HL7 + id_, code, kind, tuple(types), expression, tuple(targets), parts)


def _of_resource(tree: Mapping[str, Any], kinds: Mapping[str, str]) -> _Row:
    return _Row(
        tree["url"],
        tree["code"],
        tree["type"],
        tuple(tree["base"]),
        tree.get("expression", ""),
        tuple(tree.get("target", ())),
        tuple(_part(tree["url"], one, kinds) for one in tree.get("component", ())),
    )


def _part(url: str, component: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[str, str]:
    definition = component["definition"]  # STU3 has a Reference here, R4 a canonical
    named = definition["reference"] if isinstance(definition, dict) else definition
    if named not in kinds:
        raise ValueError(f"{url}: a component is not defined")
    return kinds[named], component["expression"]
