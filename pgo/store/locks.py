"""Who may go first: locks on one byte of a file, between processes, and queues within one process.

A lock belongs to the open file and is let go by the kernel when its holder dies. Nothing here
blocks in the kernel: a waiter tries, sleeps a moment and tries again, so a wait can be cancelled
and always ends. To keep a busy process from overtaking the others for ever, each place has a
turnstile: who waits for the place holds the turnstile, and everybody passes it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import struct
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from pgo import errors

Clock = Callable[[], float]
FIRST_PAUSE, LONGEST_PAUSE = 0.0001, 0.002  # seconds between two tries
_FLOCK = "hhqqi4x"  # struct flock on 64-bit Linux: type, whence, start, length, pid


def place_of(name: str) -> int:
    """The lock's place in the file: two names meet in one place once in 2**60."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return 1024 + (int.from_bytes(digest, "big") >> 4)


class LockFile:
    """Byte locks in one file; safe from several threads.

    Linux locks belong to the open file, so two stores in one process exclude each other as well.
    Elsewhere POSIX locks are used, which only exclude other processes.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def close(self) -> None:
        """Let go of everything; once is enough."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def try_(self, byte: int) -> bool:
        """Take a byte if it is free.

        Raises:
            errors.Unavailable: closed.
        """
        if self._file < 0:
            raise errors.Unavailable("The store is closed.")
        try:
            self._ask(fcntl.F_WRLCK, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def let_go(self, byte: int) -> None:
        """Free a byte; closing has done so already."""
        if self._file >= 0:
            self._ask(fcntl.F_UNLCK, byte)

    def _ask(self, kind: int, byte: int) -> None:
        if hasattr(fcntl, "F_OFD_SETLK") and struct.calcsize("P") == 8:  # noqa: PLR2004 - 64 bits
            flock = struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, flock)
        else:
            wish = fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.lockf(self._file, wish, 1, byte)

    @contextmanager
    def held(self, place: int, patience: float) -> Iterator[None]:
        """Hold a place; for threads.

        Raises:
            errors.Unavailable: somebody else held it for `patience` seconds.
        """
        with closing(self._tries(place, time.monotonic, patience)) as pauses:
            for pause in pauses:
                time.sleep(pause)
        try:
            yield
        finally:
            self.let_go(2 * place + 1)

    @asynccontextmanager
    async def taken(self, place: int, patience: float) -> AsyncIterator[None]:
        """Hold a place; for coroutines.

        Raises:
            errors.Unavailable: somebody else held it for `patience` seconds.
        """
        with closing(self._tries(place, asyncio.get_running_loop().time, patience)) as pauses:
            for pause in pauses:
                await asyncio.sleep(pause)
        try:
            yield
        finally:
            self.let_go(2 * place + 1)

    def _tries(self, place: int, clock: Clock, patience: float) -> Generator[float, None, None]:
        """Seconds to sleep between tries; ends with the place held; lets go when closed early."""
        turnstile, seat, end = 2 * place, 2 * place + 1, clock() + patience
        yield from self._until(turnstile, clock, end)
        try:
            yield from self._until(seat, clock, end)
        finally:
            self.let_go(turnstile)

    def _until(self, byte: int, clock: Clock, end: float) -> Iterator[float]:
        pause = FIRST_PAUSE
        while not self.try_(byte):
            if clock() >= end:
                raise errors.Unavailable("Somebody else is writing here; try again.")
            yield pause
            pause = min(pause * 1.5, LONGEST_PAUSE)


class Turns:
    """First come, first served, per name, within one process and event loop."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, name: str, patience: float) -> AsyncIterator[None]:
        """Hold the turn of this name.

        Raises:
            errors.Unavailable: it did not come within `patience` seconds.
        """
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(patience):
                await lock.acquire()
        except TimeoutError:
            raise errors.Unavailable("The queue of this dossier is too long; try again.") from None
        try:
            yield
        finally:
            lock.release()
