"""The two commands of a newcomer on a fresh checkout: `make install`, `make run`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 5


def left(until: float) -> float:
    return max(1.0, until - time.monotonic())


@pytest.fixture
def checkout(tmp_path):
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    folder = tmp_path / "pgo"
    subprocess.run([git, "clone", "-q", "--no-hardlinks", ROOT, folder], check=True, timeout=60)
    return folder


@pytest.fixture
def environment():
    """That of this machine, on a free port, without anything of this project's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PGO_", "PYTEST_", "VIRTUAL_ENV", "PYTHONPATH"))
    }
    return kept | {"PGO_PORT": str(port), "PGO_ISSUER": f"http://127.0.0.1:{port}"}


def run(command, folder, environment, until):
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, timeout=left(until), check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode()


@pytest.mark.long
def test_a_newcomer_installs_runs_and_reads(checkout, environment):
    until = time.monotonic() + MINUTES * 60
    run(["make", "install"], checkout, environment, until)
    told = run([checkout / ".venv/bin/pgo", "--help"], checkout, environment, until)
    assert "serve" in told
    log = checkout / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [shutil.which("make") or "make", "run"],
            cwd=checkout,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        ready(process, environment["PGO_ISSUER"], log, until)
        lines = log.read_text().splitlines()
        commands = [line for line in lines if line.startswith("curl ")]
        assert len(commands) == 3, lines
        assert environment["PGO_ISSUER"] in "".join(commands)
        codes = [status(command, environment, until) for command in commands]
        assert codes == ["200", "200", "404"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    changed = run(["git", "status", "--porcelain"], checkout, environment, until).split()
    assert changed == ["??", "run.log"], "running leaves nothing behind in the checkout"


def ready(process, url, log, until):
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/health/ready").status_code == 200:
                return
        time.sleep(0.2)
    pytest.fail(log.read_text()[-3000:])


def status(command, environment, until):
    """The HTTP status of a printed command, run as it stands but for what it writes out."""
    shown = f"{command} -o /dev/null -w '%{{http_code}}'"
    return run(["bash", "-c", shown], None, environment, until)
