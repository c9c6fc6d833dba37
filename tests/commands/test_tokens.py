"""pgo token, pgo provider assert, pgo consent, pgo audit verify."""

from __future__ import annotations

import base64
import sqlite3

import orjson
import pytest


def test_a_token_of_the_client_reads_and_is_written_down(pgo, dossier, ask):
    client = dossier()
    made = pgo("token", "--dossier", client, "--scope", "patient/*.rs", "--json").json
    assert (made["token_type"], made["scope"]) == ("Bearer", "patient/*.rs")
    assert 0 < made["expires_in"] <= 3600
    assert ask("/fhir/r4/Patient/p1", made["access_token"]).json()["name"] == [{"family": "Vos"}]
    plain = pgo("token", "--dossier", client, "--scope", "patient/*.rs").out.strip()
    assert ask("/fhir/r4/Patient/p1", plain).status_code == 200


def test_a_token_for_somebody_else_sees_only_what_he_may_see(pgo, dossier, ask):
    client = dossier()
    pgo("account", "add", "p-vreemd", "--name", "Vreemde")
    arguments = ("token", "--dossier", client, "--scope", "user/*.rs", "--as", "p-vreemd", "--json")
    token = pgo(*arguments).json["access_token"]
    assert ask("/fhir/r4/Patient/p1", token).status_code == 404


def test_a_token_for_a_service_has_no_scope(pgo, dossier):
    assert pgo("token", "--dossier", dossier(), "--service", "48", "--json").json["scope"] == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give a scope or a service"),
        (["--scope", "patient/*.rs", "--service", "48"], "Give a scope or a service"),
        (["--scope", "alles"], "scope"),
        (["--scope", "patient/*.rs", "--as", "niemand"], "no such person"),
        (["--scope", "patient/*.rs", "--as", "p-jo", "--org", "o-9"], "not a member"),
    ],
)
def test_a_token_that_cannot_be_made_is_told_why(pgo, dossier, arguments, told):
    said = pgo("token", "--dossier", dossier(), *arguments)
    assert (said.code, said.out) == (1, "")
    assert told in said.err


def test_a_client_without_account_is_told_to_name_somebody(pgo):
    client = pgo("dossier", "create", "--json").json["dossier"]
    said = pgo("token", "--dossier", client, "--scope", "patient/*.rs")
    assert said.code == 1
    assert "--as" in said.err


def test_a_client_without_account_gets_one_for_a_token_of_a_service(pgo):
    client = pgo("dossier", "create", "--json").json["dossier"]
    for _ in range(2):
        made = pgo("token", "--dossier", client, "--service", "61", "--json")
        assert made.json["access_token"]
    said = pgo("token", "--dossier", client, "--service", "nergens", "--json")
    assert said.code == 1
    assert "no such service" in said.err


def test_a_system_signs_an_assertion_with_its_own_key(pgo, tmp_path, file):
    key = tmp_path / "sys.json"
    add = ("provider", "add", "o-1", "--name", "O", "--client-id", "sys-1", "--make-key", key)
    assert pgo(*add).code == 0
    signed = pgo("provider", "assert", "--key", key, "--client-id", "sys-1", "--json").json
    head, claims, _ = signed["client_assertion"].split(".")
    assert orjson.loads(base64.urlsafe_b64decode(head + "=="))["kid"] == "sys-1"
    assert orjson.loads(base64.urlsafe_b64decode(claims + "=="))["sub"] == "sys-1"
    for content in ({"kty": "EC"}, {"kty": "oct", "k": "AAAA"}, ["x"], "{"):
        bad = file("bad.json", content)
        said = pgo("provider", "assert", "--key", bad, "--client-id", "sys-1")
        assert said.code == 1
        assert "bad.json: not a" in said.err


def test_tables_of_situations_are_checked(pgo, file):
    world = {"persons": {"p-1": {"birth": "1980-01-01"}}, "relations": [], "grants": []}
    request = {"actor": "p-1", "client": "p-1", "action": "lezen", "at": "2026-01-01T12:00:00Z"}
    request |= {"purpose": "PATRQT", "resource": {"category": "medicatie"}}
    case = {"id": "zelf", "request": request, "permit": True}
    good = file("good.json", {"world": world, "cases": [case]})
    bad = file("bad.json", {"world": world, "cases": [{**case, "permit": False}]})
    assert pgo("consent", "check", good).out == "1 passed, 0 failed\n"
    said = pgo("consent", "check", good, bad)
    assert said.code == 1
    assert said.out.splitlines()[-1] == "1 passed, 1 failed"
    assert "zelf" in said.out
    told = pgo("consent", "check", good, "--json").json
    assert told == {"failures": [], "passed": 1, "failed": 0}
    assert pgo("consent", "check", "nothing.json").code == 1


