"""Open dossiers: one client's record ready to be asked, kept up to date by a head check.

Every request first reads the head and replays what is new, so that a revoked consent or a new
result is seen by every worker at once (architecture 1).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from pgo.dossier import asked, cutting
from pgo.dossier.asked import Asked
from pgo.dossier.image import Image, Row
from pgo.dossier.log import Change, Delta
from pgo.dossier.places import body_place, commit_place, image_place, opened_image
from pgo.dossier.seal import SEALING, DossierKeys, Keys
from pgo.errors import Incident, NotFound, PgoError
from pgo.fhir import added, index, large, text
from pgo.fhir.added import Searches
from pgo.fhir.elements import Release
from pgo.fhir.large import Large
from pgo.fhir.own import Own
from pgo.store.contract import Commit, Line, NotNext, Store

_CHUNK: Final = 4_000_000 - SEALING
_REPLAY: Final = 200
_WEIGHED: Final = 64  # calls after which all are weighed again: each time took 7 % of a read
_NO_HASH: Final = bytes(32)
_log = logging.getLogger(__name__)

MakeLine = Callable[[int, bytes], Line]
"""Makes the commit's own audit line out of (n, hash of the line before it)."""


class Dossier:
    """One client's record. Reading is synchronous on `image`; texts and commits are awaited.

    `memo` holds what others worked out of the rules, with the commit number it holds for;
    `searches` the search parameters that index rows are made with and searches read with; `own`
    what absolute references to this server's own address (`issuer`) mean.
    """

    def __init__(
        self,
        client: str,
        store: Store,
        keys: DossierKeys,
        image: Image,
        searches: Searches | None = None,
        issuer: str = "",
    ) -> None:
        self.client = client
        self.own = Own(issuer, client)
        self.searches = searches = searches or added.searches()
        self.keys = keys
        self.image = image
        self.kept_n = image.n
        self.bytes = image.size()
        self.memo: dict[str, tuple[int, Any]] = {}
        self.asked = Asked()
        self.beside: dict[str, int] = {}
        self._store = store
        self._line: tuple[int, bytes] = (0, _NO_HASH)
        self._replaying = asyncio.Lock()
        self._marks = {rel: one.mark for rel, one in searches.items()}
        self.outdated = True
        self.mark: int | None = None

    def weight(self) -> int:
        """Bytes of memory it takes: its image, and what is remembered beside it."""
        beside = self.image.beside() + sum(self.beside.values())
        return self.bytes + self.asked.size() + beside

    async def refresh(self) -> None:
        """Bring the image up to the head of the log, as of now."""
        if await self._store.head(self.client) > self.image.n:
            async with self._replaying:
                await self._replay()

    async def _replay(self) -> None:
        head = await self._store.head(self.client)
        while self.image.n < head:
            commits = await self._store.commits(self.client, self.image.n, _REPLAY)
            if not commits:
                raise NotFound("not found")
            for commit in commits:
                delta = self._delta(commit)
                self.image.apply(delta)
                self._line = (commit.n, commit.line.hash)
                self.outdated |= any(one.made != self._marks[one.rel] for one in delta.changes)
            self.bytes = self.image.size()
            await asyncio.sleep(0)

    async def reindex(self, *, everything: bool = False) -> int:
        """Make index rows anew from the texts where they were made with other search parameters.

        Commits keep the rows they were written with; the image, which is derived, gets these. So a
        new parameter finds what was there before. A text that does not open keeps its old rows.

        Returns:
            How many resources were indexed anew.
        """
        async with self._replaying:
            if not (self.outdated or everything):
                return 0
            stale = self.image.outdated({} if everything else self._marks)
            for start in range(0, len(stale), _REPLAY):
                await self._index(stale[start : start + _REPLAY])
            self.outdated = False
            self.bytes = self.image.size()
            self.asked.clear()
        return len(stale)

    async def _index(self, rows: Sequence[Row]) -> None:
        try:
            texts = await self.texts(rows)
        except Incident:
            if len(rows) > 1:
                for row in rows:
                    await self._index([row])
            else:
                _log.warning("a stored text does not open; its index rows stay as they were")
            return
        for row, raw in zip(rows, texts, strict=True):
            tree = self.own.meant(row.rel, text.reread(raw))
            made = index.rows(row.rel, tree, self.searches[row.rel])
            self.image.reindex(row, made, self._marks[row.rel])

    def _delta(self, commit: Commit) -> Delta:
        return Delta.decode(self.keys.box.open(commit_place(self.client, commit.n), commit.sealed))

    async def deltas(self, after: int, limit: int = _REPLAY) -> list[Delta]:
        """What the commits after `after` said, in order; at most `limit`."""
        return [self._delta(one) for one in await self._store.commits(self.client, after, limit)]

    def count(self, sql: str, args: Sequence[Any]) -> int:
        """How many rows a statement has; not counted twice while nothing changed."""
        return asked.count(self.asked, self.image, sql, args)

    def places(self, sql: str, args: Sequence[Any], name: bytes = b"") -> Sequence[tuple[int, int]]:
        """The (rid, version) of each row; not looked up twice while nothing changed."""
        return asked.places(self.asked, self.image, sql, args, name)

    # --- texts ---------------------------------------------------------------------------------

    async def text(self, row: Row) -> bytes:
        """The resource text of one version, as in `texts`.

        Raises:
            Incident: the body is not there, or does not open.
        """
        found = await self._store.bodies(self.client, [row.body] if row.body else [])
        return _bare(row, self._opened((row,), found)[0])

    async def texts(self, rows: Sequence[Row]) -> list[bytes]:
        """The resource texts of these versions, in order; one round trip.

        Of a Binary whose bytes are kept in pieces it is the text without them, tagged as a part.

        Raises:
            Incident: a body that should be there is not, or does not open.
        """
        ids = [row.body for row in rows if row.body is not None]
        found = await self._store.bodies(self.client, ids) if ids else {}
        return list(map(_bare, rows, self._opened(rows, found)))

    def _opened(self, rows: Sequence[Row], found: dict[bytes, bytes]) -> list[bytes]:
        try:
            sealed = [found[row.body or b""] for row in rows]
        except KeyError:
            raise Incident("a stored text is missing") from None
        places = [body_place(self.client, row) for row in rows]
        return self.keys.box.open_each(zip(places, sealed, strict=True))

    async def document(self, row: Row) -> tuple[Large | None, bytes]:
        """Where the bytes of a Binary are, when they are in pieces; and its text.

        The text then has the name of the Large in the place of the bytes.

        Raises:
            Incident: the body is not there, or does not open.
        """
        found = await self._store.bodies(self.client, [row.body] if row.body else [])
        return large.unpacked(self._opened([row], found)[0])

    async def pieces(self, document: Large) -> AsyncGenerator[bytes, None]:
        """The bytes of a large document, piece by piece.

        Raises:
            Incident: a piece is not there, does not open, or is another one.
        """
        ids = cutting.ids_of(self.keys, document.name, document.count)
        size = 0
        for number, id_ in enumerate(ids):
            found = await self._store.bodies(self.client, [id_])
            if id_ not in found:
                raise Incident("a piece of a stored document is missing")
            piece = cutting.opened(self.client, self.keys, document, number, found[id_])
            size += len(piece)
            yield piece
            await asyncio.sleep(0)  # nothing above has to wait for anything: others get their turn
        if size != document.size:
            raise Incident("a stored document is not whole")

    async def keep_piece(self, id_: bytes, sealed: bytes) -> None:
        """Keep one piece, before the commit that names it."""
        await self._store.keep_bodies(self.client, {id_: sealed})

    async def drop_pieces(self, ids: Sequence[bytes]) -> None:
        """Destroy pieces that no commit will name."""
        if ids:
            await self._store.drop_bodies(self.client, ids)

    # --- changing ------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold this dossier's write queue, with the image up to date."""
        async with self._store.turn(self.client):
            await self.refresh()
            yield

    def seal_body(self, change: Change, text: bytes) -> tuple[str, bytes]:
        """A fresh body id (hex) and the sealed text of a change."""
        place = body_place(self.client, change)
        return os.urandom(16).hex(), self.keys.box.seal(place, text)

    async def commit(self, delta: Delta, bodies: dict[bytes, bytes], make_line: MakeLine) -> Line:
        """Bodies first, commit last; durable and in the image when it returns its audit line.

        Raises:
            NotNext: another process was first; refresh and try again.
        """
        if bodies:
            await self._store.keep_bodies(self.client, bodies)
        place = commit_place(self.client, delta.n)
        sealed = self.keys.box.seal(place, delta.encode())
        line = make_line(delta.n, await self._last_line(delta.n - 1))
        named = tuple(
            bytes.fromhex(id_) for c in delta.changes if c.body for id_ in (c.body, *c.pieces)
        )
        await self._store.append(self.client, Commit(delta.n, named, sealed, line))
        async with self._replaying:
            if self.image.n == delta.n - 1:
                self.image.apply(delta)
                self._line = (delta.n, line.hash)
                self.bytes = self.image.size()
        return line

    async def _last_line(self, n: int) -> bytes:
        if n == 0:
            return _NO_HASH
        if self._line[0] != n:
            commits = await self._store.commits(self.client, n - 1, 1)
            if not commits or commits[0].n != n:
                raise NotNext
            self._line = (n, commits[0].line.hash)
        return self._line[1]

    async def keep_image(self) -> None:
        """Serialise, seal and keep the image; the sealing runs beside the event loop."""
        n, plain = self.image.n, self.image.serialize()
        self.kept_n = n
        chunks = await asyncio.to_thread(self._seal_image, n, plain)
        await self._store.keep_image(self.client, n, chunks)

    def _seal_image(self, n: int, plain: bytes) -> list[bytes]:
        parts = [plain[at : at + _CHUNK] for at in range(0, len(plain), _CHUNK)]
        return [
            self.keys.box.seal(image_place(self.client, n, i, len(parts)), part)
            for i, part in enumerate(parts)
        ]


