"""The log, bodies, images and keys: what the contract says of them, for each backend."""

import asyncio
import os

import pytest

from pgo import errors
from pgo.store.contract import NotNext


async def fill(store, commit, client, count):
    for n in range(1, count + 1):
        await store.append(client, commit(client, n))


async def test_a_dossier_nobody_wrote_in_is_empty(store, client):
    assert await store.head(client) == 0
    assert await store.commits(client, 0, 10) == []
    assert await store.bodies(client, [os.urandom(16)]) == {}
    assert await store.bodies(client, []) == {}
    assert await store.image(client) is None
    assert await store.key(client) == {}
    assert [line async for line in store.trail(client)] == []


async def test_a_commit_comes_back_as_it_was_with_its_line(store, client, commit):
    one = commit(client, 1, os.urandom(16), os.urandom(16), sealed=bytes(range(256)))
    two = commit(client, 2, sealed=b"")
    await store.append(client, one)
    await store.append(client, two)
    assert await store.commits(client, 0, 10) == [one, two]
    assert [line async for line in store.trail(client)] == [one.line, two.line]


@pytest.mark.parametrize("n", [-1, 0, 1, 2, 4, 5])
async def test_only_the_number_after_the_head_is_taken(store, client, commit, n):
    await fill(store, commit, client, 2)
    with pytest.raises(NotNext):
        await store.append(client, commit(client, n))
    assert await store.head(client) == 2
    assert len(await store.commits(client, 0, 10)) == 2
    assert len([line async for line in store.trail(client)]) == 2


@pytest.mark.parametrize("n", [0, 2, 7])
async def test_the_first_commit_is_number_one(store, client, commit, n):
    with pytest.raises(NotNext):
        await store.append(client, commit(client, n))
    assert await store.head(client) == 0


async def test_a_commit_with_a_line_about_another_dossier_is_refused(store, client, commit):
    with pytest.raises(errors.Incident):
        await store.append(client, commit("somebody-else", 1))
    assert await store.head(client) == 0


async def test_commits_are_read_from_a_number_and_at_most_so_many(store, client, commit):
    await fill(store, commit, client, 7)
    assert [c.n for c in await store.commits(client, 2, 3)] == [3, 4, 5]
    assert [c.n for c in await store.commits(client, 5, 300)] == [6, 7]
    assert await store.commits(client, 7, 3) == []


async def test_dossiers_do_not_see_each_other(store, new_client, commit):
    ours, theirs = new_client(), new_client()
    body = os.urandom(16)
    await store.keep_bodies(ours, {body: b"ours"})
    await store.append(ours, commit(ours, 1, body))
    await store.keep_image(ours, 1, [b"image"])
    await store.keep_key(ours, "data", b"key")
    assert await store.head(theirs) == 0
    assert await store.bodies(theirs, [body]) == {}
    assert await store.image(theirs) is None
    assert await store.key(theirs) == {}
    await store.drop_bodies(theirs, [body])
    assert await store.bodies(ours, [body]) == {body: b"ours"}


async def test_of_many_appends_of_one_number_exactly_one_is_kept(store, client, commit):
    attempts = [commit(client, 1, sealed=bytes([i])) for i in range(32)]
    outcomes = await asyncio.gather(
        *(store.append(client, attempt) for attempt in attempts), return_exceptions=True
    )
    kept = [attempt for attempt, said in zip(attempts, outcomes, strict=True) if said is None]
    assert len(kept) == 1
    assert sum(isinstance(said, NotNext) for said in outcomes) == 31
    assert await store.commits(client, 0, 10) == kept
    assert [line async for line in store.trail(client)] == [kept[0].line]


async def test_another_node_sees_a_commit_at_once(store, another, client, commit):
    other = await another()
    for n in range(1, 21):
        await store.append(client, commit(client, n))
        assert await other.head(client) == n
        assert [c.n for c in await other.commits(client, n - 1, 5)] == [n]


async def test_what_was_acknowledged_is_there_after_closing_and_opening(
    store, another, client, commit
):
    body = os.urandom(16)
    await store.keep_bodies(client, {body: b"sealed"})
    await store.append(client, commit(client, 1, body))
    await store.close()
    again = await another()
    assert await again.head(client) == 1
    assert await again.bodies(client, [body]) == {body: b"sealed"}


