"""A process that judges pieces of files for an import, beside the one that stores them.

It has no keys, no store and no settings but two folders: what it is told comes in frames on its
standard input, and what it finds goes out in frames. It ends when its input ends, so it does not
outlive whoever started it. Run as `python -m pgo.judge` by `pgo.judging`.

A frame: twelve bytes (the length of a head, four; of the texts together, eight), the head in JSON
(a value, and the length of each text), and the texts.
"""

from __future__ import annotations

import fcntl
import gc
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import orjson

from pgo.fhir.added import Searches, searches
from pgo.fhir.elements import Release
from pgo.fhir.profiles import Profiles, profiles
from pgo.judged import judge, told, work_out
from pgo.pieces import Piece

FRONT: Final = 12
_HEAD: Final = 4
_PIPE: Final = 1_000_000
_GARBAGE: Final = 50_000
_LARGE: Final = 1_000_000
"""Of a Bundle of so many bytes, all that can be known at once takes too much memory."""


def framed(value: Any, texts: Sequence[bytes] = ()) -> bytes:
    """A frame with a value and texts."""
    head = orjson.dumps([value, [len(one) for one in texts]])
    whole = sum(map(len, texts)).to_bytes(FRONT - _HEAD, "big")
    return b"".join((len(head).to_bytes(_HEAD, "big"), whole, head, *texts))


def lengths(front: bytes) -> tuple[int, int]:
    """Of the head and of the texts together, from the front of a frame."""
    return int.from_bytes(front[:_HEAD], "big"), int.from_bytes(front[_HEAD:], "big")


def opened(head: bytes, joined: bytes) -> tuple[Any, list[bytes]]:
    """The value and the texts of a frame."""
    value, sizes = orjson.loads(head)
    texts, at = [], 0
    for size in sizes:
        texts.append(joined[at : at + size])
        at += size
    return value, texts


def _frame(source: IO[bytes]) -> tuple[Any, list[bytes]] | None:
    front = source.read(FRONT)
    if len(front) < FRONT:
        return None
    head, joined = lengths(front)
    return opened(source.read(head), source.read(joined))


def work(source: IO[bytes], out: IO[bytes]) -> None:
    """Judge what comes in until nothing comes any more; the first frame names the folders."""
    start = _frame(source)
    if start is None:
        return
    places = {name: Path(folder) if folder else None for name, folder in start[0].items()}
    known, parameters = profiles(places["profiles"]), searches(places["searches"])
    gc.freeze()  # what was read at the start stays; what a piece makes is gone after it
    gc.set_threshold(_GARBAGE)
    out.write(framed("ready"))
    out.flush()
    while (frame := _frame(source)) is not None:
        out.write(_answer(*frame, known, parameters))
        out.flush()


def _answer(
    asked: dict[str, Any], texts: Sequence[bytes], known: Profiles, parameters: Searches
) -> bytes:
    """One step after another for all pieces: a processor is faster at the same work again."""
    release: Release = asked["release"]
    pieces = [Piece("", raw, xml) for xml, raw in zip(asked["xml"], texts, strict=True)]
    found = [judge(release, piece, known) for piece in pieces]
    for piece, one in zip(pieces, found, strict=True):
        if len(piece.raw) < _LARGE:
            work_out(release, one, parameters)
    rows: list[Any] = []
    kept: list[bytes] = []
    for one in found:
        row, more = told(one)
        rows.append(row)
        kept += more
    return framed(rows, kept)


def _widened(pipe: IO[bytes]) -> IO[bytes]:
    """Room for whole answers, where the system gives it: else each waits until the last is read."""
    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    return pipe


if __name__ == "__main__":
    frames, sys.stdout = sys.stdout, sys.stderr  # nothing else may stand between the frames
    work(sys.stdin.buffer, _widened(frames.buffer))
