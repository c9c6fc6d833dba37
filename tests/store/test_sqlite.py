"""What only holds for the SQLite store: its files, its settings, its one writer, its traps."""

import asyncio
import os
import sqlite3
import stat
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pgo.store
from pgo import errors
from pgo.store import sqlite, sqlite_acts, sqlite_files, sqlite_writer
from pgo.store.locks import LockFile
from pgo.store.sqlite import SqliteStore
from pgo.store.sqlite_acts import PART_BYTES, PART_ROWS, parts

FINE = "25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"


@pytest.fixture
def backend():
    return "sqlite"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


def held(folder):
    """Everything the store's files hold."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


# --- files and settings


async def test_the_files_are_for_their_owner_only(store, folder, client, commit):
    await store.append(client, commit(client, 1))
    await store.keep_image(client, 1, [b"image"])
    await store.keep_key(client, "data", b"key")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {
        "pgo.db",
        "pgo.db-trail",
        "pgo.db-images",
        "pgo.db-keys",
        "pgo.db-lock",
        "pgo.db-wal",
    } <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_data_lines_images_and_keys_are_in_files_of_their_own(
    store, folder, client, commit, line
):
    await store.append(client, commit(client, 1, sealed=b"canary-commit"))
    await store.note([line(client, 1, sealed=b"canary-line")])
    await store.keep_image(client, 1, [b"canary-image"])
    await store.keep_key(client, "data", b"canary-key")
    await store.close()
    files = {"commit": "", "line": "-trail", "image": "-images", "key": "-keys"}
    for what, part in files.items():
        places = {p.name for p in folder.iterdir() if f"canary-{what}".encode() in p.read_bytes()}
        assert places == {f"pgo.db{part}"}


async def test_every_connection_keeps_what_the_store_demands(another, monkeypatch, client, commit):
    made, connect = [], sqlite3.connect

    def remember(*args, **kwargs):
        made.append(connect(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", remember)
    store = await another()
    await store.append(client, commit(client, 1))
    assert [x async for x in store.trail(client)]
    checked = 0
    for connection in made:
        try:
            found = {
                name: connection.execute(f"PRAGMA {name}").fetchall()[0][0]
                for name in sqlite_files.DEMANDS
            }
        except sqlite3.ProgrammingError:  # closed again
            continue
        sqlite_files.check(found)
        assert found["temp_store"] == 2
        assert found["synchronous"] == 2
        assert found["journal_mode"] == "wal"
        checked += 1
    assert checked == 10


def test_connections_are_made_in_one_place():
    folder = Path(pgo.store.__file__).parent
    places = [p.name for p in folder.glob("*.py") if "sqlite3.connect(" in p.read_text()]
    assert places == ["sqlite_files.py"]


@pytest.mark.parametrize(
    ("name", "weaker"),
    [
        ("journal_mode", "delete"),
        ("journal_mode", "memory"),
        ("synchronous", 1),
        ("synchronous", 0),
        ("foreign_keys", 0),
        ("temp_store", 0),
        ("temp_store", 1),
        ("secure_delete", 0),
        ("fullfsync", 0),
    ],
)
def test_a_weaker_setting_is_refused_by_name(name, weaker):
    sqlite_files.check(sqlite_files.DEMANDS)
    with pytest.raises(errors.Unavailable, match=f"PGO_STORE.*{name}="):
        sqlite_files.check({**sqlite_files.DEMANDS, name: weaker})


def test_a_file_that_cannot_have_a_write_ahead_log_is_refused():
    with pytest.raises(errors.Unavailable, match="journal_mode=memory"):
        sqlite_files.connect(Path(":memory:"))


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs"],
)
async def test_a_network_file_system_is_refused(tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{FINE}30 25 0:50 / {tmp_path.resolve()} rw shared:1 - {kind} host:/x rw\n")
    with pytest.raises(errors.Unavailable, match=f"PGO_STORE.*{kind}"):
        await SqliteStore.open(tmp_path / "store" / "pgo.db", mountinfo=mounts)
    assert not list((tmp_path / "store").iterdir())


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuse.fuse-overlayfs"]
)
async def test_a_disk_of_this_machine_is_accepted(tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{FINE}30 25 0:50 / {tmp_path.resolve()} rw - {kind} none rw\n")
    store = await SqliteStore.open(tmp_path / "store" / "pgo.db", mountinfo=mounts)
    await store.close()


async def test_where_nothing_is_known_of_mounts_the_store_opens(tmp_path):
    store = await SqliteStore.open(tmp_path / "pgo.db", mountinfo=tmp_path / "absent")
    await store.close()


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/", "ext4"),
        ("/data", "xfs"),
        ("/data/x", "xfs"),
        ("/database", "ext4"),
        ("/data/net/deep", "nfs4"),
        ("/with space/x", "cifs"),
        ("/twice", "btrfs"),
    ],
)
def test_the_nearest_and_last_mount_counts(directory, kind):
    mounts = FINE + (
        "26 25 8:2 / /data rw - xfs /dev/sdb rw\n"
        "27 26 0:9 / /data/net rw master:3 - nfs4 host:/x rw\n"
        "28 25 0:8 / /with\\040space rw - cifs //host/x rw\n"
        "29 25 0:8 / /twice rw - nfs host:/y rw\n"
        "31 29 0:8 / /twice rw - btrfs /dev/sdc rw\n"
    )
    assert sqlite_files.kind_of(directory, mounts) == kind


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "pgo.db"
    path.write_bytes(b"a letter to my aunt" * 100)
    with pytest.raises(errors.Unavailable, match="PGO_STORE"):
        await SqliteStore.open(path)
    assert path.read_bytes() == b"a letter to my aunt" * 100


async def test_a_file_of_a_newer_version_is_refused(store, folder, another):
    await store.close()
    connection = sqlite3.connect(folder / "pgo.db-keys")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(errors.Unavailable, match=r"version.*PGO_STORE"):
        await another()


async def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.Unavailable, match="PGO_STORE"):
        await SqliteStore.open(tmp_path / "file" / "pgo.db")


async def test_opening_at_the_same_time_makes_one_store(address, client, commit):
    stores = await asyncio.gather(
        *(pgo.store.open_store(address, strict=True, mongo_standalone=False) for _ in range(6))
    )
    await stores[0].append(client, commit(client, 1))
    assert [await store.head(client) for store in stores] == [1] * 6
    for store in stores:
        await store.close()


async def test_closing_leaves_no_thread_and_no_file_open(address):
    def state():
        writers = [x for x in threading.enumerate() if x.name.startswith("write ")]
        return len(list(Path("/proc/self/fd").iterdir())), len(writers)

    first = await pgo.store.open_store(address, strict=True, mongo_standalone=False)
    await first.close()
    before = state()
    for _ in range(3):
        again = await pgo.store.open_store(address, strict=True, mongo_standalone=False)
        await again.close()
        await again.close()
    assert state() == before


# --- reading what is true now


async def test_a_revocation_is_seen_while_another_statement_is_open(store, another, client, commit):
    await store.keep_bodies(client, {bytes([i]) * 16: b"x" for i in range(5)})
    await store.append(client, commit(client, 1))
    trap = store._reads._connection.execute("SELECT id FROM bodies")
    trap.fetchone()
    writer = await another()
    for n in range(2, 30):
        await writer.append(client, commit(client, n))
        assert await store.head(client) == n
    pinned = store._reads.rows("SELECT max(n) FROM commits WHERE client = ?", client)
    assert pinned == [(1,)], "the half-read statement pins nothing: this test proves nothing"
    trap.close()
    assert len(await store.commits(client, 0, 100)) == 29


async def test_no_verb_leaves_a_statement_open(store, another, client, commit, line):
    body = os.urandom(16)
    await store.keep_bodies(client, {body: b"x", os.urandom(16): b"y"})
    await store.append(client, commit(client, 1, body))
    await store.note([line(client, 1)])
    await store.keep_key(client, "data", b"key")
    await store.put("space", "key", b"value", 2**40)
    await store.register("kind", "key", b"value")
    await store.link("mother", client)
    await store.head(client), await store.bodies(client, [body]), await store.commits(client, 0, 1)
    await store.peek("space", "key", 1), await store.lookup("kind", "key")
    await store.links("mother"), await store.key(client), await store.listing("kind")
    await store.sweep(client, 1)
    async for _ in store.trail(client):
        break
    other = await another()
    await other.append(client, commit(client, 2))
    for reader in (store._heads, store._reads, store._scans):
        assert reader.rows("SELECT max(n) FROM commits WHERE client = ?", client) == [(2,)]


# --- one writer for all


async def test_what_waits_is_written_in_one_transaction(store, client, line):
    statements = []
    store._lines.writer._connection.set_trace_callback(statements.append)
    await asyncio.gather(*(store.note([line(client, seq)]) for seq in range(1, 201)))
    assert statements.count("COMMIT") <= 20
    assert len([x async for x in store.trail(client)]) == 200


async def test_a_revocation_does_not_wait_for_a_push(store, client, commit):
    push = {os.urandom(16): os.urandom(20_000) for _ in range(100)}
    order = []

    async def keep():
        await store.keep_bodies("other-client", push)
        order.append("push")

    async def revoke():
        await store.append(client, commit(client, 1))
        order.append("revocation")

    pushing = [asyncio.create_task(keep()) for _ in range(4)]
    await asyncio.sleep(0)  # all pushes have asked first
    start = asyncio.get_running_loop().time()
    await revoke()
    waited = asyncio.get_running_loop().time() - start
    await asyncio.gather(*pushing)
    assert order == ["revocation", *["push"] * 4]
    assert waited < 2
    assert await store.bodies("other-client", [*push]) == push


@given(st.lists(st.integers(0, 700_000), max_size=200))
def test_a_push_is_written_in_parts_that_others_can_wait_for(sizes):
    bodies = {i.to_bytes(16, "big"): bytes(size) for i, size in enumerate(sizes)}
    made = parts(bodies)
    assert [pair for part, _ in made for pair in part] == list(bodies.items())
    for part, size in made:
        assert 1 <= len(part) <= PART_ROWS
        assert len(part) == 1 or size <= PART_BYTES + 100 * PART_ROWS
        assert size >= sum(len(sealed) for _, sealed in part)


async def test_keeping_an_image_holds_up_nobody(store, folder, client, commit):
    other = LockFile(folder / "pgo.db-lock")
    with other.held(1, 1):  # the images cannot be written now
        keeping = asyncio.create_task(store.keep_image(client, 1, [b"image"]))
        for n in range(1, 6):
            async with asyncio.timeout(10):
                await store.append(client, commit(client, n))
        assert not keeping.done()
    assert await keeping
    other.close()


async def test_a_writer_that_is_kept_waiting_gives_up_and_writes_nothing(
    another, folder, client, commit, monkeypatch
):
    monkeypatch.setattr(sqlite, "PATIENCE", 0.3)
    store = await another()
    other = LockFile(folder / "pgo.db-lock")
    with other.held(0, 1):
        with pytest.raises(errors.Unavailable):
            await store.append(client, commit(client, 1))
        assert await store.head(client) == 0
    await store.append(client, commit(client, 1))
    assert await store.head(client) == 1
    other.close()


async def test_a_lone_job_that_is_refused_leaves_nothing_and_the_writer_goes_on(
    store, client, line
):
    def halfway(connection):
        connection.execute("DELETE FROM lines")
        raise LookupError

    await store.note([line(client, 1)])
    with pytest.raises(LookupError):
        await store._lines.writer.do(halfway)
    await store.note([line(client, 2)])
    assert [x.seq async for x in store.trail(client)] == [1, 2]


async def test_lines_that_were_once_kept_beside_the_log_are_read_as_well(store, client, line):
    await store._data.do(partial(sqlite_acts.note, lines=[line(client, 1), line(client, 2)]))
    await store.note([line(client, 3), line(client, 1, writer="another")])
    found = [(x.writer, x.seq) async for x in store.trail(client)]
    assert sorted(found) == [("another", 1), *((line(client, 1).writer, n) for n in (1, 2, 3))]


async def test_one_fault_in_a_job_undoes_only_that_job(store, client, line):
    def halfway(connection):
        connection.execute("DELETE FROM lines")
        raise LookupError

    await store.note([line(client, 1)])
    said = await asyncio.gather(
        *(store.note([line(client, seq)]) for seq in range(2, 10)),
        store._lines.writer.do(halfway),
        *(store.note([line(client, seq)]) for seq in range(10, 20)),
        return_exceptions=True,
    )
    assert [type(x) for x in said if x is not None] == [LookupError]
    assert len([x async for x in store.trail(client)]) == 19


async def test_a_caller_that_went_away_does_not_stop_the_writer(store, client, line):
    tasks = [asyncio.create_task(store.note([line(client, seq)])) for seq in range(1, 30)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.note([line(client, 30)])
    seen = {x.seq async for x in store.trail(client)}
    assert {*range(2, 30, 2), 30} <= seen


# --- the disk


def limit(store, pages):
    return store._data.do(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchall())


async def test_a_full_disk_is_told_stores_nothing_half_and_passes(store, client, commit, line):
    await store.append(client, commit(client, 1))
    await limit(store, 60)
    push = {os.urandom(16): os.urandom(20_000) for _ in range(100)}
    small = [store.note([line(client, seq)]) for seq in range(1, 4)]
    said = await asyncio.gather(store.keep_bodies(client, push), *small, return_exceptions=True)
    assert isinstance(said[0], errors.NoSpace)
    assert said[1:] == [None] * 3
    with pytest.raises(errors.NoSpace):
        await store.append(client, commit(client, 2, sealed=bytes(500_000)))
    assert await store.head(client) == 1
    assert [c.n for c in await store.commits(client, 0, 9)] == [1]
    assert len([x async for x in store.trail(client)]) == 4
    await store.ready()
    await limit(store, 1_000_000)
    await store.keep_bodies(client, push)
    await store.append(client, commit(client, 2, *push))
    assert await store.head(client) == 2


async def test_on_a_disk_that_fills_up_what_was_acknowledged_stays(child, client):
    told = await asyncio.to_thread(child("fill", client, "").stdout.read)
    if "no rights" in told or not told:
        pytest.skip("this machine lets no test mount a small disk")
    assert told.split() == ["NoSpace", "nothing", "half", "and", "going", "on"]


async def test_a_write_error_of_the_disk_is_told_and_stores_nothing_half(child, client):
    told = await asyncio.to_thread(child("faulty", client, "").stdout.read)
    assert told.split() == ["Unavailable", "nothing", "half", "and", "going", "on"]


async def test_the_log_file_stays_small(store, folder, client):
    for _ in range(12):
        await store.keep_bodies(client, {os.urandom(16): bytes(20_000) for _ in range(100)})
    assert (folder / "pgo.db").stat().st_size > 15_000_000
    assert (folder / "pgo.db-wal").stat().st_size < 12_000_000


async def test_what_is_destroyed_leaves_every_file(store, folder, client, commit):
    keep, drop = os.urandom(16), os.urandom(16)
    await store.keep_bodies(client, {keep: b"canary-kept" * 9, drop: b"canary-dropped" * 900})
    await store.append(client, commit(client, 1, keep, drop, sealed=b"canary-commit"))
    await store.keep_key(client, "data", b"canary-key-one")
    await store.keep_image(client, 1, [b"canary-image" * 9])
    names = [b"dropped", b"kept", b"commit", b"key-one", b"image"]
    assert all(b"canary-" + name in held(folder) for name in names)
    await store.drop_bodies(client, [drop])
    assert b"canary-dropped" not in held(folder)
    await store.rewrap_key(client, "data", b"canary-key-one", b"canary-key-two")
    assert b"canary-key-one" not in held(folder)
    await store.erase(client)
    assert b"canary-key" not in held(folder)
    assert b"canary-image" not in held(folder)
    assert b"canary-kept" not in held(folder)


async def test_a_foreign_reader_holds_up_neither_destroying_nor_writing(
    store, folder, client, commit
):
    body = os.urandom(16)
    await store.keep_bodies(client, {body: b"x", os.urandom(16): b"y"})
    foreign = sqlite3.connect(folder / "pgo.db")
    cursor = foreign.execute("SELECT id FROM bodies")
    cursor.fetchone()
    async with asyncio.timeout(20):
        await store.drop_bodies(client, [body])
        await store.append(client, commit(client, 1))
    assert await store.bodies(client, [body]) == {}
    cursor.close()
    foreign.close()
    await store.append(client, commit(client, 2))
    assert (folder / "pgo.db-wal").stat().st_size == 0


def test_a_fault_of_the_disk_is_translated(tmp_path):
    full = sqlite3.OperationalError("disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    other = sqlite3.OperationalError("disk I/O error")
    other.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert isinstance(sqlite_writer.translated(full, tmp_path / "x"), errors.NoSpace)
    told = sqlite_writer.translated(other, tmp_path / "x")
    assert isinstance(told, errors.Unavailable)
    assert told.__cause__ is other
