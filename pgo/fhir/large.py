"""How a Binary too large for one text is written down: without its bytes, which are kept in pieces.

The text that is kept is a line that says where the bytes are, and the resource with a name in the
place of them. Nothing is sealed or stored here; see `pgo.dossier.cutting`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from pgo.fhir import text
from pgo.fhir.elements import Release
from pgo.fhir.subset import tagged

PIECE: Final = 393_216
"""Bytes of a piece, and the most that stay in the resource's own text; a multiple of 3, so that
pieces in base64 can be put one after another."""
BINARY: Final = "Binary"
_MARK: Final = b"pgo1 large "
_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Large:
    """Bytes kept in pieces.

    Attributes:
        name: 32 hexadecimal characters, random; also what stands in the place of the bytes.
        count: how many pieces.
        size: bytes in all.
        digest: SHA-256 of all bytes, in hexadecimal.
    """

    name: str
    count: int
    size: int
    digest: str


def member(release: str) -> str:
    """The member of a Binary that holds its bytes in base64."""
    return "content" if release == "stu3" else "data"


def bytes_of(release: str, tree: Tree) -> bytes:
    """The bytes that stand in a Binary itself; none when there are none, or no base64."""
    try:
        return base64.b64decode(tree.get(member(release)) or "", validate=False)
    except (binascii.Error, TypeError, ValueError):
        return b""


def filled(release: str, tree: Tree, words: str) -> Tree:
    """A copy of a Binary with these words in the place of its bytes; member order is kept."""
    return tree | {member(release): words}


def packed(large: Large, tree: Tree) -> bytes:
    """The text to keep of a Binary that has the name of `large` in the place of its bytes."""
    return _MARK + orjson.dumps(asdict(large)) + b"\n" + text.dump(tree)


def unpacked(raw: bytes) -> tuple[Large | None, bytes]:
    """Where the bytes are, if not in the text; and the text of the resource."""
    if not raw.startswith(_MARK):
        return None, raw
    head, _, rest = raw.partition(b"\n")
    return Large(**orjson.loads(head.removeprefix(_MARK))), rest


def bare(release: Release, raw: bytes) -> bytes:
    """The text to show where there is no room for the bytes: tagged as a part of the resource."""
    large, rest = unpacked(raw)
    if large is None:
        return raw
    tree = text.reread(rest)
    del tree[member(release)]
    if release == "stu3":  # there the bytes may not be left out without a word
        reason = [{"url": _ABSENT, "valueCode": "unsupported"}]
        tree["_content"] = {"extension": reason}
    return text.dump(tagged(tree, release))


async def as_base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces of `PIECE` bytes (the last may be shorter) in base64."""
    async for piece in pieces:
        yield base64.b64encode(piece)


def base64_size(size: int) -> int:
    """How many characters so many bytes are in base64."""
    return 4 * -(-size // 3)
