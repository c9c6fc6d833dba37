"""Speed over HTTP: guarded reads and searches beside a route that returns the same bytes."""

from __future__ import annotations

from functools import partial
from typing import Final

import orjson

from pgo.bench.rows import Row, alternating
from pgo.bench.stand import Stand

_FAMILY, _READER = "fenna", "p-marjan"
_READ_BAR: Final = 0.4
_SEARCH_BAR: Final = 0.15
_SEARCH: Final = "/fhir/r4/Observation?category=laboratory&_sort=-date&_count=20"
_ROWS: Final = 20


def memory(stand: Stand) -> list[Row]:
    """What a worker takes after its start, before and after its first requests."""
    token, server = stand.token(_READER, _FAMILY), stand.guarded
    started = server.memory()
    server.get(_SEARCH, token)
    return [
        Row("memory of a worker after its start", started, "MB", most=200),
        Row("memory of a worker after a first search", server.memory(), "MB"),
    ]


def read(stand: Stand) -> list[Row]:
    """A guarded read: token, consent, decryption and a durable audit line, for the mother."""
    token = stand.token(_READER, _FAMILY)
    found = orjson.loads(stand.guarded.get(_SEARCH, token))
    path = f"/fhir/r4/Observation/{found['entry'][0]['resource']['id']}"
    return _compared(stand, "read", path, token, _READ_BAR)


def search(stand: Stand) -> list[Row]:
    """A search that gives 20 rows, with a link to the next page."""
    token = stand.token(_READER, _FAMILY)
    found = orjson.loads(stand.guarded.get(_SEARCH, token))
    if len(found["entry"]) != _ROWS:
        raise ValueError("the search of the bench does not give 20 rows")
    return _compared(stand, "search", _SEARCH, token, _SEARCH_BAR)


def _compared(stand: Stand, name: str, path: str, token: str, bar: float) -> list[Row]:
    guarded = stand.guarded
    bare = stand.bare({name: guarded.get(path, token)})
    stand.tell(f"{name}: guarded and bare in turns")
    ours = partial(stand.drive, guarded, path, token)
    theirs = partial(stand.drive, bare, f"/{name}")
    for warm in (ours, theirs):
        warm()
    tails: list[float] = []

    def once() -> float:
        told = ours()
        tails.append(told["p99"])
        return told["rate"]

    mine, yardstick = alternating([once, lambda: theirs()["rate"]], stand.runs)
    return [
        Row(f"guarded {name} / bare route", mine / yardstick, "ratio", least=bar),
        Row(f"guarded {name}", mine, "answers/s"),
        Row(f"bare route, the bytes of that {name}", yardstick, "answers/s"),
        Row(f"guarded {name}, 99 of 100 within", sorted(tails)[len(tails) // 2], "ms"),
    ]
