"""pgo serve and pgo demo as processes: settings for all workers, and clear ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx2
import orjson
import pytest


@pytest.mark.long
def test_what_is_chosen_on_the_command_line_holds_for_every_worker(launch, tmp_path, free):
    served = launch(tmp_path, workers=1)
    environment = served.environment | {"PGO_STORE": f"sqlite:///{tmp_path}/other.db"}
    del environment["PGO_ISSUER"]
    port = free()
    chosen = ["--store", served.environment["PGO_STORE"], "--port", str(port), "--workers", "2"]
    command = [sys.executable, "-m", "pgo", "serve", *chosen, "--json"]
    token = {"Authorization": f"Bearer {served.token('p-marjan')}"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        said = orjson.loads(process.stdout.readline())
        assert said == {"serves": f"http://127.0.0.1:{port}", "port": port, "workers": 2}
        served.wait(said["serves"])
        address = f"{said['serves']}/fhir/r4/Patient"
        for _ in range(20):  # a connection each
            answer = httpx2.get(address, headers=token)
            assert answer.status_code == 200
            assert answer.json()["link"][0]["url"].startswith(said["serves"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout.read() == b""
    assert not (tmp_path / "other.db").exists()


def test_a_port_that_is_taken_is_told_and_nothing_starts(served):
    port = served.environment["PGO_PORT"]
    said = served.pgo("serve", "--port", port, "--workers", "2", check=False)
    assert said.returncode == 2
    assert b"PGO_PORT: cannot listen there" in said.stderr
    assert said.stderr.count(b"\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_store_that_cannot_be_used_is_told_and_nothing_starts(served, tmp_path, workers):
    (tmp_path / "file").write_text("not a folder")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    store = f"sqlite:///{tmp_path}/file/pgo.db"
    chosen = ["serve", "--store", store, "--port", port, "--workers", workers]
    said = served.pgo(*chosen, check=False)
    assert said.returncode == 1
    assert b"PGO_STORE" in said.stderr
    assert b"Traceback" not in said.stderr


def test_the_demo_is_loaded_once_and_tells_how_to_read_it(served):
    said = served.pgo("demo", "--json")
    told = orjson.loads(said.stdout)
    assert told["dossiers"].items() <= served.dossiers.items()
    assert set(told["tokens"]) == {"moeder", "copiloot", "vreemde"}
    spoken = served.pgo("demo").stdout.decode()
    commands = [line for line in spoken.splitlines() if line.startswith("curl ")]
    codes = []
    for command in commands:
        words = command.split("'")
        name, value = words[1].split(": ")
        codes.append(httpx2.get(words[3], headers={name: value}).status_code)
    assert codes == [200, 200, 404]
