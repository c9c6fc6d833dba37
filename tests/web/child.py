"""A worker process for tests of the counters: does one thing and says on stdout what it was told.

Started anew, never forked: the process of the tests has threads, and a copy of it may hang.
"""

import signal
import sys
from pathlib import Path

from pgo import rates


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def spend(counters):
    """Ask 4,000 times when told to; say how often it was allowed."""
    rates._TRIES = sys.maxsize  # all go on here, however busy the machine is: nobody need give up
    say("ready")
    sys.stdin.readline()
    say(sum(counters.check("a", 1e-6, 5_000) == 0.0 for _ in range(4_000)))


def hold(counters):
    """Keep the row of "a" until told to let go, and for a minute at most."""
    signal.alarm(60)
    assert counters._lock(counters._place("a")[0])
    say("ready")
    sys.stdin.readline()


if __name__ == "__main__":
    mine = rates.Rates(Path(sys.argv[2]))
    {"spend": spend, "hold": hold}[sys.argv[1]](mine)
    mine.close()
