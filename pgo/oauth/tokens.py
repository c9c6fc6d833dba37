"""Opaque tokens, codes and their families: made, spent once, ended; only hashes are at rest.

Spaces in the store (each key is the SHA-256 of what the app holds):

* ``code``, ``refresh``, ``access``: the facts, sealed for this token only (its key is in the AAD).
* ``code-spent``, ``refresh-spent``: what has been handed in; a second time ends its family.
* ``family``: ``live`` or ``dead``. A dead one never lives again: ``live`` is only ever put fresh.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from pgo.dossier.seal import Box
from pgo.errors import BadValue, Incident, InvalidGrant, NotFound, Unauthenticated
from pgo.oauth.clients import OPERATOR, App, Provider
from pgo.oauth.scopes import cap_of
from pgo.oauth.spent import Notes, Reused, Whose
from pgo.registry import Account, Registry
from pgo.store.contract import Store

Clock = Callable[[], datetime]
TOKEN_BYTES = 32
MOST_TOKEN = 512
REMEMBERED = 4096
_LIVE, _DEAD = b"live", b"dead"
_GRANT_ENDED = "This grant is not good, or not any more."
_TOKEN_ENDED = "The access token is not good, or not any more."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last, in seconds."""

    code: int = 60
    access: int = 300
    operator: int = 3600
    refresh_idle: int = 30 * 86400
    refresh: int = 180 * 86400
    remember_spent: int = 86400


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody was given: the same facts stand behind a code, a refresh and an access token.

    Attributes:
        person: account id, or client_id of a provider system.
        kind: the kind the person acts in: "" or the account's own; "systeem" for a system.
        org: organisation the person acts for, or "".
        app: client_id, or `clients.OPERATOR`.
        dossier: client id, or "".
        scope: SMART scopes as granted.
        service: MedMij service the token is for, or "".
        family: ends all together; "" for a token that stands alone.
        generation: of person and app when the person gave this; see `generation_of`.
        issued, expires: seconds since 1970; `until`: no refresh token of the family outlives this.
        bound: whose key it needs: "jkt:…" or "x5t:…" (see `pgo.oauth.proof`); "" for a bearer.
        signed_in: when the person signed in, seconds since 1970; 0 for systems and operators.
        redirect_uri, challenge, nonce: of a code; "" for others.
    """

    person: str
    kind: str
    org: str
    app: str
    dossier: str
    scope: tuple[str, ...]
    service: str
    loa: str
    family: str
    generation: int
    issued: int
    expires: int
    until: int
    bound: str = ""
    signed_in: int = 0
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """What an app gets; shown to nobody else."""

    access: str
    expires_in: int
    refresh: str
    grant: Grant

    def __repr__(self) -> str:
        return "Issued(…)"


_TYPES: dict[str, type] = {
    one.name: {"int": int, "str": str}.get(str(one.type), list) for one in fields(Grant)
}


def digest(text: str) -> str:
    """The name something secret is stored under: SHA-256, hexadecimal."""
    return sha256(text.encode()).hexdigest()


def generation_of(client: App | Provider | None, account: Account | None) -> int:
    """A number that changes when all tokens of the person, of the app, or of both together end.

    It only counts up, as each of its parts does.
    """
    mine = 0 if client is None else client.generation
    if account is None:
        return mine
    app = OPERATOR if client is None else client.client_id
    return mine + account.generation + account.ended.get(app, 0)


class Tokens:
    """Makes and ends tokens; `clock` tells the time, `random` gives that many random bytes."""

    def __init__(
        self,
        store: Store,
        box: Box,
        clock: Clock,
        *,
        lifetimes: Lifetimes | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._box = box
        self._clock = clock
        self._random = random
        self._spent = Notes(store, box)
        self._seen: dict[tuple[str, str], tuple[bytes, Grant | None]] = {}
        self.lifetimes = lifetimes or Lifetimes()

    def now(self) -> int:
        """Seconds since 1970."""
        return int(self._clock().timestamp())

    def mark(self) -> int | None:
        """See `Store.mark`: whether what a token stood for before still holds."""
        return self._store.mark()

    def secret(self) -> str:
        """A new secret of 256 bits in 43 characters."""
        return urlsafe_b64encode(self._random(TOKEN_BYTES)).rstrip(b"=").decode()

    async def code(self, grant: Grant) -> str:
        """A code for a grant; good once, for a minute at most.

        What comes of it is a family of its own, or joins the one the grant names.
        """
        now, code = self.now(), self.secret()
        family = grant.family or digest(self.secret())[:32]
        expires = now + self.lifetimes.code
        await self._put("code", code, replace(grant, family=family, issued=now, expires=expires))
        return code

    async def redeem(self, code: str) -> Grant:
        """Spend a code; of any number who try, one gets it, and the others end what came of it.

        Raises:
            errors.InvalidGrant: unknown, spent or expired.
        """
        grant = await self._spend("code", code)
        until = grant.until or self.now() + self.lifetimes.refresh
        joins = grant.until > 0
        if grant.expires <= self.now() or (joins and not await self.alive(grant.family)):
            raise InvalidGrant(_GRANT_ENDED)
        return replace(grant, until=until)

    async def issue(
        self, grant: Grant, *, refresh: Grant | None = None, texts: tuple[str, str] = ("", "")
    ) -> Issued:
        """A new access token for a grant, and a new refresh token when `refresh` has its facts.

        `texts` are what they are called, when that was settled before.
        """
        now, access = self.now(), texts[0] or self.secret()
        lives = self.lifetimes.access
        await self._put("access", access, replace(grant, issued=now, expires=now + lives))
        again = "" if refresh is None else texts[1] or self.secret()
        if refresh is not None:
            await self.prolong(again, refresh)
        return Issued(access, lives, again, grant)

    async def refresh(self, text: str) -> Grant | None:
        """What a refresh token stands for, without spending it; None when it is not good.

        Raises:
            Reused: it was spent before; its family, which lived, is ended.
        """
        grant = await self._peek("refresh", text)
        if grant is None:
            await self._end_spent("refresh", text)
        if grant is None or grant.expires <= self.now() or not await self.alive(grant.family):
            return None
        return grant

    async def rotate(self, text: str) -> None:
        """Spend a refresh token.

        Raises:
            Reused: somebody else spent it; the family is ended.
        """
        await self._spend("refresh", text)

    async def prolong(self, text: str, grant: Grant) -> None:
        """Keep a refresh token: a new one, or one that lives on because its app proves itself."""
        now = self.now()
        expires = min(now + self.lifetimes.refresh_idle, grant.until)
        await self._put("refresh", text, replace(grant, issued=now, expires=expires))

    async def access(self, text: str) -> Grant:
        """What an access token stands for.

        Raises:
            errors.Unauthenticated: unknown, expired, ended, or its record is not whole.
        """
        if len(text) > MOST_TOKEN:
            raise Unauthenticated(_TOKEN_ENDED)
        grant = await self._peek("access", text)
        if grant is None or grant.expires <= self.now():
            raise Unauthenticated(_TOKEN_ENDED)
        if grant.family and not await self.alive(grant.family):
            raise Unauthenticated(_TOKEN_ENDED)
        return grant

    async def alive(self, family: str) -> bool:
        """Whether a family has not been ended."""
        return await self._store.peek("family", family, self.now()) == _LIVE

    async def end_family(self, family: str) -> None:
        """End all tokens of a family for good."""
        await self._store.put("family", family, _DEAD, self.now() + self.lifetimes.refresh)

    async def find(self, text: str) -> tuple[str, Grant] | None:
        """("access" or "refresh", facts) of a token that is good now."""
        if len(text) > MOST_TOKEN:
            return None
        for space in ("access", "refresh"):
            grant = await self._peek(space, text)
            if grant is None or grant.expires <= self.now():
                continue
            return (space, grant) if not grant.family or await self.alive(grant.family) else None
        return None

    async def revoke(self, space: str, text: str, grant: Grant) -> None:
        """End a token: an access token alone, with a refresh token its whole family (RFC 7009)."""
        if space == "refresh":
            await self.end_family(grant.family)
        await self._store.drop(space, digest(text))

    async def issue_operator(
        self,
        registry: Registry,
        *,
        dossier: str,
        person: str,
        scope: tuple[str, ...] = (),
        service: str = "",
        org: str = "",
        seconds: int = 0,
    ) -> Issued:
        """A token made by an operator (`pgo token`), for one dossier, an hour at most.

        Args:
            registry: where the person must be registered.
            dossier: client id.
            person: account id of who will be acting.
            scope: SMART scopes, or none when `service` is given.
            service: MedMij service the token is for, instead of scopes.
            org: organisation the person acts for; "" takes the only one there is.
            seconds: how long it lives; 0 is an hour.

        Raises:
            errors.NotFound: no such (active) person.
            errors.BadValue: not one of scope and service, too long, or not a member of `org`.
            errors.InvalidScope: a malformed scope.
        """
        lives = seconds or self.lifetimes.operator
        if bool(scope) == bool(service) or not 0 < lives <= self.lifetimes.operator:
            raise BadValue("Give a scope or a service, and an hour at most.", place="token")
        account, org = await _acting(registry, person, org)
        cap_of(scope)
        now, access = self.now(), self.secret()
        grant = Grant(
            person=person, kind=account.kind, org=org, app=OPERATOR, dossier=dossier, scope=scope,
            service=service, loa=account.loa, family="", generation=generation_of(None, account),
            issued=now, expires=now + lives, until=now + lives,
        )  # fmt: skip
        await self._put("access", access, grant)
        return Issued(access, lives, "", grant)

    async def close(self, text: str, grant: Grant) -> bool:
        """Spend a refresh token with these facts; whether it was still there."""
        return await self._taken("refresh", text, grant)

    async def was_spent(self, text: str) -> bool:
        """Whether a refresh token was handed in before."""
        return await self._spent.find("refresh", digest(text), self.now()) is not None

    async def _taken(self, space: str, text: str, grant: Grant) -> bool:
        remembered = max(grant.expires, grant.until, self.now() + self.lifetimes.remember_spent)
        # The note of the spending comes before the taking: who comes second always finds it.
        await self._spent.keep(space, digest(text), grant, remembered)
        return await self._store.take(space, digest(text), self.now()) is not None

    async def _spend(self, space: str, text: str) -> Grant:
        grant = await self._peek(space, text)
        if grant is None:
            await self._end_spent(space, text)
            raise InvalidGrant(_GRANT_ENDED)
        if space == "code" and not grant.until:
            # The family begins before the taking: who comes second ends one that is there.
            until = self.now() + self.lifetimes.refresh
            await self._store.put("family", grant.family, _LIVE, until, fresh=True)
        if not await self._taken(space, text, grant):
            await self.end_spent(space, grant)
            raise InvalidGrant(_GRANT_ENDED)
        return grant

    async def _end_spent(self, space: str, text: str) -> None:
        spent = await self._spent.find(space, digest(text), self.now())
        if spent is not None:
            await self.end_spent(space, spent)

    async def end_spent(self, space: str, whose: Whose) -> None:
        """End what came of something that was handed in twice.

        Raises:
            Reused: it was a refresh token, and what came of it lived until now.
        """
        lived = await self.alive(whose.family)
        await self.end_family(whose.family)
        if lived and space == "refresh":
            raise Reused(whose)

    async def _put(self, space: str, text: str, grant: Grant) -> None:
        name = digest(text)
        sealed = self._box.seal(_place(space, name), orjson.dumps(asdict(grant)))
        await self._store.put(space, name, sealed, grant.expires)

    async def _peek(self, space: str, text: str) -> Grant | None:
        name = digest(text)
        sealed = await self._store.peek(space, name, self.now())
        return None if sealed is None else self._unsealed(space, name, sealed)

    def _unsealed(self, space: str, name: str, sealed: bytes) -> Grant | None:
        """The facts; those of exactly the same sealed bytes at the same place are remembered."""
        place = (space, name)
        seen = self._seen.get(place)
        if seen is not None and seen[0] == sealed:
            return seen[1]
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        grant = read(self._box, space, name, sealed)
        self._seen[place] = (sealed, grant)
        return grant


async def _acting(registry: Registry, person: str, org: str) -> tuple[Account, str]:
    """The active person, and the organisation he acts for."""
    account = await registry.account(person)
    if account is None or account.disabled:
        raise NotFound("There is no such person.", place="person")
    org = org or (account.orgs[0] if len(account.orgs) == 1 else "")
    if org and org not in account.orgs:
        raise BadValue("The person is not a member of this organisation.", place="org")
    return account, org


def read(box: Box, space: str, name: str, sealed: bytes) -> Grant | None:
    """The facts, or None when the record does not open or is not whole: all of it or nothing."""
    try:
        raw: Any = orjson.loads(box.open(_place(space, name), sealed))
    except (Incident, ValueError):
        return None
    if type(raw) is not dict or raw.keys() != _TYPES.keys():
        return None
    for name_, value in raw.items():
        if type(value) is not _TYPES[name_]:
            return None
    raw["scope"] = tuple(raw["scope"])
    return Grant(**raw) if all(type(word) is str for word in raw["scope"]) else None


def _place(space: str, name: str) -> bytes:
    return f"oauth|{space}|{name}".encode()
