"""Tokens that are bound to a key: a proof that is not just right opens nothing."""

from __future__ import annotations

import asyncio
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwk

from pgo.errors import BadRequest, NonceStale, ProofRefused, Unauthenticated
from pgo.oauth.certificate import HEADER, certificate_binding
from pgo.oauth.proof import Proofs
from pgo.oauth.used import InStore
from pgo.registry import App

READ = {"path": "/fhir/r4/Patient/x", "method": "GET", "without": ("nonce",)}


def field(proof) -> tuple[bytes, bytes]:
    return (b"dpop", proof.encode())


async def test_a_bound_token_opens_with_a_proof_of_its_key(world):
    told = await world.strict_token()
    assert (told["token_type"], told["expires_in"]) == ("DPoP", 300)
    proof = world.proof(token=told["access_token"], **READ)
    caller = await world.read(told["access_token"], field(proof))
    assert (caller.person, caller.app) == ("mia", "strict")


@pytest.mark.parametrize("key", ["ES256", "ES384", "PS256", "EdDSA"])
async def test_a_proof_may_have_each_of_these_algorithms(world, key):
    proof = world.proof(key, alg=key)
    assert (await world.strict_redeem(await world.strict_code(), proof=proof)).status_code == 200


async def test_o19_a_bound_token_is_no_bearer_token(world):
    token = (await world.strict_token())["access_token"]
    with pytest.raises(ProofRefused):
        await world.read(token, scheme=b"Bearer")
    with pytest.raises(ProofRefused):
        await world.read(token)
    bearer = (await world.token())["access_token"]
    with pytest.raises(ProofRefused):
        await world.read(bearer, field(world.proof(token=bearer, **READ)))


async def test_o19_query_and_fragment_of_htu_do_not_count(world):
    token = (await world.strict_token())["access_token"]
    for end in ("?_count=2", "#top", ""):
        htu = f"https://pgo.example:443/fhir/r4/Patient/x{end}"
        await world.read(token, field(world.proof(token=token, htu=htu, **READ)))


