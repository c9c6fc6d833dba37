"""`pgo dossier erase`: asked twice, under strict by two operators, and never half."""

from __future__ import annotations

import pytest

REASON = "klacht 2026-14 van de familie"


def arguments(client, *more):
    return ("dossier", "erase", "--dossier", client, "--json", *more)


def test_nobody_who_can_say_yes_is_there(pgo, dossier):
    client = dossier()
    said = pgo(*arguments(client, "--reason", REASON))
    assert (said.code, said.out) == (1, "")
    assert "--yes: nobody is here to ask" in said.err
    assert pgo("dossier", "show", "--dossier", client).code == 0


def test_it_is_erased_once_and_says_so(pgo, dossier, tmp_path):
    client = dossier()
    told = pgo(*arguments(client, "--yes", "--reason", REASON)).json
    assert (told["dossier"], told["reason"], told["second"]) == (client, REASON, "")
    assert (tmp_path / "var" / "pgo.erased").read_text().startswith(f"{client} ")
    for command in (("dossier", "show"), ("link", "list"), ("export", "--out", "out")):
        said = pgo(*command, "--dossier", client)
        assert said.code == 1
        assert "--dossier: this dossier was erased" in said.err
    assert not (tmp_path / "out").exists()
    assert pgo("dossier", "reindex", "--json").json == []


@pytest.mark.parametrize("reason", ["", "omdat", " " * 20])
def test_it_needs_a_reason(pgo, dossier, reason):
    said = pgo(*arguments(dossier(), "--yes", "--reason", reason))
    assert (said.code, "--reason: give a reason" in said.err) == (1, True)


def test_a_dossier_that_never_was_is_named(pgo, dossier):
    dossier()
    said = pgo(*arguments("0" * 32, "--yes", "--reason", REASON))
    assert (said.code, "there is no such dossier" in said.err) == (1, True)
    said = pgo("audit", "verify", "--dossier", "nergens")
    assert (said.code, "there is no such dossier" in said.err) == (1, True)


def test_strict_asks_for_two_operators(strict, dossier):
    client = dossier(strict)
    alone = strict(*arguments(client, "--yes", "--reason", REASON, "--operator", "ria"))
    assert (alone.code, "pgo approve --for dossier-erase" in alone.err) == (1, True)
    approval = ("--for", "dossier-erase", "--operator", "bas", "--reason", REASON)
    code = strict("approve", "--dossier", client, *approval, "--json").json["approval"]
    told = strict(*arguments(client, "--yes", "--operator", "ria", "--approval", code)).json
    assert (told["first"], told["second"], told["reason"]) == ("ria", "bas", REASON)
    assert strict("audit", "verify", "--dossier", client).code == 0


def test_keys_of_what_was_erased_are_rotated_too(pgo, dossier, tmp_path, monkeypatch):
    client = dossier()
    pgo(*arguments(client, "--yes", "--reason", REASON))
    assert pgo("keys", "make", "new.key").code == 0
    assert pgo("keys", "rotate", "new.key").code == 0
    monkeypatch.setenv("PGO_KEY_FILE", str(tmp_path / "new.key"))
    assert pgo("audit", "verify", "--dossier", client).code == 0
