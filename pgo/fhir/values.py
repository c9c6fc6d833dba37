r"""The values of search parameters: from what a caller writes to frozen values; no SQL.

R4 3.1.1.4.4 - 3.1.1.4.15 (STU3 3.1.1.4): `,` is OR, `|` splits tokens and quantities, `$` the
parts of a composite, `\` escapes. Errors name the parameter and never repeat the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pgo.errors import BadValue
from pgo.fhir import decimals, moments, units
from pgo.fhir.convert import LOCAL
from pgo.fhir.words import fold, words_of

Edges = tuple[Decimal, Decimal]

PREFIXES: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_SIGNS: Final = {">=": "ge", "<=": "le", ">": "gt", "<": "lt"}
"""As fhirclient still sends them; FHIR has letters since DSTU2."""

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/]", re.ASCII)
_OPERATORS: Final = {"AND", "OR", "NOT"}
_PIECE: Final = re.compile(r"\\[,|$\\]|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """`system` None = any, "" = none; `code` None = any."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """Either a local `id` (of `type`, or of any when that is "") or a `url`."""

    type: str = ""
    id: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A half-open interval in microseconds UTC with its prefix."""

    prefix: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Number:
    """Keys of `pgo.fhir.decimals`: the number itself, what it stands for, and 10 % around it."""

    prefix: str
    exact: str
    implied: tuple[str, str]
    near: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit; `system` None = not named; `code` None = any unit.

    `alike`: the same number in each unit of the same kind, with the codes of that unit; empty when
    the unit is to be compared literally.
    """

    number: Number
    system: str | None
    code: str | None
    alike: tuple[tuple[Number, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Words as written, and folded."""

    exact: str
    folded: str


@dataclass(frozen=True, slots=True)
class Uri:
    """A uri, literally."""

    uri: str


@dataclass(frozen=True, slots=True)
class Below:
    """A uri and everything below it; `uri` without a slash at the end."""

    uri: str


@dataclass(frozen=True, slots=True)
class Family:
    """Codes of one system: one that was asked for and those above or below it."""

    system: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Folded words that must all be there; each may be the start of a longer one."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`:missing`: whether there must be none."""

    missing: bool


@dataclass(frozen=True, slots=True)
class Together:
    """The parts of a composite value, in order."""

    parts: tuple[Value, ...]


Value = (
    Token | Reference | Moment | Number | Quantity | Text | Uri | Below | Family | Words
    | Missing | Together
)  # fmt: skip


def split(text: str, at: str) -> list[str]:
    """Pieces between unescaped separators; escapes are kept."""
    pieces = [""]
    for found in _PIECE.finditer(text):
        piece = found.group()
        if piece == at:
            pieces.append("")
        else:
            pieces[-1] += piece
    return pieces


def unescape(text: str) -> str:
    r"""The text that was meant: `\,` is a comma."""
    if "\\" not in text:
        return text
    return "".join(
        piece[1] if len(piece) > 1 else piece
        for piece in (found.group() for found in _PIECE.finditer(text))
    )


def read(kind: str, text: str, place: str, base: str = "") -> Value:
    """One value of a parameter of this kind (not composite), without its modifier.

    Args:
        kind: token, reference, date, period, number, quantity, string, uri or words.
        text: one OR value, with its escapes.
        place: the parameter, for errors.
        base: our own FHIR address, so that `base/Patient/1` is a local reference.

    Raises:
        BadValue: not a value of this kind.
    """
    try:
        return _READERS[kind](text, base)
    except ValueError:
        raise BadValue(f"This is no {kind} to search for.", place=place) from None


def _token(text: str, _base: str) -> Token:
    pieces = [unescape(piece) for piece in split(text, "|")]
    if len(pieces) == 1 and pieces[0]:
        return Token(None, pieces[0])
    if len(pieces) != 2 or not any(pieces):  # noqa: PLR2004 - system|code
        raise ValueError
    return Token(pieces[0], pieces[1] or None)


def of_type(text: str, place: str) -> Token:
    """`system|code|value` of the modifier `:of-type`, as the index keeps it.

    Raises:
        BadValue: another form.
    """
    pieces = [unescape(piece) for piece in split(text, "|")]
    if len(pieces) != 3 or not all(pieces):  # noqa: PLR2004 - system|code|value
        raise BadValue("Write system|code|value.", place=place)
    return Token(pieces[0], f"{pieces[1]}|{pieces[2]}")


