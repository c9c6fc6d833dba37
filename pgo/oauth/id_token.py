"""What a provider's id_token says of who signed in, once every check on it has passed. Pure.

Only three things ever leave this module: the subject, the level and the moment. All other claims
(names, addresses, numbers) are dropped unseen, so that none of them can be stored or logged. A
subject that is, or has in it, a burgerservicenummer is no pseudonym and is refused.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry

from pgo.fhir import elfproef
from pgo.oauth.clients import key_is_sound
from pgo.oauth.levels import rank

SKEW: Final = 60
MOST_TOKEN: Final = 16_384
MOST_SUBJECT: Final = 255
MOST_KEYS: Final = 20
_FORM: Final = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)
_SECTOR: Final = re.compile(r"\s*[sS]0000000[01]\s*:")
"""Sector codes of BSN and sofinummer, as brokers put them before the number."""
_SHORT: Final = re.compile(r"\d{8}")


class Refused(Exception):
    """Why an id_token is not believed: `code` is for the audit line, never a value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in at a provider: its pseudonym, the level, and when (seconds since 1970)."""

    subject: str
    level: str
    at: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What an id_token must fit: `levels` is level by acr, `since` the earliest sign-in."""

    issuer: str
    client_id: str
    nonce: str
    now: int
    levels: Mapping[str, str]
    least: str = "laag"
    since: int = 0


def kid_of(text: str, algorithms: Sequence[str]) -> str:
    """The name of the key an id_token says it is signed with; nothing is believed yet.

    Raises:
        Refused: not a compact JWS, or an algorithm that is not allowed.
    """
    found = _FORM.fullmatch(text) if len(text) <= MOST_TOKEN else None
    if found is None:
        raise Refused("id-token-form")
    try:
        header = orjson.loads(urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)))
    except (ValueError, NotBase64) as wrong:
        raise Refused("id-token-form") from wrong
    if not isinstance(header, dict) or "crit" in header or not isinstance(header.get("kid"), str):
        raise Refused("id-token-form")
    if header.get("alg") not in algorithms:
        raise Refused("id-token-alg")
    return str(header["kid"])


def key_named(keys: Mapping[str, Any], kid: str) -> Mapping[str, Any] | None:
    """The public signing key with this name in a set, when it is a sound one."""
    listed = keys.get("keys")
    for key in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if isinstance(key, dict) and key.get("kid") == kid and key_is_sound(key):
            return key
    return None


def identity_of(
    text: str,
    key: Mapping[str, Any],
    algorithms: Sequence[str],
    access: str,
    expected: Expected,
) -> Identity:
    """Who signed in, when all of it is right (OpenID Connect Core 3.1.3.7).

    Raises:
        Refused: with the first thing that is wrong.
    """
    claims = _verified(text, key, algorithms, access, expected)
    if claims["aud"] not in (expected.client_id, [expected.client_id]):
        raise Refused("id-token-aud")
    level = expected.levels.get(str(claims.get("acr", "")), "")
    if rank(level) < max(0, rank(expected.least)):
        raise Refused("level")
    return Identity(pseudonym(claims["sub"]), level, _moment(claims, expected))


def _verified(
    text: str, key: Mapping[str, Any], algorithms: Sequence[str], access: str, expected: Expected
) -> Mapping[str, Any]:
    registry = JWSRegistry(algorithms=list(algorithms))
    options = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
    }
    params = {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": access}
    try:
        if key.get("alg", "") not in ("", *algorithms):
            raise Refused("id-token-alg")
        token = jwt.decode(text, import_key(dict(key)), registry=registry)
        claims = CodeIDToken(token.claims, token.header, options, params)
        claims.validate(now=expected.now, leeway=SKEW)
    except JoseError as wrong:
        named = getattr(wrong, "claim", "")
        known = named if named in CodeIDToken.REGISTERED_CLAIMS else "signature"
        raise Refused(
            f"id-token-{'expired' if wrong.error == 'expired_token' else known}"
        ) from wrong
    except (ValueError, TypeError, KeyError, RecursionError) as wrong:
        raise Refused("id-token-form") from wrong
    return dict(claims)


def _moment(claims: Mapping[str, Any], expected: Expected) -> int:
    """When the person proved who he is; a provider that does not say cannot be relied on."""
    at = claims.get("auth_time")
    if type(at) is not int or not expected.since - SKEW <= at <= expected.now + SKEW:
        raise Refused("id-token-auth_time")
    return min(at, expected.now)


def pseudonym(sub: Any) -> str:
    """What a provider calls somebody, when it is a pseudonym.

    Raises:
        Refused: it is none, or it is, or has in it, a burgerservicenummer.
    """
    if not isinstance(sub, str) or not 0 < len(sub) <= MOST_SUBJECT or not sub.isprintable():
        raise Refused("id-token-sub")
    short = _SHORT.fullmatch(sub) is not None and elfproef.valid(sub)
    if short or _SECTOR.match(sub) or elfproef.hide_in_text(sub)[1]:
        raise Refused("no-pseudonym")
    return sub
