"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) on trees that keep number lexemes; pure.

Nothing is changed in place: what a step touches is copied along its path, the rest is shared. A
`copy` shares too, so that it costs nothing, but what all copies would weigh is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from pgo.errors import BadValue, Malformed, Missing, Unprocessable
from pgo.fhir import text

DEEP: Final = text.DEPTH
COPIED: Final = 1_000_000  # characters and values, in all copies of a patch together

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE: Final = re.compile(r"~(?![01])")
_WITH_VALUE: Final = frozenset({"add", "replace", "test"})
_WITH_SOURCE: Final = frozenset({"move", "copy"})
_KNOWN: Final = _WITH_VALUE | _WITH_SOURCE | {"remove"}

Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; `source` is its `from`."""

    op: str
    path: Pointer
    source: Pointer = ()
    value: Any = None


@dataclass(slots=True)
class Budget:
    """What is left to copy."""

    left: int = COPIED


def step(row: Any, place: str) -> Step:
    """One operation of a JSON Patch.

    Raises:
        BadRequest: not an operation, with the member that is wrong.
    """
    if type(row) is not dict:
        raise Malformed("an operation is an object", place=place)
    op = row.get("op")
    if op not in _KNOWN:
        raise BadValue("op is add, remove, replace, move, copy or test", place=f"{place}.op")
    path = _pointer(row.get("path"), f"{place}.path")
    if op in _WITH_VALUE and "value" not in row:
        raise Missing("this operation needs a value", place=f"{place}.value")
    if op not in _WITH_SOURCE:
        return Step(op, path, value=row.get("value"))
    source = _pointer(row.get("from"), f"{place}.from")
    if op == "move" and path[: len(source)] == source and path != source:
        raise BadValue("nothing can be moved into itself", place=f"{place}.path")
    return Step(op, path, source)


def _pointer(pointer: Any, place: str) -> Pointer:
    """The steps of a JSON Pointer (RFC 6901)."""
    if type(pointer) is not str:
        raise Missing("a JSON Pointer is needed", place=place)
    if (pointer and not pointer.startswith("/")) or _BAD_ESCAPE.search(pointer):
        raise BadValue("this is not a JSON Pointer", place=place)
    words = pointer.split("/")[1:]
    if len(words) > DEEP:
        raise BadValue("this path is too deep", place=place)
    return tuple(word.replace("~1", "/").replace("~0", "~") for word in words)


def apply(tree: Any, one: Step, place: str, budget: Budget) -> Any:
    """The tree after one operation.

    Raises:
        Unprocessable: a path leads nowhere, a test fails, or the copies become too much.
    """
    if one.op == "test":
        if not same(_at(tree, one.path, f"{place}.path"), one.value):
            raise Unprocessable("the test fails", place=place)
        return tree
    if one.op == "add":
        return _added(tree, one.path, one.value, f"{place}.path")
    if one.op == "remove":
        return _changed(tree, one.path, _remove, f"{place}.path")
    if one.op == "replace":
        return _replaced(tree, one, place)
    value = _at(tree, one.source, f"{place}.from")
    if one.op == "copy":
        _weigh(value, budget, place)
    elif one.path != one.source:
        tree = _changed(tree, one.source, _remove, f"{place}.from")
    else:
        return tree
    return _added(tree, one.path, value, f"{place}.path")


def _at(tree: Any, path: Pointer, place: str) -> Any:
    for word in path:
        tree = tree[_key(tree, word, place)]
    return tree


def _key(holder: Any, word: str, place: str) -> str | int:
    """The name or number of something that is there."""
    if type(holder) is dict and word in holder:
        return word
    if type(holder) is list and _INDEX.fullmatch(word) and int(word) < len(holder):
        return int(word)
    raise Unprocessable("this path leads nowhere in the resource", place=place)


def _changed(tree: Any, path: Pointer, work: Callable[[Any, str, str], None], place: str) -> Any:
    """A tree in which `work` was done on a copy of what holds the end of the path."""
    if not path:
        raise Unprocessable("the whole resource is not for a patch to remove", place=place)
    root = here = _copy(tree)
    for word in path[:-1]:
        key = _key(here, word, place)
        here[key] = _copy(here[key])
        here = here[key]
    work(here, path[-1], place)
    return root


def _copy(holder: Any) -> Any:
    return holder.copy() if type(holder) is dict or type(holder) is list else holder


def _remove(holder: Any, word: str, place: str) -> None:
    del holder[_key(holder, word, place)]


def _replaced(tree: Any, one: Step, place: str) -> Any:
    def work(holder: Any, word: str, where: str) -> None:
        holder[_key(holder, word, where)] = one.value

    return _changed(tree, one.path, work, f"{place}.path") if one.path else one.value


def _added(tree: Any, path: Pointer, value: Any, place: str) -> Any:
    def work(holder: Any, word: str, where: str) -> None:
        if type(holder) is dict:
            holder[word] = value
        elif type(holder) is list and word == "-":
            holder.append(value)
        elif type(holder) is list and _INDEX.fullmatch(word) and int(word) <= len(holder):
            holder.insert(int(word), value)
        else:
            raise Unprocessable("this path leads nowhere in the resource", place=where)

    return _changed(tree, path, work, place) if path else value


def _weigh(value: Any, budget: Budget, place: str) -> None:
    """Take what a copy weighs from the budget; each value counts, and each character."""
    left: list[Any] = [value]
    while left:
        one = left.pop()
        budget.left -= 1 + (len(one) if type(one) is str else 0)
        if budget.left < 0:
            raise Unprocessable("the copies become too large", place=place)
        if type(one) is dict:
            left += one.values()
            budget.left -= sum(map(len, one))
        elif type(one) is list:
            left += one


def same(one: Any, other: Any) -> bool:
    """Equal as RFC 6902 4.6 says: numbers by what they are worth, objects without order."""
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if type(one) is list:
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is orjson.Fragment:
        return Decimal(text.number(one)) == Decimal(text.number(other))
    return bool(one == other)


def merged(tree: Any, patch: Any) -> Any:
    """RFC 7386: members of the patch replace those of the tree, null takes one away."""
    if type(patch) is not dict:
        return patch
    made = dict(tree) if type(tree) is dict else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made
