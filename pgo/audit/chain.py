"""One client's pen: seals a line, chains it to the one before, checks and opens it again. Pure.

The hash covers the sealed bytes, not the text: whoever destroys the key later does not break the
chain (safety 1.3). Both keys come from the client's audit key, never from the dossier's data key.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from pgo.audit.entry import Entry, pack, unpack
from pgo.dossier.seal import Box, subkey
from pgo.store.contract import Line

START: Final = bytes(32)
"""`prev` of the first line of a chain."""
LOG: Final = "log"
"""The chain of the commits' own lines."""
SYSTEM: Final = "system"
"""The client whose trail holds calls without a dossier, and the anchors."""
_TAG_BYTES: Final = 16
_SIZE: Final = struct.Struct(">I").pack


class Pen:
    """Writes, checks and opens the lines of one client."""

    __slots__ = ("_box", "_chain", "client")

    def __init__(self, client: str, key: bytes) -> None:
        """`key` is the client's audit key, 32 bytes; it is not kept as such."""
        self.client = client
        self._box = Box(subkey(key, b"audit-seal"))
        self._chain = HMAC(subkey(key, b"audit-chain"), SHA256())

    def line(self, writer: str, seq: int, prev: bytes, at: int, plain: bytes) -> Line:
        """The line with these packed bytes, sealed to its place and chained to `prev`."""
        sealed = self._box.seal(_place(self.client, writer, seq), plain)
        covered = canonical(self.client, writer, seq, at, prev=prev, sealed=sealed)
        digest = self._mac(covered)
        return Line(self.client, writer, seq, at, prev, digest, sealed)

    def genuine(self, line: Line) -> bool:
        """Whether not one byte of this line was changed since it was written."""
        try:
            covered = canonical(
                line.client, line.writer, line.seq, line.at, prev=line.prev, sealed=line.sealed
            )
            return compare_digest(self._mac(covered), line.hash)
        except TypeError:  # somebody put text where bytes or a number belong
            return False

    def entry(self, line: Line) -> Entry:
        """What the line says, with its place in the chain as id.

        Raises:
            Incident: it does not open.
            ValueError: it opens, but is not a line, or its time was changed.
        """
        entry = unpack(self._box.open(_place(line.client, line.writer, line.seq), line.sealed))
        if entry.at != line.at:
            raise ValueError("the line's time is not the time it was written with")
        n = entry.n or (line.seq if line.writer == LOG else 0)
        return replace(entry, id=entry.id or place_id(line), n=n)

    def tag(self, writer: str) -> bytes:
        """A name for the chain (client, writer) that says nothing without the key; 16 bytes."""
        return self._mac(b"pgo1|tag|" + writer.encode())[:_TAG_BYTES]

    def _mac(self, message: bytes) -> bytes:
        """HMAC-SHA-256; a copy of one that has its key takes half the time of a new one."""
        mac = self._chain.copy()
        mac.update(message)
        return mac.finalize()


def log_line(client: str, n: int, prev: bytes, entry: Entry, key: bytes) -> Line:
    """The audit line that goes with commit `n`: chain "log", seq n, after the line of n - 1.

    Args:
        client: whose dossier.
        n: the commit's number, 1 and on.
        prev: hash of the line of commit n - 1; `START` when n is 1.
        entry: what it says.
        key: the client's audit key, 32 bytes.

    Raises:
        NotInCatalogue: unknown event, or a field it may not carry.
    """
    return Pen(client, key).line(LOG, n, prev, entry.at, pack(entry))


def place_id(line: Line) -> str:
    """An id for a line, unique within one client and fit for FHIR: writer-seq."""
    return f"{line.writer}-{line.seq}"


def canonical(client: str, writer: str, seq: int, at: int, *, prev: bytes, sealed: bytes) -> bytes:
    """The bytes a line's hash is over: every part with its length, so no two lines read alike."""
    who, by, number, moment = client.encode(), writer.encode(), b"%d" % seq, b"%d" % at
    return b"".join(
        (
            *(b"pgo1|line|", _SIZE(len(who)), who, _SIZE(len(by)), by),
            *(_SIZE(len(number)), number, _SIZE(len(moment)), moment),
            *(_SIZE(len(prev)), prev, _SIZE(len(sealed)), sealed),
        )
    )


def _place(client: str, writer: str, seq: int) -> bytes:
    return f"pgo1|line|{client}|{writer}|{seq}".encode()
