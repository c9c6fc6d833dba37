"""Which search parameters each resource type has, from HL7's definitions and a deployment's own.

Definitions only: nothing is extracted or searched here. Data: `data/parameters.json`, made by
`pgo.fhir.make_parameters`. Paths are compiled for a type when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import orjson

from pgo.fhir.paths import Choices, Path, compile_expression

COLUMNS: Final[Mapping[str, str]] = MappingProxyType({"_id": "id", "_lastUpdated": "at"})
"""Parameters answered from the image's own `res` table, and the column."""

KINDS: Final = frozenset(
    {"token", "reference", "date", "string", "number", "quantity", "uri", "composite"}
)
NOT_COVERED: Final[Mapping[str, str]] = MappingProxyType({})
"""Published expressions that do not compile, with the reason. There are none; a test says so."""

_HL7: Final = "http://hl7.org/fhir/SearchParameter/"
_ROOTS: Final = ("Resource", "DomainResource")
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
        kind: token, reference, date, string, number, quantity, uri, composite or special.
        url: canonical address of the definition.
        paths: where its values are; empty when the definition does not say so.
        targets: resource types a reference may point to; empty = any.
        components: the parts of a composite, in order.
    """

    code: str
    kind: str
    url: str
    paths: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()

    @property
    def searchable(self) -> bool:
        """Whether this server can answer it."""
        return self.kind in KINDS and (bool(self.paths) or self.code in COLUMNS)


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
        paths: tuple[Path, ...] = ()
        if row.expression and row.code not in COLUMNS:
            compiled = compile_expression(row.expression, self._choices)
            paths = tuple(path for path in compiled if path.root in roots)
        components = tuple(
            Component(kind, compile_expression(expression, self._choices))
            for kind, expression in row.components
        )
        return Parameter(row.code, row.kind, row.url, paths, row.targets, components)


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
