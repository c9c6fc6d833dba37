"""What only holds for the MongoDB store: how sure it asks to be, and what comes last."""

import asyncio
import gc
import os

import pytest

from pgo import errors
from pgo.store import mongo_address, open_store

REPLICA = {"setName": "rs0", "isWritablePrimary": True}
ROUTER = {"msg": "isdbgrid", "isWritablePrimary": True}
ALONE = {"isWritablePrimary": True}


@pytest.fixture
def backend():
    return "wire"


@pytest.mark.parametrize(
    "option",
    [
        "w=1",
        "w=0",
        "w=2",
        "w=tagged",
        "W=1",
        "journal=false",
        "j=false",
        "readPreference=secondary",
        "readPreference=primaryPreferred",
        "readpreference=nearest",
        "readConcernLevel=local",
        "readConcernLevel=available",
        "appName=pgo;w=1",
        "tls=true&tlsInsecure=true",
        "tlsAllowInvalidCertificates=true",
        "tlsAllowInvalidHostnames=true",
        "retryWrites=false",
        "appName=pgo&w=1",
    ],
)
async def test_an_address_that_asks_for_less_is_refused_by_name(option):
    name = option.replace(";", "&").split("&")[-1].split("=")[0]
    with pytest.raises(errors.Unavailable, match=f"PGO_STORE.*{name}") as told:
        await open_store(f"mongodb://db/pgo?{option}", strict=False, mongo_standalone=True)
    assert option not in str(told.value)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "?w=majority&journal=true",
        "?readPreference=primary&readConcernLevel=majority",
        "?readConcernLevel=linearizable&retryWrites=true&replicaSet=rs0&tls=true",
    ],
)
def test_an_address_that_asks_for_enough_is_accepted(options):
    assert mongo_address.database_of(f"mongodb://u:p@a,b:27018/pgo{options}") == "pgo"


@pytest.mark.parametrize(
    "address", ["mongodb://db", "mongodb://db/", "mongodb:///pgo", "mongodb://a:b:c/pgo"]
)
async def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(errors.BadValue, match="PGO_STORE"):
        await open_store(address, strict=False, mongo_standalone=True)


@pytest.mark.parametrize(
    ("hello", "strict", "standalone", "refused"),
    [
        (REPLICA, True, False, ""),
        (REPLICA, False, True, ""),
        (ROUTER, True, False, ""),
        (ALONE, False, True, ""),
        (ALONE, False, False, "PGO_MONGO_STANDALONE"),
        (ALONE, True, False, "PGO_STRICT"),
        (ALONE, True, True, "PGO_STRICT"),
    ],
)
def test_a_server_without_replica_set_is_for_tests_only(hello, strict, standalone, refused):
    if refused:
        with pytest.raises(errors.Unavailable, match=refused):
            mongo_address.refuse_standalone(hello, strict=strict, standalone=standalone)
    else:
        mongo_address.refuse_standalone(hello, strict=strict, standalone=standalone)


@pytest.mark.parametrize(("strict", "standalone"), [(False, False), (True, True)])
async def test_the_standalone_server_of_these_tests_is_refused(address, strict, standalone):
    with pytest.raises(errors.Unavailable, match="replica set"):
        await open_store(address, strict=strict, mongo_standalone=standalone)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(errors.Unavailable):
        await open_store(
            "mongodb://127.0.0.1:1/pgo?serverSelectionTimeoutMS=300",
            strict=False,
            mongo_standalone=True,
        )
    gc.collect()  # the driver forgets the socket it was connecting with when it is closed


async def test_every_write_waits_for_a_majority_and_its_journal(
    recorder, another, client, commit, line
):
    store = await another()
    recorder.commands.clear()
    body = os.urandom(16)
    await store.keep_bodies(client, {body: b"x"})
    await store.keep_bodies(client, {body: b"x", os.urandom(16): b"y"})
    await store.append(client, commit(client, 1, body))
    await store.note([line(client, 1), line(client, 2)])
    await store.keep_image(client, 1, [b"image"])
    await store.keep_image(client, 2, [b"image"])
    await store.keep_key(client, "data", b"key")
    await store.rewrap_key(client, "data", b"key", b"new")
    await store.put("space", "key", b"value", 2**40)
    await store.put("space", "fresh", b"value", 2**40, fresh=True)
    await store.take("space", "key", 1)
    await store.drop("space", "key")
    await store.link("mother", client)
    await store.unlink("mother", client)
    await store.register("kind", "key", b"value")
    await store.register("kind", "key", b"new", expected=b"value")
    await store.unregister("kind", "key")
    await store.sweep(client, 60)
    await store.drop_bodies(client, [body])
    await store.erase(client)
    writes = {"insert", "update", "delete", "findAndModify"}
    concerns = [x.get("writeConcern") for x in recorder.commands if writes & set(x)]
    assert len(concerns) > 25
    assert all(x == {"w": "majority", "j": True, "wtimeout": 20_000} for x in concerns)


