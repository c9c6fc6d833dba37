"""The keys id_tokens are signed with, and the subjects in them; sealed in the store.

A key that was replaced is published until the last id_token made with it has ended; one that
leaked is dropped at once (`pgo keys sign`). A subject is a pseudonym per app: it says nothing
about the person, and two apps cannot compare theirs.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey, import_key
from joserfc.jws import JWSRegistry

from pgo.dossier.seal import Box
from pgo.store.contract import Store

ALGORITHMS: Final = {"smart": "RS256", "fapi": "ES256"}
"""Signature algorithm by profile: SMART apps expect RSA, FAPI 2.0 refuses RS256."""
ID_TOKEN_LIVES, KEYS_KEPT = 300, 300
MOST_TOKEN = 8192
_KIND, _PSEUDONYMS = "signing", "pseudonyms"
_HALF: Final = 16


class Signing:
    """Signs id_tokens with keys every worker shares; nothing is remembered between calls."""

    def __init__(self, store: Store, box: Box, now: Callable[[], int]) -> None:
        self._store, self._box, self._now = store, box, now
        self._secret = b""

    async def id_token(self, profile: str, claims: dict[str, Any], access: str) -> str:
        """An id_token (OpenID Connect Core 2) that lives five minutes, with `at_hash`."""
        key = await self._current(ALGORITHMS[profile])
        now = self._now()
        half = urlsafe_b64encode(sha256(access.encode()).digest()[:_HALF]).rstrip(b"=").decode()
        times = {"iat": now, "exp": now + ID_TOKEN_LIVES, "at_hash": half}
        header = {"alg": key["alg"], "kid": key["kid"], "typ": "JWT"}
        registry = JWSRegistry(algorithms=[key["alg"]])
        return jwt.encode(header, {**claims, **times}, import_key(key["jwk"]), registry=registry)

    async def read(self, text: str) -> dict[str, Any]:
        """The claims of an id_token of ours, however old (OpenID Connect Core 3.1.2.1).

        Nothing for what is none, or was signed with a key that is not published any more.
        """
        try:
            keys = KeySet([import_key(one) for one in (await self.published())["keys"]])
            algorithms = list(ALGORITHMS.values())
            return dict(jwt.decode(text[:MOST_TOKEN], keys, algorithms=algorithms).claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            return {}

    async def published(self) -> dict[str, Any]:
        """The public keys (RFC 7517): in use, and replaced while tokens of theirs may live.

        They are made when there are none, so that no app ever keeps an empty set.
        """
        for alg in ALGORITHMS.values():
            await self._current(alg)
        kept = [key for key in await self._all() if self._live(key)]
        return {"keys": [_public(key) for key in kept]}

    async def rotate(self, *, leaked: bool) -> list[str]:
        """Make new keys; the old ones stay published for a while, or not when they leaked.

        Returns:
            The names of the new keys.
        """
        made = [await self._made(alg) for alg in ALGORITHMS.values()]
        fresh = {key["kid"] for key in made}
        for key in await self._all():
            if leaked and key["kid"] not in fresh:
                await self._store.unregister(_KIND, key["kid"])
            elif key["kid"] not in fresh and not key["retired"]:
                await self._keep({**key, "retired": self._now()}, instead_of=key["sealed"])
            elif not self._live(key):
                await self._store.unregister(_KIND, key["kid"])
        return sorted(fresh)

    async def subject(self, app: str, person: str) -> str:
        """What this app knows the person by: 43 characters, always the same."""
        secret = self._secret or await self._pseudonyms()
        made = hmac.digest(secret, orjson.dumps([app, person]), sha256)
        return urlsafe_b64encode(made).rstrip(b"=").decode()

    async def _pseudonyms(self) -> bytes:
        """The secret all pseudonyms are made with; made once, and never replaced."""
        place = _place(_PSEUDONYMS)
        await self._store.register(
            _KIND, _PSEUDONYMS, self._box.seal(place, secrets.token_bytes(32)), expected=None
        )
        sealed = await self._store.lookup(_KIND, _PSEUDONYMS)
        self._secret = self._box.open(place, sealed or b"")
        return self._secret

    async def _current(self, alg: str) -> dict[str, Any]:
        """The newest key for an algorithm; made when there is none yet."""
        found = [key for key in await self._all() if key["alg"] == alg and not key["retired"]]
        if not found:
            await self._made(alg)
            return await self._current(alg)
        return max(found, key=lambda key: (key["made"], key["kid"]))

    async def _made(self, alg: str) -> dict[str, Any]:
        kid = secrets.token_hex(8)
        made = RSAKey.generate_key(3072) if alg == "RS256" else ECKey.generate_key("P-256")
        jwk = made.as_dict(private=True)
        key = {"kid": kid, "alg": alg, "made": self._now(), "retired": 0, "jwk": jwk}
        await self._keep(key, instead_of=None)
        return key

    async def _keep(self, key: dict[str, Any], *, instead_of: bytes | None) -> None:
        bare = {name: value for name, value in key.items() if name != "sealed"}
        sealed = self._box.seal(_place(key["kid"]), orjson.dumps(bare))
        await self._store.register(_KIND, key["kid"], sealed, expected=instead_of)

    async def _all(self) -> list[dict[str, Any]]:
        listed = await self._store.listing(_KIND)
        return [
            {**orjson.loads(self._box.open(_place(kid), sealed)), "sealed": sealed}
            for kid, sealed in sorted(listed.items())
            if kid != _PSEUDONYMS
        ]

    def _live(self, key: dict[str, Any]) -> bool:
        ended = key["retired"]
        return not ended or self._now() < ended + ID_TOKEN_LIVES + KEYS_KEPT


def _public(key: dict[str, Any]) -> dict[str, Any]:
    public = import_key(key["jwk"]).as_dict(private=False)
    return {**public, "kid": key["kid"], "alg": key["alg"], "use": "sig"}


def _place(name: str) -> bytes:
    return f"oauth|{_KIND}|{name}".encode()
