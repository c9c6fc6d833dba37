"""What opens something is written nowhere: not in a log at DEBUG, and not in a file, in any form.

A real server and a real provider; one person goes all the way, and makes the mistakes people make.
"""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from pgo.oauth.proof import hash_of
from pgo.oauth.recovery import make_entry_code
from pgo.registry import App

pytestmark = pytest.mark.long
KEY, OURS = "geheim", ECKey.generate_key("P-256", {"kid": "ours", "alg": "ES256"})
PROVIDER = Path(__file__).resolve().parents[1] / "oauth/people/provider.py"
CALLBACK, VERIFIER = "https://app.example/cb", "v" * 20 + token_hex(20)
SCOPE = "launch/patient patient/*.rs offline_access openid fhirUser"
SECRET = re.compile(r"[\w.~-]{12,}")  # no address, and no list of scopes
JWT = re.compile(rb"eyJ[\w-]{8,}\.")


class Walk:
    """A browser and an app; every secret either of them ever sees is remembered."""

    def __init__(self, served):
        self.served, self.secrets = served, {VERIFIER}
        hooks = {"request": [self.sent], "response": [self.got]}
        self.http = httpx2.Client(timeout=30, event_hooks=hooks)
        self.challenge = self.keep(hash_of(VERIFIER))
        self.state, self.nonce = self.keep(token_hex(24)), self.keep(token_hex(24))

    def keep(self, secret):
        if SECRET.fullmatch(secret):
            self.secrets.add(secret)
        return secret

    def sent(self, request):
        for pair in parse_qs(request.url.query.decode()).values():
            self.keep(pair[0])

    def got(self, answer):
        for value in answer.headers.get_list("set-cookie"):
            self.keep(value.partition("=")[2].partition(";")[0])
        for values in parse_qs(urlsplit(answer.headers.get("location", "")).query).values():
            self.keep(values[0])
        if "dpop-nonce" in answer.headers:
            self.keep(answer.headers["dpop-nonce"])

    def page(self, answer):
        """Follow the redirects of our own and of the provider to a page, or to the app."""
        while answer.is_redirect and not answer.headers["location"].startswith(CALLBACK):
            answer = self.http.get(urljoin(str(answer.url), answer.headers["location"]))
        return answer

    def post(self, page, path, **form):
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
        hidden = {name: self.keep(html.unescape(value)) for name, value in found}
        address = f"{self.served.url}/oauth/{path}"
        return self.page(self.http.post(address, data=hidden | form))

    def ask(self, **more):
        asked = {
            "response_type": "code", "client_id": "canary", "redirect_uri": CALLBACK,
            "scope": SCOPE, "state": self.state, "nonce": self.nonce,
            "code_challenge": self.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        address = f"{self.served.url}/oauth/authorize"
        return self.page(self.http.get(address, params=asked | more))

    def link(self, page, start):
        found = html.unescape(re.search(rf'href="({start}[^"]*)"', page.text)[1])
        return self.page(self.http.get(urljoin(str(page.url), found)))

    def tell(self, path, form, status=200, **headers):
        answer = self.http.post(f"{self.served.url}/oauth/{path}", data=form, headers=headers)
        assert answer.status_code == status, answer.text
        for name in ("access_token", "refresh_token", "id_token"):
            self.keep((answer.json() if answer.content else {}).get(name, ""))
        return answer

    def get(self, address, token, status=200):
        """A read with a proof."""
        proof = self.proof("GET", address, ath=hash_of(token))
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        answer = self.http.get(address, headers=headers)
        if answer.headers.get("dpop-nonce"):
            nonce = answer.headers["dpop-nonce"]
            headers["DPoP"] = self.proof("GET", address, ath=hash_of(token), nonce=nonce)
            answer = self.http.get(address, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def proof(self, method, address, **more):
        public = {
            n: v for n, v in OURS.as_dict(private=False).items() if n in {"kty", "crv", "x", "y"}
        }
        claims = {"jti": token_hex(16), "htm": method, "htu": address, "iat": int(time.time())}
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public}
        return self.keep(jwt.encode(head, claims | more, OURS))


@pytest.fixture
def walk(launch, tmp_path):
    public = json.dumps(OURS.as_dict(private=False))
    command = [sys.executable, str(PROVIDER), public]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        provider = {
            "label": "De Makelaar", "issuer": f"http://127.0.0.1:{port}/good", "client_id": "pgo",
            "secret": "geheim", "private": True,
            "acr": {"urn:laag": "laag", "urn:midden": "substantieel"},
        }  # fmt: skip
        served = launch(
            tmp_path, PGO_PROVIDERS=json.dumps({"makelaar": provider}), PGO_LOG_LEVEL="debug"
        )
        served.anna(KEY, [])
        made = Walk(served)
        yield made
        made.http.close()
        process.stdin.close()
        process.wait(20)


def all_the_way(walk):
    async def prepare(house):
        await house.registry.keep_app(
            App("canary", "De app", (CALLBACK,), scopes=tuple(SCOPE.split()))
        )
        now = int(house.clock().timestamp())
        return await make_entry_code(house.store, house.registry_box, f"anna-{KEY}", now)

    code = walk.keep(walk.served.inside(prepare))
    at_link = walk.link(walk.ask(), "to-makelaar")
    walk.post(at_link, "link", code=walk.keep("verkeerde-code-die-niet-bestaat"))
    at_link = walk.link(walk.ask(), "to-makelaar")
    page = walk.post(at_link, "link", code=code)
    if 'name="besluit"' not in page.text:
        page = walk.link(page, "consent")
    boxes = dict.fromkeys(re.findall(r'name="(recht-\d+)"', page.text), "ja")
    dossier = walk.served.dossiers[KEY]
    return walk.post(page, "consent", besluit="ja", dossier=dossier, **boxes)


def as_app(walk, answer):
    """What an app does with a code, rightly and wrongly; its last tokens."""
    code = walk.keep(parse_qs(urlsplit(answer.headers["location"]).query)["code"][0])
    url, token = walk.served.url, f"{walk.served.url}/oauth/token"
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
        "client_id": "canary", "code_verifier": VERIFIER,
    }  # fmt: skip
    asked = walk.tell("token", form, 400, DPoP=walk.proof("POST", token))
    nonce = asked.headers["dpop-nonce"]
    told = walk.tell("token", form, DPoP=walk.proof("POST", token, nonce=nonce)).json()
    access = told["access_token"]
    assert walk.get(f"{url}/fhir/r4/Observation", access).json()["type"] == "searchset"
    walk.get(f"{url}/oauth/userinfo", access)
    walk.get(f"{url}/fhir/r4/Observation?code=x&access_token={access}", access, 400)
    walk.http.get(f"{url}/fhir/r4/Patient?access_token={access}")
    walk.http.get(f"{url}/fhir/r4/Patient/{access}", headers={"Authorization": f"Bearer {access}"})
    walk.tell("token?code=" + code, form, 400)
    walk.tell("introspect", {"token": access, "client_id": "canary"}, 401)
    again = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
    again |= {"client_id": "canary"}
    more = walk.tell("token", again, DPoP=walk.proof("POST", token, nonce=nonce)).json()
    walk.tell("token", again | {"scope": "x" * 50}, 400)
    walk.tell("token", again | {"refresh_token": walk.keep(token_hex(24))}, 400)
    walk.tell("token", form | {"client_assertion": told["id_token"]}, 401)
    walk.tell("revoke", {"token": more["refresh_token"], "client_id": "canary"})
    return told


