"""Sessions, and the way from an app's question to the same question after signing in."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from pgo.errors import Conflict
from pgo.registry import Account, Organisation


async def test_the_cookie_of_a_session_is_for_this_host_over_tls_and_for_no_script(people):
    visitor = people.visitor()
    page = await visitor.http.get("/oauth/sign-in?next=sessions")
    answer = await visitor.sign_in(page)
    page = await visitor.follow(answer)
    answer = await visitor.post("link", page, code=await people.code_for("mia"))
    cookie = next(
        one for one in answer.headers.get_list("set-cookie")
        if one.startswith("__Host-pgo-session=") and "Max-Age=0" not in one
    )  # fmt: skip
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


async def test_only_the_hash_of_a_cookie_is_kept(people, tmp_path):
    visitor = await people.signed_in()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert visitor.session.encode() not in kept
    assert b"pseudo-mia" not in kept


async def test_who_is_signed_in_goes_straight_to_the_decision(people):
    visitor = await people.signed_in()
    answer = await visitor.ask()
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("consent?flow=")
    assert "Mia" in (await visitor.follow(answer)).text


async def test_each_sign_in_gives_a_new_cookie_and_the_old_one_is_over(people):
    visitor = await people.signed_in()
    old, session = visitor.session, await people.session_of(visitor)
    page = await visitor.http.get("/oauth/sign-in?next=passkeys")
    people.world.clock.later(seconds=1)
    page = await visitor.ask(prompt="login")
    assert (await visitor.sign_in(page)).status_code == 303
    assert visitor.session != old
    assert (await people.session_of(visitor)).id != session.id
    stale = people.visitor()
    stale.http.cookies.set("__Host-pgo-session", old)
    assert await people.session_of(stale) is None


async def test_a_cookie_somebody_made_up_becomes_nobodys_session(people):
    """Session fixation: a browser comes with the attacker's cookie, and gets another."""
    await people.signed_in()
    victim = people.visitor()
    victim.http.cookies.set("__Host-pgo-session", "f" * 43)
    await victim.sign_in()
    cookies = [one.value for one in victim.http.cookies.jar if one.name == "__Host-pgo-session"]
    assert len(set(cookies) - {"f" * 43}) == 1
    thief = people.visitor()
    thief.http.cookies.set("__Host-pgo-session", "f" * 43)
    assert await people.session_of(thief) is None


async def test_a_session_nobody_uses_is_over(people):
    visitor = await people.signed_in()
    for _ in range(3):
        people.world.clock.later(minutes=14)
        assert (await visitor.http.get("/oauth/sessions")).status_code == 200
    people.world.clock.later(minutes=15)
    assert (await visitor.http.get("/oauth/sessions")).status_code == 303


async def test_a_session_is_over_in_the_end_however_it_is_used(people):
    visitor = await people.signed_in()
    for _ in range(48):
        people.world.clock.later(minutes=10)
        last = await visitor.http.get("/oauth/sessions")
    assert last.status_code == 303


async def test_signing_out_ends_the_session_here_only(people):
    one, other = await people.signed_in(), await people.signed_in()
    page = await one.http.get("/oauth/sessions")
    old = one.session
    out = await one.post("sign-out", page, waar="hier")
    assert "U bent uitgelogd" in out.text
    assert one.session == ""
    one.http.cookies.set("__Host-pgo-session", old)
    assert (await one.http.get("/oauth/sessions")).status_code == 303
    assert (await other.http.get("/oauth/sessions")).status_code == 200


@pytest.mark.parametrize("ends_apps", [True, False])
async def test_signing_out_everywhere_ends_all_sessions_and_what_apps_hold_as_configured(
    people, ends_apps
):
    people.ways = replace(people.ways, ends_apps=ends_apps)
    one, other = await people.signed_in(), await people.signed_in()
    location = (await one.ask()).headers["location"]
    page = await one.http.get(f"/oauth/{location}&dossier=bram")
    tokens = await token(people, one, page)
    page = await one.http.get("/oauth/sessions")
    assert page.text.count('name="sessie"') == 1
    await one.post("sign-out", page, waar="overal")
    assert (await other.http.get("/oauth/sessions")).status_code == 303
    assert await people.world.works(tokens["access_token"]) is not ends_apps
    again = await people.world.refresh(tokens["refresh_token"])
    assert again.status_code == (400 if ends_apps else 200)


