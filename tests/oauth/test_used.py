"""What remembers the proofs that were used: each is good once, whatever happens to its file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgo.errors import InvalidProof, NonceNeeded, Unavailable
from pgo.oauth import used
from pgo.oauth.proof import LONGEST, SKEW, Proofs
from pgo.oauth.used import AHEAD, SIZE, WAYS, InFile, InStore, beside

NOW, LATER = 1_000_000, 1_000_066


@pytest.fixture
def file(tmp_path):
    return tmp_path / "pgo.db-proofs"


@pytest.fixture
def open_(file):
    """Opens the file as a worker does; all are closed afterwards."""
    opened = []

    def made(**more):
        opened.append(InFile(file, **more))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


@pytest.fixture
def worker(world, open_):
    """The checks of one worker, with the file open as its own."""

    def made(**more):
        return Proofs(open_(**more), world.box, world.tokens.now, world.ISSUER)

    return made


async def first(memory, proof, *, now=NOW, until=LATER):
    return await memory.book(now).first(proof, now, until)


async def accepted(proofs, proof):
    try:
        await proofs.binding(proof, "POST", "/oauth/token")
    except NonceNeeded:
        return "nonce"
    except InvalidProof:
        return "no"
    return "yes"


def later(world):
    """So long after the file was made that no nonce is asked."""
    world.clock.later(seconds=AHEAD + 1)


async def test_a_proof_is_taken_once_by_all_workers_together(open_):
    one, two = open_(), open_()
    assert await first(one, "a")
    assert not await first(two, "a")
    assert await first(two, "b")
    assert not await first(one, "b")


async def test_a_worker_that_starts_anew_remembers(open_):
    one = open_()
    assert await first(one, "a")
    one.close()
    assert not await first(open_(), "a")


async def test_of_64_who_use_one_proof_at_once_one_gets_in(world, worker):
    workers = [worker() for _ in range(4)]
    workers[0].nonce()
    later(world)
    proof = world.proof(without=("nonce",))
    told = await asyncio.gather(*(accepted(workers[n % 4], proof) for n in range(64)))
    assert sorted(told) == ["no"] * 63 + ["yes"]


@pytest.fixture
def child(file):
    """Starts tests/oauth/child.py on the file."""
    started = []

    def start(what, *arguments):
        script = Path(__file__).with_name("child.py")
        process = subprocess.Popen(
            [sys.executable, script, what, file, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes its pipes
            process.kill()


def test_of_four_processes_exactly_one_gets_in_with_each_proof(child):
    rows = 16  # so that they meet in the rows
    processes = [child("spend", rows, LATER) for _ in range(4)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    names = [f"proof-{n}" for n in range(500)]
    for process in processes:
        process.stdin.write(f"{' '.join(names)}\n")
        process.stdin.flush()
    taken = [name for process in processes for name in process.stdout.readline().split()]
    assert [process.wait() for process in processes] == [0] * 4
    assert sorted(taken) == sorted(names)


async def test_a_full_row_refuses_and_forgets_nothing(open_, monkeypatch):
    monkeypatch.setattr(used, "ROWS", 1)
    memory = open_()
    for n in range(WAYS):
        assert await first(memory, f"proof {n}", until=LATER + n)
    with pytest.raises(Unavailable) as full:
        await first(memory, "one more", now=NOW + 6)
    assert full.value.headers == {"Retry-After": "60"}
    for n in range(WAYS):
        assert not await first(memory, f"proof {n}")
    assert await first(memory, "one more", now=LATER, until=LATER + 200), "the first has expired"
    for n in range(1, WAYS):
        assert not await first(memory, f"proof {n}", now=LATER)
    with pytest.raises(Unavailable):
        await first(memory, "and another", now=LATER)


async def test_a_proof_that_cannot_be_remembered_is_not_taken(world, worker, monkeypatch):
    monkeypatch.setattr(used, "ROWS", 1)
    here = worker()
    here.nonce()
    later(world)
    told = [await accepted(here, world.proof(without=("nonce",))) for _ in range(WAYS)]
    assert set(told) == {"yes"}
    with pytest.raises(Unavailable):
        await here.binding(world.proof(without=("nonce",)), "POST", "/oauth/token")
    world.clock.later(seconds=LONGEST + SKEW + 1)
    assert await accepted(here, world.proof(without=("nonce",))) == "yes"


async def test_when_the_file_is_lost_what_was_used_before_stays_refused(world, worker, file):
    one, two = worker(), worker()
    one.nonce()
    later(world)
    nonce = one.nonce()
    bare = [world.proof(without=("nonce",), iat=world.clock.seconds + n) for n in range(SKEW + 1)]
    named = world.proof(nonce=nonce)
    for proof in (*bare, named):
        assert await accepted(one, proof) == "yes"
    file.unlink()
    for proof in (*bare, named):
        assert await accepted(two, proof) == "nonce"
        assert await accepted(one, proof) == "nonce"
    world.clock.later(seconds=SKEW)
    for proof in (*bare, named):
        assert await accepted(one, proof) == "nonce"


async def test_after_a_loss_a_nonce_of_the_new_file_opens_at_once(world, worker, file):
    one, two = worker(), worker()
    one.nonce()
    later(world)
    old = one.nonce()
    file.unlink()
    with pytest.raises(NonceNeeded) as asked:
        await two.binding(world.proof(nonce=old), "POST", "/oauth/token")
    fresh = asked.value.headers["DPoP-Nonce"]
    proof = world.proof(nonce=fresh)
    assert [await accepted(at, proof) for at in (one, two)] == ["yes", "no"]
    later(world)
    assert await accepted(one, world.proof(without=("nonce",))) == "yes", "as usual again"


async def test_the_very_first_proof_needs_a_nonce_too(world, worker):
    here = worker()
    assert await accepted(here, world.proof(without=("nonce",))) == "nonce"
    assert await accepted(here, world.proof(nonce=here.nonce())) == "yes"


async def test_everybody_goes_on_in_the_file_that_is_there(open_, file):
    one, two = open_(), open_()
    assert await first(one, "a")
    assert not await first(two, "a")
    file.unlink()
    assert await first(two, "b")
    assert not await first(one, "b")
    assert one.book(NOW).name == two.book(NOW).name


async def test_a_file_of_before_this_machine_started_is_not_believed(open_):
    old, new = open_(started=lambda: 500_000), open_(started=lambda: 900_000)
    assert await first(old, "a")
    before, after = old.book(NOW), new.book(NOW + 60)
    assert before.name != after.name
    assert after.since == NOW + 60 + AHEAD


async def test_a_clock_that_was_put_right_by_a_second_is_no_new_start(open_):
    one, two = open_(started=lambda: 500_000), open_(started=lambda: 500_001)
    assert one.book(NOW).name == two.book(NOW).name


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b"something else"),
        lambda file: file.write_bytes(b"x" * SIZE),
        lambda file: file.write_bytes(b""),
        lambda file: os.truncate(file, SIZE - 1),
    ],
    ids=["another content", "another content as long", "empty", "cut"],
)
async def test_a_file_that_is_not_whole_is_made_anew(open_, file, spoil):
    one = open_()
    name = one.book(NOW).name
    spoil(file)
    two = open_()
    assert await first(two, "a")
    assert two.book(NOW).name != name
    assert file.stat().st_size == SIZE


async def test_a_file_that_is_cut_under_way_is_made_anew(open_, file):
    one = open_()
    name = one.book(NOW).name
    os.truncate(file, 100)
    assert one.book(NOW).name != name


async def test_a_link_in_the_place_of_the_file_is_not_followed(open_, file, tmp_path):
    (tmp_path / "other").write_bytes(b"kept")
    file.symlink_to(tmp_path / "other")
    with pytest.raises(Unavailable):
        await first(open_(), "a")
    assert (tmp_path / "other").read_bytes() == b"kept"


async def test_without_a_folder_nothing_is_taken(tmp_path):
    memory = InFile(tmp_path / "none" / "proofs")
    with pytest.raises(Unavailable):
        await first(memory, "a")


async def test_who_holds_a_row_for_ever_lets_nobody_in_twice(open_, child):
    memory = open_()
    assert await first(memory, "a")
    holder = child("hold")
    assert holder.stdout.readline() == "ready\n"
    for proof in ("a", "b"):
        with pytest.raises(Unavailable):
            await first(memory, proof)
    holder.stdin.close()
    assert holder.wait() == 0
    assert not await first(memory, "a")
    assert await first(memory, "b")


async def test_no_name_is_in_the_file_and_only_we_may_read_it(open_, file):
    memory = open_()
    assert await first(memory, "Jan de Vries")
    assert b"Vries" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.stat().st_blocks * 512 < 65_536, "only what is used takes room"


async def test_the_store_remembers_too(world):
    one, two = InStore(world.store), InStore(world.store)
    now = world.clock.seconds
    assert await first(one, "a", now=now, until=now + 66)
    assert not await first(two, "a", now=now, until=now + 66)
    assert (one.book(now).name, one.book(now).since) == ("", 0)


async def test_the_book_is_beside_a_store_of_one_machine_only(tmp_path):
    here = beside(f"sqlite:///{tmp_path}/pgo.db")
    assert await first(here, "a")
    here.close()
    assert (tmp_path / "pgo.db-proofs").exists()
    assert beside("mongodb://one,two,three/pgo") is None
