"""From an app's question to a token, and everything that must not work on that way."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from pgo.oauth.metadata import smart_configuration
from pgo.registry import Account, App


async def test_a_mother_gives_an_app_one_of_her_childrens_dossiers(world):
    answer = await world.token(dossier="lara")
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] <= 300
    assert answer["patient"] == "pat-lara"
    assert answer["fhirUser"] == f"{world.ISSUER}/fhir/r4/RelatedPerson/mia"
    caller = await world.caller(answer["access_token"])
    assert (caller.person, caller.dossier, caller.app) == ("mia", "lara", "app")
    assert caller.app_name == "De <Gezins>app"
    assert caller.birth == "1985-03-02"
    assert caller.address == "192.0.2.7"


async def test_each_step_is_written_down(world):
    await world.token()
    assert [(event, fields.get("person")) for event, fields in world.lines] == [
        ("oauth.sign-in", "mia"),
        ("oauth.consent", "mia"),
        ("oauth.token", "mia"),
    ]
    assert world.lines[-1][1]["client"] == "bram"


async def test_a_code_that_cannot_be_written_down_gives_no_token(world):
    code = await world.code()
    world.pen_broken = True
    answer = await world.redeem(code)
    assert answer.status_code == 503
    assert "access_token" not in answer.text


async def test_a_decision_that_cannot_be_written_down_gives_no_code(world):
    page = await world.to_consent()
    world.pen_broken = True
    answer = await world.decide(page)
    assert answer.status_code == 503
    assert "location" not in answer.headers


async def test_o01_a_code_is_of_no_use_to_another_app(world):
    code = await world.code()
    answer = await world.redeem(code, client_id="other")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await world.redeem(code)).status_code == 400


async def test_o02_a_code_is_dead_after_61_seconds(world):
    code = await world.code()
    world.clock.later(seconds=61)
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_code_lives_59_seconds(world):
    code = await world.code()
    world.clock.later(seconds=59)
    assert (await world.redeem(code)).status_code == 200


@pytest.mark.parametrize("uri", ["http://127.0.0.1/native", "https://app.example/cb/", None])
async def test_o03_the_redirect_address_must_be_the_same_at_the_token_endpoint(world, uri):
    answer = await world.redeem(await world.code(), redirect_uri=uri)
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "verifier", [None, "w" * 64, "v" * 42, "v" * 129, "v" * 63 + "é", "CHALLENGE"]
)
async def test_o04_a_wrong_verifier_gives_nothing_and_spends_the_code(world, verifier):
    code = await world.code()
    verifier = world.CHALLENGE if verifier == "CHALLENGE" else verifier
    assert (await world.redeem(code, code_verifier=verifier)).json()["error"] == "invalid_grant"
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "c" * 42},
        {"code_challenge": "c" * 44},
        {"code_challenge": "c" * 42 + "!"},
    ],
)
@pytest.mark.parametrize("client", ["app", "sealed"])
async def test_a1_a2_a3_o05_no_code_without_an_s256_challenge(world, client, changes):
    callback = world.CALLBACK if client == "app" else "https://keyed.example/cb"
    answer = await world.ask(client_id=client, redirect_uri=callback, **changes)
    assert world.told(answer)["error"] == "invalid_request"


async def test_an_app_with_a_key_needs_pkce_and_its_key(world):
    code = await world.code(
        client_id="sealed", redirect_uri="https://keyed.example/cb", scope="patient/*.rs"
    )
    proof = {
        "client_id": None,
        "redirect_uri": "https://keyed.example/cb",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.assertion("ES256", iss="sealed", sub="sealed"),
    }
    assert (await world.redeem(code, **proof)).status_code == 200


async def test_an_app_with_a_key_gets_nothing_without_it(world):
    code = await world.code(
        client_id="sealed", redirect_uri="https://keyed.example/cb", scope="patient/*.rs"
    )
    answer = await world.redeem(code, client_id="sealed", redirect_uri="https://keyed.example/cb")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/CB",
        "https://APP.example/cb",
        "https://app.example:443/cb",
        "https://app.example/cb/more",
        "https://app.example/cb/../cb",
        "https://app.example/x/%2e%2e/cb",
        "https://app.example%2fcb",
        "https://app.example/cb?x=1",
        "https://app.example/cb#f",
        "https://app.example@evil.example/cb",
        "https://app.example.evil.example/cb",
        "https://app.example\\@evil.example/cb",
        "http://app.example/cb",
        "http://[::1]:4000/native",
        "http://localhost/native",
        "http://127.0.0.1:80@evil.example/native",
        "http://127.0.0.1:4000/native/more",
        "http://127.0.0.1:99999/native",
        "javascript:alert(1)",
        "",
        None,
    ],
)
@pytest.mark.parametrize("spoilt", [{}, {"response_type": "token"}, {"scope": "x"}])
async def test_o06_a_redirect_address_that_is_not_registered_shows_a_page(world, uri, spoilt):
    answer = await world.ask(redirect_uri=uri, **spoilt)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "text/html" in answer.headers["content-type"]
    assert "evil" not in answer.text


async def test_o06_the_port_of_a_native_app_on_loopback_may_differ(world):
    uri = "http://127.0.0.1:51004/native"
    code = await world.code(redirect_uri=uri)
    assert (await world.redeem(code, redirect_uri=uri)).status_code == 200


@pytest.mark.parametrize("client", ["nobody", "zuid-ecd", "", None, "x" * 5000])
async def test_an_unknown_app_shows_a_page_and_no_redirect(world, client):
    answer = await world.ask(client_id=client)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_disabled_app_shows_a_page(world):
    await world.registry.change(App, "app", lambda app: replace(app, disabled=True))
    assert (await world.ask()).status_code == 400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"scope": "patient/Observation.rs?_include=x"}, "invalid_scope"),
        ({"aud": "https://evil.example/fhir/r4"}, "invalid_request"),
        ({"aud": "https://pgo.example.evil/fhir/r4"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_o08_what_is_wrong_is_told_with_state_and_iss(world, changes, code):
    fields = world.told(await world.ask(**changes))
    assert fields["error"] == code
    assert fields["iss"] == world.ISSUER
    assert fields["state"] == "s" * 32
    assert world.lines[-1][1]["outcome"] == "refused"


async def test_a_state_is_required(world):
    fields = world.told(await world.ask(state=None))
    assert fields["error"] == "invalid_request"
    assert "state" not in fields


@pytest.mark.parametrize("name", ["state", "scope", "client_id", "redirect_uri", "prompt"])
async def test_a_parameter_twice_is_refused(world, name):
    asked = [*world.asking(prompt="login").items(), (name, world.asking(prompt="login")[name])]
    answer = await world.http.get("/oauth/authorize", params=asked)
    if name in ("client_id", "redirect_uri"):
        assert answer.status_code == 400
    else:
        assert world.told(answer)["error"] == "invalid_request"


async def test_o08_o30_a_code_comes_with_iss_and_never_with_a_token(world):
    answer = await world.decide(await world.to_consent())
    assert set(world.told(answer)) == {"code", "state", "iss"}
    assert world.told(answer)["iss"] == world.ISSUER
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("state", ["a b+c%20d&e=f#g", "é✓\u202e", "x" * 2048, "<script>'\""])
async def test_o09_the_state_comes_back_exactly(world, state):
    answer = await world.decide(await world.to_consent(state=state))
    assert world.told(answer)["state"] == state


async def test_o10_a_decision_needs_the_form_token(world):
    page = await world.to_consent()
    for spoilt in ({"form": "0" * 64}, {"form": ""}, {"flow": "x"}):
        form = world.hidden(page) | {"besluit": "ja", "dossier": "bram", "recht-0": "ja"} | spoilt
        answer = await world.http.post("/oauth/consent", data=form)
        assert answer.status_code == 403
        assert "location" not in answer.headers


async def test_o10_a_page_opened_in_another_browser_is_of_no_use(world):
    page = await world.to_consent()
    world.http.cookies.clear()
    assert (await world.decide(page)).status_code == 403


async def test_login_csrf_the_sign_in_of_one_browser_cannot_be_finished_in_another(world):
    asked = await world.ask()
    world.http.cookies.clear()
    form = world.hidden(asked) | {"persoon": "mia|"}
    assert (await world.http.post("/oauth/sign-in", data=form)).status_code == 403


async def test_a_form_token_of_before_signing_in_does_not_decide(world):
    asked = await world.ask()
    form = world.hidden(asked) | {"besluit": "ja", "dossier": "bram", "recht-0": "ja"}
    assert (await world.http.post("/oauth/consent", data=form)).status_code == 403


async def test_a_form_from_another_site_is_refused(world):
    form = world.hidden(await world.ask()) | {"persoon": "mia|"}
    headers = {"sec-fetch-site": "cross-site"}
    answer = await world.http.post("/oauth/sign-in", data=form, headers=headers)
    assert answer.status_code == 403


async def test_a_decision_is_taken_once(world):
    page = await world.to_consent()
    answers = await asyncio.gather(*(world.decide(page) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 7


async def test_o11_the_page_shows_who_asks_what_for_which_dossier_and_how_long(world):
    page = await world.to_consent()
    assert "De &lt;Gezins&gt;app" in page.text
    assert "<Gezins>" not in page.text
    assert "Bram" in page.text
    assert "De app mag metingen en uitslagen lezen." in page.text
    assert "5 minuten" in page.text
    assert "checked" not in page.text


async def test_o11_what_was_not_ticked_is_not_in_the_token(world):
    answer = await world.token(tick=[1])
    assert answer["scope"] == "patient/Condition.r launch/patient"
    assert "refresh_token" not in answer
    assert "fhirUser" not in answer


async def test_scopes_are_never_more_than_registered(world):
    code = await world.code(
        client_id="other", redirect_uri="https://other.example/cb", scope="patient/*.cruds"
    )
    answer = await world.redeem(code, client_id="other", redirect_uri="https://other.example/cb")
    assert answer.json()["scope"] == "patient/*.rs"


async def test_a_version_1_app_gets_back_the_words_it_used(world):
    code = await world.code(scope="patient/Observation.read")
    assert (await world.redeem(code)).json()["scope"] == "patient/Observation.read"


async def test_openid_is_left_out_while_there_is_no_id_token(world):
    answer = await world.token(scope="openid fhirUser patient/*.rs")
    assert "openid" not in answer["scope"]


async def test_the_dossier_is_chosen_before_anything_else(world):
    form = world.hidden(await world.ask()) | {"persoon": "mia|"}
    onward = await world.http.post("/oauth/sign-in", data=form)
    page = await world.http.get(f"/oauth/{onward.headers['location']}")
    assert ("Bram" in page.text, "Lara" in page.text) == (True, True)
    assert 'name="recht-' not in page.text
    strange = await world.http.get(f"/oauth/{onward.headers['location']}&dossier=frits")
    assert strange.text.count("dossier=bram") == 1
    assert "frits" not in strange.text.partition("<main")[2]


async def test_one_dossier_is_still_a_choice(world):
    page = await world.to_consent("tom|")
    assert "Mijn dossier" in page.text
    form = {name: value for name, value in world.hidden(page).items() if name != "dossier"}
    form |= {"besluit": "ja", "recht-0": "ja"}
    assert (await world.http.post("/oauth/consent", data=form)).status_code == 400
    assert (await world.decide(page, dossier="tom1")).status_code == 303


async def test_nothing_ticked_shows_the_page_again(world):
    page = await world.to_consent()
    again = await world.decide(page, tick=[])
    assert again.status_code == 400
    assert 'role="alert"' in again.text


async def test_a_dossier_of_somebody_else_cannot_be_chosen(world):
    answer = await world.decide(await world.to_consent(), dossier="frits")
    assert answer.status_code == 400


async def test_an_aud_of_one_dossier_offers_only_that_one(world):
    page = await world.to_consent(aud=f"{world.ISSUER}/dossiers/lara/fhir/stu3")
    assert "Lara" in page.text
    assert "Bram" not in page.text


async def test_somebody_without_any_dossier_goes_back_with_access_denied(world):
    world.dossiers["mia"] = []
    page = await world.to_consent()
    assert page.status_code == 200
    assert "Er is geen dossier dat De &lt;Gezins&gt;app mag openen." in page.text
    link = html.unescape(re.search(r'class="button" href="([^"]*)"', page.text)[1])
    assert link.startswith(f"{world.CALLBACK}?")
    back = parse_qs(urlsplit(link).query)
    assert back["error"] == ["access_denied"]
    assert (back["state"], back["iss"]) == (["s" * 32], [world.ISSUER])
    assert world.lines[-1][1]["detail"] == "no-dossier"


async def test_no_is_told_to_the_app(world):
    answer = await world.decide(await world.to_consent(), besluit="nee")
    assert world.told(answer)["error"] == "access_denied"
    assert world.told(answer)["iss"] == world.ISSUER


async def test_a_copiloot_acts_for_the_organisation_chosen_at_sign_in(world):
    answer = await world.token(person="kim|coophulp", dossier="frits")
    caller = await world.caller(answer["access_token"])
    assert (caller.kind, caller.org, caller.purpose) == ("copiloot", "coophulp", "CAREMGT")
    assert caller.orgs == {"coophulp"}
    assert caller.role == "netwerkgids"


async def test_o25_refreshing_keeps_the_chosen_dossier(world):
    answer = await world.token(person="kim|coophulp", dossier="frits")
    again = (await world.refresh(answer["refresh_token"])).json()
    assert again["patient"] == "pat-frits"


async def test_user_scopes_alone_need_no_dossier(world):
    page = await world.to_consent("kim|coophulp", scope="user/Observation.rs")
    assert "In welk dossier" not in page.text
    answer = (await world.redeem(world.told(await world.decide(page, dossier=""))["code"])).json()
    assert "patient" not in answer
    assert (await world.caller(answer["access_token"])).dossier == ""


@pytest.mark.parametrize("person", ["noor|delinde", "ghost|", "kim|", "mia|coophulp"])
async def test_only_demo_people_in_their_own_roles_sign_in(world, person):
    page = await world.ask()
    assert "Noor" not in page.text
    form = world.hidden(page) | {"persoon": person}
    assert (await world.http.post("/oauth/sign-in", data=form)).status_code == 403


@pytest.mark.parametrize(
    ("most", "chosen", "level"),
    [
        ("hoog", None, "substantieel"),
        ("hoog", "laag", "laag"),
        ("hoog", "substantieel", "substantieel"),
        ("hoog", "hoog", "hoog"),
        ("substantieel", "hoog", "substantieel"),
    ],
)
async def test_the_development_page_lets_choose_how_safely_somebody_signs_in(
    world, most, chosen, level
):
    await world.registry.change(Account, "mia", lambda one: replace(one, loa=most))
    page = await world.ask()
    offered = re.findall(r'name="niveau" value="(\w+)"', page.text)
    assert offered == ["laag", "substantieel", "hoog"]
    form = world.hidden(page) | {"persoon": "mia|"} | ({"niveau": chosen} if chosen else {})
    page = await world.chosen(await world.http.post("/oauth/sign-in", data=form))
    told = world.told(await world.decide(page))
    answer = (await world.redeem(told["code"])).json()
    assert (await world.caller(answer["access_token"])).loa == level


async def test_whoever_chooses_no_level_gets_the_one_that_is_asked(world):
    await world.registry.change(Account, "mia", lambda one: replace(one, loa="hoog"))
    told = world.told(await world.decide(await world.to_consent(acr_values="hoog")))
    answer = (await world.redeem(told["code"])).json()
    assert (await world.caller(answer["access_token"])).loa == "hoog"


async def test_another_level_than_the_three_is_refused(world):
    form = world.hidden(await world.ask()) | {"persoon": "mia|", "niveau": "hoogst"}
    assert (await world.http.post("/oauth/sign-in", data=form)).status_code == 403


async def test_o13_pages_cannot_be_framed_and_run_no_script(world):
    for page in (await world.ask(), await world.to_consent(), await world.ask(client_id="x")):
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<script|style=|\son\w+=", page.text)


async def test_the_consent_form_may_end_at_the_app_and_nowhere_else(world):
    policy = (await world.to_consent()).headers["content-security-policy"]
    assert policy.endswith("form-action 'self' https://app.example")


async def test_cookies_are_bound_to_this_host_and_out_of_reach_of_scripts(world):
    cookie = (await world.ask()).headers["set-cookie"]
    assert cookie.startswith("__Host-pgo-")
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie


async def test_the_stylesheet_is_served(world):
    answer = await world.http.get("/oauth/style.css")
    assert answer.headers["content-type"].startswith("text/css")


async def test_64_parallel_redemptions_give_exactly_one_token(world):
    code = await world.code()
    answers = await asyncio.gather(*(world.redeem(code) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 63


async def test_a4_a_second_use_of_a_code_ends_what_came_of_it(world):
    code = await world.code()
    first = (await world.redeem(code)).json()
    assert await world.works(first["access_token"])
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
    assert not await world.works(first["access_token"])
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_dossier_that_was_taken_away_meanwhile_gives_no_token(world):
    code = await world.code()
    world.dossiers["mia"] = [("lara", "Lara")]
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


async def test_the_metadata_is_valid_and_promises_no_plain(world):
    found = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    AuthorizationServerMetadata(found).validate()
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True


async def test_o24_smart_configuration_has_absolute_addresses_and_flat_capabilities():
    found = smart_configuration("https://pgo.example")
    assert found["token_endpoint"] == "https://pgo.example/oauth/token"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert "launch-standalone" in found["capabilities"]
    assert all(isinstance(word, str) for word in found["capabilities"])


async def test_an_account_disabled_between_sign_in_and_token_gets_nothing(world):
    code = await world.code()
    await world.registry.change(Account, "mia", lambda mia: replace(mia, disabled=True))
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
