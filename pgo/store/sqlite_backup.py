"""Copies of the SQLite store's files beside running servers, and what a copy is checked for.

What is in a copy is as of one moment per file, taken in an order that loses nothing: daybooks, the
trail, the data, the keys. So no audit line is nowhere, and no dossier is without its key. Images
are left out: they are derived.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from pgo import errors
from pgo.store.sqlite_daybook import daybooks
from pgo.store.sqlite_files import SCHEMAS, VERSION, connect, settle
from pgo.store.sqlite_writer import translated

KEYS: Final = "-keys"
COPIED: Final = ("-trail", "", KEYS)
"""Ends of names of the files that are copied, in the order they are copied in."""
_PAGES: Final = 256  # copied before somebody is told how far it is

Told = Callable[[int, int], None]
"""Is told how many pages are done, of how many."""


def path_of(address: str) -> Path | None:
    """The main file of a store that is here; None for another kind of store."""
    kind, _, rest = address.partition("://")
    return Path(rest[1:]) if kind == "sqlite" and rest[:1] == "/" and rest[1:] else None


def names(path: Path) -> Iterator[Path]:
    """Every file of this store that is there."""
    for end in SCHEMAS:
        yield from (found for found in [Path(f"{path}{end}")] if found.exists())
    yield from daybooks(Path(f"{path}-trail"))


def copy(path: Path, data: Path, keys: Path, told: Told) -> None:
    """Copy the store at `path` into two folders that are there: the wrapped keys into their own.

    Raises:
        errors.Unavailable, errors.NoSpace: it cannot be read or written.
    """
    for day in daybooks(Path(f"{path}-trail")):
        try:
            whole = day.read_bytes()  # at once: what is moved meanwhile is in the trail's copy
        except FileNotFoundError:  # all of it was moved
            continue
        _write(data / f"store{day.name.removeprefix(path.name)}", whole)
    for end in COPIED:
        folder = keys if end == KEYS else data
        _snapshot(Path(f"{path}{end}"), folder / f"store{end}", told)
    for folder in (data, keys):
        settle(folder)


def _snapshot(path: Path, target: Path, told: Told) -> None:
    if not path.exists():
        raise errors.Unavailable("A file of the store is not there (PGO_STORE).")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(connect(path)) as source, closing(connect(target)) as made:
            # One read transaction: what others write meanwhile does not start the copy anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            source.backup(
                made, pages=_PAGES, progress=lambda _, left, total: told(total - left, total)
            )
            source.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise translated(error, target) from error


def _write(target: Path, content: bytes) -> None:
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def bring(source: Path, target: Path) -> None:
    """Copy one file, durable, readable by its owner only; there was none by that name."""
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as read, os.fdopen(file, "wb") as out:
        shutil.copyfileobj(read, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def check(path: Path) -> None:
    """A copied file is a sound database of this version.

    Raises:
        errors.BadValue: it is not.
    """
    try:
        with closing(connect(path)) as opened:
            version = opened.execute("PRAGMA user_version").fetchall()[0][0]
            found = opened.execute("PRAGMA integrity_check(1)").fetchall()
    except (errors.Unavailable, sqlite3.Error) as error:
        raise errors.BadValue("this copy is not a sound database", place=path.name) from error
    if version != VERSION or found != [("ok",)]:
        raise errors.BadValue("this copy is not sound, or of another version", place=path.name)


def end_values(path: Path) -> None:
    """End all codes, tokens and sessions of a copy: some were used or ended after it was made."""
    with closing(connect(path)) as opened:
        opened.execute("DELETE FROM expiring")
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
