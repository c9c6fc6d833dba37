"""At once: what is taken away is gone for every call that starts later, on any worker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

import httpx2
import pytest

from pgo.registry import Account

READERS = 16
PHASE = 200
KEY = "meteen"
PERMITS = [
    {"to_who": "sam", "categories": ["behandeling"]},
    {"to_who": "nina", "categories": ["behandeling"]},
    {"to_who": "team:nacht", "categories": ["behandeling"]},
]


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


async def while_reading(url: str, token: str, take_away) -> tuple[list[Read], float]:
    """What many readers saw around `take_away`, and when its answer was there."""
    seen: asyncio.Queue[Read] = asyncio.Queue()
    readers = [asyncio.create_task(reads(url, token, seen)) for _ in range(READERS)]
    async with asyncio.timeout(60):
        found = [await seen.get() for _ in range(PHASE)]
        await take_away()
        answered = time.monotonic()
        found += [seen.get_nowait() for _ in range(seen.qsize())]
        found += [await seen.get() for _ in range(PHASE)]
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return found, answered


def check(seen: list[Read], answered: float, refused: int) -> None:
    after = [one for one in seen if one.started > answered]
    assert len(after) >= PHASE - 2 * READERS
    assert sum(one.status == 200 for one in seen) >= PHASE
    assert {one.status for one in seen} == {200, refused}
    assert [one for one in after if one.status != refused] == []


@pytest.fixture(scope="module")
def four(tmp_path_factory, launch):
    """A server with four workers, Anna's dossier in it, and the address of one visit."""
    running = launch(tmp_path_factory.mktemp("four"), workers=4)
    made = running.anna(KEY, PERMITS)
    for name in ("kim", "sam", "nina", "esther"):
        running.token(made.person(name), KEY)
    with running.client(made.person("anna"), KEY) as http:
        tree = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
        answer = http.post("Encounter", json=tree)
        assert answer.status_code == 201
    return running, made, f"{running.fhir(KEY)}/Encounter/{answer.json()['id']}"


async def test_a_revoked_grant_permits_nothing_that_starts_later(four):
    served, anna, url = four
    assert len(served.workers()) == 4
    head = {"Authorization": f"Bearer {served.token(anna.person('anna'), KEY)}"}
    regie = f"{served.url}/dossiers/{anna.dossier}/toestemmingen"
    for _ in range(3):
        given = {"effect": "permit", "to_who": anna.person("kim"), "categories": ["behandeling"]}

        async with httpx2.AsyncClient(headers=head, timeout=30) as http:
            grant = (await http.post(regie, json=given)).json()["id"]

            async def revoke(http=http, grant=grant):
                answer = await http.post(f"{regie}/{grant}/intrekken")
                assert answer.status_code == 200

            token = served.token(anna.person("kim"), KEY)
            check(*await while_reading(url, token, revoke), refused=404)


async def test_a_deny_stops_everything_that_starts_later(four):
    served, anna, url = four
    head = {"Authorization": f"Bearer {served.token(anna.person('anna'), KEY)}"}
    regie = f"{served.url}/dossiers/{anna.dossier}/toestemmingen"
    given = {"effect": "deny", "to_who": anna.person("sam"), "actions": ["lezen"]}

    async def deny():
        async with httpx2.AsyncClient(headers=head, timeout=30) as http:
            assert (await http.post(regie, json=given)).status_code == 201

    token = served.token(anna.person("sam"), KEY)
    check(*await while_reading(url, token, deny), refused=404)


async def test_an_ended_token_opens_nothing_that_starts_later(four):
    served, anna, url = four
    token = served.token(anna.person("nina"), KEY)

    async def end():
        work = _ends_tokens(anna.person("nina"))
        await asyncio.to_thread(served.inside, work)

    check(*await while_reading(url, token, end), refused=401)


def _ends_tokens(person: str):
    async def work(house):
        await house.registry.end_tokens_of_person(person)

    return work


async def test_who_left_the_team_sees_nothing_that_starts_later(four):
    served, anna, url = four
    token = served.token(anna.person("esther"), KEY)

    async def leave():
        async def work(house):
            person = anna.person("esther")
            await house.registry.change(Account, person, lambda one: replace(one, teams=()))

        await asyncio.to_thread(served.inside, work)

    check(*await while_reading(url, token, leave), refused=404)
