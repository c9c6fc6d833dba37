"""Every address of the server in one snapshot, with its guard; anything new must be added."""

from __future__ import annotations

import itertools

import httpx2
import pytest
import pytest_asyncio

from pgo.app import build
from pgo.fhir import endpoint, operations
from pgo.fhir.address import read_address
from pgo.keyfile import make_key
from pgo.medmij.address import read_place
from pgo.medmij.services import catalogue
from pgo.settings import load

OPEN = "open: says nothing about anybody"
CLIENT = "client authentication or single-use secret"
PERSON = "a sign-in of a person, bound to his browser"
SESSION = "a session of a person; a form needs the token of that session"
TOKEN = "access token, with a proof of its key when it is bound to one"

ROUTES = {
    "GET /.well-known/oauth-authorization-server": OPEN,
    "GET /.well-known/openid-configuration": OPEN,
    "GET /dossiers": TOKEN,
    "GET /dossiers/{client}/$mag": TOKEN,
    "GET /dossiers/{client}/$wie-keek": TOKEN,
    "GET /dossiers/{client}/$wie-mag": TOKEN,
    "GET /dossiers/{client}/toestemmingen": TOKEN,
    "GET /dossiers/{client}/noodtoegang": TOKEN,
    "GET /dossiers/{client}/uitnodigingen": TOKEN,
    "GET /dossiers/{client}/verzoeken": TOKEN,
    "GET /dossiers/{client}/voorstellen": TOKEN,
    "GET /keuzes": TOKEN,
    "POST /dossiers/{client}/noodtoegang/{use}/beoordelen": TOKEN,
    "POST /dossiers/{client}/opvolger": TOKEN,
    "POST /dossiers/{client}/opvolging/betwisten": TOKEN,
    "POST /dossiers/{client}/relaties/{relation}/bevestigen": TOKEN,
    "POST /dossiers/{client}/toestemmingen/{grant}/afwijzen": TOKEN,
    "POST /dossiers/{client}/toestemmingen/{grant}/bevestigen": TOKEN,
    "POST /dossiers/{client}/toestemmingen/{grant}/instemmen": TOKEN,
    "POST /dossiers/{client}/toestemmingen/{grant}/waakvlam": TOKEN,
    "POST /dossiers/{client}/toestemmingen/{grant}/wekken": TOKEN,
    "POST /dossiers/{client}/uitnodigingen": TOKEN,
    "POST /dossiers/{client}/uitnodigingen/{invite}/intrekken": TOKEN,
    "POST /dossiers/{client}/verzoeken/{verzoek}/afwijzen": TOKEN,
    "POST /dossiers/{client}/verzoeken/{verzoek}/toestaan": TOKEN,
    "POST /dossiers/{client}/voorstellen/{voorstel}/afwijzen": TOKEN,
    "POST /dossiers/{client}/voorstellen/{voorstel}/instemmen": TOKEN,
    "POST /dossiers/{client}/waarnemingen": TOKEN,
    "POST /uitnodigingen/aannemen": TOKEN,
    "POST /uitnodigingen/bekijken": TOKEN,
    "POST /uitnodigingen/weigeren": TOKEN,
    "POST /vertegenwoordiging": TOKEN,
    "POST /verzoeken": TOKEN,
    "PUT /teams/{team}": TOKEN,
    "GET /dossiers/{client}/berichten": TOKEN,
    "GET /mijn/berichten": TOKEN,
    "GET /mijn/meldingen": TOKEN,
    "PUT /mijn/meldingen": TOKEN,
    "POST /mijn/meldingen/bevestigen": TOKEN,
    "GET /oauth/authorize": PERSON,
    "GET /oauth/consent": PERSON,
    "GET /oauth/jwks": OPEN,
    "GET /oauth/error": OPEN,
    "GET /oauth/pictograms.svg": OPEN,
    "GET /oauth/back-{provider_name}": PERSON,
    "GET /oauth/link": PERSON,
    "GET /oauth/out-{provider_name}": OPEN,
    "GET /oauth/passkey": PERSON,
    "GET /oauth/passkey.js": OPEN,
    "GET /oauth/passkeys": SESSION,
    "GET /oauth/recover": PERSON,
    "GET /oauth/role": PERSON,
    "GET /oauth/sessions": SESSION,
    "GET /oauth/sign-in": PERSON,
    "GET /oauth/signed-out": OPEN,
    "GET /oauth/style.css": OPEN,
    "GET /oauth/to-{provider_name}": PERSON,
    "GET /oauth/userinfo": TOKEN,
    "GET /mijn": PERSON,
    "GET /mijn/apps": PERSON,
    "POST /mijn/apps/stoppen": PERSON,
    "GET /openapi.json": OPEN,
    "POST /dossiers/{client}/koppelcodes": TOKEN,
    "POST /dossiers/{client}/relaties": TOKEN,
    "POST /dossiers/{client}/relaties/{relation}/beeindigen": TOKEN,
    "POST /dossiers/{client}/toestemmingen": TOKEN,
    "POST /dossiers/{client}/toestemmingen/{grant}/intrekken": TOKEN,
    "POST /dossiers/{client}/zegels": TOKEN,
    "POST /koppelingen": TOKEN,
    "POST /oauth/consent": PERSON,
    "POST /oauth/introspect": CLIENT,
    "POST /oauth/par": CLIENT,
    "POST /oauth/revoke": CLIENT,
    "POST /oauth/link": PERSON,
    "POST /oauth/passkey": PERSON,
    "POST /oauth/passkeys": SESSION,
    "POST /oauth/passkeys-remove": SESSION,
    "POST /oauth/recover": PERSON,
    "POST /oauth/recovery": SESSION,
    "POST /oauth/role": PERSON,
    "POST /oauth/sessions": SESSION,
    "POST /oauth/sign-in": PERSON,
    "POST /oauth/sign-out": SESSION,
    "POST /oauth/token": CLIENT,
    "POST /oauth/userinfo": TOKEN,
}
FHIR = [
    ("GET", "/metadata", OPEN),
    ("GET", "/.well-known/smart-configuration", OPEN),
    ("POST", "", TOKEN),
    ("GET", "/_history", TOKEN),
    ("GET", "/$export", TOKEN),
    ("POST", "/$export", TOKEN),
    ("GET", "/$export/{job}", TOKEN),
    ("DELETE", "/$export/{job}", TOKEN),
    ("GET", "/$export/{job}/0", TOKEN),
    ("GET", "/$mag", TOKEN),
    ("GET", "/$meta", TOKEN),
    ("GET", "/$wie-keek", TOKEN),
    ("GET", "/$wie-mag", TOKEN),
    ("GET", "/MedicationRequest/$latest-stops", TOKEN),
    ("GET", "/Observation/$lastn", TOKEN),
    ("GET", "/Observation/$meta", TOKEN),
    ("GET", "/Patient/$export", TOKEN),
    ("GET", "/Patient/1/$export", TOKEN),
    ("POST", "/Patient/$everything", TOKEN),
    ("GET", "/Patient/1/$everything", TOKEN),
    ("POST", "/Patient/$summary", TOKEN),
    ("GET", "/Patient/1/$summary", TOKEN),
    ("GET", "/Observation/1/$meta", TOKEN),
    ("POST", "/Observation/$validate", TOKEN),
    ("POST", "/Observation/1/$validate", TOKEN),
    ("GET", "/Observation", TOKEN),
    ("POST", "/Observation", TOKEN),
    ("PUT", "/Observation", TOKEN),
    ("PATCH", "/Observation", TOKEN),
    ("DELETE", "/Observation", TOKEN),
    ("POST", "/Observation/_search", TOKEN),
    ("GET", "/Observation/_history", TOKEN),
    ("GET", "/Patient/1/Observation", TOKEN),
    ("POST", "/Patient/1/Observation/_search", TOKEN),
    ("GET", "/Observation/1", TOKEN),
    ("PUT", "/Observation/1", TOKEN),
    ("PATCH", "/Observation/1", TOKEN),
    ("DELETE", "/Observation/1", TOKEN),
    ("GET", "/Observation/1/_history", TOKEN),
    ("GET", "/Observation/1/_history/1", TOKEN),
]
EXCHANGE = [
    ("GET", "/metadata", OPEN),
    ("GET", "/Observation", TOKEN),
    ("POST", "/Observation/_search", TOKEN),
    ("GET", "/Observation/1", TOKEN),
    ("GET", "/Observation/$lastn", TOKEN),
]
BESIDE = ["/health/live", "/health/ready", "/metrics"]
JOB = "0" * 32

