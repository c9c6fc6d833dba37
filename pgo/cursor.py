"""Where a later page of a search begins: a sealed list of (rid, version), for one caller.

A short list travels in the link itself, so that a search writes nothing but its audit line; a long
one is kept in the store, as numbers of which each page unpacks its own. Either way it is sealed
with the dossier's key, and over after an hour. A rid is the number a resource got in the order of
the log, so every image has the same.
"""

from __future__ import annotations

import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, overload

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
_LEAST: Final = len("[1,1],")
_PLACE: Final = struct.Struct("<2q")
_END: Final = b"\n"
"""Between what is asked, where JSON has none, and the numbers."""


class Packed(Sequence[Place]):
    """Places as they are kept; only those that are asked for are unpacked."""

    def __init__(self, numbers: bytes) -> None:
        """`numbers` are two little-endian integers of 8 bytes for each place."""
        self._numbers = numbers

    def __len__(self) -> int:
        """How many there are."""
        return len(self._numbers) // _PLACE.size

    @overload
    def __getitem__(self, at: int) -> Place: ...
    @overload
    def __getitem__(self, at: slice) -> list[Place]: ...
    def __getitem__(self, at: int | slice) -> Place | list[Place]:
        """One place, or some in a row."""
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        found: Place = _PLACE.unpack_from(self._numbers, range(len(self))[at] * _PLACE.size)
        return found


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
        if len(kept.rest) * _LEAST < _MOST_IN_LINK:
            sealed = self._box.seal(self._place(_IN_LINK), orjson.dumps([expires, kept]))
            if len(sealed) <= _MOST_IN_LINK:
                return _IN_LINK + urlsafe_b64encode(sealed).rstrip(b"=").decode()
        name = secrets.token_hex(16)
        about = orjson.dumps([expires, replace(kept, rest=())])
        numbers = struct.pack(f"<{2 * len(kept.rest)}q", *chain.from_iterable(kept.rest))
        sealed = self._box.seal(self._place(name), about + _END + numbers)
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
        about, _, numbers = plain.partition(_END)
        expires, found = orjson.loads(about)
        found["rest"] = found["rest"] or Packed(numbers)
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
