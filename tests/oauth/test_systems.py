"""A provider's system proves itself with a signed assertion, and nothing else will do."""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import urlsafe_b64encode
from dataclasses import replace

import orjson
import pytest
from joserfc import jwk

from pgo.oauth.assertion import proved
from pgo.registry import Provider, Registry
from pgo.store import open_store


@pytest.mark.parametrize("alg", ["ES384", "ES256", "RS384", "PS256", "EdDSA"])
@pytest.mark.parametrize("audience", ["https://pgo.example", "https://pgo.example/oauth/token"])
async def test_a_system_gets_a_token_of_five_minutes(world, alg, audience):
    answer = await world.system(world.assertion(alg, aud=audience))
    assert answer.status_code == 200
    body = answer.json()
    assert body["expires_in"] <= 300
    assert "refresh_token" not in body
    assert answer.headers["cache-control"] == "no-store"
    caller = await world.caller(body["access_token"])
    assert (caller.person, caller.kind, caller.org) == ("zuid-ecd", "systeem", "zuid")
    assert (caller.orgs, caller.purpose, caller.name) == ({"zuid"}, "TREAT", "Zorg Zuid")
    assert caller.scope == ("system/*.cruds",)


CLAIMS = {
    "aud as a list": {"aud": ["https://pgo.example"]},
    "a12 aud with another server": {"aud": ["https://pgo.example", "https://evil.example"]},
    "aud of another server": {"aud": "https://evil.example"},
    "aud with a slash": {"aud": "https://pgo.example/"},
    "a12 exp ten years ahead": {"exp": 2_100_000_000},
    "exp ten minutes ahead": {"late": 600},
    "a12 exp five minutes and a second ahead": {"late": 301},
    "a12 exp further from iat than five minutes": {"early": -10, "late": 311},
    "exp just past": {"late": 0},
    "exp as text": {"exp": "soon"},
    "exp as true": {"exp": True},
    "iat in the future": {"early": -60},
    "iat eleven seconds in the future": {"early": -11},
    "nbf eleven seconds in the future": {"wait": 11},
    "iat long ago": {"early": 3600},
    "jti empty": {"jti": ""},
    "jti a number": {"jti": 7},
    "jti very long": {"jti": "j" * 256},
    "iss another": {"iss": "noord-ecd"},
    "sub another": {"sub": "noord-ecd"},
    "sub unknown": {"sub": "nobody", "iss": "nobody"},
    "a14 sub not text": {"sub": ["zuid-ecd"]},
    "sub an app": {"sub": "app", "iss": "app"},
    "nbf in the future": {"nbf": 4_000_000_000},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS.keys())
async def test_an_assertion_with_a_wrong_claim_is_refused(world, claims):
    claims = dict(claims)
    if "late" in claims:
        claims["exp"] = world.clock.seconds + claims.pop("late")
    if "early" in claims:
        claims["iat"] = world.clock.seconds - claims.pop("early")
    if "wait" in claims:
        claims["nbf"] = world.clock.seconds + claims.pop("wait")
    answer = await world.system(world.assertion(**claims))
    assert refused(answer)


async def test_a_clock_of_a_client_may_be_ten_seconds_ahead(world):
    theirs = world.clock.seconds + 10
    answer = await world.system(world.assertion(iat=theirs, nbf=theirs, exp=theirs + 300))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "jti"])
async def test_an_assertion_without_a_claim_is_refused(world, name):
    assert refused(await world.system(world.assertion(without=(name,))))


def refused(answer) -> bool:
    said = {"error": "invalid_client", "error_description": "Client authentication failed."}
    return answer.status_code == 401 and answer.json() == said


def b64(value) -> str:
    return urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


HEADERS = {
    "a14 unknown kid": {"kid": "other"},
    "a14 missing kid": {"kid": None},
    "kid a list": {"kid": ["es384"]},
    "CVE-2025-59420 crit": {"crit": ["bork"], "bork": 1},
    "CVE-2025-59420 crit cnf": {"crit": ["cnf"], "cnf": {}},
    "b64": {"b64": False, "crit": ["b64"]},
    "CVE-2026-27962 jwk": {"jwk": {"kty": "EC"}},
    "jku": {"jku": "https://evil.example/keys"},
    "x5u": {"x5u": "https://evil.example/cert"},
    "x5c": {"x5c": ["MII"]},
    "zip": {"zip": "DEF"},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
async def test_an_assertion_with_another_header_is_refused(world, header):
    assert refused(await world.system(world.assertion(header=header)))


async def test_an_embedded_key_is_never_used(world):
    mine = jwk.generate_key("EC", "P-384", {"kid": "es384"})
    forged = world.assertion(key=mine, header={"jwk": mine.as_dict(private=False)})
    assert refused(await world.system(forged))
    assert refused(await world.system(world.assertion(key=mine)))


async def test_a14_hs256_with_the_public_key_as_secret_is_refused(world):
    secret = world.KEYS["RS384"].as_pem(private=False)
    now = world.clock.seconds
    claims = {
        "iss": "zuid-ecd", "sub": "zuid-ecd", "aud": world.ISSUER, "exp": now + 60, "iat": now,
        "jti": "x",
    }  # fmt: skip
    text = f"{b64({'alg': 'HS256', 'kid': 'rsa'})}.{b64(claims)}"
    code = urlsafe_b64encode(hmac.digest(secret, text.encode(), "sha256")).rstrip(b"=").decode()
    assert refused(await world.system(f"{text}.{code}"))


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "ES512", "", 7, None])
async def test_a14_another_algorithm_is_refused(world, alg):
    header = b64({"alg": alg, "kid": "es384"})
    _, claims, signature = world.assertion().split(".")
    assert refused(await world.system(f"{header}.{claims}.{signature}"))
    assert refused(await world.system(f"{header}.{claims}."))


