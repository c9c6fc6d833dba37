"""Pieces judged ahead of who takes them in, by other processes and by himself while he waits.

Not while he waits for the store: it needs the interpreter too, and a commit would take longer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from pgo.fhir.elements import Release
from pgo.fhir.profiles import Profiles
from pgo.judged import Judged, judge
from pgo.judging import Judges
from pgo.pieces import Piece

BATCH: Final = 16
_HAND: Final = 2
"""As many are judged here at a time: a short while, since others wait."""
_BATCH_BYTES: Final = 200_000
_MOST_BYTES: Final = 1_000_000
"""Of text that is out, or lies judged; one piece may be more."""


class Ahead:
    """Judges pieces in order, a few ahead.

    Args:
        release: of all pieces.
        found: the pieces; read as far as is needed.
        judges: the processes that judge; what they cannot take now is judged here.
        profiles: those that are here.
    """

    def __init__(
        self, release: Release, found: Iterable[Piece], judges: Judges, profiles: Profiles
    ) -> None:
        self._release, self._judges, self._profiles = release, judges, profiles
        self._batches = _batches(found)
        self._given = next(self._batches, [])
        self._out: deque[tuple[list[Piece], asyncio.Future[list[Judged]]]] = deque()
        self._bytes = 0

    async def next(self) -> list[tuple[Piece, Judged]]:
        """The next pieces with what was found in each; none at the end.

        Raises:
            Unavailable: the process that had them ended.
        """
        self._hand_out()
        while not (self._out and self._out[0][1].done()) and await self.lend_a_hand():
            pass
        if not self._out:
            return []
        batch, answer = self._out.popleft()
        self._bytes -= _size(batch)
        return list(zip(batch, await answer, strict=True))

    async def lend_a_hand(self) -> bool:
        """Judge some here, as whoever waits can; False when enough is out, or there is no more.

        Others had their turn when it is done.
        """
        self._hand_out()
        if not self._given or self._bytes > _MOST_BYTES:
            return False
        some, self._given = self._given[:_HAND], self._given[_HAND:]
        answer: asyncio.Future[list[Judged]] = asyncio.get_running_loop().create_future()
        answer.set_result([judge(self._release, piece, self._profiles) for piece in some])
        self._put_out(some, answer)
        await asyncio.sleep(0)
        return True

    def _hand_out(self) -> None:
        while self._given and self._bytes <= _MOST_BYTES:
            answer = self._judges.ask(self._release, self._given)
            if answer is None:
                return
            some, self._given = self._given, []
            self._put_out(some, answer)

    def _put_out(self, some: list[Piece], answer: asyncio.Future[list[Judged]]) -> None:
        self._out.append((some, answer))
        self._bytes += _size(some)
        self._given = self._given or next(self._batches, [])


def _size(some: Iterable[Piece]) -> int:
    return sum(len(piece.raw) for piece in some)


def _batches(found: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces together, as many as are worth handing over at once."""
    batch: list[Piece] = []
    size = 0
    for piece in found:
        batch.append(piece)
        size += len(piece.raw)
        if len(batch) == BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
