"""Does a resource have the form its definition gives: members, types, codes, references, rules.

Reads the facts of `pgo.fhir.elements`; knows no profiles. What is checked: defined members only,
arrays where they belong, nothing empty, cardinalities, one type per choice, the format of every
primitive, the codes of required bindings, references, narrative, and the few rules of the
specification that protect whoever reads the resource (ext-1, per-1, qty-3, dom-2, ref-1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from pgo.errors import Issue
from pgo.fhir import narrative, primitives
from pgo.fhir.elements import Element, Release, members, names, resources

MOST: Final = 50

_REFERENCE: Final = re.compile(
    r"#[A-Za-z0-9\-.]{0,64}"  # in this resource
    r"|urn:(uuid|oid):[0-9A-Za-z.\-]+"
    r"|https?://[^\s/?#]+(/[^\s]*)?"
    r"|[A-Z][A-Za-z]{2,63}(/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?(#\S*)?|\?[^\s]+)"
)
# Open choices in which R4 allows a Meta, and R4B's models do not.
_R4_ALONE: Final = frozenset({"valueMeta", "defaultValueMeta", "fixedMeta", "patternMeta"})


class _Enough(Exception):
    """As many issues as an answer holds."""


@dataclass(slots=True)
class Findings:
    """What a walk found.

    Attributes:
        issues: all that is wrong, at most `MOST`.
        resources: each resource met, outermost first, as (place, type, tree).
        beyond: whether an element is used that R4 has and R4B does not.
    """

    issues: list[Issue] = field(default_factory=list)
    resources: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    beyond: bool = False

    def add(self, code: str, detail: str, place: str) -> None:
        """Keeps one issue."""
        self.issues.append(Issue(code, detail, place))
        if len(self.issues) >= MOST:
            raise _Enough


def look(release: Release, tree: dict[str, Any], place: str = "") -> Findings:
    """Everything wrong with the form of one resource and of the resources in it."""
    findings = Findings()
    walk = _Walk(release, findings)
    with suppress(_Enough):
        walk.resource(tree, place, frozenset())
    return findings


@dataclass(frozen=True, slots=True)
class _Form:
    """What the definition of a type asks of its objects, laid out once.

    Attributes:
        members: by name.
        checks: what judges a value of a primitive member.
        needed: per required element what to call it, and the members of which one must be there.
        choices: per choice of types the members of which only one may be there.
        rule: looks at more than one member; words when it is broken.
    """

    members: dict[str, Element]
    checks: dict[str, Callable[[Any], str]]
    needed: tuple[tuple[str, tuple[str, ...]], ...]
    choices: tuple[tuple[str, frozenset[str]], ...]
    rule: Callable[[dict[str, Any]], str] | None


@cache
def _form(release: Release, type_: str) -> _Form:
    known = members(release, type_)
    needed: dict[str, list[str]] = {}
    choices: dict[str, set[str]] = {}
    for one in known.values():
        alike = (one.name, f"_{one.name}")
        if one.required:
            named = alike if one.primitive else (one.name,)
            needed.setdefault(one.choice or one.name, []).extend(named)
        if one.choice:
            choices.setdefault(one.choice, set()).update(alike)
    return _Form(
        known,
        {one.name: primitives.check_of(one.type_) for one in known.values() if one.primitive},
        tuple((name, tuple(alike)) for name, alike in needed.items()),
        tuple((choice, frozenset(alike)) for choice, alike in choices.items()),
        _RULES.get(type_),
    )


@dataclass(slots=True)
class _Walk:
    """One walk through a tree; `inside` holds the ids that `#` references may name."""

    release: Release
    findings: Findings
    inside: frozenset[str] = frozenset()

    def resource(self, tree: Any, place: str, inside: frozenset[str]) -> None:
        """One resource: its type is known, and contained ones are known to its references."""
        name = tree.get("resourceType") if type(tree) is dict else None
        if type(name) is not str or name not in resources(self.release):
            self.findings.add("structure", "This is not a resource of this FHIR release.", place)
            return
        place = place or name
        self.findings.resources.append((place, name, tree))
        before, self.inside = self.inside, inside or _ids(tree)
        self.object(tree, name, place)
        self.inside = before

    def object(self, tree: Any, type_: str, place: str) -> None:
        """The members of one object of a type."""
        if type(tree) is not dict or not tree:
            words = "This is not an object." if type(tree) is not dict else "This object is empty."
            self.findings.add("structure", words, place)
            return
        form = _form(self.release, type_)
        known, checks = form.members, form.checks
        for position, (name, value) in enumerate(tree.items(), 1):
            element = known.get(name)
            if element is None:
                self.beside(name, value, tree, type_, place, position)
            elif element.many:
                self.array(value, element, f"{place}.{name}", tree)
            elif not element.primitive:
                self.complex(value, element, f"{place}.{name}")
            elif words := checks[name](value):
                self.findings.add("value", words, f"{place}.{name}")
            elif element.codes is not None or element.type_ == "xhtml":
                self.bound(value, element, f"{place}.{name}")
        for name, alike in form.needed:
            if alike[0] not in tree and not any(one in tree for one in alike):
                self.findings.add("required", "This element is required.", f"{place}.{name}")
        self.rules(tree, form, type_, place)

    def beside(
        self, name: str, value: Any, tree: dict[str, Any], type_: str, place: str, position: int
    ) -> None:
        """A member that is no element: `resourceType`, the `_name` of a primitive, or unknown."""
        if name == "resourceType" and type_ in resources(self.release):
            return
        known = members(self.release, type_)
        element = known.get(name[1:]) if name.startswith("_") else None
        if element is None or not element.primitive or element.type_ == "xhtml":
            called = f"{place}.{name}" if name in names(self.release) else place
            self.findings.add("structure", f"Member {position} is not defined here.", called)
        elif not element.many:
            self.object(value, "Element", f"{place}.{name}")
        elif type(value) is not list or not value:
            self.findings.add("structure", "This is not an array.", f"{place}.{name}")
        else:
            self.sides(value, tree.get(element.name), f"{place}.{name}")

    def sides(self, sides: list[Any], values: Any, place: str) -> None:
        """The ids and extensions beside an array of primitives: null where there is none."""
        if values is not None and (type(values) is not list or len(values) != len(sides)):
            self.findings.add("structure", "This array is not as long as the values.", place)
        for i, side in enumerate(sides):
            if side is not None:
                self.object(side, "Element", f"{place}[{i}]")
            elif values is None:
                self.findings.add("structure", "Null is not allowed here.", f"{place}[{i}]")

    def array(self, value: Any, element: Element, place: str, tree: dict[str, Any]) -> None:
        """An element that may be there more than once; null where only its `_name` says more."""
        if type(value) is not list or not value:
            self.findings.add("structure", "This is not an array with something in it.", place)
            return
        if not element.primitive:
            for i, one in enumerate(value):
                self.complex(one, element, f"{place}[{i}]")
            return
        sides, check = tree.get(f"_{element.name}"), primitives.check_of(element.type_)
        for i, one in enumerate(value):
            if one is None and type(sides) is list and sides[i : i + 1] not in ([], [None]):
                continue
            if words := check(one):
                self.findings.add("value", words, f"{place}[{i}]")
            else:
                self.bound(one, element, f"{place}[{i}]")

    def bound(self, value: Any, element: Element, place: str) -> None:
        """A value of its primitive type: the narrative or the code it has to be."""
        if element.type_ == "xhtml":
            for words in narrative.faults(value):
                self.findings.add("value", words, place)
        elif element.codes is not None and value not in element.codes:
            self.findings.add("code-invalid", "This code is not allowed here.", place)

    def complex(self, value: Any, element: Element, place: str) -> None:
        """One object or resource, and the code it may have to be."""
        if element.type_ == "Resource":
            contained = element.name == "contained"
            self.resource(value, place, self.inside | {""} if contained else frozenset())
            if contained and type(value) is dict and "contained" in value:
                self.findings.add("invariant", "A contained resource contains nothing.", place)
            return
        if element.name in _R4_ALONE and self.release == "r4":
            self.findings.beyond = True
        self.object(value, element.type_, place)
        if type(element.codes) is dict and type(value) is dict and not _coded(value, element):
            self.findings.add("code-invalid", "None of its codes is allowed here.", place)

    def rules(self, tree: dict[str, Any], form: _Form, type_: str, place: str) -> None:
        """The rules that look at more than one member."""
        words = form.rule(tree) if form.rule else ""
        if words:
            self.findings.add("invariant", words, place)
        if type_ == "Reference":
            self.reference(tree.get("reference"), f"{place}.reference")
        for choice, alike in form.choices:
            if len({name.lstrip("_") for name in tree if name in alike}) > 1:
                self.findings.add("structure", "A choice has two types.", f"{place}.{choice}")

    def reference(self, value: Any, place: str) -> None:
        """A reference is of one of the forms FHIR has; `#id` names something in this resource."""
        if type(value) is not str:
            return
        if not _REFERENCE.fullmatch(value) or primitives.opens_by_itself(value):
            self.findings.add("value", "This is not a reference.", place)
        elif value.startswith("#") and value[1:] not in self.inside:
            self.findings.add("invariant", "There is no such contained resource.", place)


def _ids(tree: dict[str, Any]) -> frozenset[str]:
    """What `#` references inside a resource may name; "" is the resource itself."""
    contained = tree.get("contained")
    found = contained if type(contained) is list else []
    return frozenset({"", *(_id(one) for one in found if type(one) is dict)})


def _id(tree: dict[str, Any]) -> str:
    id_ = tree.get("id")
    return id_.lstrip("#") if type(id_) is str else ""


def _coded(value: dict[str, Any], element: Element) -> bool:
    """Whether a Coding, or one of a CodeableConcept's, is in the binding; none at all may be."""
    if element.type_ == "Coding":
        codings = [value]
    else:
        given = value.get("coding")
        codings = given if type(given) is list else []
    return any(_allowed(one, element) for one in codings) or "extension" in value


