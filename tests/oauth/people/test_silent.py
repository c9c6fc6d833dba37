"""`prompt=none`: no page is ever shown, and what comes of it is never more than was decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgo.oauth.permitted import Permitted
from pgo.registry import App

LASTING = "launch/patient patient/Observation.rs offline_access"
NATIVE = "http://127.0.0.1:4000/native"


async def decided(people, visitor, *, dossier="bram", tick=None, **changes):
    """What the app gets when the person decides on a page."""
    world = people.world
    page = await visitor.follow(await visitor.ask(**{"scope": LASTING} | changes))
    chosen = await visitor.http.get(
        f"/oauth/consent?flow={visitor.flow_in(page)}&dossier={dossier}"
    )
    boxes = [one for one in ("recht-0", "recht-1", "recht-2") if f'name="{one}"' in chosen.text]
    ticked = boxes if tick is None else [boxes[n] for n in tick]
    form = world.hidden(chosen) | {"besluit": "ja", "dossier": dossier}
    answer = await visitor.http.post("/oauth/consent", data=form | dict.fromkeys(ticked, "ja"))
    code = world.told(answer)["code"]
    told = await world.redeem(code, redirect_uri=changes.get("redirect_uri", world.CALLBACK))
    assert told.status_code == 200, told.text
    return told.json()


async def silent(visitor, **changes):
    """What the app is told at its redirect address, without a page."""
    answer = await visitor.ask(**{"scope": LASTING, "prompt": "none"} | changes)
    assert answer.status_code == 303, answer.text
    told = visitor.world.told(answer)
    assert told["iss"] == visitor.world.ISSUER
    assert told["state"] == "s" * 32
    return told


@pytest.fixture
async def mia(people):
    return await people.signed_in("mia")


async def test_o12_without_a_session_nobody_is_signed_in(people):
    assert (await silent(people.visitor()))["error"] == "login_required"


async def test_o12_without_a_decision_consent_is_needed(mia):
    assert (await silent(mia))["error"] == "consent_required"


async def test_o12_what_was_decided_is_given_again_without_a_page(people, mia):
    world, first = people.world, await decided(people, mia)
    told = await world.redeem((await silent(mia))["code"])
    assert told.status_code == 200, told.text
    assert (told.json()["patient"], told.json()["scope"]) == (first["patient"], first["scope"])
    assert await world.works(told.json()["access_token"])
    assert (await world.refresh(told.json()["refresh_token"])).status_code == 200
    listed = [fields.get("detail") for event, fields in world.lines if event == "oauth.consent"]
    assert listed == [None, "standing"]


async def test_o12_less_than_was_decided_may_be_asked(people, mia):
    await decided(people, mia)
    told = await people.world.redeem((await silent(mia, scope="patient/Observation.r"))["code"])
    assert told.json()["scope"] == "patient/Observation.r"
    assert "refresh_token" not in told.json()


@pytest.mark.parametrize(
    "scope",
    [
        "patient/*.rs offline_access",
        "patient/Observation.rus",
        "patient/Condition.rs",
        f"{LASTING} fhirUser",
        "user/*.rs",
    ],
)
async def test_o12_more_than_was_decided_needs_a_page(people, mia, scope):
    await decided(people, mia)
    assert (await silent(mia, scope=scope))["error"] == "consent_required"


async def test_o12_a_decision_for_a_moment_does_not_stand(people, mia):
    await decided(people, mia, scope="patient/Observation.rs")
    assert (await silent(mia, scope="patient/Observation.rs"))["error"] == "consent_required"


async def test_o12_what_was_left_out_on_the_page_is_not_given(people, mia):
    told = await decided(people, mia, tick=[0])
    assert "offline_access" not in told["scope"]
    assert (await silent(mia))["error"] == "consent_required"


async def test_o12_of_two_dossiers_a_person_must_choose(people, mia):
    await decided(people, mia)
    await decided(people, mia, dossier="lara")
    assert (await silent(mia))["error"] == "interaction_required"
    one = f"{people.world.ISSUER}/dossiers/lara/fhir/r4"
    told = await people.world.redeem((await silent(mia, aud=one))["code"])
    assert told.json()["patient"] == "pat-lara"


async def test_o12_a_dossier_that_was_taken_away_is_not_given(people, mia):
    await decided(people, mia)
    people.world.dossiers["mia"] = people.world.dossiers["mia"][1:]
    assert (await silent(mia))["error"] == "consent_required"


async def test_o12_what_was_withdrawn_is_not_given(people, mia):
    await decided(people, mia)
    code = (await silent(mia))["code"]
    await Permitted(people.world.parts).withdraw("mia", "app")
    assert (await people.world.redeem(code)).json()["error"] == "invalid_grant"
    assert (await silent(mia))["error"] == "consent_required"


async def test_o12_it_lasts_no_longer_than_what_was_decided(people, mia):
    world, _ = people.world, await decided(people, mia)
    (before,) = await Permitted(world.parts).of("mia")
    world.clock.later(minutes=14)
    told = (await world.redeem((await silent(mia))["code"])).json()
    (after,) = await Permitted(world.parts).of("mia")
    assert after == replace(before, used=world.clock.seconds), "no second line on the list"
    _, kept = await world.tokens.find(told["refresh_token"])
    assert (kept.family, kept.until) == (before.family, before.until)


async def test_o12_reuse_of_a_token_ends_what_came_of_it_too(people, mia):
    world, first = people.world, await decided(people, mia)
    told = (await world.redeem((await silent(mia))["code"])).json()
    for _ in range(2):
        await world.refresh(first["refresh_token"])
    assert not await world.works(told["access_token"])
    assert (await silent(mia))["error"] == "consent_required"


async def test_a4_a_second_use_of_such_a_code_ends_it_all(people, mia):
    world, first = people.world, await decided(people, mia)
    code = (await silent(mia))["code"]
    assert (await world.redeem(code)).status_code == 200
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
    assert not await world.works(first["access_token"])


async def test_o12_somebody_else_in_this_browser_decides_himself(people, mia):
    await decided(people, mia)
    tom = await people.signed_in("tom")
    assert (await silent(tom))["error"] == "consent_required"


async def test_o12_another_app_gets_nothing_of_it(people, mia):
    await decided(people, mia)
    told = await silent(
        mia,
        client_id="other",
        redirect_uri="https://other.example/cb",
        scope="patient/Observation.rs",
    )
    assert told["error"] == "consent_required"


async def test_o12_an_app_anybody_can_pretend_to_be_gets_a_page(people, mia):
    await decided(people, mia, redirect_uri=NATIVE)
    assert (await silent(mia, redirect_uri=NATIVE))["error"] == "interaction_required"
    assert "code" in await silent(mia)


async def test_o12_a_higher_level_or_a_newer_sign_in_needs_a_page(people, mia):
    await decided(people, mia)
    assert (await silent(mia, acr_values="hoog"))["error"] == "login_required"
    people.world.clock.later(seconds=100)
    assert (await silent(mia, max_age="50"))["error"] == "login_required"
    assert "code" in await silent(mia, max_age="5000")


async def test_o12_an_account_that_was_closed_is_not_signed_in(people, mia):
    await decided(people, mia)
    account = await people.world.registry.account("mia")
    await people.world.registry.keep_account(replace(account, disabled=True))
    assert (await silent(mia))["error"] == "login_required"


async def test_o12_professionals_say_for_whom_they_act(people):
    account = await people.world.registry.account("kim")
    await people.world.registry.keep_account(replace(account, demo=False))
    kim = await people.signed_in("kim")
    assert (await silent(kim))["error"] == "interaction_required"


@pytest.mark.parametrize("prompt", ["none login", "none consent", "consent none", "none none"])
async def test_o12_none_stands_alone(mia, prompt):
    assert (await silent(mia, prompt=prompt))["error"] == "invalid_request"


async def test_o12_a_hint_of_the_same_person_is_right_and_any_other_is_not(people, mia):
    world = people.world
    await world.registry.keep_app(
        App("app", "De app", (world.CALLBACK,), scopes=(*LASTING.split(), "openid"))
    )
    scope = f"{LASTING} openid"
    mine = (await decided(people, mia, scope=scope))["id_token"]
    theirs = await decided(people, await people.signed_in("tom"), scope=scope, dossier="tom1")
    world.clock.later(seconds=600)
    assert "code" in await silent(mia, scope=scope, id_token_hint=mine)
    head, claims, signature = mine.split(".")
    for hint in (
        theirs["id_token"], "x", f"{head}.{claims}.", f"{head}.{claims}.{signature[::-1]}",
        f"eyJhbGciOiJub25lIn0.{claims}.", mine * 3,
    ):  # fmt: skip
        told = await silent(mia, scope=scope, id_token_hint=hint)
        assert told["error"] == "login_required", hint


async def test_o12_what_cannot_be_written_down_is_not_given(people, mia):
    await decided(people, mia)
    people.world.pen_broken = True
    answer = await mia.ask(scope=LASTING, prompt="none")
    assert answer.status_code == 503
    assert "location" not in answer.headers
