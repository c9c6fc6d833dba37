"""Looking back on one's apps, and taking access away."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

import pytest

from pgo.oauth.permitted import MOST, REMEMBERED, Permitted
from pgo.registry import Account, App


async def stop(world, app="app", **changes):
    page = await world.http.get("/mijn/apps")
    form = world.hidden(page) | {"app": app} | changes
    return await world.http.post("/mijn/apps/stoppen", data=form)


async def test_a_person_sees_which_app_may_do_what_since_when(world):
    await world.token(dossier="lara")
    page = (await world.http.get("/mijn/apps")).text
    for told in ("De &lt;Gezins&gt;app", "Dossier: Lara", "metingen en uitslagen lezen"):
        assert told in page
    assert page.count("1 september 2026") == 2
    assert "28 februari 2027, 13:00" in page


async def test_what_was_left_out_is_not_listed(world):
    await world.token(tick=[1])
    page = (await world.http.get("/mijn/apps")).text
    assert "ziektes en problemen lezen" in page
    assert "metingen" not in page
    assert "1 september 2026, 14:05" in page


async def test_stopping_an_app_ends_its_tokens_at_once(world):
    answer = await world.token()
    assert await world.works(answer["access_token"])
    onward = await stop(world)
    assert onward.status_code == 303
    onward = urljoin("/mijn/apps/stoppen", onward.headers["location"])
    assert onward == "/mijn/apps?gestopt=app"
    assert not await world.works(answer["access_token"])
    refreshed = await world.refresh(answer["refresh_token"])
    assert refreshed.json()["error"] == "invalid_grant"
    page = (await world.http.get(onward)).text
    assert "De &lt;Gezins&gt;app is gestopt" in page
    assert 'name="app"' not in page
    events = [(e, f.get("detail")) for e, f in world.lines if f.get("detail") == "withdrawn"]
    assert events == [("oauth.revoke", "withdrawn")]


async def test_another_app_goes_on_when_one_is_stopped(world):
    kept = await world.token()
    choices = {"client_id": "other", "redirect_uri": "https://other.example/cb"}
    code = await world.code(scope="patient/*.rs", **choices)
    other = (await world.redeem(code, **choices)).json()["access_token"]
    await stop(world)
    assert await world.works(other)
    assert not await world.works(kept["access_token"])
    assert "Andere app" in (await world.http.get("/mijn/apps")).text


async def test_an_app_can_be_let_in_again_after_it_was_stopped(world):
    await world.token()
    await stop(world)
    again = await world.token()
    assert await world.works(again["access_token"])
    page = (await world.http.get("/mijn/apps?gestopt=app")).text
    assert "is gestopt" not in page
    assert page.count('name="app"') == 1


async def test_what_is_not_true_is_not_told(world):
    await world.token()
    page = (await world.http.get("/mijn/apps?gestopt=app")).text
    assert "is gestopt" not in page
    assert "<b>" not in (await world.http.get("/mijn/apps?gestopt=<b>x</b>")).text


async def test_an_app_whose_time_is_over_has_nothing_to_stop(world):
    await world.token(tick=[0])
    world.clock.later(seconds=301)
    page = (await world.http.get("/mijn/apps")).text
    assert "De tijd is om" in page
    assert 'name="app"' not in page


@pytest.mark.parametrize("how", ["person", "app", "revoked"])
async def test_access_that_ended_elsewhere_is_over_here_too(world, how):
    answer = await world.token()
    if how == "person":
        await world.registry.end_tokens_of_person("mia", "app")
    elif how == "app":
        await world.registry.change(App, "app", lambda app: replace(app, disabled=True))
    else:
        form = {"token": answer["refresh_token"], "client_id": "app"}
        assert (await world.http.post("/oauth/revoke", data=form)).status_code == 200
    assert "De tijd is om" in (await world.http.get("/mijn/apps")).text


async def test_when_an_app_last_came_for_tokens_is_told(world):
    answer = await world.token()
    world.clock.later(days=3)
    page = await world.http.get("/mijn/apps")
    assert page.status_code == 303
    assert (await world.refresh(answer["refresh_token"])).status_code == 200
    await world.to_consent()
    page = (await world.http.get("/mijn/apps")).text
    assert page.count("1 september 2026") == 1
    assert page.count("4 september 2026") == 1


async def test_who_is_not_signed_in_is_sent_to_sign_in(world):
    for path, where in (("/mijn", "oauth/sign-in"), ("/mijn/apps", "../oauth/sign-in")):
        answer = await world.http.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{where}?next=")
        page = await world.http.get(
            f"/oauth/sign-in{answer.headers['location'].partition('in')[2]}"
        )
        form = world.hidden(page) | {"persoon": "tom|"}
        onward = await world.http.post("/oauth/sign-in", data=form)
        assert onward.headers["location"] == f"..{path}"
        assert (await world.http.get(path)).status_code == 200
        world.http.cookies.clear()


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"form": ""}, {}),
        ({"form": "x" * 64}, {}),
        ({}, {"sec-fetch-site": "cross-site"}),
        ({}, {"sec-fetch-site": "none"}),
    ],
)
async def test_a_form_that_is_not_ours_stops_nothing(world, changes, headers):
    answer = await world.token()
    form = world.hidden(await world.http.get("/mijn/apps")) | {"app": "app"} | changes
    refused = await world.http.post("/mijn/apps/stoppen", data=form, headers=headers)
    assert refused.status_code == 403
    assert "text/html" in refused.headers["content-type"]
    assert await world.works(answer["access_token"])
    assert world.lines[-1] == ("oauth.revoke", {"outcome": "refused", "detail": "access_denied"})


async def test_nobody_stops_the_app_of_somebody_else(world):
    answer = await world.token()
    theirs = world.hidden(await world.http.get("/mijn/apps"))
    world.http.cookies.clear()
    assert (await world.http.post("/mijn/apps/stoppen", data=theirs)).status_code == 403
    await world.to_consent("tom|")
    assert (await world.http.post("/mijn/apps/stoppen", data=theirs)).status_code == 403
    assert (await stop(world)).status_code == 403
    mine = world.hidden(await world.http.get("/mijn")) | {"app": "app"}
    assert (await world.http.post("/mijn/apps/stoppen", data=mine)).status_code == 404
    assert await world.works(answer["access_token"])


async def test_an_app_is_stopped_even_when_that_cannot_be_written_down(world):
    answer = await world.token()
    page = await world.http.get("/mijn/apps")
    world.pen_broken = True
    form = world.hidden(page) | {"app": "app"}
    assert (await world.http.post("/mijn/apps/stoppen", data=form)).status_code == 503
    assert not await world.works(answer["access_token"])


async def test_access_that_cannot_be_listed_is_not_given(world, monkeypatch):
    code = await world.code()

    async def refused(kind, *args, **kwargs):
        return False

    monkeypatch.setattr(world.store, "register", refused)
    answer = await world.redeem(code)
    assert answer.status_code == 409
    assert "access_token" not in answer.text


async def test_the_list_forgets_what_is_long_over_and_stays_small(world):
    for _ in range(3):
        await world.token(tick=[0])
        world.clock.later(seconds=400)
    permitted = Permitted(world.parts)
    assert len(await permitted.of("mia")) == 1
    world.clock.later(seconds=REMEMBERED)
    await world.token(tick=[1])
    assert len(await permitted.of("mia")) == 1
    assert MOST < 1000


async def test_nobody_without_an_account_is_listed(world):
    assert await Permitted(world.parts).of("nobody") == []
    await world.token()
    first = (await Permitted(world.parts).of("mia"))[0]
    assert not await Permitted(world.parts).holds("nobody", first)
    await world.registry.change(Account, "mia", lambda mia: replace(mia, disabled=True))
    assert not await Permitted(world.parts).holds("mia", first)
