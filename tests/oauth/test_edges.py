"""The edges: forms, headers, CORS, logs, errors that tell nothing, and threads of their own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import httpx2
import pytest
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI

from pgo.errors import BadValue
from pgo.framework import answer_errors
from pgo.oauth.parts import EVENTS, FIELDS, Parts
from pgo.oauth.routes import router
from pgo.oauth.scopes import cap_of
from pgo.oauth.wording import lines
from pgo.settings import Settings
from pgo.web import Front

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def post(world, body, headers=FORM, path="/oauth/token", query=""):
    return await world.http.post(f"{path}{query}", content=body, headers=headers)


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_a9_a_query_is_refused(world, path):
    answer = await post(world, b"", path=path, query="?grant_type=client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=authorization_code&grant_type=client_credentials",
        b"grant_type=authorization_code&grant_type=authorization_code",
        b"client_id=app&client_id=other&grant_type=refresh_token",
        b"grant_type=refresh_token&grant_type=",
    ],
)
async def test_a9_a_parameter_twice_is_refused(world, body):
    answer = await post(world, body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded; charset=utf-16"},
        {"content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip"},
        {},
    ],
    ids=str,
)
async def test_cve_2024_47874_only_urlencoded_forms(world, headers):
    answer = await post(world, b"grant_type=client_credentials", headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")


@pytest.mark.parametrize("body", [b"a" * 65_537, b"a=b&" * 20_000])
async def test_a_large_form_is_refused(world, body):
    assert (await post(world, body)).status_code == 413


@pytest.mark.parametrize("body", [b"grant_type", b"a=%ff", b"a=\xff", b"&".join([b"a=b"] * 200)])
async def test_a_malformed_form_is_refused(world, body):
    answer = await post(world, body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_o17_a_token_in_the_form_is_no_credential(world):
    token = (await world.token())["access_token"]
    form = {"access_token": token, "grant_type": "client_credentials"}
    assert (await world.http.post("/oauth/token", data=form)).status_code == 401


async def test_an_authorization_header_does_not_authenticate_a_client(world):
    headers = {"authorization": "Basic enVpZC1lY2Q6eA=="}
    form = {"grant_type": "client_credentials"}
    answer = await world.http.post("/oauth/token", data=form, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_get_is_not_offered(world, path):
    assert (await world.http.get(path)).status_code == 405


async def test_answers_with_tokens_are_kept_by_nobody(world):
    answer = await world.redeem(await world.code())
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    refused = await world.redeem("x")
    assert refused.headers["cache-control"] == "no-store"


async def test_errors_do_not_repeat_what_was_sent(world):
    canary = "kanarie8431"
    answers = [
        await world.redeem(canary),
        await world.refresh(canary),
        await world.system(canary),
        await world.system(grant_type=canary),
        await world.system(scope=canary),
        await world.redeem("x", client_id=canary),
        await world.ask(client_id=canary),
        await world.ask(redirect_uri=f"https://{canary}.example/"),
        await world.ask(scope=canary),
        await world.ask(aud=canary),
        await world.ask(response_type=canary),
        await world.http.get("/oauth/consent", params={"flow": canary}),
    ]
    for answer in answers:
        assert answer.status_code < 500
        assert canary not in answer.text
        assert canary not in answer.headers.get("location", "")
    assert canary not in str(world.lines)


async def test_a8_no_token_code_or_assertion_in_any_log_at_debug(world, caplog):
    with caplog.at_level(logging.DEBUG):
        code = await world.code()
        answer = (await world.redeem(code)).json()
        again = (await world.refresh(answer["refresh_token"])).json()
        assertion = world.assertion()
        system = (await world.system(assertion)).json()
        await world.redeem(code)
    logged = "\n".join(
        record.getMessage() for record in caplog.records if "httpx" not in record.name
    )
    secrets = [
        code,
        answer["access_token"],
        answer["refresh_token"],
        again["access_token"],
        again["refresh_token"],
        system["access_token"],
        assertion.split(".")[2],
    ]
    assert not [secret for secret in secrets if secret in logged]


async def test_lines_hold_known_events_and_fields_only(world):
    await world.token()
    await world.system()
    await world.redeem("x")
    await world.decide(await world.to_consent(), besluit="nee")
    for event, fields in world.lines:
        assert event in EVENTS
        assert fields.keys() <= FIELDS
        assert all(isinstance(value, str) for value in fields.values())


async def test_a_known_origin_may_call_and_read(world):
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    answer = await world.http.options("/oauth/token", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    answer = await post(world, b"", FORM | {"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://app.example.evil",
        "http://app.example",
        "https://app.example:444",
    ],
)
async def test_another_origin_gets_no_permission(world, origin):
    headers = {"origin": origin, "access-control-request-method": "POST"}
    answer = await world.http.options("/oauth/token", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    answer = await post(world, b"", FORM | {"origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/oauth/authorize",
            "/oauth/sign-in",
            "/oauth/consent",
            "/oauth/sessions",
            "/oauth/error",
        ),
        *("/oauth/passkeys", "/oauth/anything-new", "/mijn", "/mijn/apps", "/mijn/apps/stoppen"),
    ],
)
async def test_pages_have_no_cors(world, path):
    answer = await world.http.get(path, headers={"origin": "https://app.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/mijn/berichten", "/mijn/meldingen", "/oauth/userinfo"])
async def test_apps_in_a_browser_may_call_what_is_for_apps(world, path):
    answer = await world.http.get(path, headers={"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize(
    "issuer",
    ["http://pgo.example", "https://pgo.example/", "https://pgo.example?x", "pgo.example", ""],
)
def test_an_issuer_is_https_or_loopback(world, issuer):
    with pytest.raises(BadValue):
        replace(world.parts, issuer=issuer)
    assert isinstance(replace(world.parts, issuer="http://127.0.0.1:8000"), Parts)


async def test_without_the_development_page_nobody_signs_in(world):
    app = FastAPI()
    app.include_router(router(replace(world.parts, development_login=False)))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=world.ISSUER) as http:
        answer = await http.get("/oauth/authorize", params=world.asking())
        assert world.told(answer)["error"] == "temporarily_unavailable"
        form = world.hidden(await world.ask()) | {"persoon": "mia|"}
        http.cookies = world.http.cookies
        answer = await http.post("/oauth/sign-in", data=form)
        assert answer.status_code == 403


async def test_a10_a_server_behind_a_proxy_issues_tokens_over_plain_http(world):
    transport = httpx2.ASGITransport(app=world.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://10.0.0.7:8000") as http:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": world.assertion(),
        }
        assert (await http.post("/oauth/token", data=form)).status_code == 200


async def test_d12_stuck_sign_ins_do_not_hold_up_anybody_else(world):
    """With every thread of the grants held, reads by token and other threads go on."""
    token = (await world.token())["access_token"]
    release = asyncio.Event()

    async def stuck(client_id):
        await release.wait()

    registry_client, world.registry.client = world.registry.client, stuck
    waiting = [asyncio.create_task(world.redeem("x")) for _ in range(50)]
    await asyncio.sleep(0.2)
    await world.caller(token)
    await to_thread.run_sync(lambda: None, limiter=CapacityLimiter(1))
    await to_thread.run_sync(lambda: None)
    assert sum(not task.done() for task in waiting) == 50
    world.registry.client = registry_client
    release.set()
    await asyncio.gather(*waiting)


def test_what_people_read_is_short():
    told = lines(cap_of(("patient/*.cruds", "user/Observation.rs", "fhirUser", "offline_access")))
    assert told[0].scope == "patient/*.cruds"
    assert told[0].sentence == (
        "De app mag alles in het dossier lezen, toevoegen, wijzigen en wissen."
    )
    for line in told:
        for part in line.sentence.rstrip(".").split(". "):
            assert len(part.split()) <= 12


async def test_openapi_describes_the_addresses_of_apps(world):
    described = (await world.http.get("/openapi.json")).json()["paths"]
    assert {"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/authorize"} <= set(
        described
    )
    assert "requestBody" in described["/oauth/token"]["post"]


async def test_on_a_loopback_issuer_the_whole_way_works_without_tls(world):
    local = "http://127.0.0.1:8000"
    app = FastAPI()
    app.include_router(router(replace(world.parts, issuer=local)))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=local) as http:
        world.http, kept = http, world.http
        answer = await world.ask(aud=f"{local}/fhir/stu3/")
        assert answer.headers["set-cookie"].startswith("pgo-")
        assert "Secure" not in answer.headers["set-cookie"]
        page = await world.to_consent(aud=f"{local}/fhir/r4")
        fields = world.told(await world.decide(page))
        assert fields["iss"] == local
        assert (await world.redeem(fields["code"])).status_code == 200
        world.http = kept


async def test_a_crash_is_written_down_and_told_without_its_cause(world):
    async def crash(person):
        raise RuntimeError("geheim")

    code = await world.code()
    parts = replace(world.parts, dossiers_of=crash)
    app = FastAPI()
    answer_errors(app)
    app.include_router(router(parts))
    transport = httpx2.ASGITransport(app=Front(app, Settings()))
    async with httpx2.AsyncClient(transport=transport, base_url=world.ISSUER) as world.http:
        answer = await world.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert "geheim" not in answer.text
    assert world.lines[-1][1]["detail"] == "server_error"
