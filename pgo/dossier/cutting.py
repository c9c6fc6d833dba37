"""Large documents in pieces: each sealed for its place among the others; knows no FHIR.

A piece is bound to the dossier, the document, its number and to whether it is the last one, so
that a piece left out, repeated, put elsewhere or cut off does not open (safety 2.1). Whoever takes
in a document holds one piece of it at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from pgo.dossier.seal import DossierKeys
from pgo.fhir.large import PIECE, Large

_NAME_BYTES: Final = 16


class Cutter:
    """Cuts what comes in into sealed pieces.

    Args:
        client: whose dossier.
        keys: of that dossier.
        entropy: random bytes for the name of the document, 16.
    """

    def __init__(self, client: str, keys: DossierKeys, entropy: bytes) -> None:
        if len(entropy) != _NAME_BYTES:
            raise ValueError("a name takes 16 random bytes")
        self._client, self._keys = client, keys
        self._name = entropy.hex()
        self._rest = bytearray()
        self._digest = sha256()
        self._count = self.size = 0

    @property
    def rest(self) -> bytes:
        """What came in and is not in a piece yet; everything, as long as `ids` is empty."""
        return bytes(self._rest)

    @property
    def ids(self) -> tuple[bytes, ...]:
        """The ids of the pieces made so far."""
        return ids_of(self._keys, self._name, self._count)

    def add(self, part: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Take in a part; gives the pieces that are full as (id, sealed), never the last one."""
        self._digest.update(part)
        self.size += len(part)
        self._rest += part
        while len(self._rest) > PIECE:
            piece = bytes(self._rest[:PIECE])
            del self._rest[:PIECE]
            yield self._sealed(piece, last=False)

    def end(self) -> tuple[Large, tuple[bytes, bytes]]:
        """What was cut, and the last piece as (id, sealed)."""
        last = self._sealed(bytes(self._rest), last=True)
        self._rest.clear()
        return Large(self._name, self._count, self.size, self._digest.hexdigest()), last

    def _sealed(self, piece: bytes, *, last: bool) -> tuple[bytes, bytes]:
        place = _place(self._client, self._name, self._count, last=last)
        id_ = _id(self._keys, self._name, self._count)
        self._count += 1
        return id_, self._keys.box.seal(place, piece)


def opened(client: str, keys: DossierKeys, large: Large, number: int, sealed: bytes) -> bytes:
    """The bytes of one piece.

    Raises:
        Incident: changed, or not the piece with this number of this document.
    """
    place = _place(client, large.name, number, last=number == large.count - 1)
    return keys.box.open(place, sealed)


def ids_of(keys: DossierKeys, name: str, count: int) -> tuple[bytes, ...]:
    """Under what ids the pieces of a document are kept, in order."""
    return tuple(_id(keys, name, number) for number in range(count))


def _id(keys: DossierKeys, name: str, number: int) -> bytes:
    return keys.name("piece", name, str(number))


def _place(client: str, name: str, number: int, *, last: bool) -> bytes:
    return f"pgo1|piece|{client}|{name}|{number}|{'last' if last else 'more'}".encode()
