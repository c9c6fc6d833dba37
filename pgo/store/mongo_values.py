"""What the MongoDB store keeps beside the dossiers: keys, expiring values, hints, the registry."""

from __future__ import annotations

from collections.abc import Callable

from pgo.store.mongo_documents import digest_of, name_of, valued
from pgo.store.mongo_driver import Client, database, insert, set_, told


class MongoValues:
    """The verbs on single values of `pgo.store.contract.Store`.

    Args:
        client: connected.
        name: of the database; the keys are in another one, "<name>-keys", to be backed up apart.
        level: read concern.
        clock: seconds since 1970.

    Attributes:
        data: the database of all but the keys.
        wrapped: the database of the keys.
    """

    def __init__(self, client: Client, name: str, level: str, clock: Callable[[], float]) -> None:
        self.data = data = database(client, name, level)
        self.wrapped = database(client, f"{name}-keys", level)
        self._clock = clock
        self._expiring, self._links = data["expiring"], data["links"]
        self._registry = data["registry"]
        self._keys = self.wrapped["keys"]

    # --- keys ----------------------------------------------------------------------------------

    @told
    async def key(self, client: str) -> dict[str, bytes]:
        """Wrapped keys by name."""
        found = await self._keys.find({"client": client, "gone": False}).to_list()
        return {document["name"]: bytes(document["wrapped"]) for document in found}

    @told
    async def keep_key(self, client: str, name: str, wrapped: bytes) -> bool:
        """Keep a wrapped key; False when there is one, or was one that was destroyed."""
        document = {"client": client, "name": name, "gone": False, **valued(wrapped)}
        return not await insert(self._keys, [{"_id": f"{client}/{name}", **document}])

    @told
    async def rewrap_key(self, client: str, name: str, old: bytes, new: bytes) -> bool:
        """Replace a wrapped key if it still is `old`."""
        same = {"_id": f"{client}/{name}", "client": client, "digest": digest_of(old)}
        done = await self._keys.update_one(same, {"$set": valued(new)})
        return bool(done.matched_count)

    @told
    async def destroy_key(self, client: str, name: str) -> None:
        """Overwrite a wrapped key; its name is never used again (journals forget it in time)."""
        gone = {"client": client, "name": name, "gone": True, "wrapped": b"", "digest": ""}
        await set_(self._keys, f"{client}/{name}", gone)

    @told
    async def clients(self) -> list[str]:
        """The ids of all that have a key ("system" too, when it has one), in order."""
        found = self._keys.find({"gone": False}, {"client": 1})
        return sorted({document["client"] for document in await found.to_list()})

    # --- values that expire --------------------------------------------------------------------

    @told
    async def put(
        self, space: str, key: str, value: bytes, expires: int, *, fresh: bool = False
    ) -> bool:
        """Keep a value; with `fresh` only when there is none or it expired by the store's clock."""
        name, fields = name_of(space, key), {"value": value, "expires": expires}
        if not fresh:
            await set_(self._expiring, name, fields)
            return True
        expired = {"_id": name, "expires": {"$lte": self._clock()}}
        while await insert(self._expiring, [{"_id": name, **fields}]):
            if await self._expiring.find_one_and_update(expired, {"$set": fields}):
                return True
            if await self._expiring.find_one({"_id": name, "expires": {"$gt": self._clock()}}):
                return False
        return True

    @told
    async def take(self, space: str, key: str, now: int) -> bytes | None:
        """Hand out a value and end it in one operation."""
        found = await self._expiring.find_one_and_delete({"_id": name_of(space, key)})
        return bytes(found["value"]) if found and found["expires"] > now else None

    @told
    async def peek(self, space: str, key: str, now: int) -> bytes | None:
        """The value, when it is there and not expired at `now`."""
        found = await self._expiring.find_one({"_id": name_of(space, key), "expires": {"$gt": now}})
        return bytes(found["value"]) if found else None

    @told
    async def drop(self, space: str, key: str) -> None:
        """End a value."""
        await self._expiring.delete_one({"_id": name_of(space, key)})

    # --- hints ---------------------------------------------------------------------------------

    @told
    async def link(self, grantee: str, client: str) -> None:
        """Remember a hint."""
        hint = {"grantee": grantee, "client": client}
        await insert(self._links, [{"_id": name_of(grantee, client), **hint}])

    @told
    async def unlink(self, grantee: str, client: str) -> None:
        """Forget a hint."""
        await self._links.delete_one({"_id": name_of(grantee, client)})

    @told
    async def links(self, grantee: str) -> list[str]:
        """The clients hinted at, in order."""
        found = await self._links.find({"grantee": grantee}).sort("client", 1).to_list()
        return [document["client"] for document in found]

    # --- registry ------------------------------------------------------------------------------

    @told
    async def register(
        self, kind: str, key: str, value: bytes, *, expected: bytes | None = None
    ) -> bool:
        """Keep a value under (kind, key); False when something else is there than expected."""
        name, fields = name_of(kind, key), {"kind": kind, "key": key, **valued(value)}
        if expected is None:
            return not await insert(self._registry, [{"_id": name, **fields}])
        same = {"_id": name, "digest": digest_of(expected)}
        return bool((await self._registry.update_one(same, {"$set": fields})).matched_count)

    @told
    async def lookup(self, kind: str, key: str) -> bytes | None:
        """The value registered under (kind, key)."""
        found = await self._registry.find_one({"_id": name_of(kind, key)})
        return bytes(found["wrapped"]) if found else None

    @told
    async def listing(self, kind: str) -> dict[str, bytes]:
        """Everything registered under a kind, in order of key."""
        found = await self._registry.find({"kind": kind}).sort("key", 1).to_list()
        return {document["key"]: bytes(document["wrapped"]) for document in found}

    @told
    async def unregister(self, kind: str, key: str) -> None:
        """Forget one."""
        await self._registry.delete_one({"_id": name_of(kind, key)})
