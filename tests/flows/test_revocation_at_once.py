"""At once: what is taken away is gone for every call that starts later, on any worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pgo.registry import Account

if TYPE_CHECKING:
    from pgo.house import House

KEY = "meteen"
PERMITS = [
    {"to_who": "sam", "categories": ["behandeling"]},
    {"to_who": "nina", "categories": ["behandeling"]},
    {"to_who": "team:nacht", "categories": ["behandeling"]},
]


@dataclass(frozen=True)
class Crowd:
    """A server with many workers, Anna's dossier in it, and how many read how often there."""

    served: Any
    anna: Any
    url: str
    readers: int
    phase: int

    def token(self, name: str) -> str:
        """An access token of sam, nina …"""
        return self.served.token(self.anna.person(name), KEY)

    async def as_anna(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """What Anna does with her dossier."""
        headers = {"Authorization": f"Bearer {self.token('anna')}"}
        address = f"{self.served.url}/dossiers/{self.anna.dossier}/{path}"
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            return await http.request(method, address, **more)

    async def give(self, name: str, **more: Any) -> str:
        """A permit by Anna, or what else `more` says; its id."""
        given = {"effect": "permit", "to_who": self.anna.person(name), **more}
        answer = await self.as_anna("POST", "toestemmingen", json=given)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def end(self, grant: str) -> None:
        """Anna takes a grant back."""
        answer = await self.as_anna("POST", f"toestemmingen/{grant}/intrekken")
        assert answer.status_code == 200, answer.text

    async def inside(self, work: Callable[[House], Awaitable[Any]]) -> Any:
        """Something an operator does, in a process of its own beside the workers."""
        return await asyncio.to_thread(self.served.inside, work)


@dataclass(frozen=True)
class Read:
    """One read: when it was sent and what it was answered."""

    started: float
    status: int


async def reads(url: str, token: str, seen: asyncio.Queue[Read]) -> None:
    """Read again and again until cancelled; a connection for each reader."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        while True:
            started = time.monotonic()
            answer = await http.get(url)
            seen.put_nowait(Read(started, answer.status_code))


async def while_reading(crowd: Crowd, name: str, take_away, url: str = "") -> Seen:
    """What many readers saw around `take_away`, and when its answer was there."""
    url, token = url or crowd.url, crowd.token(name)
    seen: asyncio.Queue[Read] = asyncio.Queue()
    readers = [asyncio.create_task(reads(url, token, seen)) for _ in range(crowd.readers)]
    async with asyncio.timeout(180):
        found = [await seen.get() for _ in range(crowd.phase)]
        await take_away()
        answered = time.monotonic()
        found += [seen.get_nowait() for _ in range(seen.qsize())]
        found += [await seen.get() for _ in range(crowd.phase)]
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return Seen(crowd, found, answered)


@dataclass(frozen=True)
class Seen:
    """All reads of one crowd around the moment that something was `answered`."""

    crowd: Crowd
    reads: list[Read]
    answered: float


def check(all_: Seen, refused: int) -> None:
    """Nothing is permitted that started after the answer; before it, everything was."""
    seen, crowd = all_.reads, all_.crowd
    after = [one for one in seen if one.started > all_.answered]
    assert len(after) >= crowd.phase - 2 * crowd.readers
    assert sum(one.status == 200 for one in seen) >= crowd.phase
    assert {one.status for one in seen} == {200, refused}
    assert [one for one in after if one.status != refused] == []


@pytest.fixture(scope="session")
def crowds():
    """Servers that run already, by what they were asked for."""
    return {}


@pytest.fixture(
    params=[
        pytest.param(("sqlite", 4, 12, 100), id="4-sqlite"),
        pytest.param(("sqlite", 8, 48, 600), id="8-sqlite", marks=pytest.mark.long),
        pytest.param(("mongodb", 8, 48, 600), id="8-mongodb", marks=pytest.mark.long),
    ],
)
def crowd(request, crowds):
    """(store, workers, readers, reads before and after), and a visit that all of them read."""
    if request.param not in crowds:
        crowds[request.param] = _gathered(request)
    return crowds[request.param]


def _gathered(request) -> Crowd:
    store, workers, readers, phase = request.param
    launch, folder = (request.getfixturevalue(name) for name in ("launch", "tmp_path_factory"))
    more = {}
    if store == "mongodb":
        address = f"{request.getfixturevalue('wire')}/pgo-at-once"
        more = {"PGO_STORE": address, "PGO_MONGO_STANDALONE": "true"}
    running = launch(folder.mktemp("crowd"), workers=workers, **more)
    made = running.anna(KEY, PERMITS)
    for name in ("kim", "sam", "nina", "esther", "lea"):
        running.token(made.person(name), KEY)
    with running.client(made.person("anna"), KEY) as http:
        tree = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
        answers = [http.post("Encounter", json=tree) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {201}
    url = f"{running.fhir(KEY)}/Encounter/{answers[0].json()['id']}"
    return Crowd(running, made, url, readers, phase)


async def test_a_revoked_grant_permits_nothing_that_starts_later(crowd):
    assert len(crowd.served.workers()) in {4, 8}
    grant = await crowd.give("kim", categories=["behandeling"])
    check(await while_reading(crowd, "kim", lambda: crowd.end(grant)), refused=404)


async def test_a_deny_stops_everything_that_starts_later(crowd):
    async def deny():
        await crowd.give("sam", effect="deny", actions=["lezen"])

    check(await while_reading(crowd, "sam", deny), refused=404)


async def test_a_dormant_grant_permits_nothing_that_starts_later(crowd):
    grant = await crowd.give("kim", categories=["behandeling"])

    async def sleep():
        answer = await crowd.as_anna("POST", f"toestemmingen/{grant}/waakvlam")
        assert answer.status_code == 200, answer.text

    check(await while_reading(crowd, "kim", sleep), refused=404)
    answer = await crowd.as_anna("POST", f"toestemmingen/{grant}/wekken")
    assert answer.status_code == 200, answer.text
    check(await while_reading(crowd, "kim", lambda: crowd.end(grant)), refused=404)


async def test_a_later_page_is_not_given_after_a_revocation(crowd):
    grant = await crowd.give("lea", categories=["behandeling"])
    with crowd.served.client(crowd.anna.person("lea"), KEY) as lea:
        first = lea.get("Encounter?_count=1").json()
    link = next(one["url"] for one in first["link"] if one["relation"] == "next")
    seen = await while_reading(crowd, "lea", lambda: crowd.end(grant), url=link)
    check(seen, refused=404)


async def test_an_ended_token_opens_nothing_that_starts_later(crowd):
    async def end():
        await crowd.inside(_ends_tokens(crowd.anna.person("nina")))

    check(await while_reading(crowd, "nina", end), refused=401)


def _ends_tokens(person: str):
    async def work(house):
        await house.registry.end_tokens_of_person(person)

    return work


async def test_who_left_the_team_sees_nothing_that_starts_later(crowd):
    async def leave():
        async def work(house):
            person = crowd.anna.person("esther")
            await house.registry.change(Account, person, lambda one: replace(one, teams=()))

        await crowd.inside(work)

    check(await while_reading(crowd, "esther", leave), refused=404)
