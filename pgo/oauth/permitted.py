"""Which apps a person let in, for that person to look back on: sealed in the registry, by account.

It only tells; tokens do not ask it. A family of tokens is on it before its first token is given
out, so that no app can be in without being listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

import orjson

from pgo.errors import Conflict
from pgo.oauth.parts import Parts
from pgo.oauth.tokens import Grant, generation_of

_KIND: Final = "permitted"
_TRIES: Final = 16
_EVERY: Final = 60
REMEMBERED: Final = 365 * 86400
MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Permission:
    """One time a person let an app in; all moments are seconds since 1970.

    `family` is of its tokens, `generation` of person and app then; `until` is the latest end.
    """

    app: str
    dossier: str
    scope: tuple[str, ...]
    family: str
    generation: int
    since: int
    used: int
    until: int


class Permitted:
    """The lists of everybody, in the store of `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def given(self, grant: Grant, *, lasting: bool) -> None:
        """List a grant that is about to be given out; `lasting` when it can be refreshed.

        One that joins a family is on the list already.

        Raises:
            errors.Conflict: the list kept being changed by others.
        """
        now, tokens = self._parts.tokens.now(), self._parts.tokens
        until = grant.until if lasting else now + tokens.lifetimes.access
        new = Permission(
            grant.app, grant.dossier, grant.scope, grant.family, grant.generation, now, now, until
        )

        def listed(old: tuple[Permission, ...]) -> tuple[Permission, ...]:
            joins = any(one.family == grant.family for one in old)
            return _used(old, grant.family, now) if joins else _tidied((*old, new), now)

        await self._change(grant.person, listed)

    async def used(self, grant: Grant) -> None:
        """Remember when an app last came for new tokens, to the minute.

        When many come at once one of them is remembered, which says the same.
        """
        now = self._parts.tokens.now()
        try:
            await self._change(grant.person, lambda old: _used(old, grant.family, now))
        except Conflict:
            return

    async def of(self, person: str) -> list[Permission]:
        """What a person let in, newest first; also what has ended since."""
        return list(self._read(person, await self._parts.store.lookup(_KIND, person)))[::-1]

    async def holds(self, person: str, one: Permission) -> bool:
        """Whether the app can get at anything now."""
        registry = self._parts.registry
        account, app = await registry.account(person), await registry.app(one.app)
        if account is None or account.disabled or app is None or app.disabled:
            return False
        fresh = one.generation == generation_of(app, account)
        timely = one.until > self._parts.tokens.now()
        return fresh and timely and await self._parts.tokens.alive(one.family)

    async def withdraw(self, person: str, app: str) -> None:
        """End every token an app has of a person, and take it off the list."""
        await self._parts.registry.end_tokens_of_person(person, app)
        await self._change(person, lambda old: tuple(one for one in old if one.app != app))

    async def _change(
        self, person: str, edit: Callable[[tuple[Permission, ...]], tuple[Permission, ...]]
    ) -> None:
        for _ in range(_TRIES):
            sealed = await self._parts.store.lookup(_KIND, person)
            old = self._read(person, sealed)
            new = edit(old)
            if new == old:
                return
            text = self._parts.box.seal(_place(person), orjson.dumps([asdict(one) for one in new]))
            if await self._parts.store.register(_KIND, person, text, expected=sealed):
                return
        raise Conflict("This account is being changed elsewhere.")

    def _read(self, person: str, sealed: bytes | None) -> tuple[Permission, ...]:
        if sealed is None:
            return ()
        raw = orjson.loads(self._parts.box.open(_place(person), sealed))
        return tuple(Permission(**{**one, "scope": tuple(one["scope"])}) for one in raw)


def _used(all_: tuple[Permission, ...], family: str, now: int) -> tuple[Permission, ...]:
    """With the family marked as used now, when that was more than a moment ago."""
    return tuple(
        replace(one, used=now) if one.family == family and one.used + _EVERY <= now else one
        for one in all_
    )


def _tidied(all_: tuple[Permission, ...], now: int) -> tuple[Permission, ...]:
    """Without what is long over, and of the same thing over and over only the newest."""
    newest = {(one.app, one.dossier, one.scope): one for one in all_}
    kept = [
        one
        for one in all_
        if one.until > now
        or (
            one.used > now - REMEMBERED
            and newest[(one.app, one.dossier, one.scope)].family == one.family
        )
    ]
    return tuple(kept[-MOST:])


def _place(person: str) -> bytes:
    return f"permitted|{person}".encode()
