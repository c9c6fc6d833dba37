"""pgo account, app, provider, link: who and what is registered."""

from __future__ import annotations

import stat

import orjson
import pytest
from joserfc.jwk import ECKey

from pgo.store.contract import NotNext
from pgo.store.sqlite import SqliteStore

APP = (
    *("app", "add", "app-1", "--name", "Een App"),
    *("--redirect", "https://app.example/terug", "--scope", "patient/*.rs"),
)


def test_people_are_added_listed_and_disabled(pgo):
    added = pgo(
        *("account", "add", "p-1", "--name", "An [rood] Vos", "--birth", "1980-01-31"),
        *("--kind", "zorgverlener", "--org", "o-1", "--team", "t-1", "--json"),
    )
    assert added.json == {"account": "p-1"}
    (row,) = pgo("account", "list", "--json").json
    assert (row["name"], row["orgs"], row["disabled"]) == ("An [rood] Vos", ["o-1"], False)
    assert "[rood]" in pgo("account", "list").out
    assert pgo("account", "disable", "p-1", "--json").json == {"disabled": "p-1"}
    assert pgo("account", "list", "--json").json[0]["disabled"]


def test_a_disabled_person_is_refused_with_the_tokens_he_has(pgo, dossier, ask):
    client = dossier()
    arguments = ("token", "--dossier", client, "--scope", "patient/*.rs", "--json")
    token = pgo(*arguments).json["access_token"]
    assert ask("/fhir/r4/Patient/p1", token).status_code == 200
    assert pgo("account", "disable", "p-jo").code == 0
    assert ask("/fhir/r4/Patient/p1", token).status_code == 401
    assert pgo(*arguments).code == 1


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["account", "add", "p-1", "--name", "An", "--kind", "koning"], "account"),
        (["account", "add", "p-1", "--name", "An", "--birth", "31-01-1980"], "--birth.birth"),
        (["account", "disable", "niemand"], ""),
        (["account", "add", "999990019", "--name", "Jo"], "a BSN is kept nowhere"),
        (["account", "add", "p-jo", "--name", "Jo 999990019"], "a BSN is kept nowhere"),
        (["app", "disable", "niets"], ""),
        (["provider", "disable", "niets"], ""),
        (["app", "add", "a", *APP[3:6], "http://app.example/", *APP[7:]], "redirect_uris"),
        (["app", "add", "a", *APP[3:], "--origin", "app.example"], "origins"),
        (
            ["provider", "add", "o", "--name", "O", "--client-id", "s", "--jwks", "no.json"],
            "no.json",
        ),
        (["link", "list", "--dossier", "x"], "--dossier"),
        (["link", "add", "--code", "a-b", "--provider", "niets"], "--provider"),
    ],
    ids=lambda each: " ".join(each[:2]) if isinstance(each, list) else each or "nobody",
)
def test_what_cannot_be_registered_is_told_with_its_place(pgo, arguments, place):
    said = pgo(*arguments)
    assert (said.code, said.out) == (1, "")
    assert place in said.err


def test_apps_are_added_listed_and_disabled(pgo):
    assert pgo(*APP, "--json").json == {"app": "app-1"}
    (row,) = pgo("app", "list", "--json").json
    assert row["redirect_uris"] == ["https://app.example/terug"]
    assert "jwks" not in row
    assert pgo("app", "disable", "app-1", "--json").json == {"disabled": "app-1"}
    assert pgo("app", "list", "--json").json[0]["disabled"]
    clash = pgo("provider", "add", "o-1", "--name", "O", "--client-id", "app-1", "--make-key", "k")
    assert clash.code == 1


def keys(path, kid):
    made = ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256"})
    path.write_bytes(orjson.dumps({"keys": [made.as_dict(private=False)]}))
    return path


def test_an_app_with_the_strict_profile_gets_new_keys(pgo, tmp_path):
    strict = ("app", "add", "app-2", *APP[3:], "--profile", "fapi", "--algorithm", "ES256")
    assert "profile" in pgo(*strict).err
    assert pgo(*strict, "--jwks", keys(tmp_path / "one", "k1")).code == 0
    (row,) = pgo("app", "list", "--json").json
    assert (row["profile"], row["confidential"]) == ("fapi", True)
    turn = ("app", "rotate", "app-2", "--json")
    second = keys(tmp_path / "two", "k2")
    done = {"rotated": "app-2", "tokens_ended": False}
    assert pgo(*turn, "--jwks", second).json == done
    assert pgo(*turn, "--jwks", second, "--leaked").json == done | {"tokens_ended": True}
    assert pgo(*turn, "--jwks-uri", "https://app.example/keys").json == done
    assert pgo("app", "list", "--json").json[0]["jwks_uri"] == "https://app.example/keys"
    assert pgo(*turn).code == 2
    assert "jwks_uri" in pgo(*turn, "--jwks-uri", "http://app.example/keys").err
    assert "no such app" in pgo("app", "rotate", "niets", "--jwks", second).err


