"""Names and remarks of others made fit to show: one line, no codes that steer a screen. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ESCAPES: Final = re.compile(
    r"(?:\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b.?)", re.DOTALL
)
"""ECMA-48 sequences: titles and links (OSC), colours and cursor moves (CSI), and the rest."""
_SPACES: Final = re.compile(r"\s+")


def clean(text: str, longest: int = 80) -> str:
    """The text on one line, without control, bidi, invisible and unassigned characters.

    Args:
        text: anything somebody sent.
        longest: most characters; a longer text is cut and ends in "…".
    """
    bare = _SPACES.sub(" ", _ESCAPES.sub("", text))
    shown = "".join(sign for sign in bare if unicodedata.category(sign) not in _HIDDEN)
    tidy = _SPACES.sub(" ", unicodedata.normalize("NFC", shown)).strip()
    return tidy if len(tidy) <= longest else tidy[: longest - 1].rstrip() + "…"


_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


_SMALL: Final = frozenset({"van", "de", "der", "den", "het", "te", "ten", "ter", "tot", "op", "en"})


def short(text: str, words: int) -> str:
    """The first words of a text, with "…" when there were more; no "van" or "de" before it."""
    parts = text.split()
    if len(parts) <= words:
        return " ".join(parts)
    kept = parts[:words]
    while len(kept) > 1 and kept[-1] in _SMALL:
        kept.pop()
    return " ".join(kept) + "…"


def listed(parts: list[str]) -> str:
    """The parts as Dutch does it: `a`, `a en b`, `a, b en c`."""
    if len(parts) < 2:  # noqa: PLR2004 - grammar: one thing needs no "en"
        return "".join(parts)
    return ", ".join(parts[:-1]) + " en " + parts[-1]
