"""What holds for every page: sound HTML, headers, forms of our own, no way out but to the app."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin

import pytest
from lxml import html

from pgo.errors import TooMany
from pgo.oauth.flow import LIVES
from pgo.oauth.look import Look
from pgo.oauth.routes import router
from pgo.oauth.texts import TONGUES
from pgo.oauth.wording import CATEGORIES

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "pgo/oauth/templates"
PAGES = json.loads((ROOT / "tests/node/pages/pages.json").read_text())
NOT_PAGES = {
    *("GET /oauth/style.css", "GET /oauth/pictograms.svg", "GET /oauth/passkey.js"),
    *("GET /oauth/jwks", "GET /oauth/userinfo", "POST /oauth/userinfo", "POST /oauth/par"),
    *("POST /oauth/token", "POST /oauth/revoke", "POST /oauth/introspect"),
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/openid-configuration",
}
PAGED = sorted({route for told in PAGES.values() for route in told})
CHANGING = {"set-cookie", "x-request-id", "content-length"}
FIXED = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def routes(world) -> set[str]:
    def flat(found):
        for route in found:
            inner = getattr(route, "original_router", None)
            yield from flat(inner.routes) if inner is not None else [route]

    return {
        f"{method} {route.path}"
        for route in flat(router(world.parts).routes)
        for method in route.methods - {"HEAD"}
    }


async def every_page(world, **headers):
    """(template, answer) of each page that this world can show."""
    http = world.http
    http.headers.update(headers)
    shown = [await world.ask()]
    onward = await http.post("/oauth/sign-in", data=world.hidden(shown[0]) | {"persoon": "mia|"})
    dossiers = await http.get(f"/oauth/{onward.headers['location']}")
    page = await world.chosen(onward)
    shown += [dossiers, page, await world.decide(page, tick=[])]
    code = world.told(await world.decide(page))["code"]
    assert (await world.redeem(code)).status_code == 200
    shown += [await http.get(path) for path in ("/mijn", "/mijn/apps", "/oauth/sessions")]
    home = world.hidden(shown[-3])
    shown += [
        await http.get("/oauth/consent?flow=x"),
        await http.get("/oauth/error?soort=ours"),
        await http.get("/oauth/error?soort=%3Cb%3E"),
        await http.get("/oauth/authorize?client_id=nobody"),
        await http.post("/mijn/apps/stoppen", data={}),
        await http.post("/oauth/consent", data={"flow": "x"}),
        await http.post("/oauth/sign-out", data=home | {"waar": "hier"}),
    ]
    assert all("text/html" in one.headers["content-type"] for one in shown)
    assert {one.status_code for one in shown} <= {200, 400, 403, 404, 415}
    return [(html.fromstring(one.text), one) for one in shown]


def test_every_template_is_looked_at_in_the_browser():
    drawn = {path.stem for path in TEMPLATES.glob("*.html")} - {"layout"}
    assert drawn == set(PAGES)
    tour = (ROOT / "tests/node/pages/tour.mjs").read_text()
    assert set(re.findall(r'seeing\("(\w+)"\)', tour)) == drawn


async def test_every_route_that_shows_a_page_is_looked_at_in_the_browser(world):
    told = {route for routes_ in PAGES.values() for route in routes_}
    assert routes(world) - NOT_PAGES == told


@pytest.mark.parametrize("tongue", TONGUES)
async def test_every_page_is_sound_html(world, tongue):
    world.http.cookies.set("__Host-pgo-taal", tongue, domain="pgo.example")
    for page, answer in await every_page(world):
        assert page.get("lang") == answer.headers["content-language"] == tongue[:2]
        assert answer.text.startswith("<!doctype html>")
        assert len(page.xpath("//h1")) == 1
        levels = [int(one.tag[1]) for one in page.xpath("//main//*[self::h1|self::h2|self::h3]")]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        ids = page.xpath("//@id")
        assert len(ids) == len(set(ids))
        for name in ("header", "nav", "main", "footer"):
            assert len(page.xpath(f"//{name}")) == 1
        assert page.xpath("//body/*[1]/@href") == ["#main"]
        assert page.xpath("//title/text()")[0].endswith(("Mijn dossier", "My record"))
        named = page.xpath("//@aria-labelledby | //@aria-describedby")
        assert {one for names in named for one in names.split()} <= set(ids)


async def test_every_field_has_a_label_and_every_form_a_token(world):
    for page, _ in await every_page(world):
        for field in page.xpath("//input[not(@type='hidden')]"):
            ids = field.get("id")
            assert field.xpath("ancestor::label") or page.xpath(f"//label[@for='{ids}']")
        for form in page.xpath("//form"):
            assert form.get("method") == "post"
            assert form.xpath("input[@type='hidden'][@name='form'][string-length(@value)=64]")
            assert not re.match(r"[a-z]+:|//", form.get("action"))


async def test_no_page_has_a_script_a_style_or_anything_from_elsewhere_in_it(world):
    for page, answer in await every_page(world):
        assert page.xpath("//style | //script[not(@src)] | //@style | //iframe | //base") == []
        assert page.xpath("//@*[starts-with(name(), 'on')]") == []
        for address in page.xpath("//@href | //@src | //@action"):
            assert urljoin(str(answer.url), address).startswith(f"{world.ISSUER}/")
        assert page.xpath("//*[@checked or @selected]") == []


async def test_every_page_has_the_same_headers_and_is_in_no_frame(world):
    for page, answer in await every_page(world):
        assert {name: answer.headers[name] for name in FIXED} == FIXED
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert ("script-src" in policy) == bool(page.xpath("//script"))
        outside = re.findall(r"https?://[^\s;]+", policy)
        assert outside == (
            ["https://app.example"] if "page-consent" in page.xpath("//body/@id") else []
        )


async def test_pictograms_are_all_there_and_have_nothing_inline(world):
    answer = await world.http.get("/oauth/pictograms.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert not re.search(r"<script|<style|style=|\son\w+=|href=|<foreignObject", answer.text)
    drawn = set(re.findall(r'symbol id="(\w+)"', answer.text))
    asked = {
        address.partition("#")[2]
        for page, _ in await every_page(world)
        for address in page.xpath("//use/@href")
    }
    assert asked <= drawn
    assert {*CATEGORIES, "everything", "other", "app"} <= drawn


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_browser_checks_a_form_in_words_of_its_own(path):
    """What a browser says of `required` is in its own language and words, not in ours."""
    text = path.read_text()
    assert not re.search(r"\s(required|pattern|minlength|min|max)\b(?!=\")|\spattern=", text)
    assert not re.search(r'type="(email|url|number|date|tel)"', text)


def test_the_stylesheet_knows_other_ways_of_looking_and_moves_nothing():
    style = (TEMPLATES / "style.css").read_text()
    for way in ("prefers-color-scheme: dark", "forced-colors: active", "@media print"):
        assert way in style
    assert not re.search(r"animation|transition|scroll-behavior|@import|url\(", style)
    assert re.search(r":focus-visible \{ outline: [3-9]px solid", style)
    assert not re.search(r"(?<!main:focus \{ )outline: none", style)


@pytest.mark.parametrize("tongue", TONGUES)
async def test_a_language_is_chosen_by_a_link_and_kept(world, tongue):
    page = html.fromstring((await world.ask()).text)
    links = {a for a in page.xpath("//nav//@href") if a.endswith(f"taal={tongue}")}
    here = page.xpath("//nav//@href")[0].rpartition("=")[0]
    address = urljoin("/oauth/authorize", links.pop() if links else f"{here}={tongue}")
    answer = await world.http.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-language"] == tongue[:2]
    kept = next(v for v in answer.headers.get_list("set-cookie") if "pgo-taal" in v)
    assert f"__Host-pgo-taal={tongue};" in kept
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(kept.split("; "))
    later = await world.http.get("/oauth/error?soort=stale")
    assert later.headers["content-language"] == tongue[:2]
    easy = "Makkelijke woorden" in later.text or "Easy words" in later.text
    assert easy == (not tongue.endswith("eenvoudig"))


async def test_an_app_may_ask_for_a_language_and_the_person_decides(world):
    asked = await world.ask(ui_locales="fr en nl")
    assert "How do you want to sign in?" in asked.text
    assert "Max-Age=600" in next(v for v in asked.headers.get_list("set-cookie") if "taal" in v)
    await world.http.get("/oauth/error?soort=ours&taal=nl")
    assert "Hoe wilt u inloggen?" in (await world.ask(ui_locales="en")).text


async def test_a_browser_may_ask_for_a_language(world):
    pages = await every_page(world, **{"accept-language": "de,en-GB;q=0.8"})
    assert {answer.headers["content-language"] for _, answer in pages} == {"en"}


@pytest.mark.parametrize("value", ["xx", "nl%22%3E%3Cb%3E", "nl&taal=en", "", "//evil.example"])
async def test_a_strange_language_is_no_language(world, value):
    answer = await world.http.get(f"/oauth/error?soort=stale&taal={value}")
    assert answer.status_code == 200
    assert "<b>" not in answer.text
    assert "evil" not in answer.text.partition("<main")[2]
    assert all(
        link.startswith(("?", "../oauth/error?"))
        for link in html.fromstring(answer.text).xpath("//nav//@href")
    )


async def test_two_dossiers_of_one_name_do_not_look_alike(world):
    world.dossiers["mia"] = [
        *(("a1", "Bram", False, "1960"), ("b2", "Bram", False, "2009"), ("mia0", "Mia", True)),
    ]
    page = await world.ask()
    onward = await world.http.post("/oauth/sign-in", data=world.hidden(page) | {"persoon": "mia|"})
    chooser = await world.http.get(f"/oauth/{onward.headers['location']}")
    named = [
        one.strip() for one in html.fromstring(chooser.text).xpath("//a[@class='card']//text()")
    ]
    assert [one for one in named if one] == [
        "Dossier: Bram (geboren in 1960)",
        "Dossier: Bram (geboren in 2009)",
        "Dossier: Mia (uw eigen dossier)",
    ]
    page = await world.http.get(f"/oauth/{onward.headers['location']}&dossier=b2")
    assert "Bram (geboren in 2009)" in page.text
    assert "1960" not in page.text
    await world.redeem(world.told(await world.decide(page, dossier="b2"))["code"])
    assert "Bram (geboren in 2009)" in (await world.http.get("/mijn/apps")).text


ERRORS = {
    "/oauth/authorize?client_id=nobody": (
        400,
        "Wij kennen deze app niet",
        "invalid_request client_id",
    ),
    "/oauth/consent?flow=x": (403, "Deze pagina is te oud", "access_denied"),
    "/oauth/sign-in?flow=x": (403, "Deze pagina is te oud", ""),
    "/oauth/sign-in?next=x": (404, "Deze pagina is er niet", ""),
    "/oauth/back-good?code=x": (403, "Deze pagina is te oud", ""),
    "/oauth/role?flow=a&flow=b": (403, "Deze pagina is te oud", ""),
    "/oauth/error?soort=x": (404, "Deze pagina is er niet", ""),
    "/oauth/error?soort=stale&van=x": (404, "Deze pagina is er niet", ""),
}


@pytest.mark.parametrize("path", ERRORS)
async def test_a_page_of_an_error_says_where_to_go_on_and_only_a_code_to_makers(world, path):
    status, text, code = ERRORS[path]
    answer = await world.http.get(path)
    page = html.fromstring(answer.text)
    assert answer.status_code == status
    assert text in answer.text
    assert page.xpath("//code/text()") == ([code] if code else [])
    home = bool(page.xpath("//main//a[substring(@href, string-length(@href) - 3) = 'mijn']"))
    if path.startswith(("/oauth/authorize", "/oauth/consent")):
        assert "Ga terug naar de app" in answer.text
        assert not home
    else:
        assert home
        assert ("Kwam u van een app?" in answer.text) == ("error?" not in path)


@pytest.mark.parametrize("path", ["/mijn/apps/stoppen", "/oauth/sign-out"])
async def test_on_a_page_of_ones_own_nothing_is_said_about_an_app(world, path):
    await world.to_consent()
    answer = await world.http.post(path, data={"form": "x"})
    assert answer.status_code == 403
    assert "Deze pagina is te oud" in answer.text
    assert "Ga terug naar de app" not in answer.text
    assert "Kwam u van een app" not in answer.text
    link = html.fromstring(answer.text).xpath("//main//a/@href")
    assert [urljoin(str(answer.url), one) for one in link] == [f"{world.ISSUER}/mijn"]


async def test_an_error_keeps_what_it_is_about_in_another_language(world):
    answer = await world.http.get("/oauth/authorize?client_id=nobody")
    link = html.fromstring(answer.text).xpath("//nav//a[@lang='en']/@href")[0]
    other = await world.http.get(urljoin("/oauth/authorize", link))
    assert "We do not know this app" in other.text
    assert "Go back to the app" in other.text


@pytest.mark.parametrize(
    ("seconds", "told"), [("1", "een minuut"), ("60", "een minuut"), ("61", "2 minuten")]
)
async def test_who_tries_too_often_is_told_how_long_to_wait(world, seconds, told):
    answer = Look().error(TooMany("x", headers={"Retry-After": seconds}))
    assert answer.headers["retry-after"] == seconds
    assert f"Wacht {told}. Probeer het dan opnieuw." in answer.body.decode()


@pytest.mark.parametrize("place", ["pgo.oauth.pages.asked", "pgo.oauth.mine.Permitted.of"])
async def test_a_crash_is_a_page_too_and_says_nothing_of_what_happened(world, monkeypatch, place):
    await world.to_consent()

    def crash(*_):
        raise ZeroDivisionError("Kanarie")

    monkeypatch.setattr(place, crash)
    world.http.event_hooks = {}
    answer = await (world.ask() if "pages" in place else world.http.get("/mijn/apps"))
    assert answer.status_code == 500
    assert "Er ging iets mis bij ons" in answer.text
    assert "Kanarie" not in answer.text
    assert world.lines[-1][1]["detail"] == "server_error"


async def test_parts_of_everything_may_be_given_instead(world):
    page = await world.to_consent(scope="launch/patient patient/*.rs")
    form = world.hidden(page) | {"besluit": "ja", "deel-0-plan": "ja", "deel-0-person": "ja"}
    answer = await world.http.post("/oauth/consent", data=form)
    token = (await world.redeem(world.told(answer)["code"])).json()
    assert token["scope"].split() == [
        *("patient/Patient.rs", "patient/CarePlan.rs", "patient/Goal.rs", "launch/patient"),
    ]


@pytest.mark.parametrize(
    "name", ["deel-0-nothing", "deel-1-plan", "deel-0", "recht-9", "recht-0-x"]
)
async def test_what_was_not_offered_cannot_be_ticked(world, name):
    page = await world.to_consent(scope="launch/patient patient/*.rs")
    form = world.hidden(page) | {"besluit": "ja", name: "ja"}
    assert (await world.http.post("/oauth/consent", data=form)).status_code == 400


async def test_what_was_ticked_stays_ticked_when_something_is_missing(world):
    page = await world.to_consent()
    form = world.hidden(page) | {"besluit": "ja", "recht-0": "ja", "dossier": "frits"}
    again = await world.http.post("/oauth/consent", data=form)
    assert again.status_code == 400
    page = html.fromstring(again.text)
    assert page.xpath("//input[@checked]/@name") == ["recht-0"]
    assert page.xpath("//*[@role='alert']//a/@href") == ["#which"]
    assert page.xpath("//title/text()")[0].startswith("Fout: ")
    assert page.xpath("//*[@role='alert']/@autofocus")


async def test_a_question_that_waited_too_long_ends_on_a_page(world):
    asked, page = await world.ask(), await world.to_consent()
    world.clock.later(seconds=LIVES + 1)
    answers = [
        await world.http.get(page.url),
        await world.decide(page),
        await world.http.post("/oauth/sign-in", data=world.hidden(asked) | {"persoon": "mia|"}),
    ]
    for answer in answers:
        assert answer.status_code == 403
        assert "Deze pagina is te oud" in answer.text
        assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["style.css", "pictograms.svg"])
async def test_files_of_pages_may_be_kept_but_do_nothing(world, path):
    answer = await world.http.get(f"/oauth/{path}")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/mijn/x", "/mijn/", "/oauth/x", "/oauth/to-", "/oauth/"])
async def test_an_address_that_is_not_there_is_a_page_for_a_browser_and_an_error_for_an_app(
    world, path
):
    page = await world.http.get(path, headers={"accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 404
    assert "Deze pagina is er niet" in page.text
    assert {name: page.headers[name] for name in FIXED} == FIXED
    link = html.fromstring(page.text).xpath("//main//a/@href")
    assert urljoin(str(page.url), link[0]) == f"{world.ISSUER}/mijn"
    plain = await world.http.get(path)
    assert plain.status_code == 404
    assert "json" in plain.headers["content-type"]


async def test_nobody_is_sent_to_an_address_made_of_the_name_in_the_request(world):
    for path in ("/mijn/", "/oauth/sign-in/", "//evil.test/mijn", "/mijn/apps/"):
        answer = await world.http.get(f"{world.ISSUER}{path}", headers={"host": "evil.test"})
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/consent", "/mijn", "/mijn/apps"])
async def test_other_methods_change_nothing_and_show_nothing(world, method, path):
    answer = await world.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"].startswith("GET, HEAD, OPTIONS")
    assert "set-cookie" not in answer.headers
    assert world.lines == []


@pytest.mark.parametrize("route", [one for one in PAGED if one.startswith("GET")])
async def test_head_is_get_without_its_body(world, route):
    path = route.partition(" ")[2].replace("{provider_name}", "good")
    answers = [await world.http.request(method, path) for method in ("GET", "HEAD")]
    get, head = answers
    assert head.status_code == get.status_code
    assert head.content == b""
    told = [{k: v for k, v in one.headers.items() if k not in CHANGING} for one in answers]
    assert told[0] == told[1]
    assert ("set-cookie" in head.headers) == ("set-cookie" in get.headers)


async def test_options_tells_what_there_is_to_do_and_does_nothing(world):
    for path, methods in (
        ("/oauth/consent", "GET, HEAD, OPTIONS, POST"),
        ("/oauth/authorize", "GET, HEAD, OPTIONS"),
        ("/oauth/recovery", "OPTIONS, POST"),
        ("/mijn/apps", "GET, HEAD, OPTIONS"),
        ("/oauth/to-good", "GET, HEAD, OPTIONS"),
    ):
        answer = await world.http.options(path, headers={"origin": "https://app.example"})
        assert answer.status_code == 204
        assert answer.headers["allow"] == methods
        assert answer.content == b""
        assert not {"set-cookie", "access-control-allow-origin"} & answer.headers.keys()
    assert (await world.http.options("/oauth/nothing")).status_code == 404
    assert world.lines == []


async def test_a_form_that_is_not_decided_here_is_refused_on_a_page(world):
    page = await world.to_consent()
    mine = world.hidden(page)
    world.http.cookies.clear()
    await world.to_consent()
    for form in (mine, mine | {"form": "x" * 64}, {"flow": "x" * 43}, {}):
        answer = await world.http.post(
            "/oauth/consent", data=form | {"besluit": "ja", "recht-0": "ja"}
        )
        assert answer.status_code == 403
        assert "Deze pagina is te oud" in answer.text
        assert "location" not in answer.headers
