"""A real server with the demo families: `pgo serve` as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from pgo.app import Server, _rates_file, build
from pgo.dossier.log import Rule
from pgo.fhir import text
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.house import House, open_house
from pgo.keyfile import make_key
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.settings import Settings, load
from pgo.shared import patient_id

EVERYTHING = "user/*.cruds"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual one takes 20 ms to make per client


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
    process: subprocess.Popen[bytes] | None = None
    patience: float = 120  # seconds: for a server that hangs, not for a machine that is busy
    dossiers: dict[str, str] = field(default_factory=dict)
    _tokens: dict[Any, tuple[str, float]] = field(default_factory=dict)

    def settings(self) -> Settings:
        """The settings the server runs with."""
        return load(
            store=self.environment["PGO_STORE"],
            key_file=self.folder / "pgo.key",
            issuer=self.url,
            development_login=True,
            mongo_standalone="PGO_MONGO_STANDALONE" in self.environment,
        )

    def serve(self) -> None:
        """Start `pgo serve`, again after it was killed, and return when it can serve."""
        with (self.folder / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "pgo", "serve"]
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until_ready(self)
        except BaseException:
            stop(self)
            raise

    def wait(self, url: str) -> None:
        """Return when a server beside this one, at `url`, can serve."""
        wait_until_ready(replace(self, url=url))

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def inside(self, work: Any) -> Any:
        """Do `await work(house)` on the same store, beside the running server."""

        async def whole() -> Any:
            async with open_house(self.settings()) as house:
                return await work(house)

        return asyncio.run(whole())

    def brought(self, family: str, release: Release, *trees: dict[str, Any]) -> None:
        """An operator brings these in as they are: no person may name these authors."""
        read = [text.parse(orjson.dumps(tree)) for tree in trees]
        ops = [Op("PUT", r["resourceType"], r["id"], r, index=n) for n, r in enumerate(read)]

        async def work(house: House) -> None:
            await Office(house, self.dossiers[family], "test").bring_in(release, ops, whole=True)

        self.inside(work)

    def token(self, person: str, family: str = "fenna", scope: str = EVERYTHING) -> str:
        """An access token of `person` for the dossier of `family`."""

        async def work(house: House) -> tuple[str, float]:
            issued = await house.tokens.issue_operator(
                house.registry,
                dossier=self.dossiers[family],
                person=person,
                scope=tuple(scope.split()),
            )
            return issued.access, issued.expires_in

        return self._kept((person, family, scope), lambda: self.inside(work))

    def _kept(self, key: Any, make: Callable[[], tuple[str, float]]) -> str:
        """The token that was made before, until half of its seconds are over."""
        token, until = self._tokens.get(key, ("", 0.0))
        if time.monotonic() >= until:
            token, seconds = make()
            self._tokens[key] = token, time.monotonic() + seconds / 2
        return token

    def anna(self, key: str, grants: list[dict[str, Any]]) -> Anna:
        """A dossier of its own, known to this server under `key`."""
        made: Anna = self.inside(lambda house: bring_anna(house, key, grants))
        self.dossiers[key] = made.dossier
        return made

    def system(self, client_id: str) -> str:
        """An access token of a provider's system, by client credentials with its own key."""
        return self._kept(client_id, lambda: self._granted(client_id))

    def _granted(self, client_id: str) -> tuple[str, float]:
        key = self.folder / "demo-keys" / f"{client_id}.json"
        made = self.pgo("provider", "assert", "--key", str(key), "--client-id", client_id)
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_assertion_type": kind,
            "client_assertion": made.stdout.decode().strip(),
            "scope": "system/*.cruds",
        }
        answer = httpx2.post(f"{self.url}/oauth/token", data=form)
        answer.raise_for_status()
        return answer.json()["access_token"], answer.json()["expires_in"]

    def pgo(self, *arguments: str, check: bool = True, **more: str) -> Any:
        """Run the `pgo` command with the server's settings, and `more` of them."""
        command = [sys.executable, "-m", "pgo", *arguments]
        environment = self.environment | more
        return subprocess.run(command, env=environment, capture_output=True, check=check)

    def wrong_in_trails(self) -> list[Any]:
        """What `pgo audit verify` finds wrong, in all dossiers and the system; none, one hopes."""
        said = self.pgo("audit", "verify", "--json", check=False)
        assert said.stdout, said.stderr.decode()
        rows = orjson.loads(said.stdout)
        assert {row["dossier"] for row in rows} >= {"system", *self.dossiers.values()}
        return [row["findings"] for row in rows if not row["ok"]]

    def fhir(self, family: str = "fenna", release: str = "r4") -> str:
        """The FHIR address of a family's dossier."""
        return f"{self.url}/dossiers/{self.dossiers[family]}/fhir/{release}"

    def client(self, person: str, family: str = "fenna", scope: str = EVERYTHING) -> httpx2.Client:
        """An HTTP client that calls as `person`, with the family's FHIR R4 base as base address."""
        return httpx2.Client(
            base_url=self.fhir(family) + "/",
            headers={"Authorization": f"Bearer {self.token(person, family, scope)}"},
            timeout=30,
            verify=NO_TLS,
        )


