"""The way back of a copy into an empty MongoDB database; the way out is `mongo_backup`.

Before anything is written, one document says that a restore is under way: while it is there, no
server opens this store. It goes last. A restore that fails takes away what it brought; one that is
killed leaves that document, and so nothing that a server would start on.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bson import decode
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from pgo import errors
from pgo.store.mongo import PART, MongoStore
from pgo.store.mongo_backup import DATA, KEYS, Told, documents, file_of
from pgo.store.mongo_documents import RESTORING, Document
from pgo.store.mongo_driver import Collection, insert, told

_AT_ONCE: Final = 4_000_000  # bytes sent in one operation, or one larger document
_OURS: Final = (*DATA, "batches", "chunks", "expiring", "images")


@asynccontextmanager
async def claimed(address: str, *, strict: bool, standalone: bool) -> AsyncIterator[MongoStore]:
    """An empty store that no server opens until the block has ended well; else it is empty again.

    Args:
        address: mongodb://host/database.
        strict: refuse a standalone server whatever `standalone` says.
        standalone: accept a server without replica set.

    Raises:
        errors.BadValue: the address is no good, or there is something in the database already.
        errors.Unavailable: no such server, or it cannot keep the promises.
    """
    store = await MongoStore.connected(
        address, strict=strict, standalone=standalone, clock=time.time
    )
    try:
        await _claim(store)
        try:
            await store.make_indexes()
            yield store
        except BaseException:
            await _clear(store)
            raise
        await _release(store)
    finally:
        await store.close()


@told
async def _claim(store: MongoStore) -> None:
    await store.refuse_unfinished()
    await _must_be_empty(store)
    if await insert(store.data[RESTORING], [{"_id": "copy"}]):
        raise errors.BadValue("another restore into this database is at work", place="PGO_STORE")
    try:
        await _must_be_empty(store)
    except errors.BadValue:
        await _release(store)
        raise


async def _must_be_empty(store: MongoStore) -> None:
    for database in (store.data, store.wrapped):
        for name in await database.list_collection_names():
            if name != RESTORING and await database[name].find_one({}, {"_id": 1}):
                text = "there is a store already, or something else; name another database"
                raise errors.BadValue(text, place="PGO_STORE")


async def _clear(store: MongoStore) -> None:
    """Take away what was brought; what cannot be leaves the mark, so that nobody works on it."""
    with suppress(PyMongoError, errors.PgoError):
        for name in KEYS:
            await store.wrapped[name].drop()
        for name in _OURS:
            await store.data[name].drop()
        await _release(store)


@told
async def _release(store: MongoStore) -> None:
    await store.data[RESTORING].drop()


@told
async def bring(store: MongoStore, data: Path, keys: Path, total: int, told_: Told) -> None:
    """Put the documents of a copy into the store, keys last; what was erased loses its data.

    Args:
        store: claimed.
        data: the folder of the sealed data, checked before.
        keys: the folder of the wrapped keys, checked before.
        total: how many documents there are.
        told_: hears how far it is.

    Raises:
        errors.Unavailable, errors.NoSpace: the server does not take them.
    """
    done = 0
    told_(done, total)
    for place, names, folder in ((store.data, DATA, data), (store.wrapped, KEYS, keys)):
        for each, part in _parts(place, names, folder):
            if await insert(each, part):
                raise errors.Incident("a document of this copy is there twice")
            done += len(part)
            told_(done, total)
    if done != total:
        raise errors.Incident("the documents of this copy are not as many as its lists say")
    gone = await store.wrapped["keys"].find({"name": "data", "gone": True}).to_list()
    for client in sorted({key["client"] for key in gone}):
        await store.erase(client)


def _parts(
    place: AsyncDatabase[Document], names: Mapping[str, Any], folder: Path
) -> Iterator[tuple[Collection, list[Document]]]:
    for name in names:
        part: list[Any] = []
        size = 0
        for raw in documents(folder / file_of(name)):
            if part and (size + len(raw) > _AT_ONCE or len(part) == PART):
                yield place[name], part
                part, size = [], 0
            part.append(RawBSONDocument(raw))
            size += len(raw)
        if part:
            yield place[name], part


def must_name_all(data: Iterable[str], keys: Iterable[str]) -> None:
    """Refuse lists in which a collection has no file.

    Args:
        data: the collections that the list of the data names.
        keys: the collections that the list of the keys names.

    Raises:
        errors.BadValue: one is not named.
    """
    for what, place, wanted, named in (
        ("data", "FOLDER", DATA, data),
        ("keys", "--keys", KEYS, keys),
    ):
        if set(wanted) != set(named):
            raise errors.BadValue(f"there is no whole copy of {what} here", place=place)


def wrapped_keys(keys: Path) -> Iterator[tuple[str, str, bytes]]:
    """The wrapped keys in a copy: client, name and sealed bytes; destroyed ones left out."""
    for raw in documents(keys / file_of("keys")):
        key = decode(raw)
        if not key["gone"]:
            yield key["client"], key["name"], bytes(key["wrapped"])


@told
async def unnamed_bodies(store: MongoStore) -> int:
    """How many bodies that a commit names are not in the store; none, unless they were lost before.

    Commits of erased dossiers name none.
    """
    missing, asked = 0, list[str]()
    wanted = store.data["commits"].find({"erased": False}, {"client": 1, "bodies": 1})
    async for commit in wanted:
        asked += [f"{commit['client']}/{id_.hex()}" for id_ in commit["bodies"]]
        if len(asked) >= PART:
            missing += await _absent(store, asked)
            asked = []
    return missing + await _absent(store, asked)


async def _absent(store: MongoStore, names: list[str]) -> int:
    found = await store.data["bodies"].find({"_id": {"$in": names}}, {"_id": 1}).to_list()
    return len(set(names) - {body["_id"] for body in found})
