"""Anchors: each minute a signed Merkle root over the heads of all chains this process advanced.

The root goes to the system trail together with its leaves, and, alone, to a second place: a file
on another disk. With it, lines cut from the end of a chain, and a whole chain put in place of
another, are found even when everything in the store was rewritten (safety 1.3). A leaf names its
chain by a tag that says nothing without the client's audit key.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgo.audit.catalogue import ANCHOR
from pgo.audit.chain import SYSTEM
from pgo.audit.entry import Entry
from pgo.audit.merkle import root
from pgo.audit.trail import Head, Trail
from pgo.errors import NotFound, Unavailable

LEAVES: Final = 1_000
"""Most chain heads under one root; a busier minute gets more roots."""
NOTHING_BEFORE: Final = bytes(32)
Heads = dict[tuple[str, str], Head]


@dataclass(frozen=True, slots=True)
class Leaf:
    """The head of one chain: `tag` 16 bytes, `seq`, `hash` 32 bytes."""

    tag: bytes
    seq: int
    hash: bytes

    def data(self) -> bytes:
        """The bytes that go into the tree."""
        return self.tag + self.seq.to_bytes(8, "big") + self.hash


@dataclass(frozen=True, slots=True)
class Root:
    """What is signed: root `n` of `writer`, made `at`, over `count` leaves.

    `prev` is the SHA-256 of the root before it of the same writer, 32 zero bytes for n = 1.
    """

    writer: str
    n: int
    at: int
    prev: bytes
    count: int
    top: bytes
    signature: bytes = b""

    def body(self) -> bytes:
        """The signed bytes."""
        said = {name: value for name, value in self.plain().items() if name != "signature"}
        return b"pgo1|anchor|" + orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

    def digest(self) -> bytes:
        """What the next root of this writer points back to."""
        return sha256(self.body() + self.signature).digest()

    def plain(self) -> dict[str, Any]:
        """The root as plain values, bytes in hex."""
        return {
            "writer": self.writer,
            "n": self.n,
            "at": self.at,
            "prev": self.prev.hex(),
            "count": self.count,
            "top": self.top.hex(),
            "signature": self.signature.hex(),
        }


class Anchor:
    """Closes minutes for one process; `close_minute` is called by the app, also at the end.

    Args:
        trail: the process's trail; its heads are anchored.
        key: signs the roots; the deployment's own (`anchor_key`).
        file: the second place, or None. Several processes may append to one file.

    Attributes:
        owed: roots that are not in the second place yet (a health signal).
    """

    def __init__(self, trail: Trail, key: Ed25519PrivateKey, file: Path | None = None) -> None:
        self._trail = trail
        self._key = key
        self._file = file
        self._n = 0
        self._prev = NOTHING_BEFORE
        self._unsure: tuple[Root, Sequence[Leaf]] | None = None
        self._covered = 0
        self._mine = 0
        self._closing = asyncio.Lock()
        self.owed: list[Root] = []

    async def close_minute(self) -> int:
        """Sign and write down what was advanced since the last time; how many heads.

        Nothing new: nothing is written. When it fails the heads and roots are kept for the next
        time, so a later root covers them.

        Raises:
            Unavailable: the system trail or the second place cannot be written.
        """
        async with self._closing:
            if self._unsure is not None:
                await self._put(*self._unsure)
            heads = self._fresh()
            done, first = len(heads), self._n
            system = heads.get(self._system())
            try:
                await self._write(heads)
            finally:
                self._trail.give_back(heads)
            if system is not None:
                self._covered, self._mine = system.seq, self._n - first
            await self._pay()
        return done

    def _system(self) -> tuple[str, str]:
        return SYSTEM, self._trail.writer

    def _fresh(self) -> Heads:
        """What was advanced; nothing, when that is only the system trail by our own anchors."""
        heads, system = self._trail.take_touched(), self._system()
        if set(heads) == {system} and heads[system].seq - self._covered == self._mine:
            self._trail.give_back(heads)
            return {}
        return heads

    async def _write(self, heads: Heads) -> None:
        """Write roots over these heads; those that are done are taken out of `heads`."""
        chains = sorted(heads)
        for start in range(0, len(chains), LEAVES):
            part = chains[start : start + LEAVES]
            await self._one([leaf for chain in part if (leaf := await self._leaf(chain, heads))])
            for chain in part:
                del heads[chain]

    async def _leaf(self, chain: tuple[str, str], heads: Heads) -> Leaf | None:
        """The leaf of a chain; None when the client's audit key is gone."""
        with suppress(NotFound):
            pen = await self._trail.pen(chain[0])
            return Leaf(pen.tag(chain[1]), heads[chain].seq, heads[chain].hash)
        return None

    async def _one(self, leaves: Sequence[Leaf]) -> None:
        if not leaves:
            return
        top = root([leaf.data() for leaf in leaves])
        at, n = self._trail.now(), self._n + 1
        bare = Root(self._trail.writer, n, at, self._prev, len(leaves), top)
        signed = replace(bare, signature=self._key.sign(bare.body()))
        await self._put(signed, leaves)

    async def _put(self, signed: Root, leaves: Sequence[Leaf]) -> None:
        """Write one root down; when it is unsure whether that worked, the same one comes again."""
        self._unsure = (signed, leaves)
        await self._trail.write(SYSTEM, Entry(signed.at, ANCHOR, note=note(signed, leaves)))
        self._unsure = None
        self._n, self._prev = signed.n, signed.digest()
        self._mine += 1
        if self._file is not None:
            self.owed.append(signed)

    async def _pay(self) -> None:
        """Bring to the second place what is not there yet."""
        if self._file is None or not self.owed:
            return
        owed = list(self.owed)
        lines = b"".join(orjson.dumps(each.plain()) + b"\n" for each in owed)
        try:
            await asyncio.to_thread(_append, self._file, lines)
        except OSError as fault:
            raise Unavailable("the second place of the audit anchors cannot be written") from fault
        del self.owed[: len(owed)]


