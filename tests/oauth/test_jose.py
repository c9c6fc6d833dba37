"""Where a signed token is expected, an encrypted one is refused before anything is worked out."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import orjson
import pytest
from joserfc import jwe

from pgo.errors import InvalidProof
from pgo.oauth import assertion, proof
from pgo.oauth.id_token import Refused, kid_of

HEADERS = {
    "CVE-2026-27932 PBES2 with a great p2c": {
        "alg": "PBES2-HS256+A128KW", "p2c": 2**31 - 1, "p2s": "AAAA", "enc": "A128GCM",
    },
    "CVE-2025-62706 zip": {"alg": "dir", "enc": "A128GCM", "zip": "DEF"},
    "CVE-2026-28490 RSA1_5": {"alg": "RSA1_5", "enc": "A128CBC-HS256", "kid": "ES384"},
    "ECDH": {"alg": "ECDH-ES", "enc": "A128GCM", "epk": {"kty": "EC"}, "kid": "ES384"},
}  # fmt: skip


def encrypted(header) -> str:
    head = urlsafe_b64encode(orjson.dumps(header)).rstrip(b"=").decode()
    return f"{head}.AAAA.AAAA.{'A' * 400}.AAAA"


@pytest.fixture(params=HEADERS.values(), ids=HEADERS.keys())
def text(request, monkeypatch):
    """An encrypted token; whoever tries to open it fails the test."""

    def opened(*_, **__):
        raise AssertionError("somebody tried to decrypt it")

    for name in ("decrypt_compact", "decrypt_json"):
        monkeypatch.setattr(jwe, name, opened)
    for place, name in ((assertion, "import_key"), (proof, "import_key")):
        monkeypatch.setattr(place, name, opened)
    return encrypted(request.param)


async def test_as_an_assertion(world, text):
    answer = await world.system(text)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_as_a_proof(world, text):
    with pytest.raises(InvalidProof):
        await world.parts.proofs.binding(text, "GET", "/x")


async def test_as_an_id_token(world, text):
    with pytest.raises(Refused):
        kid_of(text, ("ES256", "RS256"))
    assert await world.parts.signing.read(text) == {}
