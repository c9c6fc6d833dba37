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

_MOST: Final = 192
_ROOM: Final = 4_000_000
_EACH: Final = 300
_NUMBER: Final = 40
_PLACE: Final = 130
_PLACES: Final = 2_000


def name_of(kind: Hashable, sql: str, args: Sequence[Any]) -> bytes:
    """The name of what a statement asks; `kind` is what is made of its rows."""
    return blake2b(repr((kind, sql, tuple(args))).encode(), digest_size=16).digest()


class Asked:
    """What was answered, by name; the oldest goes first."""

    def __init__(self) -> None:
        self._n = -1
        self._known: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def find(self, n: int, name: Hashable) -> Any | None:
        """What was answered when the dossier was at commit `n`, if it still is."""
        if n != self._n:
            self.clear()
            self._n = n
        found = self._known.get(name)
        return None if found is None else found[0]

    def keep(self, n: int, name: Hashable, found: Sequence[int]) -> None:
        """Remember an answer in numbers that was worked out at commit `n`."""
        self.hold(n, name, tuple(found), _NUMBER * len(found))

    def hold(self, n: int, name: Hashable, found: Any, size: int) -> None:
        """Remember any other answer, of about so many bytes; it must not be changed."""
        if n != self._n:
            return
        self._let_go(name)
        self._known[name] = (found, _EACH + size)
        self._bytes += _EACH + size
        while len(self._known) > _MOST or self._bytes > _ROOM:
            self._let_go(next(iter(self._known)))

    def _let_go(self, name: Hashable) -> None:
        gone = self._known.pop(name, None)
        self._bytes -= 0 if gone is None else gone[1]

    def clear(self) -> None:
        """Forget all: the same commits have other index rows now."""
        self._known.clear()
        self._bytes = 0

    def size(self) -> int:
        """Bytes of memory it takes, about."""
        return self._bytes


def count(asked: Asked, image: Image, sql: str, args: Sequence[Any]) -> int:
    """How many rows a statement has; not counted twice while nothing changed."""
    n, name = image.n, name_of("count", sql, args)
    found = asked.find(n, name)
    if found is None:
        [found] = image.select(f"SELECT count(*) FROM ({sql})", args)
        asked.keep(n, name, found)
    return int(found[0])


def places(
    asked: Asked, image: Image, sql: str, args: Sequence[Any], name: bytes = b""
) -> Sequence[tuple[int, int]]:
    """The (rid, version) of each row, in order; not looked up twice while nothing changed.

    `name` is that of the statement, for who has it already. Within a change that is being tried
    the dossier is another one, without a number of its own.
    """
    if image.db.in_transaction:
        return image.select(sql, args)
    n, name = image.n, name or name_of("places", sql, args)
    found: Sequence[tuple[int, int]] | None = asked.find(n, name)
    if found is None:
        found = tuple(image.select(sql, args))
        if len(found) <= _PLACES:
            asked.hold(n, name, found, _PLACE * len(found))
    return found
