"""What the limits refuse where people look is a page; an app still gets what it can read."""

from __future__ import annotations

import re

import httpx2
import pytest

from pgo.app import _rates_file, build
from pgo.keyfile import make_key
from pgo.limits import ADDRESS_BYTES, HEAD_FIELDS, OAUTH_BYTES
from pgo.settings import load

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "Accept-Language": "nl"}
LONG = "x" * ADDRESS_BYTES
PAGES = ("/oauth/sign-in", "/oauth/authorize", "/oauth/sessions", "/mijn", "/mijn/apps")


@pytest.fixture
async def http(tmp_path):
    make_key(tmp_path / "pgo.key", development=True)
    settings = load(
        store=f"sqlite:///{tmp_path}/pgo.db",
        key_file=tmp_path / "pgo.key",
        issuer="http://127.0.0.1:8000",
    )
    server = build(settings)
    await server.start()
    transport = httpx2.ASGITransport(app=server)
    async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as client:
        yield client
    await server.stop()
    _rates_file(settings).unlink(missing_ok=True)


def is_page(answer) -> bool:
    return answer.headers["content-type"].startswith("text/html") and "<h1>" in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_an_address_that_is_too_long_is_told_on_a_page_with_a_way_on(http, path):
    answer = await http.get(f"{path}?flow={LONG}", headers=HTML)
    assert answer.status_code == 414
    assert is_page(answer)
    assert "Het adres van deze pagina is te lang" in answer.text
    onward = "Ga terug naar de app" if path.endswith("authorize") else 'href="[./]*mijn"'
    assert re.search(onward, answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("taal", ["en", "nl-eenvoudig"])
async def test_it_is_told_in_the_words_somebody_chose(http, taal):
    answer = await http.get(f"/mijn?x={LONG}", headers=HTML | {"Cookie": f"pgo-taal={taal}"})
    assert ("too long" if taal == "en" else "Begin nog eens") in answer.text


async def test_a_head_that_is_too_large_is_told_on_a_page(http):
    fields = {f"X-F-{n}": "1" for n in range(HEAD_FIELDS + 1)}
    answer = await http.get("/mijn", headers=HTML | fields)
    assert answer.status_code == 431
    assert is_page(answer)
    assert "Wis de cookies" in answer.text


@pytest.mark.parametrize("path", ["/oauth/sign-in", "/mijn/apps/stoppen"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_form_that_is_too_large_is_told_on_a_page(http, path, announced):
    body = b"code=" + b"x" * (2_000_001 if path.startswith("/mijn") else OAUTH_BYTES)
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    async def pieces():
        yield body

    answer = await http.post(path, content=body if announced else pieces(), headers=HTML | form)
    assert answer.status_code == 413
    assert is_page(answer)
    assert "te groot" in answer.text


async def test_an_app_that_wants_no_page_gets_what_it_can_read(http):
    answer = await http.get(f"/oauth/sign-in?x={LONG}", headers={"Accept": "application/json"})
    assert answer.json()["error"] == "invalid_request"
    answer = await http.get(f"/mijn/berichten?x={LONG}")
    assert answer.headers["content-type"] == "application/problem+json"
    answer = await http.get(f"/oauth/userinfo?x={LONG}", headers=HTML)
    assert answer.json()["error"] == "invalid_request"
    answer = await http.get(f"/fhir/r4/Patient?x={LONG}", headers=HTML)
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_what_was_sent_is_not_on_the_page(http):
    answer = await http.get(f"/oauth/sign-in?flow=GEHEIM{LONG}", headers=HTML)
    assert "GEHEIM" not in answer.text
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("path", ["/oauth/", "/mijn/"])
async def test_a_path_of_thousands_of_steps_makes_no_page_of_megabytes(http, path):
    for more in ("/" * 4_000, "a/" * 2_000, "/" * ADDRESS_BYTES):
        answer = await http.get(f"{path}{more}", headers=HTML)
        assert answer.status_code in (404, 414)
        assert len(answer.content) < 10_000
        assert 'href="/oauth/style.css"' in answer.text


async def test_asked_for_the_head_only_no_page_comes_along(http):
    answer = await http.request("HEAD", f"/mijn?x={LONG}", headers=HTML)
    assert (answer.status_code, answer.content) == (414, b"")
