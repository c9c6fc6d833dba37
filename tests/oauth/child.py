"""A worker process for tests of used proofs: does one thing and says on stdout what it was told.

Started anew, never forked: the process of the tests has threads, and a copy of it may hang.
"""

import asyncio
import fcntl
import sys
from pathlib import Path

from pgo.oauth import used


def say(*words):
    sys.stdout.write(f"{' '.join(words)}\n")
    sys.stdout.flush()


def spend(path, rows, until):
    """Hand in the names that stdin gives, in a book of so many rows; say which were good."""
    used.ROWS = int(rows)
    memory, now = used.InFile(path), int(until) - 66
    memory.book(now)
    say("ready")
    names = sys.stdin.readline().split()

    async def whole():
        return [name for name in names if await memory.book(now).first(name, now, int(until))]

    say(*asyncio.run(whole()))
    memory.close()


def hold(path):
    """Keep the whole file until told to let go."""
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        say("ready")
        sys.stdin.readline()


if __name__ == "__main__":
    {"spend": spend, "hold": hold}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
