"""A device with passkeys, in software: real CBOR, COSE and signatures; it can be told to err."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Device:
    """Keys by their id; `counts` says whether it counts its uses, `verifies` its user."""

    origin: str
    alg: int = -7
    counts: bool = True
    verifies: bool = True
    keys: dict = field(default_factory=dict)

    def create(self, options: str, **err) -> str:
        """Make a key for what the page asks; the answer as a browser sends it."""
        asked = json.loads(options)
        assert self.alg in [one["alg"] for one in asked["pubKeyCredParams"]]
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        id_, key = secrets.token_bytes(32), self._made()
        host = asked["rp"]["id"]
        self.keys[b64(id_)] = [key, host, unb64(asked["user"]["id"]), 0]
        public = encode_cbor(self._cose(key.public_key()))
        attested = bytes(16) + len(id_).to_bytes(2, "big") + id_ + public
        data = self._data(err.get("host", host), 0, WITH_KEY) + attested
        told = {
            "clientDataJSON": self._client("webauthn.create", asked, err),
            "attestationObject": b64(encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return self._answer(b64(id_), told)

    def get(self, options: str, id_: str = "", **err) -> str:
        """Prove a key for what the page asks."""
        asked = json.loads(options)
        assert asked["userVerification"] == "required"
        assert not asked.get("allowCredentials")
        id_ = id_ or next(iter(self.keys))
        key, _, handle, count = self.keys[id_]
        self.keys[id_][3] = count = err.get("count", count + self.counts)
        data = self._data(err.get("host", asked["rpId"]), count)
        client = self._client("webauthn.get", asked, err)
        signature = self._signed(err.get("key", key), data + sha256(unb64(client)).digest())
        told = {
            "clientDataJSON": client,
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(err.get("handle", handle)),
        }
        return self._answer(err.get("id", id_), told)

    def _answer(self, id_: str, response: dict) -> str:
        return json.dumps({"id": id_, "rawId": id_, "type": "public-key", "response": response})

    def _client(self, kind: str, asked: dict, err: dict) -> str:
        told = {
            "type": err.get("type", kind),
            "challenge": err.get("challenge", asked["challenge"]),
            "origin": err.get("origin", self.origin),
            "crossOrigin": False,
        }
        return b64(json.dumps(told).encode())

    def _data(self, host: str, count: int, more: int = 0) -> bytes:
        flags = PRESENT | (VERIFIED if self.verifies else 0) | more
        return sha256(host.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")

    def _made(self):
        if self.alg == -8:
            return ed25519.Ed25519PrivateKey.generate()
        if self.alg == -257:
            return rsa.generate_private_key(65537, 2048)
        return ec.generate_private_key(ec.SECP256R1())

    def _cose(self, public) -> dict:
        if self.alg == -8:
            return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        if self.alg == -257:
            n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
            return {1: 3, 3: -257, -1: n, -2: numbers.e.to_bytes(3, "big")}
        x, y = (one.to_bytes(32, "big") for one in (numbers.x, numbers.y))
        return {1: 2, 3: -7, -1: 1, -2: x, -3: y}

    def _signed(self, key, data: bytes) -> bytes:
        if self.alg == -8:
            return key.sign(data)
        if self.alg == -257:
            return key.sign(data, padding.PKCS1v15(), SHA256())
        return key.sign(data, ec.ECDSA(SHA256()))
