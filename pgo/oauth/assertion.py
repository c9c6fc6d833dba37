"""private_key_jwt: a client proves who it is with a signed assertion (RFC 7523, SMART backend).

Checks in order: size, form, header (nothing but alg, kid, typ), client, key, signature, claims,
first use. Whatever fails, the answer is the same `InvalidClient`; the reason is its cause.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from math import isfinite
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry
from joserfc.registry import Header

from pgo.errors import InvalidClient
from pgo.oauth.clients import ALGORITHMS, App, Provider, algorithms_of

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOST_ASSERTION, MOST_HEADER, MOST_JTI = 8192, 1024, 255
LONGEST, SKEW = 300, 10
"""Seconds an assertion lives at most, and a client's clock may be ahead (FAPI 2.0 5.3.2.1)."""
_FORM = re.compile(r"([A-Za-z0-9_-]{1,1400})\.([A-Za-z0-9_-]{1,6000})\.([A-Za-z0-9_-]{1,1400})")

Lookup = Callable[[str], Awaitable[App | Provider | None]]
FirstUse = Callable[[str, int], Awaitable[bool]]
KeysOf = Callable[[App | Provider, str], Awaitable[Mapping[str, Any]]]


class _Failed(Exception):
    """Why an assertion is refused; for the log only."""


class _Algorithms(JWSRegistry):
    """Exactly the algorithms given, and no header but alg, kid and typ."""

    max_header_length = MOST_HEADER
    max_payload_length = 4500

    def get_alg(self, name: str) -> Any:
        """The algorithm; without joserfc's warning on the name EdDSA, which FAPI 2.0 uses."""
        if name not in (self.allowed or ()):
            raise _Failed("algorithm")
        return self.algorithms[name]


def unproved() -> InvalidClient:
    """The one answer to a client that does not prove who it is."""
    return InvalidClient("Client authentication failed.")


async def registered_keys(client: App | Provider, kid: str) -> Mapping[str, Any]:
    """The keys a client was registered with."""
    del kid
    return client.jwks or {}


async def proved(
    assertion: str,
    *,
    client_of: Lookup,
    first_use: FirstUse,
    audiences: frozenset[str],
    now: int,
    issuer: str = "",
    keys_of: KeysOf = registered_keys,
) -> App | Provider:
    """The client that made this assertion.

    Args:
        assertion: compact JWS.
        client_of: registered client by client_id.
        first_use: keeps (name, until) and says whether it was not there yet, on any node.
        audiences: the issuer and the address of the token endpoint.
        now: seconds since 1970.
        issuer: the only audience of clients with the profile fapi (FAPI 2.0 5.3.2.1).
        keys_of: keys of a client, among them the one with a kid, if he has it.

    Raises:
        errors.InvalidClient: anything is wrong.
    """
    try:
        header, subject = _opened(assertion)
        client = _usable(await client_of(subject))
        keys = await keys_of(client, str(header["kid"]))
        claims = _verified(assertion, _key(header, keys), algorithms_of(client))
        ours = frozenset({issuer}) if client.profile == "fapi" else audiences
        until = _check(claims, client.client_id, ours, now)
    except (_Failed, JoseError, ValueError, TypeError, RecursionError) as wrong:
        raise unproved() from wrong
    name = sha256(orjson.dumps([client.client_id, claims["jti"]])).hexdigest()
    if not await first_use(name, until):
        raise unproved()
    return client


def _opened(assertion: str) -> tuple[Header, str]:
    """The header and the alleged client_id; nothing is believed yet."""
    found = _FORM.fullmatch(assertion) if len(assertion) <= MOST_ASSERTION else None
    if found is None:
        raise _Failed("form")
    header, claims = (orjson.loads(_decoded(part)) for part in found.groups()[:2])
    if not isinstance(header, dict) or not {"alg", "kid"} <= header.keys() <= {"alg", "kid", "typ"}:
        raise _Failed("header")
    if header["alg"] not in ALGORITHMS or not isinstance(header["kid"], str):
        raise _Failed("header")
    subject = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(subject, str) or len(subject) > MOST_JTI:
        raise _Failed("sub")
    return header, subject


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _usable(client: App | Provider | None) -> App | Provider:
    if client is None or client.disabled:
        raise _Failed("client")
    return client


def _verified(assertion: str, key: Key, algorithms: tuple[str, ...]) -> dict[str, Any]:
    registry = _Algorithms(algorithms=list(algorithms))
    return dict(jwt.decode(assertion, key, registry=registry).claims)


def _key(header: Header, keys: Mapping[str, Any]) -> Key:
    """The registered key with this kid; never one the assertion brings along."""
    for key in keys.get("keys", ()):
        if key["kid"] == header["kid"] and key.get("alg", header["alg"]) == header["alg"]:
            return import_key(dict(key))
    raise _Failed("kid")


def _check(claims: dict[str, Any], client_id: str, audiences: frozenset[str], now: int) -> int:
    """Check the claims; returns until when the jti must be remembered."""
    audience, jti = claims.get("aud"), claims.get("jti")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise _Failed("iss")
    if not isinstance(audience, str) or audience not in audiences:
        raise _Failed("aud")
    if not isinstance(jti, str) or not 0 < len(jti) <= MOST_JTI:
        raise _Failed("jti")
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if not now - LONGEST - SKEW <= issued <= now + SKEW or expires <= issued:
        raise _Failed("iat")
    if not now < expires <= max(now, issued) + LONGEST:
        raise _Failed("exp")
    if "nbf" in claims and _time(claims, "nbf") > now + SKEW:
        raise _Failed("nbf")
    return expires + SKEW


def _time(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is int or (type(value) is float and isfinite(value)):
        return int(value)
    raise _Failed(name)
