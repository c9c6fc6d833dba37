"""A server process for tests of the store: does one thing and says on stdout what it was told."""

import asyncio
import os
import sys

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


async def main(address, what, client, argument):
    store = await open_store(address, strict=False, mongo_standalone=True)
    try:
        await {
            "append": append,
            "turned": turned,
            "forever": forever,
            "bodies": bodies,
            "hold": hold,
        }[what](store, client, argument)
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
