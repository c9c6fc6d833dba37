"""A small world around the authorization server: real store, real routes, a clock that can move."""

from __future__ import annotations

import asyncio
import html
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from joserfc import jwk, jws

from pgo.dossier.seal import Box
from pgo.errors import Unauthenticated, Unavailable
from pgo.framework import Methods, answer_errors
from pgo.oauth.choices import Choice
from pgo.oauth.cors import Cors, registered_origins
from pgo.oauth.guard import Guard
from pgo.oauth.pages import page_of_error
from pgo.oauth.parts import Parts
from pgo.oauth.routes import router
from pgo.oauth.tokens import Tokens
from pgo.registry import Account, App, Organisation, Provider, Registry
from pgo.settings import Settings
from pgo.store import open_store
from pgo.store.contract import Store
from pgo.web import Front

ISSUER = "https://pgo.example"
SETTINGS = Settings(issuer=ISSUER)
CALLBACK = "https://app.example/cb"
SCOPE = "launch/patient patient/Observation.rs patient/Condition.r offline_access fhirUser"
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
KEYS = {
    "ES384": jwk.generate_key("EC", "P-384", {"kid": "es384"}),
    "ES256": jwk.generate_key("EC", "P-256", {"kid": "es256"}),
    "RS384": jwk.generate_key("RSA", 2048, {"kid": "rsa"}),
    "EdDSA": jwk.generate_key("OKP", "Ed25519", {"kid": "ed"}),
}
KEYS["PS256"] = KEYS["RS256"] = KEYS["RS384"]


def public(*names: str) -> dict:
    return {"keys": [KEYS[name].as_dict(private=False) for name in names]}


class Quiet(jws.JWSRegistry):
    def get_alg(self, name):
        return self.algorithms[name]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 9, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **passed) -> None:
        self.now += timedelta(**passed)

    @property
    def seconds(self) -> int:
        return int(self.now.timestamp())


