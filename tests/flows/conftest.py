"""A real server with the demo families: `pgo serve` as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from pgo.dossier.log import Rule
from pgo.house import House, open_house
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.settings import Settings, load
from pgo.shared import patient_id

EVERYTHING = "user/*.cruds"


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A running server: its address, its demo dossiers by family, and tokens for people."""

    url: str
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes]
    dossiers: dict[str, str] = field(default_factory=dict)
    _tokens: dict[Any, str] = field(default_factory=dict)

    def settings(self) -> Settings:
        """The settings the server runs with."""
        return load(
            store=self.environment["PGO_STORE"],
            key_file=self.folder / "pgo.key",
            issuer=self.url,
            development_login=True,
        )

    def inside(self, work: Any) -> Any:
        """Do `await work(house)` on the same store, beside the running server."""

        async def whole() -> Any:
            async with open_house(self.settings()) as house:
                return await work(house)

        return asyncio.run(whole())

    def token(self, person: str, family: str = "fenna", scope: str = EVERYTHING) -> str:
        """An access token of `person` for the dossier of `family`."""
        key = (person, family, scope)
        if key not in self._tokens:

            async def work(house: House) -> str:
                issued = await house.tokens.issue_operator(
                    house.registry,
                    dossier=self.dossiers[family],
                    person=person,
                    scope=tuple(scope.split()),
                )
                return issued.access

            self._tokens[key] = self.inside(work)
        return self._tokens[key]

    def anna(self, key: str, grants: list[dict[str, Any]]) -> Anna:
        """A dossier of its own, known to this server under `key`."""
        made: Anna = self.inside(lambda house: bring_anna(house, key, grants))
        self.dossiers[key] = made.dossier
        return made

    def system(self, client_id: str) -> str:
        """An access token of a provider's system, by client credentials with its own key."""
        if client_id not in self._tokens:
            key = self.folder / "demo-keys" / f"{client_id}.json"
            made = self.pgo("provider", "assert", "--key", str(key), "--client-id", client_id)
            answer = httpx2.post(
                f"{self.url}/oauth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": client_id,
                    "client_assertion_type": (
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                    ),
                    "client_assertion": made.stdout.decode().strip(),
                    "scope": "system/*.cruds",
                },
            )
            answer.raise_for_status()
            self._tokens[client_id] = answer.json()["access_token"]
        return self._tokens[client_id]

    def pgo(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run the `pgo` command with the server's settings."""
        command = [sys.executable, "-m", "pgo", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, check=check)

    def fhir(self, family: str = "fenna", release: str = "r4") -> str:
        """The FHIR address of a family's dossier."""
        return f"{self.url}/dossiers/{self.dossiers[family]}/fhir/{release}"

    def client(self, person: str, family: str = "fenna", scope: str = EVERYTHING) -> httpx2.Client:
        """An HTTP client that calls as `person`, with the family's FHIR R4 base as base address."""
        return httpx2.Client(
            base_url=self.fhir(family) + "/",
            headers={"Authorization": f"Bearer {self.token(person, family, scope)}"},
            timeout=30,
        )


def start(folder: Path, *, workers: int = 1, **more: str) -> Served:
    """Load the demo families into a fresh store and start `pgo serve` on it."""
    port = free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PGO_")},
        "PGO_STORE": f"sqlite:///{folder}/pgo.db",
        "PGO_KEY_FILE": str(folder / "pgo.key"),
        "PGO_PORT": str(port),
        "PGO_ISSUER": f"http://127.0.0.1:{port}",
        "PGO_DEVELOPMENT_LOGIN": "true",
        "PGO_RATE_PERSON": "1000000",
        "PGO_RATE_BURST": "1000000",
        "PGO_RATE_APP": "1000000",
        "PGO_WORKERS": str(workers),
        **more,
    }
    python = [sys.executable, "-m", "pgo"]
    told = subprocess.run(
        [*python, "demo", "--json"], env=environment, capture_output=True, check=True
    )
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([*python, "serve"], env=environment, stdout=log, stderr=log)
    url = environment["PGO_ISSUER"]
    dossiers = orjson.loads(told.stdout.splitlines()[-1])["dossiers"]
    served = Served(url, environment, folder, process, dossiers)
    wait_until_ready(served)
    return served


def wait_until_ready(served: Served) -> None:
    """Return when the server answers that it can serve, within half a minute."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{served.url}/health/ready").status_code == 200:
                return
        if served.process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError((served.folder / "server.log").read_text()[-3000:])


def stop(served: Served) -> None:
    """End the server by its own pid."""
    served.process.terminate()
    try:
        served.process.wait(15)
    except subprocess.TimeoutExpired:
        served.process.kill()
        served.process.wait(15)


@dataclass(frozen=True)
class Anna:
    """A grown woman with a dossier of her own, and people around her; ids end in `key`."""

    key: str
    dossier: str
    patient: str

    def person(self, name: str) -> str:
        """The account id of sam, nina, kim, noor, esther, mo, lea or anna."""
        return f"{name}-{self.key}"


async def bring_anna(house: House, key: str, grants: list[dict[str, Any]]) -> Anna:
    """Register the people and make the dossier; `grants` name people without the key.

    Sam and Nina are friends, Kim is a copiloot, Noor a doctor and Esther a nurse of De Linde, Mo is
    Anna's mentor, Lea somebody she does not know.
    """
    more: dict[str, dict[str, Any]] = {
        "kim": {"kind": "copiloot", "orgs": ("coophulp",)},
        "noor": {"kind": "zorgverlener", "orgs": ("delinde",), "loa": "hoog"},
        "esther": {"kind": "zorgverlener", "orgs": ("delinde",), "teams": ("nacht",)},
    }
    for name in ("anna", "sam", "nina", "kim", "noor", "esther", "mo", "lea"):
        shown = f"{name.capitalize()} Berg"
        account = Account(f"{name}-{key}", shown, birth="1980-05-01", **more.get(name, {}))
        await house.registry.keep_account(account)
    client, me = new_client(), f"anna-{key}"
    office = Office(house, client, "test")
    await office.create({"person": me, "name": "Anna Berg", "birth": "1980-05-01"})
    mentor = {"person": f"mo-{key}", "client": me, "kind": "mentor", "order": "C/01/1"}
    rules = [Rule("relation", "r-mo", mentor)]
    for order, given in enumerate(grants):
        row = {"id": f"g-{order}", "by": me, "effect": "permit", **given, "client": me}
        row |= {"made": "2026-01-01T00:00:00Z", "order": order}
        if ":" not in row["to_who"]:
            row["to_who"] += f"-{key}"
        rules.append(Rule("grant", row["id"], row))
    await office.set_rules(rules, "test")
    dossier = await house.parts.dossiers.open(client)
    return Anna(key, client, patient_id(dossier, "r4"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of this session that change nothing others look at."""
    running = start(tmp_path_factory.mktemp("served"))
    yield running
    stop(running)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Served]:
    """A server of this test alone."""
    running = start(tmp_path)
    yield running
    stop(running)
