"""A text as its reader sees it: inline tags, comments and invisible characters away; knows no FHIR.

A number may be split by what nobody sees (`<b>9999</b>90019`, a soft hyphen). Here it is whole, and
of each character is known where it stands. Blocks, cells and line ends keep texts apart, as on a
screen: between them comes a bar, which is part of no number. What a style sheet hides or moves is
not looked at.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final

_INLINE: Final = (
    "a|abbr|acronym|b|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|s|samp|small|span|strike|"
    "strong|sub|sup|tt|u|var"
)
_REST: Final = r"""(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>"""
_NONE: Final = (
    r"[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
_COMMENT: Final = r"<!--(?:(?!--)[^<>])*+-->"
_UNSEEN_TAG: Final = rf"</?(?:[\w.\-]+:)?(?:{_INLINE})(?=[\s/>]){_REST}"
_ENTITY: Final = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{1,31});"
_BETWEEN: Final = r"(?:[.\-\s\u00b7\u2010-\u2015]|\\[nrt]){0,3}+"  # printed, line ends are escaped

_INVISIBLE: Final = re.compile(f"{_NONE}+")
_TOKEN: Final = re.compile(
    rf"(?P<unseen>{_COMMENT}|{_UNSEEN_TAG}|{_NONE}+)|(?P<entity>{_ENTITY})|<[^<>]*+>", re.IGNORECASE
)
_SPLIT: Final = re.compile(
    rf"\d{_BETWEEN}(?:{_COMMENT}|{_UNSEEN_TAG}|{_ENTITY}|{_NONE})++{_BETWEEN}\d", re.IGNORECASE
)
_SPLIT_UNSEEN: Final = re.compile(rf"\d{_BETWEEN}{_NONE}++{_BETWEEN}\d")
_DIGITS: Final = bytes.maketrans(b"0123456789", b"9" * 10)
_AT_A_DIGIT: Final = re.compile(
    rb"9(?:</?(?:[ai-qsuv]|b[^rl]|c(?:i|od)|d[^iltd]|e|fo|tt|\w+:|!)|&)",
    re.IGNORECASE,
)
"""Where a tag that is not seen, or an entity, may stand behind a digit; too often, but fast."""
_APART: Final = "|"
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen, and where it stands in the source: a stretch, or a tag or entity, at a time."""

    words: str
    starts: list[int]
    sources: list[tuple[int, int, bool]]
    """From where to where in the source, and whether its characters each stand for themselves."""

    def place(self, at: int) -> Place:
        """From where to where one seen character stands in the source."""
        number = bisect_right(self.starts, at) - 1
        start, end, each = self.sources[number]
        here = start + at - self.starts[number]
        return (here, here + 1) if each else (start, end)

    def is_split(self, start: int, end: int) -> bool:
        """Whether anything that is not seen stands inside a stretch of what is seen."""
        return self.place(end - 1)[1] - self.place(start)[0] > end - start


def may_be_split(words: str, *, markup: bool) -> bool:
    """Whether digits have something unseen between them: cheap, and linear in the text."""
    if not markup:
        return not words.isascii() and _SPLIT_UNSEEN.search(words) is not None
    if words.isascii():
        shape = words.encode().replace(b"\\n", b"").translate(_DIGITS, b" .-\t\r\n")
        if not _AT_A_DIGIT.search(shape):
            return False
    return _SPLIT.search(words) is not None


def seen(words: str, *, markup: bool) -> Seen:
    """What a reader sees.

    Args:
        words: XHTML, or plain text.
        markup: whether it is XHTML; of plain text only invisible characters are taken away.
    """
    parts: list[str] = []
    starts, sources, at, length = [], [], 0, 0
    for start, end, char in (*_changed(words, markup=markup), (len(words), len(words), "")):
        for part, source in ((words[at:start], (at, start, True)), (char, (start, end, False))):
            if part:
                parts.append(part)
                starts.append(length)
                sources.append(source)
                length += len(part)
        at = end
    return Seen("".join(parts), starts, sources)


def _changed(words: str, *, markup: bool) -> Iterator[tuple[int, int, str]]:
    """What is not seen as it stands: from where to where, and what is seen instead."""
    for token in (_TOKEN if markup else _INVISIBLE).finditer(words):
        char = ""
        if markup and token["entity"]:
            char = _INVISIBLE.sub("", unescape(token[0]))
        elif markup and not token["unseen"]:
            char = _APART
        yield *token.span(), char
