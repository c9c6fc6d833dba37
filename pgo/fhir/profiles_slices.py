"""Does a value belong to a slice: yes, no, or not to be told.

By the discriminators of the slicing: value and pattern (what a slice fixes at a path: a fixed
value, a pattern, a required binding, or what the elements below it fix), exists, type and profile.
Paths: `$this`, names, `extension('url')`, `ofType(T)`, `resolve()` (by the words of the reference).
Without discriminators: extensions by url, choices by type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pgo.fhir import bsn
from pgo.fhir.elements import resources
from pgo.fhir.paths import type_of
from pgo.fhir.profiles_codes import Told, either, every
from pgo.fhir.profiles_library import Library
from pgo.fhir.profiles_nodes import Effort, Node, below, plain
from pgo.fhir.profiles_rules import Rule, Slicing, Type

_STEP: Final = re.compile(r"(extension|ofType)\('?([^')]*)'?\)|(resolve)\(\)|(\$this)|([\w\[\]]+)")
_DEEPEST: Final = 24
_OPEN: Final = frozenset({"Resource", "DomainResource", ""})
_QUANTITIES: Final = frozenset({"Age", "Count", "Distance", "Duration", "MoneyQuantity"})
_URL: Final = Slicing((("value", "url"),), "open", ordered=False)
_TYPE: Final = Slicing((("type", "$this"),), "open", ordered=False)
Steps = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Sorter:
    """Sorts values into slices.

    Attributes:
        library: where profiles of types are found.
        root: the outermost resource, for references into it.
        conforms: whether a value keeps to a profile.
        effort: what is left of the work allowed.
    """

    library: Library
    root: Node
    conforms: Callable[[str, Node], Told]
    effort: Effort

    def belongs(self, slicing: Slicing | None, slice_: Rule, node: Node) -> Told:
        """Whether a value is one of a slice."""
        how = slicing
        if how is None or not how.by:
            extension = slice_.name in {"extension", "modifierExtension"}
            how = _URL if extension else _TYPE if slice_.name.endswith("[x]") else None
        if how is None:  # STU3: `valueString:valueString`, whoever has that name
            return True if slice_.id.endswith(f":{slice_.name}") else None
        return every(self._told(kind, _steps(path), slice_, node) for kind, path in how.by)

    def _told(self, kind: str, steps: Steps | None, slice_: Rule, node: Node) -> Told:
        if steps is None:
            return None
        if kind in {"value", "pattern"}:
            return self._fits(slice_, steps, node, 0)
        if kind == "exists":
            return self._exists(slice_, steps, node)
        if kind == "type":
            return self._typed(slice_, steps, node)
        return self._profiled(slice_, steps, node) if kind == "profile" else None

    # --- value and pattern -----------------------------------------------------------------------

    def _fits(self, rule: Rule, steps: Steps, node: Node, deep: int) -> Told:
        """Whether what stands at a path is as the rule at that path says."""
        self.effort.spend()
        if not steps:
            return self._like(rule, node, deep)
        step, rest = steps[0], steps[1:]
        if deep > _DEEPEST or step[0] == "resolve":
            return None
        if step[0] == "ofType":
            return self._fits(rule, rest, node, deep + 1) if node.kind == step[1] else False
        told = self._projected(rule, steps, node)
        if told is not None:
            return told
        nodes = self._below(node, step)
        below_ = self._rules(rule, step)
        if below_:
            return every(
                either(self._fits(one, rest, inner, deep + 1) for inner in nodes) for one in below_
            )
        profiles = [one for type_ in rule.types for one in type_.profiles]
        if step == ("name", "url") and profiles and node.kind == "Extension":
            urls = {one.partition("|")[0] for one in profiles}
            return type(node.value) is dict and node.value.get("url") in urls
        found = (self.library.rules(one) for one in profiles)
        wholes = [one for one in found if one is not None]
        return either(self._fits(one, steps, node, deep + 1) for one in wholes) if wholes else None

    def _projected(self, rule: Rule, steps: Steps, node: Node) -> Told:
        """What a fixed value or pattern higher up says about what stands at the path."""
        given = rule.fixed or rule.pattern
        if not given or any(kind != "name" for kind, _ in steps):
            return None
        values = [given[0]]
        nodes = [node]
        for step in steps:
            values = [two for one in values for two in _members(one, step[1])]
            nodes = [two for one in nodes for two in self._below(one, step)]
        if not values:
            return None
        return all(any(holds(value, plain(one)) for one in nodes) for value in values)

    def _rules(self, rule: Rule, step: tuple[str, str]) -> list[Rule]:
        """What is said of the children of one name: of all, or else of slices that must be."""
        kind, name = step
        child = rule.children.get("extension" if kind == "extension" else name)
        child = child or rule.children.get(f"{name}[x]")
        if child is None:
            return []
        if kind == "extension":
            return [one for one in child.slices.values() if name in _urls(one)]
        needed = [one for one in child.slices.values() if one.least > 0]
        return needed if needed and not _says(child) else [child]

    def _below(self, node: Node, step: tuple[str, str]) -> list[Node]:
        if step[0] != "extension":
            return below(self.library.release, node, step[1])
        found = below(self.library.release, node, "extension")
        return [one for one in found if type(one.value) is dict and one.value.get("url") == step[1]]

    def _like(self, rule: Rule, node: Node, deep: int) -> Told:
        """Whether a value is what a rule fixes; None when the rule fixes nothing."""
        self.effort.spend()
        if deep > _DEEPEST:
            return None
        told: list[Told] = []
        if rule.fixed:
            told.append(plain(node) == rule.fixed[0])
        if rule.pattern:
            told.append(holds(rule.pattern[0], plain(node)))
        if told:
            return every(told)
        for name, child in rule.children.items():
            told += self._children_like(child, below(self.library.release, node, name), deep)
        if not told and rule.binding:
            told.append(bound(self.library, rule.binding, node))
        profiles = [one for type_ in rule.types for one in type_.profiles]
        if not told and profiles and node.kind != "Extension":
            wholes = [one for one in map(self.library.rules, profiles) if one is not None]
            return either(self._like(one, node, deep + 1) for one in wholes) if wholes else None
        return every(told) if told else None

    def _children_like(self, child: Rule, nodes: list[Node], deep: int) -> list[Told]:
        if not says(child):
            return []
        needed = [one for one in child.slices.values() if one.least > 0 and says(one)]
        told: list[Told] = []
        for one in needed if needed and not _says(child) else [child]:
            if nodes:
                told.append(either(self._like(one, inner, deep + 1) for inner in nodes))
            elif one.least > 0:
                told.append(False)
        return told

    # --- exists, type, profile -------------------------------------------------------------------

    def _exists(self, slice_: Rule, steps: Steps, node: Node) -> Told:
        rules, nodes = [slice_], [node]
        for step in steps:
            rules = [two for one in rules for two in self._rules(one, step)]
            nodes = [two for one in nodes for two in self._below(one, step)]
        if any(one.most == 0 for one in rules):
            return not nodes
        return bool(nodes) if any(one.least > 0 for one in rules) else None

    def _typed(self, slice_: Rule, steps: Steps, node: Node) -> Told:
        rules, nodes = [slice_], [node]
        through = False
        for step in steps:
            if step[0] == "resolve":
                through = True
                continue
            rules = [two for one in rules for two in self._rules(one, step)]
            nodes = [two for one in nodes for two in self._below(one, step)]
        types = [one for rule in rules for one in rule.types]
        if not types:
            return None
        if through:
            return either(self.refers(types, one) for one in nodes)
        return any(is_of(types, one) for one in nodes)

    def refers(self, types: list[Type] | tuple[Type, ...], node: Node) -> Told:
        """Whether a reference is to one of the types that may be referred to."""
        found = type_of(node.value, self.root.value)
        if found not in resources(self.library.release):  # `https://host/API/1` names no type
            return None
        allowed = [self.library.type_of(one) for type_ in types for one in type_.targets]
        if not allowed or not _OPEN.isdisjoint(allowed):
            return None if "" in allowed else True
        return found in allowed

    def _profiled(self, slice_: Rule, steps: Steps, node: Node) -> Told:
        rules, nodes = [slice_], [node]
        for step in steps:
            if step[0] == "resolve":  # another resource is not read, but its type is told
                types = [type_ for rule in rules for type_ in rule.types]
                other = all(self.refers(types, one) is False for one in nodes)
                return False if types and other else None
            rules = [two for one in rules for two in self._rules(one, step)]
            nodes = [two for one in nodes for two in self._below(one, step)]
        profiles = [one for rule in rules for type_ in rule.types for one in type_.profiles]
        if not profiles:
            return None
        return either(self.conforms(url, one) for url in profiles for one in nodes)


def holds(pattern: Any, value: Any) -> bool:
    """Whether a value has all that is in a pattern; it may have more."""
    if type(pattern) is dict:
        return type(value) is dict and all(
            name in value and holds(one, value[name]) for name, one in pattern.items()
        )
    if type(pattern) is list:
        return type(value) is list and all(any(holds(one, two) for two in value) for one in pattern)
    return bool(pattern == value) and isinstance(pattern, bool) == isinstance(value, bool)


def is_of(types: list[Type] | tuple[Type, ...], node: Node) -> bool:
    """Whether a value is of one of these types."""
    codes = {one.code for one in types}
    if node.kind in _QUANTITIES and "Quantity" in codes:
        return True
    return not _OPEN.isdisjoint(codes) or node.kind in codes or node.kind.partition(".")[1] == "."


def bound(library: Library, url: str, node: Node) -> Told:
    """Whether one of a value's codes is in a value set; True for a concept told by extension."""
    value = node.value
    if type(value) is str:
        return library.value_sets.has(url, None, value)
    if type(value) is not dict or node.kind not in {"CodeableConcept", "Coding", "Quantity"}:
        return None
    codings = value.get("coding", []) if node.kind == "CodeableConcept" else [value]
    pairs = [(one.get("system"), one.get("code")) for one in codings if type(one) is dict]
    told = either(library.value_sets.has(url, system or "", code) for system, code in pairs if code)
    return True if told is False and "extension" in value else told


