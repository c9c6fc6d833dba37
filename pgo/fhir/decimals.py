"""Exact decimals as text that sorts like the numbers, and the ranges a search number stands for.

A float cannot tell `5.00000000000000001` from `5`; these keys can, and one index serves comparing
and sorting. A key is a sign (`0` negative, `1` zero, `2` positive), the exponent of the first digit
plus 5000, and the digits; a negative number has every digit turned round (9 - d) and a `~` behind.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, localcontext
from typing import Final

LOWEST: Final = ""
"""Below every key: the start of a range that is open below."""
HIGHEST: Final = "~"
"""Above every key."""
DIGITS: Final = 64

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_MIDDLE: Final = 5000
_SIZE: Final = 4
_KEY: Final = re.compile(r"2(\d{5,})|0(\d{5,})~", re.ASCII)
_REACH: Final = 4000
_TURN: Final = str.maketrans("0123456789", "9876543210")
_EXACT: Final = Context(prec=1000)


def key(number: Decimal) -> str:
    """The key of a finite number with an exponent within 4000."""
    sign, digits, exponent = number.as_tuple()
    word = "".join(map(str, digits)).strip("0") if number else ""
    if not word:
        return "1"
    size = _MIDDLE + number.adjusted()
    if not isinstance(exponent, int) or abs(size - _MIDDLE) > _REACH:
        raise ValueError("a number beyond what is kept")
    text = f"{size}{word}"
    return f"0{text.translate(_TURN)}~" if sign else f"2{text}"


def just_above(key_: str) -> str:
    """A key between this one and every larger number's."""
    return key_ + "!"


def just_below(key_: str) -> str:
    """A key between this one and every smaller number's."""
    return f"{key_[:-1]}{chr(ord(key_[-1]) - 1)}~"


def number(key_: str) -> Decimal | None:
    """The number of a key that `key` made; None for an edge or anything else."""
    found = _KEY.fullmatch(key_)
    if key_ == "1":
        return Decimal(0)
    if found is None:
        return None
    text = (found[1] or found[2]).translate({} if found[1] else _TURN)
    size, digits = int(text[:_SIZE]) - _MIDDLE, text[_SIZE:]
    plain = Decimal((0 if found[1] else 1, tuple(map(int, digits)), 0))
    return plain.scaleb(size - len(digits) + 1, _EXACT)


def read(lexeme: str) -> Decimal:
    """A number as a caller writes it.

    Raises:
        ValueError: not a number, or more than 64 characters.
    """
    if len(lexeme) > DIGITS or not _NUMBER.fullmatch(lexeme):
        raise ValueError("not a number")
    return Decimal(lexeme)


def implied_range(lexeme: str) -> tuple[Decimal, Decimal]:
    """What a written number stands for: `100` is [99.5, 100.5), `100.00` is [99.995, 100.005).

    R4 3.1.1.4.7 gives [95, 105) for `1e2`: an exponent without a fraction counts as `1.0e2`.
    """
    number = read(lexeme)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):  # pragma: no cover - `read` lets only finite numbers through
        raise TypeError
    if "e" in lexeme.lower() and "." not in lexeme:
        exponent -= 1
    half = Decimal((0, (5,), exponent - 1))
    with localcontext(_EXACT):
        return number - half, number + half


def nearby(lexeme: str) -> tuple[Decimal, Decimal]:
    """Within 10 % of a number: what R4 recommends for `ap`."""
    number = read(lexeme)
    with localcontext(_EXACT):
        tenth = abs(number) / 10
        return number - tenth, number + tenth
