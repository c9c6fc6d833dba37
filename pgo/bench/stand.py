"""The test stand: a store with the demo families, servers and load on the same cores, all ended.

Everything is in a temporary folder and on free ports of 127.0.0.1; every process that is started
is ended by its own id.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, Self, TypeVar, cast

import orjson

from pgo.app import _rates_file
from pgo.demo.load import Loaded
from pgo.demo.load import load as load_families
from pgo.errors import Unavailable
from pgo.house import House, open_house
from pgo.settings import Settings, load

T = TypeVar("T")
CONNECTIONS: Final = 8
CORES: Final = 2
_PATIENCE: Final = 60.0
_PLENTY: Final = "1000000000"


class Stand:
    """What the benches share, made when first asked for; use it in a `with`.

    Args:
        quick: short runs, for tests and a first look.
        tell: is told what is going on.
    """

    def __init__(self, *, quick: bool, tell: Callable[[str], None]) -> None:
        self.quick, self.tell = quick, tell
        self._key = b64encode(os.urandom(32)).decode()
        self.runs = 5
        self.seconds = 0.25 if quick else 2.0
        self._stack = ExitStack()
        self._loaded: Loaded | None = None
        self._guarded: Server | None = None
        self._bare: Server | None = None
        self._load: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        made = tempfile.TemporaryDirectory(prefix="pgo-bench-")
        self.folder = Path(self._stack.enter_context(made))
        self._stack.callback(_on_cores(CORES))
        self._stack.callback(_rates_file(self.settings()).unlink, missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- in this process -----------------------------------------------------------------------

    def settings(self, store: str = "pgo", **more: Any) -> Settings:
        """Settings with a store and a key in the temporary folder; nobody is asked to slow down."""
        return load(
            **{name.lower(): value for name, value in self._environment(store).items()}, **more
        )

    def _environment(self, store: str) -> dict[str, str]:
        return {
            "STORE": f"sqlite:///{self.folder}/{store}.db",
            "KEY": self._key,
            "RATE_PERSON": _PLENTY,
            "RATE_BURST": _PLENTY,
            "RATE_APP": _PLENTY,
        }

    def inside(self, work: Callable[[House], Awaitable[T]], store: str = "pgo") -> T:
        """Do `work(house)` on a store of the stand."""

        async def whole() -> T:
            async with open_house(self.settings(store)) as house:
                return await work(house)

        return asyncio.run(whole())

    def families(self) -> Mapping[str, str]:
        """The demo families, as dossier id by family; loaded once."""
        if self._loaded is None:
            self.tell("loading the demo families")

            async def work(house: House) -> Loaded:
                day = house.clock().date()
                return await load_families(house, day, self.folder / "demo-keys", lambda _: None)

            self._loaded = self.inside(work)
        return self._loaded.dossiers

    def token(self, person: str, family: str, scope: str = "patient/*.rs") -> str:
        """An access token for an hour."""
        dossier = self.families()[family]

        async def work(house: House) -> str:
            issued = await house.tokens.issue_operator(
                house.registry, dossier=dossier, person=person, scope=(scope,)
            )
            return issued.access

        return self.inside(work)

    # --- servers -------------------------------------------------------------------------------

    @property
    def guarded(self) -> Server:
        """`pgo serve` with one worker on the demo families."""
        if self._guarded is None:
            self.families()
            self.tell("starting the server")
            self._guarded = self._serve(["pgo", "serve"], "/health/ready")
        return self._guarded

    def server(self, **more: str) -> Server:
        """`pgo serve` with one worker on the demo families, and settings besides the usual."""
        self.families()
        return self._serve(["pgo", "serve"], "/health/ready", more)

    def bare(self, answers: Mapping[str, bytes]) -> Server:
        """The yardstick with one more set of answers by name; started anew for a new set."""
        folder = self.folder / "bare"
        folder.mkdir(exist_ok=True)
        for name, body in answers.items():
            (folder / name).write_bytes(body)
        if self._bare is not None:
            self._bare.end()
        first = next(iter(answers))
        self._bare = self._serve(["pgo.bench.bare", str(folder)], f"/{first}")
        return self._bare

    def _serve(
        self, module: list[str], ready: str, more: Mapping[str, str] = MappingProxyType({})
    ) -> Server:
        port = _free_port()
        environment = {name: v for name, v in os.environ.items() if not name.startswith("PGO_")}
        chosen = self._environment("pgo") | {"PORT": str(port), "WORKERS": "1", **more}
        chosen["ISSUER"] = f"http://127.0.0.1:{port}"
        environment |= {f"PGO_{name}": value for name, value in chosen.items()}
        with (self.folder / f"{port}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own modules, by this interpreter
                [sys.executable, "-m", *module], env=environment, stdout=log, stderr=log
            )
        server = Server(process, port, self.folder / f"{port}.log")
        self._stack.callback(server.end)
        server.wait(ready)
        return server

    def drive(self, server: Server, path: str, token: str = "") -> dict[str, float]:
        """Keep 8 connections busy with one request; `rate` in answers/s, `p50` and `p99` in ms.

        Raises:
            Unavailable: something else than 200 was answered.
        """
        return self.drive_each(server, [_request(path, token)])

    def drive_each(self, server: Server, requests: Sequence[str]) -> dict[str, float]:
        """The same with several whole requests, each asked once; it ends early without more.

        Raises:
            Unavailable: something else than 200 was answered.
        """
        load = self._load or self._start_load()
        command = {
            "port": server.port,
            "requests": list(requests),
            "connections": CONNECTIONS,
            "seconds": self.seconds,
        }
        there, back = cast("IO[bytes]", load.stdin), cast("IO[bytes]", load.stdout)
        there.write(orjson.dumps(command) + b"\n")
        there.flush()
        told: dict[str, Any] = orjson.loads(back.readline() or b'{"fault":"nothing"}')
        if told["fault"]:
            raise Unavailable(f"the server under load answered: {told['fault']}")
        return told

    def _start_load(self) -> subprocess.Popen[bytes]:
        self._load = process = subprocess.Popen(
            [sys.executable, "-m", "pgo.bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._stack.callback(_end, process)
        return process


class Server:
    """A server process of the stand."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log

    def wait(self, path: str) -> None:
        """Return when this address is answered with 200.

        Raises:
            Unavailable: it ended, or did not start within a minute.
        """
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self.get(path)
            except (OSError, Unavailable):
                time.sleep(0.02)
            else:
                return
        raise Unavailable(f"the server did not start: {self._log.read_text()[-2000:]}")

    def get(self, path: str, token: str = "") -> bytes:
        """The body of one answer.

        Raises:
            Unavailable: it is not 200.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            fields = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("GET", path, headers=fields)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:  # noqa: PLR2004 - HTTP: OK
            raise Unavailable(f"the server answered {answer.status}")
        return body

    def memory(self) -> float:
        """Resident memory in MB, as Linux reports it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1000

    def end(self) -> None:
        """End this process."""
        _end(self.process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _request(path: str, token: str) -> str:
    fields = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/fhir+json"]
    if token:
        fields.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*fields, "", ""])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _on_cores(count: int) -> Callable[[], None]:
    """Keep this process, and all it starts, on the first cores it has; returns how to undo that."""
    if not hasattr(os, "sched_setaffinity"):
        return lambda: None
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    return lambda: os.sched_setaffinity(0, before)
