"""The elements of both FHIR releases: which members a type has, of what type, and how often; facts.

Read once from data/elements.json and data/codes.json, which `pgo.fhir.definitions` makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources as files
from typing import Any, Final, Literal

import orjson

Release = Literal["r4", "stu3"]
Codes = frozenset[str] | dict[str, frozenset[str]]

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"


@dataclass(frozen=True, slots=True)
class Element:
    """One member an object may have.

    Attributes:
        name: the JSON member, such as `valueQuantity`.
        type_: a primitive (`code`), a type (`Quantity`), `Resource`, or the path of an inner
            element (`Observation.component`): what `members` takes.
        many: an array in JSON.
        required: at least one; for a choice one of the members with the same `choice`.
        choice: `value[x]` for a choice of types, else "".
        codes: what a required binding allows: codes, or by system for a concept; None is open.
        primitive: a string, number or boolean, which may have a `_name` beside it.
    """

    name: str
    type_: str
    many: bool
    required: bool
    choice: str = ""
    codes: Codes | None = field(default=None, hash=False)
    primitive: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "primitive", self.type_[0].islower())


@cache
def resources(release: Release) -> frozenset[str]:
    """Names of all resource types of a release."""
    return frozenset(_elements()[release]["resources"])


@cache
def stored(release: Release) -> frozenset[str]:
    """The types a dossier keeps: all but Parameters, which only travels.

    Source: http://hl7.org/fhir/parameters, and the types of HL7's own base CapabilityStatement.
    """
    return resources(release) - {"Parameters"}


@cache
def members(release: Release, type_: str) -> dict[str, Element]:
    """Members by name, in the order of the definition; empty for an unknown type.

    A choice is given as one member per type (`valueQuantity`, `valueString`, …).
    """
    rows = _elements()[release]["types"].get(type_, ())
    found = [one for row in rows for one in _members_of(release, type_, row)]
    return {one.name: one for one in found}


@cache
def names(release: Release) -> frozenset[str]:
    """All member names the release defines anywhere: what an error may call by its name."""
    types = _elements()[release]["types"]
    return frozenset(name for type_ in types for name in members(release, type_))


def _members_of(release: Release, type_: str, row: str) -> list[Element]:
    name, occurs, *kinds = row.split()
    many, required = occurs in "*+", occurs in "!+"
    codes = _codes(release, f"{type_}.{name}")
    stem = name.removesuffix("[x]")
    if stem == name:
        return [Element(name, kinds[0], many, required, codes=codes)]
    return [
        Element(stem + kind[0].upper() + kind[1:], kind, many, required, name, codes)
        for kind in kinds
    ]


def _codes(release: Release, path: str) -> Codes | None:
    known = _bindings()[release]
    at = known["bound"].get(path)
    if at is None:
        return None
    allowed = known["sets"][at]
    if isinstance(allowed, list):
        return frozenset(allowed)
    return {system: frozenset(codes) for system, codes in allowed.items()}


@cache
def _elements() -> dict[str, Any]:
    return _read("elements.json")


@cache
def _bindings() -> dict[str, Any]:
    return _read("codes.json")


def _read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads((files.files("pgo.fhir") / "data" / name).read_bytes())
    return data
