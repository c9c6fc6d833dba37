"""Copies of a MongoDB store beside running servers: each collection as a row of BSON documents.

Nothing stops while a copy is made, and no read of all collections is of one moment: MongoDB keeps
such a view for five minutes at most. So the order in which things are read makes the copy sound.
The rule: what is pointed at is read after what points, and is written before it.

* Audit lines of the system first. Anchors are among them, and say how far other chains had come:
  so those chains, read later, have come at least as far.
* Audit lines of dossiers, each chain in its own order, by the unique (client, writer, seq). A chain
  is written one flush after another, so a walk along that index sees a beginning of it, never a
  line without those before it. Lines of a batch count when the batch is named, last of all: what is
  not named when it is read ends its chain here. What is copied was named, and is kept as such;
  `batches` needs no copy.
* Commits by their unique (client, n): for the same reason a beginning of each log. Their own audit
  lines are in them.
* Bodies after the commits. A body is there before its commit, and is destroyed only when no commit
  names it, or with its dossier. So each commit of the copy has its bodies. Bodies of later commits
  come along; no commit names them, and `sweep` destroys them as it does what a writer left.
* Hints and the registry after the commits: a hint and an account are there before a grant to them.
* Keys last, into their own folder. A dossier has its keys before its first commit; and a dossier
  that was erased meanwhile has lost its key, so what was copied of it opens nowhere.

All are walked along an index of fields that never change, so nothing is skipped and nothing comes
twice. Left out: images (derived), and codes, tokens and sessions (they end with a restore). Reads
ask the primary for what a majority has, like all reads of this store. A fail-over ends a copy with
an error; then it is made again.
"""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from bson import decode_all, encode

from pgo import errors
from pgo.store.durable import created
from pgo.store.mongo import MongoStore
from pgo.store.mongo_documents import Document
from pgo.store.mongo_driver import Collection, told

_BATCH: Final = 1_000  # documents in one answer; the server ends it at 16 MB
_SIZE: Final = struct.Struct("<i")
_CHAIN: Final = ("client", "writer", "seq")

Told = Callable[[int, int], None]
"""Is told how many documents are done, of how many."""


class Walk(NamedTuple):
    """Which documents of a collection, along which unique index."""

    only: Document
    order: tuple[str, ...]


DATA: Final[Mapping[str, tuple[Walk, ...]]] = {
    "lines": (Walk({"client": "system"}, _CHAIN), Walk({"client": {"$ne": "system"}}, _CHAIN)),
    "commits": (Walk({}, ("client", "n")),),
    "bodies": (Walk({}, ("_id",)),),
    "links": (Walk({}, ("_id",)),),
    "registry": (Walk({}, ("_id",)),),
}
KEYS: Final[Mapping[str, tuple[Walk, ...]]] = {"keys": (Walk({}, ("_id",)),)}


def file_of(collection: str) -> str:
    """The name of its file in a copy."""
    return f"{collection}.bson"


@asynccontextmanager
async def opened(address: str, *, strict: bool, standalone: bool) -> AsyncIterator[MongoStore]:
    """A connection of its own to copy from; arguments and errors as of `MongoStore.open`."""
    store = await MongoStore.open(address, strict=strict, standalone=standalone, clock=time.time)
    try:
        yield store
    finally:
        await store.close()


class _Chains:
    """Lets through the beginnings of chains: up to the first line that is not true yet."""

    def __init__(self, store: MongoStore) -> None:
        self._store = store
        self._ended: tuple[str, str] = ("", "")

    async def true(self, raw: bytes) -> bytes:
        """Of these lines those that count, as lines that need no batch."""
        lines = decode_all(raw)
        named = await self._store.named(lines)
        return b"".join(encode({**x, "batch": ""}) for x in lines if self._goes_on(x, named))

    def _goes_on(self, line: Document, named: set[str]) -> bool:
        chain = (line["client"], line["writer"])
        if chain != self._ended and line["batch"] not in named:
            self._ended = chain
        return chain != self._ended


class _Count:
    """How far the copy is."""

    def __init__(self, told: Told, total: int) -> None:
        self._told, self._total, self._done = told, total, 0

    def add(self, count: int) -> None:
        self._done += count
        self._told(self._done, max(self._done, self._total))


@told
async def copy(store: MongoStore, data: Path, keys: Path, told_: Told) -> dict[str, int]:
    """Copy the store into two folders that are there: the wrapped keys into their own.

    Args:
        store: open.
        data: an empty folder for all but the keys.
        keys: an empty folder for the keys.
        told_: hears how far it is.

    Returns:
        How many documents of each collection are in the copy.

    Raises:
        errors.Unavailable: the server cannot be read. OSError: a file cannot be written.
    """
    wanted = [
        (place[name], walks, folder / file_of(name))
        for place, all_, folder in ((store.data, DATA, data), (store.wrapped, KEYS, keys))
        for name, walks in all_.items()
    ]
    count = _Count(told_, sum([await each.estimated_document_count() for each, _, _ in wanted]))
    return {each.name: await _write(store, each, walks, to, count) for each, walks, to in wanted}


async def _write(
    store: MongoStore, collection: Collection, walks: tuple[Walk, ...], path: Path, count: _Count
) -> int:
    chains, written = _Chains(store), 0
    with created(path) as out:
        for walk in walks:
            async for raw in _batches(collection, walk):
                kept = await chains.true(raw) if collection.name == "lines" else raw
                out.write(kept)
                written += sum(1 for _ in sizes(kept))
                count.add(sum(1 for _ in sizes(raw)))
    return written


async def _batches(collection: Collection, walk: Walk) -> AsyncIterator[bytes]:
    order = [(field, 1) for field in walk.order]
    # The driver types a batch as a document; it is bytes.
    cursor: Any = collection.find_raw_batches(walk.only, sort=order, batch_size=_BATCH)
    try:
        async for raw in cursor:
            yield raw
    finally:
        await cursor.close()


def sizes(raw: bytes) -> Iterator[int]:
    """The length of each of these BSON documents, one after another."""
    at = 0
    while at < len(raw):
        (size,) = _SIZE.unpack_from(raw, at)
        yield size
        at += size


def documents(path: Path) -> Iterator[bytes]:
    """The BSON documents in a file of a copy, one at a time.

    Raises:
        errors.BadValue: it ends in the middle of one.
    """
    with path.open("rb") as file:
        while head := file.read(_SIZE.size):
            (size,) = _SIZE.unpack(head) if len(head) == _SIZE.size else (0,)
            rest = file.read(max(0, size - _SIZE.size))
            if size <= _SIZE.size or len(rest) != size - _SIZE.size:
                raise errors.BadValue("it ends in the middle of a document", place=path.name)
            yield head + rest
