"""The functions of FHIRPath that invariants of profiles use, by name.

Each takes the values before the dot, its arguments unevaluated, and where it stands.
`matches` only runs patterns whose work can be told beforehand (`_bounded`): a package is somebody
else's text, and so is what the pattern is held against.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from pgo.fhir.profiles_invariant import (
    Here,
    Values,
    contains,
    distinct,
    evaluate,
    is_a,
    joined,
    single,
    truth,
)
from pgo.fhir.profiles_nodes import Node, below, children, descendants, is_number, plain
from pgo.fhir.profiles_path import Unreadable

Arguments = tuple[Any, ...]
Told = Callable[[Values, Arguments, Here], Values]

_WORK: Final = 3_000_000  # characters a pattern may look at
_REPEATED: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|[()|*+]|\{\d*(?:,\d*)?\}", re.DOTALL)
_BACK: Final = re.compile(r"\\[1-9]|\(\?[P(]")
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)


def _where(values: Values, arguments: Arguments, here: Here) -> Values:
    (test,) = arguments
    return [one for i, one in enumerate(values) if truth(evaluate(test, here.at(one, i))) is True]


def _select(values: Values, arguments: Arguments, here: Here) -> Values:
    (path,) = arguments
    return [two for i, one in enumerate(values) for two in evaluate(path, here.at(one, i))]


def _exists(values: Values, arguments: Arguments, here: Here) -> Values:
    return [bool(_where(values, arguments, here) if arguments else values)]


def _all(values: Values, arguments: Arguments, here: Here) -> Values:
    return [len(_where(values, arguments, here)) == len(values)]


def _repeat(values: Values, arguments: Arguments, here: Here) -> Values:
    found: Values = []
    layer = values
    while layer:
        layer = _select(layer, arguments, here)
        here.world.effort.spend(len(layer))
        found += layer
    return distinct(found, here)


def _iif(values: Values, arguments: Arguments, here: Here) -> Values:
    test, *ways = arguments
    inside = here.at(values[0]) if len(values) == 1 else here
    chosen = ways[:1] if truth(_in(test, values, inside)) is True else ways[1:2]
    return _in(chosen[0], values, inside) if chosen else []


def _in(tree: Any, values: Values, here: Here) -> Values:
    """An argument, with the whole list as its focus."""
    return evaluate(tree, Here(here.world, (*values,), here.this, here.context, here.index))


def _given(arguments: Arguments, here: Here) -> Any:
    """The one value of an argument."""
    return plain(single(evaluate(arguments[0], _outside(here))))


def _outside(here: Here) -> Here:
    """Arguments that are no condition are about `$this`."""
    return Here(here.world, here.this, here.this, here.context, here.index)


def _others(arguments: Arguments, here: Here) -> Values:
    return evaluate(arguments[0], _outside(here))


def _not(values: Values, _arguments: Arguments, _here: Here) -> Values:
    told = truth(values)
    return [] if told is None else [not told]


def _extension(values: Values, arguments: Arguments, here: Here) -> Values:
    url = _given(arguments, here)
    found = [two for one in values for two in _below(one, "extension", here)]
    return [one for one in found if type(one.value) is dict and one.value.get("url") == url]


def _below(one: Any, name: str, here: Here) -> list[Node]:
    return below(here.world.release, one, name) if isinstance(one, Node) else []


def _children(values: Values, _arguments: Arguments, here: Here) -> Values:
    nodes = [one for one in values if isinstance(one, Node)]
    return [two for one in nodes for two in children(here.world.release, one)]


def _descendants(values: Values, _arguments: Arguments, here: Here) -> Values:
    return [*descendants(here.world.release, values, here.world.effort)]


def _has_value(values: Values, _arguments: Arguments, _here: Here) -> Values:
    return [len(values) == 1 and not isinstance(plain(values[0]), dict | None)]


def _of_type(values: Values, arguments: Arguments, _here: Here) -> Values:
    return [one for one in values if is_a(one, arguments[0])]


def _is(values: Values, arguments: Arguments, _here: Here) -> Values:
    return [is_a(single(values), arguments[0])] if values else []


def _resolve(values: Values, _arguments: Arguments, here: Here) -> Values:
    """What is in the resource itself; another resource is not looked at."""
    found: Values = []
    for one in values:
        words = plain(one).get("reference") if type(plain(one)) is dict else plain(one)
        if type(words) is not str or not words.startswith("#"):
            raise Unreadable("another resource")
        inside = _below(here.world.root, "contained", here)
        found += [two for two in inside if two.value.get("id") == words[1:]]
    return found


def _member_of(values: Values, arguments: Arguments, here: Here) -> Values:
    if not values:
        return []
    one, url = single(values), _given(arguments, here)
    told = here.world.member_of(url, one) if isinstance(one, Node) else None
    if told is None:
        raise Unreadable("a value set that is not here")
    return [told]


# --- lists ---------------------------------------------------------------------------------------


def _is_distinct(values: Values, _arguments: Arguments, here: Here) -> Values:
    return [len(distinct(values, here)) == len(values)]


def _subset_of(values: Values, arguments: Arguments, here: Here) -> Values:
    others = _others(arguments, here)
    return [all(contains(others, one, here) for one in values)]


def _superset_of(values: Values, arguments: Arguments, here: Here) -> Values:
    return [all(contains(values, one, here) for one in _others(arguments, here))]


def _intersect(values: Values, arguments: Arguments, here: Here) -> Values:
    others = _others(arguments, here)
    return distinct([one for one in values if contains(others, one, here)], here)


def _exclude(values: Values, arguments: Arguments, here: Here) -> Values:
    others = _others(arguments, here)
    return [one for one in values if not contains(others, one, here)]


def _skip(values: Values, arguments: Arguments, here: Here) -> Values:
    return values[max(0, _whole(_given(arguments, here))) :]


def _take(values: Values, arguments: Arguments, here: Here) -> Values:
    return values[: max(0, _whole(_given(arguments, here)))]


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Unreadable("no whole number")
    return value


def _booleans(wanted: bool, *, every: bool) -> Told:  # noqa: FBT001 - what is looked for
    def told(values: Values, _arguments: Arguments, _here: Here) -> Values:
        tests = [plain(one) is wanted for one in values]
        return [all(tests) if every else any(tests)]

    return told


# --- words and numbers ---------------------------------------------------------------------------


def _words(work: Callable[..., Any]) -> Told:
    """A function on one string, with strings or numbers as arguments."""

    def told(values: Values, arguments: Arguments, here: Here) -> Values:
        if not values:
            return []
        word = plain(single(values))
        if word is None:
            return []
        if type(word) is not str:
            raise Unreadable("no string")
        given = [plain(single(evaluate(one, _outside(here)))) for one in arguments]
        try:
            found = work(word, *given)
        except TypeError as fault:
            raise Unreadable("other arguments") from fault
        return [*found] if type(found) is list else [found]

    return told


def _matches(word: str, pattern: str) -> bool:
    return _bounded(pattern, len(word)).search(word) is not None


def _replace_matches(word: str, pattern: str, by: str) -> str:
    compiled = _bounded(pattern, len(word))
    _must_fit(word, by)
    return compiled.sub(lambda _: by, word)


def _replace(word: str, old: str, new: str) -> str:
    _must_fit(word, new)
    return word.replace(old, new)


def _must_fit(word: str, by: str) -> None:
    if (len(word) + 1) * max(len(by), 1) > _WORK:
        raise Unreadable("too long")


def _bounded(pattern: str, length: int) -> re.Pattern[str]:
    compiled, loops = _compiled(pattern)
    if length ** (loops + 1) * len(pattern) > _WORK and loops:
        raise Unreadable("a pattern that could run long")
    return compiled


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> tuple[re.Pattern[str], int]:
    """A pattern, and how many of its parts repeat without end.

    Raises:
        Unreadable: no pattern, or one with repetition in repetition.
    """
    loops, depth = 0, [False]
    closed = False
    if _BACK.search(pattern) or len(pattern) > 1000:  # noqa: PLR2004 - longer is no pattern for a value
        raise Unreadable("a pattern that could run long")
    end = 0
    for match in _REPEATED.finditer(pattern):
        sign = match.group()
        if sign == "(":
            depth.append(False)
        elif sign == ")" and len(depth) > 1:
            inner = depth.pop()
            depth[-1] |= inner
            closed, end = inner, match.end()
            continue
        elif sign == "|":
            depth[-1] = depth[-1] or len(depth) > 1
        elif sign in {"*", "+"} or sign.startswith("{"):
            if closed and match.start() == end:
                raise Unreadable("a pattern that could run long")
            loops += 1
            depth[-1] = True
        closed = False
    try:
        return re.compile(pattern, re.DOTALL), loops
    except (re.error, OverflowError) as fault:
        raise Unreadable("no pattern") from fault


def _substring(word: str, start: int, length: int | None = None) -> Any:
    if not 0 <= start < len(word):
        return []
    return word[start:] if length is None else word[start : start + max(0, length)]


def _to_string(values: Values, _arguments: Arguments, _here: Here) -> Values:
    if not values:
        return []
    value = plain(single(values))
    if type(value) is dict:
        return []
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _to_integer(values: Values, _arguments: Arguments, _here: Here) -> Values:
    value = plain(single(values)) if values else None
    if isinstance(value, int):
        return [int(value)]
    told = type(value) is str and len(value) < 20 and _INTEGER.fullmatch(value)  # noqa: PLR2004 - 64 bits
    return [int(str(value))] if told else []


def _to_decimal(values: Values, _arguments: Arguments, _here: Here) -> Values:
    value = plain(single(values)) if values else None
    try:
        return [Decimal(str(value))] if is_number(value) or type(value) is str else []
    except InvalidOperation:
        return []


def _join(values: Values, arguments: Arguments, here: Here) -> Values:
    between = _given(arguments, here) if arguments else ""
    return [joined(str(between), values)]


def _count(values: Values, _arguments: Arguments, _here: Here) -> Values:
    return [len(values)]


FUNCTIONS: Final[dict[str, Told]] = {
    "all": _all,
    "allFalse": _booleans(False, every=True),
    "allTrue": _booleans(True, every=True),
    "anyFalse": _booleans(False, every=False),
    "anyTrue": _booleans(True, every=False),
    "as": _of_type,
    "children": _children,
    "combine": lambda values, arguments, here: values + _others(arguments, here),
    "contains": _words(lambda word, part: part in word),
    "count": _count,
    "descendants": _descendants,
    "distinct": lambda values, _, here: distinct(values, here),
    "empty": lambda values, _arguments, _here: [not values],
    "endsWith": _words(lambda word, part: word.endswith(part)),
    "exclude": _exclude,
    "exists": _exists,
    "extension": _extension,
    "first": lambda values, _arguments, _here: values[:1],
    "hasValue": _has_value,
    "htmlChecks": lambda _values, _arguments, _here: [True],  # pgo.fhir.narrative looked before
    "iif": _iif,
    "indexOf": _words(lambda word, part: word.find(part)),
    "intersect": _intersect,
    "is": _is,
    "isDistinct": _is_distinct,
    "join": _join,
    "last": lambda values, _arguments, _here: values[-1:],
    "length": _words(len),
    "lower": _words(lambda word: word.lower()),
    "matches": _words(_matches),
    "memberOf": _member_of,
    "not": _not,
    "ofType": _of_type,
    "repeat": _repeat,
    "replace": _words(_replace),
    "replaceMatches": _words(_replace_matches),
    "resolve": _resolve,
    "select": _select,
    "single": lambda values, _arguments, _here: [single(values)] if values else [],
    "skip": _skip,
    "split": _words(lambda word, sign: word.split(sign) if sign else [word]),
    "startsWith": _words(lambda word, part: word.startswith(part)),
    "subsetOf": _subset_of,
    "substring": _words(_substring),
    "supersetOf": _superset_of,
    "tail": lambda values, _arguments, _here: values[1:],
    "take": _take,
    "toDecimal": _to_decimal,
    "toInteger": _to_integer,
    "toString": _to_string,
    "trace": lambda values, _arguments, _here: values,
    "trim": _words(lambda word: word.strip()),
    "union": lambda values, arguments, here: distinct(values + _others(arguments, here), here),
    "upper": _words(lambda word: word.upper()),
    "where": _where,
}
