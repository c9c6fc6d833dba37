"""A resource as FHIRPath sees it: values with their types, their children, what is equal; bounded.

A value is a `Node` of the resource, or a plain bool, int, Decimal or str that an expression made.
Types of children come from `pgo.fhir.elements`. Every visit is counted: `Effort` stops what would
take too long, whatever the expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

import orjson

from pgo.fhir import text
from pgo.fhir.elements import Element, Release, members
from pgo.fhir.profiles_path import Unreadable

MOST_VISITS: Final = 100_000
_MOMENTS: Final = frozenset({"date", "dateTime", "instant", "time"})
_DATE: Final = 10  # letters of YYYY-MM-DD


class TooMuch(Unreadable):
    """More work than one expression gets."""


@dataclass(slots=True)
class Effort:
    """How many visits are left."""

    left: int = MOST_VISITS

    def spend(self, visits: int = 1) -> None:
        """Count visits.

        Raises:
            TooMuch: there are none left.
        """
        self.left -= visits
        if self.left < 0:
            raise TooMuch("too much work")


@dataclass(frozen=True, slots=True)
class Node:
    """One value in a resource.

    Attributes:
        value: as it stands in the tree; None when a primitive has only extensions.
        kind: its type (`Quantity`, `code`, `Observation`) or inner element
            (`Observation.component`).
        side: what stands beside a primitive, in `_name`.
        coded: whether FHIR itself says which codes it may have (`pgo.fhir.structure` looks).
    """

    value: Any
    kind: str
    side: Any = None
    coded: bool = False

    @property
    def primitive(self) -> bool:
        """A string, number or boolean."""
        return self.kind[:1].islower()


def resource(tree: dict[str, Any]) -> Node:
    """A whole resource."""
    return Node(tree, str(tree.get("resourceType", "")))


@cache
def named(release: Release, kind: str) -> dict[str, tuple[Element, ...]]:
    """What a name may mean below a type: `value`, `value[x]` and `valueString`, each."""
    found: dict[str, tuple[Element, ...]] = {}
    for name, one in members(release, kind).items():
        found[name] = (one,)
        if one.choice:
            for called in (one.choice, one.choice.removesuffix("[x]")):
                found[called] = (*found.get(called, ()), one)
    return found


def below(release: Release, node: Node, name: str) -> list[Node]:
    """The children of one name, in order; a choice by its stem, `[x]` or with its type."""
    return [one for _, one in placed(release, node, name)]


def placed(release: Release, node: Node, name: str) -> list[tuple[str, Node]]:
    """The children of one name, each with where it stands, such as `.component[1]`."""
    holder, kind = (node.side, "Element") if node.primitive else (node.value, node.kind)
    if type(holder) is not dict:
        return []
    found: list[tuple[str, Node]] = []
    for element in named(release, kind).get(name, ()):
        values = holder.get(element.name)
        sides = holder.get(f"_{element.name}") if element.primitive else None
        if values is not None or sides is not None:
            found += _nodes(values, sides, element)
    return found


def _nodes(values: Any, sides: Any, element: Element) -> Iterator[tuple[str, Node]]:
    """The nodes of one member; a place without value and without side is none."""
    many = values if type(values) is list else [] if values is None else [values]
    beside = sides if type(sides) is list else [] if sides is None else [sides]
    for i in range(max(len(many), len(beside))):
        value = many[i] if i < len(many) else None
        side = beside[i] if i < len(beside) else None
        kind = element.type_
        if kind == "Resource" and type(value) is dict:
            kind = str(value.get("resourceType", ""))
        if value is not None or side is not None:
            place = f".{element.name}[{i}]" if element.many else f".{element.name}"
            yield place, Node(value, kind, side, element.codes is not None)


def children(release: Release, node: Node) -> list[Node]:
    """All children, in the order of the definition."""
    kind = "Element" if node.primitive else node.kind
    holder = node.side if node.primitive else node.value
    if type(holder) is not dict:
        return []
    return [one for name in members(release, kind) for one in below(release, node, name)]


def descendants(release: Release, nodes: list[Any], effort: Effort) -> list[Node]:
    """Children, their children, and so on."""
    found: list[Node] = []
    layer = [one for one in nodes if isinstance(one, Node)]
    while layer:
        layer = [one for node in layer for one in children(release, node)]
        effort.spend(len(layer))
        found += layer
    return found


def plain(value: Any) -> Any:
    """A value to calculate and compare with: numbers as int or Decimal."""
    return text.plain(value.value if isinstance(value, Node) else value)


def is_number(value: Any) -> bool:
    """An integer or decimal, and no boolean."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Alike in value, whatever their types are called."""
    one, two = plain(left), plain(right)
    if type(one) is str and type(two) is str and one != two and _moments(left, right):
        with suppress(ValueError):
            return _moment(one) == _moment(two)
    return bool(one == two) and isinstance(one, bool) == isinstance(two, bool)


def key(value: Any) -> bytes:
    """Alike for values that are equal, to find doubles with."""
    return orjson.dumps(plain(value), default=_reduced, option=orjson.OPT_SORT_KEYS)


def _reduced(number: Any) -> str:
    return str(Decimal(number).normalize())


def order(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None when that cannot be told.

    Raises:
        Unreadable: values that have no order.
    """
    one, two = plain(left), plain(right)
    if one is None or two is None:
        return None
    if is_number(one) and is_number(two):
        return int(one > two) - int(one < two)
    if type(one) is dict and type(two) is dict:
        return _quantities(one, two)
    if type(one) is not str or type(two) is not str:
        raise Unreadable("no order")
    return _moment_order(one, two) if _moments(left, right) else (one > two) - (one < two)


def _quantities(one: dict[str, Any], two: dict[str, Any]) -> int | None:
    if not is_number(one.get("value")) or not is_number(two.get("value")):
        return None
    if any(one.get(part) != two.get(part) for part in ("system", "code", "unit")):
        return None
    return order(one["value"], two["value"])


def _moments(*values: Any) -> bool:
    return any(isinstance(one, Node) and one.kind in _MOMENTS for one in values)


def _moment_order(one: str, two: str) -> int | None:
    try:
        first, second = _moment(one), _moment(two)
        if type(first) is type(second) and (isinstance(first, datetime) or len(one) == len(two)):
            return int(first > second) - int(first < second)  # type: ignore[operator]
    except (TypeError, ValueError):
        return None
    short = min(len(one), len(two), _DATE)
    return None if one[:short] == two[:short] else (one > two) - (one < two)


def _moment(words: str) -> datetime | str:
    """An instant when a time is told, else the date as it stands."""
    return datetime.fromisoformat(words) if "T" in words else words
