"""The order in which audit lines of several chains are read; knows no database."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from pgo.store.contract import Line

Page = Callable[[int], Awaitable[list[Line]]]
PAGE = 200  # lines read at once


class _Chain:
    """One chain, read page by page; a page has the lines with seq above a number, in order."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._lines: deque[Line] = deque()
        self._seq = 0

    async def next(self) -> Line | None:
        """The next line, or None at the end."""
        if not self._lines:
            self._lines.extend(await self._page(self._seq))
        if not self._lines:
            return None
        line = self._lines.popleft()
        self._seq = line.seq
        return line


async def merged(pages: Iterable[Page]) -> AsyncIterator[Line]:
    """Lines of all chains by time, while each chain keeps its own order, even if a clock went back.

    Args:
        pages: per chain a function that gives the first lines with a higher seq than asked.
    """
    waiting: list[tuple[int, int, Line]] = []
    chains = [_Chain(page) for page in pages]

    async def advance(index: int) -> None:
        line = await chains[index].next()
        if line is not None:
            heapq.heappush(waiting, (line.at, index, line))

    for index in range(len(chains)):
        await advance(index)
    while waiting:
        _, index, line = heapq.heappop(waiting)
        yield line
        await advance(index)