def test_a_public_app_has_no_keys_to_replace(pgo, tmp_path):
    assert pgo(*APP).code == 0
    said = pgo("app", "rotate", "app-1", "--jwks", keys(tmp_path / "one", "k1"))
    assert (said.code, said.out) == (1, "")
    assert "has no keys" in said.err


def test_a_resource_server_is_an_app_without_redirect_address(pgo, tmp_path):
    add = ("app", "add", "server-1", "--name", "Server", "--jwks", keys(tmp_path / "one", "k1"))
    assert "--redirect" in pgo(*add).err
    assert pgo(*add, "--introspects").code == 0


def test_a_search_restriction_must_be_a_search(pgo):
    scope = ("--scope", "patient/Observation.rs?category=x patient/Observation.rs?nonsense=x")
    said = pgo(*APP[:-2], *scope)
    assert "--scope" in said.err
    assert pgo(*APP[:-2], scope[0], scope[1].split()[0]).code == 0


def test_a_provider_gets_a_key_that_only_he_can_read(pgo, tmp_path):
    key = tmp_path / "o-1.json"
    add = ("provider", "add", "o-1", "--name", "De Linde", "--client-id", "sys-1")
    assert pgo(*add, "--make-key", key, "--json").json["client_id"] == "sys-1"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    said = pgo(*add, "--make-key", key)
    assert said.code == 1
    assert "--make-key" in said.err
    assert key.read_bytes() == before
    assert pgo("provider", "list", "--json").json[0]["name"] == "De Linde"
    assert orjson.loads(before)["d"] not in pgo("provider", "list", "--json").out
    assert pgo(*add).code == 2
    assert pgo("provider", "disable", "sys-1", "--json").json == {"disabled": "sys-1"}


def test_a_link_is_made_with_the_familys_code_once_and_can_be_ended(pgo, dossier, tmp_path):
    client = dossier()
    for org in ("o-1", "o-2"):
        add = ("provider", "add", org, "--name", org, "--client-id", f"sys-{org}")
        pgo(*add, "--make-key", tmp_path / org)
    code = pgo("link", "code", "--dossier", client, "--as", "p-jo", "--json").json["code"]
    add = ("link", "add", "--code", code, "--json", "--provider")
    assert pgo(*add, "sys-o-1").json == {"dossier": client}
    assert pgo(*add, "sys-o-2").code == 1
    linked = pgo("link", "list", "--dossier", client, "--json").json
    assert [(one["to_who"], one["status"]) for one in linked] == [("org:o-1", "")]
    end = ("link", "disable", "--dossier", client, "--organisation")
    assert pgo(*end, "o-1").code == 0
    (ended,) = pgo("link", "list", "--dossier", client, "--json").json
    assert ended["status"] == "inactive"
    assert "there is no such link" in pgo(*end, "o-2").err


def test_only_who_holds_the_reins_gets_a_code(pgo, dossier):
    client = dossier()
    pgo("account", "add", "p-vreemd", "--name", "Vreemde")
    for person in ("p-vreemd", "p-nergens"):
        said = pgo("link", "code", "--dossier", client, "--as", person)
        assert said.code == 1
        assert "Jo" not in said.err


def test_an_operator_who_comes_second_tries_again(pgo, dossier, tmp_path, monkeypatch):
    client = dossier()
    pgo("provider", "add", "o-1", "--name", "O", "--client-id", "sys-1", "--make-key", "k")
    code = pgo("link", "code", "--dossier", client, "--as", "p-jo", "--json").json["code"]
    pgo("link", "add", "--code", code, "--provider", "sys-1")
    append, first = SqliteStore.append, []

    async def late(store, client, commit):
        if not first:
            first.append(commit.n)
            raise NotNext
        await append(store, client, commit)

    monkeypatch.setattr(SqliteStore, "append", late)
    end = ("link", "disable", "--dossier", client, "--organisation", "o-1")
    assert pgo(*end).code == 0
    assert first
    assert pgo("link", "list", "--dossier", client, "--json").json[0]["status"] == "inactive"