@dataclass
class World:
    store: Store
    box: Box
    registry: Registry
    tokens: Tokens
    guard: Guard
    clock: Clock
    http: httpx2.AsyncClient
    asgi: object = None
    lines: list = field(default_factory=list)
    dossiers: dict = field(default_factory=dict)
    pen_broken: bool = False

    ISSUER, CALLBACK, SCOPE, VERIFIER, CHALLENGE, KEYS, SETTINGS = (
        ISSUER, CALLBACK, SCOPE, VERIFIER, CHALLENGE, KEYS, SETTINGS,
    )  # fmt: skip

    @staticmethod
    def hidden(page):
        return hidden(page.text)

    @staticmethod
    def told(answer):
        return told(answer)

    @staticmethod
    def public(*names):
        return public(*names)

    @staticmethod
    def signed(header, claims, key):
        return signed(header, claims, key)

    # what the rest of the application lends

    async def note(self, event, **fields):
        if self.pen_broken:
            raise Unavailable("The line cannot be written.")
        self.lines.append((event, fields))

    async def dossiers_of(self, person):
        return [Choice(*one) for one in self.dossiers.get(person, [])]

    async def patient_of(self, client):
        return f"pat-{client}"

    async def fhir_user_of(self, person, client):
        return f"{ISSUER}/fhir/r4/RelatedPerson/{person}" if client else ""

    # an app and a browser

    def asking(self, **changes) -> dict:
        asked = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "state": "s" * 32,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "aud": f"{ISSUER}/fhir/r4",
        } | changes
        return {name: value for name, value in asked.items() if value is not None}

    async def ask(self, **changes):
        return await self.http.get("/oauth/authorize", params=self.asking(**changes))

    async def to_consent(self, person="mia|", **changes):
        page = await self.ask(**changes)
        assert page.status_code == 200, page.text
        form = hidden(page.text) | {"persoon": person}
        onward = await self.http.post("/oauth/sign-in", data=form)
        assert onward.status_code == 303, onward.text
        return await self.chosen(onward)

    async def chosen(self, onward):
        """The page to decide on, with the first dossier when one is to be chosen."""
        page = await self.http.get(f"/oauth/{onward.headers['location']}")
        links = re.findall(r'href="(consent\?flow=[^"]*dossier=[^"&]+)"', page.text)
        return await self.http.get(f"/oauth/{html.unescape(links[0])}") if links else page

    async def decide(self, page, *, dossier="bram", tick=None, besluit="ja"):
        boxes = re.findall(r'name="(recht-\d+)"', page.text)
        ticked = boxes if tick is None else [boxes[n] for n in tick]
        form = hidden(page.text) | {"besluit": besluit} | dict.fromkeys(ticked, "ja")
        if dossier:
            form["dossier"] = dossier
        return await self.http.post("/oauth/consent", data=form)

    async def code(self, person="mia|", dossier="bram", tick=None, **changes) -> str:
        answer = await self.decide(
            await self.to_consent(person, **changes), dossier=dossier, tick=tick
        )
        assert answer.status_code == 303, answer.text
        return told(answer)["code"]

    async def redeem(self, code, **changes):
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": "app",
            "code_verifier": VERIFIER,
        } | changes
        return await self.http.post(
            "/oauth/token", data={name: value for name, value in form.items() if value is not None}
        )

    async def token(self, **choices) -> dict:
        answer = await self.redeem(await self.code(**choices))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refresh(self, text, **changes):
        form = {"grant_type": "refresh_token", "refresh_token": text, "client_id": "app"} | changes
        return await self.http.post("/oauth/token", data=form)

    async def caller(self, token, *more, query=b""):
        headers = [(b"authorization", f"Bearer {token}".encode()), *more]
        scope = {"headers": headers, "query_string": query, "client": ("192.0.2.7", 4000)}
        return await self.guard.caller_of(scope)

    async def works(self, token) -> bool:
        try:
            await self.caller(token)
        except Unauthenticated:
            return False
        return True

    # an app that proves a key

    def proof(
        self, key="ES256", *, path="/oauth/token", method="POST", token="", without=(), **more
    ):
        """A DPoP proof; `header` among `more` changes its header."""
        key = KEYS[key] if isinstance(key, str) else key
        alg = more.pop("alg", {"EC": "ES256", "OKP": "EdDSA", "RSA": "PS256"}[key.key_type])
        public = {n: v for n, v in key.as_dict(private=False).items() if n != "kid"}
        head = {"typ": "dpop+jwt", "alg": alg, "jwk": public} | more.pop("header", {})
        claims = {
            "jti": secrets.token_hex(16),
            "htm": method,
            "htu": f"{ISSUER}{path}",
            "iat": self.clock.seconds,
            "nonce": self.parts.proofs.nonce(),
        }
        if token:
            claims["ath"] = b64(sha256(token.encode()).digest())
        claims |= more
        return signed(head, {n: v for n, v in claims.items() if n not in without}, key)

    def fapi(self, alg="PS256", **claims) -> dict:
        """How the app with the profile fapi proves who it is."""
        claims = {"iss": "strict", "sub": "strict", "aud": ISSUER} | claims
        return {
            "client_id": "strict",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.assertion(alg, **claims),
        }

    async def push(self, *, proof=None, fapi=None, **changes):
        asked = self.asking(
            client_id="strict", redirect_uri="https://strict.example/cb", nonce="n" * 20, **changes
        )
        headers = {"DPoP": proof} if proof else {}
        form = asked | (self.fapi() if fapi is None else fapi)
        return await self.http.post("/oauth/par", data=form, headers=headers)

    async def strict_code(self, tick=None, *, proof=None, **changes) -> str:
        pushed = await self.push(proof=proof, **changes)
        assert pushed.status_code == 201, pushed.text
        page = await self.http.get(
            "/oauth/authorize",
            params={"client_id": "strict", "request_uri": pushed.json()["request_uri"]},
        )
        assert page.status_code == 200, page.text
        form = hidden(page.text) | {"persoon": "mia|"}
        onward = await self.http.post("/oauth/sign-in", data=form)
        answer = await self.decide(await self.chosen(onward), tick=tick)
        assert answer.status_code == 303, answer.text
        return told(answer)["code"]

    async def strict_redeem(self, code, *, proof=None, headers=None, **changes):
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "https://strict.example/cb",
            "code_verifier": VERIFIER,
        }
        sent = {"DPoP": proof or self.proof()} if headers is None else headers
        return await self.http.post("/oauth/token", data=form | self.fapi() | changes, headers=sent)

    async def strict_token(self, **choices) -> dict:
        answer = await self.strict_redeem(await self.strict_code(**choices))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read(self, token, *more, scheme=b"DPoP", method="GET", path="/fhir/r4/Patient/x"):
        """What the guard says of a FHIR request with this token and these header fields."""
        headers = [(b"authorization", scheme + b" " + token.encode()), *more]
        scope = {"headers": headers, "query_string": b"", "client": None}
        return await self.guard.caller_of(scope | {"method": method, "path": path})

    # a provider's system

    def assertion(self, alg="ES384", *, key=None, header=None, without=(), **claims) -> str:
        key = key or KEYS[alg]
        now = self.clock.seconds
        body = {
            "iss": "zuid-ecd",
            "sub": "zuid-ecd",
            "aud": f"{ISSUER}/oauth/token",
            "exp": now + 240,
            "iat": now,
            "jti": secrets.token_hex(16),
        } | claims
        body = {name: value for name, value in body.items() if name not in without}
        head = {"alg": alg, "kid": key.kid, "typ": "JWT"} | (header or {})
        return signed({n: v for n, v in head.items() if v is not None}, body, key)

    async def system(self, assertion=None, **changes):
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion or self.assertion(),
            "scope": "system/*.cruds",
        } | changes
        return await self.http.post(
            "/oauth/token", data={name: value for name, value in form.items() if value is not None}
        )


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, claims, key) -> str:
    """A compact JWS, whatever is in its header; signed with the algorithm it names."""
    text = f"{b64(orjson.dumps(header))}.{b64(orjson.dumps(claims))}"
    signature = Quiet().get_alg(header["alg"]).sign(text.encode(), key)
    return f"{text}.{b64(signature)}"


