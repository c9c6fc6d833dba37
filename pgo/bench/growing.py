"""What the FHIR interface costs in a large dossier, and whether that grows with the dossier.

All is our own time: processor time of this thread from the parameters to the Bundle, without what
the disk takes for the audit line. The same is asked of a dossier of 1,000 and of 5,000 resources.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from statistics import median
from time import thread_time
from typing import Any, Final

import orjson

from pgo.bench.rows import Row
from pgo.bench.stand import Stand
from pgo.caller import Caller
from pgo.consent.model import ORDINARY
from pgo.demo import as_json
from pgo.demo.bulk import many
from pgo.dossier.log import Rule
from pgo.fhir import answers, text
from pgo.fhir.address import Address
from pgo.fhir.ask import Ask
from pgo.fhir.bundle import Op
from pgo.fhir.everything import everything
from pgo.fhir.lastn import lastn
from pgo.fhir.query import parse
from pgo.house import House
from pgo.office import Office, new_client
from pgo.vault import Vault

SMALL: Final = 1_000
LARGE: Final = 5_000
_PART: Final = 100
_ENTRIES: Final = 200
_NEIGHBOUR: Final = Caller("p-buur", name="Buur", scope=("user/*.rs",), app="bench")
_Pairs = Sequence[tuple[str, str]]
_SEARCH: Final = (
    ("code", "http://loinc.org|4086-5"),
    ("status", "final"),
    ("date", "ge2020"),
    ("_include", "Observation:performer"),
    ("_sort", "-date"),
    ("_count", "20"),
)
_LIST: Final = (("category", "laboratory"), ("_count", "20"))
_Act = Callable[[Vault], Awaitable[bytes]]


def growing(stand: Stand) -> list[Row]:
    """A search, $everything, a later page and $lastn, in a small dossier and in a large one."""
    stand.tell("making dossiers of 1,000 and 5,000 resources")

    async def work(house: House) -> list[Row]:
        small, large = [house.vault(_NEIGHBOUR, await _made(house, n)) for n in (SMALL, LARGE)]
        stand.tell("asking the same of both")
        runs = 30 if stand.quick else 300

        async def both(act: _Act, least: int) -> list[float]:
            return [await _ms(act, vault, least, runs) for vault in (small, large)]

        found = await both(_search, 20)
        whole = await both(_everything, _ENTRIES)
        page = [await _ms(_later(await _cursor(one)), one, 20, runs) for one in (small, large)]
        newest, again = await both(_first_lastn(), 1), await both(_lastn, 1)
        return [
            Row("search with 3 parameters and _include in 5,000, our own time", found[1], "ms",
                most=3),
            Row("$everything of 200 entries in 5,000, our own time", whole[1], "ms", most=10),
            Row("$everything of 200 entries, 5,000 / 1,000", whole[1] / whole[0], "", most=2),
            Row("a later page of 20 in 5,000, our own time", page[1], "ms"),
            Row("a later page of 20, 5,000 / 1,000", page[1] / page[0], ""),
            Row("$lastn of all results in 5,000, our own time", newest[1], "ms"),
            Row("$lastn of all results, 5,000 / 1,000", newest[1] / newest[0], ""),
            Row("$lastn in 5,000, asked again", again[1], "ms"),
            Row("$lastn asked again, 5,000 / 1,000", again[1] / again[0], "", most=2),
        ]  # fmt: skip

    return stand.inside(work, "growing")


async def _made(house: House, size: int) -> str:
    """A dossier, and a neighbour who may read everything ordinary in it."""
    client = new_client()
    office = Office(house, client)
    await office.create({"person": "veel", "name": "Vera Veel", "birth": "1990-06-15"})
    grant = {
        "id": "g-buur", "client": "veel", "by": "veel", "effect": "permit", "to_who": "p-buur",
        "actions": ["lezen"], "categories": sorted(ORDINARY), "order": 0,
        "made": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip
    await office.set_rules([Rule("grant", "g-buur", grant)], "bench")
    trees = [text.parse(as_json(tree)) for tree in many(size, "r4")]
    ops = [Op("PUT", tree["resourceType"], tree["id"], tree) for tree in trees]
    for start in range(0, len(ops), _PART):
        part = [replace(op, index=n) for n, op in enumerate(ops[start : start + _PART])]
        await office.bring_in("r4", part, whole=True)
    return client


async def _ms(act: _Act, vault: Vault, least: int, runs: int) -> float:
    """Median of our own time, the first run left out."""
    times = []
    for _ in range(runs + 1):
        started = thread_time()
        body = await act(vault)
        times.append(thread_time() - started)
    if len(orjson.loads(body).get("entry", ())) < least:
        raise ValueError("the bench does not get what it asks for")
    return 1e3 * median(times[1:])


def _ask(type_: str, name: str, pairs: _Pairs) -> Ask:
    address = Address("", "r4", "/fhir/r4", name, type_)
    return Ask(address, {}, tuple(pairs), b"", "/fhir/r4", "bench", "GET")


async def _search(vault: Vault) -> bytes:
    return await _answered(vault, _SEARCH)


async def _answered(vault: Vault, pairs: _Pairs) -> bytes:
    query = parse("r4", "Observation", pairs)
    asked = answers.query_text(query.used)
    return answers.searchset(await vault.search(query, asked), query, "", asked)


async def _everything(vault: Vault) -> bytes:
    asked = _ask("Patient", "$everything", (("_count", str(_ENTRIES)),))
    return (await everything(asked, vault)).body


async def _lastn(vault: Vault) -> bytes:
    return (await lastn(_ask("Observation", "$lastn", _LIST[:1]), vault)).body


def _first_lastn() -> _Act:
    """Each time another question, so that no answer to it is remembered."""
    number = count()

    async def first(vault: Vault) -> bytes:
        since = ("_lastUpdated", f"ge2000-01-01T00:00:00.{next(number):06d}Z")
        return (await lastn(_ask("Observation", "$lastn", (*_LIST[:1], since)), vault)).body

    return first


async def _cursor(vault: Vault) -> str:
    bundle: dict[str, Any] = orjson.loads(await _answered(vault, _LIST))
    links = {one["relation"]: one["url"] for one in bundle["link"]}
    return str(links["next"]).partition("_cursor=")[2]


def _later(cursor: str) -> _Act:
    async def later(vault: Vault) -> bytes:
        page, query = await vault.page("r4", "Observation", cursor, "")
        return answers.searchset(page, query, "", f"_cursor={cursor}")

    return later
