"""Who is signed in in a browser: an opaque cookie, and sealed facts in the store under its hash.

A session ends when it is not used for a while, after a time in all, when its person signs out here
or everywhere, and when an operator ends the account's tokens. The list of a person's sessions
(`pgo.oauth.means`) decides: what is not on it is over, whatever else is still stored.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from hmac import compare_digest
from typing import Final

import orjson
from fastapi import Request, Response

from pgo.errors import Incident
from pgo.oauth.flow import Stale
from pgo.oauth.means import (
    AllMeans,
    SignedIn,
    with_session,
    without_session,
    without_sessions,
)
from pgo.oauth.parts import Parts
from pgo.oauth.tokens import digest
from pgo.registry import Account

SPACE: Final = "session"
TOUCH: Final = 60
"""A session that is used is kept longer once a minute at most."""
_STALE: Final = "This page is too old, or was opened elsewhere."


@dataclass(frozen=True, slots=True)
class Session:
    """A session: `level` of assurance, the `way` of the sign-in, and when that was.

    `form_token` stands in every form of this session's pages.
    """

    id: str
    person: str
    level: str
    way: str
    at: int
    until: int
    idle: int
    generation: int
    form_token: str = ""


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, parts: Parts, means: AllMeans) -> None:
        self._parts, self._means = parts, means
        self._name = f"{'__Host-' if parts.secure else ''}pgo-session"
        self._left = f"{'__Host-' if parts.secure else ''}pgo-left"

    async def current(self, request: Request) -> Session | None:
        """The session of this browser, when it is still good."""
        cookie = request.cookies.get(self._name, "")
        if not cookie:
            return None
        kept, now = digest(cookie), self._parts.tokens.now()
        found = self._opened(kept, await self._parts.store.peek(SPACE, kept, now))
        if found is None or found.until <= now or found.idle <= now:
            return None
        account = await self._parts.registry.account(found.person)
        means = await self._means.of(found.person)
        listed = any(one.id == found.id and one.kept == kept for one in means.sessions)
        gone = account is None or account.disabled or account.generation != found.generation
        if gone or not listed:
            return None
        if found.idle - now < self._parts.ways.idle - TOUCH:
            found = replace(found, idle=min(now + self._parts.ways.idle, found.until))
            await self._keep(kept, found)
        return replace(found, form_token=digest(f"form|session|{cookie}"))

    async def begin(
        self, request: Request, response: Response, account: Account, *, level: str, way: str,
        at: int, id_: str = "",
    ) -> Session:  # fmt: skip
        """A new session with a new cookie; the one this browser had ends."""
        await self.end_here(request, response)
        tokens, ways = self._parts.tokens, self._parts.ways
        now, cookie = tokens.now(), tokens.secret()
        session = Session(
            id=id_ or self.new_id(), person=account.id, level=level, way=way, at=at,
            until=now + ways.absolute, idle=min(now + ways.idle, now + ways.absolute),
            generation=account.generation,
        )  # fmt: skip
        kept = digest(cookie)
        await self._keep(kept, session)
        listed = SignedIn(session.id, kept, way, now, session.until)
        await self._means.change(account.id, lambda means: with_session(means, listed, now))
        response.set_cookie(
            self._name, cookie, max_age=ways.absolute, path="/", secure=self._parts.secure,
            httponly=True, samesite="lax",
        )  # fmt: skip
        response.delete_cookie(
            self._left, path="/", secure=self._parts.secure, httponly=True, samesite="lax"
        )
        return session

    def new_id(self) -> str:
        """What a session is called on its person's list."""
        return self._parts.tokens.secret()[:16]

    async def is_listed(self, person: str, id_: str) -> bool:
        """Whether a session of this person was not ended; it may be idle."""
        now = self._parts.tokens.now()
        listed = (await self._means.of(person)).sessions
        return any(one.id == id_ and one.until > now for one in listed)

    def leave(self, response: Response) -> None:
        """Let this browser know that its person signed out.

        A provider may still know him: the next sign-in there must be a fresh one, so that nobody
        else gets in with one click.
        """
        response.set_cookie(
            self._left, "1", max_age=self._parts.ways.absolute, path="/",
            secure=self._parts.secure, httponly=True, samesite="lax",
        )  # fmt: skip

    def was_left(self, request: Request) -> bool:
        """Whether the last person in this browser signed out."""
        return self._left in request.cookies

    async def end_here(self, request: Request, response: Response) -> None:
        """End the session of this browser, if there is one, and take its cookie away."""
        session = await self.current(request)
        if session is not None:
            await self.end(session.person, session.id)
        response.delete_cookie(
            self._name, path="/", secure=self._parts.secure, httponly=True, samesite="lax"
        )

    async def end(self, person: str, id_: str) -> None:
        """End one session of a person; one that is not there is left alone."""
        before = await self._means.of(person)
        await self._means.change(person, lambda means: without_session(means, id_))
        for one in before.sessions:
            if one.id == id_:
                await self._parts.store.drop(SPACE, one.kept)

    async def end_all(self, person: str) -> None:
        """End all sessions of a person and, when so configured, what apps hold of that person."""
        before, now = await self._means.of(person), self._parts.tokens.now()
        await self._means.change(person, lambda means: without_sessions(means, now))
        for one in before.sessions:
            await self._parts.store.drop(SPACE, one.kept)
        if self._parts.ways.ends_apps:
            await self._parts.registry.end_tokens_of_person(person)

    async def listed(self, person: str) -> list[SignedIn]:
        """The sessions of a person that are not over, newest first."""
        now = self._parts.tokens.now()
        means = await self._means.of(person)
        live = [one for one in means.sessions if one.until > now]
        kept = [one for one in live if await self._parts.store.peek(SPACE, one.kept, now)]
        return kept[::-1]

    async def _keep(self, kept: str, session: Session) -> None:
        sealed = self._parts.box.seal(_place(kept), orjson.dumps(asdict(session)))
        await self._parts.store.put(SPACE, kept, sealed, session.idle)

    def _opened(self, kept: str, sealed: bytes | None) -> Session | None:
        if sealed is None:
            return None
        try:
            return Session(**orjson.loads(self._parts.box.open(_place(kept), sealed)))
        except (Incident, ValueError, TypeError):
            return None


def check_form(session: Session, form: dict[str, str]) -> None:
    """Whether a form came from this session's own page.

    Raises:
        Stale: it did not.
    """
    if not compare_digest(session.form_token.encode(), form.get("form", "").encode()):
        raise Stale(_STALE)


def _place(kept: str) -> bytes:
    return f"oauth|{SPACE}|{kept}".encode()
