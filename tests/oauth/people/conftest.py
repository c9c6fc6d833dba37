"""What tests of signing in share: a server with ways to sign in, and a visitor with a browser."""

from __future__ import annotations

import html
import importlib.util
import re
import ssl
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey

from pgo.framework import Methods, answer_errors
from pgo.oauth.levels import ProviderSet, Ways
from pgo.oauth.means import AllMeans
from pgo.oauth.recovery import make_entry_code
from pgo.oauth.routes import router
from pgo.oauth.sessions import Sessions
from pgo.web import Front

OURS = ECKey.generate_key("P-256", {"kid": "ours", "alg": "ES256"})
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual one takes 20 ms to make per client
NAMES = ("good", "other", "plain", "silent", "redirecting", "lying", "elsewhere", "huge", "noniss")
LEVELS = {"urn:laag": "laag", "urn:midden": "substantieel", "urn:hoog": "hoog"}


def provider_set(name: str, base: str, **more) -> ProviderSet:
    usual = {
        "name": name, "label": name.capitalize(), "issuer": f"{base}/{name}", "client_id": "pgo",
        "levels": LEVELS, "secret": "geheim", "private": True,
    }  # fmt: skip
    return ProviderSet(**usual | more)


def server(world, ways: Ways, **more):
    """The world's authorization server with these ways to sign in, as an ASGI application."""
    parts = replace(world.parts, ways=ways, development_login=False, **more)
    world.parts = parts
    app = FastAPI()
    answer_errors(app)
    app.include_router(router(parts))
    return Front(Methods(app), world.SETTINGS)


class Visitor:
    """Somebody with a browser of his own."""

    def __init__(self, world, asgi) -> None:
        transport = httpx2.ASGITransport(app=asgi, client=("192.0.2.7", 4000))
        self.world = world
        self.http = httpx2.AsyncClient(
            transport=transport, base_url=world.ISSUER, event_hooks=world.http.event_hooks
        )

    async def ask(self, **changes):
        return await self.http.get("/oauth/authorize", params=self.world.asking(**changes))

    async def follow(self, answer):
        assert answer.status_code == 303, answer.text
        return await self.http.get(f"/oauth/{answer.headers['location']}")

    async def away(self, page, name="good"):
        """Choose a provider; the address the browser is sent to."""
        link = html.unescape(re.search(rf'href="(to-{name}\?[^"]*)"', page.text)[1])
        return await self.http.get(f"/oauth/{link}")

    async def at_provider(self, answer, **said) -> str:
        """Sign in there; the address of ours the provider sends the browser back to."""
        assert answer.status_code == 303, answer.text
        address = f"{answer.headers['location']}&{urlencode(said)}"
        async with httpx2.AsyncClient(verify=NO_TLS) as bare:
            told = await bare.get(address)
        assert told.status_code == 302, told.text
        return told.headers["location"]

    async def back(self, address):
        parts = urlsplit(address)
        return await self.http.get(f"{parts.path}?{parts.query}")

    async def sign_in(self, page=None, name="good", **said):
        """The whole way through a provider; the answer to coming back."""
        page = page or await self.ask()
        return await self.back(await self.at_provider(await self.away(page, name), **said))

    async def post(self, path, page, **form):
        return await self.http.post(f"/oauth/{path}", data=self.world.hidden(page) | form)

    @staticmethod
    def flow_in(page) -> str:
        """The id of the step a page is of."""
        return re.search(r"flow=([\w-]+)", page.text)[1]

    @staticmethod
    def options(page) -> str:
        """What a page asks of a device."""
        return html.unescape(re.search(r'data-options="([^"]*)"', page.text)[1])

    async def add_key(self, device, name="Mijn telefoon", **err):
        """Make a passkey on the page for that; the answer."""
        page = await self.http.get("/oauth/passkeys")
        assert page.status_code == 200, page.text
        made = device.create(self.options(page), **err)
        return await self.post("passkeys", page, naam=name, credential=made)

    async def with_key(self, device, page=None, **err):
        """Sign in with a passkey; the answer."""
        page = page or await self.ask()
        link = html.unescape(re.search(r'href="(passkey\?[^"]*)"', page.text)[1])
        page = await self.http.get(f"/oauth/{link}")
        proof = device.get(self.options(page), **err)
        return await self.post("passkey", page, credential=proof)

    async def with_code(self, code, page=None):
        """Sign in with a code; the answer."""
        page = page or await self.ask()
        link = html.unescape(re.search(r'href="(recover\?[^"]*)"', page.text)[1])
        page = await self.http.get(f"/oauth/{link}")
        return await self.post("recover", page, code=code)

    def cookies(self) -> dict[str, str]:
        return {one.name: one.value for one in self.http.cookies.jar}

    @property
    def session(self) -> str:
        return self.cookies().get("__Host-pgo-session", "")


@pytest.fixture(scope="session")
def provider():
    """The address of a provider's process."""
    public = orjson.dumps(OURS.as_dict(private=False)).decode()
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("provider.py")), public],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


class People:
    """A server people sign in at, in the world of apps; `ways` may be changed before `visitor`."""

    OURS = OURS
    """The key a provider knows us by, when it wants no password."""

    def __init__(self, world, provider: str) -> None:
        self.world, self.provider = world, provider
        world.clock.now = datetime.now(UTC)
        self.means = AllMeans(world.store, world.box)
        self.more = {}
        self.ways = Ways(
            providers=tuple(provider_set(name, provider) for name in NAMES),
            passkey_level="substantieel",
        )
        self._asgi = None

    def visitor(self) -> Visitor:
        """Somebody new, with a browser of his own."""
        if self._asgi is None:
            self._asgi = server(self.world, self.ways, **self.more)
        return Visitor(self.world, self._asgi)

    async def code_for(self, person) -> str:
        now = self.world.clock.seconds
        return await make_entry_code(self.world.store, self.world.box, person, now)

    async def signed_in(self, person="mia", *, name="good", **said) -> Visitor:
        """Somebody whose pseudonym is known, signed in at the provider, on his list of sessions."""
        visitor = self.visitor()
        page = await visitor.http.get("/oauth/sign-in?next=sessions")
        answer = await visitor.sign_in(page, name, **{"sub": f"pseudo-{person}"} | said)
        if answer.headers["location"].startswith("link"):
            page = await visitor.follow(answer)
            answer = await visitor.post("link", page, code=await self.code_for(person))
        assert answer.headers["location"] == "sessions", answer.text
        return visitor

    async def session_of(self, visitor):
        """The session of a visitor's browser, or None."""
        asked = SimpleNamespace(cookies=visitor.cookies())
        return await Sessions(self.world.parts, self.means).current(asked)

    @property
    def details(self) -> list[str]:
        """What was written down about signing in, without what it was about."""
        return [
            fields.get("detail", "")
            for event, fields in self.world.lines
            if event == "oauth.sign-in"
        ]

    async def control(self, what="") -> dict:
        async with httpx2.AsyncClient(verify=NO_TLS) as bare:
            return (await bare.get(f"{self.provider}/control/{what}")).json()


@pytest.fixture
async def people(world, provider):
    found = People(world, provider)
    await found.control("reset")
    return found


@pytest.fixture
def device(people):
    """Makes devices with passkeys."""
    found = importlib.util.spec_from_file_location("device", Path(__file__).with_name("device.py"))
    module = importlib.util.module_from_spec(found)
    sys.modules["device"] = module
    found.loader.exec_module(module)
    return lambda **how: module.Device(people.world.ISSUER, **how)