async def token(people, visitor, page) -> dict:
    boxes = dict.fromkeys(re.findall(r'name="(recht-[\d.]+)"', page.text), "ja")
    form = people.world.hidden(page) | {"besluit": "ja", "dossier": "bram"} | boxes
    answer = await visitor.http.post("/oauth/consent", data=form)
    assert "code" in people.world.told(answer), answer.text
    redeemed = await people.world.redeem(people.world.told(answer)["code"])
    assert redeemed.status_code == 200, redeemed.text
    return redeemed.json()


async def test_one_session_elsewhere_is_ended_and_never_that_of_another(people):
    one, other, tom = [await people.signed_in(who) for who in ("mia", "mia", "tom")]
    theirs = (await people.session_of(tom)).id
    page = await one.http.get("/oauth/sessions")
    await one.post("sessions", page, sessie=theirs)
    assert await people.session_of(tom) is not None
    await one.post("sessions", page, sessie=(await people.session_of(other)).id)
    assert await people.session_of(other) is None
    assert await people.session_of(one) is not None


async def test_an_operator_who_ends_the_tokens_of_an_account_ends_its_sessions(people):
    visitor = await people.signed_in()
    await people.world.registry.end_tokens_of_person("mia")
    assert await people.session_of(visitor) is None


async def test_a_session_does_not_come_back_when_it_is_used_while_it_is_ended(people):
    visitor = await people.signed_in()
    people.world.clock.later(minutes=2)
    page = await visitor.http.get("/oauth/sessions")
    people.world.clock.later(minutes=2)
    await asyncio.gather(
        visitor.post("sign-out", page, waar="overal"),
        *(visitor.http.get("/oauth/sessions") for _ in range(6)),
    )
    assert (await visitor.http.get("/oauth/sessions")).status_code == 303


async def test_sign_ins_at_the_same_moment_are_all_listed(people):
    await people.signed_in()
    await asyncio.gather(*(people.signed_in() for _ in range(5)))
    assert len((await people.means.of("mia")).sessions) == 6


async def to_consent(visitor):
    onward = await visitor.ask()
    return await visitor.http.get(f"/oauth/{onward.headers['location']}&dossier=bram")


@pytest.mark.parametrize("how", ["hier", "overal", "elsewhere"])
async def test_signing_out_ends_what_waits_for_a_decision_as_well(people, how):
    """Who comes after on a shared computer decides nothing for who sat there before."""
    visitor = await people.signed_in()
    page = await to_consent(visitor)
    assert page.status_code == 200
    if how == "elsewhere":
        other, mine = await people.signed_in(), (await people.session_of(visitor)).id
        await other.post("sessions", await other.http.get("/oauth/sessions"), sessie=mine)
    else:
        await sign_out(visitor, how)
    late = await visitor.post("consent", page, besluit="ja", **{"recht-0": "ja", "dossier": "bram"})
    assert late.status_code == 403
    assert "Deze pagina is te oud" in late.text
    assert "location" not in late.headers
    assert (await visitor.http.get(str(page.url))).status_code == 403


async def test_who_reads_slowly_decides_after_the_session_here_fell_asleep(people):
    visitor = await people.signed_in()
    page = await to_consent(visitor)
    people.world.clock.later(minutes=25)
    assert (await visitor.http.get("/oauth/sessions")).status_code == 303
    form = {"recht-0": "ja", "dossier": "bram"}
    answer = await visitor.post("consent", page, besluit="ja", **form)
    assert "code" in people.world.told(answer)


# --- signing out at the provider too -------------------------------------------------------------


