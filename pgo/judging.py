"""Pieces judged in other processes, so that an import uses the other cores of the machine too.

`Judges` are started for one command and end with it. Each has at most a few batches under way; what
it cannot take, the caller judges himself, so a machine with one core needs none of them. A process
that ends by itself fails what it had under way, at once; it is not started again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final, Self

from pgo.errors import Unavailable
from pgo.fhir.elements import Release
from pgo.judge import FRONT, framed, lengths, opened
from pgo.judged import Judged, heard
from pgo.pieces import Piece

MOST: Final = 3
"""More do not help: one process stores what they judge."""
_UNDER_WAY: Final = 8
_BUFFER: Final = 1_000_000
_LOST: Final = (
    "a process that checks resources ended by itself; what was committed stays, the rest was not"
    " stored: look for a file that needs too much memory, and import again"
)


def spare() -> int:
    """How many processes go well with this one, on the cores that it may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(0, min((cores or 1) - 1, MOST))


class Judges:
    """Processes that judge; use it in an `async with`, in one event loop.

    Args:
        count: how many, 0 for none.
        profiles: the folder of the deployment's profiles, if it has one.
        searches: that of its search parameters.
    """

    def __init__(
        self, count: int, profiles: Path | None = None, searches: Path | None = None
    ) -> None:
        self._count = count
        self._told = {"profiles": str(profiles or ""), "searches": str(searches or "")}
        self._all: list[_Judge] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(one.end() for one in self._all))

    async def start(self) -> None:
        """Start them, unless they are; they take work as soon as each is ready."""
        with suppress(OSError):  # no room for another process: then all is judged by the caller
            while len(self._all) < self._count:
                self._all.append(await _started(self._told))

    async def ready(self) -> None:
        """Wait until each takes work, or has ended."""
        await asyncio.gather(*(one.begun.wait() for one in self._all))

    async def ended(self) -> None:
        """Wait until each has ended, by itself or by another's doing."""
        await asyncio.gather(*(one.process.wait() for one in self._all))

    @property
    def processes(self) -> list[int]:
        """The ids of those that live."""
        return [one.process.pid for one in self._all if one.process.returncode is None]

    def ask(self, release: Release, pieces: Sequence[Piece]) -> asyncio.Future[list[Judged]] | None:
        """Have these judged; None when nobody can take them now.

        Raises:
            Unavailable: (awaited) the process that had them ended.
        """
        free = [one for one in self._all if one.takes and len(one.asked) < _UNDER_WAY]
        if not free:
            return None
        return min(free, key=lambda one: len(one.asked)).ask(release, pieces)


class _Judge:
    """One process and what it has under way, in order."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.asked: deque[asyncio.Future[list[Judged]]] = deque()
        self.begun = asyncio.Event()
        self.takes = False
        self._listening = asyncio.create_task(self._listen())

    def tell(self, frame: bytes) -> None:
        if self.process.stdin is not None:
            self.process.stdin.write(frame)

    def ask(self, release: Release, pieces: Sequence[Piece]) -> asyncio.Future[list[Judged]]:
        answer: asyncio.Future[list[Judged]] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        xml = [one.xml for one in pieces]
        self.tell(framed({"release": release, "xml": xml}, [one.raw for one in pieces]))
        return answer

    async def _listen(self) -> None:
        try:
            await self._frame()
            self.takes = True
            self.begun.set()
            while True:
                found = heard(*await self._frame())
                answer = self.asked.popleft()
                if not answer.done():
                    answer.set_result(found)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            self.takes = False
            self.begun.set()
            for answer in self.asked:
                if not answer.done():
                    answer.set_exception(Unavailable(_LOST))
                    answer.exception()  # who does not wait for it any more need not be told

    async def _frame(self) -> tuple[Any, list[bytes]]:
        source = self.process.stdout
        if source is None:
            raise ConnectionError
        head, joined = lengths(await source.readexactly(FRONT))
        return opened(await source.readexactly(head), await source.readexactly(joined))

    async def end(self) -> None:
        """End the process, whatever it is doing: it keeps nothing."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.returncode is None:
            with suppress(ProcessLookupError):  # not `process.kill`, which waits for it unasked
                os.kill(self.process.pid, SIGKILL)
        await self._listening
        await self.process.wait()


async def _started(told: dict[str, str]) -> _Judge:
    """A process of its own session, so that Ctrl-C reaches it through us; it gets no settings."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PGO_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pgo.judge"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=environment,
        limit=_BUFFER,
        start_new_session=True,
    )
    judge = _Judge(process)
    judge.tell(framed(told))
    return judge
