"""The last lines of a trail before a moment, newest first, without reading all that came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pgo.audit.entry import Entry
from pgo.audit.trail import Trail

_DAY: Final = 86_400_000_000

Mark = tuple[int, str]
"""How far a reader is: moment (µs) and id of the last line he got."""
Show = Callable[[Entry], Entry | None]
"""A line as its reader may see it; None when he may not."""


def mark(entry: Entry) -> Mark:
    """The place of a line; lines of one microsecond are in the order of their ids."""
    return entry.at, entry.id


async def latest(
    trail: Trail, client: str, since: int, before: Mark, enough: int, show: Show
) -> list[Entry]:
    """Lines that are shown, from a mark (not itself) back to `since`: all, or at least `enough`.

    It looks a day back, then two, then four: a page costs what is on it, not what a dossier has.

    Args:
        trail: where they are.
        client: id of the dossier.
        since: µs, included.
        before: lines from here on are left out.
        enough: how many will do.
        show: what the reader sees of a line.
    """
    found: list[Entry] = []
    end, width = before[0] + 1, _DAY
    while end > since and len(found) < enough:
        start = max(since, end - width)
        part = [one async for one in trail.read(client, start, end) if mark(one) < before]
        part.sort(key=mark, reverse=True)
        found += [shown for one in part if (shown := show(one)) is not None]
        end, width = start, 2 * width
    return found
