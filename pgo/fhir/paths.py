"""Own compiler for the part of FHIRPath that search parameters use; not a FHIRPath engine.

Covered: unions, members, `x as T`, `.as(T)`, `.ofType(T)`, `.is(T)`, `[n]`, `.extension('url')`,
`.where(a='b')`, `.where(resolve() is T)`, `.where(hasExtension('url'))`, `.exists()`, `and`,
`!= true|false`, `%resource`. fhirpathpy takes 1.5 ms for the parameters of one Observation and
fails on 5 of 49; this takes 0.07 ms and covers every published expression of both releases.

Differences from FHIRPath, on purpose:
* `x.is(T)` yields true or nothing: `a.as(boolean) | a.is(dateTime)` of STU3 means "either".
* A path that ends in an extension means the extension's value (Dutch STU3 parameters do this).
* `resolve() is T` looks at the reference's own words, never at another resource.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

Test = Callable[[Any, Any], bool]
"""Takes a value and the resource it is in."""

Choices = Mapping[str, list[str]]
"""Element name (`value` for `value[x]`) to the types it may have."""

_TOKEN: Final = re.compile(r"\s*(?:(%?[A-Za-z]\w*)|'([^'\\]*)'|(\d+)|(!=|[().|=\[\]]))")


class NotCovered(ValueError):
    """An expression uses something this compiler does not know; the text says what."""


@dataclass(frozen=True, slots=True)
class Member:
    """Go to the members with one of these names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class At:
    """Keep the item at this position of the list just reached."""

    index: int


@dataclass(frozen=True, slots=True)
class Where:
    """Keep values that pass."""

    test: Test


@dataclass(frozen=True, slots=True)
class Flag:
    """Become true or false."""

    test: Test


