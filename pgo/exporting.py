"""Exports under way: what is asked, as of which commit, and how far it is; sealed, for an hour.

An export is a list of files, each a stretch of one type in the order of the log. It holds no
content and no decision: what a file shows is decided when it is fetched. The list is made a part
at a time, by whoever asks how far it is, on any worker; nothing runs in between.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Final

import orjson

from pgo.dossier.seal import Box
from pgo.errors import TooMany
from pgo.store.contract import Store

SECONDS: Final = 3600
"""How long an export is there, from its start."""
PATIENCE: Final = 60
"""For so many seconds after it was last asked for, an unfinished export keeps others waiting."""
LARGEST: Final = 1_000
"""Resources in one file."""
_SPACE: Final = "export"
_BUSY: Final = "exporting"


@dataclass(slots=True)
class Stretch:
    """One file: resources of one type with `after` < rid <= `until`."""

    type: str
    after: int
    until: int
    count: int


@dataclass(slots=True)
class Export:
    """One export; `at` and `expires` in seconds and µs since 1970, `n` the commit it is as of.

    `asked` are its parameters, `url` its own address as asked; `mark` the last rid looked at and
    `seen` how many resources that were; `done` when the list of files is whole.
    """

    who: list[str]
    release: str
    asked: list[tuple[str, str]]
    url: str
    n: int
    at: int
    expires: int
    mark: int = 0
    seen: int = 0
    done: bool = False
    files: list[Stretch] = field(default_factory=list)

    def add(self, type_: str, rid: int) -> None:
        """One more resource, in the order of rids: into the newest file of its type with room."""
        self.seen += 1
        self.mark = rid
        last = next((one for one in reversed(self.files) if one.type == type_), None)
        if last is None or last.count >= LARGEST:
            self.files.append(Stretch(type_, last.until if last else 0, rid, 1))
        else:
            last.until = rid
            last.count += 1


class Exports:
    """The exports of one dossier: `box` seals, `store` keeps."""

    def __init__(self, store: Store, box: Box, client: str) -> None:
        self._store, self._box, self._client = store, box, client

    async def begin(self, name: str, export: Export, now: int) -> None:
        """Keep a new export, one at a time for each caller; `now` in seconds.

        Raises:
            TooMany: an earlier one is not finished.
        """
        key, until = self._busy(export), now + PATIENCE
        if not await self._store.put(_BUSY, key, name.encode(), until, fresh=True):
            after = {"Retry-After": str(PATIENCE)}
            raise TooMany("one export at a time; ask how far the first one is", headers=after)
        await self.keep(name, export)

    async def keep(self, name: str, export: Export) -> None:
        """Keep how far it is."""
        sealed = self._box.seal(self._place(name), orjson.dumps(asdict(export)))
        await self._store.put(_SPACE, f"{self._client}|{name}", sealed, export.expires)

    async def find(self, name: str, now: int) -> Export | None:
        """The export by this name; None when there is none, or it is over."""
        sealed = await self._store.peek(_SPACE, f"{self._client}|{name}", now)
        if sealed is None:
            return None
        row = orjson.loads(self._box.open(self._place(name), sealed))
        row["files"] = [Stretch(**one) for one in row["files"]]
        row["asked"] = [(key, value) for key, value in row["asked"]]
        return Export(**row)

    async def go_on(self, name: str, export: Export, now: int) -> None:
        """Keep others waiting a little longer, or no more when it is done."""
        if export.done:
            await self._store.drop(_BUSY, self._busy(export))
        else:
            await self._store.put(_BUSY, self._busy(export), name.encode(), now + PATIENCE)

    async def end(self, name: str, export: Export) -> None:
        """Forget it."""
        await self._store.drop(_SPACE, f"{self._client}|{name}")
        await self._store.drop(_BUSY, self._busy(export))

    def _busy(self, export: Export) -> str:
        return "|".join((self._client, *export.who))

    def _place(self, name: str) -> bytes:
        return f"pgo1|export|{self._client}|{name}".encode()
