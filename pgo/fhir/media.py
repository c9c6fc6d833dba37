"""The media types in which a document comes in and goes out as its bytes; a table, and pure.

What a document says it is, is believed only as far as its first bytes say the same; nothing looks
further into it. A type that browsers run, such as HTML or SVG, is never served as that type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ENOUGH: Final = 132
"""How many of the first bytes tell what a document is."""
UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Medium:
    """A media type: its name, the ending of a file, and the first bytes at a place in it."""

    name: str
    ending: str
    starts: tuple[bytes, ...]
    at: int = 0

    def fits(self, first: bytes) -> bool:
        """Whether these first bytes are of this type."""
        return any(first.startswith(start, self.at) for start in self.starts)


# PDF/A demands that the header stands at byte 0 (ISO 19005-1 6.1.2).
_TABLE: Final = (
    Medium("application/pdf", "pdf", (b"%PDF-",)),
    Medium("image/jpeg", "jpg", (b"\xff\xd8\xff",)),
    Medium("image/png", "png", (b"\x89PNG\r\n\x1a\n",)),
    Medium("image/gif", "gif", (b"GIF87a", b"GIF89a")),
    Medium("image/tiff", "tif", (b"II*\x00", b"MM\x00*")),
    Medium("application/dicom", "dcm", (b"DICM",), 128),
    Medium("video/mp4", "mp4", (b"ftyp",), 4),
    Medium("audio/mp4", "m4a", (b"ftyp",), 4),
    Medium("audio/mpeg", "mp3", (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")),
)
KNOWN: Final[Mapping[str, Medium]] = {one.name: one for one in _TABLE}
_NAME: Final = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+\-]{0,80}")


def named(content_type: str) -> Medium | None:
    """The medium of a Content-Type, if documents come in as such."""
    return KNOWN.get(_bare(content_type))


def served(content_type: str, first: bytes) -> Medium:
    """As what a document goes out: as what it says it is when its first bytes agree."""
    medium = named(content_type)
    if medium is not None and medium.fits(first):
        return medium
    plain = _bare(content_type) == "text/plain" and b"\0" not in first
    return Medium("text/plain", "txt", ()) if plain else Medium(UNKNOWN, "bin", ())


def accepts(accept: str, content_type: str) -> bool:
    """Whether a document that says it is `content_type` is among what is asked for."""
    wanted = _bare(content_type)
    ranges = {"*/*", UNKNOWN, wanted, f"{wanted.partition('/')[0]}/*"}
    offers = [one.split(";") for one in (accept or "*/*").split(",")]
    return any(
        _bare(offer[0]) in ranges
        for offer in offers
        if not any(_never(parameter) for parameter in offer[1:])
    )


def _never(parameter: str) -> bool:
    name, _, value = parameter.strip().partition("=")
    return name.lower() == "q" and re.fullmatch(r"0(\.0*)?", value.strip()) is not None


def _bare(content_type: str) -> str:
    """The type and subtype in lower case; "" when it is no media type."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare if bare == "*/*" or bare.endswith("/*") or _NAME.fullmatch(bare) else ""
