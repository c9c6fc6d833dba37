"""How commits and audit lines look as MongoDB documents, and the names of documents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pgo.store.contract import Commit, Line

Document = dict[str, Any]

# Collection → its indexes, each (fields, unique). `client` comes first wherever there is one: it is
# the key to divide a collection over shards by, so that every operation touches one shard.
INDEXES: Mapping[str, tuple[tuple[tuple[str, ...], bool], ...]] = {
    "bodies": ((("client", "at"), False),),
    "commits": ((("client", "n"), True),),
    "lines": ((("client", "writer", "seq"), True), (("client", "at"), False)),
    "chunks": ((("client", "at"), False),),
    "expiring": ((("expires",), False),),
    "links": ((("grantee",), False), (("client",), False)),
    "registry": ((("kind", "key"), False),),
}

RESTORING = "restoring"
"""The collection with something in it while a copy is being put in place."""


def name_of(first: str, second: str) -> str:
    """One string for two, never the same for two other ones."""
    return f"{len(first)}:{first}/{second}"


def digest_of(value: bytes) -> str:
    """What a value is compared by, so that a comparison sends no value."""
    return hashlib.sha256(value).hexdigest()


def valued(value: bytes) -> Document:
    """The fields of a value that is replaced only if it still is a certain one."""
    return {"wrapped": value, "digest": digest_of(value)}


def line_document(line: Line) -> Document:
    """An audit line as a document."""
    return {
        "client": line.client,
        "writer": line.writer,
        "seq": line.seq,
        "at": line.at,
        "prev": line.prev,
        "hash": line.hash,
        "sealed": line.sealed,
    }


def line_of(document: Document) -> Line:
    """And back."""
    return Line(
        document["client"],
        document["writer"],
        document["seq"],
        document["at"],
        bytes(document["prev"]),
        bytes(document["hash"]),
        bytes(document["sealed"]),
    )


def commit_document(client: str, commit: Commit) -> Document:
    """A commit with its line inside: one document, so all or nothing."""
    return {
        "client": client,
        "n": commit.n,
        "bodies": list(commit.bodies),
        "sealed": commit.sealed,
        "erased": False,
        "line": line_document(commit.line),
    }


def commit_of(document: Document) -> Commit:
    """And back."""
    return Commit(
        document["n"],
        tuple(map(bytes, document["bodies"])),
        bytes(document["sealed"]),
        line_of(document["line"]),
    )


def gapless(commits: list[Commit], after: int) -> list[Commit]:
    """The commits up to the first gap; an erasure under way makes one for a moment."""
    expected = range(after + 1, after + 1 + len(commits))
    same = [commit.n == n for commit, n in zip(commits, expected, strict=True)]
    return commits[: same.index(False)] if False in same else commits
