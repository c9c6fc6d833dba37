"""`pgo backup` and `pgo restore`: two folders out, and the same dossiers back, or nothing.

Each sentence holds for both kinds of store, unless it names one.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import uuid
from hashlib import sha256

import orjson
import pytest
from bson import decode_all, encode
from pymongo import MongoClient

REASON = "klacht 2026-14 van de familie"
FILES = {
    "sqlite": ("store", "store-trail", "store-keys"),
    "mongodb": ("lines.bson", "commits.bson", "bodies.bson", "keys.bson"),
}


class Files:
    """A store in files, seen from outside."""

    kind, keys, absent = "sqlite", "store-keys", {"store-keys", "store-images"}

    def __init__(self, folder):
        self.folder = folder / "data"

    def lose(self):
        shutil.rmtree(self.folder)

    def content(self):
        """What is there by name; {} when there is nothing."""
        found = self.folder.iterdir() if self.folder.exists() else ()
        return {path.name: path.read_bytes() for path in found if path.name == "pgo.db"}


class Databases:
    """A store in MongoDB, seen from outside."""

    kind, keys, absent = "mongodb", "keys.bson", {"keys.bson", "chunks.bson", "expiring.bson"}

    def __init__(self, server):
        self.name = f"pgo-test-{uuid.uuid4().hex[:12]}"
        self.address = f"{server}/{self.name}"
        self.client = MongoClient(server)

    def lose(self):
        for name in (self.name, f"{self.name}-keys"):
            self.client.drop_database(name)

    def content(self):
        found = {}
        for name in (self.name, f"{self.name}-keys"):
            for each in self.client[name].list_collection_names():
                found |= {(name, each): list(self.client[name][each].find())}
        return {where: documents for where, documents in found.items() if documents}

    def close(self):
        self.lose()
        self.client.close()


@pytest.fixture
def databases(request):
    """Makes stores in MongoDB."""
    made = []

    def make():
        made.append(Databases(request.getfixturevalue("mongodb")))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=["sqlite", "mongodb"])
def kind(request):
    return request.param


@pytest.fixture(autouse=True)
def store(pgo, kind, tmp_path, databases, monkeypatch):
    """Where the settings say the store is."""
    if kind == "sqlite":
        return Files(tmp_path)
    made = databases()
    monkeypatch.setenv("PGO_STORE", made.address)
    monkeypatch.setenv("PGO_MONGO_STANDALONE", "true")
    monkeypatch.setenv("PGO_ERASED_LIST", str(tmp_path / "apart" / "erased"))
    return made


@pytest.fixture
def out(tmp_path):
    """Where the copies go: data and keys."""
    return tmp_path / "copies" / "data", tmp_path / "elsewhere" / "keys"


@pytest.fixture
def backed_up(pgo, dossier, out):
    """A dossier that is in a copy; its id."""
    client = dossier()
    told = pgo("backup", out[0], "--keys", out[1], "--json").json
    assert told["bytes"] > 4_000
    return client


def restore(pgo, out):
    return pgo("restore", out[0], "--keys", out[1], "--json")


def refused(said, text, store):
    assert (said.code, said.out) == (1, ""), said.err
    assert text in said.err
    assert store.content() == {}


def names(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def listed_anew(folder, name, content, documents):
    """A copy of somebody who can make lists: a file of it is another one, and the list says so."""
    (folder / name).write_bytes(content)
    said = orjson.loads((folder / "pgo-copy.json").read_bytes())
    measured = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    said["files"][name] = measured
    said["documents"][name.removesuffix(".bson")] = documents
    (folder / "pgo-copy.json").write_bytes(orjson.dumps(said))


def exported(pgo, client, folder):
    """Every resource, byte for byte."""
    assert pgo("export", "--dossier", client, "--out", folder).code == 0
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*json")}
    assert found
    return found


def test_a_dossier_comes_back_as_it_was(pgo, backed_up, out, store, tmp_path):
    before = pgo("dossier", "show", "--dossier", backed_up, "--json").json
    texts = exported(pgo, backed_up, tmp_path / "before")
    store.lose()
    told = restore(pgo, out).json
    assert (told["dossiers"], told["erased_again"], told.get("bodies_missing", 0)) == (1, 0, 0)
    assert pgo("dossier", "show", "--dossier", backed_up, "--json").json == before
    assert exported(pgo, backed_up, tmp_path / "after") == texts
    assert all(row["ok"] for row in pgo("audit", "verify", "--json").json)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_files_that_come_back_are_their_owners_only(pgo, backed_up, out, store, tmp_path):
    store.lose()
    restore(pgo, out)
    assert {"pgo.db", "pgo.db-keys", "pgo.db-trail"} <= names(tmp_path / "data")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())


def test_keys_are_in_one_folder_only_and_the_deployments_key_in_none(
    pgo, backed_up, out, store, tmp_path
):
    assert pgo("dossier", "list").code == 0
    own = (tmp_path / "keys" / "pgo.key").read_bytes()
    data, keys = map(names, out)
    assert store.keys in keys
    assert data.isdisjoint(store.absent)
    for folder in out:
        assert all(own.strip() not in path.read_bytes() for path in folder.iterdir())
        assert folder.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
        assert names(folder.parent) == {folder.name}
    assert backed_up.encode() not in b"".join(
        path.read_bytes() for path in out[1].iterdir() if path.name.endswith(".json")
    )


def test_what_was_erased_since_stays_erased(pgo, backed_up, out, store):
    erase = ("dossier", "erase", "--dossier", backed_up, "--yes", "--reason", REASON)
    assert pgo(*erase).code == 0
    store.lose()
    assert restore(pgo, out).json["erased_again"] == 1
    assert pgo("dossier", "list", "--json").json == []
    assert pgo("dossier", "show", "--dossier", backed_up).code == 1
    assert all(row["ok"] for row in pgo("audit", "verify", "--json").json)


def test_tokens_of_the_copy_have_ended(pgo, dossier, out, store, ask):
    client = dossier()
    token = pgo("token", "--dossier", client, "--scope", "patient/*.rs", "--json").json
    path = f"/dossiers/{client}/fhir/r4/Patient"
    assert ask(path, token["access_token"]).status_code == 200
    assert pgo("backup", out[0], "--keys", out[1]).code == 0
    store.lose()
    restore(pgo, out)
    assert ask(path, token["access_token"]).status_code == 401


def test_a_store_that_is_there_is_left_alone(pgo, backed_up, out, store):
    before = store.content()
    said = restore(pgo, out)
    assert (said.code, "PGO_STORE: there is a store already" in said.err) == (2, True)
    assert store.content() == before


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


def test_a_copy_that_was_changed_or_cut_is_refused(pgo, backed_up, out, store, kind):
    store.lose()
    for which in FILES[kind]:
        file = next(folder / which for folder in out if (folder / which).exists())
        good = file.read_bytes()
        for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[: len(good) // 2]):
            file.write_bytes(bad)
            refused(restore(pgo, out), f"{which}: a file of this copy is not as it was made", store)
        file.unlink()
        refused(restore(pgo, out), which, store)
        file.write_bytes(good)
    assert restore(pgo, out).code == 0


def test_what_is_no_copy_is_refused(pgo, backed_up, out, store, tmp_path):
    store.lose()
    refused(restore(pgo, (out[1], out[0])), "FOLDER: there is no copy of data here", store)
    refused(restore(pgo, (tmp_path, out[1])), "FOLDER: there is no copy of data here", store)
    said = out[1] / "pgo-copy.json"
    listed = orjson.loads(said.read_bytes())
    for bad in (b"", b"[]", orjson.dumps(listed | {"files": {"../x": {}}})):
        said.write_bytes(bad)
        refused(restore(pgo, out), "--keys: there is no copy of keys here", store)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_list_that_names_no_kind_of_store_is_one_of_files(pgo, backed_up, out, store):
    store.lose()
    for folder in out:
        said = orjson.loads((folder / "pgo-copy.json").read_bytes())
        del said["store"], said["documents"]
        (folder / "pgo-copy.json").write_bytes(orjson.dumps(said))
    assert restore(pgo, out).json["dossiers"] == 1


def test_keys_from_before_the_data_are_refused(pgo, backed_up, out, store, tmp_path):
    later = tmp_path / "later"
    assert pgo("backup", later / "data", "--keys", later / "keys").code == 0
    store.lose()
    refused(restore(pgo, (later / "data", out[1])), "--keys: these keys are older", store)
    assert restore(pgo, (out[0], later / "keys")).code == 0


def test_another_key_opens_nothing(pgo, backed_up, out, store, tmp_path, monkeypatch):
    store.lose()
    assert pgo("keys", "make", "other.key").code == 0
    monkeypatch.setenv("PGO_KEY_FILE", "other.key")
    said = restore(pgo, out)
    assert (said.code, "this key does not fit" in said.err) == (2, True)
    assert store.content() == {}
    monkeypatch.setenv("PGO_KEY_FILE", "nowhere.key")
    said = restore(pgo, out)
    assert (said.code, "PGO_KEY_FILE: there is no key file" in said.err) == (2, True)
    assert not (tmp_path / "nowhere.key").exists()


def test_a_copy_of_another_kind_of_store_is_refused(
    pgo, backed_up, out, kind, databases, monkeypatch, tmp_path
):
    monkeypatch.setenv("PGO_MONGO_STANDALONE", "true")
    other = databases()
    address = f"sqlite:///{tmp_path}/other/pgo.db" if kind == "mongodb" else other.address
    monkeypatch.setenv("PGO_STORE", address)
    refused(restore(pgo, out), f"FOLDER: this copy is of another kind of store ({kind})", other)
    assert not (tmp_path / "other").exists()


def test_a_copy_that_fails_leaves_nothing(pgo, dossier, out, tmp_path):
    dossier()
    (tmp_path / "elsewhere").write_text("a file")
    said = pgo("backup", out[0], "--keys", out[1])
    assert said.code == 1
    assert names(out[0].parent) == set()


@pytest.mark.parametrize("kind", ["mongodb"], indirect=True)
def test_a_copy_that_is_killed_is_no_copy(pgo, dossier, out, store):
    dossier()
    command = [sys.executable, "-m", "pgo", "backup", str(out[0]), "--keys", str(out[1])]
    with killed_when(lambda: names(out[0].parent), command) as left:
        assert {name.startswith(".data-") for name in left} == {True}
    assert not any(folder.exists() for folder in out)
    refused_all = [(path, path) for folder in out for path in folder.parent.glob(".*")]
    store.lose()
    for pair in refused_all:
        refused(restore(pgo, pair), "there is no copy of data here", store)


@pytest.mark.parametrize("kind", ["mongodb"], indirect=True)
def test_what_a_killed_restore_left_is_opened_by_nobody(
    pgo, backed_up, out, databases, monkeypatch
):
    there = databases()
    monkeypatch.setenv("PGO_STORE", there.address)
    command = [sys.executable, "-m", "pgo", "restore", str(out[0]), "--keys", str(out[1])]
    mark = there.client[there.name]["restoring"]
    with killed_when(mark.find_one, command):
        assert mark.find_one()
    left = there.content()
    for said in (pgo("dossier", "list"), restore(pgo, out)):
        assert (said.code, "a restore into this database was not finished" in said.err) == (2, True)
    assert there.content() == left
    monkeypatch.setenv("PGO_STORE", (elsewhere := databases()).address)
    assert restore(pgo, out).json["dossiers"] == 1
    assert (elsewhere.name, "restoring") not in elsewhere.content()


@pytest.mark.parametrize("kind", ["mongodb"], indirect=True)
def test_a_restore_that_fails_takes_away_what_it_brought(pgo, backed_up, out, store):
    store.lose()
    bodies = out[0] / "bodies.bson"
    twice = bodies.read_bytes() * 2
    listed_anew(out[0], "bodies.bson", twice, len(decode_all(twice)))
    refused(restore(pgo, out), "twice", store)


@pytest.mark.parametrize("kind", ["mongodb"], indirect=True)
def test_a_body_that_was_lost_before_is_told(pgo, backed_up, out, store):
    store.lose()
    first, *rest = decode_all((out[0] / "bodies.bson").read_bytes())
    listed_anew(out[0], "bodies.bson", b"".join(map(encode, rest)), len(rest))
    assert restore(pgo, out).json["bodies_missing"] == 1
    assert store.client[store.name]["bodies"].count_documents({"_id": first["_id"]}) == 0


@pytest.mark.parametrize("kind", ["mongodb"], indirect=True)
def test_a_list_without_a_collection_is_no_copy(pgo, backed_up, out, store):
    store.lose()
    said = orjson.loads((out[0] / "pgo-copy.json").read_bytes())
    for part in ("files", "documents"):
        del said[part]["links" + ".bson" * (part == "files")]
    (out[0] / "pgo-copy.json").write_bytes(orjson.dumps(said))
    refused(restore(pgo, out), "FOLDER: there is no whole copy of data here", store)


class killed_when:  # noqa: N801 - reads as a sentence
    """Runs a command and kills it as soon as something is seen; what was seen."""

    def __init__(self, seen, command):
        self.seen, self.command = seen, command

    def __enter__(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(self.command, **quiet)
        try:
            until = time.monotonic() + 60
            while not (found := self.seen()) and time.monotonic() < until:
                assert process.poll() is None, "it ended too soon"
                time.sleep(0.002)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL
        return found

    def __exit__(self, *_):
        """Nothing is left running."""
