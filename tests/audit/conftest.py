"""A real store with a dossier, its keys, and trails that write into it."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from pgo.audit.anchor import anchor_key
from pgo.audit.entry import Entry
from pgo.audit.trail import Trail
from pgo.dossier.seal import Keys
from pgo.store import open_store

START = datetime(2026, 3, 3, 13, 5, tzinfo=UTC)
MINUTE = 60_000_000


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self):
        self.moment = START

    def __call__(self):
        return self.moment

    def add(self, **span):
        self.moment += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pgo.db"


@pytest.fixture
async def store(path):
    opened = await open_store(f"sqlite:///{path}", strict=False, mongo_standalone=False)
    yield opened
    await opened.close()


@pytest.fixture
async def keys(store):
    made = Keys(store, bytes(range(32)))
    for client in ("fenna", "ruud", "system"):
        await made.make(client)
    return made


@pytest.fixture
def trail_of(store, keys, clock):
    def make(writer="w1", where=None):
        return Trail(where or store, keys, clock, writer)

    return make


@pytest.fixture
def trail(trail_of):
    return trail_of()


@pytest.fixture
def seed():
    return anchor_key(bytes(32))


@pytest.fixture
def entry(trail):
    def make(interaction="read", **said):
        said.setdefault("at", trail.now())
        return Entry(interaction=interaction, **said)

    return make


@pytest.fixture
def attack(path):
    """Change the lines behind the server's back, as somebody with the file can."""

    def run(statement, *values):
        changed = 0
        for file in (path, f"{path}-trail"):
            connection = sqlite3.connect(file)
            try:
                with connection:
                    changed += connection.execute(statement, values).rowcount
            except sqlite3.OperationalError as fault:
                if "no such table" not in str(fault):
                    raise
            finally:
                connection.close()
        assert changed, "the attack did not change anything"
        return changed

    return run