WRONG = {
    "another method": {"htm": "POST"},
    "another host": {"htu": "https://evil.example/fhir/r4/Patient/x"},
    "another path": {"htu": "https://pgo.example/fhir/r4/Patient/y"},
    "another scheme": {"htu": "http://pgo.example/fhir/r4/Patient/x"},
    "another port": {"htu": "https://pgo.example:8443/fhir/r4/Patient/x"},
    "a user in the address": {"htu": "https://x@pgo.example/fhir/r4/Patient/x"},
    "an address that is none": {"htu": "https://[pgo/fhir/r4/Patient/x"},
    "a number for an address": {"htu": 7},
    "iat long ago": {"early": 61},
    "iat ahead": {"early": -11},
    "iat as text": {"iat": "now"},
    "iat as true": {"iat": True},
    "ath of another token": {"ath": "x" * 43},
    "jti empty": {"jti": ""},
    "jti long": {"jti": "j" * 256},
    "jti a number": {"jti": 5},
    "no jti": {"drop": "jti"},
    "no ath": {"drop": "ath"},
    "no htm": {"drop": "htm"},
    "no htu": {"drop": "htu"},
    "no iat": {"drop": "iat"},
    "another typ": {"header": {"typ": "JWT"}},
    "a kid": {"header": {"kid": "x"}},
    "crit": {"header": {"crit": ["x"], "x": 1}},
    "alg none": {"header": {"alg": "none"}, "alg": "ES256"},
    "alg HS256": {"header": {"alg": "HS256"}, "alg": "ES256"},
    "jwk a text": {"header": {"jwk": "x"}},
    "jwk secret": {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_o19_a_proof_that_is_not_right_is_refused(world, wrong):
    token, wrong = (await world.strict_token())["access_token"], dict(wrong)
    if "early" in wrong:
        wrong["iat"] = world.clock.seconds - wrong.pop("early")
    dropped = {"without": ("nonce", wrong.pop("drop", "nonce"))}
    header = wrong.get("header", {})
    if header.get("alg") in {"none", "HS256"}:
        wrong.pop("alg")
        proof = world.proof(token=token, **(READ | dropped | {"header": {}}))
        head = proof.split(".")[0]
        bent = {"typ": "dpop+jwt", "alg": header["alg"], "jwk": {"kty": "EC"}}
        text = urlsafe_b64encode(repr(bent).replace("'", '"').encode()).rstrip(b"=").decode()
        proof = proof.replace(head, text)
    else:
        proof = world.proof(token=token, **(READ | dropped | wrong))
    with pytest.raises(ProofRefused):
        await world.read(token, field(proof))


async def test_a_clock_of_an_app_may_be_ten_seconds_ahead(world):
    token = (await world.strict_token())["access_token"]
    for ahead in (1, 10):
        proof = world.proof(token=token, iat=world.clock.seconds + ahead, **READ)
        assert (await world.read(token, field(proof))).app == "strict"


async def test_o19_a_private_key_in_a_proof_is_refused(world):
    token = (await world.strict_token())["access_token"]
    whole = world.KEYS["ES256"].as_dict(private=True)
    proof = world.proof(token=token, header={"jwk": whole}, **READ)
    with pytest.raises(ProofRefused):
        await world.read(token, field(proof))


async def test_o19_a_proof_of_another_key_is_refused(world):
    token = (await world.strict_token())["access_token"]
    other = jwk.generate_key("EC", "P-256")
    with pytest.raises(ProofRefused):
        await world.read(token, field(world.proof(other, token=token, **READ)))


async def test_o19_a_changed_signature_is_refused(world):
    token = (await world.strict_token())["access_token"]
    one, two = (world.proof(token=token, **READ) for _ in range(2))
    mixed = ".".join([*one.split(".")[:2], two.split(".")[2]])
    with pytest.raises(ProofRefused):
        await world.read(token, field(mixed))


@pytest.mark.parametrize("proof", ["", "x", "a.b", "a.b.c.d", "x" * 5000, "é.é.é", "{}.{}.{}"])
async def test_o19_what_is_no_proof_is_refused(world, proof):
    token = (await world.strict_token())["access_token"]
    with pytest.raises(ProofRefused):
        await world.read(token, (b"dpop", proof.encode()))


async def test_o19_two_proofs_are_one_too_many(world):
    token = (await world.strict_token())["access_token"]
    proofs = [field(world.proof(token=token, **READ)) for _ in range(2)]
    with pytest.raises(ProofRefused):
        await world.read(token, *proofs)


async def test_a_proof_is_good_once_on_any_worker(world):
    token = (await world.strict_token())["access_token"]
    proof = world.proof(token=token, **READ)

    async def worker() -> bool:
        other = Proofs(InStore(world.store), world.box, world.tokens.now, world.ISSUER)
        try:
            await other.binding(proof, "GET", READ["path"], token=token)
        except BadRequest:
            return False
        return True

    assert sum(await asyncio.gather(*(worker() for _ in range(16)))) == 1
    with pytest.raises(ProofRefused):
        await world.read(token, field(proof))


async def test_o19_the_token_endpoint_asks_for_a_nonce_and_gives_one(world):
    code = await world.strict_code()
    asked = await world.strict_redeem(code, proof=world.proof(without=("nonce",)))
    assert (asked.status_code, asked.json()["error"]) == (400, "use_dpop_nonce")
    nonce = asked.headers["dpop-nonce"]
    world.clock.later(seconds=30)
    assert (await world.strict_redeem(code, proof=world.proof(nonce=nonce))).status_code == 200


@pytest.mark.parametrize("nonce", ["", "x", "x" * 300, 7, None])
async def test_o19_a_nonce_that_is_not_ours_is_refused(world, nonce):
    answer = await world.strict_redeem(await world.strict_code(), proof=world.proof(nonce=nonce))
    assert answer.json()["error"] == "use_dpop_nonce"


async def test_o19_at_a_resource_an_old_nonce_gets_a_new_one(world):
    token = (await world.strict_token())["access_token"]
    old = world.parts.proofs.nonce()
    world.clock.later(seconds=200)
    await world.read(
        token, field(world.proof(token=token, **(READ | {"without": (), "nonce": old})))
    )
    again = (await world.strict_token())["access_token"]
    world.clock.later(seconds=101)
    proof = world.proof(token=again, **(READ | {"without": (), "nonce": old}))
    with pytest.raises(NonceStale) as stale:
        await world.read(again, field(proof))
    assert stale.value.headers["DPoP-Nonce"] != old


async def test_the_challenge_names_the_scheme(world):
    token = (await world.strict_token(scope="openid patient/*.rs"))["access_token"]
    answer = await world.http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    said = answer.headers["www-authenticate"]
    assert said.startswith('DPoP realm="pgo", error="invalid_dpop_proof", algs="ES256')


async def test_a_fapi_app_gets_no_token_without_a_proof(world):
    code = await world.strict_code()
    answer = await world.strict_redeem(code, headers={})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert (await world.strict_redeem(code)).status_code == 200


async def test_a_smart_app_may_bind_its_token_too(world):
    answer = await world.http.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code", "code": await world.code(), "client_id": "app",
            "redirect_uri": world.CALLBACK, "code_verifier": world.VERIFIER,
        },
        headers={"DPoP": world.proof()},
    )  # fmt: skip
    assert answer.json()["token_type"] == "DPoP"
    with pytest.raises(ProofRefused):
        await world.read(answer.json()["access_token"], scheme=b"Bearer")


