"""Holds a resource against one profile: what is wrong, where, and what could not be checked.

Looks at what the profile says beyond FHIR itself: how often, fixed values and patterns, required
bindings, types and targets, lengths and bounds, slices, invariants. What cannot be told is a note,
never a refusal. No issue repeats a value of the resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from pgo.errors import Issue
from pgo.fhir.elements import FHIR
from pgo.fhir.profiles_codes import Told
from pgo.fhir.profiles_invariant import World, holds
from pgo.fhir.profiles_library import Library
from pgo.fhir.profiles_nodes import Effort, Node, TooMuch, order, placed, plain, resource
from pgo.fhir.profiles_path import Unreadable
from pgo.fhir.profiles_rules import ANY, Invariant, Rule
from pgo.fhir.profiles_slices import Sorter, about_bsn, bound, is_of
from pgo.fhir.profiles_slices import holds as has_pattern
from pgo.fhir.structure import MOST

MOST_STEPS: Final = 100_000  # about a second
_MOST_WORK: Final = 150_000  # of all invariants of one resource together
_ONE_INVARIANT: Final = 50_000
_DEEPEST: Final = 48
_FHIRS_OWN: Final = f"{FHIR}/ValueSet/"
_NOTE: Final = "information"


@dataclass(slots=True)
class Found:
    """What a walk found: issues in order, and notes on what was not checked, each once."""

    issues: list[Issue] = field(default_factory=list)
    notes: dict[tuple[str, str], Issue] = field(default_factory=dict)

    def note(self, about: str, words: str, place: str, url: str) -> None:
        """Remember what was not checked."""
        detail = f"Not checked: {words} ({about}; profile {url})."
        self.notes.setdefault((about, url), Issue("informational", detail, place, _NOTE))


@dataclass(slots=True)
class Walk:
    """One resource against profiles; nothing is looked at twice for the same profile."""

    library: Library
    root: Node
    found: Found = field(default_factory=Found)
    steps: Effort = field(default_factory=lambda: Effort(MOST_STEPS))
    work: Effort = field(default_factory=lambda: Effort(_MOST_WORK))
    inside: tuple[tuple[int, str], ...] = ()
    world: Node | None = None

    def profile(self, url: str, node: Node, place: str) -> None:
        """One value against one profile that is here."""
        rules = self.library.rules(url)
        at = (id(node.value), url)
        if rules is None:
            self.found.note("profile", "a definition that cannot be used", place, url)
        if rules is None or at in self.inside:
            return
        if len(self.inside) > _DEEPEST:
            raise TooMuch("too deep")
        if self.library.missing_base(url):
            self.found.note("base", "a profile that it is based on is not here", place, url)
        before, self.inside = self.inside, (*self.inside, at)
        outer, whole = self.world, type(node.value) is dict and "resourceType" in node.value
        self.world = node if whole else self.world
        wanted = self.library.type_of(url)
        if whole and wanted not in {node.kind, "Resource", "DomainResource", ""}:
            self.wrong("structure", "This profile is for another type.", place, url)
        else:
            self.rule(rules, node, place, url)
        self.inside, self.world = before, outer

    def wrong(self, code: str, words: str, place: str, url: str, severity: str = "error") -> None:
        """Keep one issue."""
        if len(self.found.issues) < MOST:
            self.found.issues.append(Issue(code, f"{words} Profile {url}.", place, severity))

    # --- one value -------------------------------------------------------------------------------

    def rule(self, rule: Rule, node: Node, place: str, url: str) -> None:
        """One value against one rule, and its children."""
        self.steps.spend()
        if not _masked(node):
            self.value(rule, node, place, url)
            for one in rule.invariants:
                self.invariant(one, node, place, url)
        self.types(rule, node, place, url)
        for child in rule.children.values():
            self.members(child, node, place, url)

    def value(self, rule: Rule, node: Node, place: str, url: str) -> None:
        """What the value itself has to be."""
        if node.value is None:
            return
        if rule.fixed and plain(node) != rule.fixed[0]:
            self.wrong("value", "This is not the fixed value.", place, url)
        if rule.pattern and not has_pattern(rule.pattern[0], plain(node)):
            self.wrong("value", "This does not have what the pattern asks.", place, url)
        if rule.longest and type(node.value) is str and len(node.value) > rule.longest:
            self.wrong("too-long", f"This has at most {rule.longest} characters.", place, url)
        for limit, far in ((rule.least_value, -1), (rule.most_value, 1)):
            with suppress(Unreadable):
                if limit and order(node, Node(limit[0], node.kind)) == far:
                    self.wrong("value", "This is beyond the bound.", place, url)
        if rule.binding:
            self.binding(rule, node, place, url)

    def binding(self, rule: Rule, node: Node, place: str, url: str) -> None:
        """A required binding."""
        told = bound(self.library, rule.binding, node)
        if told is None and not (node.coded and rule.binding.startswith(_FHIRS_OWN)):
            self.found.note(rule.id, f"the codes of {rule.binding}", place, url)
        elif told is False:
            words = f"No code of value set {rule.binding} is given."
            self.wrong("code-invalid", words, place, url)

    def types(self, rule: Rule, node: Node, place: str, url: str) -> None:
        """The types of a choice, the profiles of a type, the targets of a reference."""
        if not rule.types:
            return
        choice = rule.name.endswith("[x]") or node.kind == _kind_of(node)
        if choice and not is_of(rule.types, node):
            self.wrong("structure", "This type is not allowed here.", place, url)
            return
        fitting = [one for one in rule.types if one.code == node.kind]
        if node.kind == "Reference" and self.sorter().refers(fitting, node) is False:
            words = "This may not refer to a resource of this type."
            self.wrong("structure", words, f"{place}.reference", url)
        profiles = [one for type_ in fitting for one in type_.profiles]
        self.profiles(profiles, node, place, rule, url)

    def profiles(self, profiles: list[str], node: Node, place: str, rule: Rule, url: str) -> None:
        """A value keeps to one of the profiles of its type; of one only, say exactly what not."""
        known = [one for one in profiles if self.library.rules(one) is not None]
        if len(known) < len(profiles):
            missing = next(one for one in profiles if one not in known)
            if rule.name not in {"extension", "modifierExtension"} or "-" in missing:
                self.found.note(rule.id, f"{missing} is not here", place, url)
            return
        if len(known) == 1:
            self.profile(known[0], node, place)
        elif known and not any(self.conforms(one, node) is not False for one in known):
            self.wrong("structure", "This keeps to none of its profiles.", place, url)

    def conforms(self, url: str, node: Node) -> Told:
        """Whether a value keeps to a profile, without a word about it."""
        if self.library.rules(url) is None:
            return None
        apart = Walk(self.library, self.root, Found(), self.steps, self.work, self.inside)
        apart.world = self.world
        apart.profile(url, node, "")
        return not any(one.severity == "error" for one in apart.found.issues)

    def sorter(self) -> Sorter:
        """What sorts values into slices."""
        return Sorter(self.library, self.root, self.conforms, self.steps)

    def invariant(self, one: Invariant, node: Node, place: str, url: str) -> None:
        """A FHIRPath expression, within bounds."""
        effort = Effort(min(_ONE_INVARIANT, self.work.left))
        before = effort.left
        world = World(self.library.release, self.world or self.root, self.root, self.member, effort)
        try:
            good = holds(one.expression, node, world)
        except Unreadable as fault:
            self.found.note(one.key, f"this invariant: {fault}", place, url)
            return
        finally:
            self.work.left -= before - max(0, effort.left)
        if not good:
            severity = "warning" if one.severity == "warning" else "error"
            self.wrong("invariant", f"Invariant {one.key} does not hold.", place, url, severity)

    def member(self, url: str, node: Node) -> Told:
        """Whether a value set has a value, for `memberOf`."""
        return bound(self.library, url, node)

    # --- members and slices ----------------------------------------------------------------------

    def members(self, rule: Rule, holder: Node, place: str, url: str) -> None:
        """The children of one name: how many, each by itself, and in their slices."""
        found = placed(self.library.release, holder, rule.name)
        items = [(f"{place}{where}", node) for where, node in found]
        name = f"{place}.{rule.name.removesuffix('[x]')}"
        if len(items) < rule.least and not _masked(holder):
            self.wrong("required", _times("at least", rule.least), name, url)
        if rule.most != ANY and len(items) > rule.most:
            far = items[rule.most][0]
            self.wrong("structure", _times("at most", rule.most), far, url)
            return
        for where, node in items:
            self.rule(rule, node, where, url)
        if rule.slices:
            self.slices(rule, items, name, url)

    def slices(self, rule: Rule, items: list[tuple[str, Node]], name: str, url: str) -> None:
        """Each value in the slices it belongs to; how many are in each."""
        sorter = self.sorter()
        told = {
            key: [sorter.belongs(rule.slicing, one, node) for _, node in items]
            for key, one in rule.slices.items()
        }
        for key, one in rule.slices.items():
            mine = [item for item, is_in in zip(items, told[key], strict=True) if is_in]
            unsure = sum(is_in is None for is_in in told[key])
            if unsure:
                self.found.note(one.id, "who belongs to this slice", name, url)
            if len(mine) + unsure < one.least and not about_bsn(one):
                words = f"Slice {key}: {_times('at least', one.least)}"
                self.wrong("required", words, name, url)
            if one.most != ANY and len(mine) > one.most:
                words = f"Slice {key}: {_times('at most', one.most)}"
                self.wrong("structure", words, mine[one.most][0], url)
                continue
            for where, node in mine:
                self.rule(one, node, where, url)
            if one.slices:
                self.slices(one, mine, name, url)
        self.between(rule, items, [*told.values()], url)

    def between(
        self, rule: Rule, items: list[tuple[str, Node]], told: list[list[Told]], url: str
    ) -> None:
        """What is in no slice, and the order of those that are."""
        how = rule.slicing
        if how is None or (how.rules == "open" and not how.ordered):
            return
        last, outside = 0, False
        for at, (where, _) in enumerate(items):
            row = [is_in[at] for is_in in told]
            if True in row:
                if outside and how.rules == "openAtEnd":
                    self.wrong("structure", "What is in no slice comes last.", where, url)
                first = row.index(True)
                if how.ordered and first < last:
                    self.wrong("structure", "The slices are in another order.", where, url)
                last = max(last, first)
            elif None not in row:
                outside = True
                if how.rules == "closed":
                    self.wrong("structure", "This is in none of the slices.", where, url)


def looked(library: Library, tree: dict[str, Any], urls: Iterable[str], place: str) -> Found:
    """A resource against profiles that are here."""
    walk = Walk(library, resource(tree))
    for url in urls:
        try:
            walk.profile(url, walk.root, place or walk.root.kind)
        except (RecursionError, Unreadable):
            walk.inside, walk.world = (), None
            walk.found.note("size", "all of it; the resource is too large or deep", place, url)
    return walk.found


def _kind_of(node: Node) -> str:
    """The type of a resource; "" of anything else."""
    return str(node.value.get("resourceType", "")) if type(node.value) is dict else ""


def _times(how: str, count: int) -> str:
    if count == 0:
        return "This is not used here."
    return f"This is here {how} {'once' if count == 1 else f'{count} times'}."


def _masked(node: Node) -> bool:
    """Whether a BSN was taken out of a value: what is asked of it then is not asked."""
    beside = node.value.get("_value") if type(node.value) is dict else node.side
    found = beside.get("extension") if type(beside) is dict and node.value is not False else None
    return type(found) is list and any(
        type(one) is dict and one.get("valueCode") == "masked" for one in found
    )
