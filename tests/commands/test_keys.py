"""pgo keys: the deployment's key is made once, fits its data, and can be rotated safely."""

from __future__ import annotations

import stat

import pytest

from pgo.dossier.seal import Keys


def test_a_key_is_for_its_owner_only_and_never_written_over(pgo, tmp_path):
    file = tmp_path / "safe" / "pgo.key"
    assert pgo("keys", "make", file, "--json").json == {"key_file": str(file)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    before = file.read_bytes()
    said = pgo("keys", "make", file)
    assert said.code == 1
    assert "FILE: there is a file already" in said.err
    assert file.read_bytes() == before
    assert before.decode().strip() not in said.err


def test_a_key_that_does_not_fit_the_data_is_refused_before_anything_is_served(pgo, monkeypatch):
    client = pgo("dossier", "create", "--json").json["dossier"]
    monkeypatch.setenv("PGO_KEY_FILE", "other.key")
    pgo("keys", "make")
    for command in (["dossier", "list"], ["serve", "--port", "0"], ["demo"]):
        said = pgo(*command)
        assert said.code == 2
        assert "PGO_KEY_FILE: this key does not fit the data in PGO_STORE" in said.err
    monkeypatch.setenv("PGO_KEY_FILE", "keys/pgo.key")
    assert pgo("dossier", "list", "--json").json == [{"dossier": client}]


def test_beside_a_store_with_keys_no_key_is_made(pgo, monkeypatch, tmp_path):
    client = pgo("dossier", "create", "--json").json["dossier"]
    monkeypatch.setenv("PGO_KEY_FILE", str(tmp_path / "kyes" / "pgo.key"))
    for command in (["dossier", "list"], ["serve", "--port", "0"], ["demo"]):
        said = pgo(*command)
        assert said.code == 2
        assert "PGO_KEY_FILE: there is no key file here" in said.err
        assert "was made" not in said.err
    assert not (tmp_path / "kyes").exists()
    monkeypatch.setenv("PGO_KEY_FILE", "keys/pgo.key")
    assert pgo("dossier", "list", "--json").json == [{"dossier": client}]


def test_a_store_that_cannot_be_used_gets_no_key(pgo, monkeypatch, tmp_path):
    monkeypatch.setenv("PGO_STORE", "sqlite://nowhere")
    said = pgo("dossier", "list")
    assert (said.code, "PGO_STORE" in said.err) == (2, True)
    assert not (tmp_path / "keys").exists()


@pytest.fixture
def fresh(pgo, dossier, tmp_path):
    """Three dossiers and a new key; their ids."""
    clients = [dossier() for _ in range(3)]
    assert pgo("keys", "make", tmp_path / "new.key").code == 0
    return sorted(clients)


def test_after_a_rotation_only_the_new_key_fits(pgo, fresh, ask, monkeypatch, tmp_path):
    token = pgo("token", "--dossier", fresh[0], "--scope", "patient/*.rs", "--json").json
    said = pgo("keys", "rotate", "new.key", "--json").json
    assert (said["dossiers"], said["keys"]) == (3, 8)
    assert "PGO_KEY_FILE=new.key" in said["next"]
    refused = pgo("dossier", "list")
    assert refused.code == 2
    assert "this key does not fit the data" in refused.err
    monkeypatch.setenv("PGO_KEY_FILE", "new.key")
    assert [row["dossier"] for row in pgo("dossier", "list", "--json").json] == fresh
    assert ask("/fhir/r4/Patient/p1", token["access_token"]).status_code == 200
    assert all(row["ok"] for row in pgo("audit", "verify", "--json").json)


@pytest.mark.parametrize("done", [0, 1, 5, 6, 7])
def test_an_interrupted_rotation_can_be_finished(pgo, fresh, monkeypatch, tmp_path, done):
    whole, left = Keys.rewrap, [done]

    async def torn(keys, client):
        if not isinstance(keys._store, _Torn):
            keys._store = _Torn(keys._store, left)
        return await whole(keys, client)

    monkeypatch.setattr(Keys, "rewrap", torn)
    assert pgo("keys", "rotate", "new.key").code == 1
    monkeypatch.setattr(Keys, "rewrap", whole)
    for key in (str(tmp_path / "keys" / "pgo.key"), "new.key"):
        with monkeypatch.context() as patch:
            patch.setenv("PGO_KEY_FILE", key)
            said = pgo("dossier", "list")
            assert said.code == 2
            assert "pgo keys rotate FILE" in said.err
    assert pgo("keys", "rotate", "new.key", "--json").json["keys"] == 8 - done
    monkeypatch.setenv("PGO_KEY_FILE", "new.key")
    for client in fresh:
        assert pgo("dossier", "show", "--dossier", client).code == 0
    assert all(row["ok"] for row in pgo("audit", "verify", "--json").json)


class _Torn:
    """A store that is gone after so many rewrapped keys."""

    def __init__(self, store, left):
        self._store, self._left = store, left

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def rewrap_key(self, *arguments):
        if not self._left[0]:
            raise OSError(5, "Input/output error")
        self._left[0] -= 1
        return await self._store.rewrap_key(*arguments)


def test_a_rotation_wants_another_sound_key(pgo, fresh, file, tmp_path):
    for name, told in (
        (tmp_path / "keys" / "pgo.key", "FILE: this key is in use already"),
        (file("short.key", "AAAA"), "FILE: the key is not 32 bytes"),
        ("nothing.key", "FILE: there is no key file"),
    ):
        said = pgo("keys", "rotate", name)
        assert said.code == 1
        assert told in said.err
    assert pgo("dossier", "list").code == 0


def test_strict_does_not_rotate_to_a_development_key(strict, file):
    said = strict("keys", "rotate", file("dev.key", "development:" + "A" * 43 + "="))
    assert said.code == 1
    assert "FILE: strict refuses a development key" in said.err


def test_keys_that_sign_are_made_anew_and_dropped_when_they_leaked(pgo):
    first = pgo("keys", "sign", "--json").json
    assert (len(first["made"]), first["published"]) == (2, 2)
    second = pgo("keys", "sign", "--json").json
    assert second["published"] == 4
    assert not set(first["made"]) & set(second["made"])
    assert pgo("keys", "sign", "--leaked", "--json").json["published"] == 2
