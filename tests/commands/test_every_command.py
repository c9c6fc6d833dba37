"""Every command that was promised is there, explains itself and offers one JSON value."""

from __future__ import annotations

import re

import pytest

COMMANDS = [
    *("serve", "demo", "import", "export", "token", "approve", "bench"),
    *("dossier create", "dossier list", "dossier show", "dossier reindex", "dossier erase"),
    *("app rotate", "keys sign", "backup", "restore"),
    *(f"{kind} {verb}" for kind in ("account", "app", "provider") for verb in ("add", "list")),
    *(f"{kind} disable" for kind in ("account", "app", "provider", "link")),
    *("account code", "account link", "account unlink", "account sign-out"),
    *("link add", "link list", "link code", "provider assert"),
    *("relation list", "relation verify", "relation reject", "death", "emergency"),
    *("programme end", "notices run"),
    *("succession activate", "succession settle"),
    *(f"profiles {verb}" for verb in ("add", "list", "remove", "check")),
    *("consent check", "consent explain", "audit verify", "keys make", "keys rotate"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_and_offers_json(pgo, command):
    said = pgo(*command.split(), "--help")
    assert said.code == 0
    assert f"Usage: pgo {command}" in said.out
    assert "--json" in said.out
    sentence = re.search(r"[A-Z][^│╭]{10,}?\.", said.out.partition(command)[2])
    assert sentence, "it says nothing about itself"


def test_the_list_of_commands_has_nothing_else(pgo):
    groups = {command.split()[0] for command in COMMANDS}
    listed = re.findall(r"^│ ([a-z]+)  ", pgo("--help").out, re.MULTILINE)
    assert set(listed) == groups


@pytest.mark.parametrize(
    "arguments",
    [
        ["lezen"],
        ["dossier", "remove"],
        ["dossier", "show"],
        ["token", "--dossier"],
        ["serve", "--port", "many"],
        ["import", "--dossier", "x", "--release", "r4"],
        ["keys", "rotate"],
    ],
    ids=" ".join,
)
def test_a_command_that_is_asked_wrongly_ends_with_two(pgo, arguments):
    said = pgo(*arguments)
    assert said.code == 2
    assert "Error" in said.err
    assert said.out == ""


@pytest.mark.parametrize("command", ["dossier show", "export --out new", "link list"])
def test_a_dossier_that_is_not_there_is_named_as_the_trouble(pgo, command):
    said = pgo(*command.split(), "--dossier", "0" * 32)
    assert (said.code, said.out) == (1, "")
    assert "--dossier: there is no such dossier; see: pgo dossier list" in said.err
    assert "0" * 32 not in said.err


def test_a_fault_in_the_program_says_where_and_never_what(pgo, monkeypatch):
    async def broken(_):
        raise RuntimeError("geheim 123456782")

    monkeypatch.setattr("pgo.commands.dossier.dossiers", broken)
    said = pgo("dossier", "list")
    assert said.code == 1
    assert "a fault in pgo itself" in said.err
    assert "RuntimeError" in said.err
    assert "geheim" not in said.err


def test_a_file_system_that_says_no_is_told_in_one_line(pgo, tmp_path):
    (tmp_path / "closed").write_text("a file, not a folder")
    said = pgo("keys", "make", tmp_path / "closed" / "pgo.key")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "closed" in said.err


def test_what_people_read_has_whole_ids_and_no_python(pgo, dossier):
    client = dossier()
    shown = pgo("dossier", "show", "--dossier", client).out
    assert re.search(r"│ r4 +│ Patient +│ 1 +│", shown)
    assert "{" not in shown
    verified = pgo("audit", "verify").out
    assert re.search(rf"│ {client} │ yes +│", verified)
    listed = pgo("account", "list").out
    assert re.search(r"│ p-jo +│ Jo Vos +│", listed)
    assert not re.search(r"\[\]|\{\}|True|False|None", listed + verified + shown)
