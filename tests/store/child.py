"""A server process for tests of the store: does one thing and says on stdout what it was told."""

import asyncio
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from pgo import errors
from pgo.store import open_store
from pgo.store.contract import Commit, Line, NotNext


def line(client, writer, seq, sealed):
    return Line(client, writer, seq, seq, bytes(32), os.urandom(32), sealed)


def commit(client, n, sealed):
    return Commit(n, (), sealed, line(client, "log", n, sealed))


def say(*words):
    sys.stdout.write(f"{' '.join(map(str, words))}\n")
    sys.stdout.flush()


async def append(store, client, count):
    """Race for the next commit until `count` are ours; say each with its mark."""
    say("ready")
    sys.stdin.readline()
    done = 0
    while done < int(count):
        n, mark = await store.head(client) + 1, os.urandom(8)
        try:
            await store.append(client, commit(client, n, mark))
        except NotNext:
            continue
        say(n, mark.hex())
        done += 1


async def turned(store, client, count):
    """The same inside the turn; a conflict ends it."""
    say("ready")
    sys.stdin.readline()
    for _ in range(int(count)):
        mark = os.urandom(8)
        async with store.turn(client):
            n = await store.head(client) + 1
            await asyncio.sleep(0)
            await store.append(client, commit(client, n, mark))
        say(n, mark.hex())


async def forever(store, client, writer):
    """Write bodies, commits and lines, and say what was acknowledged, until killed."""
    seq = 0

    async def notes():
        nonlocal seq
        while True:
            seq += 1
            await store.note([line(client, writer, seq, b"x" * 300)])
            say("line", seq)

    async def commits():
        n = await store.head(client)
        while True:
            n, body = n + 1, os.urandom(16)
            await store.keep_bodies(client, {body: b"body" * 500})
            new = Commit(n, (body,), b"sealed", line(client, "log", n, b"sealed"))
            await store.append(client, new)
            say("commit", n, body.hex())

    await asyncio.gather(notes(), commits())


async def quick(store, client, writer):
    """Write lines on a disk that is trusted, and say what was acknowledged, until killed."""
    store._lines.day.clock = lambda: 0.0
    seq = 0
    while True:
        seq += 1
        await store.note([line(client, writer, seq, b"x" * 300)])
        say("line", seq)


async def flushes(store, client, writer):
    """Write lines into two chains at once, some by the batch, and say how far they are."""
    seq = 0
    while True:
        count = 1 + seq % 3
        numbers = range(seq + 1, seq + 1 + count)
        await store.note(
            [line(each, writer, n, b"x" * 100) for n in numbers for each in (client, "system")]
        )
        seq += count
        say("lines", seq)


async def bodies(store, client, _):
    """Keep bodies no commit will ever name, until killed."""
    while True:
        await store.keep_bodies(client, {os.urandom(16): b"lost"})
        say("body")


async def hold(store, client, _):
    """Stay in the turn until killed."""
    async with store.turn(client):
        say("held")
        await asyncio.sleep(3600)


async def until_it_fails(store, client, relieve):
    """Push and commit until the disk says no; then look at what is there, and go on."""
    done = 0
    try:
        while True:
            ids = {os.urandom(16): os.urandom(20_000) for _ in range(10)}
            await store.keep_bodies(client, ids)
            await store.append(
                client, Commit(done + 1, (*ids,), b"s", line(client, "log", done + 1, b""))
            )
            done += 1
    except errors.PgoError as error:
        say(type(error).__name__)
    log = await store.commits(client, 0, 10_000)
    there = await store.bodies(client, [id_ for commit in log for id_ in commit.bodies])
    whole = await store.head(client) == len(log) == done > 0
    say("nothing half" if whole and len(there) == 10 * done else "half")
    relieve()
    await store.append(client, commit(client, done + 1, b"after"))
    say("and going on")


async def fill(store, client, mounted):
    """On a disk of a few MB, mounted for this process alone."""
    ballast = Path(mounted) / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    await until_it_fails(store, client, ballast.unlink)


async def faulty(store, client, _):
    """With a limit on the size of files: the next write into them fails (EFBIG)."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    await until_it_fails(
        store, client, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    )


def on_a_small_disk(address, *arguments):
    """Start again where a small disk can be mounted: in name spaces of its own."""
    folder = Path(address.removeprefix("sqlite:///")).parent
    folder.mkdir()
    inner = shlex.join([sys.executable, __file__, address, *arguments[:-1], str(folder)])
    mount = f"mount -t tmpfs -o size=6m tmpfs {shlex.quote(str(folder))}"
    script = f"{mount} || {{ echo no rights; exit 0; }}; {inner}"
    subprocess.run(
        [shutil.which("unshare") or sys.exit("no rights"), "-rm", "sh", "-c", script], check=True
    )


async def main(address, what, client, argument):
    store = await open_store(address, strict=False, mongo_standalone=True)
    try:
        await {
            "append": append,
            "turned": turned,
            "forever": forever,
            "quick": quick,
            "flushes": flushes,
            "bodies": bodies,
            "hold": hold,
            "fill": fill,
            "faulty": faulty,
        }[what](store, client, argument)
    finally:
        await store.close()


if __name__ == "__main__":
    if "fill" in sys.argv and not sys.argv[-1]:
        on_a_small_disk(*sys.argv[1:])
    else:
        asyncio.run(main(*sys.argv[1:]))
