"""Sentences made whole from names and remarks that others sent: each begins and ends well. Pure."""

from __future__ import annotations

import re
from typing import Final

from pgo.plain.clean import clean

MOST: Final = 12
"""Words in a sentence of the easy form; what does not fit goes on in a next sentence."""
_SIGNS: Final = " .,;:!?"
_HEAPED: Final = re.compile(r"[\s.,;:!?]*([.,;:!?])")
_SENTENCES: Final = re.compile(r"(?<=[.!?])\s+")
_ON: Final = "En verder:"


def tidy(text: str, longest: int = 80) -> str:
    """A name or remark fit for the middle of a sentence: cleaned, no signs heaped up or in front.

    A point at the end is left: it may belong to the name (B.V.).
    """
    return _HEAPED.sub(r"\1", clean(text, longest)).lstrip(_SIGNS).rstrip(_SIGNS.replace(".", ""))


def whole(text: str) -> str:
    """The text as one sentence: a capital first, one full stop (or the mark of a cut) last."""
    bare = text.strip(_SIGNS)
    return f"{bare[:1].upper()}{bare[1:]}{'' if bare.endswith('…') else '.'}" if bare else ""


def told(lead: str, text: str) -> list[str]:
    """A sentence that begins with `lead`; as many more as it takes to say all of a tidy `text`."""
    said, left = [], text.split()
    while left:
        room = MOST - len(lead.split())
        now, left, begun = left[:room], left[room:], lead
        if left and len(now) > 1 and now[-1] == "en":
            now = now[:-1]
        left, lead = left[1:] if left[:1] == ["en"] else left, _ON
        if " ".join(now).strip(_SIGNS):
            said.append(whole(f"{begun} {' '.join(now)}"))
    return said


def remark(lead: str, text: str) -> list[str]:
    """The same for what may be several sentences: each is told by itself."""
    first, *more = _SENTENCES.split(text)
    return told(lead, first) + [line for one in more for line in told(_ON, one)]
