"""Passkeys (WebAuthn level 3): asking a device for a new key, and for proof of one it has.

Keys are discoverable and the device must have verified its user (finger, face or PIN). A challenge
is good once, for five minutes, for the page it was made for. An unknown key costs the same work
and gets the same answer as a wrong signature.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from pgo.errors import Conflict, Forbidden, Incident
from pgo.oauth.levels import lowest
from pgo.oauth.means import NOBODY, AllMeans, Means, Passkey
from pgo.oauth.news import NO_PASSKEY, PASSKEY
from pgo.oauth.parts import Parts
from pgo.oauth.tokens import digest

SPACE: Final = "passkey"
LIVES: Final = 300
MOST_KEYS: Final = 10
MOST_SENT: Final = 16_384
MOST_NAME: Final = 60
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_NOBODY: Final = bytes_to_base64url(
    encode_cbor(
        {
            1: 2, 3: -7, -1: 1,
            -2: bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
            -3: bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
        }
    )
)  # fmt: skip
"""A key nobody signs with (the base point of P-256), for the work on keys we do not know."""
_WRONG: Final = "This passkey is not good."


@dataclass(frozen=True, slots=True)
class Proved:
    """Whose passkey was used, and the level it gives at most."""

    person: str
    level: str
    id: str


class Passkeys:
    """The ceremonies of one deployment; its name for devices is the host of the issuer."""

    def __init__(self, parts: Parts, means: AllMeans) -> None:
        self._parts, self._means = parts, means
        found = urlsplit(parts.issuer)
        self._origin = f"{found.scheme}://{found.netloc}"
        self._host = found.hostname or ""

    # --- signing in ----------------------------------------------------------------------------

    async def ask(self, page: str) -> str:
        """What a device is asked to prove a key it has, as JSON, for one page."""
        challenge = await self._challenge("get", page)
        options = generate_authentication_options(
            rp_id=self._host,
            challenge=challenge,
            timeout=LIVES * 1000,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    async def prove(self, page: str, sent: str) -> Proved:
        """Whose key proved itself; the counter of a device must have gone up.

        Raises:
            errors.Forbidden: anything is wrong, always with the same words.
        """
        answer = _read(sent)
        challenge = await self._taken("get", page, answer)
        id_ = str(answer.get("id", ""))
        person = await self._means.pointed("passkey", digest(id_))
        means = await self._means.of(person or NOBODY)
        passkey = next((one for one in means.passkeys if one.id == id_), None)
        handle = _member(answer, "response", "userHandle")
        count = self._verified(answer, challenge, passkey)
        if passkey is None or handle != means.handle:
            raise Forbidden(_WRONG)
        now = self._parts.tokens.now()
        await self._means.change(person, _used(id_, count, now))
        return Proved(person, lowest(passkey.level, self._parts.ways.passkey_level), id_)

    def _verified(self, answer: dict[str, Any], challenge: bytes, passkey: Passkey | None) -> int:
        try:
            found = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=base64url_to_bytes(passkey.key if passkey else _NOBODY),
                credential_current_sign_count=passkey.count if passkey else 0,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError) as wrong:
            raise Forbidden(_WRONG) from wrong
        return found.new_sign_count

    # --- a new one -----------------------------------------------------------------------------

    async def invite(self, page: str, person: str, name: str, site: str) -> str:
        """What a device is asked to make a key for this person, as JSON, for one page.

        Devices show the `name` of the person and of the `site` in their own windows.
        """
        challenge = await self._challenge("create", page)
        means = await self._means.change(person, _with_handle(secrets.token_bytes(32)))
        options = generate_registration_options(
            rp_id=self._host,
            rp_name=site,
            user_name=name,
            user_id=base64url_to_bytes(means.handle),
            challenge=challenge,
            timeout=LIVES * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id))
                for one in means.passkeys
            ],
            supported_pub_key_algs=_ALGORITHMS,
        )
        return options_to_json(options)

    async def add(self, page: str, person: str, level: str, name: str, sent: str) -> Passkey:
        """Keep the key a device made; it gives no higher level than the person has now.

        Raises:
            errors.Forbidden: anything is wrong with it.
            errors.Conflict: there are ten already, or it is somebody's key.
        """
        answer = _read(sent)
        challenge = await self._taken("create", page, answer)
        try:
            found = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError) as wrong:
            raise Forbidden(_WRONG) from wrong
        passkey = Passkey(
            id=bytes_to_base64url(found.credential_id),
            key=bytes_to_base64url(found.credential_public_key),
            count=found.sign_count, name=name,
            level=lowest(level, self._parts.ways.passkey_level), made=self._parts.tokens.now(),
        )  # fmt: skip
        await self._keep(person, passkey)
        return passkey

    async def _keep(self, person: str, passkey: Passkey) -> None:
        if not await self._means.point("passkey", digest(passkey.id), person):
            raise Conflict("This passkey is in use.")
        try:
            await self._means.change(person, _with(passkey))
        except Conflict:
            await self._means.take_down("passkey", digest(passkey.id))
            raise

    async def remove(self, person: str, id_: str) -> None:
        """Take a key away; one that is not this person's is left alone.

        Raises:
            errors.Conflict: without it the person could never sign in again.
        """
        means = await self._means.of(person)
        if any(one.id == id_ for one in means.passkeys):
            await self._means.change(person, _without(id_, self._parts.tokens.now()))
            await self._means.take_down("passkey", digest(id_))

    # --- challenges ----------------------------------------------------------------------------

    async def _challenge(self, what: str, page: str) -> bytes:
        challenge = secrets.token_bytes(32)
        kept = sha256(challenge).hexdigest()
        sealed = self._parts.box.seal(_place(kept), digest(f"{what}|{page}").encode())
        until = self._parts.tokens.now() + LIVES
        await self._parts.store.put(SPACE, kept, sealed, until, fresh=True)
        return challenge

    async def _taken(self, what: str, page: str, answer: dict[str, Any]) -> bytes:
        """The challenge an answer is to, when we asked it on this page; spent hereby."""
        try:
            told = orjson.loads(_decoded(_member(answer, "response", "clientDataJSON")))
            challenge = _decoded(told["challenge"])
        except (ValueError, TypeError, KeyError, NotBase64) as wrong:
            raise Forbidden(_WRONG) from wrong
        kept = sha256(challenge).hexdigest()
        sealed = await self._parts.store.take(SPACE, kept, self._parts.tokens.now())
        try:
            mine = b"" if sealed is None else self._parts.box.open(_place(kept), sealed)
        except Incident:
            mine = b""
        if mine != digest(f"{what}|{page}").encode():
            raise Forbidden(_WRONG)
        return challenge


def _read(sent: str) -> dict[str, Any]:
    try:
        answer = orjson.loads(sent) if len(sent) <= MOST_SENT else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Forbidden(_WRONG)
    return answer


def _member(answer: dict[str, Any], *path: str) -> str:
    value: Any = answer
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _with_handle(handle: bytes) -> Callable[[Means], Means]:
    text = bytes_to_base64url(handle)
    return lambda means: means if means.handle else replace(means, handle=text)


def _with(passkey: Passkey) -> Callable[[Means], Means]:
    def edit(means: Means) -> Means:
        if len(means.passkeys) >= MOST_KEYS:
            raise Conflict("There are ten passkeys already.")
        return replace(means, passkeys=(*means.passkeys, passkey)).telling(PASSKEY, passkey.made)

    return edit


def _without(id_: str, now: int) -> Callable[[Means], Means]:
    def edit(means: Means) -> Means:
        left = tuple(one for one in means.passkeys if one.id != id_)
        if len(left) == len(means.passkeys):
            return means
        if not (left or means.links or means.codes):
            raise Conflict("This is the only way in.")
        return replace(means, passkeys=left).telling(NO_PASSKEY, now)

    return edit


def _used(id_: str, count: int, now: int) -> Callable[[Means], Means]:
    """The means after a key was used; of two uses with one count only the first is good."""

    def edit(means: Means) -> Means:
        old = next((one for one in means.passkeys if one.id == id_), None)
        if old is None or (max(count, old.count) > 0 and count <= old.count):
            raise Forbidden(_WRONG)
        fresh = replace(old, count=count, used=now)
        return replace(
            means, passkeys=tuple(fresh if one.id == id_ else one for one in means.passkeys)
        )

    return edit


def _place(kept: str) -> bytes:
    return f"oauth|{SPACE}|{kept}".encode()
