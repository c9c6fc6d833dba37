"""Turns the elements of a profile into a tree of rules, once; `pgo.fhir.profiles_check` walks it.

A profile only narrows what it is based on. So where no snapshot is given, the elements of the whole
line of profiles are laid over each other by id, and that is as good: a value keeps to them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

Tree = dict[str, Any]

ANY: Final = -1
"""`max` is `*`."""

# What every resource keeps to already: `pgo.fhir.structure` and `pgo.fhir.narrative` look at it.
_LOOKED_AT: Final = frozenset(
    {"ele-1", "ext-1", "dom-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "txt-1", "txt-2"}
)


@dataclass(frozen=True, slots=True)
class Type:
    """One type an element may have, its profiles (one must fit), and what it may refer to."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invariant:
    """A FHIRPath expression that has to be true; `severity` is error or warning."""

    key: str
    expression: str
    severity: str


@dataclass(frozen=True, slots=True)
class Slicing:
    """How slices are told apart: pairs of kind and path; `rules` is open, closed or openAtEnd."""

    by: tuple[tuple[str, str], ...]
    rules: str
    ordered: bool


@dataclass(slots=True)
class Rule:
    """What a profile says of one element, or of one slice of it.

    Attributes:
        id: of the element in the profile.
        name: of the member, such as `value[x]`; of a slice that of what is sliced.
        least, most: how often it may occur; `ANY` is no limit.
        fixed, pattern: the value, in a tuple; () when there is none.
        longest: characters of a string.
        least_value, most_value: as `least` and `most` of the value itself, in a tuple.
        binding: address of the value set of a required binding.
        refers: id of the element whose children are meant here too.
    """

    id: str
    name: str
    least: int = 0
    most: int = ANY
    types: tuple[Type, ...] = ()
    fixed: tuple[Any, ...] = ()
    pattern: tuple[Any, ...] = ()
    longest: int = 0
    least_value: tuple[Any, ...] = ()
    most_value: tuple[Any, ...] = ()
    binding: str = ""
    invariants: tuple[Invariant, ...] = ()
    refers: str = ""
    slicing: Slicing | None = None
    slices: dict[str, Rule] = field(default_factory=dict)
    children: dict[str, Rule] = field(default_factory=dict)


def overlaid(below: dict[str, Tree], elements: Any) -> dict[str, Tree]:
    """The elements of a profile by id, laid over those it is based on."""
    made = dict(below)
    last: dict[str, str] = {}
    for one in elements if type(elements) is list else []:
        if type(one) is not dict or type(one.get("path")) is not str:
            continue
        id_ = _id(one, last)
        last[one["path"]] = id_
        before = made.get(id_, {})
        made[id_] = {**before, **one, "constraint": _constraints(before, one)}
    return made


def _id(one: Tree, last: dict[str, str]) -> str:
    """The id of an element; made of path and slice where there is none."""
    given = one.get("id")
    path: str = one["path"]
    slice_ = one.get("sliceName")
    if type(given) is str and _last_name(given) == path.rpartition(".")[2]:
        return given
    holder, dot, name = path.rpartition(".")
    made = f"{last.get(holder, holder)}{dot}{name}"
    return f"{made}:{slice_}" if type(slice_) is str else made


def _last_name(id_: str) -> str:
    return id_.rpartition(".")[2].partition(":")[0]


def _constraints(before: Tree, one: Tree) -> list[Tree]:
    rows = [*before.get("constraint", ()), *(one.get("constraint") or ())]
    return [*{row.get("key"): row for row in rows if type(row) is dict}.values()]


def compiled(elements: dict[str, Tree]) -> Rule:
    """The rule of the whole resource or type, with all others below it."""
    root = Rule("", "")
    for id_, one in elements.items():
        rule = root
        for name, slice_ in _steps(id_, one["path"])[1:]:
            rule = rule.children.setdefault(name, Rule("", name))
            for part in _resliced(slice_):
                rule = rule.slices.setdefault(part, Rule("", name))
        _fill(rule, one, id_)
    _refer(dict(_by_id(root)))
    return root