def start(folder: Path, *, workers: int = 1, **more: str) -> Served:
    """Load the demo families into a fresh store and start `pgo serve` on it."""
    port = free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PGO_")},
        "PGO_STORE": f"sqlite:///{folder}/pgo.db",
        "PGO_ERASED_LIST": f"{folder}/apart/erased",
        "PGO_KEY_FILE": str(folder / "pgo.key"),
        "PGO_PORT": str(port),
        "PGO_ISSUER": f"http://127.0.0.1:{port}",
        "PGO_DEVELOPMENT_LOGIN": "true",
        "PGO_RATE_PERSON": "1000000",
        "PGO_RATE_BURST": "1000000",
        "PGO_RATE_APP": "1000000",
        "PGO_RATE_WRITES": "1000000",
        "PGO_WORKERS": str(workers),
        **more,
    }
    python = [sys.executable, "-m", "pgo"]
    told = subprocess.run(
        [*python, "demo", "--json"], env=environment, capture_output=True, check=False
    )
    assert told.returncode == 0, told.stderr.decode()
    dossiers = orjson.loads(told.stdout.splitlines()[-1])["dossiers"]
    served = Served(environment["PGO_ISSUER"], environment, folder, dossiers=dossiers)
    served.serve()
    return served


def wait_until_ready(served: Served) -> None:
    """Return when the server answers that it can serve; one that has ended is seen at once."""
    until = time.monotonic() + served.patience
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{served.url}/health/ready", verify=NO_TLS).status_code == 200:
                return
        if served.process is None or served.process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError((served.folder / "server.log").read_text()[-3000:])


def stop(served: Served) -> None:
    """End the server by its own pid, and its workers with it when it does not end them."""
    served.process.terminate()
    try:
        served.process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(served.process.pid, signal.SIGKILL)  # it leads a session of its own
        served.process.wait(15)
    _rates_file(served.settings()).unlink(missing_ok=True)


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
def free() -> Callable[[], int]:
    """Finds free ports."""
    return free_port


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Served]]:
    """Starts servers that end with the tests: as `start`."""
    running: list[Served] = []

    def begin(folder: Path, **more: Any) -> Served:
        running.append(start(folder, **more))
        return running[-1]

    yield begin
    for served in running:
        stop(served)


@pytest.fixture(scope="session", params=["sqlite", pytest.param("mongodb", marks=pytest.mark.long)])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with two workers that tests may kill and start again, on each kind of store."""
    folder = tmp_path_factory.mktemp(request.param)
    more: dict[str, str] = {}
    if request.param == "mongodb":
        address = f"{request.getfixturevalue('wire')}/pgo-killed"
        more = {"PGO_STORE": address, "PGO_MONGO_STANDALONE": "true"}
    return request.getfixturevalue("launch")(folder, workers=2, **more)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Served]:
    """A server of this test alone."""
    running = start(tmp_path)
    yield running
    stop(running)


@dataclass
class Inside:
    """A server in this very process, with a clock that can be moved and parts that can break."""

    server: Server = field(init=False)
    house: House = field(init=False)
    http: httpx2.AsyncClient = field(init=False)
    anna: Anna = field(init=False)
    now: datetime = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def later(self, **passed: float) -> None:
        """Let time pass."""
        self.now += timedelta(**passed)

    async def token(self, person: str, scope: str = EVERYTHING) -> dict[str, str]:
        """Header fields of a call by this person at Anna's dossier."""
        issued = await self.house.tokens.issue_operator(
            self.house.registry,
            dossier=self.anna.dossier,
            person=person,
            scope=tuple(scope.split()),
        )
        return {"Authorization": f"Bearer {issued.access}"}

    async def call(
        self, name: str, method: str, path: str, *, scope: str = EVERYTHING, **more: Any
    ) -> httpx2.Response:
        """A call by sam, nina … to Anna's dossier, at a path below it."""
        headers = await self.token(self.anna.person(name), scope) | more.pop("headers", {})
        url = f"/dossiers/{self.anna.dossier}{path}"
        return await self.http.request(method, url, headers=headers, **more)


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    """A fresh server in this process with Anna's dossier; Anna knows everybody and gave nothing."""
    make_key(tmp_path / "pgo.key", development=True)
    settings = load(
        store=f"sqlite:///{tmp_path}/pgo.db",
        key_file=tmp_path / "pgo.key",
        issuer="http://127.0.0.1:8000",
        rate_person=1e6,
        rate_burst=1_000_000,
        rate_app=1e6,
    )
    made = Inside()
    made.server = build(settings, clock=lambda: made.now)
    made.house = await made.server.start()
    made.anna = await bring_anna(made.house, "x", [])
    transport = httpx2.ASGITransport(app=made.server)
    async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as made.http:
        yield made
    await made.server.stop()
    _rates_file(settings).unlink(missing_ok=True)
