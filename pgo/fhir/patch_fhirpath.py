"""FHIRPath Patch: operations in a Parameters resource, done on a tree; pure.

Source: https://hl7.org/fhir/R4/fhirpatch.html. Places are found by `pgo.fhir.spots`. Beside an
array of primitives stands, in JSON, an array of their ids and extensions: both change together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pgo.errors import BadValue, Malformed, Missing, Unprocessable
from pgo.fhir import spots, text
from pgo.fhir.elements import Element, Release
from pgo.fhir.spots import Path, Spot, Steps, Where

_PARTS: Final = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_WORDS: Final = {
    "type": ("valueCode", "valueString"),
    "path": ("valueString",),
    "name": ("valueString", "valueCode"),
}
_NUMBERS: Final = ("valueInteger", "valueUnsignedInt", "valuePositiveInt")

Pair = tuple[Any, Any]
"""What stands in a member, and what stands beside it in `_name`; either may be None."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; `numbers` are its index, source and destination by name."""

    type_: str
    path: Path
    name: str
    value: dict[str, Any]
    numbers: dict[str, int]


def step(row: Any, place: str, _release: Release) -> Step:
    """One operation.

    Raises:
        BadRequest: not an operation, or with parts that do not belong to it.
    """
    if type(row) is not dict or row.get("name") != "operation":
        raise Malformed("a parameter is called operation", place=place)
    parts: dict[str, dict[str, Any]] = {}
    rows = row.get("part")
    for part in rows if type(rows) is list else []:
        name = part.get("name") if type(part) is dict else None
        if name not in {"type", *(one for parts in _PARTS.values() for one in parts)}:
            raise BadValue("a part is not known", place=f"{place}.part")
        if name in parts:
            raise BadValue("a part stands here twice", place=f"{place}.part")
        parts[name] = part
    type_ = _word(parts, "type", place)
    needed = _PARTS.get(type_)
    if needed is None:
        raise BadValue("type is add, insert, delete, replace or move", place=f"{place}.type")
    if any(name not in parts for name in needed):
        raise Missing(f"{type_} needs {', '.join(needed)}", place=place)
    name = _word(parts, "name", place) if "name" in needed else ""
    numbers = {one: _number(parts[one], f"{place}.{one}") for one in needed if one in _COUNTED}
    path = spots.path(_word(parts, "path", place), f"{place}.path")
    return Step(type_, path, name, parts.get("value", {}), numbers)


_COUNTED: Final = frozenset({"index", "source", "destination"})


def _word(parts: dict[str, dict[str, Any]], name: str, place: str) -> str:
    part = parts.get(name, {})
    for member in _WORDS[name]:
        if type(part.get(member)) is str:
            return str(part[member])
    raise Missing("this part has no value of its kind", place=f"{place}.{name}")


def _number(part: dict[str, Any], place: str) -> int:
    for member in _NUMBERS:
        if type(part.get(member)) is orjson.Fragment:
            lexeme = text.number(part[member])
            if lexeme.isdecimal():
                return int(lexeme)
    raise BadValue("this is not a position", place=place)


def apply(tree: dict[str, Any], one: Step, place: str, release: Release) -> dict[str, Any]:
    """A copy of the tree after one operation.

    Raises:
        Unprocessable: the path leads nowhere, or to more than the operation is for.
        BadRequest: the value does not fit the element.
    """
    where = Where(_copied(tree), release)
    {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}[
        one.type_
    ](where, one, place)
    return where.tree


def _copied(tree: Any) -> Any:
    if type(tree) is dict:
        return {name: _copied(value) for name, value in tree.items()}
    return [_copied(value) for value in tree] if type(tree) is list else tree


# --- the operations ----------------------------------------------------------------------------


def _add(where: Where, one: Step, place: str) -> None:
    holder = _single(one.path.spots(where), f"{place}.path")
    element = _element(where, holder, one.name, one.value, f"{place}.name")
    list_ = _List(where, holder.beside, element)
    pairs = list_.pairs()
    if element.many:
        list_.write([*pairs, _given(where, element, one.value, place)])
        return
    if where.below(holder, element.choice or element.name):
        raise Unprocessable("the element is there already", place=f"{place}.name")
    list_.write([_given(where, element, one.value, place)])


