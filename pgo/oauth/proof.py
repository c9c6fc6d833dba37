"""Proof of possession: DPoP (RFC 9449) and certificate-bound tokens (RFC 8705 section 3).

A binding is text: "jkt:" and the thumbprint of a DPoP key, "x5t:" and that of a certificate, or ""
for a bearer token. Checks of a proof, in order: size, form, header (nothing but typ, alg, jwk),
key, signature, claims, nonce, first use (see `pgo.oauth.used`).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry

from pgo.dossier.seal import Box
from pgo.errors import Incident, InvalidProof, NonceNeeded
from pgo.oauth.clients import key_is_sound
from pgo.oauth.used import Book, Used

ALGORITHMS: Final = ("ES256", "ES384", "PS256", "EdDSA")
"""Signature algorithms a proof may have."""
HEADER: Final = b"dpop"
LONGEST, SKEW, NONCE_LIVES = 60, 10, 300
"""Seconds a proof lives, its clock may be ahead (FAPI 2.0 5.3.2.1), and a nonce of ours lives."""
MOST_PROOF, MOST_JTI, REMEMBERED = 4096, 255, 1024
_FORM = re.compile(r"([A-Za-z0-9_-]{1,1800})\.([A-Za-z0-9_-]{1,1800})\.([A-Za-z0-9_-]{1,700})")
_FITS: Final = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "PS256": ("RSA", None),
    "EdDSA": ("OKP", "Ed25519"),
}
_PORTS: Final = {"https": 443, "http": 80}
_NONCE_PLACE: Final = b"oauth|dpop-nonce"


class _Failed(Exception):
    """Why a proof is refused; for the log only."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The key a proof is made with, as its header says it."""

    alg: str
    key: Key
    thumbprint: str


class Proofs:
    """Checks proofs; each is good once, on whatever worker that shares the memory `used`."""

    def __init__(self, used: Used, box: Box, now: Callable[[], int], issuer: str) -> None:
        self._used, self._box, self._now, self._issuer = used, box, now, issuer
        self._signers: dict[str, Signer] = {}
        self._nonces: dict[str, tuple[int, str]] = {}

    async def binding(
        self, proof: str, method: str, path: str, *, token: str = "", fresh: bool = False
    ) -> str:
        """What a token of whoever made this proof is bound to.

        Args:
            proof: the DPoP header.
            method: of the request.
            path: of the request, decoded.
            token: access token the proof must belong to, or "".
            fresh: a nonce of ours must be in it.

        Raises:
            errors.InvalidProof: anything is wrong. errors.NonceNeeded: only the nonce.
            errors.Unavailable: it is good, and cannot be remembered.
        """
        now = self._now()
        try:
            signer, claims = self._opened(proof)
            jti = _check(claims, method, self._issuer + path, token, now)
        except (_Failed, JoseError, ValueError, TypeError, RecursionError) as wrong:
            raise InvalidProof("The DPoP proof is not good.", place="DPoP") from wrong
        book = self._used.book(now)
        self._check_nonce(claims, book, fresh=fresh, now=now)
        until = claims["iat"] + LONGEST + SKEW + 1
        if not await book.first(f"{signer.thumbprint}|{jti}", now, until):
            raise InvalidProof("The DPoP proof is not good.", place="DPoP")
        return f"jkt:{signer.thumbprint}"

    def nonce(self) -> str:
        """A nonce that any worker knows for its own for five minutes; nothing is stored."""
        now = self._now()
        made = f"{now}|{self._used.book(now).name}"
        sealed = self._box.seal(_NONCE_PLACE, made.encode())
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _check_nonce(self, claims: dict[str, Any], book: Book, *, fresh: bool, now: int) -> None:
        """A nonce of ours, where one is wanted; from before the book was begun, one of the book."""
        given, early = claims.get("nonce"), claims["iat"] <= book.since
        if given is None and not fresh and not early:
            return
        made, name = self._made(given)
        timely = now - NONCE_LIVES <= made <= now + SKEW
        if not timely or (early and name != book.name):
            headers = {"DPoP-Nonce": self.nonce()}
            raise NonceNeeded("Use the nonce in DPoP-Nonce.", headers=headers)

    def _made(self, nonce: Any) -> tuple[int, str]:
        """When we made a nonce, and the book in use then; (0, "") for what is none of ours."""
        if not isinstance(nonce, str) or len(nonce) > MOST_JTI:
            return 0, ""
        known = self._nonces.get(nonce)
        if known is None:
            try:
                opened = self._box.open(_NONCE_PLACE, _decoded(nonce)).decode()
                known = int(opened.partition("|")[0]), opened.partition("|")[2]
            except (Incident, ValueError):
                return 0, ""
            if len(self._nonces) >= REMEMBERED:
                self._nonces.clear()
            self._nonces[nonce] = known
        return known

    def _opened(self, proof: str) -> tuple[Signer, dict[str, Any]]:
        """Who made it and what it says; the signature is right."""
        found = _FORM.fullmatch(proof) if len(proof) <= MOST_PROOF else None
        if found is None:
            raise _Failed("form")
        signer = self._signer(found[1])
        signed = f"{found[1]}.{found[2]}".encode()
        algorithm = JWSRegistry.algorithms[signer.alg]
        if not algorithm.verify(signed, _decoded(found[3]), signer.key):
            raise _Failed("signature")
        claims = orjson.loads(_decoded(found[2]))
        if not isinstance(claims, dict):
            raise _Failed("claims")
        return signer, claims

    def _signer(self, header: str) -> Signer:
        """The key in a header; the same header was read before, nearly always."""
        known = self._signers.get(header)
        if known is None:
            if len(self._signers) >= REMEMBERED:
                self._signers.clear()
            known = self._signers[header] = _signer_of(orjson.loads(_decoded(header)))
        return known