async def test_a13_an_algorithm_that_is_not_registered_is_refused(world):
    await world.registry.change(
        Provider, "zuid-ecd", lambda zuid: replace(zuid, algorithms=("RS384",))
    )
    assert refused(await world.system(world.assertion("PS256")))
    assert (await world.system(world.assertion("RS384"))).status_code == 200


async def test_a_changed_payload_or_signature_is_refused(world):
    header, claims, signature = world.assertion().split(".")
    assert refused(await world.system(f"{header}.{claims[:-2]}AA.{signature}"))
    assert refused(await world.system(f"{header}.{claims}.{signature[:-4]}AAAA"))


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a.b.c",
        "a.b.c.d.e",
        "eyJhbGciOiJFUzM4NCJ9.e30.",
        "W10.W10.W10",
        "." * 100,
        "é.é.é",
        "A" * 60_000,
        "eyJ" + "A" * 8000 + ".e30.AA",
    ],
)
async def test_cve_2025_61920_nonsense_and_huge_parts_are_refused_fast(world, text):
    began = time.process_time()
    answer = await world.system(text)
    assert time.process_time() - began < 2
    assert refused(answer)


async def test_a_megabyte_of_header_never_reaches_the_parser(world):
    answer = await world.system("A" * 1_000_000 + ".e30.AA")
    assert answer.status_code == 413


async def test_a14_deep_or_odd_payloads_are_refused(world):
    for payload in (b"[" * 2000 + b"]" * 2000, b"[]", b'"x"', b"{", b'{"sub":NaN}', b"\xff"):
        header = world.assertion().split(".")[0]
        middle = urlsafe_b64encode(payload).rstrip(b"=").decode()
        assert refused(await world.system(f"{header}.{middle}.AAAA"))


async def test_o21_an_assertion_is_good_once_at_all_workers_and_after_a_restart(world, tmp_path):
    again = await open_store(
        f"sqlite:///{tmp_path}/pgo.db",
        strict=False,
        mongo_standalone=False,
        clock=lambda: world.clock().timestamp(),
    )
    registry = Registry(again, world.box)

    async def first_use(name, until):
        return await again.put("jti", name, b"1", until, fresh=True)

    text = world.assertion()
    assert (await world.system(text)).status_code == 200
    assert refused(await world.system(text))
    with pytest.raises(Exception, match="Client authentication failed"):
        await proved(
            text,
            client_of=registry.client,
            first_use=first_use,
            audiences=frozenset({f"{world.ISSUER}/oauth/token"}),
            now=world.clock.seconds,
        )
    await again.close()


async def test_one_of_16_parallel_uses_of_an_assertion_wins(world):
    text = world.assertion()
    answers = await asyncio.gather(*(world.system(text) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 15


async def test_a11_unknown_disabled_and_unproved_clients_get_the_same_answer(world):
    await world.registry.change(Provider, "noord-ecd", lambda noord: replace(noord, disabled=True))
    answers = [
        await world.system(world.assertion(iss="nobody", sub="nobody")),
        await world.system(world.assertion("ES256", iss="noord-ecd", sub="noord-ecd")),
        await world.system(world.assertion(key=jwk.generate_key("EC", "P-384", {"kid": "es384"}))),
        await world.system(client_id="noord-ecd"),
        await world.system(client_secret="x"),
        await world.system(client_assertion_type="x"),
        await world.system(client_assertion_type=None, client_assertion=None, client_id="zuid-ecd"),
        await world.system(client_assertion_type=None, client_assertion=None, client_id="nobody"),
        await world.system(client_assertion_type=None, client_assertion=None),
    ]
    assert all(refused(answer) for answer in answers)
    assert len({answer.text for answer in answers}) == 1


async def test_o22_a_key_taken_out_is_refused_at_once(world):
    await world.registry.change(
        Provider, "zuid-ecd", lambda zuid: replace(zuid, jwks=world.public("ES256"))
    )
    assert refused(await world.system())


async def test_a_disabled_or_ended_systems_token_is_dead(world):
    token = (await world.system()).json()["access_token"]
    await world.registry.end_tokens_of_app("zuid-ecd")
    assert not await world.works(token)
    token = (await world.system()).json()["access_token"]
    await world.registry.change(Provider, "zuid-ecd", lambda zuid: replace(zuid, disabled=True))
    assert not await world.works(token)


@pytest.mark.parametrize("scope", ["patient/*.rs", "user/*.rs", "offline_access", "x", "openid"])
async def test_a_system_gets_system_scopes_only(world, scope):
    answer = await world.system(scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_a_systems_scope_is_narrowed_to_what_was_asked_or_all_when_nothing_was(world):
    assert (await world.system(scope="system/Observation.c")).json()["scope"] == (
        "system/Observation.c"
    )
    assert (await world.system(scope=None)).json()["scope"] == "system/*.cruds"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "unauthorized_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unauthorized_client"),
    ],
)
async def test_other_grants_are_not_for_systems(world, changes, error):
    answer = await world.system(**changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_grant_that_cannot_be_written_down_gives_nothing(world):
    world.pen_broken = True
    answer = await world.system()
    assert answer.status_code == 503
    assert "access_token" not in answer.text


async def test_each_refusal_is_written_down_once_without_a_value(world):
    await world.system(client_assertion="secret-looking-text")
    assert len(world.lines) == 1
    event, fields = world.lines[0]
    assert (event, fields["outcome"], fields["detail"]) == (
        "oauth.token", "refused", "invalid_client",
    )  # fmt: skip
    assert "secret" not in str(world.lines)