Step = Member | At | Where | Flag


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from a resource of type `root`; "" starts at the value in hand, %resource at its root.

    `name` is the element reached last while its type is still open (`value` of `value[x]`).
    """

    root: str
    steps: tuple[Step, ...] = ()
    name: str = ""


def compile_expression(expression: str, choices: Choices) -> tuple[Path, ...]:
    """The paths of an expression, one for each branch of its unions.

    Raises:
        NotCovered: it uses more of FHIRPath than this module knows.
    """
    return _Reader(expression, choices).whole()


def found(steps: tuple[Step, ...], value: Any, root: Any) -> list[Any]:
    """The values that `steps` reach from `value`, in document order."""
    here: list[Any] = [value]
    for step in steps:
        if isinstance(step, Member):
            here = [v for one in here for name in step.names for v in _below(one, name)]
        elif isinstance(step, At):
            here = here[step.index : step.index + 1]
        elif isinstance(step, Where):
            here = [one for one in here if step.test(one, root)]
        else:
            here = [step.test(one, root) for one in here]
    return here


def _below(value: Any, name: str) -> list[Any]:
    below = value.get(name) if type(value) is dict else None
    if below is None:
        return []
    return [one for one in below if one is not None] if type(below) is list else [below]


class _Reader:
    """Recursive descent over one expression."""

    def __init__(self, expression: str, choices: Choices) -> None:
        self.expression, self.choices = expression, choices
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        end = 0
        text = expression.rstrip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                raise NotCovered(f"character {end} of {expression}")
            kind = ("word", "text", "number", "sign")[(match.lastindex or 1) - 1]
            self.tokens.append((kind, match.group(match.lastindex or 1)))
            end = match.end()

    def whole(self) -> tuple[Path, ...]:
        paths = self.union()
        if self.peek("and") or self.peek("!="):
            paths = (self.conjunction(paths),)
        if self.at != len(self.tokens):
            raise self.refusal()
        return tuple(self.ended(path) for path in paths)

    def ended(self, path: Path) -> Path:
        """An open choice means any of its types; an extension at the end means its value."""
        if path.name == "extension()":
            steps = (*path.steps, Member(self.any_type("value")))
            return Path(path.root, steps)
        return replace(path, name="")

    def union(self) -> tuple[Path, ...]:
        paths = self.term()
        while self.take("|"):
            paths += self.term()
        return paths

    def term(self) -> tuple[Path, ...]:
        if self.take("("):
            paths = self.union()
            if self.take("as"):
                type_ = self.word()
                paths = tuple(self.typed(path, type_) for path in paths)
            self.need(")")
        else:
            paths = (self.start(),)
        while True:
            if self.take("."):
                paths = self.step(paths)
            elif self.take("["):
                index = int(self.next("number"))
                self.need("]")
                paths = tuple(replace(p, steps=(*p.steps, At(index))) for p in paths)
            else:
                return paths

    def start(self) -> Path:
        word = self.word()
        if word == "%resource" or word[0].isupper():
            return Path(word)
        return self.member(Path(""), word)

    def step(self, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        word = self.word()
        if not self.take("("):
            return tuple(self.member(path, word) for path in paths)
        made = tuple(self.function(word))
        return tuple(self.applied(path, word, made) for path in paths)

    def function(self, word: str) -> list[Any]:
        """The argument of a function, read up to its closing bracket."""
        if word == "where":
            argument: list[Any] = [self.condition()]
        elif word == "extension":
            argument = [self.next("text")]
        elif word in {"as", "ofType", "is"}:
            argument = [self.word()]
        elif word == "exists":
            argument = []
        else:
            raise self.refusal()
        self.need(")")
        return argument

    def applied(self, path: Path, word: str, argument: tuple[Any, ...]) -> Path:
        if word == "where":
            return replace(path, steps=(*path.steps, Where(argument[0])))
        if word == "extension":
            steps = (*path.steps, Member(("extension",)), Where(_equals("url", argument[0])))
            return Path(path.root, steps, "extension()")
        if word == "exists":
            return Path(path.root, (Flag(_exists(path.steps)),))
        typed = self.typed(path, argument[0])
        if word == "is":
            return Path(typed.root, (*typed.steps, Flag(_always)))
        return typed

    def member(self, path: Path, name: str) -> Path:
        return Path(path.root, (*path.steps, Member(self.any_type(name))), name)

    def any_type(self, name: str) -> tuple[str, ...]:
        return (
            name,
            *(name + type_[0].upper() + type_[1:] for type_ in self.choices.get(name, ())),
        )

    def typed(self, path: Path, type_: str) -> Path:
        """`x as T`: in JSON the type is the end of the member's name (STU3 writes `DateTime`)."""
        if not path.name or path.name not in self.choices:
            return path
        narrow = Member((path.name + type_[0].upper() + type_[1:],))
        if narrow.names[0] not in self.any_type(path.name):
            narrow = Member((path.name,))
        return Path(path.root, (*path.steps[:-1], narrow))

    def condition(self) -> Test:
        word = self.word()
        if word == "resolve":
            for part in "()":
                self.need(part)
            self.need("is")
            return _refers_to(self.word())
        if word == "hasExtension":
            self.need("(")
            url = self.next("text")
            self.need(")")
            return _has_extension(url)
        self.need("=")
        return _equals(word, self.next("text"))

    def conjunction(self, first: tuple[Path, ...]) -> Path:
        """`a.exists() and a != false`: one true or false about the resource."""
        tests = [self.claim(first)]
        while self.take("and"):
            tests.append(self.claim(self.union()))
        return Path(first[0].root, (Flag(lambda v, r: all(test(v, r) for test in tests)),))

    def claim(self, paths: tuple[Path, ...]) -> Test:
        steps = paths[0].steps
        if len(paths) != 1 or not steps:
            raise self.refusal()
        if self.take("!="):
            other = self.word() == "true"
            return lambda v, r: any(one is not other for one in found(steps, v, r))
        if not isinstance(steps[-1], Flag):
            raise self.refusal()
        return steps[-1].test

    def peek(self, value: str) -> bool:
        here = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        return here[0] in {"sign", "word"} and here[1] == value

    def take(self, value: str) -> bool:
        taken = self.peek(value)
        self.at += taken
        return taken

    def need(self, value: str) -> None:
        if not self.take(value):
            raise self.refusal()

    def word(self) -> str:
        return self.next("word")

    def next(self, kind: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != kind:
            raise self.refusal()
        self.at += 1
        return self.tokens[self.at - 1][1]

    def refusal(self) -> NotCovered:
        return NotCovered(f"word {self.at} of {self.expression}")


def _equals(name: str, value: str) -> Test:
    return lambda one, _: type(one) is dict and one.get(name) == value


def _has_extension(url: str) -> Test:
    return lambda one, _: (
        type(one) is dict
        and any(extension.get("url") == url for extension in one.get("extension", ()))
    )


def _exists(steps: tuple[Step, ...]) -> Test:
    return lambda one, root: bool(found(steps, one, root))


def _always(_value: Any, _root: Any) -> bool:
    return True


def _refers_to(type_: str) -> Test:
    return lambda one, root: type_of(one, root) == type_


def type_of(reference: Any, root: Any) -> str:
    """The resource type a Reference says it points to, or ""."""
    if type(reference) is not dict:
        return ""
    literal = reference.get("reference")
    if type(literal) is not str:
        return str(reference.get("type", ""))
    if literal.startswith("#"):
        return contained_type(root, literal[1:])
    parts = literal.partition("/_history/")[0].split("/")
    if len(parts) > 1 and parts[-2][:1].isupper() and parts[-2].isalpha():
        return parts[-2]
    return str(reference.get("type", ""))


def contained_type(root: Any, id_: str) -> str:
    """The type of a contained resource, or ""."""
    for one in root.get("contained", ()) if type(root) is dict else ():
        if one.get("id") == id_:
            return str(one.get("resourceType", ""))
    return ""