async def test_bodies_are_read_together_and_absent_ones_are_left_out(store, client):
    kept = {os.urandom(16): os.urandom(50) for _ in range(230)}
    await store.keep_bodies(client, kept)
    assert await store.bodies(client, [*kept, os.urandom(16)]) == kept
    some = dict(list(kept.items())[:5])
    assert await store.bodies(client, [*some, *some, os.urandom(16)]) == some


async def test_a_body_never_changes(store, client):
    id_ = os.urandom(16)
    await store.keep_bodies(client, {id_: b"first"})
    await store.keep_bodies(client, {id_: b"second", os.urandom(16): b"new"})
    assert await store.bodies(client, [id_]) == {id_: b"first"}


async def test_dropping_bodies_leaves_the_commits_that_name_them(store, client, commit):
    gone, stays = os.urandom(16), os.urandom(16)
    await store.keep_bodies(client, {gone: b"gone", stays: b"stays"})
    await store.append(client, commit(client, 1, gone, stays))
    await store.drop_bodies(client, [gone])
    assert await store.bodies(client, [gone, stays]) == {stays: b"stays"}
    assert (await store.commits(client, 0, 1))[0].bodies == (gone, stays)


async def test_an_image_comes_back_whole_and_only_a_newer_one_replaces_it(store, client):
    big = (os.urandom(1_000_000), os.urandom(300_000), b"")
    assert await store.keep_image(client, 5, big)
    assert await store.image(client) == (5, big)
    assert not await store.keep_image(client, 5, [b"same"])
    assert not await store.keep_image(client, 4, [b"older"])
    assert await store.image(client) == (5, big)
    assert await store.keep_image(client, 6, [b"newer"])
    assert await store.image(client) == (6, (b"newer",))


async def test_a_piece_of_an_image_over_4_mb_is_refused(store, client):
    with pytest.raises(errors.TooLarge):
        await store.keep_image(client, 1, [bytes(4_000_001)])
    assert await store.image(client) is None


async def test_of_images_kept_at_the_same_time_the_newest_stays_and_is_whole(store, client):
    images = {n: tuple(bytes([n]) * 50_000 for _ in range(n % 4 + 1)) for n in range(1, 17)}
    reads = [store.image(client) for _ in range(8)]
    keeps = [store.keep_image(client, n, chunks) for n, chunks in images.items()]
    said = await asyncio.gather(*keeps[::-1], *reads)
    assert said[0] is True
    for seen in [*said[16:], await store.image(client)]:
        assert seen is None or seen[1] == images[seen[0]]
    assert (await store.image(client))[0] == 16


async def test_turns_are_taken_one_at_a_time_in_order_of_asking(store, client):
    inside, order = 0, []

    async def work(i):
        nonlocal inside
        async with store.turn(client):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.001)
            order.append(i)
            inside -= 1

    await asyncio.gather(*(work(i) for i in range(16)))
    assert order == list(range(16))


async def test_writers_that_keep_their_turn_never_collide(store, client, commit):
    async def write():
        async with store.turn(client):
            await store.append(client, commit(client, await store.head(client) + 1))

    await asyncio.gather(*(write() for _ in range(32)))
    assert await store.head(client) == 32


async def test_turns_of_two_dossiers_do_not_wait_for_each_other(store, new_client):
    async with store.turn(new_client()), asyncio.timeout(5), store.turn(new_client()):
        pass


async def test_a_turn_is_let_go_when_its_work_fails_or_is_cancelled(store, client):
    with pytest.raises(ZeroDivisionError):
        async with store.turn(client):
            raise ZeroDivisionError
    started = asyncio.Event()

    async def hang():
        async with store.turn(client):
            started.set()
            await asyncio.sleep(3600)

    hanging = asyncio.create_task(hang())
    await started.wait()
    waiting = asyncio.create_task(hang())
    await asyncio.sleep(0.01)
    waiting.cancel()
    hanging.cancel()
    await asyncio.gather(hanging, waiting, return_exceptions=True)
    async with asyncio.timeout(5), store.turn(client):
        pass


async def test_keys_are_kept_once_replaced_knowingly_and_destroyed_for_good(store, client):
    assert await store.keep_key(client, "data", b"one")
    assert not await store.keep_key(client, "data", b"two")
    assert await store.keep_key(client, "audit", b"three")
    assert not await store.rewrap_key(client, "data", b"wrong", b"four")
    assert await store.rewrap_key(client, "data", b"one", b"four")
    assert await store.key(client) == {"data": b"four", "audit": b"three"}
    await store.destroy_key(client, "data")
    assert await store.key(client) == {"audit": b"three"}
    assert not await store.keep_key(client, "data", b"back")
    assert not await store.rewrap_key(client, "data", b"four", b"back")
    assert await store.key(client) == {"audit": b"three"}


