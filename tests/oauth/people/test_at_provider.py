"""Signing in at an OpenID Connect provider: a real one in a process of its own, that can err."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from pgo.oauth.levels import Ways
from pgo.registry import Account

BSN = "999990019"


async def known(people) -> None:
    """Let the pseudonym be Mia's from now on."""
    await people.signed_in()
    people.world.lines.clear()


async def test_an_app_gets_a_code_for_who_signed_in_at_a_provider(people):
    await known(people)
    visitor = people.visitor()
    answer = await visitor.sign_in()
    assert answer.headers["location"].startswith("consent?flow=")
    page = await visitor.follow(answer)
    assert "Mia" in page.text
    assert people.details == ["good"]


async def test_the_way_there_asks_for_a_code_with_pkce_nonce_level_and_age(people):
    visitor = people.visitor()
    away = await visitor.away(await visitor.ask())
    asked = parse_qs(urlsplit(away.headers["location"]).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["nonce"][0]) == len(asked["state"][0]) == 43
    assert asked["max_age"] == ["900"]
    assert asked["acr_values"] == ["urn:laag urn:midden urn:hoog"]
    assert asked["redirect_uri"] == [f"{people.world.ISSUER}/oauth/back-good"]
    assert asked["scope"] == ["openid"]


@pytest.mark.parametrize(
    ("acr", "level"),
    [("urn:laag", "laag"), ("urn:midden", "substantieel"), ("urn:hoog", "substantieel")],
)
async def test_a_session_has_the_level_of_the_provider_and_never_more_than_the_account(
    people, acr, level
):
    visitor = await people.signed_in(acr=acr)
    assert (await people.session_of(visitor)).level == level


WRONG = {
    "nonce-other": "id-token-nonce",
    "nonce-missing": "id-token-nonce",
    "token-iss": "id-token-iss",
    "iss-other": "iss",
    "iss-missing": "iss",
    "aud-other": "id-token-aud",
    "aud-more": "id-token-aud",
    "azp-other": "id-token-azp",
    "expired": "id-token-expired",
    "young": "id-token-iat",
    "acr-unknown": "level",
    "acr-missing": "level",
    "old": "id-token-auth_time",
    "auth-time-missing": "id-token-auth_time",
    "auth-time-text": "id-token-auth_time",
    "sub-missing": "id-token-sub",
    "sub-list": "id-token-sub",
    "sub-bsn": "no-pseudonym",
    "sub-sector": "no-pseudonym",
    "at-hash": "id-token-at_hash",
    "alg-none": "id-token-form",
    "alg-hs": "id-token-alg",
    "key-other": "id-token-signature",
    "kid-other": "id-token-key",
    "kid-missing": "id-token-form",
    "no-token": "id-token-form",
    "error-access_denied": "access_denied",
    "error-<script>": "provider-error",
}


@pytest.mark.parametrize("mode", WRONG)
async def test_nobody_is_signed_in_when_something_is_wrong(people, mode):
    await known(people)
    visitor = people.visitor()
    answer = await visitor.sign_in(mode=mode)
    assert answer.status_code == 403
    assert people.details == [f"good:{WRONG[mode]}"]
    assert visitor.session == ""
    assert "sign-in?flow=" in answer.text
    assert "<script" not in answer.text


async def test_after_something_went_wrong_one_can_try_again_in_the_same_request(people):
    await known(people)
    visitor = people.visitor()
    page = await visitor.ask()
    wrong = await visitor.sign_in(page, mode="nonce-other")
    link = re.search(r'href="(sign-in\?flow=[^"]*)"', wrong.text)[1]
    answer = await visitor.sign_in(await visitor.http.get(f"/oauth/{link}"))
    assert answer.headers["location"].startswith("consent")


async def test_claims_that_are_a_bsn_are_dropped_unseen(people, tmp_path, caplog):
    await known(people)
    caplog.set_level("DEBUG")
    visitor = people.visitor()
    answer = await visitor.sign_in(mode="bsn-claims")
    assert answer.headers["location"].startswith("consent")
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(BSN.encode() in text or b"Kanarie" in text for text in kept)
    assert BSN not in caplog.text
    assert "Kanarie" not in caplog.text
    assert BSN not in str(people.world.lines)


async def test_an_answer_is_good_once(people):
    await known(people)
    visitor = people.visitor()
    address = await visitor.at_provider(await visitor.away(await visitor.ask()))
    assert (await visitor.back(address)).status_code == 303
    assert (await visitor.back(address)).status_code == 403


