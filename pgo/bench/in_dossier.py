"""Speed inside the engine, without HTTP: opening, searching, deciding, writing down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from time import perf_counter, thread_time
from typing import Any, Final

from pgo.audit.entry import Entry
from pgo.bench.rows import Row
from pgo.bench.stand import Stand
from pgo.caller import Caller
from pgo.consent.decide import decide
from pgo.consent.model import ORDINARY, Person, Request, Resource, World
from pgo.consent.reading import stored_grant
from pgo.demo import as_json
from pgo.demo.bulk import many
from pgo.dossier.log import Rule
from pgo.dossier.open import Dossiers
from pgo.dossier.seal import Keys
from pgo.fhir import answers, text
from pgo.fhir.bundle import Op
from pgo.fhir.query import parse
from pgo.house import House
from pgo.keyfile import load_key
from pgo.moment import micros
from pgo.office import Office, new_client
from pgo.vault import Vault

RESOURCES: Final = 2_000
_PART: Final = 50
_GRANTS: Final = 200
_ROWS: Final = 20
_AT: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
_NEIGHBOUR: Final = Caller("p-buur", name="Buur", scope=("user/*.rs",), app="bench")
_PAGE: Final = (("_sort", "-date"), ("_count", "20"))
_SERIES: Final = (("code", "http://loinc.org|4086-5"), *_PAGE)
_ALL: Final = (("category", "laboratory"), *_PAGE)
_ASKED: Final = (_SERIES, _ALL)


def opening(stand: Stand) -> list[Row]:
    """A cold dossier of 2,000 resources with an image, and a warm search of 20 rows in it."""
    stand.tell("making a dossier of 2,000 resources")

    async def work(house: House) -> list[Row]:
        client = await _large(house)
        stand.tell("opening it cold")
        cold = [await _cold(house, client) for _ in range(15 if stand.quick else 31)]
        stand.tell("searching in it")
        vault = house.vault(_NEIGHBOUR, client)
        runs = 100 if stand.quick else 500
        series, all_ = [[await _search(vault, pairs) for _ in range(runs)] for pairs in _ASKED]
        news, all_news = [
            [await _search(vault, pairs, anew=True) for _ in range(runs)] for pairs in _ASKED
        ]
        return [
            Row("opening a cold dossier of 2,000 with an image", 1e3 * median(cold), "ms", most=25),
            Row("warm search of one kind of result, our own time", _ms(series), "ms", most=1),
            Row("that search when nothing is remembered of it", _ms(news), "ms", most=1),
            Row("warm search of 800 results, our own time", _ms(all_), "ms"),
            Row("that search of 800 when nothing is remembered of it", _ms(all_news), "ms"),
        ]

    return stand.inside(work, "large")


async def _large(house: House) -> str:
    """A dossier with an image, and a neighbour who may read everything ordinary in it."""
    client = new_client()
    office = Office(house, client)
    await office.create({"person": "veel", "name": "Vera Veel", "birth": "1990-06-15"})
    await office.set_rules([_rule(_grant("g-buur", "p-buur"))], "bench")
    trees = [text.parse(as_json(tree)) for tree in many(RESOURCES, "r4")]
    ops = [Op("PUT", tree["resourceType"], tree["id"], tree) for tree in trees]
    for start in range(0, len(ops), _PART):
        part = [replace(op, index=n) for n, op in enumerate(ops[start : start + _PART])]
        await office.bring_in("r4", part, whole=True)
    dossier = await house.parts.dossiers.open(client)
    await dossier.keep_image()
    return client


async def _cold(house: House, client: str) -> float:
    """Seconds to open the dossier with nothing of it in memory, its keys neither."""
    keys = Keys(house.store, load_key(house.settings))
    fresh = Dossiers(house.store, keys, open_bytes=64_000_000, image_every=64)
    started = perf_counter()
    opened = await fresh.open(client)
    passed = perf_counter() - started
    if opened.image.count() < RESOURCES:
        raise ValueError("the dossier of the bench is not whole")
    return passed


def _ms(seconds: Sequence[float]) -> float:
    return 1e3 * median(seconds)


async def _search(vault: Vault, pairs: Sequence[tuple[str, str]], *, anew: bool = False) -> float:
    """Processor time of our own thread for a search of 20 rows, from its text to its Bundle.

    `anew`: nothing is remembered of an answer to it. The audit line is written as ever; what the
    disk takes for it is not our own time.
    """
    if anew:
        vault.dossier.asked.clear()
    started = thread_time()
    query = parse("r4", "Observation", pairs, lenient=False)
    asked = answers.query_text(query.used)
    page = await vault.search(query, asked)
    answers.searchset(page, query, "", asked)
    passed = thread_time() - started
    if len(page.found) != _ROWS:
        raise ValueError("the search of the bench does not give 20 rows")
    return passed


def deciding(stand: Stand) -> list[Row]:
    """One decision among 200 grants, 20 of them to the one who asks, of which the last fits."""
    stand.tell("deciding")
    grants = [_grant(f"g-{n}", f"p-{n}") for n in range(_GRANTS - 20)]
    grants += [_grant(f"g-buur-{n}", "p-buur", ("afspraken",)) for n in range(19)]
    grants.append(_grant("g-buur", "p-buur"))
    client = Person("veel", birth="1990-06-15")
    world = World.of([client], (), [stored_grant(grant) for grant in grants])
    resource = Resource(frozenset({"uitslagen"}), "Observation", author="lab", org="lab")
    request = Request("p-buur", "veel", "lezen", "SUPNWK", _AT, resource)
    if not decide(world, request).permit:
        raise ValueError("the decision of the bench is a refusal")
    times = [_seconds(lambda: decide(world, request)) for _ in range(2_000)]
    return [Row("consent.decide with 200 grants", 1e6 * median(times), "µs", most=50)]


def writing_down(stand: Stand) -> list[Row]:
    """What a durable audit line costs, alone and among 64 at the same time."""
    stand.tell("writing audit lines")

    async def work(house: House) -> list[Row]:
        entry = Entry(micros(_AT), "request", status=200, person="p-buur", app="bench")

        async def lines(count: int) -> float:
            return await _passed(
                lambda: asyncio.gather(*(house.trail.write("system", entry) for _ in range(count)))
            )

        times = 20 if stand.quick else 100
        alone = [await lines(1) for _ in range(times)]
        together = [await lines(64) / 64 for _ in range(times)]
        return [
            Row("durable audit line, alone", 1e6 * median(alone), "µs"),
            Row("durable audit line, each of 64 together", 1e6 * median(together), "µs"),
        ]

    return stand.inside(work, "lines")


def _seconds(act: Callable[[], object]) -> float:
    started = perf_counter()
    act()
    return perf_counter() - started


async def _passed(act: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    await act()
    return perf_counter() - started


def _grant(id_: str, who: str, categories: Sequence[str] = tuple(sorted(ORDINARY))) -> Any:
    return {
        "id": id_, "client": "veel", "by": "veel", "effect": "permit", "to_who": who,
        "actions": ["lezen"], "categories": list(categories), "made": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip


def _rule(grant: dict[str, Any]) -> Rule:
    return Rule("grant", grant["id"], {**grant, "order": 0})