def _insert(where: Where, one: Step, place: str) -> None:
    list_ = _list_of(where, one.path, f"{place}.path")
    pairs, index = list_.pairs(), one.numbers["index"]
    if index > len(pairs):
        raise Unprocessable("the list is not that long", place=f"{place}.index")
    pairs.insert(index, _given(where, list_.element, one.value, place))
    list_.write(pairs)


def _move(where: Where, one: Step, place: str) -> None:
    list_ = _list_of(where, one.path, f"{place}.path")
    pairs = list_.pairs()
    for name in ("source", "destination"):
        if one.numbers[name] >= len(pairs):
            raise Unprocessable("the list is not that long", place=f"{place}.{name}")
    pairs.insert(one.numbers["destination"], pairs.pop(one.numbers["source"]))
    list_.write(pairs)


def _delete(where: Where, one: Step, place: str) -> None:
    """Take away the one element; none is fine too."""
    found = one.path.spots(where)
    if found:
        _put(where, _single(found, f"{place}.path"), None, f"{place}.path")


def _replace(where: Where, one: Step, place: str) -> None:
    spot = _single(one.path.spots(where), f"{place}.path")
    if spot.element is None:
        raise Unprocessable("the whole resource is not for a patch", place=f"{place}.path")
    element = spot.element
    if element.choice:
        holder = Spot(spot.at[:-1], _holder_type(where, spot))
        element = _element(where, holder, element.choice, one.value, f"{place}.value")
    if element.name == spot.element.name:
        _put(where, spot, _given(where, element, one.value, place), f"{place}.path")
        return
    made = _given(where, element, one.value, place)
    _put(where, spot, None, f"{place}.path")
    _List(where, spot.at[:-1], element).write([made])


def _put(where: Where, spot: Spot, pair: Pair | None, place: str) -> None:
    """Write an element, or take it away, with what then holds nothing any more."""
    if spot.element is None:
        raise Unprocessable("the whole resource is not for a patch", place=place)
    many = spot.element.many
    list_ = _List(where, spot.at[: -2 if many else -1], spot.element)
    pairs = list_.pairs()
    at = spot.at[-1] if many else 0
    if type(at) is not int or at >= len(pairs):
        raise Unprocessable("this path leads nowhere in the resource", place=place)
    pairs[at : at + 1] = [] if pair is None else [pair]
    list_.write(pairs)


def _single(found: list[Spot], place: str) -> Spot:
    if len(found) != 1:
        words = "more than one element" if found else "nothing in the resource"
        raise Unprocessable(f"this path leads to {words}", place=place)
    return found[0]


def _element(where: Where, holder: Spot, name: str, part: dict[str, Any], place: str) -> Element:
    """The member that is meant; of a choice the one for the type of the value."""
    found = spots.named(where.release, _type(where, holder), name)
    if len(found) > 1 or (found and found[0].choice):
        sent = {one.removeprefix("value") for one in part if one.startswith("value")}
        stem = found[0].choice.removesuffix("[x]")
        found = [one for one in found if one.name.removeprefix(stem) in sent]
    if len(found) != 1:
        raise Unprocessable("there is no such element here, or not of this type", place=place)
    return found[0]


def _type(where: Where, holder: Spot) -> str:
    if holder.element is not None and holder.element.primitive:
        return "Element"
    if holder.type_ != "Resource":
        return holder.type_
    value = where.value(holder.at)
    return str(value.get("resourceType")) if type(value) is dict else ""


def _holder_type(where: Where, spot: Spot) -> str:
    """The type of what holds a choice: found again from the resource down."""
    here = Spot((), str(where.tree.get("resourceType")))
    for step in spot.at[:-1]:
        if type(step) is str:
            side = step.startswith("_")
            element = spots.named(where.release, _type(where, here), step.removeprefix("_"))[0]
            here = Spot((*here.at, step), "Element" if side else element.type_)
        else:
            here = Spot((*here.at, step), here.type_)
    return _type(where, here)


def _list_of(where: Where, path: Path, place: str) -> _List:
    """The list that a path ends in; it may not be there yet."""
    if not path.last:
        raise Unprocessable("this path does not end in a list", place=place)
    holder = _single(path.holders(where), place)
    found = spots.named(where.release, _type(where, holder), path.last)
    if len(found) != 1 or not found[0].many:
        raise Unprocessable("this path does not end in a list", place=place)
    return _List(where, holder.beside, found[0])