def anchor_key(seed: bytes) -> Ed25519PrivateKey:
    """The deployment's signing key from 32 secret bytes kept for it."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def note(signed: Root, leaves: Sequence[Leaf]) -> str:
    """A root with its leaves, as the system trail keeps it."""
    rows = [[leaf.tag.hex(), leaf.seq, leaf.hash.hex()] for leaf in leaves]
    return orjson.dumps({"root": signed.plain(), "leaves": rows}).decode()


def parse_root(said: dict[str, Any]) -> Root:
    """The root that `Root.plain` gave.

    Raises:
        ValueError: it is not one.
    """
    try:
        prev, top, signature = (bytes.fromhex(said[name]) for name in ("prev", "top", "signature"))
        n, at, count = (int(said[name]) for name in ("n", "at", "count"))
        return Root(str(said["writer"]), n, at, prev, count, top, signature)
    except (KeyError, TypeError) as fault:
        raise ValueError("not an anchor") from fault


def parse_note(text: str) -> tuple[Root, tuple[Leaf, ...]]:
    """The root and leaves that `note` wrote.

    Raises:
        ValueError: it is not one.
    """
    try:
        said = orjson.loads(text)
        rows = said["leaves"]
        leaves = tuple(Leaf(bytes.fromhex(tag), int(seq), bytes.fromhex(h)) for tag, seq, h in rows)
        return parse_root(said["root"]), leaves
    except (KeyError, TypeError) as fault:
        raise ValueError("not an anchor") from fault


def _append(file: Path, lines: bytes) -> None:
    """Append in one write and make it durable; a line torn by a crash is closed first."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        if torn:
            lines = b"\n" + lines
        if os.write(handle, lines) != len(lines):
            raise OSError("the anchor file took only a part")
        os.fsync(handle)
    finally:
        os.close(handle)
