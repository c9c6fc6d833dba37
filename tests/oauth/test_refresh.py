"""Refresh tokens: rotated, of one family, and gone with whatever they hang on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pgo.errors import TooMany
from pgo.registry import Account, App


async def keyed_token(world):
    code = await world.code(
        client_id="sealed",
        redirect_uri="https://keyed.example/cb",
        scope="patient/*.rs offline_access",
    )
    answer = await world.redeem(code, redirect_uri="https://keyed.example/cb", **proof(world))
    return answer.json()


def proof(world) -> dict:
    return {
        "client_id": "sealed",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.assertion("ES256", iss="sealed", sub="sealed"),
    }


async def test_a6_a_public_app_gets_a_new_refresh_token_each_time(world):
    first = await world.token()
    second = (await world.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    assert await world.works(second["access_token"])
    assert await world.works(first["access_token"])


async def test_a5_reuse_of_a_refresh_token_ends_the_newer_ones_too(world):
    first = await world.token()
    second = (await world.refresh(first["refresh_token"])).json()
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await world.works(second["access_token"])
    assert not await world.works(first["access_token"])


async def warned(world):
    """Who is told of what, from now on."""
    told = []

    async def warn(*about):
        told.append(about)

    object.__setattr__(world.parts, "warn", warn)
    return told


async def test_a5_reuse_ends_all_an_app_has_of_a_person_and_is_told_and_written_down(world):
    told, elsewhere = await warned(world), await world.token(dossier="lara")
    other = await world.token(
        client_id="app", person="tom|", dossier="tom1", scope="patient/*.rs offline_access"
    )
    first = await world.token()
    (await world.refresh(first["refresh_token"])).raise_for_status()
    world.lines.clear()
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await world.works(elsewhere["access_token"])
    assert (await world.refresh(elsewhere["refresh_token"])).status_code == 400
    assert await world.works(other["access_token"]), "of another person"
    who = {"person": "mia", "app": "app", "client": "bram"}
    assert world.lines[0] == ("oauth.token", {**who, "outcome": "refused", "detail": "reuse"})
    assert [line[1].get("detail") for line in world.lines].count("reuse") == 1
    assert [about[:3] for about in told] == [("mia", "app", "bram")]


async def test_a5_who_keeps_an_old_token_ends_nothing_that_was_given_later(world):
    told, first = await warned(world), await world.token()
    await world.refresh(first["refresh_token"])
    await world.refresh(first["refresh_token"])
    again = await world.token()
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert await world.works(again["access_token"])
    assert len(told) == 1


async def test_a5_reuse_that_cannot_be_written_down_ends_it_all_the_same(world):
    first = await world.token()
    second = (await world.refresh(first["refresh_token"])).json()
    world.pen_broken = True
    assert (await world.refresh(first["refresh_token"])).status_code == 503
    assert not await world.works(second["access_token"])


async def test_a5_reuse_is_told_however_often_a_network_failed(world):
    told, first = await warned(world), await world.token()
    second = (await world.refresh(first["refresh_token"])).json()

    def count(*_):
        raise TooMany("Asked too often.")

    object.__setattr__(world.parts, "count", count)
    assert (await world.refresh(first["refresh_token"])).status_code == 400
    assert len(told) == 1
    assert not await world.works(second["access_token"])


async def test_a5_reuse_by_an_account_that_is_gone_is_refused_as_ever(world):
    told, first = await warned(world), await world.token()
    await world.refresh(first["refresh_token"])
    await world.registry.forget(Account, "mia")
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert len(told) == 1


async def test_o14_of_8_parallel_refreshes_one_wins(world):
    first = await world.token()
    answers = await asyncio.gather(*(world.refresh(first["refresh_token"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


@pytest.mark.parametrize(
    "scope", ["patient/*.rs", "patient/Observation.cruds", "user/*.rs", "nonsense", "patient/X"]
)
async def test_o14_a_refresh_does_not_widen(world, scope):
    first = await world.token()
    answer = await world.refresh(first["refresh_token"], scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_o14_a_refresh_may_narrow_and_the_next_has_it_all_again(world):
    first = await world.token()
    second = (await world.refresh(first["refresh_token"], scope="patient/Observation.s")).json()
    assert second["scope"] == "patient/Observation.s"
    third = (await world.refresh(second["refresh_token"])).json()
    assert third["scope"] == first["scope"]


async def test_o14_another_app_gets_nothing_for_it(world):
    first = await world.token()
    answer = await world.refresh(first["refresh_token"], client_id="other")
    assert answer.json()["error"] == "invalid_grant"


async def test_o14_after_the_dossier_was_taken_away_there_is_no_refresh(world):
    first = await world.token()
    world.dossiers["mia"] = []
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("days", [31, 200])
async def test_a_refresh_token_left_alone_for_a_month_is_dead(world, days):
    first = await world.token()
    world.clock.later(days=days)
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_family_lives_180_days_however_often_it_is_refreshed(world):
    token = (await world.token())["refresh_token"]
    for _ in range(8):
        world.clock.later(days=22)
        token = (await world.refresh(token)).json()["refresh_token"]
    world.clock.later(days=5)
    assert (await world.refresh(token)).json()["error"] == "invalid_grant"


async def test_o26_everything_of_a_person_ends_at_once(world):
    first = await world.token()
    await world.registry.end_tokens_of_person("mia")
    assert not await world.works(first["access_token"])
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"


async def test_ending_one_app_of_a_person_leaves_the_others(world):
    first = await world.token()
    await world.registry.end_tokens_of_person("mia", "other")
    assert await world.works(first["access_token"])
    await world.registry.end_tokens_of_person("mia", "app")
    assert not await world.works(first["access_token"])


async def test_a_person_registered_anew_does_not_get_old_tokens_back(world):
    first = await world.token()
    await world.registry.forget(Account, "mia")
    assert not await world.works(first["access_token"])
    await world.registry.keep_account(Account("mia", "Mia"))
    assert not await world.works(first["access_token"])


async def test_ending_an_app_ends_its_tokens(world):
    first = await world.token()
    await world.registry.end_tokens_of_app("app")
    assert not await world.works(first["access_token"])
    await world.registry.change(App, "app", lambda app: replace(app, disabled=True))
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_client"


async def test_an_app_with_a_key_keeps_its_refresh_token(world):
    first = await keyed_token(world)
    for _ in range(3):
        world.clock.later(days=20)
        again = await world.refresh(first["refresh_token"], **proof(world))
        assert again.status_code == 200
        assert "refresh_token" not in again.json()


async def test_an_app_with_a_key_cannot_refresh_without_it(world):
    first = await keyed_token(world)
    answer = await world.refresh(first["refresh_token"], client_id="sealed")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_refresh_that_cannot_be_written_down_gives_nothing(world):
    first = await world.token()
    world.pen_broken = True
    answer = await world.refresh(first["refresh_token"])
    assert answer.status_code == 503
    assert "access_token" not in answer.text


@pytest.mark.parametrize("text", ["", "x", "x" * 5000, "é"])
async def test_nonsense_is_refused(world, text):
    answer = await world.refresh(text)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")


async def test_o15_an_app_ends_its_own_tokens_only(world):
    first = await world.token()
    for name in ("refresh_token", "access_token"):
        form = {"token": first[name], "client_id": "other"}
        assert (await world.http.post("/oauth/revoke", data=form)).status_code == 200
    assert await world.works(first["access_token"])
    form = {"token": first["refresh_token"], "client_id": "app"}
    assert (await world.http.post("/oauth/revoke", data=form)).status_code == 200
    assert not await world.works(first["access_token"])
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"


async def test_an_access_token_is_ended_alone(world):
    first = await world.token()
    form = {"token": first["access_token"], "client_id": "app"}
    assert (await world.http.post("/oauth/revoke", data=form)).status_code == 200
    assert not await world.works(first["access_token"])
    assert (await world.refresh(first["refresh_token"])).status_code == 200


async def test_revoking_something_unknown_is_fine_and_by_an_unknown_app_is_not(world):
    form = {"token": "x" * 43, "client_id": "app"}
    assert (await world.http.post("/oauth/revoke", data=form)).status_code == 200
    answer = await world.http.post("/oauth/revoke", data=form | {"client_id": "nobody"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def introspect(world, token, client="server", alg="ES384"):
    form = {
        "token": token,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.assertion(alg, iss=client, sub=client),
    }
    return await world.http.post("/oauth/introspect", data=form)


async def test_a_resource_server_may_ask_about_every_token(world):
    first = await world.token()
    told = (await introspect(world, first["access_token"])).json()
    assert told["active"] is True
    assert (told["client_id"], told["patient"]) == ("app", "pat-bram")
    assert told["sub"] == await world.parts.signing.subject("app", "mia")
    world.clock.later(seconds=301)
    assert (await introspect(world, first["access_token"])).json() == {"active": False}


async def test_what_the_app_was_told_of_its_user_a_resource_server_is_told_too(world):
    named = await world.token(scope="launch/patient patient/*.rs fhirUser")
    told = (await introspect(world, named["access_token"])).json()
    assert told["fhirUser"] == named["fhirUser"]
    bare = await world.token(scope="launch/patient patient/*.rs")
    assert "fhirUser" not in (await introspect(world, bare["access_token"])).json()


async def test_o16_a_stranger_may_not_ask_and_a_system_only_about_its_own(world):
    first = await world.token()
    form = {"token": first["access_token"], "client_id": "app"}
    assert (await world.http.post("/oauth/introspect", data=form)).status_code == 401
    form = {"token": first["access_token"], "client_id": "nobody"}
    assert (await world.http.post("/oauth/introspect", data=form)).status_code == 401
    answer = await introspect(world, first["access_token"], "zuid-ecd")
    assert answer.json() == {"active": False}
    own = (await world.system()).json()["access_token"]
    assert (await introspect(world, own, "zuid-ecd")).json()["active"] is True
    assert (await introspect(world, own, "noord-ecd", "ES256")).json() == {"active": False}


async def test_what_was_ended_is_not_active(world):
    first = await world.token()
    await world.registry.end_tokens_of_person("mia")
    assert (await introspect(world, first["access_token"])).json() == {"active": False}
