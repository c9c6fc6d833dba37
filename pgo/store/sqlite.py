"""Sealed dossiers in SQLite: four files beside each other, written by one thread per file.

`path` holds the log, bodies and values; `path-trail` the audit lines that are not in a commit, so
that writing down a read waits for no push and leaves what others have read of the rest in memory
(a token is found in 4 µs instead of 28); `path-trail-day-…` such lines on their way there, of one
process each; `path-images` the images, so that keeping one never blocks the log; `path-keys` the
wrapped keys, kept apart so that they can be backed up apart; `path-lock` is empty and only locked.
Reads see what was committed at that moment: no connection is left inside a statement, since that
would pin what it sees.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import cache, partial
from pathlib import Path

from pgo import errors
from pgo.store import sqlite_acts as acts
from pgo.store.contract import Commit, Line
from pgo.store.locks import LockFile, Turns, place_of
from pgo.store.sqlite_files import SCHEMAS, connect, prepare, refuse_network
from pgo.store.sqlite_lines import Lines, adopt
from pgo.store.sqlite_reads import COMMITS, IMAGE, Reader, Rows, split
from pgo.store.sqlite_writer import Writer

PATIENCE = 30.0  # seconds in a queue before it is given up
LARGEST_CHUNK = 4_000_000  # bytes of one piece of an image
INLINE = 100  # rows read in the event loop; more are read in a thread
MOUNTINFO = Path("/proc/self/mountinfo")


class SqliteStore:
    """`pgo.store.contract.Store` in SQLite; open it with `open`, in the event loop that uses it.

    Several processes on one machine may use the same files. Within a process turns are given in
    order of asking; between processes a waiter is not passed over for long.
    """

    def __init__(self, path: Path, locks: LockFile, clock: Callable[[], float]) -> None:
        data, trail, images, keys = (Path(f"{path}{part}") for part in SCHEMAS)
        self._clock = clock
        self._locks = locks
        self._turns = Turns()
        alone = partial(locks.held, patience=PATIENCE)
        self._data = Writer(data, connect(data), partial(alone, 0))
        self._images = Writer(images, connect(images), partial(alone, 1))
        self._keys = Writer(keys, connect(keys), partial(alone, 2))
        # A connection of its own for `head`: whatever another statement holds open, this sees now.
        self._heads, self._reads, self._scans = Reader(data), Reader(data), Reader(data)
        self._image_reads, self._key_reads = Reader(images), Reader(keys)
        writer = Writer(trail, connect(trail), partial(alone, 3))
        self._lines = Lines(trail, locks, writer, self._scans)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        mountinfo: Path = MOUNTINFO,
    ) -> SqliteStore:
        """Open the files, or make them: mode 0600, in a directory of mode 0700.

        Args:
            path: of the file with the data; the others are beside it.
            clock: seconds since 1970.
            mountinfo: what /proc/self/mountinfo says.

        Raises:
            errors.Unavailable: names PGO_STORE and what is wrong with it.
        """
        locks = await asyncio.to_thread(_prepared, path, mountinfo)
        return cls(path, locks, clock)

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        await self._lines.close()
        for writer in (self._data, self._images, self._keys):
            await writer.close()
        for reader in (
            self._heads,
            self._reads,
            self._scans,
            self._image_reads,
            self._key_reads,
        ):
            await asyncio.to_thread(reader.close)
        self._locks.close()

    async def ready(self) -> None:
        """Return when both reading and starting a write work; a write that changes nothing."""
        try:
            async with asyncio.timeout(5):
                for writer in (self._data, self._lines.writer):
                    await writer.do(lambda connection: connection.execute("SELECT 1").fetchall())
        except TimeoutError:
            raise errors.Unavailable("The store is too busy to write.") from None
        self._heads.rows("SELECT 1 FROM commits LIMIT 1")

    def mark(self) -> int | None:
        """How often another connection of any process has committed to the data, as SQLite says."""
        return self._heads.mark()

    # --- the log -------------------------------------------------------------------------------

    async def head(self, client: str) -> int:
        """Newest commit number, 0 when there is none; one point read on its own connection."""
        rows = self._heads.newest("SELECT max(n) FROM commits WHERE client = ?", client)
        return rows[0][0] or 0

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Be the only one, in any process, in the turn of this client.

        Raises:
            errors.Unavailable: the turn did not come within 30 seconds.
        """
        async with (
            self._turns.of(client, PATIENCE),
            self._locks.taken(place_of(client), PATIENCE),
        ):
            yield

    async def keep_bodies(self, client: str, bodies: Mapping[bytes, bytes]) -> None:
        """Write bodies in parts, so that others are written in between."""
        at = self._clock()
        for part, size in acts.parts(bodies):
            await self._data.do(partial(acts.keep_bodies, client=client, at=at, bodies=part), size)

    async def bodies(self, client: str, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """The bodies with these ids; absent ones are left out.

        A small page is remembered, sealed, until anybody commits to the file: what was erased by
        another process is gone here too.
        """
        if len(ids) <= INLINE:
            return dict(self._heads.newest(_bodies(len(ids)), client, *ids)) if ids else {}
        found: dict[bytes, bytes] = {}
        for start in range(0, len(ids), INLINE):
            part = ids[start : start + INLINE]
            found.update(await self._scan(_bodies(len(part)), client, *part))
        return found

    async def drop_bodies(self, client: str, ids: Sequence[bytes]) -> None:
        """Destroy bodies, in the file and in its log."""
        await self._drop(client, ids, math.inf)

    async def append(self, client: str, commit: Commit) -> None:
        """Add the next commit with its line.

        Raises:
            NotNext: n is not the head + 1; nothing was written.
            errors.Gone: the dossier was erased.
        """
        _same_client(client, commit)
        size = len(commit.sealed) + 16 * len(commit.bodies) + len(commit.line.sealed) + 200
        await self._data.do(partial(acts.append, client=client, commit=commit), size)

    async def commits(self, client: str, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits after this one, in order."""
        asked = (client, after, limit)
        rows = (
            self._reads.rows(COMMITS, *asked)
            if limit <= INLINE
            else await self._scan(COMMITS, *asked)
        )
        return [Commit(n, split(bodies), sealed, Line(*line)) for n, bodies, sealed, *line in rows]

    # --- the image -----------------------------------------------------------------------------

    async def image(self, client: str) -> tuple[int, tuple[bytes, ...]] | None:
        """The last image kept, read in a thread."""
        rows = await self._image_reads.scan(IMAGE, client, acts.NEVER_NEWER)
        return (rows[0][0], tuple(row[1] for row in rows if row[1] is not None)) if rows else None

    async def keep_image(self, client: str, n: int, chunks: Sequence[bytes]) -> bool:
        """Keep an image in its own file; False when n is not newer.

        Raises:
            errors.TooLarge: a chunk of more than 4 MB.
        """
        if any(len(chunk) > LARGEST_CHUNK for chunk in chunks):
            raise errors.TooLarge("A piece of the index is more than 4 MB.")
        act = partial(acts.keep_image, client=client, n=n, chunks=chunks)
        return await self._images.do(act, sum(map(len, chunks)))

    # --- the trail -----------------------------------------------------------------------------

    async def note(self, lines: Sequence[Line]) -> None:
        """Write audit lines, all or none; a line that is there already is left as it is.

        Raises:
            errors.Incident: another line has this place in its chain.
        """
        if lines:
            await self._lines.note(lines)

    def trail(self, client: str, since: int = 0, until: int | None = None) -> AsyncIterator[Line]:
        """Audit lines with since <= at < until, each chain in its own order."""
        return self._lines.read(client, since, 2**63 - 1 if until is None else until)

    # --- keys ----------------------------------------------------------------------------------

    async def key(self, client: str) -> dict[str, bytes]:
        """Wrapped keys by name."""
        return dict(
            self._key_reads.rows(
                "SELECT name, wrapped FROM keys WHERE client = ? AND wrapped IS NOT NULL", client
            )
        )

    async def keep_key(self, client: str, name: str, wrapped: bytes) -> bool:
        """Keep a wrapped key; False when there is one, or was one that was destroyed."""
        act = partial(acts.keep_key, client=client, name=name, wrapped=wrapped)
        return await self._keys.do(act)

    async def rewrap_key(self, client: str, name: str, old: bytes, new: bytes) -> bool:
        """Replace a wrapped key if it still is `old`; the old one leaves the disk."""
        act = partial(acts.rewrap_key, client=client, name=name, old=old, new=new)
        return await self._keys.do(act, scrub=True)

    async def destroy_key(self, client: str, name: str) -> None:
        """Overwrite a wrapped key in the file and in its log; its name is never used again."""
        await self._keys.do(partial(acts.destroy_key, client=client, name=name), scrub=True)

    async def clients(self) -> list[str]:
        """The ids of all that have a key ("system" too, when it has one), in order."""
        rows = await self._key_reads.scan(
            "SELECT DISTINCT client FROM keys WHERE wrapped IS NOT NULL ORDER BY client"
        )
        return [client for (client,) in rows]

    # --- values that expire --------------------------------------------------------------------

    async def put(
        self, space: str, key: str, value: bytes, expires: int, *, fresh: bool = False
    ) -> bool:
        """Keep a value; with `fresh` only when there is none or it expired by the store's clock."""
        in_use_after = self._clock() if fresh else 2**62
        act = partial(
            acts.put, place=(space, key), value=value, expires=expires, in_use_after=in_use_after
        )
        return await self._data.do(act, len(value) + 200)

    async def take(self, space: str, key: str, now: int) -> bytes | None:
        """Hand out a value and end it, in one transaction."""
        return await self._data.do(partial(acts.take, place=(space, key), now=now))

    async def peek(self, space: str, key: str, now: int) -> bytes | None:
        """The value, when it is there and not expired at `now`; a point read."""
        sql = "SELECT value, expires FROM expiring WHERE space = ? AND key = ?"
        rows = self._heads.newest(sql, space, key)
        return rows[0][0] if rows and rows[0][1] > now else None

    async def drop(self, space: str, key: str) -> None:
        """End a value."""
        await self._change("DELETE FROM expiring WHERE space = ? AND key = ?", space, key)

    # --- hints ---------------------------------------------------------------------------------

    async def link(self, grantee: str, client: str) -> None:
        """Remember a hint."""
        await self._change("INSERT OR IGNORE INTO links VALUES (?, ?)", grantee, client)

    async def unlink(self, grantee: str, client: str) -> None:
        """Forget a hint."""
        await self._change("DELETE FROM links WHERE grantee = ? AND client = ?", grantee, client)

    async def links(self, grantee: str) -> list[str]:
        """The clients hinted at, in order; a point read."""
        sql = "SELECT client FROM links WHERE grantee = ? ORDER BY client"
        return [client for (client,) in self._reads.rows(sql, grantee)]

    # --- registry ------------------------------------------------------------------------------

    async def register(
        self, kind: str, key: str, value: bytes, *, expected: bytes | None = None
    ) -> bool:
        """Keep a value under (kind, key); False when something else is there than expected."""
        act = partial(acts.register, place=(kind, key), value=value, expected=expected)
        return await self._data.do(act, len(value) + 200)

    async def lookup(self, kind: str, key: str) -> bytes | None:
        """The value registered under (kind, key); a point read."""
        sql = "SELECT value FROM registry WHERE kind = ? AND key = ?"
        rows = self._heads.newest(sql, kind, key)
        return rows[0][0] if rows else None

    async def listing(self, kind: str) -> dict[str, bytes]:
        """Everything registered under a kind, in order of key."""
        sql = "SELECT key, value FROM registry WHERE kind = ? ORDER BY key"
        return dict(await self._scan(sql, kind))

    async def unregister(self, kind: str, key: str) -> None:
        """Forget one."""
        await self._change("DELETE FROM registry WHERE kind = ? AND key = ?", kind, key)

    # --- the end -------------------------------------------------------------------------------

    async def sweep(self, client: str, older_than: float) -> int:
        """Destroy old bodies no commit refers to, and all expired values; how many bodies."""
        now = self._clock()  # before the commits are read: what is younger is left alone
        limit = now - older_than
        old = await self._scan("SELECT id FROM bodies WHERE client = ? AND at < ?", client, limit)
        refs = await self._scan("SELECT bodies FROM commits WHERE client = ?", client)
        named = {id_ for (bodies,) in refs for id_ in split(bodies)}
        destroyed = await self._drop(client, [id_ for (id_,) in old if id_ not in named], limit)
        while (
            await self._data.do(partial(acts.expire, now=now, most=acts.PART_ROWS))
            == acts.PART_ROWS
        ):
            pass
        return destroyed

    async def erase(self, client: str) -> None:
        """Destroy the data key, then everything that was sealed with it, in parts."""
        await self.destroy_key(client, "data")
        act = partial(acts.keep_image, client=client, n=acts.NEVER_NEWER, chunks=())
        await self._images.do(act, scrub=True)
        for erase in (acts.erase_commits, acts.erase_bodies):
            while (
                await self._data.do(partial(erase, client=client, most=acts.PART_ROWS))
                == acts.PART_ROWS
            ):
                pass
        await self._change("DELETE FROM links WHERE client = ?", client, scrub=True)

    async def _drop(self, client: str, ids: Sequence[bytes], before: float) -> int:
        destroyed = 0
        for start in range(0, len(ids), acts.PART_ROWS):
            part = ids[start : start + acts.PART_ROWS]
            last = start + acts.PART_ROWS >= len(ids)
            act = partial(acts.drop_bodies, client=client, ids=part, before=before)
            destroyed += await self._data.do(act, scrub=last)
        return destroyed

    async def _change(self, sql: str, *values: str, scrub: bool = False) -> None:
        await self._data.do(lambda connection: connection.execute(sql, values), scrub=scrub)

    async def _scan(self, sql: str, *values: object) -> Rows:
        return await self._scans.scan(sql, *values)


@cache
def _bodies(count: int) -> str:
    return f"SELECT id, sealed FROM bodies WHERE client = ? AND id IN ({', '.join('?' * count)})"


def _prepared(path: Path, mountinfo: Path) -> LockFile:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_network(path.parent, mountinfo)
        with ExitStack() as undo:
            locks = LockFile(Path(f"{path}-lock"))
            undo.callback(locks.close)
            with locks.held(0, PATIENCE):
                for part, schema in SCHEMAS.items():
                    prepare(Path(f"{path}{part}"), schema)
            adopt(Path(f"{path}-trail"), locks, partial(locks.held, 3, PATIENCE))
            undo.pop_all()
    except (OSError, sqlite3.Error) as error:
        raise errors.Unavailable("The store's files cannot be used (PGO_STORE).") from error
    return locks


def _same_client(client: str, commit: Commit) -> None:
    if commit.line.client != client:
        raise errors.Incident("The audit line of a commit is about another dossier.")