def proof_of(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The DPoP header of a request, None without one.

    Raises:
        errors.InvalidProof: it stands there twice, or is not ASCII.
    """
    given = [value for name, value in headers if name == HEADER]
    if not given:
        return None
    if len(given) > 1 or not given[0].isascii():
        raise InvalidProof("Send one DPoP proof.", place="DPoP")
    return given[0].decode()


def _signer_of(header: Any) -> Signer:
    """The key, when the header has nothing but what a proof needs, and the key is a public one."""
    if not isinstance(header, dict) or header.keys() != {"typ", "alg", "jwk"}:
        raise _Failed("header")
    alg, jwk = header["alg"], header["jwk"]
    if header["typ"] != "dpop+jwt" or alg not in ALGORITHMS or not isinstance(jwk, dict):
        raise _Failed("header")
    if not key_is_sound(jwk) or _FITS[alg] != (jwk.get("kty"), jwk.get("crv")):
        raise _Failed("key")
    key = import_key(dict(jwk))
    return Signer(alg, key, str(key.thumbprint()))


def _check(claims: dict[str, Any], method: str, address: str, token: str, now: int) -> str:
    """Check the claims (RFC 9449 4.3); returns the jti."""
    jti, issued, htu = claims.get("jti"), claims.get("iat"), claims.get("htu")
    if not isinstance(jti, str) or not 0 < len(jti) <= MOST_JTI:
        raise _Failed("jti")
    if type(issued) is not int or not now - LONGEST <= issued <= now + SKEW:
        raise _Failed("iat")
    if claims.get("htm") != method:
        raise _Failed("htm")
    if htu != address and (not isinstance(htu, str) or _same(htu) != _same(address)):
        raise _Failed("htu")
    if token:
        wanted = hash_of(token)
        ath = claims.get("ath")
        if not isinstance(ath, str) or not compare_digest(ath.encode(), wanted.encode()):
            raise _Failed("ath")
    return jti


def _same(address: str) -> tuple[str, str | None, int | None, str]:
    """An address as it is compared: without query and fragment, spelling of no meaning left out."""
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None:
        raise _Failed("htu")
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), unquote(parts.path)


@lru_cache(maxsize=1_024)
def hash_of(token: str) -> str:
    """SHA-256 of a token, base64url: `ath`, and the challenge of a verifier."""
    return urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
