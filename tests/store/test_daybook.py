"""Audit lines on their way into their table: durable at once, never nowhere, never twice."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pgo import errors
from pgo.store import sqlite_daybook as daybook
from pgo.store.contract import Line
from pgo.store.sqlite import SqliteStore
from pgo.store.sqlite_daybook import BLOCK, HALF, MOST, QUICK, SURE

CLIENT = "a" * 32


def line(seq: int, sealed: bytes = b"x", *, client: str = CLIENT, writer: str = "w" * 16) -> Line:
    return Line(client, writer, seq, seq, bytes(32), os.urandom(32), sealed)


@pytest.fixture
def backend():
    return "sqlite"


@pytest.fixture
def late(monkeypatch):
    """Nothing is moved but when a half is full."""
    monkeypatch.setattr(daybook, "AGE", 3600.0)


@pytest.fixture
def path(address):
    return Path(address.removeprefix("sqlite:///"))


@pytest.fixture
async def store(path, late):
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


async def trusting(store: SqliteStore) -> list[Line]:
    """A first line in the table, and the disk is trusted from now on."""
    first = line(1)
    store._lines.day.clock = lambda: 0.0
    await store.note([first])
    for _ in range(SURE):
        store._lines.day.took(0)
    return [first]


def in_table(path: Path) -> list[int]:
    with closing(sqlite3.connect(f"{path}-trail")) as connection:
        return [seq for (seq,) in connection.execute("SELECT seq FROM lines ORDER BY seq")]


def size_of(path: str) -> int:
    return Path(path).stat().st_size


def books(path: Path) -> list[Path]:
    return list(path.parent.glob("*-day-*"))


async def read(store: SqliteStore, **span: int) -> list[Line]:
    return [one async for one in store.trail(CLIENT, **span)]


async def test_a_disk_nobody_knows_is_left_to_the_table(store, path):
    store._lines.day.clock = lambda: 0.0
    for seq in range(1, SURE + 1):
        await store.note([line(seq)])
    assert in_table(path) == list(range(1, SURE + 1))
    assert books(path) == []


async def test_a_line_on_its_way_is_read_by_everybody(store, path):
    kept = await trusting(store)
    for seq in range(2, 30):
        kept.append(line(seq))
        await store.note(kept[-1:])
    assert in_table(path) == [1]
    assert [book.stat().st_mode & 0o777 for book in books(path)] == [0o600]
    other = await SqliteStore.open(path)
    assert await read(store) == await read(other) == kept
    assert await read(other, since=10, until=12) == kept[9:11]
    await other.close()
    assert len(books(path)) == 1, "its owner lives"


async def test_lines_are_moved_after_a_while_and_at_the_end(store, path, monkeypatch):
    kept = await trusting(store)
    monkeypatch.setattr(daybook, "AGE", 0.01)
    kept.append(line(2))
    await store.note(kept[-1:])
    for _ in range(500):
        if in_table(path) == [1, 2]:
            break
        await asyncio.sleep(0.01)
    monkeypatch.setattr(daybook, "AGE", 3600.0)
    kept.append(line(3))
    await store.note(kept[-1:])
    assert await read(store) == kept
    await store.close()
    assert in_table(path) == [1, 2, 3]
    assert books(path) == []


async def test_after_a_slow_write_lines_go_to_the_table_again(store, path):
    kept = await trusting(store)
    moments = iter([0.0, QUICK] * 20)
    store._lines.day.clock = lambda: next(moments)
    for seq in (2, 3, 4):
        kept.append(line(seq))
        await store.note(kept[-1:])
    assert in_table(path) == [1, 3, 4]
    assert await read(store) == kept, "in the order of the chain, wherever they are"


@pytest.mark.parametrize("many", [3, MOST])
async def test_lines_go_in_all_or_none(store, path, many):
    kept = await trusting(store)
    kept += [line(seq) for seq in range(2, many + 2)]
    await store.note(kept[1:])
    assert in_table(path) == [1]
    with pytest.raises(errors.Incident):
        await store.note([line(many + 2), line(many)])
    assert await read(store) == kept
    await store.note(kept[-2:])
    assert await read(store) == kept, "the very same line again is one line"


async def test_very_many_at_once_are_for_the_table(store, path):
    await trusting(store)
    await store.note([line(seq) for seq in range(2, MOST + 3)])
    assert in_table(path) == list(range(1, MOST + 3))


async def test_a_line_that_follows_nothing_known_is_for_the_table(store, path):
    await trusting(store)
    await store.note([line(1, writer="v" * 16), line(2, writer="v" * 16)])
    await store.note([line(9)])
    assert in_table(path) == [1, 1, 2, 9]


async def test_while_the_table_is_held_up_both_halves_fill_and_nothing_is_lost(store, path):
    kept = await trusting(store)
    with closing(sqlite3.connect(f"{path}-trail", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        size, seq = 40_000, 2
        while len(kept) <= 2 * (HALF // (size + BLOCK - size % BLOCK)):
            kept.append(line(seq, os.urandom(size)))
            await store.note(kept[-1:])
            seq += 1
        kept.append(line(seq, os.urandom(size)))
        waiting = asyncio.create_task(store.note(kept[-1:]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert in_table(path) == [1]
        assert await read(store) == kept[:-1]
        other.execute("COMMIT")
    await waiting
    assert await read(store) == kept
    await store.close()
    assert in_table(path) == list(range(1, seq + 1))


async def test_whoever_reads_while_lines_are_moved_sees_each_of_them_once(store, path):
    kept = await trusting(store)
    reader = await SqliteStore.open(path)
    done = asyncio.Event()

    async def write() -> None:
        for seq in range(2, 1_500):
            new = line(seq, bytes(1_000))
            await store.note([new])
            kept.append(new)
            await asyncio.sleep(0)
        done.set()

    writing = asyncio.create_task(write())
    rounds = 0
    while not done.is_set():
        before = len(kept)
        seen = await read(reader)
        assert seen[:before] == kept[:before]
        assert [one.seq for one in seen] == list(range(1, len(seen) + 1))
        rounds += 1
    await writing
    await reader.close()
    assert rounds > 1
    assert len(in_table(path)) > HALF // (BLOCK + 1)


async def test_what_a_killed_process_wrote_is_read_and_moved_by_the_next(path, late, child):
    process = child("quick", CLIENT, "killed")
    told = [await asyncio.to_thread(process.stdout.readline) for _ in range(3 * SURE)]
    reader = await SqliteStore.open(path)
    process.kill()
    told += (await asyncio.to_thread(process.communicate))[0].splitlines()
    acknowledged = {int(words.split()[1]) for words in told if words.startswith("line ")}
    assert len(books(path)) == 1
    seen = [one.seq for one in await read(reader)]
    assert seen == list(range(1, len(seen) + 1))
    assert acknowledged <= set(seen)
    assert max(acknowledged) > max(in_table(path))
    heir = await SqliteStore.open(path)
    assert books(path) == []
    assert in_table(path) == seen == [one.seq for one in await read(heir)]
    assert [one.seq for one in await read(reader)] == seen
    await heir.close()
    await reader.close()


async def test_what_does_not_fit_the_table_stays_and_is_read(store, path, monkeypatch):
    kept = await trusting(store)
    kept.append(line(2))
    await store.note(kept[-1:])
    (book,) = books(path)
    orphan = book.with_name(book.name[:-1] + "x")
    orphan.write_bytes(book.read_bytes())
    with closing(sqlite3.connect(f"{path}-trail")) as connection, connection:
        connection.execute("UPDATE lines SET seq = 2")
    other = await SqliteStore.open(path)
    assert orphan.exists()
    assert kept[1].seq in {one.seq for one in await read(other)}
    await other.close()
    orphan.unlink()


@pytest.mark.parametrize("spoil", ["cut", "changed"])
async def test_a_piece_that_is_not_whole_ends_the_half(store, path, spoil):
    kept = await trusting(store)
    for seq in range(2, 6):
        kept.append(line(seq, b"sealed"))
        await store.note(kept[-1:])
    (book,) = books(path)
    data = bytearray(book.read_bytes())
    at = data.rindex(kept[3].hash)
    data[at:] = bytes(len(data) - at) if spoil == "cut" else bytes([data[at] ^ 1]) + data[at + 1 :]
    book.write_bytes(data)
    assert await read(store) == kept[:3]


async def test_a_write_that_failed_is_told_and_nothing_is_written_over_it(store, path):
    kept = await trusting(store)
    kept.append(line(2))
    await store.note(kept[-1:])
    own, store._lines.day._file = store._lines.day._file, os.open(books(path)[0], os.O_RDONLY)
    with pytest.raises(errors.Unavailable):
        await store.note([line(3)])
    kept.append(line(3))
    await store.note(kept[-1:])
    os.close(own)
    assert in_table(path) == [1, 3]
    assert await read(store) == kept
    await store.close()
    assert in_table(path) == [1, 2, 3]


async def test_what_comes_through_it_is_moved_out_of_sqlites_log_as_well(store, path):
    await trusting(store)
    largest = 0
    for number in range(40):
        await store.note([line(2 + 200 * number + at, b"y" * 1_000) for at in range(200)])
        largest = max(largest, size_of(f"{path}-trail-wal"))
    assert [one.seq for one in await read(store)] == list(range(1, 8_002))
    assert largest < 16_000_000
