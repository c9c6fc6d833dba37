"""What consent costs in a search: 5,000 results of many authors, with and without the filter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from time import thread_time
from typing import Any, Final

from pgo.bench.rows import Row
from pgo.bench.stand import Stand
from pgo.caller import Caller
from pgo.consent.model import ORDINARY
from pgo.demo import as_json
from pgo.demo.bulk import many
from pgo.dossier.log import Rule
from pgo.dossier.open import Dossier
from pgo.fhir import text
from pgo.fhir.bundle import Op
from pgo.fhir.query import Query, parse
from pgo.fhir.search import compile as compiled
from pgo.house import House
from pgo.oauth.scopes import cap_of
from pgo.office import Office, new_client
from pgo.verdict import Visible
from pgo.world import verdict_of

RESULTS: Final = 5_000
_AUTHORS: Final = 20
_MANY: Final = 9_600  # of a mix, of which more than 5,000 are results
_PART: Final = 100
_AT: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
_TICK: Final = 1e-3
_PAGE: Final = (("_sort", "-date"), ("_count", "20"))
_LABELS: Final = ((), ("PSY",), ("R", "PSY"), ("SEX",))
_WHOLE: Final = Caller("p-alles", scope=("user/*.rs",), app="bench")
_PART_ONLY: Final = Caller("p-deels", scope=("user/*.rs",), app="bench")


def filtering(stand: Stand) -> list[Row]:
    """Our own time from a query to the ids of all its matches; the decisions are made each time."""
    stand.tell("making a dossier of 5,000 results")

    async def work(house: House) -> list[Row]:
        dossier = await house.parts.dossiers.open(await _results(house))
        stand.tell("searching in it with consent and without")
        query = parse("r4", "Observation", _PAGE, lenient=False)
        ways = [
            _way(dossier, query, _nobody, RESULTS),
            _way(dossier, query, lambda: _of(house, dossier, _WHOLE), RESULTS),
            _way(dossier, query, lambda: _of(house, dossier, _PART_ONLY), None),
        ]
        bare, whole, part = await _in_turns(ways, 20 if stand.quick else 300)
        return [
            Row("search of 5,000 rows without consent, our own time", bare, "ms"),
            Row("the same, decided for somebody who sees them all", whole, "ms"),
            Row("the same, decided for somebody who sees a part", part, "ms"),
            Row("consent adds to a search of 5,000 rows", max(whole - bare, _TICK), "ms", most=1),
        ]

    return stand.inside(work, "filtering")


async def _in_turns(ways: list[Callable[[], Awaitable[float]]], count: int) -> list[float]:
    """Milliseconds: the median of each way, in turns."""
    found: list[list[float]] = [[] for _ in ways]
    for _ in range(count):
        for way, kept in zip(ways, found, strict=True):
            kept.append(1e3 * await way())
    return [median(kept) for kept in found]


def _way(
    dossier: Dossier, query: Query, filter_: Callable[[], Awaitable[Visible]], expected: int | None
) -> Callable[[], Awaitable[float]]:
    async def once() -> float:
        started = thread_time()
        made = compiled(query, await filter_(), now=_AT, columns="r.rid, r.ver")
        found = dossier.image.select(made.sql, made.args)
        passed = thread_time() - started
        if len(found) != expected if expected is not None else not 0 < len(found) < RESULTS:
            raise ValueError("the search of the bench does not find what it should")
        return passed

    return once


async def _nobody() -> Visible:
    """No filter at all: the yardstick."""
    return lambda _alias: ("1", [])


async def _of(house: House, dossier: Dossier, caller: Caller) -> Visible:
    parts = house.parts
    cap = cap_of(caller.scope)
    verdict = await verdict_of(dossier, caller, parts.people, parts.policy, _AT, cap)
    return verdict.visible("r4", ("Observation",))


async def _results(house: House) -> str:
    """A dossier with 5,000 results: 20 authors, four sets of labels; two people may read there."""
    client = new_client()
    await Office(house, client).create({"person": "veel", "name": "Vera", "birth": "1990-06-15"})
    permits = [
        _grant("g-alles", "p-alles", labels=["PSY", "SEX", "R"]),
        _grant("g-deels", "p-deels", labels=["PSY"]),
        _grant("g-niet", "p-deels", effect="deny", author="lab-3", actions=["lezen"]),
    ]
    rules = [Rule("grant", one["id"], one | {"order": n}) for n, one in enumerate(permits)]
    await Office(house, client).set_rules(rules, "bench")
    for number, ops in enumerate(_parts()):
        lab = Office(house, client, f"lab-{number % _AUTHORS}")
        await lab.bring_in("r4", ops, whole=True)
    return client


def _parts() -> Iterator[list[Op]]:
    """The Patient and the results, in portions that each have one author."""
    wanted = [one for one in many(_MANY, "r4") if one["resourceType"] in {"Patient", "Observation"}]
    ops = []
    for number, tree in enumerate(wanted[: RESULTS + 1]):
        labels = [{"code": code} for code in _LABELS[number % len(_LABELS)]]
        if labels and tree["resourceType"] != "Patient":
            tree["meta"] = tree.get("meta", {}) | {"security": labels}
        read = text.parse(as_json(tree))
        ops.append(Op("PUT", read["resourceType"], read["id"], read))
    for start in range(0, len(ops), _PART):
        yield [replace(op, index=n) for n, op in enumerate(ops[start : start + _PART])]


def _grant(id_: str, who: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_, "client": "veel", "by": "veel", "effect": "permit", "to_who": who,
        "categories": sorted(ORDINARY), "made": "2025-01-01T00:00:00+00:00",
    } | more  # fmt: skip
