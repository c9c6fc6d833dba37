"""The index tables of a dossier's image and how rows get in and out; no search, no extraction.

One table per kind of value, each row under the integer `rid` of its resource. Two columns are kept
as numbers to keep an image small: `p` is the CRC-32 of the parameter's name, `sys` the first eight
bytes of a BLAKE2b hash of a code system (both are only ever compared for equality; the plain words
are in the commits). 2,000 resources with 21 rows each: 3.1 MB, against 4.2 MB with words.

`sys` is NULL for a `code` or `boolean`, whose system is implied, and 0 for a coding without one.
`g` is 0, or the occurrence of a composite parameter that a row is part of.
`txt` holds the words beside codes and `wds` all words of a resource (`pgo.fhir.words`); they have
no index of their own, being asked per resource.
Numbers and quantities are intervals of keys (`pgo.fhir.decimals`), dates of microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, Protocol
from zlib import crc32

from pgo.fhir import decimals, units

Rows = dict[str, list[Any]]

_COLUMNS: Final[Mapping[str, str]] = {
    "tok": "sys INTEGER, code TEXT",
    "str": "v TEXT, raw TEXT",
    "dat": "lo INTEGER, hi INTEGER",
    "num": "lo TEXT, hi TEXT",
    "qty": "lo TEXT, hi TEXT, sys INTEGER, code TEXT, unit TEXT",
    "ref": "type TEXT, id TEXT, url TEXT",
    "uri": "v TEXT",
    "txt": "v TEXT",
    "wds": "v TEXT",
}
_INDEXES: Final[Mapping[str, str]] = {
    "tok": "p, code, sys",
    "str": "p, v",
    "dat": "p, lo, hi",
    "num": "p, lo, hi",
    "qty": "p, lo, hi, code, sys",
    "ref": "p, id, type",
    "uri": "p, v",
}
_NAMES: Final = (*_COLUMNS, "lnk")


def _ddl() -> str:
    parts = []
    for name, columns in _COLUMNS.items():
        parts.append(
            f"CREATE TABLE {name} (rid INTEGER NOT NULL, p INTEGER NOT NULL, n INTEGER NOT NULL,"
            f" {columns}, g INTEGER NOT NULL, PRIMARY KEY (rid, p, n)) WITHOUT ROWID;"
        )
        if name in _INDEXES:
            parts.append(f"CREATE INDEX {name}_v ON {name} ({_INDEXES[name]});")
    parts.append("CREATE INDEX ref_url ON ref (p, url) WHERE url IS NOT NULL;")
    parts.append(
        "CREATE TABLE lnk (rid INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,"
        " PRIMARY KEY (rid, type, id)) WITHOUT ROWID;"
    )
    parts.append("CREATE INDEX lnk_v ON lnk (type, id);")
    return "\n".join(parts)


DDL: Final = _ddl()


class Connection(Protocol):
    """What is used of an SQLite connection."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run one statement."""

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any], /, *, deterministic: bool = ...
    ) -> None:
        """Make a function that SQL may call."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement for each row."""


@lru_cache(maxsize=4096)
def name_number(name: str) -> int:
    """The number that stands for a parameter's name in the image."""
    return crc32(name.encode())


@lru_cache(maxsize=4096)
def system_number(system: str | None) -> int | None:
    """The number that stands for a code system: NULL for implied, 0 for absent."""
    if not system:
        return None if system is None else 0
    return int.from_bytes(blake2b(system.encode(), digest_size=8).digest(), signed=True)


@lru_cache(maxsize=65_536)
def canonical(key: str | None, system: int | None, code: str | None) -> str | None:
    """The key of a quantity in its kind's own unit, so that grams and kilograms sort as they weigh.

    `key` is that of a number (`pgo.fhir.decimals`) or just beside one, `system` as in the image.
    What is of no unit that is known here keeps its key.
    """
    unit = units.table().get(code) if code and key and system in _UCUM else None
    if unit is None or key is None:
        return key
    for beside, plain in ((str, key), (decimals.just_above, key[:-1]), (_below, _above(key))):
        exact = decimals.number(plain)
        if exact is not None:
            return beside(decimals.key(units.settled(exact, unit)))
    return key


def _above(key: str) -> str:
    """The key that this one is just below of, if it is that of a number above zero."""
    return f"{key[:-2]}{chr(ord(key[-2]) + 1)}" if len(key) > 1 and key[-1] == "~" else ""


_below: Final = decimals.just_below


def functions(connection: Connection) -> None:
    """Give a connection what the SQL of a search calls: `canonical`."""
    connection.create_function("canonical", 3, canonical, deterministic=True)


def insert(connection: Connection, rid: int, rows: Mapping[str, Sequence[Any]]) -> None:
    """Put in the index rows of one resource, as `pgo.fhir.index.rows` made them."""
    laid: Rows = {}
    lay_out(rid, rows, laid)
    put_in(connection, laid)


def lay_out(rid: int, rows: Mapping[str, Sequence[Any]], laid: Rows) -> None:
    """Add the index rows of one resource to those of others, as `put_in` takes them."""
    for name, some in rows.items():
        into = laid.setdefault(name, [])
        if name == "lnk":
            into += [(rid, type_, id_) for type_, id_ in some]
        else:
            into += [
                (rid, name_number(row[0]), n, *_cells(name, row)) for n, row in enumerate(some)
            ]


def put_in(connection: Connection, laid: Rows) -> None:
    """Put in what was laid out: one statement a table, however many resources it is of."""
    for name, some in laid.items():
        connection.executemany(_INSERT[name], some)


def _cells(name: str, row: Sequence[Any]) -> Sequence[Any]:
    group = row[_WIDTH[name]] if len(row) > _WIDTH[name] else 0
    if name == "tok":
        return (system_number(row[1]), row[2], group)
    if name == "qty":
        return (row[1], row[2], system_number(row[3]), row[4], row[5], group)
    return (*row[1 : _WIDTH[name]], group)


_UCUM: Final = frozenset(map(system_number, units.SYSTEMS))
_WIDTH: Final = {name: columns.count(",") + 2 for name, columns in _COLUMNS.items()}
_INSERT: Final = {
    "lnk": "INSERT OR IGNORE INTO lnk VALUES (?,?,?)",
    **{n: f"INSERT INTO {n} VALUES ({','.join('?' * (w + 3))})" for n, w in _WIDTH.items()},
}


def remove(connection: Connection, rid: int) -> None:
    """Take all index rows of one resource out."""
    for name in _NAMES:
        connection.execute(f"DELETE FROM {name} WHERE rid=?", (rid,))
