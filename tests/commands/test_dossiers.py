"""pgo dossier, import, export: what an operator does with dossiers."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing

import orjson
import pytest

WEIGHT = {
    "resourceType": "Observation",
    "id": "w1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-03-01",
    "valueQuantity": {"value": 71.50, "unit": "kg"},
}
NOTE = """<Observation xmlns="http://hl7.org/fhir"><id value="x1"/><status value="final"/>
<code><text value="slaap"/></code><subject><reference value="Patient/p1"/></subject></Observation>
"""
ADDED = {"resourceType": "Basic", "id": "b1", "code": {"text": "lijst"}}
COLLECTION = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": {**WEIGHT, "id": "w2"}}, {"resource": {**WEIGHT, "id": "w3"}}],
}


def test_a_dossier_is_made_listed_and_described(pgo):
    client = pgo("dossier", "create", "--json").json["dossier"]
    assert pgo("dossier", "list", "--json").json == [{"dossier": client}]
    shown = pgo("dossier", "show", "--dossier", client, "--json").json
    assert shown["dossier"] == client
    assert shown["resources"] == []
    assert client in pgo("dossier", "list").out


def test_facts_that_cannot_be_read_are_named_and_nothing_is_made(pgo, file):
    for facts, place in (
        ({"birth": "volgende week"}, "subject.birth"),
        ({"curatele": "ja"}, "subject.curatele"),
        ({"birht": "2016-04-01"}, "subject"),
        ({"name": "Jo, 999990019"}, "subject.name"),
        ({"relations": [{"person": "mia", "kind": "oma"}]}, "relations[0].kind"),
        ({"relations": [{"person": "mia", "kind": "ouder", "gezga": True}]}, "relations[0]"),
        ({"relations": [{"person": "mo", "kind": "mentor"}]}, "relations[0].order"),
        ({"relations": [{"person": "p-an"}]}, "relations[0].kind"),
        ({"relations": "geen"}, "relations"),
        (["geen", "object"], "facts.json"),
        ("{", "facts.json"),
    ):
        said = pgo("dossier", "create", "--subject", file("facts.json", facts))
        assert said.code == 1, facts
        assert f"{place}: " in said.err
    assert pgo("dossier", "list", "--json").json == []


def test_who_represents_a_child_is_there_from_the_start(pgo, file, ask):
    about = {
        "person": "p-lot",
        "name": "Lot Vos",
        "birth": "2020-05-01",
        "relations": [{"person": "p-an", "kind": "ouder", "gezag": True}],
    }
    pgo("account", "add", "p-an", "--name", "An Vos")
    client = pgo("dossier", "create", "--subject", file("lot.json", about), "--json").json[
        "dossier"
    ]
    token = pgo("token", "--dossier", client, "--as", "p-an", "--scope", "user/*.rs", "--json").json
    mine = ask("/dossiers", token["access_token"]).json()["dossiers"]
    assert [one["name"] for one in mine] == ["Lot Vos"]
    code = pgo("link", "code", "--dossier", client, "--as", "p-an", "--json")
    assert code.code == 0


def test_files_folders_bundles_and_lines_come_in(pgo, dossier, file, tmp_path):
    client = dossier()
    file("in/one.json", WEIGHT)
    file("in/note.xml", NOTE)
    file("in/set.json", COLLECTION)
    lines = b"".join(
        b'{"resourceType":"Basic","id":"n%d","code":{"text":"x"}}\n' % n for n in range(120)
    )
    file("in/many.ndjson", lines)
    arguments = ("import", "--dossier", client, "--release", "r4", "--json")
    report = pgo(*arguments, tmp_path / "in", file("alone.json", ADDED)).json
    assert (report["accepted"], report["created"], report["refused"]) == (125, 125, [])
    again = pgo(*arguments, tmp_path / "in").json
    assert (again["unchanged"], again["created"], again["updated"]) == (124, 0, 0)


def test_each_refusal_is_told_with_its_place_and_reason(pgo, dossier, file, tmp_path):
    client = dossier()
    broken = {name: each for name, each in WEIGHT.items() if name != "status"}
    paths = [
        file("broken.json", broken),
        file("torn.json", b'{"resourceType": "Obs'),
        file("torn.xml", b"<Observation"),
        file("latin.json", '{"resourceType":"Basic","id":"\xe9"}'.encode("latin-1")),
        file("good.json", WEIGHT),
        tmp_path / "not there.json",
    ]
    said = pgo("import", "--dossier", client, "--release", "r4", *paths, "--json")
    told = orjson.loads(said.out)
    refused = {one["where"]: one for one in told["refused"]}
    assert (said.code, told["accepted"]) == (1, 1)
    names = {"broken.json", "torn.json", "torn.xml", "latin.json", "not there.json"}
    assert set(refused) == names
    assert refused["broken.json"]["code"] == "required"
    assert "status" in refused["broken.json"]["place"]
    assert all(one["why"] for one in refused.values())
    spoken = pgo("import", "--dossier", client, "--release", "r4", *paths)
    assert "accepted: 1" in spoken.out
    assert "broken.json" in spoken.out


def test_files_that_are_skipped_are_counted_by_ending(pgo, dossier, file, tmp_path):
    client = dossier()
    for name in ("one.json", "a.zip", "deep/b.ZIP", "c.txt", "README", "d.een naam van iemand"):
        file(f"in/{name}", WEIGHT)
    run = ("import", "--dossier", client, "--release", "r4", tmp_path / "in")
    said = pgo(*run, "--json")
    assert (said.code, said.json["accepted"], said.json["refused"]) == (0, 1, [])
    assert said.json["skipped"] == 5
    assert said.json["skipped_endings"] == {".zip": 2, "other": 2, ".txt": 1}
    spoken = pgo(*run).out
    assert "skipped: 5" in spoken
    assert ".zip 2, other 2, .txt 1" in spoken


def test_an_import_ends_well_only_when_nothing_was_refused(pgo, dossier, file):
    run = ("import", "--dossier", dossier(), "--release", "r4")
    good, torn = file("good.json", WEIGHT), file("torn.json", b"{")
    assert pgo(*run, good).code == 0
    assert pgo(*run, good, torn).code == 1
    assert pgo(*run, good, torn, "--complete").code == 3
    assert pgo(*run, torn, "--complete").code == 1


def test_nothing_accepted_is_a_failure(pgo, dossier, file):
    torn = file("torn.json", b"{")
    said = pgo("import", "--dossier", dossier(), "--release", "r4", torn)
    assert said.code == 1


def test_a_release_nobody_knows_is_refused_before_anything_is_read(pgo):
    said = pgo("import", "--dossier", "x", "--release", "r5", "nothing.json")
    assert said.code == 1
    assert "--release: choose r4 or stu3" in said.err


def test_what_goes_out_is_what_came_in(pgo, dossier, file, tmp_path):
    client = dossier()
    raw = (
        b'{\n "resourceType": "Observation",\n "id": "w9", "status": "final",'
        b' "code": {"text": "gewicht"}, "subject": {"reference": "Patient/p1"},\n'
        b' "valueQuantity": {"value": 71.50}}'
    )
    pgo("import", "--dossier", client, "--release", "r4", file("w9.json", raw))
    out = tmp_path / "out" / "jo"
    counts = pgo("export", "--dossier", client, "--out", out, "--json").json
    assert counts == {"r4/Patient.ndjson": 1, "r4/Observation.ndjson": 1}
    (line,) = (out / "r4" / "Observation.ndjson").read_bytes().splitlines()
    assert b"71.50" in line
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


def test_an_export_never_writes_over_what_is_there(pgo, dossier, tmp_path):
    said = pgo("export", "--dossier", dossier(), "--out", tmp_path)
    assert said.code == 1
    assert "--out: this is there already" in said.err


def test_an_export_that_fails_leaves_no_part_of_a_dossier(pgo, dossier, tmp_path):
    client = dossier()
    with closing(sqlite3.connect(tmp_path / "data" / "pgo.db")) as store, store:
        store.execute("UPDATE bodies SET sealed = zeroblob(length(sealed))")
    said = pgo("export", "--dossier", client, "--out", tmp_path / "new")
    assert said.code == 1
    assert "stored data" in said.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["import", "export"])
def test_progress_stays_out_of_the_answer(pgo, dossier, file, tmp_path, monkeypatch, command):
    client = dossier()
    monkeypatch.setenv("FORCE_COLOR", "1")
    rest = {
        "import": ("--release", "r4", file("w.json", WEIGHT)),
        "export": ("--out", tmp_path / "new"),
    }[command]
    said = pgo(command, "--dossier", client, *rest, "--json")
    assert said.json
    assert "\x1b" not in said.out
