"""Finding burgerservicenummers (BSN) in texts, and blacking them out; knows no FHIR.

The rule (medmij.md D.1: a PGO may not keep a BSN, whatever the person agrees to):

* labelled (`BSN`, `burgerservicenummer`, `sofinummer` or the number's OID shortly before it): nine
  digits with any separators, or eight without or as 999.90.019, when the eleven test passes;
* not labelled: nine digits that stand alone, or are written 9999.90.019, 999-990-019 or
  99.99.90.019, when the eleven test passes. Not so: part of a decimal, an OID or a longer row of
  numbers, behind a country code (+31 6…), or a SNOMED CT id that is called one.

One in eleven other numbers of nine digits passes the test, so an unlabelled order number in free
text may be blacked out by mistake. That harm is smaller than keeping a BSN. Coded fields are not
free text; `pgo.fhir.bsn` leaves them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import mul
from typing import Final

from pgo.fhir.seen import may_be_split, seen

BLACK: Final = "•" * 9
STARS: Final = "*" * 9  # where the text must stay ASCII: addresses and attachments

_OID: Final = "2.16.840.1.113883.2.4.6.3"
BETWEEN: Final = (
    r"(?:[.\-\s\u00ad\u00b7\u200b-\u200d\u2010-\u2015\u2060\ufeff]|&#160;|&#x[aA]0;|&nbsp;)"
)
_SPREAD: Final = rf"(?:{BETWEEN}|\\[nrt])"  # a printed tree has its line ends escaped
_LABEL: Final = (
    r"(?:bsn|b\.s\.n\b|burger\W{0,3}service\W{0,3}n(?:umme)?r|sofi\W{0,3}n(?:umme)?r|"
    r"sociaal\W{0,3}fiscaal\W{0,3}nummer|citizen\s{1,3}service\s{1,3}number|"
    + re.escape(_OID)
    + r"(?![0-9]))"
)
_HINTS: Final = ("bsn", "b.s.n", "burger", "citizen", "sofi", "sociaal", _OID)
_GAP: Final = r"(?:%7c|%3d|%3a|%20|%22|(?!\*{9})[^\d%•]){0,40}?"
_GAP_OF_TAGS: Final = r"(?:<[^<>]{0,200}>|(?!\*{9})[^\d<•]){0,40}?"
_BEHIND: Final = (
    rf"(\d(?:{BETWEEN}{{0,3}}\d){{8}}|\d{{8}}|\d{{3}}{BETWEEN}\d{{2}}{BETWEEN}\d{{3}})(?!\d)"
)

_NAMED: Final = re.compile(_LABEL, re.IGNORECASE)
_LABELLED: Final = (
    re.compile(_GAP + _BEHIND, re.IGNORECASE),
    re.compile(_GAP_OF_TAGS + _BEHIND, re.IGNORECASE),
)
_LABELLED_AFTER: Final = re.compile(rf"(?<!\d)\d{{8,9}}(?!\d)(?=\W{{0,3}}{_LABEL})", re.IGNORECASE)
_LABELLED_FAR_AFTER: Final = re.compile(
    rf"(?<!\d)\d{{9}}(?!\d)(?=[^\d]{{0,100}}?{_LABEL})", re.IGNORECASE
)
_EMBEDDED: Final = re.compile(r"(data:[a-z/+.\-]*;base64,[A-Za-z0-9+/=]*)", re.IGNORECASE)
# Each begins with a digit, so that the search runs past everything else at once.
_ALONE: Final = re.compile(r"\d(?<![^\W_]\d)(?<!\d[.]\d)\d{8}(?![^\W_])(?![.]\d)")
_GROUPED: Final = re.compile(
    r"\d(?<![^\W_]\d)(?<!\d[.,:/\-\s]\d)"
    rf"(?:\d{{3}}({BETWEEN})\d\d\1|\d\d({BETWEEN})\d{{3}}\2|\d({BETWEEN})\d\d\3\d\d\3)"
    r"\d{3}(?![^\W_])(?![.,:/\-\s]\d)"
)
_IN_QUERY: Final = re.compile(r"(?<==)\d{9}(?![^\W_])")
_SYSTEM_BAR: Final = re.compile(
    rf"((?:/bsn/?|{re.escape(_OID)})(?:\||%7c))(?!\*{{9}}(?:[&#\s]|$))[^&#\s]+", re.IGNORECASE
)
_COUNTRY: Final = re.compile(r"(?:\+|\b00)[1-9]\d{0,2}[\s.\-]?(?:\(0\))?[\s.\-]?\Z|\+\Z")
_SNOMED_BEFORE: Final = re.compile(r"(?:snomed|\bsct\b)\D{0,24}\Z", re.IGNORECASE)
_SNOMED_AFTER: Final = re.compile(r"\D{0,24}(?:snomed|\bsct\b)", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&#(?:x0*3([0-9])|0*(4[89]|5[0-7]));", re.IGNORECASE)
_CODED_DIGIT: Final = re.compile(r"%3([0-9])")
_DIGITS: Final = re.compile(
    rf"\d(?:\d{{8}}|\d{{2,3}}{_SPREAD}\d{{2,3}}{_SPREAD}\d{{3}}|\d(?:{_SPREAD}\d\d){{2}}{_SPREAD}\d{{3}})"
)
# What an ASCII text looks like: 9 for a digit, - for what may stand between two.
_SHAPE: Final = bytes.maketrans(b"012345678. \t\n\r\v\f\x1c\x1d\x1e\x1f", b"9" * 9 + b"-" * 11)
_NINE: Final = b"9" * 9
_SPREADS: Final = (b"9-99-999", b"9-999-999", b"\\", b"&nbsp;")
_CODE: Final = '"code":"'
_PERMUTED: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_HALF: Final = 5
_WEIGHTS: Final = (9, 8, 7, 6, 5, 4, 3, 2, -1)


def valid(number: str) -> bool:
    """Whether a number of eight or nine digits, with or without separators, passes the test."""
    digits = [int(char) for char in number if char.isdecimal()]
    if len(digits) == len(_WEIGHTS) - 1:
        digits.insert(0, 0)
    if len(digits) != len(_WEIGHTS) or not any(digits):
        return False
    total: int = sum(map(mul, _WEIGHTS, digits))
    return total % 11 == 0


def names_it(words: str) -> bool:
    """Whether a text has a name for a BSN in it."""
    return _hints(words) and _NAMED.search(words) is not None


def may_hold(words: str, *, printed: bool = False) -> bool:
    """Whether a text is worth a closer look: cheap, and never wrongly no.

    `printed`: a tree as JSON. In it a number that is a whole `"code":"…"` is a code, and no BSN as
    long as nothing in the text is called one.
    """
    if len(words) < len(_WEIGHTS) - 1:
        return False
    if _hints(words) or "&#" in words or ("%3" in words and _CODED_DIGIT.search(words)):
        return True
    if may_be_split(words, markup=printed and "<div" in words):
        return True
    if not words.isascii():
        return _may_be(words)
    shape = words.encode().translate(_SHAPE)
    for spread in _SPREADS:
        if spread in shape:
            return _may_be(words)
    at = shape.find(_NINE)
    while at >= 0:
        if not (printed and _is_code(words, at)) and valid(words[at : at + len(_NINE)]):
            return True
        at = shape.find(_NINE, at + len(_NINE))
    return False


def _may_be(words: str) -> bool:
    """Whether digits in any form, however they are spread, may be a BSN."""
    return any(not found[0].isdecimal() or valid(found[0]) for found in _DIGITS.finditer(words))


def _is_code(words: str, at: int) -> bool:
    """Whether nine digits are all of a code in a printed tree."""
    return words.startswith('"', at + len(_NINE)) and words.endswith(_CODE, 0, at)


def _hints(words: str) -> bool:
    low = words.lower()
    for hint in _HINTS:  # noqa: SIM110 - a loop takes a third of the time of any()
        if hint in low:
            return True
    return False


def hide_in_text(words: str, *, quoted: bool = True, black: str = BLACK) -> tuple[str, int]:
    """A free text without BSNs, and how many there were.

    Args:
        words: plain text or XHTML.
        quoted: whether a number that is all there is between two quotes counts without a label;
            not in XML and JSON documents, where codes stand there.
        black: what comes in place of a number.
    """
    if not may_hold(words):
        return words, 0
    apart = _EMBEDDED.split(words) if ";base64," in words else [words]
    if len(apart) > 1:
        parts = [
            (part, 0)
            if _EMBEDDED.fullmatch(part)
            else hide_in_text(part, quoted=quoted, black=black)
            for part in apart
        ]
        return "".join(part for part, _ in parts), sum(hidden for _, hidden in parts)
    words, labelled = _hide_labelled(_ENTITY.sub(_digit, words), black)

    def good(found: re.Match[str]) -> bool:
        return not _excused(found, quoted=quoted)

    words, alone = _hide(_ALONE, words, black, good)
    words, grouped = _hide(_GROUPED, words, black, good)
    words, split = _hide_split(words, black, markup=False)
    return words, labelled + alone + grouped + split


def hide_in_narrative(words: str, *, black: str = BLACK) -> tuple[str, int]:
    """XHTML without BSNs, also those that only its reader sees whole: `<b>9999</b>90019`."""
    words, hidden = hide_in_text(words, black=black)
    words, more = _hide_split(words, black, markup=True)
    return words, hidden + more


def _hide_split(words: str, black: str, *, markup: bool) -> tuple[str, int]:
    """Blackens, digit by digit, each number that something unseen splits."""
    if not may_be_split(words, markup=markup):
        return words, 0
    shown = seen(words, markup=markup)
    spans = [span for span in _spans(shown.words) if shown.is_split(*span)]
    parts, at = [], 0
    for each in (each for span in spans for each in range(*span)):
        if shown.words[each].isdecimal():
            start, end = shown.place(each)
            parts += [words[at:start], black[:1]]
            at = end
    return "".join([*parts, words[at:]]), len(spans)


def _spans(words: str) -> list[tuple[int, int]]:
    """Where the BSNs in a text are, in order; of two that overlap the first."""
    found = {
        one.span()
        for pattern in (_ALONE, _GROUPED)
        for one in pattern.finditer(words)
        if valid(one[0]) and not _excused(one, quoted=True)
    }
    if _hints(words):
        found |= _labelled(words)
        found |= {one.span() for one in _LABELLED_AFTER.finditer(words) if valid(one[0])}
    apart: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if not apart or start >= apart[-1][1]:
            apart.append((start, end))
    return apart


def hide_in_document(words: str) -> tuple[str, int]:
    """An XML or JSON text without BSNs; unlabelled values between quotes may be codes and stay."""
    words, hidden = _hide(_LABELLED_FAR_AFTER, words, STARS)
    words, more = hide_in_text(words, quoted=False, black=STARS)
    return words, hidden + more


def hide_in_address(url: str) -> tuple[str, int]:
    """A URL or reference without BSNs in its query; ids in its path stay."""
    if not may_hold(url):
        return url, 0
    clear, barred = _SYSTEM_BAR.subn(rf"\1{STARS}", with_plain_digits(url))
    clear, labelled = _hide_labelled(clear, STARS)
    clear, asked = _hide(_IN_QUERY, clear, STARS)
    hidden = barred + labelled + asked
    return (clear if hidden else url), hidden


def with_plain_digits(url: str) -> str:
    """The same address with its percent-encoded digits written out (RFC 3986, 6.2.2.2)."""
    return _CODED_DIGIT.sub(r"\1", url) if "%3" in url else url


def _hide_labelled(words: str, black: str) -> tuple[str, int]:
    if not _hints(words):
        return words, 0
    spans = _labelled(words)
    limit = len(words)
    for start, end in sorted(spans, reverse=True):
        words = words[:start] + black + words[min(end, limit) :]
        limit = start
    words, after = _hide(_LABELLED_AFTER, words, black)
    return words, len(spans) + after


def _labelled(words: str) -> set[tuple[int, int]]:
    """Where the numbers are that come behind a name for a BSN."""
    return {
        found.span(1)
        for label in _NAMED.finditer(words)
        for pattern in _LABELLED
        if (found := pattern.match(words, label.end())) and valid(found[1])
    }


def _hide(
    pattern: re.Pattern[str],
    words: str,
    black: str,
    good: Callable[[re.Match[str]], bool] = bool,
) -> tuple[str, int]:
    """Blackens what a pattern finds where that passes the test."""
    hidden = 0

    def one(found: re.Match[str]) -> str:
        nonlocal hidden
        if not valid(found[0]) or not good(found):
            return found[0]
        hidden += 1
        return black

    return pattern.sub(one, words), hidden


def _excused(found: re.Match[str], *, quoted: bool) -> bool:
    """Whether what stands around an unlabelled number says that it is something else."""
    start, end = found.span()
    before, after = found.string[max(0, start - 40) : start], found.string[end : end + 40]
    if not quoted and before[-1:] in {'"', "'"} and after[:1] == before[-1:]:
        return True
    if _COUNTRY.search(before):
        return True
    return is_snomed(found[0]) and bool(_SNOMED_BEFORE.search(before) or _SNOMED_AFTER.match(after))


def is_snomed(number: str) -> bool:
    """A SNOMED CT id of nine digits: partition 00 to 02, and a Verhoeff check digit."""
    return number[6:8] in {"00", "01", "02"} and _verhoeff(number) == 0


def _verhoeff(number: str) -> int:
    """The Verhoeff checksum: multiplication in the dihedral group of order ten."""
    check = 0
    for place, char in enumerate(reversed(number)):
        digit = int(char)
        for _ in range(place % 8):
            digit = _PERMUTED[digit]
        check = _times(check, digit)
    return check


def _times(a: int, b: int) -> int:
    turned = (a % 5 + b) % 5 if a < _HALF else (a % 5 - b) % 5
    return turned if (a < _HALF) == (b < _HALF) else turned + _HALF


def _digit(found: re.Match[str]) -> str:
    return found[1] or chr(int(found[2]))
