"""Where in a resource a path leads: the part of FHIRPath with which a patch names its place; pure.

Covered: `Type.member`, `[n]`, `.where(…)`, `.first()`, `.last()`, `.extension('url')`,
`.ofType(T)`, `.as(T)`; in a condition `=`, `!=`, `and`, `or`, `.exists()` and parentheses. A full
FHIRPath engine gives values, not places, so it cannot serve here; `pgo.fhir.paths` neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from pgo.errors import BadValue
from pgo.fhir import text
from pgo.fhir.elements import Element, Release, members

LONGEST: Final = 1_000
_NESTED: Final = 20
_TOKEN: Final = re.compile(
    r"\s*(?:`(?P<quoted>[A-Za-z_]\w*)`|(?P<word>[A-Za-z_]\w*)|'(?P<text>(?:[^'\\]|\\.)*)'"
    r"|(?P<number>-?\d+(?:\.\d+)?)|@(?P<date>[0-9T:.Z+\-]+)|(?P<sign>!=|[().\[\]=]))"
)
_ESCAPED: Final = re.compile(r"\\(.)")

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """One place: the JSON members and positions that lead there from the resource.

    Attributes:
        at: the way, such as ("name", 0, "given", 1).
        type_: of what stands there: what `members` takes.
        element: the member it is; None for the resource itself.
    """

    at: Steps
    type_: str
    element: Element | None = None

    @property
    def beside(self) -> Steps:
        """Where the id and extensions stand: of a primitive in its `_name`."""
        if self.element is None or not self.element.primitive:
            return self.at
        back = 2 if self.element.many else 1
        return (*self.at[:-back], f"_{self.element.name}", *self.at[len(self.at) - back + 1 :])


Spots = list[Spot]
Move = Callable[["Where", Spots], Spots]
Test = Callable[["Where", Spot], bool]
Operand = Callable[["Where", Spot], list[Any]]


@dataclass(frozen=True, slots=True)
class Where:
    """The resource in which places are looked for."""

    tree: dict[str, Any]
    release: Release

    def value(self, at: Steps) -> Any:
        """What stands at a place; None when nothing does."""
        here: Any = self.tree
        for step in at:
            if type(here) is dict:
                here = here.get(step)
            elif type(here) is list and type(step) is int and step < len(here):
                here = here[step]
            else:
                return None
        return here

    def below(self, spot: Spot, name: str) -> Spots:
        """The places of a member; of a choice the one that is there."""
        holder = self.value(spot.beside)
        if type(holder) is not dict:
            return []
        type_ = _type_of(spot, holder)
        found: Spots = []
        for element in named(self.release, type_, name):
            values, sides = holder.get(element.name), holder.get(f"_{element.name}")
            if values is None and (sides is None or not element.primitive):
                continue
            at = (*spot.beside, element.name)
            if not element.many:
                found.append(Spot(at, element.type_, element))
                continue
            count = max(len(one) if type(one) is list else 0 for one in (values, sides))
            found += [Spot((*at, n), element.type_, element) for n in range(count)]
        return found


def _type_of(spot: Spot, holder: dict[str, Any]) -> str:
    if spot.element is not None and spot.element.primitive:
        return "Element"
    return str(holder.get("resourceType")) if spot.type_ == "Resource" else spot.type_


def named(release: Release, type_: str, name: str) -> list[Element]:
    """The member of a type by this name, or the members of the choice (`value`, `value[x]`)."""
    known = members(release, type_)
    if name in known:
        return [known[name]]
    choice = f"{name.removesuffix('[x]')}[x]"
    return [element for element in known.values() if element.choice == choice]


@dataclass(frozen=True, slots=True)
class Path:
    """A path that was read. `last` is the member it ends in, "" when it ends in something else."""

    root: str
    moves: tuple[Move, ...]
    last: str

    def spots(self, where: Where) -> Spots:
        """All places it leads to."""
        return self._through(where, self.moves)

    def holders(self, where: Where) -> Spots:
        """The places that hold, or could hold, the member it ends in."""
        return self._through(where, self.moves[:-1])

    def _through(self, where: Where, moves: tuple[Move, ...]) -> Spots:
        type_ = str(where.tree.get("resourceType"))
        if self.root not in {"", type_, "Resource", "DomainResource"}:
            return []
        found = [Spot((), type_)]
        for move in moves:
            found = move(where, found)
        return found


def path(written: str, place: str) -> Path:
    """The path in these words.

    Raises:
        BadValue: too long, or more of FHIRPath than is covered.
    """
    if len(written) > LONGEST:
        raise BadValue("this path is too long", place=place)
    return _Reader(written, place).whole()


class _Reader:
    """Recursive descent over one path."""

    def __init__(self, written: str, place: str) -> None:
        self.place = place
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.depth = 0
        end, written = 0, written.rstrip()
        while end < len(written):
            match = _TOKEN.match(written, end)
            if match is None or match.lastgroup is None:
                raise self.refusal()
            kind = "word" if match.lastgroup == "quoted" else match.lastgroup
            self.tokens.append((kind, match[match.lastgroup]))
            end = match.end()

    def whole(self) -> Path:
        root, moves, last = "", [], ""
        first = self.next("word")
        if first[0].isupper():
            root = first
        else:
            moves, last = [_member(first)], first
        more, ended = self.moves()
        if self.at != len(self.tokens):
            raise self.refusal()
        return Path(root, (*moves, *more), ended if more else last)

    def moves(self) -> tuple[list[Move], str]:
        """What follows a first word; the member it ends in, if it does."""
        found: list[Move] = []
        last = ""
        while True:
            if self.take("["):
                found.append(_position(int(self.next("number"))))
                self.need("]")
                last = ""
            elif self.take("."):
                word = self.next("word")
                called = self.take("(")
                found.append(self.function(word) if called else _member(word))
                last = "" if called else word
            else:
                return found, last

    def function(self, word: str) -> Move:
        if word == "where":
            made = _where(self.any_of())
        elif word == "extension":
            made = _extension(self.next("text"))
        elif word in {"ofType", "as"}:
            made = _typed(self.next("word"))
        elif word == "first":
            made = _position(0)
        elif word == "last":
            made = _last
        else:
            raise self.refusal()
        self.need(")")
        return made

    # --- conditions ----------------------------------------------------------------------------

    def any_of(self) -> Test:
        self.depth += 1
        if self.depth > _NESTED:
            raise self.refusal()
        tests = [self.all_of()]
        while self.take("or"):
            tests.append(self.all_of())
        self.depth -= 1
        return lambda where, spot: any(test(where, spot) for test in tests)

    def all_of(self) -> Test:
        tests = [self.claim()]
        while self.take("and"):
            tests.append(self.claim())
        return lambda where, spot: all(test(where, spot) for test in tests)

    def claim(self) -> Test:
        if self.take("("):
            inner = self.any_of()
            self.need(")")
            return inner
        one, exists = self.operand()
        if exists:
            return lambda where, spot: bool(one(where, spot))
        turned = self.take("!=")
        if not turned:
            self.need("=")
        other, exists = self.operand()
        if exists:
            raise self.refusal()
        return _compared(one, other, turned=turned)

    def operand(self) -> tuple[Operand, bool]:
        """A value or a path; and whether it ends in `.exists()`."""
        kind, word = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if kind in {"text", "number", "date"} or word in {"true", "false"}:
            self.at += 1
            value = _literal(kind, word)
            return (lambda _where, _spot: [value]), False
        moves = [_member(self.next("word"))]
        while self.take("."):
            word = self.next("word")
            if not self.take("("):
                moves.append(_member(word))
            elif word == "exists":
                self.need(")")
                return _values(moves, there=True), True
            else:
                moves.append(self.function(word))
        return _values(moves, there=False), False

    # --- words ---------------------------------------------------------------------------------

    def take(self, value: str) -> bool:
        here = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        taken = here[0] in {"sign", "word"} and here[1] == value
        self.at += taken
        return taken

    def need(self, value: str) -> None:
        if not self.take(value):
            raise self.refusal()

    def next(self, kind: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != kind:
            raise self.refusal()
        self.at += 1
        word = self.tokens[self.at - 1][1]
        if kind == "number" and not word.isdecimal():
            raise self.refusal()
        return _ESCAPED.sub(r"\1", word) if kind == "text" else word

    def refusal(self) -> BadValue:
        return BadValue("this path is not one that is understood here", place=self.place)


def _literal(kind: str, word: str) -> Any:
    if kind == "number":
        return Decimal(word)
    if kind == "text":
        return _ESCAPED.sub(r"\1", word)
    return word if kind == "date" else word == "true"


def _member(name: str) -> Move:
    return lambda where, spots: [one for spot in spots for one in where.below(spot, name)]


def _position(n: int) -> Move:
    return lambda _where, spots: spots[n : n + 1]


def _last(_where: Where, spots: Spots) -> Spots:
    return spots[-1:]


def _where(test: Test) -> Move:
    return lambda where, spots: [spot for spot in spots if test(where, spot)]


def _typed(type_: str) -> Move:
    return lambda _where, spots: [spot for spot in spots if spot.type_ == type_]


def _extension(url: str) -> Move:
    def move(where: Where, spots: Spots) -> Spots:
        found = [one for spot in spots for one in where.below(spot, "extension")]
        return [one for one in found if where.value((*one.at, "url")) == url]

    return move


def _values(moves: list[Move], *, there: bool) -> Operand:
    """The values a path leads to; `there` counts those that have extensions only as well."""

    def values(where: Where, spot: Spot) -> list[Any]:
        found = [spot]
        for move in moves:
            found = move(where, found)
        if there:
            return found
        return [_plain(value) for one in found if (value := where.value(one.at)) is not None]

    return values


def _plain(value: Any) -> Any:
    return Decimal(text.number(value)) if type(value) is orjson.Fragment else value


def _compared(one: Operand, other: Operand, *, turned: bool) -> Test:
    """`=` holds when both are the same single value; nothing is neither equal nor unequal."""

    def test(where: Where, spot: Spot) -> bool:
        left, right = one(where, spot), other(where, spot)
        if not left or not right:
            return False
        same = len(left) == len(right) and all(map(_equal, left, right))
        return same is not turned

    return test


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
