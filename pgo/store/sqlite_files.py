"""The files of the SQLite store: how they are made, opened and checked; the only `connect`."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from pgo import errors

VERSION = 1  # of the tables; kept in user_version
BUSY = 5.0  # seconds; our own writers queue before they get here
REMEMBERED = 256  # prepared statements per connection

# What must be true of each connection, as SQLite reports it. temp_store=MEMORY: a large sort would
# otherwise go to a file; secure_delete: what is destroyed is overwritten as well.
DEMANDS: Mapping[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "temp_store": 2,
    "secure_delete": 1,
    "fullfsync": 1,
    "checkpoint_fullfsync": 1,
}

DATA = """
CREATE TABLE bodies (
    client TEXT NOT NULL, id BLOB NOT NULL, at REAL NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (client, id)
);
CREATE TABLE commits (
    client TEXT NOT NULL, n INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL,
    bodies BLOB NOT NULL, sealed BLOB,
    UNIQUE (client, n)
);
CREATE TABLE lines (
    client TEXT NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    prev BLOB NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (client, writer, seq)
);
CREATE INDEX lines_at ON lines (client, at);
CREATE TABLE expiring (
    space TEXT NOT NULL, key TEXT NOT NULL, expires INTEGER NOT NULL, value BLOB NOT NULL,
    UNIQUE (space, key)
);
CREATE INDEX expiring_expires ON expiring (expires);
CREATE TABLE links (grantee TEXT, client TEXT, PRIMARY KEY (grantee, client)) WITHOUT ROWID;
CREATE INDEX links_client ON links (client);
CREATE TABLE registry (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    UNIQUE (kind, key)
);
"""
# The lines of commits are beside them in the first file; those of reads and refusals in their own.
TRAIL = """
CREATE TABLE lines (
    client TEXT NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    prev BLOB NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (client, writer, seq)
);
CREATE INDEX lines_at ON lines (client, at);
"""
IMAGES = """
CREATE TABLE images (client TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks (
    client TEXT NOT NULL, i INTEGER NOT NULL, data BLOB NOT NULL,
    UNIQUE (client, i)
);
"""
KEYS = """
CREATE TABLE keys (
    client TEXT NOT NULL, name TEXT NOT NULL, wrapped BLOB,
    PRIMARY KEY (client, name)
) WITHOUT ROWID;
"""
SCHEMAS = {"": DATA, "-trail": TRAIL, "-images": IMAGES, "-keys": KEYS}

NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|davfs2?|ncpfs?|beegfs\w*|gpfs|ocfs2|gfs2?|glusterfs"
    r"|fuse\.(sshfs|s3fs|gcsfuse|glusterfs|rclone|goofys|smbnetfs|davfs2?|ceph\S*|juicefs|nfs\S*)"
)

MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def connect(path: Path) -> sqlite3.Connection:
    """A connection with every setting we rely on, checked.

    Raises:
        errors.Unavailable: a setting did not take.
    """
    connection = sqlite3.connect(
        path,
        timeout=BUSY,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=REMEMBERED,
    )
    try:
        for name, value in DEMANDS.items():
            connection.execute(f"PRAGMA {name}={value}").fetchall()
        check({name: connection.execute(f"PRAGMA {name}").fetchall()[0][0] for name in DEMANDS})
    except sqlite3.Error as error:
        connection.close()
        name = getattr(error, "sqlite_errorname", "unknown")
        raise errors.Unavailable(f"SQLite cannot use this file (PGO_STORE): {name}.") from error
    except errors.Unavailable:
        connection.close()
        raise
    return connection


def check(found: Mapping[str, object]) -> None:
    """Refuse a connection whose settings are weaker than DEMANDS.

    Raises:
        errors.Unavailable: names the settings.
    """
    wrong = [f"{name}={found.get(name)}" for name in DEMANDS if found.get(name) != DEMANDS[name]]
    if wrong:
        raise errors.Unavailable(
            f"SQLite does not keep what this store needs (PGO_STORE): {', '.join(wrong)}."
        )


def prepare(path: Path, schema: str) -> None:
    """Make one file with its tables if it is not there yet; others may be doing the same.

    Raises:
        errors.Unavailable: the file is of a newer version of this program, or no database.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchall()[0][0]
        if version == 0:
            for statement in filter(str.strip, schema.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
        elif version != VERSION:
            raise errors.Unavailable("The store's file is of another version (PGO_STORE).")
        connection.execute("COMMIT")
    finally:
        connection.close()
    settle(path.parent)


def settle(directory: Path) -> None:
    """Make the names of new files durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_network(directory: Path, mountinfo: Path) -> None:
    """Refuse a file system on which locks and syncs are promises of somebody else.

    Args:
        directory: where the files will be.
        mountinfo: a file as proc(5) describes for /proc/self/mountinfo; absent = nothing to check.

    Raises:
        errors.Unavailable: names the kind of file system.
    """
    if not mountinfo.exists():
        return
    kind = kind_of(str(directory.resolve()), mountinfo.read_text())
    if NETWORK.fullmatch(kind):
        raise errors.Unavailable(
            f"PGO_STORE is on a network file system ({kind}); choose a disk of this machine,"
            " or MongoDB."
        )


def in_memory(directory: Path, mountinfo: Path) -> bool:
    """Whether what is in a directory is lost when the machine stops; arguments as above."""
    if not mountinfo.exists():
        return False
    return kind_of(str(directory.resolve()), mountinfo.read_text()) in MEMORY


def kind_of(directory: str, mountinfo: str) -> str:
    """The type of the file system a directory is on; the last of the longest mount points."""
    longest, kind = -1, ""
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), mount.split()[4])
        inside = directory == point or directory.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            longest, kind = len(point), rest.split()[0]
    return kind