def test_a_grant_in_a_table_that_cannot_be_read_is_named(pgo, file):
    grant = {"id": "g-1", "client": "p-1", "by": "p-1", "effect": "permit", "to_who": "p-2"}
    world = {"persons": {"p-1": {}, "p-2": {}}, "grants": [{**grant, "aktions": ["lezen"]}]}
    request = {"actor": "p-2", "client": "p-1", "action": "lezen", "at": "2026-01-01T12:00:00Z"}
    request |= {"purpose": "PATRQT", "resource": {"category": "medicatie"}}
    table = file("t.json", {"world": world, "cases": [{"request": request, "permit": False}]})
    said = pgo("consent", "check", table)
    assert said.out == "1 passed, 0 failed\n"
    assert said.err.startswith("world.grants[0]: cannot be read, so this grant counts as a deny")


def test_a_decision_is_explained_in_plain_words(pgo, dossier):
    client = dossier()
    pgo("account", "add", "p-vreemd", "--name", "Vreemde")
    ask = ("consent", "explain", "--dossier", client, "--category", "medicatie")
    yes = pgo(*ask, "--as", "p-jo", "--action", "lezen", "--json").json
    assert (yes["permit"], yes["words"][0]) == (True, "Dit mag.")
    no = pgo(*ask, "--as", "p-vreemd", "--action", "lezen", "--json").json
    assert (no["permit"], no["reason"]) == (False, "GEEN_TOESTEMMING")
    assert pgo(*ask, "--as", "p-vreemd", "--action", "lezen").out.startswith("Dit mag niet.\n")
    for wrong, place in ((["--as", "x", "--action", "lezen"], "--as"),
                         (["--as", "p-jo", "--action", "stelen"], "--action")):  # fmt: skip
        said = pgo(*ask, *wrong)
        assert said.code == 1
        assert f"{place}: " in said.err


def test_the_trail_of_every_dossier_is_verified(pgo, dossier):
    clients = {dossier(), dossier()}
    rows = pgo("audit", "verify", "--json").json
    assert {row["dossier"] for row in rows} == {"system", *clients}
    assert all(row["ok"] and row["lines"] for row in rows)
    (one,) = pgo("audit", "verify", "--dossier", min(clients), "--json").json
    assert one["ok"]
    assert pgo("audit", "verify", "--dossier", "niets").code == 1


def test_a_server_that_stops_anchors_what_it_wrote_to_the_second_place(
    pgo, dossier, ask, monkeypatch, tmp_path
):
    monkeypatch.setenv("PGO_AUDIT_ANCHOR", str(tmp_path / "anchor.log"))
    client = dossier()
    token = pgo("token", "--dossier", client, "--scope", "patient/*.rs", "--json").json
    assert ask("/fhir/r4/Patient/p1", token["access_token"]).status_code == 200
    assert (tmp_path / "anchor.log").read_bytes().count(b"\n") == 1
    (row,) = pgo("audit", "verify", "--dossier", client, "--json").json
    assert row["ok"]
    assert row["anchored"] == 1
    with sqlite3.connect(tmp_path / "data" / "pgo.db-trail") as db:
        cut = "DELETE FROM lines WHERE client = ? AND writer <> 'log'"
        db.execute(cut, (client,))
    db.close()
    said = pgo("audit", "verify", "--dossier", client)
    assert said.code == 1
    assert "was anchored at" in said.out.replace("\n", " ")


def test_a_changed_line_is_found_and_the_command_fails(pgo, dossier, tmp_path):
    client = dossier()
    with sqlite3.connect(tmp_path / "data" / "pgo.db") as db:
        db.execute("UPDATE lines SET at = at + 1 WHERE client = ? AND seq = 2", (client,))
    db.close()
    said = pgo("audit", "verify", "--dossier", client, "--json")
    assert said.code == 1
    (row,) = orjson.loads(said.out)
    assert not row["ok"]
    assert row["findings"]


def test_every_command_on_a_dossier_leaves_its_line_for_the_client(pgo, dossier, ask, tmp_path):
    client = dossier()
    pgo("dossier", "show", "--dossier", client)
    explain = ("consent", "explain", "--dossier", client, "--category", "medicatie")
    pgo(*explain, "--as", "p-jo", "--action", "lezen")
    pgo("link", "list", "--dossier", client)
    token = pgo("token", "--dossier", client, "--scope", "patient/*.rs", "--json").json
    pgo("export", "--dossier", client, "--out", tmp_path / "out")
    answer = ask(f"/dossiers/{client}/$wie-keek", token["access_token"])
    deeds = [one["zin"] for one in answer.json()["zinnen"]]
    for deed in ("maakte", "zette", "bekeek", "toegang", "kopie"):
        assert any(deed in each and "beheer" in each for each in deeds), (deed, deeds)
