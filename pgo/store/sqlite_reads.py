"""What reading from SQLite takes: connections that only read, and the larger queries."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

from pgo.store.sqlite_acts import WIDTH
from pgo.store.sqlite_files import connect
from pgo.store.sqlite_writer import translated

Rows = list[tuple[Any, ...]]

COMMITS = (
    "SELECT c.n, c.bodies, c.sealed, l.client, l.writer, l.seq, l.at, l.prev, l.hash, l.sealed"
    " FROM commits c JOIN lines l ON l.client = c.client AND l.writer = c.writer AND l.seq = c.seq"
    " WHERE c.client = ? AND c.n > ? AND c.sealed IS NOT NULL ORDER BY c.n LIMIT ?"
)
IMAGE = (
    "SELECT i.n, c.data FROM images i LEFT JOIN chunks c ON c.client = i.client"
    " WHERE i.client = ? AND i.n < ? ORDER BY c.i"
)
REMEMBERED = 8_000_000  # bytes of sealed answers: tokens, heads, registrations, single bodies
_LARGEST = 65_536  # bytes of one answer
_COST = 500  # bytes, about, of an answer besides its contents
LINES = (
    "SELECT client, writer, seq, at, prev, hash, sealed FROM lines"
    " WHERE client = ? AND writer = ? AND seq > ? AND at >= ? AND at < ? ORDER BY seq LIMIT ?"
)


class Reader:
    """A connection that only reads; whole answers, so that each sees the newest commit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path)
        self._connection.execute("PRAGMA query_only=1").fetchall()
        self._lock = threading.Lock()
        self._asked = False
        self._version, self._room = -1, 0
        self._remembered: dict[tuple[object, ...], Rows] = {}

    def newest(self, sql: str, *values: object) -> Rows:
        """The same as `rows` for a small answer, remembered until anybody commits to the file.

        SQLite's data_version differs as soon as another connection, of any process, has committed.
        It is asked once for all that is ready to run in this round of the event loop: whatever
        came in before that moment is answered by it, and what comes in later asks anew.

        Raises:
            errors.Unavailable: the file cannot be read.
        """
        if not self._asked:
            self._ask()
        asked = (sql, *values)
        found = self._remembered.get(asked)
        if found is None:
            found = self.rows(sql, *values)
            size = sum(len(one) for row in found for one in row if type(one) is bytes)
            if size <= _LARGEST:
                self._remembered[asked] = found
                self._room -= _COST + size
        return found

    def mark(self) -> int:
        """SQLite's data_version, as `newest` knows it.

        Raises:
            errors.Unavailable: the file cannot be read.
        """
        if not self._asked:
            self._ask()
        return self._version

    def _ask(self) -> None:
        asyncio.get_running_loop().call_soon(self._ask_again)
        version = self.rows("PRAGMA data_version")[0][0]
        self._asked = True
        if version != self._version or self._room < 0:
            self._remembered.clear()
            self._version, self._room = version, REMEMBERED

    def _ask_again(self) -> None:
        self._asked = False

    def rows(self, sql: str, *values: object) -> Rows:
        """All rows of one query, here and now.

        Raises:
            errors.Unavailable: the file cannot be read.
        """
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    async def scan(self, sql: str, *values: object) -> Rows:
        """The same for an answer that may be large: in a thread."""
        return await asyncio.to_thread(self._alone, sql, values)

    def _alone(self, sql: str, values: tuple[object, ...]) -> Rows:
        with self._lock:
            return self.rows(sql, *values)

    def close(self) -> None:
        """Let go of the file, after the scan under way."""
        with self._lock:
            self._connection.close()


def split(joined: bytes) -> tuple[bytes, ...]:
    """Body ids out of one string of them."""
    return tuple(joined[start : start + WIDTH] for start in range(0, len(joined), WIDTH))
