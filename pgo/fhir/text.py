"""Strict JSON for FHIR: bytes to a tree that keeps every number's lexeme, and back; no FHIR rules.

A tree holds dict, list, str, bool, None and, for numbers, `orjson.Fragment` with the bytes as they
came in, so `1.00` stays `1.00`. Member order is kept. Limits: safety.md V20, D02 and D03.

Everything refused is 400 (`Malformed` for the form, `BadValue` for a value). The place is a line
and a column; no word of what was sent is repeated. The fast way only finds out *that* something
is wrong; `_faults` then reads the text once more, slowly, to say what and where.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import orjson

from pgo.errors import BadRequest, BadValue, Malformed

DEPTH: Final = 64  # arrays and objects; 32 nested extensions cannot fit in it
KEYS: Final = 256
STRING: Final = 1_000_000
DIGITS: Final = 64
EXPONENT: Final = 308

_BASE64_MEMBERS: Final = frozenset({"data", "content"})  # Attachment and Binary, STU3 and R4
_LARGEST: Final = 2**63
_SURE: Final = 18  # digits that always fit in 64 bits
_DOUBTFUL: Final = re.compile(rb"\\(?:u[dDfF]|u00[01]|[bf])|\xef\xbf[\xbe\xbf]")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


class _Refused(Exception):
    """A hook met something; its words are the public detail."""


def parse(raw: bytes, *, place: str = "") -> dict[str, Any]:
    """The tree of one JSON object.

    Args:
        raw: UTF-8 text without byte order mark.
        place: put before places in errors, such as `Bundle.entry[3].resource`.

    Raises:
        Malformed: not JSON by these rules, or beyond a limit.
        BadValue: a number or string that cannot be kept.
    """
    tree = _value(raw, place)
    if type(tree) is not dict:
        raise Malformed("The text is not a JSON object.", place=place)
    return tree


def parse_list(raw: bytes, *, place: str = "") -> list[Any]:
    """The trees of one JSON array, such as a JSON Patch; the rules are those of `parse`.

    Raises:
        Malformed: not a JSON array by these rules, or beyond a limit.
        BadValue: a number or string that cannot be kept.
    """
    tree = _value(raw, place)
    if type(tree) is not list:
        raise Malformed("The text is not a JSON array.", place=place)
    return tree


def parse_definition(raw: bytes) -> dict[str, Any]:
    """The tree of a FHIR definition that an operator brings: its strings may be of any length.

    Raises:
        BadRequest: not a JSON object by these rules otherwise.
    """
    try:
        words = raw.decode("utf-8")
        tree = _DECODER.decode(words)
    except UnicodeDecodeError:
        raise Malformed("The text is not UTF-8.") from None
    except (ValueError, RecursionError, _Refused) as cause:
        raise _explained(words, "", cause) from None
    if type(tree) is not dict or _too_deep(tree):
        raise Malformed("The text is not a JSON object, or nested too deep.")
    return tree


def _value(raw: bytes, place: str) -> Any:
    if raw.startswith(codecs.BOM_UTF8):
        raise Malformed("The text starts with a byte order mark.", place=place)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("The text is not UTF-8.", place=place) from None
    try:
        tree = _DECODER.decode(text)
    except (ValueError, RecursionError, _Refused) as cause:
        raise _explained(text, place, cause) from None
    if type(tree) is not dict and type(tree) is not list:
        raise Malformed("The text is not a JSON object or array.", place=place)
    if _breaks_a_limit(raw, tree):
        raise _explained(text, place, None)
    return tree


def reread(raw: bytes) -> dict[str, Any]:
    """The tree of a text of our own making, such as a Bundle of stored texts: without the limits.

    Only for what `parse` or `within_limits` looked at before it was kept.
    """
    tree: dict[str, Any] = _DECODER.decode(raw.decode())
    return tree


def dump(tree: Any) -> bytes:
    """The text of a tree: numbers as they came in, no spaces, UTF-8."""
    return orjson.dumps(tree)


def number(fragment: orjson.Fragment) -> str:
    """The lexeme of a number in a tree, such as `1.00`."""
    return orjson.dumps(fragment).decode("ascii")


def fragment(lexeme: str) -> orjson.Fragment:
    """A number for a tree, from its lexeme.

    Raises:
        BadValue: not a JSON number, or one that cannot be kept; the caller adds the place.
    """
    if not _NUMBER.match(lexeme):
        raise BadValue("This is not a number.")
    try:
        return _integer(lexeme) if lexeme.lstrip("-").isdigit() else _real(lexeme)
    except _Refused as refused:
        raise BadValue(str(refused)) from None


def plain(tree: Any) -> Any:
    """A copy of a tree with `int` and `Decimal` in place of the number lexemes."""
    if type(tree) is dict:
        return {k: value if type(value) is str else plain(value) for k, value in tree.items()}
    if type(tree) is list:
        return [plain(value) for value in tree]
    if type(tree) is orjson.Fragment:
        lexeme = number(tree)
        return int(lexeme) if lexeme.lstrip("-").isdigit() else Decimal(lexeme)
    return tree


def within_limits(tree: dict[str, Any] | list[Any]) -> bool:
    """Whether depth, members per object, length and characters of strings are all in order."""
    if _too_deep(tree):
        return False
    below: list[Any] = [tree]
    for one in below:  # grows while it is walked
        if type(one) is dict:
            if not _object_fits(one):
                return False
            below += one.values()
        elif type(one) is list:
            if not all(type(value) is not str or _string_fits(value) for value in one):
                return False
            below += one
    return True


def _too_deep(tree: dict[str, Any] | list[Any]) -> bool:
    level: list[Any] = [tree]
    for _ in range(DEPTH):
        level = [
            below
            for one in level
            for below in (one.values() if type(one) is dict else one)
            if type(below) is dict or type(below) is list
        ]
        if not level:
            return False
    return True


def _object_fits(one: dict[str, Any]) -> bool:
    return len(one) <= KEYS and all(
        _string_fits(key) and (type(value) is not str or _string_fits(value, key))
        for key, value in one.items()
    )


def _string_fits(value: str, key: str = "") -> bool:
    return (len(value) <= STRING or key in _BASE64_MEMBERS) and not _FORBIDDEN.search(value)


def _breaks_a_limit(raw: bytes, tree: dict[str, Any] | list[Any]) -> bool:
    """Looks at what the decoder does not check itself, and only where the text gives cause."""
    if len(raw) > STRING or _DOUBTFUL.search(raw):
        return not within_limits(tree)
    return raw.count(b"{") + raw.count(b"[") > DEPTH and _too_deep(tree)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    one = dict(pairs)
    if len(one) != len(pairs):
        raise _Refused
    if len(one) > KEYS:
        raise _Refused
    return one


def _integer(lexeme: str) -> orjson.Fragment:
    if len(lexeme) > DIGITS:
        raise _Refused("A number has too many digits.")
    if len(lexeme) > _SURE and not -_LARGEST <= int(lexeme) < _LARGEST:
        raise _Refused("An integer is larger than 64 bits.")
    if lexeme == "-0":
        raise _Refused("Minus zero cannot be kept.")
    return orjson.Fragment(lexeme.encode())


def _real(lexeme: str) -> orjson.Fragment:
    if len(lexeme) > DIGITS:
        raise _Refused("A number has too many digits.")
    digits, _, exponent = lexeme.lower().partition("e")
    if digits[0] == "-" and not digits.strip("-0."):
        raise _Refused("Minus zero cannot be kept.")
    if exponent and abs(int(exponent)) > EXPONENT:
        raise _Refused("An exponent is too large.")
    return orjson.Fragment(lexeme.encode())


def _constant(_: str) -> None:
    raise _Refused("NaN and Infinity are not JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)


def _explained(text: str, place: str, cause: BaseException | None) -> BadRequest:
    """The error for a text that the fast way refused: the first fault, with line and column."""
    for offset, fault in _faults(text):
        return type(fault)(fault.detail, place=_at(text, offset, place))
    if isinstance(cause, json.JSONDecodeError):
        return Malformed("The text is not JSON.", place=_at(text, cause.pos, place))
    return Malformed("The text cannot be read as JSON.", place=place)


def _at(text: str, offset: int, place: str) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    here = f"line {line}, column {column}"
    return f"{place} ({here})" if place else here


@dataclass(slots=True)
class _Spot:
    """Where the slow reader is: open brackets (an object's names so far), and the last name."""

    open_: list[set[str] | None] = field(default_factory=list)
    name: str = ""
    wants_name: bool = False


def _faults(text: str) -> Iterator[tuple[int, BadRequest]]:
    """What breaks our limits, in order, in a text that may also break the grammar."""
    spot = _Spot()
    for token in _TOKEN.finditer(text):
        word = token.group()
        look = _string_faults if word[0] == '"' else _other_faults
        for fault in look(word, spot):
            yield token.start(), fault


def _other_faults(word: str, spot: _Spot) -> Iterator[BadRequest]:
    if word in "{[":
        spot.open_.append(set() if word == "{" else None)
        spot.wants_name = word == "{"
        if len(spot.open_) > DEPTH:
            yield Malformed("The text is nested too deep.")
    elif word in "}]":
        del spot.open_[-1:]
        spot.wants_name = False
    elif word == ",":
        spot.wants_name = bool(spot.open_) and spot.open_[-1] is not None
    elif word != ":" and (bad := _number_fault(word)):
        yield bad


def _string_faults(word: str, spot: _Spot) -> Iterator[BadRequest]:
    value = _unquoted(word)
    if len(value) > STRING and (spot.wants_name or spot.name not in _BASE64_MEMBERS):
        yield BadValue("A string is too long.")
    if _FORBIDDEN.search(value):
        yield BadValue("A string has a character that is no text, or half a surrogate pair.")
    names = spot.open_[-1] if spot.open_ and spot.wants_name else None
    if names is not None:
        yield from _name_faults(value, names)
        spot.name, spot.wants_name = value, False


def _unquoted(word: str) -> str:
    try:
        return str(json.loads(word, strict=False))
    except ValueError:
        return ""


def _name_faults(value: str, names: set[str]) -> Iterator[BadRequest]:
    if value in names:
        yield Malformed("An object has the same member twice.")
    names.add(value)
    if len(names) > KEYS:
        yield Malformed("An object has too many members.")


def _number_fault(word: str) -> BadRequest | None:
    if word in {"NaN", "Infinity", "-Infinity"}:
        return BadValue("NaN and Infinity are not JSON.")
    if not _NUMBER.match(word):
        return None
    try:
        fragment(word)
    except BadValue as fault:
        return fault
    return None
