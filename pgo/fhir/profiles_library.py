"""Finds definitions by their canonical address in the packages that are there, of one release.

Nothing is unpacked before it is asked for; a definition asked for once is kept, as are profiles
that were compiled (`pgo.fhir.profiles_rules`). Without a version the newest is meant, by its
numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Final

from pgo.fhir.elements import FHIR, Release, resources
from pgo.fhir.profiles_codes import ValueSets
from pgo.fhir.profiles_folder import Kept
from pgo.fhir.profiles_rules import Rule, compiled, overlaid

Tree = dict[str, Any]

BASE: Final = f"{FHIR}/StructureDefinition/"
BROKEN: Final = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
_PARTS: Final = re.compile(r"(\d+)")
_MOST_BASES: Final = 32


class Library:
    """All definitions of one release."""

    def __init__(self, release: Release, kept: Iterable[Kept]) -> None:
        self.release = release
        self._places: dict[tuple[str, str], dict[str, tuple[Kept, str]]] = {}
        self._read: dict[tuple[str, str], Tree | None] = {}
        self._rules: dict[str, Rule | None] = {}
        for package in kept:
            if package.release == release:
                for file, row in package.rows.items():
                    place = (row["resourceType"], row["url"])
                    versions = self._places.setdefault(place, {})
                    versions[row.get("version", "")] = (package, file)

    def row(self, url: str) -> dict[str, str] | None:
        """What the index says of a StructureDefinition; None when it is not here."""
        found = self._place("StructureDefinition", url)
        return found[0].rows[found[1]] if found else None

    def is_profile(self, url: str) -> bool:
        """Whether this is a profile, or a definition of an extension, that is here."""
        place = ("StructureDefinition", url.partition("|")[0])
        if place not in self._places:
            return False
        row = self.row(url)
        return row is not None and row.get("derivation") == "constraint"

    def profiles(self) -> dict[str, list[str]]:
        """The addresses of all profiles on whole resources, by resource type, in order."""
        found: dict[str, list[str]] = {}
        for kind, url in sorted(self._places):
            type_ = self.type_of(url) if kind == "StructureDefinition" else ""
            if type_ in resources(self.release) and self.is_profile(url):
                found.setdefault(type_, []).append(url)
        return found

    def definition(self, kind: str, url: str) -> Tree | None:
        """A definition by its kind and address; None when it is not here."""
        at = (kind, url)
        if at not in self._read:
            found = self._place(kind, url)
            self._read[at] = found[0].definition(found[1]) if found else None
        return self._read[at]

    def _place(self, kind: str, url: str) -> tuple[Kept, str] | None:
        bare, _, version = url.partition("|")
        versions = self._places.get((kind, bare), {})
        if version:
            return versions.get(version)
        return versions[max(versions, key=_newness)] if versions else None

    @cached_property
    def value_sets(self) -> ValueSets:
        """What knows which codes are in which value set."""
        return ValueSets(self.definition)

    def type_of(self, url: str) -> str:
        """The type that a profile or base definition is for; "" when it is not known."""
        row = self.row(url)
        if row is not None:
            return row.get("type", "")
        tail = url.partition("|")[0].removeprefix(BASE)
        return tail if tail in resources(self.release) or tail in _ABSTRACT else ""

    def rules(self, url: str) -> Rule | None:
        """What a profile says, compiled; None when it is not here, or cannot be used."""
        if url not in self._rules:
            try:
                self._rules[url] = self.compile(url)
            except BROKEN:
                self._rules[url] = None
        return self._rules[url]

    def compile(self, url: str) -> Rule | None:
        """What a profile says; None when it is not here.

        Raises:
            one of BROKEN: it, or what it is based on, is no definition in order.
        """
        elements = self._elements(url, _MOST_BASES) if self.is_profile(url) else None
        return compiled(elements) if elements is not None else None

    def _elements(self, url: str, bases: int) -> dict[str, Tree] | None:
        """The elements of a profile by id: its own whole, or what it adds to what it is based on.

        None when there is no such profile. What HL7's own definitions say is not repeated:
        `pgo.fhir.structure` looks at that.
        """
        tree = self.definition("StructureDefinition", url)
        if tree is None or tree.get("derivation") != "constraint" or not bases:
            return None
        whole = tree.get("snapshot")
        if type(whole) is dict:
            return overlaid({}, whole.get("element"))
        own = tree.get("differential")
        below = self._elements(str(tree.get("baseDefinition", "")), bases - 1)
        return overlaid(below or {}, own.get("element") if type(own) is dict else [])

    def missing_base(self, url: str) -> bool:
        """Whether a profile is based on another that is not here."""
        for _ in range(_MOST_BASES):
            tree = self.definition("StructureDefinition", url)
            if tree is None:
                return not url.startswith(BASE)
            if tree.get("derivation") != "constraint" or "snapshot" in tree:
                return False
            url = str(tree.get("baseDefinition", ""))
        return True


_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})
Definitions = Callable[[str, str], Tree | None]


def _newness(version: str) -> list[tuple[int, int | str]]:
    """To order versions with: numbers by size, a release after its trials (`1.0.0-beta`)."""
    parts = [part for part in _PARTS.split(version.lower()) if part]
    made: list[tuple[int, int | str]] = [
        (2, int(part)) if part.isdecimal() else (0 if part[0] == "-" else 3, part) for part in parts
    ]
    return [*made, (1, "")]