def test_no_secret_is_in_a_log_at_debug_or_in_a_file(walk):
    answer = all_the_way(walk)
    assert answer.headers["location"].startswith(CALLBACK), answer.text
    told = as_app(walk, answer)
    assert told["id_token"] in walk.secrets
    silent = walk.ask(prompt="none", id_token_hint=told["id_token"])
    assert silent.headers["location"].startswith(CALLBACK)
    sessions = walk.page(walk.http.get(f"{walk.served.url}/oauth/sessions"))
    walk.post(sessions, "sign-out")
    walk.secrets.discard(walk.served.dossiers[KEY])  # a name, which opens nothing
    assert len(walk.secrets) > 40, len(walk.secrets)
    assert (walk.served.folder / "server.log").stat().st_size > 2_000, "the log was written"
    for path in sorted(walk.served.folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            shown = [secret for secret in walk.secrets if any(f in raw for f in forms(secret))]
            assert not shown, (path.name, shown)
            assert not JWT.search(raw), path.name


def forms(secret):
    """How a text may stand in a file."""
    plain = secret.encode()
    yield plain
    yield plain.hex().encode()
    yield urlencode({"": secret})[1:].encode()
    yield plain.decode().encode("utf-16-le")
    for lead in range(3):
        coded = base64.b64encode(bytes(lead) + plain)
        yield coded[4 if lead else 0 : -4]
