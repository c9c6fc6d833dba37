"""What the files in deploy/ promise, as far as it can be checked without a container engine."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from pgo import limits
from pgo.settings import Settings
from pgo.store.mongo_address import database_of

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
PINNED = re.compile(r"[a-z0-9]+:\d+(\.\d+)+(-[a-z]+)?")


def text(name):
    return (DEPLOY / name).read_text(encoding="utf-8")


def instructions(word):
    joined = text("Containerfile").replace("\\\n", " ")
    return re.findall(rf"^{word} +(.*)$", joined, re.MULTILINE)


def directive(name):
    return re.findall(rf"^\s*{name}\s+([^;]+);", text("nginx.conf"), re.MULTILINE)


def environment():
    pairs = [pair for line in instructions("ENV") for pair in line.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def unit():
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(text("pgo.service"))
    return parser


def test_every_image_is_plain_and_pinned_to_a_version():
    used = [service["image"] for service in SERVICES.values()]
    bases = [line.split()[0] for line in instructions("FROM")]
    assert len(bases) == 2
    for image in used + bases:
        assert PINNED.fullmatch(image), image


def test_files_that_name_a_python_name_one_that_the_project_takes():
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))
    lowest = project["project"]["requires-python"].removeprefix(">=")
    base, build = (line.split()[0] for line in instructions("FROM"))
    assert base == build, "what is installed in the one is run in the other"
    version = base.removeprefix("python:").removesuffix("-slim")
    assert [*map(int, version.split("."))] >= [*map(int, lowest.split("."))]
    readme = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")
    assert f"Python {lowest} or newer" in readme
    assert f"The image has Python {version}" in readme
    assert f"Python {lowest} or newer" in text("pgo.service")
    assert project["tool"]["mypy"]["python_version"] == lowest


def test_the_image_is_called_after_the_version_of_the_project():
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))
    called = f"pgo:{project['project']['version']}"
    assert SERVICES["pgo"]["image"] == called
    assert f"-t {called} " in text("Containerfile")


def test_nothing_runs_as_root():
    assert instructions("USER") == ["10001:10001"]
    for name, service in SERVICES.items():
        user, group = service["user"].split(":")
        assert int(user) > 0, name
        assert int(group) > 0, name


def test_every_container_is_hardened():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["ulimits"]["core"] == 0, name


def test_every_setting_that_is_named_exists():
    known = {f"PGO_{name.upper()}" for name in Settings.model_fields} | {"PGO_CONFIG"}
    for name in ("Containerfile", "pgo.service", "pgo.toml.example", "compose.yaml"):
        named = set(re.findall(r"(?<![A-Z_])PGO_[A-Z0-9_]*[A-Z0-9]", text(name)))
        assert named <= known, name


def test_the_image_and_compose_give_settings_that_load(monkeypatch):
    own = {key: value for key, value in environment().items() if key.startswith("PGO_")}
    for key, value in (own | SERVICES["pgo"]["environment"]).items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert settings.strict
    assert not settings.mongo_standalone
    assert not settings.development_login
    assert str(settings.key_file) == "/run/secrets/pgo_key"


def test_the_database_is_a_replica_set_of_three_and_the_server_is_sent_to_all(monkeypatch):
    address = SERVICES["pgo"]["environment"]["PGO_STORE"]
    plain = re.sub(r"\$\{[^}]*\}", "secret", address)
    assert database_of(plain) == "pgo"
    members = [name for name, service in SERVICES.items() if name.startswith("mongo") and
               "mongod" in service.get("command", [])]  # fmt: skip
    assert members == ["mongo1", "mongo2", "mongo3"]
    assert "replicaSet=pgo" in address
    for member in members:
        assert "--replSet=pgo" in SERVICES[member]["command"]
        assert "--keyFile=/data/configdb/replica.key" in SERVICES[member]["command"]
        assert f"{member}:27017" in address
        assert f'"{member}:27017"' in text("mongo-init.js")


def test_the_account_of_the_server_may_use_the_database_of_the_keys_too():
    roles = re.search(r"roles: (\[.*\])\.map\(\(db\) =>", text("mongo-init.js"))
    assert roles
    assert set(re.findall(r'"([\w-]+)"', roles[1])) == {"pgo", "pgo-keys"}


def test_no_password_or_key_is_written_in_the_files():
    for secret in COMPOSE["secrets"].values():
        assert set(secret) <= {"file", "environment"}
    assert re.search(r"://[^:]+:\$\{MONGO_PGO_PASSWORD:\?", text("compose.yaml"))
    assert {".env", "secrets/"} <= set(text(".gitignore").splitlines())
    assert all(
        one.get("file", "./secrets/").startswith("./secrets/")
        for one in COMPOSE["secrets"].values()
    )


def test_every_secret_volume_and_network_that_is_used_is_declared():
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source[0] == "." else source in COMPOSE["volumes"]
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_the_database_is_not_reachable_from_outside():
    assert COMPOSE["networks"]["data"]["internal"]
    assert COMPOSE["networks"]["inside"]["internal"]
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert "data" not in SERVICES["proxy"]["networks"]
    assert "outside" not in SERVICES["pgo"]["networks"]


def test_ports_agree_from_the_proxy_to_the_server():
    port = environment()["PGO_PORT"]
    assert instructions("EXPOSE") == [port]
    assert SERVICES["pgo"]["environment"]["PGO_PORT"] == port
    assert f"server pgo:{port};" in text("nginx.conf")
    assert f"127.0.0.1:{port}/health/ready" in text("Containerfile")
    published = {one.split(":")[1] for one in SERVICES["proxy"]["ports"]}
    listening = {re.match(r"\d+", one).group() for one in directive("listen")}
    assert published == listening
    assert all(int(one) > 1024 for one in listening)


def test_the_server_believes_only_the_proxy():
    address = SERVICES["proxy"]["networks"]["inside"]["ipv4_address"]
    assert SERVICES["pgo"]["environment"]["PGO_TRUSTED_PROXIES"] == address


def test_the_proxy_is_as_patient_as_the_limits_say():
    assert directive("client_header_timeout") == ["10s"]
    assert directive("client_body_timeout") == [f"{limits.BODY_SECONDS:.0f}s"]
    assert directive("keepalive_timeout") == ["5s", "4s"]


def test_the_proxy_takes_heads_of_the_size_the_limits_say():
    (buffers,) = directive("large_client_header_buffers")
    count, size = buffers.split()
    assert int(size.removesuffix("k")) * 1024 == limits.ADDRESS_BYTES
    assert int(count) * int(size.removesuffix("k")) * 1024 == limits.HEAD_BYTES


def test_the_proxy_lets_pgo_itself_refuse_a_body_that_is_too_large():
    sizes = [int(size.removesuffix("k")) * 1024 for size in directive("client_max_body_size")]
    largest = (limits.BUNDLE_BYTES, Settings().binary_bytes)
    for taken, limit in zip(sizes, largest, strict=True):
        assert limit < taken < 1.1 * limit


def test_the_proxy_keeps_no_health_data_and_sends_nothing_twice():
    assert directive("proxy_request_buffering") == ["off"]
    assert directive("proxy_max_temp_file_size") == ["0"]
    assert directive("proxy_next_upstream") == ["off"]
    (form,) = directive("log_format")
    told = set(re.findall(r"\$(\w+)", form))
    assert not told & {"request", "request_uri", "uri", "args", "query_string", "http_referer"}


def test_the_proxy_passes_no_certificate_or_address_a_caller_invented():
    sent = dict(one.split(None, 1) for one in directive("proxy_set_header"))
    assert sent["X-Forwarded-For"] == "$remote_addr"
    assert sent["X-Forwarded-Proto"] == "https"
    emptied = {name.lower() for name, value in sent.items() if value == '""'}
    for name in ("x-ssl-client-cert", "x-forwarded-client-cert", "client-cert", "forwarded",
                 "x-forwarded-host", "x-ssl-client-verify", "x-original-url"):  # fmt: skip
        assert name in emptied


def test_the_proxy_speaks_modern_tls_only():
    assert directive("ssl_protocols") == ["TLSv1.2 TLSv1.3"]
    (ciphers,) = directive("ssl_ciphers")
    assert all(re.fullmatch(r"ECDHE-(RSA|ECDSA)-\S+", one) for one in ciphers.split(":"))
    assert directive("ssl_early_data") == ["off"]


def test_the_example_names_every_setting_and_loads_under_strict(monkeypatch, tmp_path):
    example = text("pgo.toml.example")
    named = set(re.findall(r"^(?:# )?([a-z_0-9]+) = ", example, re.MULTILINE))
    assert named == set(Settings.model_fields)
    file = tmp_path / "pgo.toml"
    file.write_text(example, encoding="utf-8")
    monkeypatch.setenv("PGO_CONFIG", str(file))
    settings = Settings()
    assert settings.strict
    assert settings.issuer.startswith("https://")
    assert not settings.development_login


def test_the_unit_keeps_the_server_in_its_room():
    service = unit()["Service"]
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["LimitCORE"] == "0"
    loaded = re.findall(r"^LoadCredential=([^:]+):(.+)$", text("pgo.service"), re.MULTILINE)
    assert dict(loaded) == {"pgo.key": "/etc/pgo/pgo.key", "pgo.toml": "/etc/pgo/pgo.toml"}
    assert "PGO_KEY_FILE=%d/pgo.key" in text("pgo.service")
    assert "PGO_CONFIG=%d/pgo.toml" in text("pgo.service")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_understands_the_unit_and_finds_little_exposed(tmp_path):
    there = tmp_path / "pgo.service"
    there.write_text(text("pgo.service").replace("/opt/pgo/bin/pgo", "/bin/true"))
    analyze = shutil.which("systemd-analyze")
    checked = subprocess.run(
        [analyze, "verify", there], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    exposed = subprocess.run([analyze, "security", "--offline=true", "--threshold=20", there],
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert exposed.returncode == 0, exposed.stdout[-200:]


@pytest.mark.skipif(not shutil.which("node"), reason="node is not here")
def test_the_database_script_is_a_readable_script():
    checked = subprocess.run([shutil.which("node"), "--check", DEPLOY / "mongo-init.js"],
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_requirements_are_hashed_and_name_no_address():
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert "--hash=sha256:" in text(name)
        assert "://" not in text(name)
        assert "--index-url" not in text(name)
    assert "--require-hashes -r deploy/requirements.txt" in text("Containerfile")


def test_the_image_copies_only_what_it_needs():
    copied = [part for line in instructions("COPY") for part in line.split()[:-1]]
    wanted = {one.removeprefix("!") for one in text("Containerfile.dockerignore").splitlines()
              if one.startswith("!")}  # fmt: skip
    assert {one for one in copied if not one.startswith(("--from", "/"))} == wanted
    for one in wanted:
        assert (DEPLOY.parent / one).exists()
