"""What each changing verb does inside a transaction; no threads, no clock, no waiting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from pgo import errors
from pgo.store.contract import Commit, Line, NotNext

WIDTH = 16  # bytes of a body id
PART_BYTES, PART_ROWS = 500_000, 64  # of one push that are written before others get their turn
PART_LINES = 32  # audit lines in one statement
NEVER_NEWER = 2**62  # the n of an erased dossier's image: nothing is newer

_LINES = "INSERT INTO lines (client, writer, seq, at, prev, hash, sealed)"
_LINE = "(?, ?, ?, ?, ?, ?, ?)"


def keep_bodies(
    connection: sqlite3.Connection, client: str, at: float, bodies: Iterable[tuple[bytes, bytes]]
) -> None:
    """Add sealed bodies; one that is there stays as it is, but counts as kept now."""
    connection.executemany(
        "INSERT INTO bodies (client, id, at, sealed) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (client, id) DO UPDATE SET at = excluded.at",
        [(client, id_, at, sealed) for id_, sealed in bodies],
    )


def drop_bodies(
    connection: sqlite3.Connection, client: str, ids: Iterable[bytes], before: float
) -> int:
    """Destroy those of these bodies that were kept before a moment; how many there were."""
    return connection.executemany(
        "DELETE FROM bodies WHERE client = ? AND id = ? AND at < ?",
        [(client, id_, before) for id_ in ids],
    ).rowcount


def append(connection: sqlite3.Connection, client: str, commit: Commit) -> None:
    """Add the next commit with its line.

    Raises:
        NotNext: n is not the head + 1.
        errors.Gone: the dossier was erased.
    """
    rows = connection.execute(
        "SELECT n, sealed IS NULL FROM commits WHERE client = ? ORDER BY n DESC LIMIT 1", (client,)
    ).fetchall()
    head, erased = rows[0] if rows else (0, False)
    if commit.n != head + 1:
        raise NotNext
    if erased:
        raise errors.Gone("This dossier was erased.")
    connection.execute(
        "INSERT INTO commits (client, n, writer, seq, bodies, sealed) VALUES (?, ?, ?, ?, ?, ?)",
        (
            client,
            commit.n,
            commit.line.writer,
            commit.line.seq,
            b"".join(commit.bodies),
            commit.sealed,
        ),
    )
    note(connection, (commit.line,))


def note(connection: sqlite3.Connection, lines: Sequence[Line]) -> None:
    """Add lines; the same line again is one line.

    Raises:
        errors.Incident: another line has this place in the chain.
    """
    added = 0
    for start in range(0, len(lines), PART_LINES):  # one statement: one time without the GIL
        part = lines[start : start + PART_LINES]
        added += _insert(connection, part, " ON CONFLICT DO NOTHING")
    if added < len(lines) and not all(_noted(connection, line) for line in lines):
        raise errors.Incident("Another audit line has this place in its chain.")


def _insert(connection: sqlite3.Connection, part: Sequence[Line], otherwise: str) -> int:
    sql = f"{_LINES} VALUES {', '.join((_LINE,) * len(part))}{otherwise}"
    rows = [(x.client, x.writer, x.seq, x.at, x.prev, x.hash, x.sealed) for x in part]
    return connection.execute(sql, list(chain.from_iterable(rows))).rowcount


def _noted(connection: sqlite3.Connection, line: Line) -> bool:
    rows = connection.execute(
        "SELECT hash FROM lines WHERE client = ? AND writer = ? AND seq = ?",
        (line.client, line.writer, line.seq),
    ).fetchall()
    return rows == [(line.hash,)]


def keep_image(
    connection: sqlite3.Connection, client: str, n: int, chunks: Sequence[bytes]
) -> bool:
    """Replace the image by a newer one; False when it is not newer."""
    newer = connection.execute(
        "INSERT INTO images (client, n) VALUES (?, ?)"
        " ON CONFLICT (client) DO UPDATE SET n = excluded.n WHERE n < excluded.n",
        (client, n),
    ).rowcount
    if newer:
        connection.execute("DELETE FROM chunks WHERE client = ?", (client,))
        connection.executemany(
            "INSERT INTO chunks (client, i, data) VALUES (?, ?, ?)",
            [(client, i, chunk) for i, chunk in enumerate(chunks)],
        )
    return bool(newer)


def keep_key(connection: sqlite3.Connection, client: str, name: str, wrapped: bytes) -> bool:
    """Add a wrapped key; False when there is or was one by this name."""
    return bool(
        connection.execute(
            "INSERT INTO keys (client, name, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (client, name, wrapped),
        ).rowcount
    )


def rewrap_key(
    connection: sqlite3.Connection, client: str, name: str, old: bytes, new: bytes
) -> bool:
    """Replace a wrapped key if it still is `old`."""
    return bool(
        connection.execute(
            "UPDATE keys SET wrapped = ? WHERE client = ? AND name = ? AND wrapped = ?",
            (new, client, name, old),
        ).rowcount
    )


def destroy_key(connection: sqlite3.Connection, client: str, name: str) -> None:
    """Overwrite a wrapped key; its name stays in use for ever."""
    connection.execute(
        "INSERT INTO keys (client, name, wrapped) VALUES (?, ?, NULL)"
        " ON CONFLICT (client, name) DO UPDATE SET wrapped = NULL",
        (client, name),
    )


def put(
    connection: sqlite3.Connection,
    place: tuple[str, str],
    value: bytes,
    expires: int,
    in_use_after: float,
) -> bool:
    """Keep a value, unless one that expires after `in_use_after` is there."""
    return bool(
        connection.execute(
            "INSERT INTO expiring (space, key, expires, value) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value,"
            " expires = excluded.expires WHERE expires <= ?",
            (*place, expires, value, in_use_after),
        ).rowcount
    )


def take(connection: sqlite3.Connection, place: tuple[str, str], now: int) -> bytes | None:
    """Remove a value; None when it was not there or expired."""
    rows: list[tuple[bytes, int]] = connection.execute(
        "SELECT value, expires FROM expiring WHERE space = ? AND key = ?", place
    ).fetchall()
    connection.execute("DELETE FROM expiring WHERE space = ? AND key = ?", place)
    return rows[0][0] if rows and rows[0][1] > now else None


def expire(connection: sqlite3.Connection, now: float, most: int) -> int:
    """Remove at most so many expired values; how many."""
    return connection.execute(
        "DELETE FROM expiring WHERE rowid IN"
        " (SELECT rowid FROM expiring WHERE expires <= ? LIMIT ?)",
        (now, most),
    ).rowcount


def register(
    connection: sqlite3.Connection, place: tuple[str, str], value: bytes, expected: bytes | None
) -> bool:
    """Add when `expected` is None, else replace if it still is `expected`."""
    if expected is None:
        return bool(
            connection.execute(
                "INSERT INTO registry (kind, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (*place, value),
            ).rowcount
        )
    return bool(
        connection.execute(
            "UPDATE registry SET value = ? WHERE kind = ? AND key = ? AND value = ?",
            (value, *place, expected),
        ).rowcount
    )


def erase_commits(connection: sqlite3.Connection, client: str, most: int) -> int:
    """Destroy the contents of the newest commits that still have any; how many.

    From the newest down, so that a reader meanwhile sees fewer commits but never a gap.
    """
    return connection.execute(
        "UPDATE commits SET sealed = NULL, bodies = x'' WHERE rowid IN"
        " (SELECT rowid FROM commits WHERE client = ? AND sealed IS NOT NULL"
        "  ORDER BY n DESC LIMIT ?)",
        (client, most),
    ).rowcount


def erase_bodies(connection: sqlite3.Connection, client: str, most: int) -> int:
    """Destroy at most so many bodies; how many."""
    return connection.execute(
        "DELETE FROM bodies WHERE rowid IN (SELECT rowid FROM bodies WHERE client = ? LIMIT ?)",
        (client, most),
    ).rowcount


def parts(bodies: Mapping[bytes, bytes]) -> list[tuple[list[tuple[bytes, bytes]], int]]:
    """Bodies in parts of bounded size and number, each with its size in bytes."""
    parts: list[tuple[list[tuple[bytes, bytes]], int]] = []
    part: list[tuple[bytes, bytes]] = []
    size = 0
    for id_, sealed in bodies.items():
        if part and (size + len(sealed) > PART_BYTES or len(part) == PART_ROWS):
            parts.append((part, size))
            part, size = [], 0
        part.append((id_, sealed))
        size += len(sealed) + 100
    return [*parts, (part, size)] if part else parts
