"""One way of settings: the environment and one TOML file, for every command; wrong ones stop it."""

from __future__ import annotations

import pytest


def test_the_file_gives_settings_and_the_environment_goes_before_it(
    pgo, file, monkeypatch, tmp_path
):
    other = tmp_path / "other" / "pgo.db"
    config = file("pgo.toml", f'store = "sqlite:///{other}"\nkey_file = "{tmp_path}/toml.key"\n')
    monkeypatch.setenv("PGO_CONFIG", str(config))
    pgo("dossier", "create")
    assert not other.exists()
    monkeypatch.delenv("PGO_STORE")
    pgo("dossier", "create")
    assert other.exists()
    assert not (tmp_path / "toml.key").exists()
    monkeypatch.setenv("PGO_KEY_FILE", "")
    monkeypatch.setenv("PGO_STORE", f"sqlite:///{tmp_path}/new.db")
    assert pgo("dossier", "list").code == 0
    assert (tmp_path / "toml.key").exists(), "an empty variable is one that is not set"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PGO_PORT", "veel", "PGO_PORT: Input should be a valid integer"),
        ("PGO_PORT", "70000", "PGO_PORT: Input should be less than or equal to 65535"),
        ("PGO_STRICT", "misschien", "PGO_STRICT: Input should be a valid boolean"),
        ("PGO_LOG_LEVEL", "luid", "'debug', 'info', 'warning' or 'error'"),
        ("PGO_WORKERS", "0", "PGO_WORKERS: Input should be greater than or equal to 1"),
        ("PGO_STRIKT", "true", "PGO_STRIKT: there is no such setting; did you mean PGO_STRICT?"),
        ("PGO_ZZZ", "1", "PGO_ZZZ: there is no such setting; take it away"),
        ("PGO_STORE", "mysql://x", "PGO_STORE must be sqlite:///path"),
        ("PGO_ISSUER", "http://pgo.example", "PGO_ISSUER: not a public address"),
        ("PGO_ISSUER", "https://pgo.example/", "without a last slash"),
        ("PGO_KEY", "geheim!", "PGO_KEY: the key is not base64; make one with: pgo keys make"),
        ("PGO_KEY", "Z2VoZWlt", "PGO_KEY: the key is not 32 bytes"),
        ("PGO_CONFIG", "nergens.toml", "PGO_CONFIG: the file cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_how_to_mend_it(pgo, monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    said = pgo("dossier", "list")
    assert (said.code, said.out) == (2, "")
    assert told in said.err
    assert "geheim" not in said.err
    assert "Z2VoZWlt" not in said.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("port = = 1", "PGO_CONFIG: the file is not TOML (at line 1, column 8); mend that line"),
        ('stroe = "x"', "PGO_STROE: there is no such setting; did you mean PGO_STORE?"),
        ("[server]\nport = 1", "PGO_SERVER: there is no such setting"),
        ("port = [1]", "PGO_PORT: Input should be a valid integer"),
        (b"\xff\xfe", "PGO_CONFIG: the file cannot be read"),
    ],
)
def test_a_wrong_file_is_told_with_the_place(pgo, file, monkeypatch, content, told):
    monkeypatch.setenv("PGO_CONFIG", str(file("pgo.toml", content)))
    said = pgo("dossier", "list")
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_all_that_is_wrong_is_told_at_once(pgo, monkeypatch):
    for name in ("PGO_PORT", "PGO_WORKERS", "PGO_STROE"):
        monkeypatch.setenv(name, "x")
    said = pgo("dossier", "list")
    assert [name in said.err for name in ("PGO_PORT", "PGO_WORKERS", "PGO_STROE")] == [True] * 3


def test_the_address_follows_the_port_when_it_is_not_given(pgo, monkeypatch, tmp_path):
    key = tmp_path / "sys.json"
    pgo("provider", "add", "o", "--name", "O", "--client-id", "s", "--make-key", key)
    monkeypatch.setenv("PGO_PORT", "8123")
    from pgo.settings import load

    assert load().issuer == "http://127.0.0.1:8123"
    assert load(port=9000).issuer == "http://127.0.0.1:9000"
    monkeypatch.setenv("PGO_ISSUER", "https://pgo.example")
    assert load().issuer == "https://pgo.example"


