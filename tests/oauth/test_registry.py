"""What is registered: sealed, sound, changed by several at once without losing anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pgo.dossier.seal import Box
from pgo.errors import BadValue, Conflict, Incident, InvalidScope, NotFound
from pgo.oauth.clients import matches_redirect
from pgo.registry import Account, App, Organisation, Provider, Registry

HTTPS = ("https://a.example/cb",)


async def test_everything_comes_back_as_it_was_kept(world):
    noor = Account(
        "noor2", "Noor", birth="1975", kind="zorgverlener", orgs=("a", "b"), teams=("t",),
        roles={"a": "huisarts"}, loa="hoog", demo=True,
    )  # fmt: skip
    await world.registry.keep_account(noor)
    assert await world.registry.account("noor2") == noor
    assert [account.id for account in await world.registry.accounts()] == [
        "kim", "mia", "noor", "noor2", "tom",
    ]  # fmt: skip
    team = Organisation("o", "Org", {"t": "Team"})
    await world.registry.keep_organisation(team)
    assert await world.registry.organisation("o") == team
    assert (await world.registry.provider("zuid-ecd")).name == "Zorg Zuid"
    assert [one.client_id for one in await world.registry.providers_of("zuid")] == ["zuid-ecd"]
    assert {app.client_id for app in await world.registry.apps()} == {
        "app", "other", "sealed", "server", "strict",
    }  # fmt: skip
    assert [one.id for one in await world.registry.organisations()] == ["coophulp", "o"]


async def test_unknown_is_none(world):
    assert await world.registry.account("ghost") is None
    assert await world.registry.client("ghost") is None
    with pytest.raises(NotFound):
        await world.registry.change(Account, "ghost", lambda account: account)


async def test_edits_at_the_same_time_all_land(world):
    async def join(org):
        await world.registry.change(Account, "tom", lambda tom: replace(tom, orgs=(*tom.orgs, org)))

    await asyncio.gather(*(join(f"o{n}") for n in range(8)))
    assert set((await world.registry.account("tom")).orgs) == {f"o{n}" for n in range(8)}


async def test_a_change_in_another_worker_is_seen_at_once(world):
    other = Registry(world.store, world.box)
    assert (await world.registry.account("mia")).name == "Mia"
    await other.keep_account(Account("mia", "Maria"))
    assert (await world.registry.account("mia")).name == "Maria"


async def test_an_entry_moved_to_another_key_does_not_open(world):
    sealed = await world.store.lookup("account", "noor")
    await world.store.register("account", "eve", sealed)
    with pytest.raises(Incident):
        await world.registry.account("eve")


async def test_another_key_opens_nothing(world):
    with pytest.raises(Incident):
        await Registry(world.store, Box(b"x" * 32)).account("mia")


async def test_an_app_and_a_system_never_share_a_client_id(world):
    with pytest.raises(Conflict):
        await world.registry.keep_app(App("zuid-ecd", "X", HTTPS))
    with pytest.raises(Conflict):
        await world.registry.keep_provider(Provider("zuid", "X", "app", world.public("ES256")))


REDIRECTS = [
    "http://a.example/cb",
    "https://user@a.example/cb",
    "https://user:pw@a.example/cb",
    "http://localhost:80@evil.example/cb",
    "https://a.example\\@evil.example/cb",
    "https://a.example/cb#frag",
    "https://a.example./cb",
    "https://-a.example/cb",
    "https://é.example/cb",
    "https://a.example/../cb",
    "https://a.example/%2e%2e/cb",
    "https://a..example/cb",
    "https://a.example:x/cb",
    "https://a.example:/cb",
    "https://A.example/cb",
    "https:///cb",
    "//a.example/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "myapp://cb",
    "https://a.example/c b",
    "https://a.example/\ncb",
    "https://*.example/cb",
    "",
    "https://[::1]:x/cb",
]


@pytest.mark.parametrize("uri", REDIRECTS)
def test_an_unsound_redirect_address_cannot_be_registered(uri):
    with pytest.raises(BadValue):
        App("a", "A", (uri,))


@pytest.mark.parametrize(
    "uri",
    [
        "https://a.example/cb",
        "https://a.example:8443/cb?x=1",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:8080/",
        "http://[::1]/cb",
        "http://localhost:3000/cb",
        "nl.example.app:/cb",
    ],
)
def test_a_sound_redirect_address_can_be_registered_and_matches_itself(uri):
    app = App("a", "A", (uri,))
    assert matches_redirect(uri, app.redirect_uris)


@pytest.mark.parametrize(
    ("asked", "registered", "same"),
    [
        ("http://127.0.0.1:4711/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]:4711/cb", "http://[::1]:80/cb", True),
        ("http://[::1]:4711/cb", "http://127.0.0.1/cb", False),
        ("http://localhost:4711/cb", "http://localhost:3000/cb", False),
        ("https://127.0.0.1:4711/cb", "https://127.0.0.1/cb", False),
        ("http://127.0.0.1:4711/other", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:4711/cb?x=1", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:4711@evil.example/cb", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:99999/cb", "http://127.0.0.1/cb", False),
    ],
)
def test_only_the_port_on_loopback_may_differ(asked, registered, same):
    assert matches_redirect(asked, [registered]) is same


@pytest.mark.parametrize(
    "origin",
    [
        "*", "null", "https://a.example/", "https://a.example/x", "http://a.example",
        "https://A.example", "https://*.a.example", "https://u@a.example", "a.example", "",
    ],
)  # fmt: skip
def test_an_unsound_origin_cannot_be_registered(origin):
    with pytest.raises(BadValue):
        App("a", "A", HTTPS, origins=(origin,))


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "pgo-token"},
        {"client_id": ""},
        {"client_id": "a b"},
        {"client_id": "a|b"},
        {"name": " "},
        {"grants": ("password",)},
        {"grants": ("client_credentials",)},
        {"profile": "fapi"},
        {"purpose": "ETREAT"},
        {"redirect_uris": ()},
        {"algorithms": ("HS256",)},
        {"algorithms": ()},
        {"introspects": True},
        {"jwks": {}},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "EC", "crv": "P-256"}]}},
        {"jwks": {"keys": [{"kty": "oct", "kid": "1", "k": "AAAA"}]}},
    ],
    ids=str,
)
def test_an_unsound_app_cannot_be_registered(changes):
    with pytest.raises(BadValue):
        App(**({"client_id": "a", "name": "A", "redirect_uris": HTTPS} | changes))


def test_private_short_or_doubled_keys_cannot_be_registered(world):
    private = {"keys": [world.KEYS["ES256"].as_dict(private=True)]}
    short = {"keys": [{"kty": "RSA", "kid": "s", "e": "AQAB", "n": "A" * 171}]}
    doubled = {"keys": world.public("ES256")["keys"] * 2}
    for jwks in (private, short, doubled):
        with pytest.raises(BadValue):
            Provider("z", "Z", "z", jwks)


def test_a_malformed_scope_cannot_be_registered(world):
    with pytest.raises(InvalidScope):
        App("a", "A", HTTPS, scopes=("patient/x",))
    with pytest.raises(BadValue):
        Provider("z", "Z", "z", world.public("ES256"), scopes=("user/*.rs",))


@pytest.mark.parametrize("changes", [{"id": ""}, {"name": ""}, {"kind": "baas"}, {"loa": "x"}])
def test_an_unsound_account_cannot_be_registered(changes):
    with pytest.raises(BadValue):
        Account(**({"id": "a", "name": "A"} | changes))