async def test_a_system_may_bind_its_token(world):
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.assertion(),
    }
    answer = await world.http.post("/oauth/token", data=form, headers={"DPoP": world.proof()})
    assert answer.json()["token_type"] == "DPoP"
    with pytest.raises(Unauthenticated):
        await world.caller(answer.json()["access_token"])


async def test_a_code_that_was_asked_with_a_key_needs_that_key(world):
    proof = world.proof(path="/oauth/par")
    other = world.proof(jwk.generate_key("EC", "P-256"))
    code = await world.strict_code(proof=proof)
    assert (await world.strict_redeem(code, proof=other)).json()["error"] == "invalid_grant"
    code = await world.strict_code(proof=world.proof(path="/oauth/par"))
    assert (await world.strict_redeem(code)).status_code == 200


# --- refresh --------------------------------------------------------------------------------------


async def bound(world):
    """A public app's tokens, bound to ES256."""
    form = {
        "grant_type": "authorization_code", "code": await world.code(), "client_id": "app",
        "redirect_uri": world.CALLBACK, "code_verifier": world.VERIFIER,
    }  # fmt: skip
    answer = await world.http.post("/oauth/token", data=form, headers={"DPoP": world.proof()})
    return answer.json()


async def again(world, text, key="ES256"):
    form = {"grant_type": "refresh_token", "refresh_token": text, "client_id": "app"}
    headers = {"DPoP": world.proof(key)} if key else {}
    return await world.http.post("/oauth/token", data=form, headers=headers)


async def test_o14_a_lost_answer_is_given_again_to_the_same_key(world):
    first = await bound(world)
    one = (await again(world, first["refresh_token"])).json()
    world.clock.later(seconds=29)
    two = (await again(world, first["refresh_token"])).json()
    for name in ("access_token", "refresh_token", "scope"):
        assert one[name] == two[name]
    assert two["expires_in"] == 271
    assert (await again(world, one["refresh_token"])).status_code == 200