def test_strict_names_everything_that_is_unsafe_with_how_to_mend_it(pgo, monkeypatch):
    assert pgo("dossier", "list").code == 0
    for name in ("STRICT", "DEVELOPMENT_LOGIN", "MONGO_STANDALONE"):
        monkeypatch.setenv(f"PGO_{name}", "true")
    said = pgo("dossier", "list")
    assert said.code == 2
    lines = [line for line in said.err.splitlines() if "strict refuses" in line]
    places = [line.partition("PGO_")[2].partition(":")[0] for line in lines]
    assert sorted(places) == ["DEVELOPMENT_LOGIN", "ISSUER", "KEY_FILE", "MONGO_STANDALONE"]
    assert all("; " in line for line in lines)


def test_strict_makes_no_key_of_its_own(pgo, monkeypatch, tmp_path):
    monkeypatch.setenv("PGO_STRICT", "true")
    monkeypatch.setenv("PGO_ISSUER", "https://pgo.example")
    said = pgo("dossier", "list")
    assert said.code == 2
    assert "PGO_KEY_FILE: there is no key file; make one with: pgo keys make" in said.err
    assert not (tmp_path / "keys").exists()
    assert pgo("keys", "make").code == 0
    assert pgo("dossier", "list").code == 0


def test_a_store_in_memory_is_refused_under_strict_only(strict, monkeypatch, tmp_path):
    mounts = tmp_path / "mountinfo"
    for kind in ("tmpfs", "ramfs"):
        mounts.write_text(
            "22 1 8:1 / / rw - ext4 /dev/root rw\n"
            f"30 22 0:50 / {tmp_path.resolve()} rw - {kind} none rw\n"
        )
        said = strict("dossier", "list")
        assert said.code == 2
        assert "PGO_STORE: strict keeps no dossiers in memory" in said.err
    (tmp_path / "disk").mkdir()
    mounts.write_text(
        f"{mounts.read_text()}31 30 8:2 / {tmp_path.resolve()}/disk rw - ext4 /dev/sdb rw\n"
    )
    monkeypatch.setenv("PGO_STORE", f"sqlite:///{tmp_path}/disk/pgo.db")
    assert strict("dossier", "list").code == 0
    monkeypatch.setenv("PGO_STORE", f"sqlite:///{tmp_path}/data/pgo.db")
    monkeypatch.setenv("PGO_STRICT", "false")
    assert strict("dossier", "list").code == 0


@pytest.mark.parametrize(
    ("mode", "code"), [(0o604, 2), (0o644, 2), (0o606, 2), (0o620, 2), (0o400, 0), (0o440, 0)]
)
def test_a_key_file_that_others_can_read_is_refused_under_strict(
    strict, monkeypatch, tmp_path, mode, code
):
    key = tmp_path / "keys" / "pgo.key"
    key.chmod(mode)
    said = strict("dossier", "list")
    assert said.code == code
    told = "PGO_KEY_FILE: strict refuses a key file that others can read or change" in said.err
    assert told == (code == 2)
    assert key.read_text().strip() not in said.err
    monkeypatch.setenv("PGO_STRICT", "false")
    assert strict("dossier", "list").code == 0


def test_strict_has_no_demo(strict):
    said = strict("demo")
    assert said.code == 2
    assert "PGO_STRICT: strict refuses demo data" in said.err
    assert strict("account", "list", "--json").json[0]["id"] == "bas"


def test_a_development_key_from_the_environment_is_refused_as_well(strict, monkeypatch):
    monkeypatch.setenv("PGO_KEY", "development:" + "A" * 43 + "=")
    said = strict("dossier", "list")
    assert said.code == 2
    assert "PGO_KEY: strict refuses a development key" in said.err
    assert "AAAA" not in said.err


@pytest.mark.parametrize(
    ("chosen", "place"),
    [
        ({"PGO_WEBHOOK_PRIVATE": "true"}, "PGO_WEBHOOK_PRIVATE"),
        (
            {"PGO_SMTP_HOST": "m", "PGO_SMTP_TLS": "none", "PGO_MAIL_FROM": "a@b.nl"},
            "PGO_SMTP_TLS",
        ),
        ({"PGO_SMTP_HOST": "m"}, "PGO_MAIL_FROM"),
    ],
)
def test_mail_and_webhooks_that_are_not_safe_stop_the_start(strict, monkeypatch, chosen, place):
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    said = strict("dossier", "list")
    assert said.code == 2
    assert place in said.err
