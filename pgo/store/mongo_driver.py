"""The MongoDB driver: connecting, how sure an answer is, its errors in our words; no dossiers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from pgo import errors
from pgo.store.mongo_address import refuse_standalone
from pgo.store.mongo_documents import Document

P = ParamSpec("P")
T = TypeVar("T")
Client = AsyncMongoClient[Document]
Collection = AsyncCollection[Document]
DUPLICATE, DISK_FULL = 11000, 14031  # MongoDB's error codes
MAJORITY = WriteConcern(w="majority", j=True, wtimeout=20_000)
TIMES = {"serverSelectionTimeoutMS": 5_000, "socketTimeoutMS": 30_000}  # milliseconds


def told(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Raise our errors for those of the driver."""

    @wraps(verb)
    async def answered(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await verb(*args, **kwargs)
        except DocumentTooLarge as error:
            raise errors.TooLarge("This is more than the store takes in one piece.") from error
        except OperationFailure as error:
            if error.code == DISK_FULL:
                raise errors.NoSpace("There is no space left; nothing was stored.") from error
            raise errors.Unavailable("The database refused this.") from error
        except PyMongoError as error:
            raise errors.Unavailable("The database cannot be reached now.") from error

    return answered


def connect(address: str) -> Client:
    """A client for this address; connects when it is first used.

    Raises:
        errors.BadValue: the address is no good.
    """
    times: dict[str, Any] = {
        name: ms for name, ms in TIMES.items() if name.lower() not in address.lower()
    }
    try:
        return AsyncMongoClient(address, **times)
    except (InvalidURI, PyMongoError, ValueError, TypeError) as error:
        raise errors.BadValue("PGO_STORE is no address of MongoDB.", place="PGO_STORE") from error


@told
async def level_of(client: Client, collection: str, *, strict: bool, standalone: bool) -> str:
    """The strongest read concern this server gives: linearizable, majority or, standalone, local.

    Args:
        client: not yet used.
        collection: "database.collection" to try it on.
        strict: refuse a standalone server whatever `standalone` says.
        standalone: accept a server without replica set.

    Raises:
        errors.Unavailable: it gives too little, or cannot be reached.
    """
    hello = await client.admin.command("hello")
    refuse_standalone(hello, strict=strict, standalone=standalone)
    database, _, name = collection.partition(".")
    levels: tuple[str, ...] = (
        "linearizable",
        "majority",
        *(() if "setName" in hello else ("local",)),
    )
    for level in levels:
        tried = client[database].get_collection(name, read_concern=ReadConcern(level))
        try:
            await tried.find_one({"client": "system", "n": 0}, max_time_ms=10_000)
        except OperationFailure:
            continue
        return level
    raise errors.Unavailable("MongoDB gives no majority reads (PGO_STORE).")


def database(client: Client, name: str, level: str) -> AsyncDatabase[Document]:
    """A database in which each write waits for a majority and each read asks the primary."""
    return client.get_database(
        name,
        read_concern=ReadConcern(level),
        write_concern=MAJORITY,
        read_preference=ReadPreference.PRIMARY,
    )


def sure(collection: Collection, level: str) -> Collection:
    """The same collection with another read concern."""
    return collection.with_options(read_concern=ReadConcern(level))


async def insert(collection: Collection, documents: Sequence[Document]) -> list[int]:
    """Insert what is not there yet; the places in `documents` of those that were."""
    try:
        if len(documents) == 1:
            await collection.insert_one(documents[0])
        elif documents:
            await collection.insert_many(documents, ordered=False)
    except DuplicateKeyError:
        return [0]
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or any(x["code"] != DUPLICATE for x in refused):
            raise
        return [x["index"] for x in refused]
    return []


async def set_(collection: Collection, name: str, fields: Document) -> None:
    """Make a document with this _id have these fields, whether it is there or not."""
    change = partial(collection.update_one, {"_id": name}, {"$set": fields}, upsert=True)
    try:
        await change()
    except DuplicateKeyError:  # two upserts at the same time: the second finds it now
        await change()
