"""Speed of the authorization server: grants to systems, and reads with a proof of possession."""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from pgo.bench.rows import Row, alternating
from pgo.bench.stand import Server, Stand
from pgo.house import House
from pgo.oauth.assertion import TYPE
from pgo.oauth.proof import hash_of
from pgo.registry import Organisation, Provider

_GRANTS_BAR: Final = 150
_PROOF_BAR: Final = 0.5
_SYSTEM: Final = "sys-bench"
_MOST_GRANTS: Final = 1_000
_SEARCH: Final = "/fhir/r4/Observation?category=laboratory&_count=1"
_PATIENCE: Final = 10.0
_READER, _FAMILY = "p-marjan", "fenna"


def granting(stand: Stand) -> list[Row]:
    """client_credentials with a signed assertion of its own for each grant (ES256)."""
    key = ECKey.generate_key("P-256", {"kid": _SYSTEM})
    stand.families()

    async def register(house: House) -> None:
        await house.registry.keep_organisation(Organisation("org-bench", "Bench"))
        keys = {"keys": [key.as_dict(private=False)]}
        await house.registry.keep_provider(Provider("org-bench", "Bench", _SYSTEM, keys))

    stand.inside(register)
    server, tails = stand.guarded, []
    stand.tell("grants: a signed assertion for each")

    def once() -> float:
        count = round(_MOST_GRANTS * stand.seconds)
        told = stand.drive_each(server, [_grant(server, key) for _ in range(count)])
        tails.append(told["p99"])
        return told["rate"]

    once()
    (rate,) = alternating([once], stand.runs)
    return [
        Row("client-credential grants of a worker", rate, "grants/s", least=_GRANTS_BAR),
        Row("a grant, 99 of 100 within", sorted(tails)[len(tails) // 2], "ms"),
    ]


def proving(stand: Stand) -> list[Row]:
    """A guarded read with a DPoP proof of its own, beside the same read with a bearer token."""
    bearer, server = stand.token(_READER, _FAMILY), stand.guarded
    found = orjson.loads(server.get(_SEARCH, bearer))
    path = f"/fhir/r4/Observation/{found['entry'][0]['resource']['id']}"
    key = ECKey.generate_key("P-256")
    bound = stand.inside(partial(_bound, dossier=stand.families()[_FAMILY], key=key))
    stand.tell("proofs: bearer and DPoP in turns")
    plain = partial(stand.drive, server, path, bearer)
    enough = round(plain()["rate"] * stand.seconds * 1.1)
    nonce = _nonce(server, path, bound, key)
    proofs = _proofs(server, path, bound, key, nonce=nonce)

    def proved() -> float:
        return stand.drive_each(server, [proofs() for _ in range(enough)])["rate"]

    proved()
    mine, theirs = alternating([proved, lambda: plain()["rate"]], stand.runs)
    return [
        Row("guarded read with DPoP / with a bearer", mine / theirs, "ratio", least=_PROOF_BAR),
        Row("guarded read with DPoP", mine, "answers/s"),
        Row("guarded read with a bearer", theirs, "answers/s"),
    ]


async def _bound(house: House, dossier: str, key: ECKey) -> str:
    """An access token bound to a key."""
    issued = await house.tokens.issue_operator(
        house.registry, dossier=dossier, person=_READER, scope=("user/*.rs",)
    )
    bound = replace(issued.grant, bound=f"jkt:{key.thumbprint()}")
    return (await house.tokens.issue(bound)).access


def _grant(server: Server, key: ECKey) -> str:
    now = int(time.time())
    claims = {
        "iss": _SYSTEM, "sub": _SYSTEM, "aud": f"http://127.0.0.1:{server.port}/oauth/token",
        "iat": now, "exp": now + 290, "jti": secrets.token_hex(16),
    }  # fmt: skip
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": _signed({"alg": "ES256", "kid": _SYSTEM}, claims, key),
    }
    body = urlencode(form)
    head = [
        "POST /oauth/token HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", body])


def _nonce(server: Server, path: str, token: str, key: ECKey) -> str:
    """The nonce the server asks for, since it just began to remember proofs."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
    head = _proofs(server, path, token, key)().split("\r\n")[1:-2]
    try:
        connection.request("GET", path, headers=dict(line.split(": ", 1) for line in head))
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer.headers["DPoP-Nonce"]


def _proofs(server: Server, path: str, token: str, key: ECKey, **more: str) -> Callable[[], str]:
    """Makes requests, each with a proof of its own that says `more`."""
    jwk = {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}
    said = {
        "htm": "GET",
        "htu": f"http://127.0.0.1:{server.port}{path}",
        "ath": hash_of(token),
        **more,
    }

    def made() -> str:
        claims = {**said, "iat": int(time.time()), "jti": secrets.token_hex(16)}
        head = [
            f"GET {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Accept: application/fhir+json",
            f"Authorization: DPoP {token}",
            f"DPoP: {_signed(header, claims, key)}",
        ]
        return "\r\n".join([*head, "", ""])

    return made


def _signed(header: dict[str, Any], claims: dict[str, Any], key: ECKey) -> str:
    """A compact JWS with ES256."""
    text = ".".join(_encoded(orjson.dumps(part)) for part in (header, claims))
    signature = JWSRegistry.algorithms["ES256"].sign(text.encode(), key)
    return f"{text}.{_encoded(signature)}"


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()
