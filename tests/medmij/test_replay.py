"""The official Dutch requests, replayed over HTTP against a server of its own: none may fail.

The tool and the suites lie beside the checkout. The tool needs `httpx` and `fhirpathpy`, which this
project does not: name a Python that has them in REPLAY_PYTHON, or one is made for the run.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import httpx2
import orjson
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "../shared/tools/nictiz_replay.py"
SUITES = ROOT / "../shared/data/nictiz"
NEEDED = ("httpx>=0.28,<1", "fhirpathpy>=2.2.4,<3")
SKIPPED = {"PDFA-3-0": 8}
"""Requests the suites themselves mark as impossible, in two forms each."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.outside,
    pytest.mark.skipif(not TOOL.exists() or not SUITES.exists(), reason="no outside tool and data"),
]


def standards():
    return sorted(one.name for one in SUITES.iterdir() if one.is_dir()) if SUITES.exists() else []


def has_all(python):
    return not subprocess.run(
        [python, "-c", "import httpx, fhirpathpy"], capture_output=True, check=False
    ).returncode


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python with what the tool needs."""
    for found in (os.environ.get("REPLAY_PYTHON"), sys.executable):
        if found and has_all(found):
            return found
    folder = tmp_path_factory.mktemp("tool")
    venv.create(folder, with_pip=True)
    made = str(folder / "bin" / "python")
    done = subprocess.run(
        [made, "-m", "pip", "install", "-q", *NEEDED], check=False, capture_output=True
    )
    if done.returncode or not has_all(made):
        pytest.skip("httpx and fhirpathpy cannot be installed; name a Python in REPLAY_PYTHON")
    return made


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server as a process of its own: its address, and the command that works on its store."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PGO_")},
        "PGO_STORE": f"sqlite:///{folder}/pgo.db",
        "PGO_KEY_FILE": str(folder / "pgo.key"),
        "PGO_PORT": str(port),
        "PGO_ISSUER": f"http://127.0.0.1:{port}",
        "PGO_RATE_PERSON": "1000000",
        "PGO_RATE_BURST": "1000000",
        "PGO_RATE_APP": "1000000",
    }
    command = [sys.executable, "-m", "pgo"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve"], env=environment, stdout=log, stderr=log, cwd=ROOT
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield f"http://127.0.0.1:{port}", " ".join(command), environment
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(address).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError("the server did not start")


@pytest.mark.parametrize("standard", standards())
def test_every_official_request_is_answered_as_it_must_be(python, served, standard, tmp_path):
    url, command, environment = served
    report = tmp_path / "report.json"
    arguments = ["--suite", SUITES, "--base", url, "--pgo", command, "--standards", standard]
    done = subprocess.run(
        [python, TOOL, "run", *arguments, "--xml", "--jobs", "2", "--report", report],
        env=environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    told = orjson.loads(report.read_bytes())["standards"][standard]
    failed = [(o["sent"], o["form"], o["problems"]) for o in told["outcomes"] if o["problems"]]
    assert (done.returncode, failed) == (0, [])
    assert told["passed"] > 0
    assert told["skipped"] == SKIPPED.get(standard, 0)
