"""Several server processes on one store, and what is left when one is killed."""

import asyncio
import contextlib
import threading

import pytest

from pgo import errors
from pgo.store import sqlite


def all_lines(process):
    return [line.split() for line in process.stdout.read().splitlines()]


async def race(child, client, what, processes, count):
    """Start them, let them go at the same moment, and give what each was told."""
    racers = [child(what, client, count) for _ in range(processes)]
    for racer in racers:
        assert (await asyncio.to_thread(racer.stdout.readline)).strip() == "ready"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = await asyncio.gather(*(asyncio.to_thread(all_lines, racer) for racer in racers))
    assert [racer.wait() for racer in racers] == [0] * processes
    return told


async def test_eight_processes_that_append_to_one_dossier_leave_one_log_without_gaps(
    store, child, client
):
    told = await race(child, client, "append", 8, 12)
    acknowledged = {int(n): mark for one in told for n, mark in one}
    log = await store.commits(client, 0, 1000)
    assert sum(map(len, told)) == len(acknowledged) == 96
    assert [commit.n for commit in log] == list(range(1, 97))
    assert {commit.n: commit.sealed.hex() for commit in log} == acknowledged


async def read_some(process, count):
    def read():
        return [process.stdout.readline().split() for _ in range(count)]

    return await asyncio.to_thread(read)


@pytest.mark.parametrize("count", [1, 60])
async def test_what_was_acknowledged_before_a_kill_is_there(another, child, client, count):
    process = child("forever", client, "killed")
    told = await read_some(process, count)
    process.kill()
    told += [words for words in await asyncio.to_thread(all_lines, process) if words]
    store = await another()
    log = await store.commits(client, 0, 10_000)
    assert [commit.n for commit in log] == list(range(1, len(log) + 1))
    named = {id_ for commit in log for id_ in commit.bodies}
    assert await store.bodies(client, [*named]) == dict.fromkeys(named, b"body" * 500)
    trail = [line async for line in store.trail(client)]
    noted = {line.seq for line in trail if line.writer == "killed"}
    assert noted == set(range(1, len(noted) + 1))
    lines = {int(words[1]) for words in told if words[0] == "line"}
    commits = {(int(words[1]), words[2]) for words in told if len(words) == 3}
    assert len(told) >= count
    assert lines <= noted
    assert commits <= {(commit.n, commit.bodies[0].hex()) for commit in log}
    assert [line for line in trail if line.writer == "log"] == [commit.line for commit in log]


async def test_bodies_of_a_killed_writer_are_swept_while_a_reader_reads_on(
    store, another, child, client, clock, commit
):
    kept = {bytes([i]) * 16: b"kept" for i in range(20)}
    await store.keep_bodies(client, kept)
    await store.append(client, commit(client, 1, *kept))
    process = child("bodies", client, "")
    written = await read_some(process, 30)
    process.kill()
    await asyncio.to_thread(process.wait)
    reader, reading = await another(), True

    async def read():
        while reading:
            assert await reader.bodies(client, [*kept]) == kept
            assert await reader.head(client) == 1
            await asyncio.sleep(0)

    task = asyncio.create_task(read())
    clock.now += 10**10  # the child has the clock of this machine
    assert await store.sweep(client, 60) >= len(written)
    assert await store.sweep(client, 60) == 0
    reading = False
    await task
    assert await store.bodies(client, [*kept]) == kept


class TestTurnsOfSqlite:
    """Between processes only SQLite promises turns."""

    @pytest.fixture
    def backend(self):
        return "sqlite"

    async def test_four_processes_that_keep_their_turn_never_collide(self, store, child, client):
        told = await race(child, client, "turned", 4, 40)
        assert sum(map(len, told)) == 160
        assert await store.head(client) == 160

    async def test_a_turn_is_let_go_by_the_kernel_when_its_holder_is_killed(
        self, store, child, client, monkeypatch
    ):
        process = child("hold", client, "")
        assert await read_some(process, 1) == [["held"]]
        monkeypatch.setattr(sqlite, "PATIENCE", 0.3)
        with pytest.raises(errors.Unavailable):
            async with store.turn(client):
                pytest.fail("two in one turn")
        async with store.turn("another-client"):
            pass
        monkeypatch.setattr(sqlite, "PATIENCE", 20)
        waiting = asyncio.create_task(self.enter(store, client))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        process.kill()
        async with asyncio.timeout(10):
            await waiting

    async def test_waiting_for_a_turn_does_not_hold_up_the_event_loop(self, store, child, client):
        process = child("hold", client, "")
        await read_some(process, 1)
        threads = threading.active_count()
        waiting = asyncio.create_task(self.enter(store, client))
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert loop.time() - start < 5
        assert not waiting.done()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert threading.active_count() <= threads

    async def test_two_stores_in_one_process_exclude_each_other(
        self, store, another, client, monkeypatch
    ):
        other = await another()
        monkeypatch.setattr(sqlite, "PATIENCE", 0.2)
        async with store.turn(client):
            with pytest.raises(errors.Unavailable):
                await self.enter(other, client)
        await self.enter(other, client)

    async def test_a_busy_process_does_not_keep_another_out(self, store, another, client):
        other, busy, entered = await another(), True, 0

        async def hurry():
            nonlocal entered
            while busy:
                async with store.turn(client):
                    entered += 1
                    await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(hurry()) for _ in range(4)]
        async with asyncio.timeout(20):
            for _ in range(5):
                await asyncio.sleep(0.005)
                before = entered
                await self.enter(other, client)
                assert entered - before < 100
        busy = False
        await asyncio.gather(*tasks)
        assert entered

    async def enter(self, store, client):
        async with store.turn(client):
            pass
