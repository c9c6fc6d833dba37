"""A copy of a MongoDB store keeps the promises of the contract, whatever writers did meanwhile."""

import asyncio
import os
from collections import defaultdict

import pytest
from bson import encode

from pgo import errors
from pgo.store import mongo_backup, mongo_restore, open_store
from pgo.store.mongo_documents import INDEXES

from .conftest import REAL, drop


@pytest.fixture(params=["wire", *(["mongodb"] if REAL else [])])
def backend(request):
    return request.param


@pytest.fixture
def there(address, request, backend):
    """Another database on the same server."""
    base, mark, options = address.partition("?")
    name = f"{base.rpartition('/')[2]}-there"
    yield f"{base}-there{mark}{options}"
    drop(request.getfixturevalue("wire") if backend == "wire" else REAL, name)


@pytest.fixture
def folders(tmp_path):
    made = tmp_path / "data", tmp_path / "keys"
    for folder in made:
        folder.mkdir()
    return made


def silent(_done, _total):
    """Nobody is told."""


async def copied(store, folders):
    return await mongo_backup.copy(store, *folders, silent)


async def brought(there, folders, counts):
    async with mongo_restore.claimed(there, strict=False, standalone=True) as store:
        await mongo_restore.bring(store, *folders, sum(counts.values()), silent)
        return await mongo_restore.unnamed_bodies(store)


@pytest.fixture
async def opened(there, clock):
    """Opens what was restored, as a server would."""
    made = []

    async def open_it():
        made.append(await open_store(there, strict=False, mongo_standalone=True, clock=clock))
        return made[-1]

    yield open_it
    for each in made:
        await each.close()


async def moved(store, there, folders, opened):
    """This store, copied and restored."""
    await brought(there, folders, await copied(store, folders))
    return await opened()


async def chains(store, client):
    found = defaultdict(list)
    async for line in store.trail(client):
        found[line.writer].append(line)
    return found


def said(process, count):
    """What a child says `count` times: the last of each thing, and all bodies."""
    last, bodies = {}, []
    for _ in range(count):
        what, number, *body = process.stdout.readline().split()
        last[what] = int(number)
        bodies += body
    return last, bodies


async def live(collection, walk):
    """Walks as a server does that shows what was written meanwhile: page after page, as of now."""
    only = walk.only
    while True:
        found = await collection.find(only).sort([(f, 1) for f in walk.order]).limit(50).to_list()
        if not found:
            return
        yield b"".join(map(encode, found))
        at = [found[-1][field] for field in walk.order]
        beyond = [
            {**dict(zip(walk.order[:i], at, strict=False)), field: {"$gt": at[i]}}
            for i, field in enumerate(walk.order)
        ]
        only = {"$and": [walk.only, {"$or": beyond}]}


@pytest.mark.parametrize("walked", [mongo_backup._batches, live], ids=["its own way", "live"])
async def test_a_copy_made_beside_writers_keeps_the_promises(
    store, child, new_client, there, folders, opened, monkeypatch, walked
):
    monkeypatch.setattr(mongo_backup, "_batches", walked)
    monkeypatch.setattr(mongo_backup, "_BATCH", 7)
    writers = [(new_client(), "forever"), (new_client(), "forever"), (new_client(), "flushes")]
    children = [child(what, client, f"w-{client}") for client, what in writers]
    acknowledged = [await asyncio.to_thread(said, each, 40) for each in children]
    counts = await copied(store, folders)
    for each in children:
        each.kill()
    assert await brought(there, folders, counts) == 0
    again = await opened()
    later = 0
    for (client, _), (last, bodies) in zip(writers, acknowledged, strict=True):
        log = await again.commits(client, 0, 10_000)
        assert [one.n for one in log] == list(range(1, len(log) + 1))
        assert await again.head(client) == len(log) >= last.get("commit", 0)
        assert log == await store.commits(client, 0, len(log))
        ids = [id_ for one in log for id_ in one.bodies]
        assert set(map(bytes.fromhex, bodies)) <= set(ids)
        assert await again.bodies(client, ids) == await store.bodies(client, ids)
        assert len(await again.bodies(client, ids)) == len(ids)
        later += await store.head(client) - len(log)
    assert later > 0  # they wrote on meanwhile
    for client in [*(client for client, _ in writers), "system"]:
        whole = await chains(store, client)
        for writer, lines in (await chains(again, client)).items():
            assert lines == whole[writer][: len(lines)]
            assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    for (client, what), (last, _) in zip(writers, acknowledged, strict=True):
        name = "lines" if what == "flushes" else "line"
        assert len((await chains(again, client))[f"w-{client}"]) >= last[name]


async def test_what_is_pointed_at_is_read_after_what_points(
    recorder, another, client, commit, folders
):
    store = await another()
    await store.append(client, commit(client, 1))
    recorder.commands.clear()
    await copied(store, folders)
    asked = [(each["find"], each["filter"]) for each in recorder.commands if "find" in each]
    assert [name for name, _ in asked] == [
        *("lines", "lines", "commits", "bodies", "links", "registry", "keys"),
    ]
    assert asked[0][1] == {"client": "system"}
    assert not any("startTransaction" in each for each in recorder.commands)


