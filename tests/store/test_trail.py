"""Audit lines: durable or not there, and in order, for each backend."""

import asyncio

import pytest

from pgo import errors


async def read(store, client, *window):
    return [line async for line in store.trail(client, *window)]


async def test_lines_of_several_dossiers_are_written_together(store, new_client, line):
    ours, theirs = new_client(), new_client()
    lines = [line(ours, 1), line(theirs, 1), line(ours, 2, sealed=bytes(range(256)))]
    await store.note(lines)
    assert await read(store, ours) == [lines[0], lines[2]]
    assert await read(store, theirs) == [lines[1]]
    await store.note([])


async def test_each_chain_is_in_order_and_chains_go_by_time(store, client, line):
    lines = [line(client, seq, writer=w, at=at) for w, seq, at in [
        ("a", 1, 10), ("a", 2, 40), ("b", 1, 20), ("b", 2, 30), ("c", 1, 5), ("c", 2, 50),
    ]]  # fmt: skip
    for one in lines:
        await store.note([one])
    assert [x.at for x in await read(store, client)] == [5, 10, 20, 30, 40, 50]


async def test_a_chain_keeps_its_order_when_a_clock_went_back(store, client, line):
    await store.note([line(client, seq, at=at) for seq, at in [(1, 30), (2, 10), (3, 20)]])
    await store.note([line(client, 1, writer="b", at=15)])
    trail = await read(store, client)
    assert [x.seq for x in trail if x.writer == "w"] == [1, 2, 3]
    assert len(trail) == 4


async def test_a_long_trail_is_read_whole(store, client, line):
    await asyncio.gather(
        *(
            store.note([line(client, seq, writer=w) for seq in range(start, start + 50)])
            for w in ("a", "b", "c")
            for start in range(1, 451, 50)
        )
    )
    trail = await read(store, client)
    for writer in ("a", "b", "c"):
        assert [x.seq for x in trail if x.writer == writer] == list(range(1, 451))
    assert [x.at for x in trail] == sorted(x.at for x in trail)


@pytest.mark.parametrize(
    ("window", "seen"),
    [((), [10, 20, 30, 40]), ((20,), [20, 30, 40]), ((0, 30), [10, 20]), ((20, 40), [20, 30])],
)
async def test_a_trail_is_read_from_a_moment_until_before_another(
    store, client, line, commit, window, seen
):
    await store.note([line(client, seq, at=seq * 10) for seq in (1, 2)])
    for n in (1, 2):
        await store.append(client, commit(client, n, at=20 + n * 10))
    assert [x.at for x in await read(store, client, *window)] == seen


async def test_lines_of_commits_stand_between_the_others(store, client, line, commit):
    await store.note([line(client, 1, at=10)])
    await store.append(client, commit(client, 1, at=20))
    await store.note([line(client, 2, at=30)])
    assert [(x.writer, x.seq) for x in await read(store, client)] == [
        ("w", 1), ("log", 1), ("w", 2),
    ]  # fmt: skip


async def test_the_same_line_again_is_one_line(store, client, line):
    one, two = line(client, 1), line(client, 2)
    await store.note([one])
    await store.note([one, two])
    await store.note([one, two])
    await store.note([two])
    assert await read(store, client) == [one, two]


async def test_another_line_in_the_same_place_is_refused_and_nothing_is_written(
    store, new_client, line
):
    ours, theirs = new_client(), new_client()
    kept, fork = line(ours, 2), line(ours, 2)._replace(hash=b"other hash" + bytes(22))
    await store.note([kept])
    with pytest.raises(errors.Incident):
        await store.note([line(theirs, 1), line(ours, 1), fork, line(ours, 3)])
    assert await read(store, ours) == [kept]
    assert await read(store, theirs) == []
    await store.note([line(ours, 1), line(ours, 3), line(theirs, 1)])
    assert [x.seq for x in await read(store, ours)] == [1, 2, 3]
    assert [x.seq for x in await read(store, theirs)] == [1]


async def test_one_refused_note_does_not_undo_what_was_written_with_it(store, client, line):
    await store.note([line(client, 1)])
    fork = line(client, 1)._replace(hash=b"other hash" + bytes(22))
    notes = [store.note([line(client, seq, writer="other")]) for seq in range(1, 31)]
    said = await asyncio.gather(
        *notes[:15], store.note([fork]), *notes[15:], return_exceptions=True
    )
    assert [x for x in said if x is not None] == [said[15]]
    assert isinstance(said[15], errors.Incident)
    assert len(await read(store, client)) == 31
