"""Pushed requests, id_tokens and their keys, keys of clients by address, limits on failures."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import threading
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import orjson
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pgo.errors import BadValue, TooMany
from pgo.oauth.keysets import KeySets, fetched, is_public
from pgo.oauth.metadata import authorization_server, smart_configuration
from pgo.registry import App, Provider

OPENID = "openid fhirUser launch/patient patient/*.rs offline_access"


# --- pushed requests ------------------------------------------------------------------------------


async def follow(world, uri, **more):
    asked = {"client_id": "strict", "request_uri": uri} | more
    return await world.http.get("/oauth/authorize", params=asked)


async def test_o07_a_pushed_request_is_used_once(world):
    uri = (await world.push()).json()["request_uri"]
    assert (await follow(world, uri)).status_code == 200
    again = await follow(world, uri)
    assert (again.status_code, "location" in again.headers) == (400, False)


async def test_o07_of_16_who_use_a_pushed_request_one_gets_on(world):
    uri = (await world.push()).json()["request_uri"]
    answers = await asyncio.gather(*(follow(world, uri) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15


async def test_o07_a_pushed_request_is_for_its_own_app(world):
    uri = (await world.push()).json()["request_uri"]
    answer = await follow(world, uri, client_id="app")
    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_o07_a_pushed_request_lives_a_minute(world):
    pushed = (await world.push()).json()
    assert pushed["expires_in"] == 60
    world.clock.later(seconds=61)
    assert (await follow(world, pushed["request_uri"])).status_code == 400


async def test_o07_what_is_added_in_the_front_channel_is_ignored(world):
    uri = (await world.push(scope="patient/Condition.r")).json()["request_uri"]
    more = {"scope": "patient/*.rs", "redirect_uri": "https://evil.example/cb", "state": "mine"}
    page = await follow(world, uri, **more)
    onward = await world.http.post("/oauth/sign-in", data=world.hidden(page) | {"persoon": "mia|"})
    consent = await world.chosen(onward)
    answer = await world.decide(consent)
    assert answer.headers["location"].startswith("https://strict.example/cb?")
    assert world.told(answer)["state"] == "s" * 32
    told = await world.strict_redeem(world.told(answer)["code"])
    assert told.json()["scope"] == "patient/Condition.r"


async def test_o07_an_app_that_must_push_may_not_ask_directly(world):
    asked = world.asking(client_id="strict", redirect_uri="https://strict.example/cb")
    answer = await world.http.get("/oauth/authorize", params=asked)
    assert world.told(answer)["error"] == "invalid_request"
    assert world.told(answer)["iss"] == world.ISSUER


@pytest.mark.parametrize(
    "uri", ["https://evil.example/r", "urn:ietf:params:oauth:request_uri:x", "x" * 43, ""]
)
async def test_o07_another_request_uri_leads_nowhere(world, uri):
    answer = await follow(world, uri)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": "urn:x"}, "request_uri_not_supported"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"dpop_jkt": "x"}, "invalid_request"),
    ],
)
async def test_o07_a_request_is_checked_when_it_is_pushed(world, changes, error):
    answer = await world.push(**changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_o07_who_pushes_proves_who_he_is(world):
    assert (await world.push(fapi={"client_id": "strict"})).status_code == 401
    other = world.fapi("ES256", iss="sealed", sub="sealed") | {"client_id": "strict"}
    assert (await world.push(fapi=other)).status_code == 401


async def test_o07_a_public_app_may_push_too(world):
    form = world.asking()
    pushed = await world.http.post("/oauth/par", data=form)
    assert pushed.status_code == 201
    page = await follow(world, pushed.json()["request_uri"], client_id="app")
    assert page.status_code == 200


async def test_a_proof_of_another_key_than_dpop_jkt_is_refused(world):
    answer = await world.push(proof=world.proof(path="/oauth/par"), dpop_jkt="x" * 43)
    assert answer.json()["error"] == "invalid_dpop_proof"


@pytest.mark.parametrize("alg", ["RS384", "ES384"])
async def test_a13_a_fapi_app_signs_with_what_fapi_allows(world, alg):
    assert (await world.push(fapi=world.fapi(alg))).status_code == 401


async def test_a12_the_audience_of_a_fapi_app_is_the_issuer_only(world):
    proof = world.fapi(aud=f"{world.ISSUER}/oauth/token")
    assert (await world.push(fapi=proof)).status_code == 401


# --- the list of checks of code and PKCE that has no test elsewhere -------------------------------


async def test_a2_a_challenge_without_method_is_refused(world):
    answer = await world.ask(code_challenge_method=None)
    assert world.told(answer)["error"] == "invalid_request"


async def test_a3_a_public_app_without_challenge_gets_no_code(world):
    answer = await world.ask(code_challenge=None, code_challenge_method=None)
    assert world.told(answer)["error"] == "invalid_request"


async def test_o05_a_code_without_challenge_is_worth_nothing_with_any_verifier(world):
    grant = await world.tokens.redeem(await world.code())
    code = await world.tokens.code(replace(grant, challenge=""))
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


async def test_a7_an_access_token_lives_five_minutes_and_a_code_one(world):
    assert (await world.token())["expires_in"] == 300
    assert world.tokens.lifetimes.code == 60


async def test_a15_the_redirect_address_is_never_left_out(world):
    assert (await world.ask(redirect_uri=None)).status_code == 400
    assert (await world.redeem(await world.code(), redirect_uri=None)).status_code == 400


async def test_a16_a_token_is_256_bits_and_only_its_hash_is_kept(world):
    token = (await world.token())["access_token"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert await world.store.peek("access", token, world.clock.seconds) is None
    name = sha256(token.encode()).hexdigest()
    assert await world.store.peek("access", name, world.clock.seconds) is not None


async def test_o12_prompt_none_is_told_that_nobody_is_signed_in(world):
    assert world.told(await world.ask(prompt="none"))["error"] == "login_required"


async def test_of_64_who_redeem_a_code_one_gets_tokens(world):
    code = await world.code()
    answers = await asyncio.gather(*(world.redeem(code) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 63


async def test_a_public_app_may_leave_its_name_out_of_a_refresh(world):
    first = await world.token()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    answer = await world.http.post("/oauth/token", data=form)
    assert answer.status_code == 200
    again = await world.http.post("/oauth/token", data=form)
    assert again.json()["error"] == "invalid_grant"
    assert not await world.works(answer.json()["access_token"])


async def test_a_confidential_app_may_not_leave_its_name_out(world):
    first = await world.strict_token()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    answer = await world.http.post("/oauth/token", data=form, headers={"DPoP": world.proof()})
    assert answer.json()["error"] == "invalid_client"


async def test_o28_an_unknown_and_a_disabled_client_are_told_the_same(world):
    await world.registry.change(App, "other", lambda app: replace(app, disabled=True))
    pages = [await world.ask(client_id=name) for name in ("other", "nobody")]
    assert len({re.sub(r"\s", "", page.text) for page in pages}) == 1
    forms = [await world.redeem("x" * 43, client_id=name) for name in ("other", "nobody")]
    assert len({(answer.status_code, answer.text) for answer in forms}) == 1


async def test_o28_who_cannot_sign_in_is_told_the_same_as_who_is_not_there(world):
    told = set()
    for person in ("noor|", "ghost|", "mia|elsewhere"):
        form = world.hidden(await world.ask()) | {"persoon": person}
        answer = await world.http.post("/oauth/sign-in", data=form)
        told.add((answer.status_code, answer.text))
    assert len(told) == 1


async def test_o29_failures_from_one_network_are_slowed_down(world):
    taken: dict[str, int] = {}

    def count(limit, who):
        if limit != "failed":
            return
        taken[who] = taken.get(who, 0) + 1
        if taken[who] > 3:
            raise TooMany("Asked too often.", headers={"Retry-After": "1"})

    object.__setattr__(world.parts, "count", count)
    answers = [await world.redeem("x" * 43) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert list(taken) == ["127.0.0.0/24"]
    assert (await world.redeem(await world.code())).status_code == 200


async def test_o30_no_answer_to_a_browser_holds_a_token(world):
    answer = await world.decide(await world.to_consent())
    assert set(world.told(answer)) == {"code", "state", "iss"}
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert urlsplit(answer.headers["location"]).fragment == ""


async def test_a8_nothing_of_a_strict_sign_in_is_in_a_log_at_debug(world, caplog):
    with caplog.at_level(logging.DEBUG):
        pushed = (await world.push()).json()["request_uri"]
        code = await world.strict_code(scope=OPENID)
        proof, proved = world.proof(), world.fapi()
        headers = {"DPoP": proof}
        told = (await world.strict_redeem(code, headers=headers, **proved)).json()
        form = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
        more = {"DPoP": world.proof()}
        fresh = await world.http.post("/oauth/token", data=form | world.fapi(), headers=more)
    logged = "\n".join(
        record.getMessage() for record in caplog.records if "httpx" not in record.name
    )
    secrets = [
        pushed, code, told["access_token"], told["refresh_token"], told["id_token"],
        fresh.json()["access_token"], proof.split(".")[2],
        proved["client_assertion"].split(".")[2], world.CHALLENGE, world.VERIFIER,
    ]  # fmt: skip
    assert not [secret for secret in secrets if secret in logged]


# --- id_tokens ------------------------------------------------------------------------------------


async def keys_of(world):
    answer = await world.http.get("/oauth/jwks")
    assert answer.headers["cache-control"] == "public, max-age=300"
    return KeySet.import_key_set(answer.json())


async def test_an_id_token_says_who_when_and_how_surely(world):
    told = await world.strict_token(scope=OPENID)
    token = jwt.decode(told["id_token"], await keys_of(world), algorithms=["ES256"])
    half = sha256(told["access_token"].encode()).digest()[:16]
    now = world.clock.seconds
    assert token.claims == {
        "iss": world.ISSUER,
        "aud": "strict",
        "sub": await world.parts.signing.subject("strict", "mia"),
        "nonce": "n" * 20,
        "auth_time": now,
        "iat": now,
        "exp": now + 300,
        "acr": "http://eidas.europa.eu/LoA/substantial",
        "fhirUser": f"{world.ISSUER}/fhir/r4/RelatedPerson/mia",
        "at_hash": urlsafe_b64encode(half).rstrip(b"=").decode(),
    }


async def test_a_smart_app_gets_its_id_token_with_rsa(world):
    scopes = tuple(OPENID.split())
    await world.registry.change(App, "app", lambda app: replace(app, scopes=scopes))
    told = await world.token(scope=OPENID)
    token = jwt.decode(told["id_token"], await keys_of(world), algorithms=["RS256"])
    assert "nonce" not in token.claims
    assert "id_token" not in (await world.refresh(told["refresh_token"])).json()


async def test_without_openid_there_is_no_id_token(world):
    assert "id_token" not in await world.strict_token(scope="patient/*.rs")
    unticked = await world.strict_token(scope="openid patient/*.rs", tick=[0])
    assert "id_token" not in unticked


async def test_two_apps_know_a_person_by_two_names(world):
    one, two = [await world.parts.signing.subject(app, "mia") for app in ("app", "strict")]
    assert one != two
    assert "mia" not in one + two
    assert one == await world.parts.signing.subject("app", "mia")


async def test_userinfo_tells_the_same_name_and_no_more(world):
    told = await world.strict_token(scope="openid patient/*.rs")
    token = told["access_token"]
    proof = world.proof(path="/oauth/userinfo", method="GET", token=token, without=("nonce",))
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    answer = await world.http.get("/oauth/userinfo", headers=headers)
    assert answer.json() == {"sub": await world.parts.signing.subject("strict", "mia")}


async def test_userinfo_needs_openid(world):
    token = (await world.token())["access_token"]
    answer = await world.http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


async def test_o22_a_replaced_key_is_published_until_its_tokens_have_ended(world):
    old = (await world.strict_token(scope=OPENID))["id_token"]
    await world.parts.signing.rotate(leaked=False)
    jwt.decode(old, await keys_of(world), algorithms=["ES256"])
    new = (await world.strict_token(scope=OPENID))["id_token"]
    assert jwt.decode(new, await keys_of(world), algorithms=["ES256"])
    world.clock.later(seconds=601)
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(old, await keys_of(world), algorithms=["ES256"])
    jwt.decode(new, await keys_of(world), algorithms=["ES256"])


async def test_o27_when_a_key_leaked_its_tokens_are_refused_at_once(world):
    old = (await world.strict_token(scope=OPENID))["id_token"]
    await world.parts.signing.rotate(leaked=True)
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(old, await keys_of(world), algorithms=["ES256"])


async def test_keys_are_published_before_the_first_id_token(world):
    keys = (await world.http.get("/oauth/jwks")).json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256"}
    token = (await world.strict_token(scope=OPENID))["id_token"]
    jwt.decode(token, KeySet.import_key_set({"keys": keys}), algorithms=["ES256"])


async def test_published_keys_are_public(world):
    await world.strict_token(scope=OPENID)
    for key in (await world.http.get("/oauth/jwks")).json()["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()


def test_o24_what_the_server_says_of_itself_is_sound():
    told = authorization_server("https://pgo.example")
    AuthorizationServerMetadata(told).validate()
    smart = smart_configuration("https://pgo.example")
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-standalone", "sso-openid-connect", "permission-v2"} <= set(
        smart["capabilities"]
    )
    assert all(smart[name].startswith("https://") for name in smart if name.endswith("_endpoint"))


# --- keys of clients by address -------------------------------------------------------------------

URI = "https://keys.example/jwks"


async def test_o21_keys_at_an_address_prove_a_system(world):
    asked = []

    def fetch(uri):
        asked.append(uri)
        return world.public("ES384")

    object.__setattr__(world.parts, "keysets", KeySets(world.tokens.now, fetch))
    await world.registry.change(
        Provider, "zuid-ecd", lambda one: replace(one, jwks=None, jwks_uri=URI)
    )
    assert (await world.system()).status_code == 200
    assert (await world.system()).status_code == 200
    assert asked == [URI]


async def test_o22_an_unknown_kid_is_looked_for_once_a_minute(world):
    asked = []

    def fetch(uri):
        asked.append(uri)
        return world.public("ES384")

    sets = KeySets(world.tokens.now, fetch)
    entry = replace(await world.registry.provider("zuid-ecd"), jwks=None, jwks_uri=URI)
    for _ in range(20):
        await sets.of(entry, "unknown")
    assert len(asked) == 1
    world.clock.later(seconds=61)
    await asyncio.gather(*(sets.of(entry, "unknown") for _ in range(20)))
    assert len(asked) == 2
    world.clock.later(seconds=301)
    assert (await sets.of(entry, "es384"))["keys"]
    assert len(asked) == 3


async def test_o22_a_key_that_is_taken_away_is_refused_within_five_minutes(world):
    left = [world.public("ES384"), world.public("ES256")]
    sets = KeySets(world.tokens.now, lambda _: left.pop(0))
    object.__setattr__(world.parts, "keysets", sets)
    await world.registry.change(
        Provider, "zuid-ecd", lambda one: replace(one, jwks=None, jwks_uri=URI)
    )
    assert (await world.system()).status_code == 200
    world.clock.later(seconds=301)
    assert (await world.system()).status_code == 401


async def test_o23_keys_that_cannot_be_had_are_none(world):
    def fetch(_):
        raise TimeoutError

    sets = KeySets(world.tokens.now, fetch)
    entry = replace(await world.registry.provider("zuid-ecd"), jwks=None, jwks_uri=URI)
    assert await sets.of(entry, "es384") == {}


@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example/jwks", "https://keys.example:8443/jwks", "https://[::1]/jwks",
        "https://user@keys.example/", "https://keys.example/#x", "file:///etc/passwd",
        "https:///jwks", "https://keys..example/", "ftp://keys.example/",
    ],
)  # fmt: skip
def test_o23_an_address_of_keys_is_https_with_a_name(uri):
    with pytest.raises(BadValue):
        App("x", "X", jwks_uri=uri, grants=())
    with pytest.raises(BadValue):
        fetched(uri)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "224.0.0.1", "240.0.0.1"],
)  # fmt: skip
def test_o23_an_address_that_is_not_public_is_not_asked(address):
    assert not is_public(address)


def test_o23_a_public_address_may_be_asked():
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1::1")


def test_o23_a_name_that_leads_to_this_machine_is_not_asked():
    with pytest.raises(BadValue):
        fetched("https://localhost/jwks")


def certified(path):
    """A key and a certificate for localhost, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    kind, none = PrivateFormat.PKCS8, NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, kind, none) + pem)
    return path


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A server with TLS on this machine that answers in bad ways; its port and who trusts it."""
    chain = certified(tmp_path_factory.mktemp("tls") / "chain.pem")

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            kinds = {
                "/large": (200, b'{"keys":[' + b" " * 70_000 + b"]}"),
                "/moved": (302, b""),
                "/text": (200, b"hello"),
                "/list": (200, b"[]"),
                "/empty": (200, b'{"keys":[]}'),
            }
            status, body = kinds.get(self.path, (200, GOOD))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("location", "https://localhost/good")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, ssl.create_default_context(cafile=chain)
    server.shutdown()
    server.server_close()
    thread.join(5)


GOOD = orjson.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": "x", "y": "y"}]})


def test_o23_keys_are_fetched(there):
    port, trust = there
    found = fetched("https://localhost/good", may_reach=lambda _: True, trust=trust, port=port)
    assert found["keys"][0]["kid"] == "k"


@pytest.mark.parametrize("path", ["large", "moved", "text", "list", "empty"])
def test_o23_what_is_no_key_set_is_not_taken(there, path):
    port, trust = there
    uri = f"https://localhost/{path}"
    with pytest.raises(BadValue):
        fetched(uri, may_reach=lambda _: True, trust=trust, port=port)


def test_o23_an_unknown_certificate_is_not_trusted(there):
    port, _ = there
    with pytest.raises(OSError, match="certificate verify failed"):
        fetched("https://localhost/good", may_reach=lambda _: True, port=port)
