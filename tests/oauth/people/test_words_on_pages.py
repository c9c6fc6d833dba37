"""Every sentence a person can see comes from the catalogue; the rest are names, days and codes."""

from __future__ import annotations

import re

import pytest
from lxml import html

from pgo.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Incident,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)
from pgo.oauth import texts
from pgo.oauth.look import PLACES, SHOWN, Look
from pgo.oauth.texts import TONGUES

OPENED, CLOSED = "⟦", "⟧"
IN_PIECES = "site.months"
"""A text that is used a word at a time."""
NAMES = {
    *("Mia", "Bram", "Lara", "Kim", "De", "Tweede", "Coöp", "Hulp", "Gezins", "app", "Good"),
    *("Mijn", "telefoon", "Other", "Silent", "Redirecting", "Lying", "Elsewhere", "Huge"),
    *("Noniss", "Plain", "Tom"),
}
ERRORS = (
    BadRequest("Bad.", place="client_id"), BadRequest("Bad.", place="redirect_uri"),
    BadRequest("Bad."), Conflict("Busy."), Forbidden("No."), Incident("Oh."), NotFound("Gone."),
    TooLarge("Big."), TooMany("Often.", headers={"Retry-After": "700"}), Unavailable("Later."),
    UnsupportedMedia("Odd."),
)  # fmt: skip


@pytest.fixture
def marked(monkeypatch):
    """Every text of the catalogue stands between marks from here on."""
    told = {
        key: rows if key == IN_PIECES else tuple(f"{OPENED}{text}{CLOSED}" for text in rows)
        for key, rows in texts.catalogue().items()
    }
    monkeypatch.setattr(texts, "catalogue", lambda: told)
    return told


def outside(text: str) -> str:
    """What is not between marks; marks may stand within marks."""
    while (shorter := re.sub(f"{OPENED}[^{OPENED}{CLOSED}]*{CLOSED}", " ", text)) != text:
        text = shorter
    return text


def strange(page: str) -> set[str]:
    """Words on a page that are neither from the catalogue nor names."""
    tree = html.fromstring(page)
    for code in tree.xpath("//code | //script"):
        code.text = ""
    shown = tree.xpath("//title/text() | //body//text()")
    shown += tree.xpath("//@aria-label | //@title | //@alt | //@placeholder")
    months = {month for row in texts.catalogue()[IN_PIECES] for month in row.split()}
    words = {word for one in shown for word in re.findall(r"[^\W\d_]{2,}", outside(str(one)))}
    return words - NAMES - months


def test_the_test_would_see_a_sentence_of_its_own(marked):
    page = f"<title>{OPENED}Goed{CLOSED}</title><p>{OPENED}a {OPENED}b{CLOSED}{CLOSED} Fout!</p>"
    assert strange(page) == {"Fout"}
    assert strange(f"<title>x</title><p aria-label='Stop it'>{OPENED}b{CLOSED}</p>") == {
        "Stop",
        "it",
    }


async def pages_of(people, device) -> dict[str, str]:
    """Every page there is, by name."""
    visitor, world = await people.signed_in(), people.world
    get = visitor.http.get
    found = {"sessions": await get("/oauth/sessions"), "home": await get("/mijn")}
    await visitor.add_key(device())
    found["passkeys"] = await get("/oauth/passkeys")
    found["recovery"] = await visitor.post("recovery", found["passkeys"])
    onward = await visitor.ask()
    found["dossier"] = await visitor.follow(onward)
    found["consent"] = await get(f"/oauth/{onward.headers['location']}&dossier=bram")
    found["nothing ticked"] = await visitor.post("consent", found["consent"], besluit="ja")
    ticks = dict.fromkeys(re.findall(r'name="(recht-\d+)"', found["consent"].text), "ja")
    code = await visitor.post("consent", found["consent"], besluit="ja", **ticks)
    assert (await world.redeem(world.told(code)["code"])).status_code == 200
    found["apps"] = await get("/mijn/apps")
    found["stopped app"] = await visitor.http.post(
        "/mijn/apps/stoppen",
        data=world.hidden(found["apps"]) | {"app": "app"},
        follow_redirects=True,
    )
    found["signed out"] = await visitor.post("sign-out", found["home"], waar="hier")
    return found | await on_the_way(people)


async def on_the_way(people) -> dict[str, str]:
    """The pages before somebody is known."""
    visitor = people.visitor()
    choice = await visitor.ask()
    flow = visitor.flow_in(choice)
    found = {"sign-in": choice, "passkey": await visitor.http.get(f"/oauth/passkey?flow={flow}")}
    found["no proof"] = await visitor.post("passkey", found["passkey"], credential="x")
    found["recover"] = await visitor.http.get(f"/oauth/recover?flow={flow}")
    found["wrong code"] = await visitor.post("recover", found["recover"], code="x")
    found["later"] = await visitor.away(choice, "lying")
    found["stopped"] = await visitor.sign_in(choice, mode="error-access_denied")
    found["link"] = await visitor.follow(await visitor.sign_in(choice, sub="pseudo-x"))
    found["wrong link"] = await visitor.post("link", found["link"], code="x")
    return found


@pytest.mark.parametrize("tongue", TONGUES)
async def test_every_page_says_what_stands_in_the_catalogue(people, device, marked, tongue):
    make = people.visitor

    def speaking():
        visitor = make()
        visitor.http.cookies.set("__Host-pgo-taal", tongue, domain="pgo.example")
        return visitor

    people.visitor = speaking
    for name, answer in (await pages_of(people, device)).items():
        assert OPENED in answer.text, name
        assert strange(answer.text) == set(), name


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: f"{one.status}{one.place}")
def test_a_page_of_an_error_says_what_stands_in_the_catalogue(marked, error):
    page = Look().error(error).body.decode()
    assert error.detail not in page
    assert strange(page) == set()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", sorted(SHOWN))
def test_so_does_every_fault_anywhere(marked, fault, place):
    assert strange(Look().fault(fault, None, place, code="x", wait="9").body.decode()) == set()