async def test_everything_comes_back_but_what_is_derived_or_expires(
    store, client, commit, line, there, folders, opened
):
    body, lost = os.urandom(16), os.urandom(16)
    await store.keep_key(client, "data", b"data key")
    await store.keep_key(client, "audit", b"audit key")
    await store.link("mother", client)
    await store.keep_bodies(client, {body: b"sealed \x00 body", lost: b"no commit names it"})
    await store.append(client, commit(client, 1, body))
    await store.note([line(client, 1), line("system", 1)])
    await store.note([line(client, 2)])
    await store.register("account", "p-1", b"sealed account")
    await store.keep_image(client, 1, [b"image"])
    await store.put("code", "abc", b"value", 2**40)
    again = await moved(store, there, folders, opened)
    assert await again.key(client) == {"data": b"data key", "audit": b"audit key"}
    assert await again.links("mother") == [client]
    assert await again.bodies(client, [body]) == {body: b"sealed \x00 body"}
    assert await again.commits(client, 0, 10) == await store.commits(client, 0, 10)
    assert await chains(again, client) == await chains(store, client)
    assert await chains(again, "system") == await chains(store, "system")
    assert await again.lookup("account", "p-1") == b"sealed account"
    assert await again.register("account", "p-1", b"new", expected=b"sealed account")
    assert await again.rewrap_key(client, "data", b"data key", b"new key")
    assert await again.image(client) is None
    assert await again.peek("code", "abc", 1) is None


async def test_the_indexes_are_there_before_a_server_opens_it(store, there, folders):
    counts = await copied(store, folders)
    async with mongo_restore.claimed(there, strict=False, standalone=True) as again:
        await mongo_restore.bring(again, *folders, sum(counts.values()), silent)
        for name in INDEXES:
            made = await store.data[name].index_information()
            assert await again.data[name].index_information() == made


async def test_writers_go_on_where_the_copy_ends(
    store, client, commit, line, there, folders, opened, clock
):
    body, late = os.urandom(16), os.urandom(16)
    await store.keep_bodies(client, {body: b"named", late: b"its commit came after the copy"})
    await store.append(client, commit(client, 1, body))
    await store.note([line(client, 1), line(client, 2)])
    again = await moved(store, there, folders, opened)
    await again.append(client, commit(client, 2))
    await again.note([line(client, 3)])
    with pytest.raises(errors.Incident):
        await again.note([line(client, 2, sealed=b"other")])
    clock.now += 1_000
    assert await again.sweep(client, 60) == 1
    assert await again.bodies(client, [body, late]) == {body: b"named"}


async def test_a_chain_ends_at_the_first_line_that_was_not_true_yet(
    store, client, line, there, folders, opened, monkeypatch
):
    async def killed(*_):
        raise asyncio.CancelledError

    await store.note([line(client, 1), line(client, 1, writer="v")])
    with monkeypatch.context() as patch:
        patch.setattr(store._batches, "insert_one", killed, raising=False)
        with pytest.raises(asyncio.CancelledError):
            await store.note([line(client, 2), line("system", 1)])
    await store.note([line(client, 3)])  # as one sees it when 2 was named after it was read
    await store.note([line(client, 2, writer="v")])
    again = await moved(store, there, folders, opened)
    found = await chains(again, client)
    assert {writer: [one.seq for one in lines] for writer, lines in found.items()} == {
        "v": [1, 2],
        "w": [1],
    }
    assert await chains(again, "system") == {}
    await again.note([line(client, 2, sealed=b"other")])


async def test_what_was_erased_while_it_was_copied_is_not_brought_back(
    store, client, commit, there, folders, opened
):
    body = os.urandom(16)
    await store.keep_key(client, "data", b"key")
    await store.link("mother", client)
    await store.keep_bodies(client, {body: b"sealed"})
    await store.append(client, commit(client, 1, body))
    await store.destroy_key(client, "data")  # what `erase` does first
    again = await moved(store, there, folders, opened)
    assert await again.commits(client, 0, 10) == []
    assert await again.bodies(client, [body]) == {}
    assert await again.links("mother") == []
    assert await again.head(client) == 1
    assert not await again.keep_key(client, "data", b"again")
    assert [line.seq for line in (await chains(again, client))["log"]] == [1]


@pytest.mark.long
async def test_large_bodies_come_back_in_parts(store, client, there, folders, opened):
    large = {os.urandom(16): os.urandom(3_000_000) for _ in range(4)}
    small = {os.urandom(16): b"small" for _ in range(1_200)}
    for part in (large, small):
        await store.keep_bodies(client, part)
    again = await moved(store, there, folders, opened)
    assert await again.bodies(client, [*large]) == large
    assert await again.bodies(client, [*small]) == small


@pytest.mark.parametrize("which", ["data", "wrapped"])
async def test_a_database_with_anything_in_it_is_refused_and_stays_as_it_is(
    there, opened, which, folders
):
    other = await opened()
    await getattr(other, which)["something"].insert_one({"_id": 1})
    with pytest.raises(errors.BadValue, match="there is a store already"):
        await brought(there, folders, {})
    assert [x async for x in getattr(other, which)["something"].find()] == [{"_id": 1}]
    await other.refuse_unfinished()


async def test_nobody_opens_what_is_being_restored(there, opened):
    async with mongo_restore.claimed(there, strict=False, standalone=True):
        with pytest.raises(errors.BadValue, match="was not finished"):
            await opened()
        with pytest.raises(errors.BadValue, match="was not finished"):
            await brought(there, (), {})
    await opened()


async def test_a_file_that_ends_in_a_document_is_refused_and_nothing_stays(there, folders, opened):
    whole = [encode({"_id": number, "client": "c", "sealed": bytes(900)}) for number in range(20)]
    for name in mongo_backup.DATA:
        (folders[0] / f"{name}.bson").write_bytes(b"")
    (folders[0] / "bodies.bson").write_bytes(b"".join(whole)[:-1])
    with pytest.raises(errors.BadValue, match="in the middle"):
        await brought(there, folders, {"bodies": 20})
    store = await opened()
    assert await store.data["bodies"].count_documents({}) == 0
