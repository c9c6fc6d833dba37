"""The words of a resource, for `_text` and `_content`; no paths, no SQL.

`_text` has the words of the narrative, `_content` those elsewhere in the resource: nothing is kept
twice. Measured on 479 Dutch examples: 330 bytes a resource, which makes an image a fifth larger.
A search reads the words of its type in order (0.7 ms for `_text` and 2.1 ms for `_content` among
2,700 Observations), so there is no index to keep.
Words are folded; addresses, dates, codes' systems, ids and attachments have no words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from unicodedata import combining, normalize

_TAG: Final = re.compile(r"<[^>]*>")
_BEYOND: Final = re.compile(r"[^\x00-\x7f]+")
_WORD: Final = re.compile(r"\w+")
_MOMENT: Final = re.compile(r"\d{4}(-\d\d(-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)
_WORDLESS: Final = frozenset(
    {
        *("contentType", "data", "div", "hash", "id", "linkId", "meta", "reference"),
        *("resourceType", "system", "uri", "url", "versionId"),
    }
)


def fold(text: str) -> str:
    """Text without case, accents and superfluous spaces."""
    if not text.isascii():
        text = _BEYOND.sub(_without_accents, normalize("NFKD", text.casefold()))
    return " ".join(text.casefold().split())


def _without_accents(found: re.Match[str]) -> str:
    return "".join(char for char in found[0] if not combining(char))


def words_of(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return _WORD.findall(text.casefold() if text.isascii() else fold(text))


def narrative(tree: Mapping[str, Any]) -> str:
    """The words of the narrative, each once, between spaces; "" when there are none."""
    div = tree.get("text", {}).get("div", "")
    return _line(words_of(html.unescape(_TAG.sub(" ", div))) if type(div) is str else ())


def content(tree: Mapping[str, Any]) -> str:
    """The words of everything else, those of the narrative left out."""
    told = frozenset(narrative(tree).split())
    texts: list[str] = []
    _gather(tree, texts)
    return _line([word for word in words_of("\n".join(texts)) if word not in told])


def _line(words: Iterable[str]) -> str:
    line = " ".join(dict.fromkeys(words))
    return f" {line} " if line else ""


def _gather(tree: Mapping[str, Any], texts: list[str]) -> None:
    """Put all texts in an object at the end of a list."""
    for name, value in tree.items():
        if name in _WORDLESS:
            continue
        kind = type(value)
        if kind is dict:
            if name != "text":  # a narrative, which is read by itself
                _gather(value, texts)
        elif kind is list:
            _gather_all(value, texts)
        elif kind is str and name != "content" and _has_words(value):  # the bytes of a STU3 Binary
            texts.append(value)


def _gather_all(values: list[Any], texts: list[str]) -> None:
    for one in values:
        if type(one) is dict:
            _gather(one, texts)
        elif type(one) is list:
            _gather_all(one, texts)
        elif type(one) is str and _has_words(one):
            texts.append(one)


def _has_words(text: str) -> bool:
    return not ("://" in text or text.startswith("urn:") or _MOMENT.fullmatch(text))
