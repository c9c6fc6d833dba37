"""How often somebody may ask: counters in one small file, shared by all workers of a machine.

Each counter is a token bucket in its shortest form (generic cell rate algorithm): one moment, at
which the bucket would be full again. The file is a table of such moments in shared memory, without
names: a key is hashed with a salt that exists only in the file. Nothing here is durable, and
losing the file only means that everybody starts with a full bucket. The last process that closes it
takes it away.

A counter is found in one of the `WAYS` slots of its row. When all are taken by others, the one
that is nearest to full is given up, so that a flood of invented keys cannot lock anybody out.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from pgo.errors import TooMany
from pgo.settings import Settings


@dataclass(frozen=True, slots=True)
class Limit:
    """A named limit: `rate` per second in the long run, `burst` at once."""

    name: str
    rate: float
    burst: int


LOGIN: Final = Limit("login", 5 / 60, 5)
LOGIN_NETWORK: Final = Limit("login-network", 1.0, 60)
"""Sign-ins begun or tried from one network, by anybody."""
LOGIN_ALL: Final = Limit("login-all", 20.0, 200)
"""Proofs and codes that people hand in, from everywhere together: more cannot be looked at."""
BEGUN: Final = Limit("login-begun", 10.0, 300)
"""Questions of apps and sign-ins begun from one network: each is kept for a while."""
FAILED: Final = Limit("failed", 1.0, 60)
"""Codes, refresh tokens and clients that were not good, from one network."""
INVITE: Final = Limit("invite", 10 / 86_400, 10)
CODE: Final = Limit("code", 5 / 60, 5)
"""Codes of invitations that somebody tries."""
EMERGENCY: Final = Limit("noodtoegang", 3 / 3_600, 3)
EXPORT: Final = Limit("export", 1 / 3_600, 1)
"""One export at a time: ask with `require`, and `release` when it is done (or after an hour)."""


def person(settings: Settings) -> Limit:
    """Requests of one person."""
    return Limit("person", settings.rate_person, settings.rate_burst)


def app(settings: Settings) -> Limit:
    """Requests of one app, over all its people."""
    return Limit("app", settings.rate_app, max(1, round(settings.rate_app)))


def writes(settings: Settings) -> Limit:
    """Changes in one dossier, by whomever (safety 4, D11)."""
    return Limit("writes", settings.rate_writes, max(1, round(10 * settings.rate_writes)))


AHEAD: Final = 16
"""Tokens taken at once for somebody who asks again and again; see `Rates.require_each`."""
BUSY: Final = 0.05
"""Seconds within which somebody who asks again is busy, and for which tokens are in hand."""
WAYS: Final = 8
ROWS: Final = 8_192
_SLOT: Final = struct.Struct("<Qd")
_SLOTS: Final = struct.Struct("<" + "Qd" * WAYS)
_ROW: Final = _SLOTS.size
_UNUSED: Final = bytes(_ROW)
_HEAD: Final = 64
_MAGIC: Final = b"pgo rates 1\n"
_SIZE: Final = _HEAD + ROWS * _ROW
_TRIES: Final = 200
_REMEMBERED: Final = 4_096
_SLACK: Final = 1e-6
_SOON: Final = 60.0
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(slots=True)
class _Hand:
    """Tokens of one key that this process has taken and not used, and until when it may."""

    left: int = 0
    until: float = 0.0


class Rates:
    """The counters in the file at `path`, opened by every worker; see `check`.

    Args:
        path: of the file; put it on a memory file system. It is made when absent or unreadable.
        clock: seconds, the same for all workers: `time.monotonic` is so on one machine.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._path = path
        self._file = _opened(path)
        self._threads = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        self._slots: dict[int, int] = {}
        self._hands: dict[str, _Hand] = {}
        self._salt = self._prepared()
        self._table = mmap.mmap(self._file, _SIZE)

    def _prepared(self) -> bytes:
        """The salt of the file; whoever comes first makes both."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, _HEAD, 0)
        try:
            head = os.pread(self._file, _HEAD, 0)
            if not head.startswith(_MAGIC) or os.fstat(self._file).st_size < _SIZE:
                head = _MAGIC + os.urandom(_HEAD - len(_MAGIC))
                os.pwrite(self._file, head + bytes(_SIZE - _HEAD), 0)  # never cut: it may be mapped
            return head[len(_MAGIC) :]
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _HEAD, 0)

    def close(self) -> None:
        """Let go of the file; the last one takes it away, unless it says something worth keeping.

        Worth keeping is a bucket that would be full again in more than a minute.
        """
        table = self._table[_HEAD:]
        self._table.close()
        until = self._clock() + _SOON
        with suppress(BlockingIOError):  # another worker has it open
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rows = (table[at : at + _ROW] for at in range(0, len(table), _ROW))
            used = b"".join([row for row in rows if row != _UNUSED])
            slow = any(tag and full_at > until for tag, full_at in _SLOT.iter_unpack(used))
            if not slow and _is_at(self._path, self._file):
                self._path.unlink()
        os.close(self._file)

    def check(self, key: str, rate: float, burst: int) -> float:
        """Take one token of the bucket named `key`.

        Args:
            key: any text; kept as a salted hash only.
            rate: tokens that come back per second.
            burst: tokens in a full bucket.

        Returns:
            0.0 when the token was taken, otherwise the seconds until there is one.
        """
        row, tag = self._place(key)
        with self._threads:
            mine = self._lock(row)
            try:
                return self._take(row, tag, rate, burst)
            finally:
                if mine:
                    self._unlock(row)

    def require_each(self, *asked: tuple[Limit, str]) -> None:
        """Take one token under each of these limits, until one is spent; in the event loop only.

        Who asks again within `BUSY` seconds, and has more than half of his burst left, gets `AHEAD`
        tokens in hand, so that most requests of a busy app touch no lock. What he did not use is
        given back when he asks next: never more passes than the limit allows, and another worker
        may refuse at most `AHEAD` requests too early.

        Raises:
            TooMany: as `require`.
        """
        now = self._clock()
        for limit, who in asked:
            key = f"{limit.name}\0{who}"
            hand = self._hands.get(key)
            if hand is not None and hand.left and now < hand.until:
                hand.left -= 1
            else:
                self._fill(key, limit, now, hand or self._new_hand(key))

    def _new_hand(self, key: str) -> _Hand:
        if len(self._hands) >= _REMEMBERED:
            self._hands.clear()
        hand = self._hands[key] = _Hand()
        return hand

    def _fill(self, key: str, limit: Limit, now: float, hand: _Hand) -> None:
        busy, unused = now < hand.until, hand.left
        hand.left, hand.until = 0, now + BUSY
        row, tag = self._place(key)
        with self._threads:
            mine = self._lock(row)
            try:
                if unused:
                    self._shift(row, tag, -unused / limit.rate)
                wait = self._take(row, tag, limit.rate, limit.burst)
                if busy and not wait and self._has_more(row, tag, limit, now):
                    self._shift(row, tag, AHEAD / limit.rate)
                    hand.left = AHEAD
            finally:
                if mine:
                    self._unlock(row)
        _answer(wait)

    def _shift(self, row: int, tag: int, seconds: float) -> None:
        """Move the moment at which this bucket is full, when it is known."""
        at, full_at = self._find(row, tag)
        if full_at:
            _SLOT.pack_into(self._table, at, tag, full_at + seconds)

    def _has_more(self, row: int, tag: int, limit: Limit, now: float) -> bool:
        """Whether half of the burst is left after `AHEAD` more, of a bucket just asked."""
        full_at = self._find(row, tag)[1]
        return full_at + AHEAD / limit.rate - now <= limit.burst / limit.rate / 2

    def _take(self, row: int, tag: int, rate: float, burst: int) -> float:
        now, depth = self._clock(), burst / rate
        at = self._slots.get(tag, row)
        there: int
        full_at: float
        there, full_at = _SLOT.unpack_from(self._table, at)
        if there != tag:
            at, full_at = self._find(row, tag)
            self._slots[tag] = at
        if full_at > now + depth + _SLACK or full_at < now:
            full_at = now  # a full bucket, or a moment from before the clock started anew
        full_at += 1 / rate
        if full_at - now > depth + _SLACK:
            return full_at - now - depth
        _SLOT.pack_into(self._table, at, tag, full_at)
        return 0.0

    def release(self, key: str) -> None:
        """Make the bucket named `key` full again."""
        row, tag = self._place(key)
        with self._threads:
            mine = self._lock(row)
            try:
                at, full_at = self._find(row, tag)
                if full_at:
                    _SLOT.pack_into(self._table, at, 0, 0.0)
            finally:
                if mine:
                    self._unlock(row)

    def require(self, limit: Limit, who: str) -> None:
        """Take one token of `who` under this limit.

        Raises:
            TooMany: with Retry-After in whole seconds.
        """
        _answer(self.check(f"{limit.name}\0{who}", limit.rate, limit.burst))

    def done(self, limit: Limit, who: str) -> None:
        """Give back what `require` took: the end of the one export of `who`."""
        self.release(f"{limit.name}\0{who}")

    def _place(self, key: str) -> tuple[int, int]:
        """Where the row of this key begins, and the tag it has there (never 0)."""
        known = self._places.get(key)
        if known is None:
            if len(self._places) >= _REMEMBERED:
                self._places.clear()
                self._slots.clear()
            digest = blake2b(key.encode(), digest_size=16, key=self._salt).digest()
            row, tag = struct.unpack("<QQ", digest)
            known = self._places[key] = (_HEAD + row % ROWS * _ROW, tag or 1)
        return known

    def _find(self, row: int, tag: int) -> tuple[int, float]:
        """The slot of this tag and its moment; else the slot nearest to full, and 0.0."""
        slots = _SLOTS.unpack_from(self._table, row)
        tags = slots[::2]
        if tag in tags:
            way = tags.index(tag)
            return row + way * _SLOT.size, slots[2 * way + 1]
        moments = slots[1::2]
        return row + moments.index(min(moments)) * _SLOT.size, 0.0

    def _lock(self, row: int, size: int = _ROW) -> bool:
        """Hold rows against other processes; False when somebody else would not let go.

        A holder that is stopped may not stop the others: after `_TRIES` attempts we go on without
        the lock, and the worst that happens is that tokens taken meanwhile are not counted.
        """
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, size, row)
            except BlockingIOError:
                os.sched_yield()
            else:
                return True
        return False

    def _unlock(self, row: int, size: int = _ROW) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, size, row)


def _answer(wait: float) -> None:
    if wait:
        after = {"Retry-After": str(math.ceil(wait))}
        raise TooMany("Asked too often; come back after Retry-After seconds.", headers=after)


def _opened(path: Path) -> int:
    """The file at this path, held so that nobody takes it away."""
    while True:
        file = os.open(path, _OPEN, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH)
        if _is_at(path, file):
            return file
        os.close(file)  # it was taken away between opening and holding


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(file))
    except FileNotFoundError:
        return False