pytestmark = pytest.mark.asyncio(loop_scope="module")
_callers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    """One server for all these tests: nobody gets in, so nothing changes."""
    folder = tmp_path_factory.mktemp("routes")
    make_key(folder / "key", development=True)
    settings = load(
        store=f"sqlite:///{folder}/pgo.db", key_file=folder / "key", development_login=True
    )
    server = build(settings)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def http(running):
    """Somebody from a network of his own: who is refused often from one network has to wait."""
    transport = httpx2.ASGITransport(app=running, client=(f"198.18.{next(_callers) % 256}.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def test_the_addresses_outside_fhir_are_exactly_these(running):
    found = {
        f"{method} {route.path}"
        for route in _flat(running.pages().routes)
        for method in route.methods - {"HEAD"}
    }
    assert found == set(ROUTES)


async def test_openapi_is_about_every_address_that_is_not_fhir_nor_a_page(http):
    paths = (await http.get("/openapi.json")).json()["paths"]
    told = {f"{method.upper()} {path}": one for path, each in paths.items()
            for method, one in each.items()}  # fmt: skip
    for_apps = {route for route, guard in ROUTES.items() if guard in {TOKEN, CLIENT}}
    beside = {"GET /health/live", "GET /health/ready", "GET /metrics"}
    open_ = {route for route, guard in ROUTES.items() if guard == OPEN and "/.well-known/" in route}
    twice = {"POST /oauth/userinfo"}
    missing = (for_apps | beside | open_) - set(told) - twice
    assert missing == set()
    for route, one in told.items():
        assert one["summary"], route
        assert bool(one["security"]) is (ROUTES.get(route) == TOKEN), route


def _flat(routes):
    """Routes of routers that were included, too."""
    for route in routes:
        router = getattr(route, "original_router", None)
        yield from _flat(router.routes) if router is not None else [route]


@pytest.mark.parametrize("route", [route for route, guard in ROUTES.items() if guard == TOKEN])
async def test_a_route_that_needs_a_token_says_401_without_one(http, route):
    method, _, path = route.partition(" ")
    filled = path.format(
        client="a" * 32, grant="g-1", relation="r-1", invite="u", verzoek="v", use="n", team="t",
        voorstel="w",
    )  # fmt: skip
    answer = await http.request(method, filled, json={"code": "x"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", [route for route, guard in ROUTES.items() if guard == SESSION])
async def test_a_page_of_somebody_sends_others_to_sign_in(http, route):
    method, _, path = route.partition(" ")
    answer = await http.request(method, path, data={"form": "x"} if method == "POST" else None)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("sign-in?next=")


@pytest.mark.parametrize("route", [route for route, guard in ROUTES.items() if guard == PERSON])
async def test_a_step_of_nobody_shows_nothing_about_anybody(http, route):
    method, _, path = route.partition(" ")
    filled = f"{path.format(provider_name='x')}?flow={'f' * 43}"
    asked = filled if method == "GET" else path
    answer = await http.request(
        method, asked, data={"flow": "f" * 43} if method == "POST" else None
    )
    assert answer.status_code in {303, 400, 403, 404}, answer.text
    if answer.status_code == 303:
        assert "sign-in?next=" in answer.headers["location"]
    assert not [name for name in answer.headers if name == "set-cookie"]


@pytest.mark.parametrize("route", [route for route, guard in ROUTES.items() if guard == CLIENT])
async def test_who_proves_nothing_gets_nothing(http, route):
    method, _, path = route.partition(" ")
    forms = [
        {"grant_type": "client_credentials", "token": "x", "client_id": "nobody"},
        {"grant_type": "authorization_code", "code": "x" * 43, "client_id": "nobody"},
        {"grant_type": "refresh_token", "refresh_token": "x" * 43},
    ]
    for form in forms:
        answer = await http.request(method, path, data=form)
        assert (answer.status_code, answer.json()["error"]) in {
            (400, "invalid_grant"), (401, "invalid_client"),
        }, answer.text  # fmt: skip


@pytest.mark.parametrize("route", [route for route, guard in ROUTES.items() if guard == OPEN])
async def test_what_is_open_is_the_same_for_everybody(http, route):
    method, _, path = route.partition(" ")
    headers = {"Authorization": "Bearer x", "Cookie": "pgo-session=x; __Host-pgo-session=x"}
    bare, dressed = [await http.request(method, path, headers=more) for more in ({}, headers)]
    assert (bare.status_code, bare.content) == (dressed.status_code, dressed.content)
    assert "set-cookie" not in bare.headers
    nothing = path == "/oauth/error" or "{" in path  # of no fault, and no provider
    assert bare.status_code == (404 if nothing else 200)


@pytest.mark.parametrize("path", BESIDE)
async def test_what_stands_beside_is_open_and_names_nobody(http, path):
    answer = await http.get(path)
    assert answer.status_code == 200
    assert (await http.post(path)).status_code == 405


async def test_any_other_address_is_none(http):
    for path in ("/", "/fhir", "/fhir/r5/Patient", "/dossiers/x/y", "/oauth", "/health", "/x"):
        assert (await http.get(path)).status_code in {401, 404}, path


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/stu3", f"/dossiers/{'a' * 32}/fhir/r4"])
@pytest.mark.parametrize(("method", "path", "guard"), FHIR)
async def test_every_fhir_address_has_its_guard(http, base, method, path, guard):
    address = base + path.format(job=JOB)
    answer = await http.request(method, address, content=b"{}" if method == "PUT" else None)
    assert answer.status_code == (200 if guard == OPEN else 401)


@pytest.mark.parametrize("service", sorted(catalogue().offered))
@pytest.mark.parametrize(("method", "path", "guard"), EXCHANGE)
async def test_every_exchange_address_has_its_guard(http, service, method, path, guard):
    answer = await http.request(method, f"/medmij/{service}/fhir{path}")
    assert answer.status_code == (200 if guard == OPEN else 401)


async def test_every_fhir_interaction_is_in_the_snapshot():
    found = {
        read_address(method, "/fhir/r4" + path.format(job=JOB)).interaction
        for method, path, _ in FHIR
    }
    known = {*endpoint.offered(), *(one.name for one in operations.TABLE)}
    known |= {"capabilities", "smart", "bundle", "history-system"}
    assert found == known | {"$export-status", "$export-cancel", "$export-file"}


async def test_every_operation_is_in_the_snapshot_at_each_of_its_levels():
    found = {
        (at.interaction, "instance" if at.id else "type" if at.type else "system")
        for at in (read_address(m, "/fhir/r4" + path.format(job=JOB)) for m, path, _ in FHIR)
    }
    assert {(one.name, level) for one in operations.TABLE for level in one.levels} <= found


async def test_every_exchange_interaction_is_in_the_snapshot():
    found = {read_place(method, f"/medmij/48/fhir{path}").what for method, path, _ in EXCHANGE}
    assert found == {"capabilities", "search-type", "read", "$lastn"}