# --- values ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _List:
    """One member of one object, with what stands beside it, as a list of pairs."""

    where: Where
    holder: Steps
    element: Element

    def pairs(self) -> list[Pair]:
        """Each value with what stands beside it."""
        holder = self.where.value(self.holder)
        if type(holder) is not dict:
            return []
        values, sides = holder.get(self.element.name), None
        if self.element.primitive:
            sides = holder.get(f"_{self.element.name}")
        if not self.element.many:
            return [] if values is None and sides is None else [(values, sides)]
        one, two = values or [], sides or []
        count = max(len(one), len(two))
        return list(zip(_padded(one, count), _padded(two, count), strict=True))

    def write(self, pairs: list[Pair]) -> None:
        """Put these in place; what is empty is not there."""
        holder = self._made()
        rows = {self.element.name: [value for value, _ in pairs]}
        if self.element.primitive:
            rows[f"_{self.element.name}"] = [side for _, side in pairs]
        for name, values in rows.items():
            if all(value is None for value in values):
                holder.pop(name, None)
            else:
                holder[name] = values if self.element.many else values[0]
        if not pairs:
            self._prune()

    def _made(self) -> dict[str, Any]:
        """The object itself; a `_name` that was not there is made."""
        here: Any = self.where.tree
        for at, step in enumerate(self.holder):
            if type(here) is dict and type(step) is str:
                after = self.holder[at + 1] if at + 1 < len(self.holder) else ""
                here = here.setdefault(step, [] if type(after) is int else {})
            elif type(step) is int:
                here += [None] * (step + 1 - len(here))
                here[step] = here[step] or {}
                here = here[step]
        made: dict[str, Any] = here
        return made

    def _prune(self) -> None:
        """Take away objects and lists that became empty, from the inside out."""
        for end in range(len(self.holder), 0, -1):
            holder = self.where.value(self.holder[: end - 1])
            step = self.holder[end - 1]
            if _empty(holder[step]):
                _drop(holder, step, side=any(str(one).startswith("_") for one in self.holder))


def _empty(value: Any) -> bool:
    return value in ({}, []) or (type(value) is list and all(one is None for one in value))


def _drop(holder: Any, step: str | int, *, side: bool) -> None:
    """Beside an array of primitives a null keeps the place."""
    if side and type(holder) is list and type(step) is int:
        holder[step] = None
    else:
        del holder[step]


def _padded(values: list[Any], count: int) -> Iterator[Any]:
    yield from values
    for _ in range(count - len(values)):
        yield None


def _given(where: Where, element: Element, part: dict[str, Any], place: str) -> Pair:
    """The value a part gives for an element: one of its `value[x]`, its parts, or a resource."""
    place = f"{place}.value"
    if "resource" in part and element.type_ == "Resource":
        return part["resource"], None
    if "part" in part:
        if element.primitive:
            raise BadValue("this element has no parts", place=place)
        return _built(where, element, part["part"], place), None
    names = {one.removeprefix("_") for one in part if one.lstrip("_").startswith("value")}
    if len(names) != 1:
        raise Missing("the part has no value", place=place)
    name = names.pop()
    value, side = part.get(name), part.get(f"_{name}")
    if element.primitive is (type(value) is dict):
        raise BadValue("the value is of another type than the element", place=place)
    return value, side


def _built(where: Where, element: Element, parts: Any, place: str) -> dict[str, Any]:
    """An object out of named parts, such as a contact with a name and a telecom."""
    made: dict[str, Any] = {}
    if type(parts) is not list or not parts:
        raise Missing("the part has no value", place=place)
    inner = Where(made, where.release)
    for part in parts:
        name = part.get("name") if type(part) is dict else None
        member = _element(inner, Spot((), element.type_), str(name), part, place)
        list_ = _List(inner, (), member)
        pairs = list_.pairs()
        if pairs and not member.many:
            raise BadValue("a part stands here twice", place=place)
        list_.write([*pairs, _given(inner, member, part, place.removesuffix(".value"))])
    return made