async def test_reads_ask_for_what_a_majority_has_and_head_for_more(
    recorder, another, client, commit
):
    store = await another()
    await store.append(client, commit(client, 1))
    recorder.commands.clear()
    await store.head(client)
    head = [x["readConcern"] for x in recorder.commands]
    recorder.commands.clear()
    await store.commits(client, 0, 10)
    await store.bodies(client, [os.urandom(16)])
    await store.image(client)
    await store.key(client)
    await store.peek("space", "key", 1)
    await store.lookup("kind", "key")
    await store.links("mother")
    assert [x async for x in store.trail(client)]
    reads = [x["readConcern"] for x in recorder.commands]
    assert head == [{"level": "linearizable"}]
    assert len(reads) >= 9
    assert all(x == {"level": "majority"} for x in reads)
    assert not any("startTransaction" in x for x in recorder.commands)


async def test_what_makes_a_change_true_is_written_last(recorder, another, client, line):
    store = await another()
    recorder.commands.clear()
    await store.note([line(client, 1), line(client, 2)])
    await store.note([line(client, 3)])
    await store.keep_image(client, 1, [b"a", b"b"])
    await store.keep_image(client, 2, [b"c"])
    assert recorder.asked("insert", "update", "findAndModify", "delete") == [
        ("insert", "lines"),
        ("insert", "batches"),
        ("insert", "lines"),
        ("insert", "chunks"),
        ("insert", "chunks"),
        ("findAndModify", "images"),
        ("insert", "images"),
        ("insert", "chunks"),
        ("findAndModify", "images"),
        ("delete", "chunks"),
    ]


async def test_a_batch_of_lines_that_was_not_finished_is_not_there(
    store, another, client, line, monkeypatch
):
    async def killed(*_):
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(store._batches, "insert_one", killed, raising=False)
        with pytest.raises(asyncio.CancelledError):
            await store.note([line(client, seq) for seq in (1, 2, 3)])
    other = await another()
    assert [x async for x in other.trail(client)] == []
    others = [line(client, seq, sealed=b"other") for seq in (1, 2)]
    await other.note(others)
    assert [x async for x in other.trail(client)] == others
    await other.note([line(client, 3)])
    assert [x.seq async for x in other.trail(client)] == [1, 2, 3]


async def test_an_image_that_was_not_finished_is_not_there_and_is_swept(store, client, clock):
    await store.keep_image(client, 1, [b"kept"])
    left = {"client": client, "tag": "left", "at": clock(), "i": 0, "data": b"half"}
    await store._chunks.insert_one(left)
    assert await store.image(client) == (1, (b"kept",))
    await store.sweep(client, 60)
    assert await store._chunks.count_documents({"client": client}) == 2
    clock.now += 100
    await store.sweep(client, 60)
    assert await store._chunks.count_documents({"client": client}) == 1
    assert await store.image(client) == (1, (b"kept",))


async def test_an_image_whose_pieces_are_lost_is_no_image(store, client):
    await store.keep_image(client, 1, [b"one", b"two"])
    await store._chunks.delete_one({"client": client, "i": 1})
    assert await store.image(client) is None
    assert await store.keep_image(client, 2, [b"new"])
    assert await store.image(client) == (2, (b"new",))


async def test_a_document_over_16_mb_is_too_large_and_nothing_is_kept(store, client):
    body = os.urandom(16)
    with pytest.raises(errors.TooLarge):
        await store.keep_bodies(client, {body: bytes(17_000_000)})
    assert await store.bodies(client, [body]) == {}


async def test_the_log_cannot_hold_one_number_twice(store, client):
    indexes = await store._commits.index_information()
    unique = [x["key"] for x in indexes.values() if x.get("unique")]
    assert [("client", 1), ("n", 1)] in [[tuple(field) for field in key] for key in unique]