def about_bsn(rule: Rule) -> bool:
    """Whether a slice is for the BSN: those are never asked for."""
    child = rule.children.get("system", rule)
    given = [*child.fixed, *child.pattern, *rule.pattern, *rule.fixed]
    systems = [one.get("system") if type(one) is dict else one for one in given]
    return any(bsn.is_system(one) for one in systems)


def _says(rule: Rule) -> bool:
    """Whether a rule itself fixes something."""
    return bool(rule.fixed or rule.pattern or rule.binding)


def says(rule: Rule, deep: int = 0) -> bool:
    """Whether a rule, or one below it, fixes something."""
    if _says(rule) or deep > _DEEPEST:
        return _says(rule)
    needed = [one for one in rule.slices.values() if one.least > 0]
    profiled = any(one.profiles for one in rule.types) and rule.name != "extension"
    return profiled or any(says(one, deep + 1) for one in (*rule.children.values(), *needed))


def _members(value: Any, name: str) -> list[Any]:
    found = value.get(name) if type(value) is dict else None
    return [] if found is None else found if type(found) is list else [found]


def _urls(rule: Rule) -> set[str]:
    """The addresses of the extensions a slice is for."""
    child = rule.children.get("url")
    fixed = {str(one) for one in child.fixed} if child else set[str]()
    return fixed | {one.partition("|")[0] for type_ in rule.types for one in type_.profiles}


def _steps(path: str) -> Steps | None:
    """A discriminator's path; None when it cannot be read."""
    made: list[tuple[str, str]] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (match.end() < len(path) and path[match.end()] != "."):
            return None
        if match[1]:
            made.append((match[1], match[2]))
        elif match[3]:
            made.append(("resolve", ""))
        elif match[5]:
            made.append(("name", match[5]))
        at = match.end() + 1
    return tuple(made)