async def test_of_many_keys_by_one_name_exactly_one_is_kept(store, client):
    keys = [bytes([i]) for i in range(16)]
    said = await asyncio.gather(*(store.keep_key(client, "data", key) for key in keys))
    assert said.count(True) == 1
    assert await store.key(client) == {"data": keys[said.index(True)]}


async def test_the_dossiers_are_those_with_a_key_in_order(store):
    for client in ("b", "a", "c"):
        await store.keep_key(client, "data", b"key")
        await store.keep_key(client, "audit", b"key")
    for name in ("data", "audit"):
        await store.destroy_key("b", name)
    assert await store.clients() == ["a", "c"]


async def test_sweep_takes_old_bodies_no_commit_names_and_nothing_else(
    store, client, clock, commit
):
    lost, named, young = os.urandom(16), os.urandom(16), os.urandom(16)
    await store.keep_bodies(client, {lost: b"lost", named: b"named"})
    await store.append(client, commit(client, 1, named))
    clock.now += 100
    await store.keep_bodies(client, {young: b"young"})
    assert await store.sweep(client, 60) == 1
    assert await store.bodies(client, [lost, named, young]) == {named: b"named", young: b"young"}
    assert await store.sweep(client, 60) == 0


async def test_sweep_leaves_a_body_whose_commit_comes_within_the_time(store, client, clock, commit):
    body = os.urandom(16)
    await store.keep_bodies(client, {body: b"sealed"})
    clock.now += 59
    assert await store.sweep(client, 60) == 0
    await store.append(client, commit(client, 1, body))
    clock.now += 1000
    assert await store.sweep(client, 60) == 0
    assert await store.bodies(client, [body]) == {body: b"sealed"}


async def test_a_body_kept_again_is_young_again(store, client, clock):
    body = os.urandom(16)
    await store.keep_bodies(client, {body: b"sealed"})
    clock.now += 100
    await store.keep_bodies(client, {body: b"sealed"})
    assert await store.sweep(client, 60) == 0


async def test_erasing_destroys_what_was_sealed_and_leaves_lines_and_head(
    store, another, new_client, commit, line
):
    client, neighbour = new_client(), new_client()
    body = os.urandom(16)
    for who in (client, neighbour):
        await store.keep_key(who, "data", b"data")
        await store.keep_key(who, "audit", b"audit")
        await store.keep_bodies(who, {body: b"sealed"})
        for n in range(1, 151):
            await store.append(who, commit(who, n, *([body] if n == 1 else [])))
        await store.note([line(who, 1)])
        await store.keep_image(who, 2, [b"image"])
        await store.link("grantee", who)
    before = [x async for x in store.trail(client)]
    await store.erase(client)
    await store.erase(client)
    other = await another()
    assert await other.key(client) == {"audit": b"audit"}
    assert not await other.keep_key(client, "data", b"again")
    assert await other.commits(client, 0, 200) == []
    assert await other.bodies(client, [body]) == {}
    assert await other.image(client) is None
    assert not await other.keep_image(client, 999, [b"image"])
    assert await other.links("grantee") == [neighbour]
    assert await other.head(client) == 150
    assert [x async for x in other.trail(client)] == before
    with pytest.raises(errors.Gone):
        await other.append(client, commit(client, 151))
    assert len(await other.commits(neighbour, 0, 200)) == 150
    assert await other.bodies(neighbour, [body]) == {body: b"sealed"}
    assert await other.image(neighbour) == (2, (b"image",))
    assert await other.key(neighbour) == {"data": b"data", "audit": b"audit"}


async def test_a_reader_never_sees_a_gap_while_a_dossier_is_erased(store, another, client, commit):
    await fill(store, commit, client, 200)
    other = await another()
    erasing = asyncio.create_task(store.erase(client))
    while not erasing.done():
        seen = [c.n for c in await other.commits(client, 0, 300)]
        assert seen == list(range(1, len(seen) + 1))
        await asyncio.sleep(0)
    assert await other.commits(client, 0, 300) == []


async def test_ready_returns_when_the_store_can_serve(store):
    await store.ready()


async def test_a_closed_store_serves_nothing(store, client, line):
    await store.close()
    for verb in (store.ready(), store.head(client), store.note([line(client, 1)])):
        with pytest.raises(errors.Unavailable):
            await verb
