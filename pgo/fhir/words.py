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
        parts = normalize("NFKD", text.casefold())
        text = "".join(char for char in parts if not combining(char))
    return " ".join(text.casefold().split())


def words_of(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return _WORD.findall(fold(text))


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


def _gather(value: Any, texts: list[str]) -> None:
    """Put all texts in a value at the end of a list."""
    if type(value) is str:
        if "://" not in value and not value.startswith("urn:") and not _MOMENT.fullmatch(value):
            texts.append(value)
    elif type(value) is list:
        for one in value:
            _gather(one, texts)
    elif type(value) is dict:
        for name, one in value.items():
            if name not in _WORDLESS and not _wordless(name, one):
                _gather(one, texts)


def _wordless(name: str, value: Any) -> bool:
    """A narrative, which is read by itself, or the bytes of an STU3 Binary."""
    return (name == "text" and type(value) is dict) or (name == "content" and type(value) is str)