async def sign_out(visitor, where="hier"):
    return await visitor.post("sign-out", await visitor.http.get("/oauth/sessions"), waar=where)


@pytest.mark.parametrize("where", ["hier", "overal"])
async def test_who_signs_out_here_is_shown_the_way_to_sign_out_at_the_provider(people, where):
    out = await sign_out(await people.signed_in(), where)
    link = html.unescape(re.search(r'href="(http[^"]*)"', out.text)[1])
    parts, asked = urlsplit(link), parse_qs(urlsplit(link).query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{people.provider}/good/end"
    back = f"{people.world.ISSUER}/oauth/out-good"
    assert asked == {"x": ["1"], "client_id": ["pgo"], "post_logout_redirect_uri": [back]}
    assert "Ook uitloggen bij Good" in out.text


@pytest.mark.parametrize("where", ["hier", "overal"])
async def test_whoever_signs_out_is_out_even_when_that_cannot_be_written_down(people, where):
    visitor = await people.signed_in()
    page = await visitor.http.get("/oauth/sessions")
    people.world.pen_broken = True
    assert (await visitor.post("sign-out", page, waar=where)).status_code == 503
    assert await people.session_of(visitor) is None


async def test_whoever_signs_out_is_out_whatever_the_provider_does(people, monkeypatch):
    visitor = await people.signed_in()

    async def crash(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("pgo.oauth.providers.Provider.way_out", crash)
    visitor.http.event_hooks = {}
    assert (await sign_out(visitor)).status_code == 500
    assert await people.session_of(visitor) is None


@pytest.mark.parametrize("name", ["plain", "noniss"])
async def test_a_provider_without_a_way_out_or_with_a_strange_one_gets_no_link(people, name):
    out = await sign_out(await people.signed_in(name=name))
    assert "U bent uitgelogd" in out.text
    assert "misschien nog ingelogd" not in out.text
    assert "http" not in out.text.partition("<main")[2]


@pytest.mark.parametrize("name", ["good", "plain"])
async def test_the_page_after_signing_out_says_the_same_in_another_language(people, name):
    visitor = await people.signed_in(name=name)
    out = await sign_out(visitor)
    link = html.unescape(re.search(r'href="([^"]*taal=en)"', out.text)[1])
    page = await visitor.http.get(f"/oauth/{link}")
    assert "You are signed out" in page.text
    assert ("/good/end?" in page.text) is (name == "good")
    assert way_out_of(page) == way_out_of(out)
    assert "Makkelijke woorden" in (await there(visitor, page, "nl")).text


def way_out_of(page) -> list[str]:
    return re.findall(r'href="(http[^"]*)"', page.text)


async def there(visitor, page, tongue):
    link = html.unescape(re.search(rf'href="([^"]*taal={tongue})"', page.text)[1])
    return await visitor.http.get(f"{page.url.path}{link}" if link[0] == "?" else f"/oauth/{link}")


@pytest.mark.parametrize("named", ["", "nobody", "https://evil.test", "Good", "../good"])
async def test_that_page_leads_to_no_address_from_a_query(people, named):
    page = await people.visitor().http.get(f"/oauth/signed-out?bij={named}")
    assert page.status_code == 200
    assert "evil" not in page.text
    assert way_out_of(page) == []


async def test_who_is_still_signed_in_is_not_told_that_he_is_out(people):
    visitor = await people.signed_in()
    answer = await visitor.http.get("/oauth/signed-out?bij=good")
    assert answer.headers["location"] == "sessions"


async def test_the_page_after_signing_out_is_counted_by_network(people):
    counted = []
    people.more = {"count": lambda limit, who: counted.append((limit, who))}
    await people.visitor().http.get("/oauth/signed-out?bij=good")
    assert counted == [("sign-in-begun", "192.0.2.0/24")]


async def test_who_comes_back_from_there_sees_that_he_is_out(people):
    visitor = await people.signed_in()
    answer = await visitor.http.get("/oauth/out-good?state=x")
    assert answer.headers["location"] == "sessions"
    await sign_out(visitor)
    assert "U bent uitgelogd" in (await visitor.http.get("/oauth/out-good?state=x")).text
    assert (await visitor.http.get("/oauth/out-nobody")).status_code == 404


async def test_after_signing_out_the_provider_is_asked_for_a_fresh_sign_in(people):
    """On a shared computer nobody gets in with what the one before left at the provider."""
    visitor = await people.signed_in()
    await sign_out(visitor)
    people.world.clock.later(minutes=3)
    page = await visitor.ask()
    away = await visitor.away(page)
    assert "max_age=0" in away.headers["location"]
    assert "prompt=login" in away.headers["location"]
    stale = await visitor.back(await visitor.at_provider(away))
    assert stale.status_code == 403
    assert people.details[-1] == "good:id-token-auth_time"
    people.world.clock.now = datetime.now(UTC)
    assert (await visitor.sign_in(page)).status_code == 303
    assert not await signed_out_before(people, visitor)


async def signed_out_before(people, visitor) -> bool:
    """Whether the next sign-in of this browser must be a fresh one."""
    away = await visitor.away(await visitor.ask(max_age="900", prompt="login"))
    assert away.status_code == 303
    return "__Host-pgo-left" in visitor.cookies()


# --- levels --------------------------------------------------------------------------------------


async def test_an_app_that_asks_for_a_higher_level_gets_a_stronger_sign_in(people):
    await people.world.registry.change(Account, "mia", lambda one: replace(one, loa="hoog"))
    visitor = await people.signed_in(acr="urn:midden")
    old = visitor.session
    page = await visitor.ask(acr_values="http://eidas.europa.eu/LoA/high")
    assert page.status_code == 200
    assert "Verder als" not in page.text
    assert "passkey?" not in page.text
    refused = await visitor.sign_in(page, acr="urn:midden")
    assert refused.status_code == 403
    assert people.details[-1] == "good:level"
    answer = await visitor.sign_in(page, acr="urn:hoog")
    assert answer.headers["location"].startswith("consent")
    assert (await people.session_of(visitor)).level == "hoog"
    assert visitor.session != old


async def test_an_account_that_cannot_reach_the_level_does_not_reach_it(people):
    visitor = await people.signed_in()
    page = await visitor.ask(acr_values="hoog")
    answer = await visitor.sign_in(page, acr="urn:hoog")
    assert answer.status_code == 403
    assert "sterkere manier" in answer.text


async def test_what_changes_things_may_need_a_higher_level_than_reading(people):
    people.ways = replace(people.ways, least_write="substantieel")
    visitor = await people.signed_in(acr="urn:laag")
    assert (await visitor.ask()).status_code == 303
    page = await visitor.ask(scope="launch/patient patient/Observation.c")
    assert page.status_code == 200
    assert "Verder als" not in page.text


async def test_max_age_and_prompt_login_ask_for_a_fresh_sign_in(people):
    visitor = await people.signed_in()
    people.world.clock.later(minutes=5)
    assert (await visitor.ask(max_age="600")).status_code == 303
    assert (await visitor.ask(max_age="60")).status_code == 200
    page = await visitor.ask(prompt="login")
    assert page.status_code == 200
    away = await visitor.away(page)
    assert "max_age=0" in away.headers["location"]
    assert "prompt=login" in away.headers["location"]


# --- whose pseudonym -----------------------------------------------------------------------------


async def test_a_pseudonym_of_nobody_asks_for_a_code_and_nothing_else(people):
    await people.world.registry.keep_account(Account("p1", "Mia Kanarie"))
    visitor = people.visitor()
    answer = await visitor.sign_in(mode="bsn-claims")
    assert answer.headers["location"].startswith("link?flow=")
    page = await visitor.follow(answer)
    assert "Kanarie" not in page.text
    assert visitor.session == ""
    wrong = await visitor.post("link", page, code="f" * 32)
    assert wrong.status_code == 400
    answer = await visitor.post("link", wrong, code=await people.code_for("tom"))
    assert answer.headers["location"].startswith("consent")
    assert "Tom" in (await visitor.follow(answer)).text
    assert (await people.visitor().sign_in()).headers["location"].startswith("consent")


async def test_an_operators_code_links_one_pseudonym(people):
    code, visitors = await people.code_for("tom"), []
    for n in range(3):
        visitor = people.visitor()
        page = await visitor.follow(await visitor.sign_in(sub=f"pseudo-{n}"))
        visitors.append((visitor, page))
    answers = await asyncio.gather(
        *(visitor.post("link", page, code=code) for visitor, page in visitors)
    )
    assert sorted(one.status_code for one in answers) == [303, 400, 400]


async def test_a_pseudonym_is_never_linked_twice(people):
    one, two = people.visitor(), people.visitor()
    pages = [await each.follow(await each.sign_in()) for each in (one, two)]
    assert (await one.post("link", pages[0], code=await people.code_for("mia"))).status_code == 303
    late = await two.post("link", pages[1], code=await people.code_for("tom"))
    assert late.status_code == Conflict.status


async def test_the_page_for_a_code_belongs_to_who_signed_in(people):
    visitor = people.visitor()
    page = await visitor.ask()
    answer = await visitor.post("link", await fake(people, visitor, page), code="x" * 32)
    assert answer.status_code == 403


async def fake(people, visitor, page):
    """A form of a step nobody signed in at."""
    flow = visitor.flow_in(page)
    return await visitor.http.get(f"/oauth/recover?flow={flow}")


# --- roles, and pages of our own -----------------------------------------------------------------


async def test_who_works_for_two_organisations_says_for_which_one(people):
    registry = people.world.registry
    await registry.keep_organisation(Organisation("tweede", "De Tweede"))
    both = ("coophulp", "tweede")
    await registry.change(Account, "kim", lambda one: replace(one, orgs=both))
    await people.signed_in("kim")
    visitor = people.visitor()
    answer = await visitor.sign_in(sub="pseudo-kim")
    assert answer.headers["location"].startswith("role?flow=")
    page = await visitor.follow(answer)
    assert "De Tweede" in page.text
    assert (await visitor.post("role", page, org="delinde")).status_code == 403
    page = await visitor.follow(await visitor.ask())
    answer = await visitor.post("role", page, org="tweede")
    assert answer.headers["location"].startswith("consent")


@pytest.mark.parametrize("goal", ["https://evil.test", "//evil.test", "consent", "../x", ""])
async def test_a_sign_in_leads_to_pages_of_our_own_only(people, goal):
    answer = await people.visitor().http.get("/oauth/sign-in", params={"next": goal})
    assert answer.status_code == 404


async def test_two_apps_may_ask_at_the_same_time_in_one_browser(people):
    await people.signed_in()
    visitor = people.visitor()
    first, second = await visitor.ask(), await visitor.ask(state="t" * 32)
    one = await visitor.sign_in(first)
    page = await visitor.http.get(f"/oauth/sign-in?flow={visitor.flow_in(second)}")
    assert "Verder als Mia" in page.text
    two = await visitor.post("sign-in", page, verder="ja")
    assert one.headers["location"] != two.headers["location"]


async def test_a_pending_request_belongs_to_its_browser(people):
    one, other = people.visitor(), people.visitor()
    page = await one.ask()
    flow = one.flow_in(page)
    for path in ("sign-in", "to-good", "passkey", "recover", "link", "role", "consent"):
        assert (await other.http.get(f"/oauth/{path}?flow={flow}")).status_code == 403


async def test_the_development_page_is_there_only_when_it_is_configured(people):
    page = await people.visitor().ask()
    assert 'name="persoon"' not in page.text
    visitor = await people.signed_in()
    page = await visitor.ask(prompt="login")
    page = await visitor.http.get(f"/oauth/recover?flow={visitor.flow_in(page)}")
    assert (await visitor.post("sign-in", page, persoon="mia|")).status_code == 403