async def test_of_many_who_hand_in_one_answer_one_is_signed_in(people):
    await known(people)
    visitor = people.visitor()
    address = await visitor.at_provider(await visitor.away(await visitor.ask()))
    answers = await asyncio.gather(*(visitor.back(address) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [303] + 7 * [403]


async def test_an_answer_is_for_the_browser_that_asked(people):
    """Login CSRF: somebody is made to finish a sign-in of somebody else."""
    await known(people)
    attacker, victim = people.visitor(), people.visitor()
    address = await attacker.at_provider(await attacker.away(await attacker.ask()))
    await victim.ask()
    answer = await victim.back(address)
    assert answer.status_code == 403
    assert victim.session == ""
    assert (await attacker.back(address)).status_code == 403


async def test_an_answer_without_a_question_is_refused(people):
    visitor = people.visitor()
    for query in ("code=x&state=y", "code=x", "", "state=y&error=access_denied", "state=a&state=b"):
        assert (await visitor.http.get(f"/oauth/back-good?{query}")).status_code in (400, 403)


async def test_another_state_is_refused(people):
    visitor = people.visitor()
    answer = await visitor.sign_in(mode="state-other")
    assert answer.status_code == 403


async def test_the_answer_of_one_provider_is_not_taken_for_that_of_another(people):
    """Mix-up: the attacker is `other`, and wants the code that `good` gave."""
    await known(people)
    visitor = people.visitor()
    page = await visitor.ask()
    address = await visitor.at_provider(await visitor.away(page, "good"))
    assert (await visitor.back(address.replace("back-good", "back-other"))).status_code == 403
    away = await visitor.away(page, "other")
    state = parse_qs(urlsplit(away.headers["location"]).query)["state"][0]
    address = await visitor.at_provider(await visitor.away(page, "good"))
    mixed = parse_qs(urlsplit(address).query)
    query = f"code={mixed['code'][0]}&state={state}&iss={mixed['iss'][0]}"
    answer = await visitor.http.get(f"/oauth/back-other?{query}")
    assert answer.status_code == 403
    assert people.details[-1] == "other:iss"


async def test_a_code_of_another_provider_does_not_redeem(people):
    await known(people)
    visitor = people.visitor()
    page = await visitor.ask()
    away = await visitor.away(page, "noniss")
    state = parse_qs(urlsplit(away.headers["location"]).query)["state"][0]
    other = parse_qs(urlsplit(await visitor.at_provider(await visitor.away(page))).query)
    answer = await visitor.http.get(f"/oauth/back-noniss?code={other['code'][0]}&state={state}")
    assert answer.status_code == 403
    assert people.details[-1] == "noniss:code-refused"


async def test_a_provider_that_does_not_promise_iss_may_leave_it_out(people):
    await people.signed_in(name="noniss")
    answer = await people.visitor().sign_in(name="noniss")
    assert answer.headers["location"].startswith("consent")


async def test_the_same_pseudonym_at_another_provider_is_somebody_else(people):
    await known(people)
    answer = await people.visitor().sign_in(name="other")
    assert answer.headers["location"].startswith("link?")


@pytest.mark.parametrize("name", ["redirecting", "lying", "elsewhere", "huge"])
async def test_a_provider_that_publishes_something_odd_is_down(people, name):
    visitor = people.visitor()
    answer = await visitor.away(await visitor.ask(), name)
    assert answer.status_code == 503
    assert "Probeer het later" in answer.text
    assert people.details == [f"{name}:down"]


async def test_a_provider_that_is_gone_is_asked_again_after_a_while_only(people):
    gone = replace(people.ways.providers[0], name="gone", issuer="http://127.0.0.1:9/gone")
    people.ways = replace(people.ways, providers=(gone, *people.ways.providers))
    visitor = people.visitor()
    page = await visitor.ask()
    assert (await visitor.away(page, "gone")).status_code == 503
    assert (await visitor.away(page, "good")).status_code == 303


async def test_a_silent_provider_is_waited_for_once_and_others_go_on(people):
    quick = [
        replace(one, patience=2.0) if one.name == "silent" else one for one in people.ways.providers
    ]
    people.ways = replace(people.ways, providers=tuple(quick))
    visitor = people.visitor()
    page = await visitor.ask()
    stuck = [asyncio.create_task(visitor.away(page, "silent")) for _ in range(10)]
    assert (await visitor.away(page, "good")).status_code == 303
    assert {one.status_code for one in await asyncio.gather(*stuck)} == {503}
    assert (await people.control())["silent/.well-known/openid-configuration"] == 1


async def test_what_a_provider_publishes_is_asked_once(people):
    await known(people)
    for _ in range(3):
        await people.visitor().sign_in()
    asked = await people.control()
    assert asked["good/.well-known/openid-configuration"] == 1
    assert asked["good/jwks"] == 1


async def test_new_keys_of_a_provider_are_fetched_and_unknown_ones_at_most_once_a_minute(people):
    await known(people)
    before = (await people.control())["good/jwks"]
    for _ in range(3):
        assert (await people.visitor().sign_in(mode="kid-other")).status_code == 403
    assert (await people.control())["good/jwks"] == before
    await people.control("rotate")
    people.world.clock.later(seconds=61)
    answer = await people.visitor().sign_in()
    assert answer.headers["location"].startswith("consent")


async def test_a_provider_may_want_a_signed_assertion_instead_of_a_password(people):
    mine = replace(
        people.ways.providers[0], secret="", key=people.OURS.as_dict(private=True),
        authentication="private_key_jwt",
    )  # fmt: skip
    people.ways = replace(people.ways, providers=(mine,))
    await known(people)
    assert people.details == []


async def test_without_any_way_to_sign_in_the_app_is_told(people):
    people.ways = Ways()
    answer = await people.visitor().ask()
    assert answer.status_code == 303
    assert people.world.told(answer)["error"] == "temporarily_unavailable"


async def test_an_account_that_is_disabled_does_not_get_in(people):
    await known(people)
    await people.world.registry.change(Account, "mia", lambda one: replace(one, disabled=True))
    visitor = people.visitor()
    assert (await visitor.sign_in()).status_code == 403
    assert visitor.session == ""
