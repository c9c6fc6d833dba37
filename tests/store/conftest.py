"""Stores to test: SQLite in a folder, MongoDB over the wire, and a real MongoDB when one is named.

PGO_TEST_MONGODB=mongodb://host/ adds a server of your own; each test makes and drops a database.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from pymongo.monitoring import CommandListener

from pgo.store import mongo_driver, open_store
from pgo.store.contract import Commit, Line

NOW = 1_700_000_000.0
REAL = os.environ.get("PGO_TEST_MONGODB", "")


class Clock:
    """Seconds since 1970 that only move when a test says so."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture(params=["sqlite", "wire", *(["mongodb"] if REAL else [])])
def backend(request):
    return request.param


@pytest.fixture
def address(backend, request, tmp_path):
    """Where an empty store is, or will be."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/store/pgo.db"
        return
    server = request.getfixturevalue("wire") if backend == "wire" else REAL
    name = f"pgo-test-{uuid.uuid4().hex[:12]}"
    base, _, options = server.partition("?")
    yield f"{base.rstrip('/')}/{name}{'?' * bool(options)}{options}"
    drop(server, name)


def drop(server, name):
    from pymongo import MongoClient

    with MongoClient(server) as client:
        client.drop_database(name)
        client.drop_database(f"{name}-keys")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def another(address, clock):
    """Opens the store once more, as another server process would."""
    opened = []

    async def open_it():
        opened.append(await open_store(address, strict=False, mongo_standalone=True, clock=clock))
        return opened[-1]

    yield open_it
    for store in opened:
        await store.close()


@pytest.fixture
async def store(another):
    return await another()


@pytest.fixture
def new_client():
    """Makes ids of dossiers."""
    return lambda: uuid.uuid4().hex


@pytest.fixture
def client(new_client):
    return new_client()


def make_line(client, seq, *, writer="w", at=None, sealed=b"sealed"):
    moment = int(NOW * 1e6) + seq if at is None else at
    digest = hashlib.sha256(repr((client, writer, seq, moment, sealed)).encode()).digest()
    return Line(client, writer, seq, moment, bytes(32), digest, sealed)


def make_commit(client, n, *bodies, sealed=b"commit", at=None):
    return Commit(
        n, tuple(bodies), sealed, make_line(client, n, writer="log", at=at, sealed=sealed)
    )


@pytest.fixture
def line():
    return make_line


@pytest.fixture
def commit():
    return make_commit


@pytest.fixture
def child(address):
    """Starts tests/store/child.py on the same store, in a process of its own."""
    started = []

    def start(*arguments):
        command = [sys.executable, Path(__file__).parent / "child.py", address, *arguments]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Recorder(CommandListener):
    def __init__(self):
        self.commands = []

    def started(self, event):
        self.commands.append(event.command)

    def succeeded(self, event):
        """Only what was asked matters."""

    failed = succeeded

    def asked(self, *names):
        return [(next(iter(x)), x[next(iter(x))]) for x in self.commands if next(iter(x)) in names]


@pytest.fixture
def recorder(monkeypatch):
    listener = Recorder()
    monkeypatch.setitem(mongo_driver.TIMES, "event_listeners", [listener])
    return listener
