"""The trail: audit lines of concurrent calls, chained and made durable together.

One chain per (client, writer). Numbers and hashes are given out when a batch is flushed, and one
flush is under way at a time, so a chain has no forks and no gaps. A batch the store refuses does
not advance a chain: its callers get an error and answer nothing (fail closed, safety 1.3).
"""

from __future__ import annotations

import asyncio
import heapq
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from pgo.audit.catalogue import GAP
from pgo.audit.chain import START, Pen, log_line, place_id
from pgo.audit.entry import FAILED, Entry, pack
from pgo.errors import NotFound, PgoError, Unavailable
from pgo.moment import micros
from pgo.store.contract import Line, Store

__all__ = ["AuditKeys", "Head", "Trail", "log_line", "new_writer"]

_BATCH: Final = 256
_WAITING: Final = 20_000
_GATHERING: Final = 0.002
_PENS: Final = 2_048
_REORDER: Final = 4_096
_YIELD_EVERY: Final = 100


class AuditKeys(Protocol):
    """Who knows the audit keys."""

    async def audit_key(self, client: str) -> bytes:
        """The client's audit key, 32 bytes; errors.NotFound when there is no such dossier."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain has come: its last number and hash."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Lines between these times may or may not be in the store: nobody answered."""

    pen: Pen
    since: int
    until: int


class _Waiting(NamedTuple):
    pen: Pen
    at: int
    plain: bytes
    done: asyncio.Future[None]