def _allowed(coding: Any, element: Element) -> bool:
    if type(coding) is not dict or type(element.codes) is not dict:
        return False
    system, code = coding.get("system"), coding.get("code")
    return type(system) is str and code in element.codes.get(system, frozenset())


def _extension(tree: dict[str, Any]) -> str:
    has_value = any(name.lstrip("_").startswith("value") for name in tree)
    good = has_value != ("extension" in tree)
    return "" if good else "An extension has either a value or extensions (ext-1)."


def _period(tree: dict[str, Any]) -> str:
    start, end = tree.get("start"), tree.get("end")
    if type(start) is not str or type(end) is not str or ("T" in start) != ("T" in end):
        return ""
    if "T" in start:
        good = _instant(start) <= _instant(end)
    else:
        length = min(len(start), len(end))
        good = start[:length] <= end[:length]
    return "" if good else "A period ends before it starts (per-1)."


def _instant(value: str) -> datetime:
    """A moment to compare by; one that is no moment has an issue of its own already."""
    try:
        return datetime.fromisoformat(value.replace(":60", ":59")).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _quantity(tree: dict[str, Any]) -> str:
    good = "code" not in tree or "system" in tree or "_system" in tree
    return "" if good else "A quantity with a code has a system (qty-3)."


_RULES: Final = {
    "Extension": _extension,
    "Period": _period,
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), _quantity),
}
