"""The group commit: one thread per file that writes what everybody asked for in one transaction.

While one transaction is being synced to disk the next requests queue; they share the next sync.
Who waits hears it after the sync, so what is acknowledged is durable.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from pgo import errors

T = TypeVar("T")
Act = Callable[[sqlite3.Connection], T]
MOST_JOBS, MOST_BYTES = 64, 4_000_000  # of one transaction
CHECKPOINT = 4_000_000  # bytes written, about, before the log is moved into the file
SCRUB_PATIENCE = 100  # milliseconds to wait for readers before the log is emptied


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do inside a transaction; `act` may run twice, and may refuse by raising.

    `size` is about how many bytes it writes. With `scrub` it is acknowledged only when what it
    destroyed has left the log file as well.
    """

    act: Act[Any]
    size: int
    scrub: bool
    done: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended."""

    job: Job
    value: Any = None
    error: BaseException | None = None


class Writer:
    """The one that writes to one file, for this process.

    Args:
        path: the file, for the free space on its disk.
        connection: used by nobody else.
        alone: gives a context in which no other process writes to this file.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._path = path
        self._connection = connection
        self._alone = alone
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._kept: Job | None = None
        self._ending = False
        self._closed = False
        self._written = 0
        self._scrub = False
        connection.execute("PRAGMA wal_autocheckpoint=4000").fetchall()
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    async def do(self, act: Act[T], size: int = 100, *, scrub: bool = False) -> T:
        """Run `act` inside a transaction; returns when its effect is durable.

        Raises:
            errors.NoSpace: the disk is full; nothing was done.
            errors.Unavailable: any other fault of the disk, or closed; nothing was done.
        """
        if self._closed:
            raise errors.Unavailable("The store is closed.")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(Job(act, size, scrub, done))
        return await done

    async def close(self) -> None:
        """Finish what was asked, and stop."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._connection.close()

    def _run(self) -> None:
        while jobs := self._gather():
            try:
                with self._alone():
                    outcomes = self._together(jobs)
                    self._scrubbed(jobs)
            except (errors.PgoError, sqlite3.Error, OSError) as error:
                told = (
                    error if isinstance(error, errors.PgoError) else translated(error, self._path)
                )
                outcomes = [Outcome(job, error=told) for job in jobs]
            _answer(outcomes)
            self._checkpoint(jobs)

    def _gather(self) -> list[Job]:
        """Everything that waits, up to the bounds; waits for the first; [] at the end."""
        jobs: list[Job] = []
        size = 0
        while len(jobs) < MOST_JOBS and not self._ending:
            job, self._kept = self._kept, None
            try:
                job = job or self._queue.get(block=not jobs)
            except Empty:
                break
            if job is None:
                self._ending = True
            elif jobs and size + job.size > MOST_BYTES:
                self._kept = job
                break
            else:
                jobs.append(job)
                size += job.size
        return jobs

    def _together(self, jobs: Sequence[Job]) -> list[Outcome]:
        """One transaction for all; when the disk refuses that, one for each."""
        try:
            return self._transaction(jobs)
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if len(jobs) == 1:
                return [Outcome(jobs[0], error=translated(error, self._path))]
        return [outcome for job in jobs for outcome in self._together([job])]

    def _transaction(self, jobs: Sequence[Job]) -> list[Outcome]:
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = [self._only(jobs[0])] if len(jobs) == 1 else [self._one(job) for job in jobs]
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        return outcomes

    def _only(self, job: Job) -> Outcome:
        """The only job of a transaction; its refusal ends that."""
        try:
            return Outcome(job, job.act(self._connection))
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller gets to hear it
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return Outcome(job, error=error)

    def _one(self, job: Job) -> Outcome:
        """One job in a savepoint of its own: its refusal undoes nothing of the others."""
        execute = self._connection.execute
        execute("SAVEPOINT job")
        try:
            value = job.act(self._connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller gets to hear it
            execute("ROLLBACK TO job")
            execute("RELEASE job")
            return Outcome(job, error=error)
        execute("RELEASE job")
        return Outcome(job, value)

    def _scrubbed(self, jobs: Sequence[Job]) -> None:
        """Empty the log file when something was destroyed; again later if a reader is in the way.

        A reader of ours holds the log for microseconds; a foreign one may hold it for long, and
        the writer must not wait for that.
        """
        asked = any(job.scrub for job in jobs)
        if asked or self._scrub:
            patience = SCRUB_PATIENCE if asked else 0
            self._connection.execute(f"PRAGMA busy_timeout={patience}").fetchall()
            self._scrub = bool(self._move("TRUNCATE"))
            self._connection.execute("PRAGMA busy_timeout=5000").fetchall()

    def _checkpoint(self, jobs: Sequence[Job]) -> None:
        """Now and then move the log into the file, after the answers were given."""
        self._written += sum(job.size + 4096 for job in jobs)
        if self._written > CHECKPOINT:
            self._written = 0
            self._move("PASSIVE")

    def _move(self, how: str) -> int:
        """Checkpoint; 1 when it could not be finished. The log stays: nothing is lost."""
        try:
            rows = self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
        except sqlite3.Error:
            return 1
        return int(rows[0][0])


def translated(error: Exception, path: Path) -> errors.PgoError:
    """The error for the caller; the cause goes with it, for the log."""
    if isinstance(error, errors.PgoError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    full = code == sqlite3.SQLITE_FULL
    if code == sqlite3.SQLITE_IOERR:
        full = shutil.disk_usage(path.parent).free < CHECKPOINT // 16
    told: errors.PgoError = errors.Unavailable("The store cannot be used now; nothing was stored.")
    if full:
        told = errors.NoSpace("There is no space left; nothing was stored.")
    told.__cause__ = error
    return told


def _answer(outcomes: Sequence[Outcome]) -> None:
    """Tell everybody how it ended: one call per event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        loops[outcome.job.done.get_loop()].append(outcome)
    for loop, ended in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, ended)


def _settle(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.job.done.done():
            continue
        if outcome.error is None:
            outcome.job.done.set_result(outcome.value)
        else:
            outcome.job.done.set_exception(outcome.error)