def new_writer(randomness: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A writer id for one process: 16 hex digits, never used again.

    It begins with a letter, so that no store or tool on its way takes "123e4567…" for a number.
    """
    first, *rest = randomness(8)
    return bytes((0xA0 + first % 0x60, *rest)).hex()


class Trail:
    """Where every call is written down, and read back.

    Args:
        store: keeps the lines.
        keys: knows the audit keys.
        clock: now, with a time zone; used by `now` only, a line's time is its entry's.
        writer: random id of this process (`new_writer`); its chains start at 1.

    Attributes:
        healthy: False from a flush the store refused until one it accepted.
    """

    def __init__(
        self, store: Store, keys: AuditKeys, clock: Callable[[], datetime], writer: str
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self.writer = writer
        self.healthy = True
        self._pending: list[_Waiting] = []
        self._flusher: asyncio.Task[None] | None = None
        self._heads: dict[str, Head] = {}
        self._doubtful: dict[str, _Doubt] = {}
        self._touched: dict[tuple[str, str], Head] = {}
        self._pens: OrderedDict[str, tuple[bytes, Pen]] = OrderedDict()

    def now(self) -> int:
        """Microseconds since 1970 UTC, for `Entry.at`."""
        return micros(self._clock())

    @property
    def waiting(self) -> int:
        """How many lines wait to become durable (a metric)."""
        return len(self._pending)

    async def write(self, client: str, entry: Entry) -> None:
        """Write one line in this process's chain of `client`; durable when it returns.

        A caller that is cancelled does not take his line back: it is written all the same.

        Raises:
            Unavailable: it could not be written; answer nothing.
            NotFound: there is no dossier with this id; nothing was written.
            NotInCatalogue: unknown event, or a field it may not carry.
        """
        await self.keep(client, entry.at, pack(entry))

    async def keep(self, client: str, at: int, plain: bytes) -> None:
        """The same as `write` for a packed line and its time.

        Raises:
            Unavailable, NotFound: as `write`.
        """
        pen = await self.pen(client)
        if len(self._pending) >= _WAITING:
            raise Unavailable("too many audit lines are waiting")
        done = asyncio.get_running_loop().create_future()
        self._pending.append(_Waiting(pen, at, plain, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await done

    async def read(
        self, client: str, since: int = 0, until: int | None = None
    ) -> AsyncIterator[Entry]:
        """Lines with since <= at < until (microseconds), all chains merged by time.

        A line that cannot be opened is a visible gap (`interaction` "gap"), never left out.
        The order is by time when the store's own order is at most 4,096 lines off.
        """
        pen = await self.pen(client)
        held: list[tuple[int, str, int, int, Line]] = []
        seen = 0
        async for line in self._store.trail(client, since, until):
            heapq.heappush(held, (line.at, line.writer, line.seq, seen, line))
            if len(held) > _REORDER:
                yield _opened(pen, heapq.heappop(held)[-1])
            seen += 1
            if seen % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        while held:
            yield _opened(pen, heapq.heappop(held)[-1])
            if len(held) % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def pen(self, client: str) -> Pen:
        """What writes and opens this client's lines, under the key he has now.

        Raises:
            NotFound: there is no dossier with this id.
            Unavailable: the keys cannot be reached.
        """
        try:
            key = await self._keys.audit_key(client)
        except NotFound:
            self.forget(client)
            raise
        except (PgoError, OSError) as fault:
            raise Unavailable("the audit key cannot be reached") from fault
        kept = self._pens.get(client)
        if kept is None or kept[0] != key:
            kept = self._pens[client] = (key, Pen(client, key))
            while len(self._pens) > _PENS:
                self._pens.popitem(last=False)
        return kept[1]

    def forget(self, client: str) -> None:
        """Drop this client's opened key from memory."""
        self._pens.pop(client, None)

    def head(self, client: str) -> Head:
        """How far this process's own chain of a client has come; (0, `START`) before the first."""
        return self._heads.get(client, Head(0, START))

    def committed(self, line: Line) -> None:
        """Tell that a commit with this line is durable, so that the next anchor covers it."""
        self._touch({(line.client, line.writer): Head(line.seq, line.hash)})

    def take_touched(self) -> dict[tuple[str, str], Head]:
        """The heads of the chains this process has advanced since the last time it was asked."""
        taken, self._touched = self._touched, {}
        return taken

    def give_back(self, heads: dict[tuple[str, str], Head]) -> None:
        """Return heads that could not be anchored; newer ones stay."""
        self._touched, newer = heads, self._touched
        self._touch(newer)

    async def close(self) -> None:
        """Wait until every line that is under way is written or refused."""
        while self._flusher is not None and not self._flusher.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self._flusher])

    # --- flushing --------------------------------------------------------------------------------

    async def _flush(self) -> None:
        while self._pending:
            await self._gathered()
            batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
            try:
                await self._keep(batch)
            except BaseException as fault:
                self.healthy = False
                _refuse(batch, fault)
                if not isinstance(fault, Exception):
                    _refuse(self._pending, fault)
                    self._pending = []
                    raise
            else:
                self.healthy = True
                _accept(batch)

    async def _gathered(self) -> None:
        """Let those who are nearly there come along, a moment at most: one sync is for all.

        Flushed at once, eight readers shared a sync by twos and threes, and each sync took half a
        millisecond of processor time to wake threads.
        """
        loop, before = asyncio.get_running_loop(), 0
        until = loop.time() + _GATHERING
        while before < len(self._pending) < _BATCH and loop.time() < until:
            before = len(self._pending)
            await asyncio.sleep(0)

    async def _keep(self, batch: list[_Waiting]) -> None:
        """Chain and write one batch; the chains advance only when the store has accepted it."""
        for client in {one.pen.client for one in batch} & self._doubtful.keys():
            await self._settle(client, self._doubtful[client])
        lines, heads = self._chained(batch)
        try:
            await self._store.note(lines)
        except BaseException:
            self._doubt(batch)
            raise
        self._advance(heads)
        for client in heads:
            self._doubtful.pop(client, None)

    def _chained(self, batch: list[_Waiting]) -> tuple[list[Line], dict[str, Head]]:
        heads: dict[str, Head] = {}
        lines: list[Line] = []
        for one in batch:
            client = one.pen.client
            before = heads.get(client) or self.head(client)
            line = one.pen.line(self.writer, before.seq + 1, before.hash, one.at, one.plain)
            heads[client] = Head(line.seq, line.hash)
            lines.append(line)
        return lines, heads

    def _doubt(self, batch: list[_Waiting]) -> None:
        for one in batch:
            client = one.pen.client
            before = self._doubtful.get(client) or _Doubt(one.pen, one.at, one.at)
            since, until = min(before.since, one.at), max(before.until, one.at)
            self._doubtful[client] = _Doubt(one.pen, since, until)

    async def _settle(self, client: str, doubt: _Doubt) -> None:
        """Find out whether lines of a failed write are in the store after all, and go on there.

        A store that cannot be reached may have kept a batch it gave no answer about, and may even
        do so later. Writing the same numbers again would fork the chain, so what is there counts.
        """
        found: dict[int, Line] = {}
        async for line in self._store.trail(client, doubt.since, doubt.until + 1):
            if line.writer == self.writer and doubt.pen.genuine(line):
                found[line.seq] = line
        head = self.head(client)
        while (after := found.get(head.seq + 1)) is not None and after.prev == head.hash:
            head = Head(after.seq, after.hash)
            self._advance({client: head})

    def _advance(self, heads: dict[str, Head]) -> None:
        self._heads.update(heads)
        self._touch({(client, self.writer): head for client, head in heads.items()})

    def _touch(self, heads: dict[tuple[str, str], Head]) -> None:
        for chain, head in heads.items():
            before = self._touched.get(chain)
            if before is None or before.seq < head.seq:
                self._touched[chain] = head


def _accept(batch: list[_Waiting]) -> None:
    for one in batch:
        if not one.done.done():
            one.done.set_result(None)


def _refuse(batch: list[_Waiting], fault: BaseException) -> None:
    for one in batch:
        if not one.done.done():
            refusal = Unavailable("this call could not be written down, so it was not answered")
            refusal.__cause__ = fault
            one.done.set_exception(refusal)


def _opened(pen: Pen, line: Line) -> Entry:
    try:
        return pen.entry(line)
    except (PgoError, ValueError):
        return Entry(line.at, GAP, outcome=FAILED, id=place_id(line))
