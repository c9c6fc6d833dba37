"""The audit lines of the SQLite store: their table, the daybook before it, the reading of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path

from pgo.store import sqlite_acts as acts
from pgo.store.contract import Line
from pgo.store.locks import LockFile
from pgo.store.sqlite_daybook import Daybook, adopted, written
from pgo.store.sqlite_files import connect
from pgo.store.sqlite_reads import LINES, Reader
from pgo.store.sqlite_writer import Writer
from pgo.store.trail import PAGE, merged

_WRITERS = "SELECT DISTINCT writer FROM lines WHERE client = ? AND at >= ? AND at < ?"


class Lines:
    """Keeps and reads audit lines.

    Args:
        path: the file of the lines that are in no commit.
        locks: see `Daybook`.
        writer: the one that writes to that file.
        log: reads the lines of commits.
    """

    def __init__(self, path: Path, locks: LockFile, writer: Writer, log: Reader) -> None:
        self.writer = writer
        self.day = Daybook(path, locks, self._into_table)
        self._path, self._log, self._table = path, log, Reader(path)

    async def note(self, lines: Sequence[Line]) -> None:
        """See `Store.note`."""
        if self.day.write(lines):
            return
        if not self.day.follow(lines):
            await self.day.emptied(lines)
        began = self.day.clock()
        await self._into_table(lines)
        self.day.took(self.day.clock() - began)
        self.day.noted(lines)

    async def _into_table(self, lines: Sequence[Line]) -> None:
        size = sum(len(line.sealed) + 200 for line in lines)
        await self.writer.do(partial(acts.note, lines=lines), size)

    async def read(self, client: str, since: int, until: int) -> AsyncIterator[Line]:
        """Lines with since <= at < until, each chain in its own order."""
        span = (client, since, until)
        beside = await asyncio.to_thread(written, self._path, *span)
        chains = {(writer, self._table) for writer in beside}
        for reader in (self._log, self._table):
            chains |= {(writer, reader) for (writer,) in await reader.scan(_WRITERS, *span)}

        async def page(writer: str, reader: Reader, seq: int) -> list[Line]:
            rows = await reader.scan(LINES, client, writer, seq, since, until, PAGE)
            waiting = beside.get(writer, ()) if reader is self._table else ()
            return _page([Line(*row) for row in rows], waiting, seq)

        in_order = sorted(chains, key=lambda chain: chain[0])
        async for line in merged(partial(page, *chain) for chain in in_order):
            yield line

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        await self.day.close()
        await self.writer.close()
        await asyncio.to_thread(self._table.close)


def adopt(trail: Path, locks: LockFile, alone: Callable[[], AbstractContextManager[None]]) -> None:
    """Put the lines into the table that processes have left that died; mostly there are none.

    `alone` gives a context in which no other process writes to the table.

    Raises:
        sqlite3.Error: the table does not take them; they stay where they are.
    """

    def move(lines: Sequence[Line]) -> None:
        with alone(), closing(connect(trail)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            acts.note(connection, lines)
            connection.execute("COMMIT")

    adopted(trail, locks, move)


def _page(rows: list[Line], waiting: Sequence[Line], after: int) -> list[Line]:
    """One page of a chain: rows of the table after a number, and lines that are not there yet."""
    last = rows[-1].seq if len(rows) == PAGE else 2**63
    there = {line.seq: line for line in waiting if after < line.seq <= last}
    there.update((line.seq, line) for line in rows)
    return [there[seq] for seq in sorted(there)]
