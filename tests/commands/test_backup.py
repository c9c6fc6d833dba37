"""`pgo backup` and `pgo restore`: two folders out, and the same dossiers back, or nothing."""

from __future__ import annotations

import shutil

import orjson
import pytest

REASON = "klacht 2026-14 van de familie"


@pytest.fixture
def out(tmp_path):
    """Where the copies go: data and keys."""
    return tmp_path / "copies" / "data", tmp_path / "elsewhere" / "keys"


@pytest.fixture
def backed_up(pgo, dossier, out):
    """A dossier that is in a copy; its id."""
    client = dossier()
    told = pgo("backup", out[0], "--keys", out[1], "--json").json
    assert told["bytes"] > 10_000
    return client


def lose(tmp_path):
    """The disk with the data is gone."""
    shutil.rmtree(tmp_path / "data")


def restore(pgo, out):
    return pgo("restore", out[0], "--keys", out[1], "--json")


def refused(said, text, tmp_path):
    assert (said.code, said.out) == (1, ""), said.err
    assert text in said.err
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_a_dossier_comes_back_as_it_was(pgo, backed_up, out, tmp_path):
    before = pgo("dossier", "show", "--dossier", backed_up, "--json").json
    lose(tmp_path)
    told = restore(pgo, out).json
    assert (told["dossiers"], told["erased_again"]) == (1, 0)
    assert pgo("dossier", "show", "--dossier", backed_up, "--json").json == before
    assert all(row["ok"] for row in pgo("audit", "verify", "--json").json)
    kept = {path.name for path in (tmp_path / "data").iterdir()}
    assert {"pgo.db", "pgo.db-keys", "pgo.db-trail"} <= kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())


def test_keys_are_in_one_folder_only_and_the_deployments_key_in_none(pgo, backed_up, out, tmp_path):
    assert pgo("dossier", "list").code == 0
    own = (tmp_path / "keys" / "pgo.key").read_bytes()
    data, keys = ({path.name for path in folder.iterdir()} for folder in out)
    assert "store-keys" in keys
    assert data.isdisjoint({"store-keys", "store-images"})
    for folder in out:
        assert all(own.strip() not in path.read_bytes() for path in folder.iterdir())
        assert folder.stat().st_mode & 0o077 == 0
    assert backed_up.encode() not in b"".join(
        path.read_bytes() for path in out[1].iterdir() if path.name.endswith(".json")
    )


def test_what_was_erased_since_stays_erased(pgo, backed_up, out, tmp_path):
    erase = ("dossier", "erase", "--dossier", backed_up, "--yes", "--reason", REASON)
    assert pgo(*erase).code == 0
    lose(tmp_path)
    assert restore(pgo, out).json["erased_again"] == 1
    assert pgo("dossier", "list", "--json").json == []
    assert b"Vos" not in b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())


def test_tokens_of_the_copy_have_ended(pgo, dossier, out, tmp_path, ask):
    client = dossier()
    token = pgo("token", "--dossier", client, "--scope", "patient/*.rs", "--json").json
    path = f"/dossiers/{client}/fhir/r4/Patient"
    assert ask(path, token["access_token"]).status_code == 200
    assert pgo("backup", out[0], "--keys", out[1]).code == 0
    lose(tmp_path)
    restore(pgo, out)
    assert ask(path, token["access_token"]).status_code == 401


def test_a_store_that_is_there_is_left_alone(pgo, backed_up, out, tmp_path):
    before = (tmp_path / "data" / "pgo.db").read_bytes()
    said = restore(pgo, out)
    assert (said.code, "PGO_STORE: there is a store already" in said.err) == (2, True)
    assert (tmp_path / "data" / "pgo.db").read_bytes() == before


def test_a_folder_that_is_there_is_left_alone(pgo, backed_up, out, tmp_path):
    for data, keys, place in (
        (out[0], tmp_path / "new", "FOLDER"),
        (tmp_path / "new", out[1], "--keys"),
        (tmp_path / "new", tmp_path / "new", "--keys"),
        (tmp_path / "new", tmp_path / "new" / "keys", "--keys"),
    ):
        said = pgo("backup", data, "--keys", keys)
        assert (said.code, f"{place}: " in said.err) == (1, True)
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("which", ["store", "store-trail", "store-keys"])
def test_a_copy_that_was_changed_or_cut_is_refused(pgo, backed_up, out, tmp_path, which):
    file = next(folder / which for folder in out if (folder / which).exists())
    good = file.read_bytes()
    lose(tmp_path)
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:4096]):
        file.write_bytes(bad)
        refused(restore(pgo, out), f"{which}: a file of this copy is not as it was made", tmp_path)
    file.unlink()
    refused(restore(pgo, out), which, tmp_path)


def test_what_is_no_copy_is_refused(pgo, backed_up, out, tmp_path):
    lose(tmp_path)
    refused(restore(pgo, (out[1], out[0])), "FOLDER: there is no copy of data here", tmp_path)
    refused(restore(pgo, (tmp_path, out[1])), "FOLDER: there is no copy of data here", tmp_path)
    said = out[1] / "pgo-copy.json"
    listed = orjson.loads(said.read_bytes())
    for bad in (b"", b"[]", orjson.dumps(listed | {"files": {"../x": {}}})):
        said.write_bytes(bad)
        refused(restore(pgo, out), "--keys: there is no copy of keys here", tmp_path)


def test_keys_from_before_the_data_are_refused(pgo, backed_up, out, tmp_path):
    later = tmp_path / "later"
    assert pgo("backup", later / "data", "--keys", later / "keys").code == 0
    lose(tmp_path)
    refused(restore(pgo, (later / "data", out[1])), "--keys: these keys are older", tmp_path)
    assert restore(pgo, (out[0], later / "keys")).code == 0


def test_another_key_opens_nothing(pgo, backed_up, out, tmp_path, monkeypatch):
    lose(tmp_path)
    assert pgo("keys", "make", "other.key").code == 0
    monkeypatch.setenv("PGO_KEY_FILE", "other.key")
    said = restore(pgo, out)
    assert (said.code, "this key does not fit" in said.err) == (2, True)
    assert list((tmp_path / "data").iterdir()) == []
    monkeypatch.setenv("PGO_KEY_FILE", "nowhere.key")
    said = restore(pgo, out)
    assert (said.code, "PGO_KEY_FILE: there is no key file" in said.err) == (2, True)
    assert not (tmp_path / "nowhere.key").exists()


def test_mongodb_is_told_how(pgo, out, monkeypatch):
    assert pgo("keys", "make").code == 0
    monkeypatch.setenv("PGO_STORE", "mongodb://127.0.0.1:1/pgo")
    said = restore(pgo, out)
    assert (said.code, "MongoDB is copied with its own tools" in said.err) == (2, True)


def test_a_copy_that_fails_leaves_nothing(pgo, dossier, out, tmp_path):
    dossier()
    (tmp_path / "elsewhere").write_text("a file")
    said = pgo("backup", out[0], "--keys", out[1])
    assert said.code == 1
    assert not out[0].exists()