async def test_o14_a_grace_replay_from_another_key_ends_the_family(world):
    first = await bound(world)
    one = (await again(world, first["refresh_token"])).json()
    stolen = await again(world, first["refresh_token"], jwk.generate_key("EC", "P-256"))
    assert stolen.json()["error"] == "invalid_grant"
    assert (await again(world, one["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("key", [None, "EdDSA"])
async def test_o14_a_bound_refresh_token_needs_its_key(world, key):
    first = await bound(world)
    assert (await again(world, first["refresh_token"], key)).json()["error"] == "invalid_grant"
    assert (await again(world, first["refresh_token"])).status_code == 200


async def test_o14_after_half_a_minute_a_replay_ends_the_family(world):
    first = await bound(world)
    one = (await again(world, first["refresh_token"])).json()
    world.clock.later(seconds=31)
    assert (await again(world, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await again(world, one["refresh_token"])).json()["error"] == "invalid_grant"


async def test_o14_a_replay_after_the_new_one_was_used_ends_the_family(world):
    first = await bound(world)
    one = (await again(world, first["refresh_token"])).json()
    two = (await again(world, one["refresh_token"])).json()
    assert (await again(world, first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await again(world, two["refresh_token"])).json()["error"] == "invalid_grant"


async def test_o14_of_8_parallel_refreshes_with_one_key_all_get_the_same(world):
    first = await bound(world)
    answers = await asyncio.gather(*(again(world, first["refresh_token"]) for _ in range(8)))
    told = {(a.status_code, a.json().get("refresh_token")) for a in answers}
    assert len(told) == 1
    assert (await again(world, answers[0].json()["refresh_token"])).status_code == 200


async def test_a_fapi_app_keeps_its_refresh_token_and_may_change_its_key(world):
    first = await world.strict_token()
    for key in ("ES256", "EdDSA"):
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        headers = {"DPoP": world.proof(key)}
        answer = await world.http.post("/oauth/token", data=form | world.fapi(), headers=headers)
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()


# --- certificates ---------------------------------------------------------------------------------


def certificate() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dvp.example")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(7)
    made = made.not_valid_before(start).not_valid_after(start + timedelta(days=900))
    return made.sign(key, hashes.SHA256())


def shown(made: x509.Certificate) -> bytes:
    return b":" + b64encode(made.public_bytes(Encoding.DER)) + b":"


async def test_a_certificate_binds_a_token_of_a_fapi_app(world):
    mine, other = certificate(), certificate()
    sent = {HEADER.decode(): shown(mine).decode()}
    answer = await world.strict_redeem(await world.strict_code(), headers=sent)
    assert answer.json()["token_type"] == "Bearer"
    token = answer.json()["access_token"]
    caller = await world.read(token, (HEADER, shown(mine)), scheme=b"Bearer")
    assert caller.person == "mia"
    for fields in ([], [(HEADER, shown(other))]):
        with pytest.raises(ProofRefused):
            await world.read(token, *fields, scheme=b"Bearer")
    told = await world.http.post("/oauth/introspect", data={"token": token, **world.fapi()})
    digest = sha256(mine.public_bytes(Encoding.DER)).digest()
    thumbprint = urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert told.json()["cnf"] == {"x5t#S256": thumbprint}


def test_a_certificate_is_read_as_proxies_write_it():
    made = certificate()
    pem = quote(made.public_bytes(Encoding.PEM).decode(), safe="").encode()
    assert certificate_binding([(HEADER, shown(made))]) == certificate_binding([(HEADER, pem)])
    assert certificate_binding([]) == certificate_binding([(HEADER, b"")]) == ""


@pytest.mark.parametrize("value", [b"x", b":AAAA:", b"::", b"%00", b":" + b"A" * 20_000 + b":"])
def test_what_is_no_certificate_is_refused(value):
    with pytest.raises(BadRequest):
        certificate_binding([(HEADER, value)])
    with pytest.raises(BadRequest):
        certificate_binding([(HEADER, b":AAAA:"), (HEADER, b":AAAA:")])


async def test_a_certificate_does_not_bind_a_smart_app(world):
    sent = {HEADER.decode(): shown(certificate()).decode()}
    form = {
        "grant_type": "authorization_code", "code": await world.code(), "client_id": "app",
        "redirect_uri": world.CALLBACK, "code_verifier": world.VERIFIER,
    }  # fmt: skip
    answer = await world.http.post("/oauth/token", data=form, headers=sent)
    assert await world.works(answer.json()["access_token"])


async def test_a_profile_that_gets_stricter_counts_at_once(world):
    code = await world.code(client_id="sealed", redirect_uri="https://keyed.example/cb",
                            scope="patient/*.rs")  # fmt: skip
    await world.registry.change(App, "sealed", lambda app: replace(app, profile="fapi"))
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": world.VERIFIER,
            "redirect_uri": "https://keyed.example/cb"}  # fmt: skip
    proof = world.fapi("ES256", iss="sealed", sub="sealed") | {"client_id": "sealed"}
    answer = await world.http.post("/oauth/token", data=form | proof)
    assert answer.json()["error"] == "invalid_dpop_proof"
