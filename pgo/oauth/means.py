"""What one person signs in with, and where that person is signed in; sealed in the registry.

Everything about a person is one entry, changed by comparing: of two changes at the same time both
land, one after the other. Beside it stand signposts, from a hash to the account: of a provider's
pseudonym, a passkey, a set of recovery codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import orjson

from pgo.dossier.seal import Box
from pgo.errors import Conflict
from pgo.oauth.news import LINK, OUT, UNLINK, News, added, taken_back
from pgo.store.contract import Store

_KIND: Final = "means"
_TRIES: Final = 16
MOST_SESSIONS: Final = 20
NOBODY: Final = "-"
"""No account's id; looked up for keys and codes of nobody, so that they cost what others cost."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey: `id` and public `key` (COSE) as base64url, `level` it may give at most.

    `count` is the device's own counter; `made` and `used` are seconds since 1970.
    """

    id: str
    key: str
    count: int
    name: str
    level: str
    made: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session as its person sees it: `kept` is the name its facts are stored under."""

    id: str
    kept: str
    way: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Means:
    """All of one person.

    Attributes:
        handle: what devices know the person by; says nothing. "" until there is a passkey.
        links: names of the signposts of providers' pseudonyms, with the provider before them.
        salt, codes: of the recovery codes that are left, as hexadecimal.
        selector: first part of these codes.
        news: what changed about all this, for the person to be told.
    """

    sessions: tuple[SignedIn, ...] = ()
    passkeys: tuple[Passkey, ...] = ()
    links: tuple[str, ...] = ()
    handle: str = ""
    selector: str = ""
    salt: str = ""
    codes: tuple[str, ...] = ()
    news: tuple[News, ...] = ()

    def telling(self, kind: str, at: int, what: str = "") -> Means:
        """These means with the news of a change; `at` in seconds, `what` a provider's name."""
        return replace(self, news=added(self.news, kind, at, what))


class AllMeans:
    """The means of everybody, in `store`, sealed with `box`."""

    def __init__(self, store: Store, box: Box) -> None:
        self._store, self._box = store, box

    async def of(self, person: str) -> Means:
        """The means of an account; empty ones when there are none yet."""
        return self._read(person, await self._store.lookup(_KIND, person))

    async def change(self, person: str, edit: Callable[[Means], Means]) -> Means:
        """Replace them by edited ones; `edit` may be called again, and may raise to stop.

        Raises:
            errors.Conflict: others kept changing them.
        """
        for _ in range(_TRIES):
            sealed = await self._store.lookup(_KIND, person)
            new = edit(self._read(person, sealed))
            text = self._box.seal(_place(_KIND, person), orjson.dumps(asdict(new)))
            if await self._store.register(_KIND, person, text, expected=sealed):
                return new
        raise Conflict("This account is being changed elsewhere.")

    async def point(self, kind: str, name: str, person: str) -> bool:
        """Put up a signpost; False when there is one of that name already."""
        sealed = self._box.seal(_place(kind, name), person.encode())
        return await self._store.register(f"to-{kind}", name, sealed)

    async def pointed(self, kind: str, name: str) -> str:
        """The account a signpost leads to, or ""."""
        sealed = await self._store.lookup(f"to-{kind}", name)
        return "" if sealed is None else self._box.open(_place(kind, name), sealed).decode()

    async def take_down(self, kind: str, name: str) -> None:
        """Take a signpost away."""
        await self._store.unregister(f"to-{kind}", name)

    def _read(self, person: str, sealed: bytes | None) -> Means:
        if sealed is None:
            return Means()
        raw: dict[str, Any] = orjson.loads(self._box.open(_place(_KIND, person), sealed))
        return Means(
            sessions=tuple(SignedIn(**one) for one in raw["sessions"]),
            passkeys=tuple(Passkey(**one) for one in raw["passkeys"]),
            links=tuple(raw["links"]), handle=raw["handle"], selector=raw["selector"],
            salt=raw["salt"], codes=tuple(raw["codes"]),
            news=tuple(News(**one) for one in raw.get("news", ())),
        )  # fmt: skip


async def link(all_means: AllMeans, person: str, provider: str, post: str, now: int) -> None:
    """Say that a provider's pseudonym, by the name of its signpost, is this account's.

    The list of links comes first: a signpost that is up can always be found again, to take it down.

    Raises:
        errors.Conflict: it is somebody's already.
    """
    mine = f"{provider}|{post}"

    def linked(means: Means) -> Means:
        return replace(means, links=(*means.links, mine)).telling(LINK, now, provider)

    await all_means.change(person, linked)
    if not await all_means.point("provider", post, person):
        await all_means.change(person, lambda means: _without_link(means, provider, mine))
        raise Conflict("This sign-in is linked already.")


async def unlink(all_means: AllMeans, person: str, provider: str, now: int) -> int:
    """End every link of an account to a provider; how many there were."""
    links = (await all_means.of(person)).links
    gone = {one for one in links if one.partition("|")[0] == provider}
    for one in gone:
        await all_means.take_down("provider", one.partition("|")[2])

    def unlinked(means: Means) -> Means:
        left = tuple(one for one in means.links if one not in gone)
        return replace(means, links=left).telling(UNLINK, now, provider)

    if gone:
        await all_means.change(person, unlinked)
    return len(gone)


def _without_link(means: Means, provider: str, link_: str) -> Means:
    """The means after one of these links, when it is there more than once, is gone."""
    links = list(means.links)
    if link_ in links:
        links.remove(link_)
    return replace(means, links=tuple(links), news=taken_back(means.news, LINK, provider))


def without_sessions(means: Means, now: int) -> Means:
    """The means after all sessions ended."""
    return replace(means, sessions=()).telling(OUT, now)


def without_session(means: Means, id_: str) -> Means:
    """The means after one session ended."""
    return replace(means, sessions=tuple(one for one in means.sessions if one.id != id_))


def with_session(means: Means, session: SignedIn, now: int) -> Means:
    """The means after a sign-in; sessions that are over go, and the oldest above twenty."""
    live = [one for one in means.sessions if one.until > now][-(MOST_SESSIONS - 1) :]
    return replace(means, sessions=(*live, session))


def _place(kind: str, name: str) -> bytes:
    return f"means|{kind}|{name}".encode()