def _reference(text: str, base: str) -> Reference:
    plain = unescape(text)
    if base and plain.startswith(f"{base}/") and LOCAL.fullmatch(plain[len(base) + 1 :]):
        plain = plain[len(base) + 1 :]
    local = LOCAL.fullmatch(plain)
    if local:
        return Reference(local[1], local[2], f"{base}/{local[1]}/{local[2]}" if base else "")
    if _ID.fullmatch(plain):
        return Reference(id=plain)
    if ":" not in plain:
        raise ValueError
    return Reference(url=plain.partition("/_history/")[0])


def _prefixed(text: str) -> tuple[str, str]:
    if text[:2] in PREFIXES:
        return text[:2], text[2:]
    sign = next((sign for sign in _SIGNS if text.startswith(sign)), "")
    return (_SIGNS[sign], text[len(sign) :]) if sign else ("eq", text)


def _moment(text: str, _base: str) -> Moment:
    prefix, rest = _prefixed(unescape(text))
    rest = rest.replace(" ", "+")  # a `+` that was not percent-encoded arrives as a space
    return Moment(prefix, *moments.interval(rest))


def _number(text: str, _base: str = "") -> Number:
    prefix, lexeme = _prefixed(text)
    exact = decimals.read(lexeme)
    return _keys(prefix, exact, decimals.implied_range(lexeme), decimals.nearby(lexeme))


def _keys(prefix: str, exact: Decimal, implied: Edges, near: Edges) -> Number:
    low, high = map(decimals.key, implied)
    near_low, near_high = map(decimals.key, near)
    return Number(prefix, decimals.key(exact), (low, high), (near_low, near_high))


def _quantity(text: str, _base: str) -> Quantity:
    pieces = [unescape(piece) for piece in split(text, "|")]
    number = _number(pieces[0])
    if len(pieces) == 1:
        return Quantity(number, None, None)
    if len(pieces) != 3:  # noqa: PLR2004 - number|system|code
        raise ValueError
    system, code = pieces[1] or None, pieces[2] or None
    alike = _alike(pieces[0], code) if code and system in units.SYSTEMS else ()
    return Quantity(number, system, code, alike)


def _alike(text: str, code: str) -> tuple[tuple[Number, tuple[str, ...]], ...]:
    prefix, lexeme = _prefixed(text)
    edges = (decimals.read(lexeme), *decimals.implied_range(lexeme), *decimals.nearby(lexeme))
    made = []
    for unit, codes in units.alike(code):
        here, low, high, near, far = (units.turned(e, units.table()[code], unit) for e in edges)
        made.append((_keys(prefix, here, (low, high), (near, far)), codes))
    return tuple(made)


def _text(text: str, _base: str) -> Text:
    plain = unescape(text)
    if not fold(plain):
        raise ValueError
    return Text(plain, fold(plain))


def _uri(text: str, _base: str) -> Uri:
    if not text:
        raise ValueError
    return Uri(unescape(text))


def _words(text: str, _base: str) -> Words:
    plain = unescape(text)
    found = tuple(dict.fromkeys(words_of(plain)))
    if not found or _OPERATORS & {*plain.split()} or any(sign in plain for sign in '()"'):
        raise ValueError
    return Words(found)


def below(text: str, place: str) -> Below:
    """A url for `:below`.

    Raises:
        BadValue: not a url; names such as `urn:oid:` have nothing below them (R4 3.1.1.4.5).
    """
    return Below(_url(text, place))


def above(text: str, place: str) -> tuple[Uri, ...]:
    """A url for `:above`: it and everything it is below, with and without a slash at the end.

    Raises:
        BadValue: not a url.
    """
    url = _url(text, place)
    scheme, _, rest = url.partition("://")
    parts = rest.split("/")
    found = [f"{scheme}://{'/'.join(parts[:n])}" for n in range(len(parts), 0, -1)]
    return tuple(Uri(one + end) for one in found for end in ("", "/"))


def _url(text: str, place: str) -> str:
    plain = unescape(text).rstrip("/")
    if not _URL.match(plain):
        raise BadValue("With this modifier, write a url.", place=place)
    return plain


_READERS: Final[Mapping[str, Callable[[str, str], Value]]] = {
    "token": _token,
    "reference": _reference,
    "date": _moment,
    "period": _moment,
    "number": _number,
    "quantity": _quantity,
    "string": _text,
    "uri": _uri,
    "words": _words,
}
