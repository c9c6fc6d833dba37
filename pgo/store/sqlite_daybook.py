"""The daybook: audit lines on their way into their table, made durable by one small write.

In the table a line dirties pages of three trees, which SQLite writes and syncs as some 40 kB: 0.4
ms of the event loop for eight lines. Here the same lines are one piece of 8 kB at a place of a file
that is there already, written with O_DSYNC: 0.15 ms. A thread moves them into the table, a second
later or when half of the file is full, many in one transaction; whoever reads the trail reads the
daybooks of all processes as well, before the table, so a line is never nowhere.

Each process has a file of its own, two halves of which one is written while the other is moved. A
piece has its half's generation, its length and a checksum; what is left of an earlier generation,
or was not written whole, ends the half. The file of a process that died is moved by the next one
that opens the store. On a disk that is slow, lines go to the table by its thread (`Store.note`).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import mmap
import os
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final
from zlib import crc32

from pgo.errors import Incident, PgoError
from pgo.store.contract import Line
from pgo.store.locks import LockFile, place_of
from pgo.store.sqlite_files import settle
from pgo.store.sqlite_writer import translated

MOST: Final = 256
"""Lines that are written at once; more would hold the event loop up."""
QUICK: Final = 0.002
"""Seconds in which a write is quick."""
SURE: Final = 32
"""So many more quick writes than `_SLOW` for each slow one, and the disk is trusted."""
_SLOW: Final = 16
HALF: Final = 1_048_576
"""Bytes of a half."""
BLOCK: Final = 4_096
"""Bytes of the disk that are written whole; what was acknowledged is never written over."""
AGE: Final = 1.0
"""Seconds after which lines are moved, also from a half that is not full."""
AGAIN: Final = 5.0
"""Seconds until a move that failed is tried again."""
_CHAINS: Final = 8_192
_AT_ONCE: Final = 512
_GENERATION: Final = 8
_PIECE: Final = struct.Struct(">8sII")
_LINE: Final = struct.Struct(">HHHHIqQ")

_log = logging.getLogger(__name__)
Chain = tuple[str, str]
Move = Callable[[Sequence[Line]], Awaitable[None]]


@dataclass(slots=True)
class _Half:
    """One half of the file, where it begins, and what is in it that is not yet in the table."""

    start: int
    generation: bytes = field(default_factory=lambda: os.urandom(_GENERATION))
    end: int = 0
    lines: list[Line] = field(default_factory=list)
    chains: set[Chain] = field(default_factory=set)
    moving: bool = False

    def clear(self) -> None:
        """Everything is in the table: begin anew."""
        self.generation, self.end = os.urandom(_GENERATION), 0
        self.lines, self.chains = [], set()


class Daybook:
    """The daybook of one process; used by its event loop only.

    Args:
        trail: the file of the table; daybooks are beside it.
        locks: whoever holds the place of a daybook's name in it, owns it.
        move: puts lines into the table, durable when it returns.
        clock: seconds.
    """

    def __init__(
        self, trail: Path, locks: LockFile, move: Move, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.clock = clock
        self._trail, self._locks, self._move = trail, locks, move
        self._path = Path(f"{trail}-day-{os.urandom(8).hex()}")
        self._file = -1
        self._buffer = mmap.mmap(-1, HALF)
        self._quick = 0
        self._doubtful = not hasattr(fcntl, "F_OFD_SETLK")  # the locks say nothing in a process
        self._halves = (_Half(0), _Half(HALF))
        self._now = 0
        self._ends: OrderedDict[Chain, int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._moves: set[asyncio.Task[None]] = set()

    def took(self, seconds: float) -> None:
        """Tell how long a durable write took."""
        more = 1 if seconds < QUICK else -_SLOW
        self._quick = min(max(self._quick + more, 0), 2 * SURE)

    def noted(self, lines: Sequence[Line]) -> None:
        """Tell which lines the table took: the next of these chains may come here."""
        for line in lines:
            self._ends[(line.client, line.writer)] = line.seq
            self._ends.move_to_end((line.client, line.writer))
        while len(self._ends) > _CHAINS:
            self._ends.popitem(last=False)

    def write(self, lines: Sequence[Line]) -> bool:
        """Keep lines, all or none, durable; False when that is for the table to do.

        It is when the disk is not known to be quick, when both halves are full, and for a line
        that does not follow the last one of its chain: only the table knows whether it may.

        Raises:
            errors.Unavailable, errors.NoSpace: the disk does not take them.
        """
        if self._quick < SURE or self._doubtful or len(lines) > MOST:
            return False
        ends = self._following(lines)
        if ends is None:
            return False
        piece = b"".join(map(_packed, lines))
        size = _in_blocks(_PIECE.size + len(piece))
        half = self._room(size)
        if half is None:
            return False
        if self._file < 0 and not self._made():
            return False
        began = self.clock()
        head = _PIECE.pack(half.generation, len(piece), crc32(piece, crc32(half.generation)))
        self._put((head + piece).ljust(size, b"\0"), half)
        half.end += size
        half.lines += lines
        half.chains.update(ends)
        self._ends.update(ends)
        self.took(self.clock() - began)
        return True

    def follow(self, lines: Sequence[Line]) -> bool:
        """Whether each of these is the next one of its chain, as far as is known here."""
        return self._following(lines) is not None

    def _following(self, lines: Sequence[Line]) -> dict[Chain, int] | None:
        """Where the chains of these lines end with them; None when one does not follow."""
        ends: dict[Chain, int] = {}
        for line in lines:
            chain = (line.client, line.writer)
            if (ends.get(chain) or self._ends.get(chain)) != line.seq - 1:
                return None
            ends[chain] = line.seq
        return ends

    def _room(self, size: int) -> _Half | None:
        """The half in which there is room for so many bytes."""
        half = self._halves[self._now]
        if half.moving or half.end + size > HALF:
            self._turn()
            half = self._halves[self._now]
        return None if half.moving or half.end + size > HALF else half

    def _put(self, piece: bytes, half: _Half) -> None:
        """One durable write.

        A piece that failed may be in the file or not, and who reads the trail finds it or not. So
        nothing is ever written over it: what is there is moved, and the file is used no more.
        """
        try:
            self._buffer[: len(piece)] = piece  # in memory that begins with a page
            _write(self._file, memoryview(self._buffer)[: len(piece)], half.start + half.end)
        except OSError as error:
            self._doubtful = True
            raise translated(error, self._trail) from error
        finally:
            self._wake(AGE)

    def _made(self) -> bool:
        """Make the file, with every byte of it on the disk, so that writing changes no size.

        False when there is no room for it: lines go to the table then, which tells what is wrong.
        """
        place = place_of(self._path.name)
        try:
            if not self._locks.try_(place):
                return False
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_DSYNC
            self._file = os.open(self._path, flags, 0o600)
            _write(self._file, bytes(2 * HALF), 0)
            settle(self._path.parent)
            self._past_the_cache()
        except OSError:
            self._doubtful = True
            return False
        return True

    def _past_the_cache(self) -> None:
        """Write straight to the disk, where the file system can: nobody reads these pages soon."""
        with suppress(OSError):
            direct = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC | os.O_DIRECT)
            try:
                _write(direct, memoryview(self._buffer)[:BLOCK], 0)  # zeros, as all is till now
            except OSError:
                os.close(direct)
                raise
            os.close(self._file)
            self._file = direct

    # --- moving --------------------------------------------------------------------------------

    def _wake(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._turn()
        if any(half.lines for half in self._halves):
            self._wake(AGE)

    def _turn(self) -> None:
        """Write in the other half from now on, when it is empty, while this one is moved."""
        half, other = self._halves[self._now], self._halves[1 - self._now]
        if not other.lines:
            self._now = 1 - self._now
            self._start(half)
        else:
            self._start(other)

    def _start(self, half: _Half) -> None:
        if half.moving or not half.lines:
            return
        half.moving = True
        task = asyncio.get_running_loop().create_task(self._moved(half))
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _moved(self, half: _Half) -> None:
        try:
            await self._into_table(half)
        except PgoError:
            await asyncio.sleep(AGAIN)  # the next timer tries again
        finally:
            half.moving = False

    async def _into_table(self, half: _Half) -> None:
        lines = half.lines
        if self._doubtful:
            data = self._path.read_bytes()[half.start : half.start + HALF]
            lines = list(_lines_of(data))
        for start in range(0, len(lines), _AT_ONCE):
            await self._move(lines[start : start + _AT_ONCE])
        half.clear()

    async def emptied(self, lines: Sequence[Line] = ()) -> None:
        """Move all that is here; of `lines`, only when a chain of theirs is here.

        Raises:
            errors.PgoError: the table does not take them.
        """
        chains = {(line.client, line.writer) for line in lines}
        for half in self._halves:
            if lines and chains.isdisjoint(half.chains):
                continue
            while half.moving and self._moves:
                await asyncio.wait(self._moves, return_when=asyncio.FIRST_COMPLETED)
            if half.lines and not half.moving:
                half.moving = True
                try:
                    await self._into_table(half)
                finally:
                    half.moving = False

    async def close(self) -> None:
        """Move what is here, and let go; what cannot be moved stays for the next process."""
        self._quick = 0
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._moves):
            task.cancel()
        await asyncio.gather(*self._moves, return_exceptions=True)
        if self._file >= 0:
            with suppress(PgoError):
                await self.emptied()
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1
            self._locks.let_go(place_of(self._path.name))


# --- reading -----------------------------------------------------------------------------------


def written(trail: Path, client: str, since: int, until: int) -> dict[str, list[Line]]:
    """Lines of a client in the daybooks of all processes, since <= at < until, by writer in order.

    Read this before the table: then a line that is moved meanwhile is found twice, never not.
    """
    found: dict[str, list[Line]] = {}
    for path in daybooks(trail):
        for line in _lines_in(path):
            if line.client == client and since <= line.at < until:
                found.setdefault(line.writer, []).append(line)
    return {writer: sorted(lines, key=lambda one: one.seq) for writer, lines in found.items()}


def adopted(trail: Path, locks: LockFile, move: Callable[[Sequence[Line]], None]) -> int:
    """Move what processes that died have left; how many lines there were.

    What does not fit the table, because something else has its place there, stays to be read.
    """
    total = 0
    for path in daybooks(trail):
        place = place_of(path.name)
        if not locks.try_(place):
            continue
        try:
            lines = list(_lines_in(path))
            if lines:
                move(lines)
            path.unlink(missing_ok=True)
            total += len(lines)
        except Incident:
            _log.warning("audit lines of a process that ended do not fit the others; they stay")
        finally:
            locks.let_go(place)
    return total


def daybooks(trail: Path) -> list[Path]:
    """The daybooks that are beside the file of the table, of processes that live or died."""
    return sorted(trail.parent.glob(f"{trail.name}-day-*"))


def _lines_in(path: Path) -> Iterator[Line]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # moved meanwhile
        return
    for start in (0, HALF):
        yield from _lines_of(data[start : start + HALF])


def _lines_of(half: bytes) -> Iterator[Line]:
    """The lines of a half: pieces of one generation, as far as they are whole."""
    at, first = 0, half[:_GENERATION]
    while at + _PIECE.size <= len(half):
        generation, length, check = _PIECE.unpack_from(half, at)
        at += _PIECE.size
        piece = half[at : at + length]
        if generation != first or not length or crc32(piece, crc32(generation)) != check:
            return
        yield from _unpacked(piece)
        at = _in_blocks(at + length)


def _write(file: int, data: bytes | memoryview, at: int) -> None:
    if os.pwrite(file, data, at) != len(data):
        raise OSError(errno.ENOSPC, "not written whole")


def _in_blocks(size: int) -> int:
    """So many bytes, in whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _packed(line: Line) -> bytes:
    client, writer = line.client.encode(), line.writer.encode()
    sizes = (len(client), len(writer), len(line.prev), len(line.hash), len(line.sealed))
    head = _LINE.pack(*sizes, line.at, line.seq)
    return b"".join((head, client, writer, line.prev, line.hash, line.sealed))


def _unpacked(piece: bytes) -> Iterator[Line]:
    at = 0
    while at < len(piece):
        *sizes, moment, seq = _LINE.unpack_from(piece, at)
        at += _LINE.size
        parts = []
        for size in sizes:
            parts.append(piece[at : at + size])
            at += size
        client, writer, prev, hash_, sealed = parts
        yield Line(client.decode(), writer.decode(), seq, moment, prev, hash_, sealed)
