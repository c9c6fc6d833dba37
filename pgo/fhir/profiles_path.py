"""Reads FHIRPath into a tree, for the invariants of profiles; evaluates nothing.

The whole grammar of expressions (http://hl7.org/fhirpath/N1) except literals of date and time with
a time zone of their own rules: what cannot be read is `Unreadable`, and its invariant unchecked.
`pgo.fhir.paths` reads the small part that search parameters use, and turns it into steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

LONGEST: Final = 10_000
DEEPEST: Final = 60

_TOKEN: Final = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<time>@T?\d[\d\-T:.+Z]*)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<quoted>`(?:[^`\\]|\\.)*`)"
    r"|(?P<constant>%(?:[A-Za-z_][\w\-]*|'(?:[^'\\]|\\.)*'|`[^`]*`|\"[^\"]*\"))"
    r"|(?P<word>\$?[A-Za-z_]\w*)"
    r"|(?P<sign>!=|!~|<=|>=|[().,\[\]{}|=~<>+\-*/&])",
    re.DOTALL,
)
_LEVELS: Final = (
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "!=", "~", "!~"}),
    frozenset({"<", ">", "<=", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
    frozenset({"*", "/", "div", "mod"}),
)
_TYPES: Final = 7  # the level of `is` and `as`
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_ESCAPED: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


class Unreadable(ValueError):
    """Not FHIRPath, or more of it than is known here."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A boolean, string or number; `{}` is no value."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """`%resource` and its like."""

    name: str


@dataclass(frozen=True, slots=True)
class This:
    """`$this`, `$index`, or nothing said: the focus."""

    name: str = "$this"


@dataclass(frozen=True, slots=True)
class Member:
    """The children of one name; `first` when it may be a type's name (`Patient.name`)."""

    of: Any
    name: str
    first: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its arguments, not yet evaluated."""

    of: Any
    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`[n]`."""

    of: Any
    at: Any


@dataclass(frozen=True, slots=True)
class Binary:
    """Two sides and an operator; the right of `is` and `as` is the name of a type."""

    sign: str
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Minus:
    """A number with its sign turned."""

    of: Any


@lru_cache(maxsize=4096)
def read(expression: str) -> Any:
    """The tree of an expression.

    Raises:
        Unreadable: it is no FHIRPath, or too long or deep.
    """
    if len(expression) > LONGEST:
        raise Unreadable("too long")
    return _Reader(expression).whole()


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise Unreadable("not an expression")
        if match.lastgroup != "space":
            found.append((match.lastgroup, match.group()))
        at = match.end()
    return found


class _Reader:
    """Recursive descent, operators by level."""

    def __init__(self, expression: str) -> None:
        self.tokens = _tokens(expression)
        self.at = 0
        self.depth = 0

    def whole(self) -> Any:
        tree = self.level(0)
        if self.at != len(self.tokens):
            raise Unreadable("more than one expression")
        return tree

    def level(self, level: int) -> Any:
        if level == 0:
            self.depth += 1
            if self.depth > DEEPEST:
                raise Unreadable("too deep")
        if level == len(_LEVELS):
            return self.unary()
        tree = self.level(level + 1)
        while self.peek() in _LEVELS[level] and self.kind() in {"word", "sign"}:
            sign = self.next()
            right = self.type_name() if level == _TYPES else self.level(level + 1)
            tree = Binary(sign, tree, right)
        if level == 0:
            self.depth -= 1
        return tree

    def unary(self) -> Any:
        minus = False
        while self.peek() in {"-", "+"} and self.kind() == "sign":
            minus ^= self.next() == "-"
        return Minus(self.path()) if minus else self.path()

    def path(self) -> Any:
        tree = self.term()
        while self.kind() == "sign" and self.peek() in {".", "["}:
            if self.next() == "[":
                tree = Index(tree, self.level(0))
                self.need("]")
            else:
                tree = self.step(tree, first=False)
        return tree

    def term(self) -> Any:
        kind, word = self.kind(), self.peek()
        if kind == "sign" and word == "(":
            self.next()
            tree = self.level(0)
            self.need(")")
            return tree
        if kind == "sign" and word == "{":
            self.next()
            self.need("}")
            return Literal(())
        if kind == "text":
            return Literal((_unescaped(self.next()),))
        if kind == "number":
            return self.number()
        if kind == "constant":
            return Constant(self.next()[1:].strip("'`\""))
        if kind == "word" and word in {"true", "false"}:
            return Literal((self.next() == "true",))
        return self.step(This(""), first=True)

    def number(self) -> Any:
        number = self.next()
        if self.kind() == "text":
            raise Unreadable("a quantity")
        return Literal((Decimal(number) if "." in number else int(number),))

    def step(self, of: Any, *, first: bool) -> Any:
        kind = self.kind()
        if kind not in {"word", "quoted"}:
            raise Unreadable("a name is missing")
        word = self.next()
        if kind == "quoted":
            return Member(of, _unescaped(word))
        if word.startswith("$"):
            return This(word)
        if self.kind() == "sign" and self.peek() == "(":
            self.next()
            return Function(of, word, self.arguments(word))
        return Member(of, word, first)

    def arguments(self, function: str) -> tuple[Any, ...]:
        found: list[Any] = []
        while self.peek() != ")" or self.kind() != "sign":
            if found:
                self.need(",")
            named = function in {"as", "is", "ofType"}
            found.append(self.type_name() if named else self.level(0))
        self.next()
        return tuple(found)

    def type_name(self) -> str:
        name = ""
        while self.kind() in {"word", "quoted"}:
            name = self.next().strip("`")
            if self.peek() != "." or self.tokens[self.at + 1 : self.at + 2][:1] == []:
                break
            if name not in {"FHIR", "System"}:
                break
            self.next()
        if not name:
            raise Unreadable("a type is missing")
        return name

    def kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def need(self, sign: str) -> None:
        if self.kind() != "sign" or self.peek() != sign:
            raise Unreadable("a bracket or comma is missing")
        self.at += 1


def _unescaped(quoted: str) -> str:
    def one(match: re.Match[str]) -> str:
        sign = match[1]
        return chr(int(sign[1:], 16)) if len(sign) > 1 else _ESCAPES.get(sign, sign)

    return _ESCAPED.sub(one, quoted[1:-1])
