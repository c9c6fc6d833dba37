"""Which DPoP proofs were used: one that was is refused, by every worker that shares the store.

With SQLite a table in a file beside the store remembers them, and nothing is synced: whoever
shares the store is on this machine and shares the file. Losing the file (a power failure, a
clean-up) opens nothing. A new one has a new name, and a proof that may be older than the new file
counts only with a nonce that has this name in it: such a nonce was made after the file, so the
proof was too. With MongoDB there are several machines, and proofs are remembered in the store.

The file has no names in it: a proof is a hash with a salt that exists only in the file. A row of
the table is locked while it is looked at. A slot is used again when its proof has expired, never
before: of a row that is full nothing is forgotten, and the proof is refused with 503. There is
room for 500,000 proofs, so for 7,500 a second of all workers together.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from pgo.errors import Unavailable
from pgo.store.contract import Store

WAYS: Final = 64
ROWS: Final = 16_384
AHEAD: Final = 15
"""Seconds a proof that was accepted may be ahead of our clock at most, and the use take."""
_SLOT: Final = struct.Struct("<QQ")
_SLOTS: Final = struct.Struct("<" + "QQ" * WAYS)
_ROW: Final = _SLOTS.size
_HEAD: Final = struct.Struct("<16sqq32s")
_MAGIC: Final = b"pgo proofs 1".ljust(16)
SIZE: Final = _HEAD.size + ROWS * _ROW
_TRIES, _AT_ONCE = 1_000, 20
_SAME_START: Final = 2
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_TAKEN: Final = "Proofs cannot be remembered now; try again."


class Book(Protocol):
    """What was used, from a moment on.

    `name` is of this book alone, and in the nonces made while it is in use. A proof with an `iat`
    up to `since` (seconds since 1970) may have been used before the book was begun.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def since(self) -> int: ...  # noqa: D102 - see the class

    async def first(self, proof: str, now: int, until: int) -> bool:
        """Write a proof in, to be kept until that second; whether it was not there yet.

        Of any number who ask at once, in whatever process, exactly one hears True.

        Raises:
            errors.Unavailable: there is no room, or it cannot be written.
        """


class Used(Protocol):
    """Has the book that is in use."""

    def book(self, now: int) -> Book:
        """The book everybody uses at this moment.

        Raises:
            errors.Unavailable: it cannot be opened or made.
        """


class InStore:
    """The book in the store itself: durable, for all machines, never begun anew."""

    name, since = "", 0

    def __init__(self, store: Store) -> None:
        self._store = store

    def book(self, now: int) -> Book:
        """Always this one."""
        del now
        return self

    async def first(self, proof: str, now: int, until: int) -> bool:
        """See `Book.first`."""
        del now
        name = blake2b(proof.encode(), digest_size=32).hexdigest()
        return await self._store.put("dpop", name, b"1", until, fresh=True)


def started() -> int:
    """When this machine started, seconds since 1970; to the second or so."""
    running = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return round(time.time() - time.clock_gettime(running))


class InFile:
    """The book in a file beside the store; made and opened when the first proof comes.

    Args:
        path: of the file; in a folder of a local file system.
        started: when this machine started: what an older start wrote may not be all of it.
    """

    def __init__(self, path: Path, started: Callable[[], int] = started) -> None:
        self._path, self._started = path, started
        self._table: _Table | None = None

    def close(self) -> None:
        """Let go of the file; other workers keep theirs."""
        table, self._table = self._table, None
        if table is not None:
            os.close(table.file)

    def book(self, now: int) -> Book:
        """The file that is there now, whichever worker made it."""
        try:
            if self._table is None or not self._is_there(self._table):
                self.close()
                self._table = self._opened(now)
        except OSError as fault:
            raise Unavailable(_TAKEN) from fault
        return self._table

    def _is_there(self, table: _Table) -> bool:
        """Whether nobody replaced, cut or removed the file since it was opened."""
        try:
            found = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116 - at every proof
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino, found.st_size) == table.place

    def _opened(self, now: int) -> _Table:
        """The table in the file; a new one when there is none, or it is not whole."""
        table = self._read()
        while table is None:
            self._make(now)
            table = self._read()
        return table

    def _read(self) -> _Table | None:
        try:
            file = os.open(self._path, _OPEN)
        except FileNotFoundError:
            return None
        found, head = os.fstat(file), os.pread(file, _HEAD.size, 0)
        if found.st_size == SIZE:
            magic, start, made, salt = _HEAD.unpack(head)
            if magic == _MAGIC and abs(start - self._started()) <= _SAME_START:
                place = (found.st_dev, found.st_ino, found.st_size)
                return _Table(file, place, salt[:16].hex(), made + AHEAD, salt[16:])
        os.close(file)
        return None

    def _make(self, now: int) -> None:
        """Put a new, empty file in the place, whole from the first moment."""
        fresh = self._path.with_name(f"{self._path.name}-{secrets.token_hex(8)}")
        file = os.open(fresh, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(file, SIZE)
            head = _HEAD.pack(_MAGIC, self._started(), now, secrets.token_bytes(32))
            os.pwrite(file, head, 0)
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)


def beside(address: str) -> InFile | None:
    """The book beside the store with this address (PGO_STORE); None when that is on no one machine.

    It is to be closed by whoever asked for it.
    """
    kind, _, rest = address.partition("://")
    return InFile(Path(f"{rest[1:]}-proofs")) if kind == "sqlite" else None


@dataclass(frozen=True, slots=True)
class _Table:
    """An open file: `place` is device, inode and size; `salt` hides what is in it."""

    file: int
    place: tuple[int, int, int]
    name: str
    since: int
    salt: bytes

    async def first(self, proof: str, now: int, until: int) -> bool:
        """See `Book.first`."""
        digest = blake2b(proof.encode(), digest_size=16, key=self.salt).digest()
        place, tag = struct.unpack("<QQ", digest)
        row = _HEAD.size + place % ROWS * _ROW
        try:
            await self._lock(row)
            try:
                return self._noted(row, tag or 1, now, until)
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN, _ROW, row)
        except (OSError, struct.error) as fault:
            raise Unavailable(_TAKEN) from fault

    def _noted(self, row: int, tag: int, now: int, until: int) -> bool:
        slots = _SLOTS.unpack(os.pread(self.file, _ROW, row))
        if tag in slots[::2]:
            return False
        ends = slots[1::2]
        soonest = min(ends)
        if soonest > now:
            raise Unavailable(_TAKEN, headers={"Retry-After": str(soonest - now)})
        at = row + ends.index(soonest) * _SLOT.size
        os.pwrite(self.file, _SLOT.pack(tag, until), at)
        return True

    async def _lock(self, row: int) -> None:
        """Hold a row against other processes; in this one nothing comes between.

        A holder may be waiting for its turn on a busy machine, so a second is waited at most.

        Raises:
            BlockingIOError: somebody else would not let go.
        """
        for tries in range(_TRIES):
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, _ROW, row)
            except BlockingIOError:
                await asyncio.sleep(0 if tries < _AT_ONCE else 0.001)
            else:
                return
        raise BlockingIOError