class Dossiers:
    """All open dossiers of this process: an LRU bounded in bytes."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        open_bytes: int,
        image_every: int,
        searches: Searches | None = None,
        issuer: str = "",
    ) -> None:
        self.store = store
        self._issuer = issuer
        self.searches = searches or added.searches()
        self.keys = keys
        self._open: OrderedDict[str, Dossier] = OrderedDict()
        self._opening: dict[str, asyncio.Task[Dossier]] = {}
        self._weigh_in = 0
        self._bytes = open_bytes
        self._image_every = image_every
        self._keeping: set[asyncio.Task[None]] = set()

    async def open(self, client: str) -> Dossier:
        """The dossier of this client, up to date.

        Raises:
            NotFound: there is none.
        """
        keys = await self.keys.data(client)
        dossier = self._open.get(client)
        if dossier is None or dossier.keys is not keys:
            dossier = await self._load_once(client, keys)
            self._weigh_in = 0
        self._open[client] = dossier
        self._open.move_to_end(client)
        mark = self.store.mark()
        if mark is None or mark != dossier.mark:
            await dossier.refresh()
            dossier.mark = mark
        if dossier.outdated and await dossier.reindex():
            dossier.kept_n = -self._image_every
        self.settle(dossier)
        self._make_room()
        return dossier

    async def _load_once(self, client: str, keys: DossierKeys) -> Dossier:
        task = self._opening.get(client)
        if task is None:
            task = asyncio.create_task(self._load(client, keys))
            self._opening[client] = task
            task.add_done_callback(lambda _: self._opening.pop(client, None))
        return await asyncio.shield(task)

    async def _load(self, client: str, keys: DossierKeys) -> Dossier:
        kept = await self.store.image(client)
        image = opened_image(client, keys, kept) if kept else None
        return Dossier(client, self.store, keys, image or Image(), self.searches, self._issuer)

    def _make_room(self) -> None:
        """Let go of what was not used for longest; weighed when one came, and now and then."""
        self._weigh_in -= 1
        if self._weigh_in > 0:
            return
        self._weigh_in = max(_WEIGHED, len(self._open))
        total = sum(dossier.weight() for dossier in self._open.values())
        while total > self._bytes and len(self._open) > 1:
            _, gone = self._open.popitem(last=False)
            total -= gone.weight()

    def settle(self, dossier: Dossier) -> None:
        """After a commit or a long replay: keep a new image in the background when it is time."""
        if dossier.image.n - dossier.kept_n < self._image_every:
            return
        task = asyncio.create_task(self._keep(dossier))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _keep(self, dossier: Dossier) -> None:
        try:
            await dossier.keep_image()
        except PgoError:
            _log.warning("an image could not be kept; it will be made again from the log")

    async def close(self) -> None:
        """Wait for images under way."""
        while self._keeping:
            await asyncio.gather(*tuple(self._keeping), return_exceptions=True)

    def let_go(self, client: str) -> None:
        """Keep nothing of a dossier in memory: it was erased."""
        self._open.pop(client, None)

    @property
    def open_clients(self) -> tuple[str, ...]:
        """Whose dossiers are open in this process."""
        return tuple(self._open)


def _bare(row: Row, raw: bytes) -> bytes:
    return large.bare(release_of(row), raw) if row.type == large.BINARY else raw


def release_of(row: Row) -> Release:
    """The FHIR release of a row."""
    return "stu3" if row.rel == "stu3" else "r4"
