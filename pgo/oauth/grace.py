"""Rotation of a refresh token that is bound to a key: the same request again, the same answer.

An answer can get lost. Within 30 seconds, and from the very same key, a spent token gives the
same new ones once more, as long as those were not used; anything else is reuse and ends the
family. The new tokens follow from the old one and a salt: neither alone tells them, and nothing
readable is stored. Of any number of requests at the same time all get the same answer.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256

import orjson

from pgo.dossier.seal import Box
from pgo.errors import Incident, InvalidGrant
from pgo.oauth.tokens import Grant, Issued, Tokens, digest
from pgo.store.contract import Store

LASTS = 30
_SPACE = "refresh-grace"
_ENDED = "This grant is not good, or not any more."


class Grace:
    """Rotates, and answers the same request again."""

    def __init__(self, store: Store, box: Box, tokens: Tokens) -> None:
        self._store, self._box, self._tokens = store, box, tokens

    async def again(self, text: str, app: str, bound: str) -> Issued | None:
        """What this spent token gave a moment ago, for who it was given to; None otherwise."""
        salt = await self._salt(text, bound)
        if salt is None:
            return None
        access, fresh = _derived(text, salt)
        found = await self._tokens.find(access)
        kept = await self._tokens.find(fresh)
        if found is None or kept is None or found[1].app != app:
            return None
        left = found[1].expires - self._tokens.now()
        return Issued(access, left, fresh, found[1])

    async def rotated(self, text: str, given: Grant, kept: Grant) -> Issued:
        """New tokens for a refresh token that is there; it is spent.

        Raises:
            errors.InvalidGrant: what it gave was used already; the family is ended.
        """
        until = self._tokens.now() + LASTS
        name, mine = digest(text), {"salt": secrets.token_hex(16), "bound": given.bound}
        sealed = self._box.seal(_place(name), orjson.dumps(mine))
        await self._store.put(_SPACE, name, sealed, until, fresh=True)
        salt = await self._salt(text, given.bound)
        if salt is None:
            raise InvalidGrant(_ENDED)
        texts = _derived(text, salt)
        issued = await self._tokens.issue(
            given, refresh=replace(kept, bound=given.bound), texts=texts
        )
        await self._tokens.close(text, kept)
        if await self._tokens.was_spent(issued.refresh):
            await self._tokens.end_spent("refresh", kept)
            raise InvalidGrant(_ENDED)
        return issued

    async def _salt(self, text: str, bound: str) -> bytes | None:
        name = digest(text)
        sealed = await self._store.peek(_SPACE, name, self._tokens.now())
        try:
            kept = None if sealed is None else orjson.loads(self._box.open(_place(name), sealed))
        except (Incident, ValueError):
            return None
        return bytes.fromhex(kept["salt"]) if kept and kept["bound"] == bound else None


def _derived(text: str, salt: bytes) -> tuple[str, str]:
    """The new access token and refresh token."""
    first, second = (
        urlsafe_b64encode(hmac.digest(text.encode(), use + salt, sha256)).rstrip(b"=").decode()
        for use in (b"access|", b"refresh|")
    )
    return first, second


def _place(name: str) -> bytes:
    return f"oauth|{_SPACE}|{name}".encode()