def hidden(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


async def no_crash(response) -> None:
    """A page hides a crash from people; not from tests."""
    assert response.status_code != 500, response.request.url.path


def told(answer) -> dict[str, str]:
    query = parse_qs(urlsplit(answer.headers["location"]).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}


async def populate(registry: Registry) -> None:
    accounts = (
        Account("mia", "Mia", birth="1985-03-02", demo=True),
        Account("tom", "Tom", demo=True),
        Account(
            "kim", "Kim", kind="copiloot", orgs=("coophulp",), roles={"coophulp": "netwerkgids"},
            demo=True,
        ),
        Account("noor", "Noor", kind="zorgverlener", orgs=("delinde",), teams=("zuid",)),
    )  # fmt: skip
    apps = (
        App(
            "app",
            "De <Gezins>app",
            (CALLBACK, "http://127.0.0.1/native"),
            scopes=("launch/patient", "patient/*.cruds", "user/*.rs", "offline_access", "fhirUser"),
            origins=("https://app.example",),
        ),
        App("other", "Andere app", ("https://other.example/cb",), scopes=("patient/*.rs",)),
        App("sealed", "App met sleutel", ("https://keyed.example/cb",), jwks=public("ES256"),
            scopes=("launch/patient", "patient/*.rs", "offline_access")),
        App("strict", "App met streng profiel", ("https://strict.example/cb",), profile="fapi",
            jwks=public("PS256", "ES256", "EdDSA", "ES384"),
            scopes=("launch/patient", "patient/*.rs", "offline_access", "openid", "fhirUser")),
        App("server", "Resource server", (), (), jwks=public("ES384"), introspects=True),
    )  # fmt: skip
    providers = (
        Provider("zuid", "Zorg Zuid", "zuid-ecd", public("ES384", "ES256", "RS384", "EdDSA")),
        Provider("noord", "Zorg Noord", "noord-ecd", public("ES256")),
    )
    await asyncio.gather(  # together: one wait for the disk
        registry.keep_organisation(Organisation("coophulp", "Coöp Hulp")),
        *map(registry.keep_account, accounts),
        *map(registry.keep_app, apps),
        *map(registry.keep_provider, providers),
    )


class Later:
    """The routes, made at the first request: it takes longer than most tests, and not all ask."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @cached_property
    def app(self):
        app = FastAPI(redirect_slashes=False)
        answer_errors(app, page_of_error(secure=True))
        app.include_router(router(self._parts))
        layers = Cors(Methods(app), registered_origins(self._parts.registry))
        return Front(layers, SETTINGS)

    async def __call__(self, scope, receive, send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture
async def world(tmp_path):
    clock = Clock()
    store = await open_store(
        f"sqlite:///{tmp_path}/pgo.db",
        strict=False,
        mongo_standalone=False,
        clock=lambda: clock().timestamp(),
    )
    box = Box(b"k" * 32)
    registry = Registry(store, box)
    await populate(registry)
    tokens = Tokens(store, box, clock)
    world = World(store, box, registry, tokens, None, clock, None)
    world.dossiers = {
        "mia": [("bram", "Bram"), ("lara", "Lara")],
        "tom": [("tom1", "Mijn dossier")],
        "kim": [("bram", "Bram"), ("frits", "Frits")],
    }
    parts = Parts(
        issuer=ISSUER,
        store=store,
        box=box,
        registry=registry,
        tokens=tokens,
        note=world.note,
        dossiers_of=world.dossiers_of,
        patient_of=world.patient_of,
        fhir_user_of=world.fhir_user_of,
        development_login=True,
    )
    world.parts = parts
    world.guard = Guard(registry, tokens, parts.proofs)
    world.asgi = Later(parts)
    transport = httpx2.ASGITransport(app=world.asgi, raise_app_exceptions=True)
    hooks = {"response": [no_crash]}
    async with httpx2.AsyncClient(
        transport=transport, base_url=ISSUER, event_hooks=hooks
    ) as world.http:
        yield world
    await store.close()
