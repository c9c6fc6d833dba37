"""Where a later page of a search begins: a sealed list of (rid, version), for one caller.

A short list travels in the link itself, so that a search writes nothing but its audit line; a long
one is kept in the store. Either way it is sealed with the dossier's key, and over after an hour.
A rid is the number a resource got in the order of the log, so every image has the same.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from pgo.dossier.seal import Box
from pgo.errors import Incident
from pgo.store.contract import Store

Place = tuple[int, int]
"""A resource's rid and the version it had."""
SECONDS: Final = 3600
_SPACE: Final = "cursor"
_IN_LINK: Final = "p"
"""First letter of a cursor that holds the list itself; the name of a kept one is hexadecimal."""
_MOST_IN_LINK: Final = 1_500
"""Bytes, sealed: a link stays well under the 8 kB an address may have."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a search: for whom, on what, what was asked, and the rows to come."""

    who: list[str]
    on: list[str]
    pairs: Sequence[tuple[str, str]]
    asked: str
    rest: Sequence[Place]


class Cursors:
    """The cursors of one dossier: `box` seals, `store` keeps the long ones."""

    def __init__(self, store: Store, box: Box, client: str) -> None:
        self._store, self._box, self._client = store, box, client

    async def keep(self, kept: Kept, now: int) -> str:
        """A cursor's name for this list; `now` in seconds."""
        expires = now + SECONDS
        plain = orjson.dumps([expires, kept])
        sealed = self._box.seal(self._place(_IN_LINK), plain)
        if len(sealed) <= _MOST_IN_LINK:
            return _IN_LINK + urlsafe_b64encode(sealed).rstrip(b"=").decode()
        name = secrets.token_hex(16)
        sealed = self._box.seal(self._place(name), plain)
        await self._store.put(_SPACE, f"{self._client}|{name}", sealed, expires)
        return name

    async def find(self, name: str, now: int) -> Kept | None:
        """The list by this name; None when there is none, or it is over."""
        in_link = name.startswith(_IN_LINK)
        sealed = _unwrapped(name[1:]) if in_link else await self._kept(name, now)
        if sealed is None:
            return None
        try:
            plain = self._box.open(self._place(_IN_LINK if in_link else name), sealed)
        except Incident:
            if in_link:  # anybody can write a link
                return None
            raise
        expires, found = orjson.loads(plain)
        return Kept(**found) if now < expires else None

    async def _kept(self, name: str, now: int) -> bytes | None:
        return await self._store.peek(_SPACE, f"{self._client}|{name}", now)

    def _place(self, name: str) -> bytes:
        return f"pgo1|cursor|{self._client}|{name}".encode()


def _unwrapped(text: str) -> bytes | None:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
