"""Audit lines written by the event loop itself, on a disk that is quicker than waking a thread.

A transaction through the writer's thread costs twice the processor time of the same transaction
here (317 µs against 146 for eight lines), since the thread has to be woken, to get the interpreter
several times, and to wake the loop again. So while the disk keeps what it is given within a
millisecond or two, the loop waits for it; a disk that is slower is left to the thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from pgo.store.contract import Line
from pgo.store.sqlite_acts import note_all
from pgo.store.sqlite_files import connect
from pgo.store.sqlite_writer import translated

MOST: Final = 256
"""Lines that are written at once; more would hold the event loop up."""
QUICK: Final = 0.002
"""Seconds in which a transaction is quick."""
SURE: Final = 32
"""So many quick transactions in a row, and the disk is trusted."""


class Quick:
    """The event loop's own connection to the file of audit lines.

    Args:
        path: the file.
        clock: seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = perf_counter) -> None:
        self._path, self.clock = path, clock
        self._connection = connect(path)
        for name in ("busy_timeout", "wal_autocheckpoint"):
            self._connection.execute(f"PRAGMA {name}=0").fetchall()
        self._quick = 0

    def took(self, seconds: float) -> None:
        """Tell how long a transaction took."""
        self._quick = self._quick + 1 if seconds < QUICK else 0

    def write(self, lines: Sequence[Line]) -> bool:
        """Keep lines, all or none, durable; False when that is for the thread to do.

        It is when the disk is not known to be quick, or another process is writing just now.

        Raises:
            errors.Incident: another line has this place in its chain.
            errors.Unavailable, errors.NoSpace: the disk does not take them.
        """
        if self._quick < SURE or len(lines) > MOST:
            return False
        began = self.clock()
        try:
            note_all(self._connection, lines)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise translated(error, self._path) from error
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self.took(self.clock() - began)
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._quick = 0
        self._connection.close()
