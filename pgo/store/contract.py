"""What every store promises; the suite in tests/store proves it for each backend.

A store keeps sealed bytes per client, in order. It knows no health data, no consent and no FHIR.
Every verb names the client, apart from the registry and the expiring values. `client` is a random
id of 1-64 characters [a-z0-9-]; the id "system" holds what belongs to no dossier.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Line(NamedTuple):
    """One audit line in one chain: (client, writer) with `seq` 1, 2, 3 and on.

    `hash` covers everything else, `prev` is the hash before it (32 zero bytes at the start).
    `at` is microseconds since 1970 UTC. `sealed` is readable with the audit key only.
    """

    client: str
    writer: str
    seq: int
    at: int
    prev: bytes
    hash: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """One change: `bodies` are the (random) ids of the bodies it refers to; the rest is sealed.

    `line` is the commit's own audit line (chain "log", seq = n); it is durable with the commit.
    """

    n: int
    bodies: tuple[bytes, ...]
    sealed: bytes
    line: Line


class NotNext(Exception):
    """`append` was refused: n is not the head + 1."""


class Store(Protocol):
    """Where sealed dossiers live. All verbs may raise errors.Unavailable or errors.NoSpace."""

    async def close(self) -> None:
        """Finish what is under way and let go of files and sockets."""

    async def ready(self) -> None:
        """Return when the store can serve; else raise errors.Unavailable."""

    def mark(self) -> int | None:
        """Equal to what it was: nothing was committed in between, audit lines left aside.

        So what was found out before still holds, but for what expired. None: ask again.
        """

    # --- the log -------------------------------------------------------------------------------

    async def head(self, client: str) -> int:
        """Newest commit number as of now on any node; 0 when there is none."""

    def turn(self, client: str) -> AbstractAsyncContextManager[None]:
        """Hold the write queue of one dossier, from head check to commit.

        SQLite: nobody else, in any process, is inside the turn of this client at the same time;
        those who wait get it in order. MongoDB: the same within one process; between processes
        the unique (client, n) decides and the loser gets NotNext. Released when its holder dies.
        """

    async def keep_bodies(self, client: str, bodies: Mapping[bytes, bytes]) -> None:
        """Write sealed bodies under their random 16-byte ids; durable on return; never changed."""

    async def bodies(self, client: str, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """The sealed bodies with these ids in one round trip; absent ones are left out."""

    async def drop_bodies(self, client: str, ids: Sequence[bytes]) -> None:
        """Destroy these bodies (erasing one item); the commits that name them stay."""

    async def append(self, client: str, commit: Commit) -> None:
        """Add one commit and its audit line: all or nothing, durable on return.

        Raises:
            NotNext: commit.n is not the head + 1; nothing was written.
        """

    async def commits(self, client: str, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits with n > `after`, in order, without gaps."""

    # --- the image -----------------------------------------------------------------------------

    async def image(self, client: str) -> tuple[int, tuple[bytes, ...]] | None:
        """The last image kept, whole: (n, chunks of at most 4 MB); None when there is none."""

    async def keep_image(self, client: str, n: int, chunks: Sequence[bytes]) -> bool:
        """Keep an image, off the writers' path; False (and nothing done) when n is not newer."""

    # --- the trail -----------------------------------------------------------------------------

    async def note(self, lines: Sequence[Line]) -> None:
        """Write audit lines, of one or more clients; all durable on return, or none written."""

    def trail(self, client: str, since: int = 0, until: int | None = None) -> AsyncIterator[Line]:
        """Audit lines with since <= at < until (microseconds), commits' own lines included.

        In order within each chain; order between chains is by time as far as possible.
        """

    # --- keys ----------------------------------------------------------------------------------

    async def key(self, client: str) -> dict[str, bytes]:
        """Wrapped keys by name ("data", "audit"), kept in their own place; {} when unknown."""

    async def keep_key(self, client: str, name: str, wrapped: bytes) -> bool:
        """Keep a wrapped key if there is none by that name; False when there already is one."""

    async def rewrap_key(self, client: str, name: str, old: bytes, new: bytes) -> bool:
        """Replace a wrapped key if it still is `old`."""

    async def destroy_key(self, client: str, name: str) -> None:
        """Destroy a wrapped key for good; nothing sealed with it can be read any more."""

    async def clients(self) -> list[str]:
        """The ids of all dossiers that have a key, in order."""

    # --- values that expire --------------------------------------------------------------------

    async def put(
        self, space: str, key: str, value: bytes, expires: int, *, fresh: bool = False
    ) -> bool:
        """Keep a value until `expires` (seconds since 1970).

        With `fresh`, only when the key is not in use: of any number of callers at the same time,
        on any node, exactly one gets True.
        """

    async def take(self, space: str, key: str, now: int) -> bytes | None:
        """Hand out a value and end it, indivisibly: of any number of takers exactly one gets it."""

    async def peek(self, space: str, key: str, now: int) -> bytes | None:
        """The value, when it is there and not expired at `now`."""

    async def drop(self, space: str, key: str) -> None:
        """End a value; the next peek on any node gets None."""

    # --- hints ---------------------------------------------------------------------------------

    async def link(self, grantee: str, client: str) -> None:
        """Remember that this person may have something in this dossier; `decide` decides."""

    async def unlink(self, grantee: str, client: str) -> None:
        """Forget the hint."""

    async def links(self, grantee: str) -> list[str]:
        """The clients hinted at for this person, in order."""

    # --- registry ------------------------------------------------------------------------------

    async def register(
        self, kind: str, key: str, value: bytes, *, expected: bytes | None = None
    ) -> bool:
        """Keep an account, app, provider, team …: sealed `value` under (kind, key).

        `expected` None: only when there is none yet; else only when it still is `expected`.
        False when refused.
        """

    async def lookup(self, kind: str, key: str) -> bytes | None:
        """The value registered under (kind, key)."""

    async def listing(self, kind: str) -> dict[str, bytes]:
        """Everything registered under a kind, in order of key."""

    async def unregister(self, kind: str, key: str) -> None:
        """Forget one."""

    # --- the end -------------------------------------------------------------------------------

    async def sweep(self, client: str, older_than: float) -> int:
        """Destroy bodies no commit refers to that are older than `older_than` seconds; how many.

        Never one that a commit under way will still refer to, provided a writer appends within
        `older_than` seconds after keep_bodies; expired values of all spaces go with it.
        """

    async def erase(self, client: str) -> None:
        """Destroy the data key, then commits' contents, bodies, images and hints of this client.

        Audit lines stay (they are under the audit key). Head stays readable as it was; bodies and
        commits answer empty; a later `keep_key(client, "data", …)` is refused (False).
        """
