"""Lines are durable when the caller hears it, in chains without forks and without gaps."""

import asyncio
import random
import time
from collections import defaultdict

import pytest

from pgo.audit.catalogue import NotInCatalogue
from pgo.audit.chain import START, Pen, log_line
from pgo.audit.entry import Entry, pack
from pgo.audit.trail import new_writer
from pgo.audit.verify import Anchors, verify
from pgo.errors import NoSpace, NotFound, Unavailable
from pgo.store.contract import Commit


async def lines(store, client="fenna"):
    return [line async for line in store.trail(client)]


async def entries(trail, client="fenna", **span):
    return [entry async for entry in trail.read(client, **span)]


async def sound(store, keys, client="fenna"):
    report = await verify(store, keys, client, Anchors())
    assert report.ok, report.findings
    return report


class Moody:
    """A real store that refuses lines when told; `late` = it keeps them and says it did not."""

    def __init__(self, store):
        self._store = store
        self.refuse = None
        self.late = False

    def __getattr__(self, verb):
        return getattr(self._store, verb)

    async def note(self, lines):
        if self.refuse is None or self.late:
            await self._store.note(lines)
        if self.refuse is not None:
            raise self.refuse


async def test_a_line_is_in_the_store_when_write_returns(store, trail, entry):
    await trail.write("fenna", entry(person="samira", resources=("CarePlan/1@1",)))
    (line,) = await lines(store)
    assert (line.writer, line.seq, line.prev) == ("w1", 1, START)
    assert b"samira" not in line.sealed


async def test_a_line_is_read_back_as_it_was_written(trail, entry):
    said = entry("search-type", person="samira", query="Observation?code=1", categories=(("x", 2),))
    await trail.write("fenna", said)
    (back,) = await entries(trail)
    assert back.id == "w1-1"
    assert (back.person, back.query, back.categories) == ("samira", said.query, said.categories)


async def test_lines_of_one_dossier_are_not_in_another(trail, entry):
    await trail.write("fenna", entry())
    await trail.write("system", entry("login"))
    assert await entries(trail, "ruud") == []
    assert [each.interaction for each in await entries(trail, "system")] == ["login"]


async def test_only_the_period_asked_for_is_read(trail, clock, entry):
    times = []
    for _ in range(5):
        times.append(trail.now())
        await trail.write("fenna", entry())
        clock.add(minutes=1)
    found = await entries(trail, since=times[1], until=times[3])
    assert [each.at for each in found] == times[1:3]


async def test_lines_of_several_processes_are_merged_by_time(trail_of, clock, entry):
    writers = [trail_of(name) for name in ("a", "b", "c")]
    for i in range(30):
        clock.add(seconds=1)
        await writers[i % 3].write("fenna", entry("read", type_=f"T{i}"))
    assert [each.type_ for each in await entries(writers[0])] == [f"T{i}" for i in range(30)]


async def test_concurrent_lines_share_a_sync_and_none_is_lost(
    store, keys, trail, entry, monkeypatch
):
    note, together = store.note, []

    async def counted(some):
        together.append(len(some))
        await note(some)

    monkeypatch.setattr(store, "note", counted)
    await asyncio.gather(*(trail.write("fenna", entry(n=i + 1)) for i in range(5_000)))
    found = await lines(store)
    assert [line.seq for line in found] == list(range(1, 5_001))
    assert [each.n for each in await entries(trail)] == list(range(1, 5_001))
    await sound(store, keys)
    assert sum(together) == 5_000
    assert len(together) < 500


async def test_two_writers_at_once_make_two_chains_without_fork_or_gap(store, keys, trail_of):
    first, second = trail_of("a"), trail_of("b")

    async def read(trail, i):
        await asyncio.sleep(random.random() / 100)
        await trail.write("fenna", Entry(trail.now(), "read", n=i + 1))

    await asyncio.gather(*(read(trail, i) for trail in (first, second) for i in range(300)))
    chains = defaultdict(list)
    for line in await lines(store):
        chains[line.writer].append(line.seq)
    assert chains == {"a": list(range(1, 301)), "b": list(range(1, 301))}
    assert (await sound(store, keys)).chains == 2


