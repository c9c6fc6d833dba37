"""Where sealed dossiers live: the contract and its backends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pgo import errors
from pgo.store.contract import Store


async def open_store(
    address: str,
    *,
    strict: bool,
    mongo_standalone: bool,
    clock: Callable[[], float] | None = None,
) -> Store:
    """Open the store an address names, in the event loop that will use it.

    Args:
        address: sqlite:///path, sqlite:////absolute/path or mongodb://host/database (PGO_STORE).
        strict: refuse what is only safe in development.
        mongo_standalone: accept a MongoDB server without replica set (PGO_MONGO_STANDALONE).
        clock: seconds since 1970; the time of this machine when left out.

    Raises:
        errors.BadValue: no address of a kind we know.
        errors.Unavailable: the store cannot be used, or keeps less than its contract promises.
    """
    clock = clock or time.time
    kind, _, rest = address.partition("://")
    if kind == "sqlite" and "?" in rest:
        raise errors.BadValue(
            "PGO_STORE takes no options after a path; this store sets what it needs itself.",
            place="PGO_STORE",
        )
    if kind == "sqlite" and rest.startswith("/") and rest[1:] and rest[1:] != ":memory:":
        from pgo.store.sqlite import SqliteStore  # noqa: PLC0415 - one backend is loaded, not both

        return await SqliteStore.open(Path(rest[1:]), clock=clock)
    if kind == "mongodb":
        from pgo.store.mongo import MongoStore  # noqa: PLC0415 - one backend is loaded, not both

        return await MongoStore.open(
            address, strict=strict, standalone=mongo_standalone, clock=clock
        )
    raise errors.BadValue(
        "PGO_STORE must be sqlite:///path, sqlite:////absolute/path or mongodb://host/database.",
        place="PGO_STORE",
    )
