"""Audit lines the event loop writes itself: only on a quick disk, all or none, never late."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from pgo import errors
from pgo.store.contract import Line
from pgo.store.sqlite import SqliteStore
from pgo.store.sqlite_quick import MOST, QUICK, SURE, Quick


def line(seq: int, sealed: bytes = b"x") -> Line:
    return Line("a" * 32, "w" * 16, seq, seq, bytes(32), os.urandom(32), sealed)


@pytest.fixture
async def store(tmp_path):
    opened = await SqliteStore.open(tmp_path / "pgo.db")
    yield opened
    await opened.close()


@pytest.fixture
def quick(store, tmp_path):
    """One that trusts the disk; its clock stands still until it is told otherwise."""
    moments = iter(range(10_000))
    made = Quick(tmp_path / "pgo.db-trail", clock=lambda: next(moments) * QUICK / 4)
    for _ in range(SURE):
        made.took(0)
    yield made
    made.close()


def kept(path: Path) -> list[int]:
    connection = sqlite3.connect(f"{path}-trail")
    try:
        return [seq for (seq,) in connection.execute("SELECT seq FROM lines ORDER BY seq")]
    finally:
        connection.close()


async def test_a_disk_nobody_knows_is_left_to_the_thread(store, tmp_path):
    fresh = Quick(tmp_path / "pgo.db-trail")
    assert not fresh.write([line(1)])
    for _ in range(SURE - 1):
        fresh.took(QUICK / 2)
    assert not fresh.write([line(1)])
    assert kept(tmp_path / "pgo.db") == []
    fresh.close()


async def test_a_disk_that_was_quick_often_enough_is_trusted(quick, tmp_path):
    assert quick.write([line(1), line(2)])
    assert kept(tmp_path / "pgo.db") == [1, 2]


async def test_one_slow_transaction_and_it_is_left_to_the_thread_again(quick):
    assert quick.write([line(1)])
    quick.took(QUICK)
    assert not quick.write([line(2)])


async def test_its_own_slowness_counts(store, tmp_path):
    moments = iter(range(100))
    slow = Quick(tmp_path / "pgo.db-trail", clock=lambda: next(moments) * QUICK)
    for _ in range(SURE):
        slow.took(0)
    assert slow.write([line(1)])
    assert not slow.write([line(2)])
    slow.close()


async def test_while_another_writes_it_does_not_wait(quick, store, tmp_path):
    other = sqlite3.connect(tmp_path / "pgo.db-trail", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not quick.write([line(1)])
    for _ in range(SURE):
        store._lines.took(0)
    waiting = asyncio.create_task(store.note([line(1)]))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    await waiting
    assert kept(tmp_path / "pgo.db") == [1]


@pytest.mark.parametrize("many", [3, 40, MOST])
async def test_lines_go_in_all_or_none(quick, tmp_path, many):
    lines = [line(seq) for seq in range(1, many + 1)]
    assert quick.write(lines[-1:])
    with pytest.raises(errors.Incident):
        quick.write([*lines[:-1], line(many)])
    assert kept(tmp_path / "pgo.db") == [many]
    assert quick.write(lines), "the very same line again is one line"
    assert kept(tmp_path / "pgo.db") == list(range(1, many + 1))


async def test_very_many_at_once_are_for_the_thread(quick):
    assert not quick.write([line(seq) for seq in range(1, MOST + 2)])


async def test_what_the_loop_writes_is_moved_out_of_the_log_like_the_rest(store, tmp_path):
    for _ in range(SURE):
        store._lines.took(0)
    log = tmp_path / "pgo.db-trail-wal"
    largest = 0
    for number in range(40):
        await store.note([line(200 * number + at, b"y" * 2_000) for at in range(200)])
        largest = max(largest, log.stat().st_size)
    assert kept(tmp_path / "pgo.db")[-1] == 200 * 39 + 199
    assert largest < 16_000_000, "about 18 MB of lines went through it"
