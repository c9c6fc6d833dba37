"""Small answers of an open dossier, as long as nothing in it changes.

An answer goes by the very statement that asks for it. The verdict of consent is part of that
statement (`pgo.fhir.search`), so whoever may see other things asks something else: a total or a
choice is still decided anew by each call, and only not counted anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import Any, Final

from pgo.dossier.image import Image

_MOST: Final = 64
_EACH: Final = 200
_NUMBER: Final = 40
_PLACES: Final = 2_000


def name_of(kind: Hashable, sql: str, args: Sequence[Any]) -> bytes:
    """The name of what a statement asks; `kind` is what is made of its rows."""
    return blake2b(repr((kind, sql, tuple(args))).encode(), digest_size=16).digest()


class Asked:
    """Numbers, or short lists of them, by name; the oldest goes first."""

    def __init__(self) -> None:
        self._n = -1
        self._known: OrderedDict[bytes, tuple[int, ...]] = OrderedDict()

    def find(self, n: int, name: bytes) -> tuple[int, ...] | None:
        """What was answered when the dossier was at commit `n`, if it still is."""
        if n != self._n:
            self._known.clear()
            self._n = n
        return self._known.get(name)

    def keep(self, n: int, name: bytes, found: Sequence[int]) -> None:
        """Remember an answer that was worked out at commit `n`."""
        if n == self._n:
            self._known[name] = tuple(found)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget all: the same commits have other index rows now."""
        self._known.clear()

    def size(self) -> int:
        """Bytes of memory it takes, about."""
        return sum(_EACH + _NUMBER * len(found) for found in self._known.values())


def count(asked: Asked, image: Image, sql: str, args: Sequence[Any]) -> int:
    """How many rows a statement has; not counted twice while nothing changed."""
    n, name = image.n, name_of("count", sql, args)
    found = asked.find(n, name)
    if found is None:
        [found] = image.select(f"SELECT count(*) FROM ({sql})", args)
        asked.keep(n, name, found)
    return found[0]


def places(asked: Asked, image: Image, sql: str, args: Sequence[Any]) -> list[tuple[int, int]]:
    """The (rid, version) of each row, in order; not looked up twice while nothing changed.

    Within a change that is being tried the dossier is another one, without a number of its own.
    """
    if image.db.in_transaction:
        return image.select(sql, args)
    n, name = image.n, name_of("places", sql, args)
    found = asked.find(n, name)
    if found is not None:
        return list(zip(found[::2], found[1::2], strict=True))
    rows = image.select(sql, args)
    if len(rows) <= _PLACES:
        asked.keep(n, name, [number for row in rows for number in row])
    return rows
