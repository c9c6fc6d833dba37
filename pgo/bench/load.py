"""A load generator: a process that keeps connections busy with requests, and counts answers.

One request is asked again and again; of several each is asked once, until there are none left.

It speaks just enough HTTP/1.1 to cost little beside the server on the same cores. Commands come in
as lines of JSON on standard input, so that a token is in no list of processes; each is answered by
one line. Run as `python -m pgo.bench.load`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from time import perf_counter

import orjson
import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(slots=True)
class Tally:
    """What all connections saw; `seconds` is one time per answer, `last` when the last came."""

    asking: bool = True
    last: float = 0.0
    seconds: list[float] = field(default_factory=list)
    fault: str = ""


class _Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests, self._tally = requests, tally
        self._got = b""
        self._asked = 0.0
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def ask(self) -> None:
        """Send the next request; without one there is nothing more to ask."""
        request = next(self._requests, None)
        if request is None:
            self._tally.asking = False
            self._transport.close()
            return
        self._asked = perf_counter()
        self._transport.write(request)

    def end(self) -> None:
        """Hang up, also on an answer that does not come."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        got = self._got + data if self._got else data
        head = got.find(_HEAD_END)
        if head < 0 or len(got) < head + 4 + _length(got[:head]):
            self._got = got
            return
        self._got = b""
        if got[9:12] != b"200":
            self._tally.fault = got[:head].split(b"\r\n")[0].decode("latin-1")
            self._tally.asking = False
        self._tally.last = perf_counter()
        self._tally.seconds.append(self._tally.last - self._asked)
        if self._tally.asking:
            self.ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._tally.asking:
            self._tally.fault = "the server hung up"
        if not self.gone.done():
            self.gone.set_result(None)


def _length(head: bytes) -> int:
    """The announced length of the body; the servers measured write names in lower case."""
    start = head.index(_LENGTH) + len(_LENGTH)
    end = head.find(b"\r", start)
    return int(head[start : end if end > 0 else len(head)])


async def drive(
    port: int, requests: Iterator[bytes], connections: int, seconds: float
) -> dict[str, object]:
    """Keep `connections` to 127.0.0.1 busy for so many seconds; answers/s and latencies in ms."""
    loop, tally = asyncio.get_running_loop(), Tally()
    open_ = [
        (await loop.create_connection(lambda: _Connection(requests, tally), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    start = perf_counter()
    for one in open_:
        one.ask()
    await asyncio.wait([one.gone for one in open_], timeout=seconds)
    passed, answers = max(tally.last - start, 1e-6), len(tally.seconds)
    tally.asking = False
    await asyncio.wait([one.gone for one in open_], timeout=10)
    for one in open_:
        one.end()
    times = sorted(tally.seconds) or [0.0]
    return {
        "rate": answers / passed,
        "p50": 1000 * times[len(times) // 2],
        "p99": 1000 * times[len(times) * 99 // 100],
        "fault": tally.fault,
    }


def main() -> None:
    """Answer commands until standard input ends."""
    for line in sys.stdin.buffer:
        told = orjson.loads(line)
        texts = [text.encode() for text in told["requests"]]
        requests = iter(texts) if len(texts) > 1 else repeat(texts[0])
        done = uvloop.run(drive(told["port"], requests, told["connections"], told["seconds"]))
        sys.stdout.buffer.write(orjson.dumps(done) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