@pytest.mark.parametrize("fault", [Unavailable("down"), NoSpace("full"), OSError("disk")])
async def test_a_store_that_refuses_means_nothing_is_answered(store, keys, trail_of, entry, fault):
    moody = Moody(store)
    trail = trail_of(where=moody)
    await trail.write("fenna", entry(n=1))
    moody.refuse = fault
    tries = [trail.write("fenna", entry(n=2)) for _ in range(20)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert not trail.healthy
    moody.refuse = None
    await trail.write("fenna", entry(n=3))
    assert trail.healthy
    assert [each.n for each in await entries(trail)] == [1, 3]
    await sound(store, keys)


async def test_lines_that_were_kept_after_all_do_not_fork_the_chain(store, keys, trail_of, entry):
    moody = Moody(store)
    trail = trail_of(where=moody)
    await trail.write("fenna", entry(n=1))
    moody.refuse, moody.late = Unavailable("no answer in time"), True
    answers = await asyncio.gather(
        *(trail.write("fenna", entry(n=2)) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, Unavailable) for answer in answers)
    moody.refuse = None
    await trail.write("fenna", entry(n=3))
    assert [each.n for each in await entries(trail)] == [1, 2, 2, 2, 3]
    await sound(store, keys)


async def test_lines_that_arrive_much_later_do_not_stop_the_chain(store, keys, trail_of, entry):
    moody = Moody(store)
    trail = trail_of(where=moody)
    kept = []

    async def lost(batch):
        kept.append(batch)
        raise Unavailable("no answer in time")

    moody.note = lost
    with pytest.raises(Unavailable):
        await trail.write("fenna", entry(n=1))
    with pytest.raises(Unavailable):
        await trail.write("fenna", entry(n=2))
    del moody.note
    await store.note(kept[0])
    await trail.write("fenna", entry(n=3))
    assert [each.n for each in await entries(trail)] == [1, 3]
    await sound(store, keys)


async def test_a_forged_line_in_the_next_place_is_not_built_upon(store, trail_of, entry, attack):
    moody = Moody(store)
    trail = trail_of(where=moody)
    await trail.write("fenna", entry(n=1))
    moody.refuse = Unavailable("down")
    with pytest.raises(Unavailable):
        await trail.write("fenna", entry(n=2))
    moody.refuse = None
    attack(
        "INSERT INTO lines SELECT client, writer, 2, at, hash, zeroblob(32), sealed FROM lines"
        " WHERE client = 'fenna' AND seq = 1"
    )
    with pytest.raises(Unavailable):
        await trail.write("fenna", entry(n=3))
    assert not trail.healthy


async def test_a_write_of_the_store_that_hangs_up_refuses_everybody(trail_of, store, entry):
    trail = trail_of(where=Moody(store))
    started = asyncio.Event()

    async def hang(_):
        started.set()
        await asyncio.Event().wait()

    trail._store.note = hang
    waiting = [asyncio.create_task(trail.write("fenna", entry())) for _ in range(300)]
    await started.wait()
    trail._flusher.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 300
    del trail._store.note
    await trail.write("fenna", entry())


async def test_a_caller_who_leaves_is_written_down_all_the_same(store, trail, entry):
    await trail.pen("fenna")
    leaving = asyncio.create_task(trail.write("fenna", entry(person="samira")))
    await asyncio.sleep(0)
    assert trail.waiting == 1
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await trail.close()
    assert len(await lines(store)) == 1


async def test_a_line_for_an_unknown_dossier_is_not_written(trail, entry):
    with pytest.raises(NotFound):
        await trail.write("nobody", entry())


async def test_a_line_that_is_not_in_the_catalogue_holds_up_nobody(trail, entry):
    with pytest.raises(NotInCatalogue):
        await trail.write("fenna", Entry(1, "peek"))
    await trail.write("fenna", entry())


async def test_time_that_goes_back_does_not_disturb_the_order_of_the_chain(
    store, keys, trail, clock, entry
):
    for step in (5, -60, 10, -3600, 7200):
        clock.add(seconds=step)
        await trail.write("fenna", entry())
    found = await lines(store)
    assert sorted(line.seq for line in found) == [1, 2, 3, 4, 5]
    assert [each.at for each in await entries(trail)] == sorted(line.at for line in found)
    await sound(store, keys)


async def test_a_line_that_does_not_open_is_a_visible_gap(store, trail, entry, attack):
    for i in range(3):
        await trail.write("fenna", entry(n=i + 1))
    attack("UPDATE lines SET sealed = zeroblob(80) WHERE seq = 2")
    found = await entries(trail)
    assert [each.interaction for each in found] == ["read", "gap", "read"]
    assert (found[1].id, found[1].outcome) == ("w1-2", 8)


@pytest.mark.parametrize("column", ["sealed", "hash", "prev"])
async def test_a_cell_of_another_kind_is_no_reason_to_stop(
    store, keys, trail, entry, attack, column
):
    await trail.write("fenna", entry())
    attack(f"UPDATE lines SET {column} = 'text'")
    assert len(await entries(trail)) == 1
    assert not (await verify(store, keys, "fenna", Anchors())).ok


async def test_a_line_whose_time_was_changed_is_a_visible_gap(trail, entry, attack):
    await trail.write("fenna", entry())
    attack("UPDATE lines SET at = at + 1")
    assert [each.interaction for each in await entries(trail)] == ["gap"]


async def test_a_commit_carries_its_own_line(store, keys, trail, entry):
    key = await keys.audit_key("fenna")
    prev = START
    for n in (1, 2, 3):
        line = log_line("fenna", n, prev, entry("create", person="samira"), key)
        await store.append("fenna", Commit(n, (), b"sealed", line))
        prev = line.hash
    await trail.write("fenna", entry())
    assert sorted(each.id for each in await entries(trail)) == ["log-1", "log-2", "log-3", "w1-1"]
    assert [each.n for each in await entries(trail) if each.id == "log-2"] == [2]
    assert (await sound(store, keys)).chains == 2


def test_a_line_costs_less_than_thirty_microseconds():
    pen, prev = Pen("fenna", bytes(32)), START
    said = Entry(
        1_772_543_100_000_000,
        "search-type",
        person="p-1",
        name="Samira",
        kind="copiloot",
        org="coophulp",
        app="familie",
        reason="TOESTEMMING:g-1",
        grants=("g-1",),
        query="Observation?code=http://loinc.org|4548-4&_count=20",
        resources=tuple(f"Observation/{i:032x}@1" for i in range(20)),
        categories=(("uitslagen", 20),),
    )

    def once(rounds):
        nonlocal prev
        start = time.process_time()
        for seq in range(1, rounds + 1):
            prev = pen.line("w1", seq, prev, said.at, pack(said)).hash
        return (time.process_time() - start) / rounds

    assert min(once(500) for _ in range(9)) < 30e-6


def test_a_writer_id_is_fresh_for_each_process():
    assert new_writer() != new_writer()
    assert new_writer(lambda size: b"\x01" * size) == "a1" + "01" * 7
    assert all(new_writer(lambda size, n=n: bytes([n]) * size)[0] in "abcdef" for n in range(256))
