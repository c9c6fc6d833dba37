"""Under strict, a command that reveals content needs a second operator; the client is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgo import house

REASON = "klacht 2026-14 van de familie"
COMMANDS = {
    "export": ["export", "--out", "out"],
    "dossier-show": ["dossier", "show"],
    "token": ["token", "--scope", "patient/*.rs"],
}


@pytest.fixture
def client(strict, dossier):
    return dossier(strict)


@pytest.fixture
def approved(strict, client):
    """Bas approves something; the code."""

    def approve(what, *, by="bas", of=client):
        arguments = ("approve", "--dossier", of, "--for", what, "--operator", by)
        return strict(*arguments, "--reason", REASON, "--json").json["approval"]

    return approve


@pytest.fixture
def reveal(strict, client):
    """Ria runs a command that reveals content, with a code or without."""

    def run(what, code="", *, by="ria", of=client):
        arguments = ["--dossier", of, "--operator", by, "--approval", code, "--json"]
        return strict(*COMMANDS[what], *arguments)

    return run


@pytest.mark.parametrize("what", COMMANDS)
def test_nothing_is_revealed_without_a_second_operator(strict, reveal, tmp_path, what):
    for code in ("", "0" * 16):
        said = reveal(what, code)
        assert (said.code, said.out) == (1, "")
        assert (
            f"--approval: a second operator must approve this first: pgo approve --for {what}"
            in (said.err)
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", COMMANDS)
def test_a_code_is_good_once(reveal, approved, what, monkeypatch, tmp_path):
    code = approved(what)
    assert reveal(what, code).json
    monkeypatch.setitem(COMMANDS, "export", ["export", "--out", "again"])
    assert reveal(what, code).code == 1
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("what", COMMANDS)
def test_the_client_is_told_who_looked_and_why(strict, client, reveal, approved, ask, what):
    assert reveal(what, approved(what)).code == 0
    token = reveal("token", approved("token")).json["access_token"]
    notices = ask(f"/dossiers/{client}/toestemmingen", token).json()["notice"]
    told = next(one for one in notices if one["what"] == what)
    assert (told["first"], told["second"], told["reason"]) == ("ria", "bas", REASON)
    sentences = [one["zin"] for one in ask(f"/dossiers/{client}/$wie-keek", token).json()["zinnen"]]
    assert any(each.startswith("Bas") for each in sentences)
    assert any(each.startswith("Ria") for each in sentences)


@pytest.mark.parametrize("what", COMMANDS)
def test_what_an_operator_tried_without_a_colleague_is_in_the_overview_of_the_client(
    client, reveal, approved, ask, what
):
    assert reveal(what).code == 1
    token = reveal("token", approved("token")).json["access_token"]
    sentences = [one["zin"] for one in ask(f"/dossiers/{client}/$wie-keek", token).json()["zinnen"]]
    assert any(each.startswith("Ria (beheerder) wilde") for each in sentences), sentences


def test_nobody_approves_his_own_command(reveal, approved):
    said = reveal("export", approved("export", by="ria"))
    assert said.code == 1
    assert "--approval: the second operator must be somebody else" in said.err


def test_a_code_is_for_one_command_and_one_dossier(reveal, approved, dossier, strict):
    other = dossier(strict)
    assert reveal("export", approved("token")).code == 1
    assert reveal("export", approved("export", of=other)).code == 1
    assert reveal("export", approved("export"), of=other).code == 1


def test_a_code_is_over_after_a_quarter_of_an_hour(reveal, approved, monkeypatch):
    good, late = approved("dossier-show"), approved("dossier-show")
    later = datetime.now(UTC) + timedelta(seconds=880)
    monkeypatch.setitem(house.open_house.__wrapped__.__kwdefaults__, "clock", lambda: later)
    assert reveal("dossier-show", good).code == 0
    monkeypatch.setitem(
        house.open_house.__wrapped__.__kwdefaults__, "clock", lambda: later + timedelta(seconds=30)
    )
    assert reveal("dossier-show", late).code == 1


def test_both_must_be_operators_at_the_moment_of_use(strict, client, reveal, approved):
    strict("account", "add", "an", "--name", "An")
    for by in ("an", "niemand"):
        said = strict(
            *("approve", "--dossier", client, "--for", "export", "--operator", by),
            *("--reason", REASON),
        )
        assert said.code == 1
        assert "--operator: not a registered operator" in said.err
    code = approved("export")
    assert reveal("export", code, by="an").code == 1
    strict("account", "disable", "bas")
    assert reveal("export", code).code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--for", "export", "--reason", "omdat"], "--reason: give a reason of at least 10"),
        (["--for", "export", "--reason", " " * 20], "--reason"),
        (["--for", "alles", "--reason", REASON], "--for: choose one of export dossier-show token"),
    ],
)
def test_an_approval_says_for_what_and_why(strict, client, arguments, told):
    said = strict("approve", "--dossier", client, "--operator", "bas", *arguments)
    assert (said.code, said.out) == (1, "")
    assert told in said.err


def test_the_reason_is_not_readable_in_the_store(strict, approved, tmp_path):
    approved("export")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert REASON.encode() not in kept


def test_without_strict_one_operator_is_enough(pgo, dossier):
    assert pgo("dossier", "show", "--dossier", dossier(), "--json").json["commits"] == 2
