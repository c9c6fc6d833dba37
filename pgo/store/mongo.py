"""Sealed dossiers in MongoDB, for when one machine is not enough.

Each verb is one or a few operations on single documents, and the document that makes a change true
is written last: a commit under its unique (client, n), the name of an image, the name of a batch
of audit lines. There are no multi-document transactions. Every write waits for a majority and its
journal; every read asks the primary for what a majority has, and `head` asks for a linearizable
read. A standalone server, accepted for tests only, gives weaker reads where it knows no other.
After a fault on the way to the server, what raised Unavailable may still have happened.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from pymongo.errors import AutoReconnect, DuplicateKeyError

from pgo import errors
from pgo.store.contract import Commit, Line, NotNext
from pgo.store.locks import Turns
from pgo.store.mongo_address import database_of
from pgo.store.mongo_documents import (
    INDEXES,
    RESTORING,
    Document,
    commit_document,
    commit_of,
    gapless,
    line_document,
    line_of,
)
from pgo.store.mongo_driver import Client, connect, insert, level_of, sure, told
from pgo.store.mongo_values import MongoValues
from pgo.store.trail import PAGE, merged

PATIENCE = 30.0  # seconds in the queue of a dossier
LARGEST_CHUNK = 4_000_000  # bytes; a document ends at 16 MB
NEVER_NEWER = 2**62  # the n of an erased dossier's image
READ_AGAIN = 5  # times an image may be replaced under a reader; then he does without
PART = 500  # documents destroyed in one operation


class MongoStore(MongoValues):
    """`pgo.store.contract.Store` in MongoDB; bound to the event loop it was opened in.

    Ages of bodies are by the clocks of the machines that kept them: these may differ by less than
    the `older_than` of `sweep`.
    """

    def __init__(self, client: Client, name: str, level: str, clock: Callable[[], float]) -> None:
        usual = "majority" if level == "linearizable" else level
        super().__init__(client, name, usual, clock)
        self._client = client
        self._turns = Turns()
        data = self.data
        self._bodies, self._commits, self._lines = data["bodies"], data["commits"], data["lines"]
        self._batches, self._images, self._chunks = data["batches"], data["images"], data["chunks"]
        self._heads = sure(self._commits, level)

    @classmethod
    async def open(
        cls, address: str, *, strict: bool, standalone: bool, clock: Callable[[], float]
    ) -> MongoStore:
        """Connect, refuse what is weaker than the contract, make the indexes.

        Args:
            address: mongodb://host/database.
            strict: refuse a standalone server whatever `standalone` says.
            standalone: accept a server without replica set.
            clock: seconds since 1970.

        Raises:
            errors.BadValue: the address is no good, or a restore into it was not finished.
            errors.Unavailable: no such server, or it cannot keep the promises.
        """
        store = await cls.connected(address, strict=strict, standalone=standalone, clock=clock)
        try:
            await store.refuse_unfinished()
            await store.make_indexes()
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def connected(
        cls, address: str, *, strict: bool, standalone: bool, clock: Callable[[], float]
    ) -> MongoStore:
        """As `open`, whatever is in the database, and nothing is made in it."""
        name = database_of(address)
        client = connect(address)
        try:
            level = await level_of(client, f"{name}.commits", strict=strict, standalone=standalone)
        except BaseException:
            await client.close()
            raise
        return cls(client, name, level, clock)

    @told
    async def refuse_unfinished(self) -> None:
        """Nobody works on the half of a copy.

        Raises:
            errors.BadValue: a restore into this database was not finished.
        """
        if await self.data[RESTORING].find_one({}):
            raise errors.BadValue(
                "a restore into this database was not finished; restore the copy into another"
                f" database, or drop this one and the one named {self.wrapped.name} first",
                place="PGO_STORE",
            )

    @told
    async def make_indexes(self) -> None:
        """Make the indexes that the promises rest on, where they are not there."""
        for name, indexes in INDEXES.items():
            for fields, unique in indexes:
                await self.data[name].create_index([(field, 1) for field in fields], unique=unique)

    async def close(self) -> None:
        """Let go of the sockets."""
        await self._client.close()

    async def ready(self) -> None:
        """Return when the primary answers."""
        await self.head("system")

    def mark(self) -> int | None:
        """Not known here: others write too, and the server is asked each time."""
        return None

    # --- the log -------------------------------------------------------------------------------

    @told
    async def head(self, client: str) -> int:
        """Newest commit number, 0 when there is none."""
        newest = self._heads.find({"client": client}, {"n": 1}).sort("n", -1).limit(1)
        return next((document["n"] for document in await newest.to_list()), 0)

    def turn(self, client: str) -> AbstractAsyncContextManager[None]:
        """Be the only one of this process; between processes `append` decides."""
        return self._turns.of(client, PATIENCE)

    @told
    async def keep_bodies(self, client: str, bodies: Mapping[bytes, bytes]) -> None:
        """Write bodies; one that is there stays as it is, but counts as kept now."""
        at = self._clock()
        documents = [
            {"_id": f"{client}/{id_.hex()}", "client": client, "at": at, "sealed": sealed}
            for id_, sealed in bodies.items()
        ]
        there = [documents[i]["_id"] for i in await insert(self._bodies, documents)]
        if there:
            again = {"client": client, "_id": {"$in": there}}
            await self._bodies.update_many(again, {"$set": {"at": at}})

    @told
    async def bodies(self, client: str, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """The bodies with these ids; absent ones are left out."""
        names = {f"{client}/{id_.hex()}": id_ for id_ in ids}
        found = self._bodies.find({"client": client, "_id": {"$in": list(names)}}, {"sealed": 1})
        return {names[x["_id"]]: bytes(x["sealed"]) for x in await found.to_list()}

    @told
    async def drop_bodies(self, client: str, ids: Sequence[bytes]) -> None:
        """Destroy bodies (the server's own journal forgets them in time)."""
        names = [f"{client}/{id_.hex()}" for id_ in ids]
        await self._bodies.delete_many({"client": client, "_id": {"$in": names}})

    @told
    async def append(self, client: str, commit: Commit) -> None:
        """Add the next commit with its line in one document.

        Raises:
            NotNext: n is not the head + 1; nothing was written.
            errors.Gone: the dossier was erased.
        """
        if commit.line.client != client:
            raise errors.Incident("The audit line of a commit is about another dossier.")
        await self._follows(client, commit.n)
        try:
            await self._commits.insert_one(commit_document(client, commit))
        except DuplicateKeyError:
            raise NotNext from None
        except AutoReconnect:
            there = await self._commits.find_one({"client": client, "n": commit.n})
            if there is None or bytes(there["line"]["hash"]) != commit.line.hash:
                raise

    async def _follows(self, client: str, n: int) -> None:
        """Refuse a commit whose predecessor is not there; the unique index refuses its double."""
        if n > 1:
            before = await self._commits.find_one({"client": client, "n": n - 1}, {"erased": 1})
            if before and before["erased"]:
                raise errors.Gone("This dossier was erased.")
        if n < 1 or (n > 1 and not before):
            raise NotNext

    @told
    async def commits(self, client: str, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits after this one, in order."""
        wanted = {"client": client, "n": {"$gt": after}, "erased": False}
        found = self._commits.find(wanted).sort("n", 1).limit(limit)
        return gapless([commit_of(document) for document in await found.to_list()], after)

    # --- the image -----------------------------------------------------------------------------

    @told
    async def image(self, client: str) -> tuple[int, tuple[bytes, ...]] | None:
        """The last image kept; read again when it was replaced meanwhile."""
        for _ in range(READ_AGAIN):
            named = await self._images.find_one({"_id": client, "n": {"$lt": NEVER_NEWER}})
            if named is None:
                return None
            found = self._chunks.find({"client": client, "tag": named["tag"]}).sort("i", 1)
            chunks = tuple(bytes(chunk["data"]) for chunk in await found.to_list())
            if len(chunks) == named["count"]:
                return named["n"], chunks
        return None

    @told
    async def keep_image(self, client: str, n: int, chunks: Sequence[bytes]) -> bool:
        """Write the chunks, then name them, then remove the older ones; False when not newer.

        Raises:
            errors.TooLarge: a chunk of more than 4 MB.
        """
        if any(len(chunk) > LARGEST_CHUNK for chunk in chunks):
            raise errors.TooLarge("A piece of the index is more than 4 MB.")
        if await self._images.find_one({"_id": client, "n": {"$gte": n}}):
            return False
        tag, at = secrets.token_hex(12), self._clock()
        for i, data in enumerate(chunks):
            await self._chunks.insert_one(
                {"client": client, "tag": tag, "i": i, "at": at, "data": data}
            )
        old = await self._name(client, {"n": n, "tag": tag, "count": len(chunks)})
        gone = tag if old is None else old
        if gone:
            await self._chunks.delete_many({"client": client, "tag": gone})
        return old is not None

    async def _name(self, client: str, image: Document) -> str | None:
        """Make this the image: the tag of the one before ("" = none), or None when not newer."""
        older = {"_id": client, "n": {"$lt": image["n"]}}
        for _ in range(2):
            before = await self._images.find_one_and_update(older, {"$set": image})
            if before:
                return str(before["tag"])
            if not await insert(self._images, [{"_id": client, **image}]):
                return ""
        return None

    # --- the trail -----------------------------------------------------------------------------

    @told
    async def note(self, lines: Sequence[Line]) -> None:
        """Write audit lines; more than one are invisible until their batch is named, last.

        Raises:
            errors.Incident: another line has this place in its chain.
        """
        batch = secrets.token_hex(12) if len(lines) > 1 else ""
        documents = [{**line_document(line), "batch": batch} for line in lines]
        try:
            for i in await insert(self._lines, documents):
                await self._settle(documents[i])
        except errors.Incident:
            clients = sorted({line.client for line in lines})
            await self._lines.delete_many({"client": {"$in": clients}, "batch": batch or None})
            raise
        if batch:
            await self._batches.insert_one({"_id": batch})

    async def _settle(self, line: Document) -> None:
        """Another line has this place: the same one, one that was never named, or a real other."""
        place = {name: line[name] for name in ("client", "writer", "seq")}
        there = await self._lines.find_one(place)
        if there and there["batch"] in await self.named([there]):
            if bytes(there["hash"]) != line["hash"]:
                raise errors.Incident("Another audit line has this place in its chain.")
            return
        change = {name: value for name, value in line.items() if name not in {*place, "_id"}}
        left = {**place, "batch": there["batch"] if there else None}
        if not (await self._lines.update_one(left, {"$set": change})).matched_count:
            raise errors.Unavailable("This audit line is being written; try again.")

    async def named(self, lines: Sequence[Document]) -> set[str]:
        """Of the batches of these lines those that are true."""
        batches = list({line["batch"] for line in lines} - {""})
        found = await self._batches.find({"_id": {"$in": batches}}).to_list() if batches else []
        return {"", *(batch["_id"] for batch in found)}

    async def trail(
        self, client: str, since: int = 0, until: int | None = None
    ) -> AsyncIterator[Line]:
        """Audit lines with since <= at < until, each chain in its own order."""
        window = {"$gte": since, "$lt": 2**63 - 1 if until is None else until}
        noted = partial(self._noted, client, window)
        chains = [partial(self._committed, client, window)]
        chains += [partial(noted, writer) for writer in await self._writers(client, window)]
        async for line in merged(chains):
            yield line

    @told
    async def _writers(self, client: str, window: Document) -> list[str]:
        return sorted(await self._lines.distinct("writer", {"client": client, "at": window}))

    @told
    async def _committed(self, client: str, window: Document, seq: int) -> list[Line]:
        wanted = {"client": client, "n": {"$gt": seq}, "line.at": window}
        found = self._commits.find(wanted, {"line": 1}).sort("n", 1).limit(PAGE)
        return [line_of(document["line"]) for document in await found.to_list()]

    @told
    async def _noted(self, client: str, window: Document, writer: str, seq: int) -> list[Line]:
        while True:
            wanted = {"client": client, "writer": writer, "seq": {"$gt": seq}, "at": window}
            found = await self._lines.find(wanted).sort("seq", 1).limit(PAGE).to_list()
            named = await self.named(found)
            lines = [line_of(document) for document in found if document["batch"] in named]
            if lines or not found:
                return lines
            seq = found[-1]["seq"]

    # --- the end -------------------------------------------------------------------------------

    @told
    async def sweep(self, client: str, older_than: float) -> int:
        """Destroy old bodies no commit refers to, and all expired values; how many bodies."""
        now = self._clock()  # before the commits are read: what is younger is left alone
        old = {"client": client, "at": {"$lt": now - older_than}}
        kept = await self._bodies.find(old, {"_id": 1}).to_list()
        refs = await self._commits.find({"client": client}, {"bodies": 1}).to_list()
        named = {f"{client}/{id_.hex()}" for commit in refs for id_ in commit["bodies"]}
        names = [body["_id"] for body in kept if body["_id"] not in named]
        destroyed = 0
        for start in range(0, len(names), PART):
            part = {**old, "_id": {"$in": names[start : start + PART]}}
            destroyed += (await self._bodies.delete_many(part)).deleted_count
        image = await self._images.find_one({"_id": client})
        await self._chunks.delete_many({**old, "tag": {"$ne": image["tag"] if image else ""}})
        await self._expiring.delete_many({"expires": {"$lte": now}})
        return destroyed

    @told
    async def erase(self, client: str) -> None:
        """Destroy the data key, then everything that was sealed with it."""
        await self.destroy_key(client, "data")
        await self.keep_image(client, NEVER_NEWER, ())
        await self._chunks.delete_many({"client": client})
        empty = {"erased": True, "sealed": b"", "bodies": []}
        await self._commits.update_many({"client": client}, {"$set": empty})
        await self._bodies.delete_many({"client": client})
        await self._links.delete_many({"client": client})