def _steps(id_: str, path: str) -> list[tuple[str, str]]:
    """Names and slices of an id; a slice's own name may have a dot in it."""
    if id_.count(".") == path.count("."):
        return [(step.partition(":")[0], step.partition(":")[2]) for step in id_.split(".")]
    names = path.split(".")
    split = re.fullmatch(r"\.".join(rf"{re.escape(name)}(?::(.*?))?" for name in names), id_)
    slices = split.groups() if split else [""] * len(names)
    return [(name, slice_ or "") for name, slice_ in zip(names, slices, strict=True)]


def _resliced(slice_: str) -> list[str]:
    """`a/b` is slice `a/b` of slice `a`."""
    parts = slice_.split("/") if slice_ else []
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def _by_id(rule: Rule) -> list[tuple[str, Rule]]:
    below = [*rule.children.values(), *rule.slices.values()]
    return [(rule.id, rule), *(pair for one in below for pair in _by_id(one))]


def _refer(known: dict[str, Rule]) -> None:
    """Give elements that say "as over there" the children of over there."""
    for one in known.values():
        if one.refers and not one.children and one.refers in known:
            one.children = known[one.refers].children


def _fill(rule: Rule, one: Tree, id_: str) -> None:
    rule.id = id_
    most = one.get("max")
    rule.least = one["min"] if type(one.get("min")) is int else 0
    rule.most = int(most) if type(most) is str and most.isdecimal() else ANY
    rule.types = _types(one.get("type"))
    rule.fixed, rule.pattern = _value(one, "fixed"), _value(one, "pattern")
    rule.least_value, rule.most_value = _value(one, "minValue"), _value(one, "maxValue")
    rule.longest = one["maxLength"] if type(one.get("maxLength")) is int else 0
    rule.binding = _binding(one.get("binding"))
    rule.invariants = tuple(
        Invariant(row["key"], row["expression"], str(row.get("severity", "error")))
        for row in one["constraint"]
        if row.get("key") not in _LOOKED_AT and type(row.get("expression")) is str
    )
    refers = one.get("contentReference")
    rule.refers = refers.partition("#")[2] if type(refers) is str else ""
    rule.slicing = _slicing(one.get("slicing"))


def _types(found: Any) -> tuple[Type, ...]:
    """STU3 writes a type once for each of its targets; here each type stands once."""
    made: dict[str, Type] = {}
    for one in found if type(found) is list else []:
        code = str(one.get("code", ""))
        before = made.get(code, Type(code))
        profiles = (*before.profiles, *_texts(one.get("profile")))
        targets = (*before.targets, *_texts(one.get("targetProfile")))
        made[code] = Type(code, profiles, targets)
    return tuple(made.values())


def _texts(found: Any) -> tuple[str, ...]:
    many = found if type(found) is list else [found]
    return tuple(one for one in many if type(one) is str)


def _value(one: Tree, stem: str) -> tuple[Any, ...]:
    return tuple(value for name, value in one.items() if name.startswith(stem))[:1]


def _binding(found: Any) -> str:
    if type(found) is not dict or found.get("strength") != "required":
        return ""
    reference = found.get("valueSetReference")
    stu3 = reference.get("reference") if type(reference) is dict else found.get("valueSetUri")
    return str(found.get("valueSet") or stu3 or "")


def _slicing(found: Any) -> Slicing | None:
    if type(found) is not dict:
        return None
    by = found.get("discriminator")
    pairs = [
        (str(one.get("type", "")), str(one.get("path", "")))
        for one in (by if type(by) is list else [])
        if type(one) is dict
    ]
    return Slicing(tuple(pairs), str(found.get("rules", "open")), found.get("ordered") is True)
