"""The doors of consent by the clock: does the time of an answer tell that something is hidden?

Five hundred pairs of one question, about something hidden and about nothing, are asked in a random
order. Reported is the effect size (Cliff's delta: 0 is no difference, 1 is always slower) with the
chance (Mann-Whitney, two-sided) that it is an accident. No bar: a clock over a network sees less.
"""

from __future__ import annotations

import random
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from math import erfc, sqrt
from statistics import median
from time import perf_counter
from typing import Final

import orjson

from pgo.bench.rows import Row
from pgo.bench.stand import Stand
from pgo.errors import Unavailable
from pgo.house import House

PAIRS: Final = 500
_FAMILY, _CLIENT, _COPILOT = "yusuf", "yusuf", "p-samira"
_ALL: Final = "/fhir/r4/Observation?category=laboratory&_count=200"
_WARM: Final = 30
_STRANGER, _HIS_FAMILY, _SCOPE = "p-henk", "mees", "user/*.rs"
_DOSSIER: Final = "/dossiers/{}/fhir/r4/Patient"
_READ, _SEARCH = "/fhir/r4/Observation/{}", "/fhir/r4/Observation?_id={}"


def doors(stand: Stand) -> list[Row]:
    """A copiloot asks for results she may not see, a stranger for dossiers he has no part in."""
    found = orjson.loads(stand.guarded.get(_ALL, stand.token(_CLIENT, _FAMILY)))
    hidden = [entry["resource"]["id"] for entry in found["entry"]]
    others = [id_ for name, id_ in stand.families().items() if name != _HIS_FAMILY]
    copilot, stranger = stand.token(_COPILOT, _FAMILY, _SCOPE), _unbound(stand, _STRANGER)
    stand.guarded.get(_DOSSIER.format(stand.families()[_HIS_FAMILY]), stranger)  # he does get in
    count = PAIRS // 5 if stand.quick else PAIRS
    made: list[Row] = []
    for name, path, status, ids, token in (
        ("read of a result", _READ, 404, hidden, copilot),
        ("search of a result", _SEARCH, 200, hidden, copilot),
        ("read in a dossier", _DOSSIER, 404, others, stranger),
    ):
        stand.tell(f"doors: {name} that is hidden or not there")
        with _asking(stand.guarded.port, token) as ask:
            made += _compared(name, *_pairs(ask, path, status, ids, count))
    return made


def _unbound(stand: Stand, person: str) -> str:
    """A token that names no dossier, of somebody who may see one of them."""

    async def work(house: House) -> str:
        issued = await house.tokens.issue_operator(
            house.registry, dossier="", person=person, scope=(_SCOPE,)
        )
        return issued.access

    return stand.inside(work)


@contextmanager
def _asking(port: int, token: str) -> Iterator[_Ask]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        yield _Ask(connection, {"Authorization": f"Bearer {token}"})
    finally:
        connection.close()


class _Ask:
    """Asks on one connection and tells how many seconds an answer took."""

    def __init__(self, connection: HTTPConnection, fields: dict[str, str]) -> None:
        self._connection, self._fields = connection, fields

    def __call__(self, path: str, status: int) -> float:
        started = perf_counter()
        self._connection.request("GET", path, headers=self._fields)
        answer = self._connection.getresponse()
        answer.read()
        passed = perf_counter() - started
        if answer.status != status:
            raise Unavailable(f"the server answered {answer.status}")
        return passed


def _pairs(
    ask: _Ask, path: str, status: int, hidden: Sequence[str], count: int
) -> tuple[list[float], list[float]]:
    """Seconds of `count` questions about something hidden, and of as many about nothing.

    As many ids of nothing are asked, as often: what was asked before may be answered sooner.
    """
    chance = random.Random(7)  # noqa: S311 - an order, not a secret
    nothing = [_alike(id_, chance) for id_ in hidden]
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(_WARM + count):
        ids = (hidden[number % len(hidden)], nothing[number % len(hidden)])
        for side in chance.sample((0, 1), 2):
            passed = ask(path.format(ids[side]), status)
            if number >= _WARM:
                times[side].append(passed)
    return times


def _alike(id_: str, chance: random.Random) -> str:
    """A random id of the same form, which nothing has."""
    made = str(uuid.UUID(int=chance.getrandbits(128)))
    return made if "-" in id_ else made.replace("-", "")


def _compared(name: str, hidden: Sequence[float], nothing: Sequence[float]) -> list[Row]:
    delta, chance = effect(hidden, nothing)
    about = f"{name} that is hidden or not there"
    return [
        Row(f"{about}, Cliff's delta", abs(delta), "of 1"),
        Row(f"{about}, chance of that by accident", chance, "of 1"),
        Row(f"{about}, answered within", 1e3 * median([*hidden, *nothing]), "ms"),
    ]


def effect(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Cliff's delta (-1 to 1, above 0: `one` is larger) and its two-sided p (normal, no ties)."""
    ordered = sorted(other)
    above = sum(bisect_left(ordered, value) for value in one)
    below = sum(len(ordered) - bisect_right(ordered, value) for value in one)
    n, m = len(one), len(other)
    spread = sqrt((n + m + 1) / (3 * n * m))
    delta = (above - below) / (n * m)
    return delta, erfc(abs(delta) / spread / sqrt(2))
