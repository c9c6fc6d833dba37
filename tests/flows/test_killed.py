"""Workers and whole servers killed in the middle of pushes, on each kind of store.

What was acknowledged is there, a transaction is there whole or not at all, the trail holds, and
texts without a commit are swept.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import uuid
from pathlib import Path

import httpx2
import orjson
import pytest

from pgo.upkeep import sweep

MEDIA = {"Content-Type": "application/fhir+json"}
SIZE = 4  # resources in one push
SYSTEM = "https://delinde.example/id"


class Pusher(threading.Thread):
    """Pushes one transaction after another, on a connection each; remembers what was said."""

    def __init__(self, served, name: str) -> None:
        super().__init__(name=name)
        self._address, self._token = served.fhir(), served.system("sys-delinde")
        with served.client("p-marjan") as marjan:
            self._patient = marjan.get("Patient").json()["entry"][0]["resource"]["id"]
        self.sent: list[str] = []
        self.kept: dict[str, list[str]] = {}
        self.done = threading.Event()

    def run(self) -> None:
        headers = MEDIA | {"Authorization": f"Bearer {self._token}"}
        while not self.done.is_set():
            name = f"{self.name}-{len(self.sent)}"
            self.sent.append(name)
            with contextlib.suppress(httpx2.TransportError):
                answer = httpx2.post(
                    self._address, content=self._bundle(name), headers=headers, timeout=20
                )
                if answer.status_code == 200:
                    entries = answer.json()["entry"]
                    self.kept[name] = [one["response"]["location"] for one in entries]

    def _bundle(self, name: str) -> bytes:
        entry = [
            {
                "fullUrl": f"urn:uuid:{uuid.uuid4()}",
                "resource": {
                    "resourceType": "Observation",
                    "identifier": [{"system": SYSTEM, "value": f"{name}.{index}"}],
                    "status": "final",
                    "code": {"text": "gewicht"},
                    "subject": {"reference": f"Patient/{self._patient}"},
                },
                "request": {"method": "POST", "url": "Observation"},
            }
            for index in range(SIZE)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
        return orjson.dumps(bundle)


def until(true, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def kill_all(served) -> None:
    """The supervisor and its workers, all at once, by their own ids."""
    victims = [served.process.pid, *served.workers()]
    assert len(victims) == 3
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    served.process.wait(10)


@pytest.mark.parametrize("rounds", [1, pytest.param(8, marks=pytest.mark.long)])
def test_what_was_acknowledged_outlives_killed_workers_and_servers(both, rounds):
    served = both
    pushers = [Pusher(served, f"{rounds}-{n}") for n in range(3)]
    for pusher in pushers:
        pusher.start()
    kept = lambda: sum(len(pusher.kept) for pusher in pushers)  # noqa: E731 - asked again and again
    try:
        until(lambda: kept() > 10)
        for _ in range(rounds):
            first = served.workers()
            os.kill(first[0], signal.SIGKILL)
            before = kept()
            until(lambda before=before: kept() > before + 5)
            until(lambda first=first: len(set(served.workers()) - {first[0]}) == 2)
        for _ in range(rounds):
            kill_all(served)
            served.serve()
            before = kept()
            until(lambda before=before: kept() > before + 5)
    finally:
        for pusher in pushers:
            pusher.done.set()
        for pusher in pushers:
            pusher.join()
    check(served, pushers)


def check(served, pushers) -> None:
    with served.client("p-marjan") as marjan:
        for pusher in pushers:
            for name in pusher.sent:
                found = [there(marjan, f"{name}.{index}") for index in range(SIZE)]
                assert sum(found) in {0, SIZE}, f"half of {name}"
                assert sum(found) or name not in pusher.kept, f"{name} is lost"
            for location in pusher.kept[next(reversed(pusher.kept))]:
                assert marjan.get(location).status_code == 200
    assert served.wrong_in_trails() == []


def there(marjan, value: str) -> int:
    asked = {"identifier": f"{SYSTEM}|{value}", "_summary": "count"}
    answer = marjan.get("Observation", params=asked)
    assert answer.status_code == 200
    return int(answer.json()["total"])


def test_a_text_without_commit_is_swept_and_nothing_else(both):
    client = both.dossiers["fenna"]
    orphan, young = uuid.uuid4().bytes, uuid.uuid4().bytes

    async def swept(house):
        await house.store.keep_bodies(client, {orphan: b"left by a killed writer"})
        dossier = await house.parts.dossiers.open(client)
        found = dossier.image.select("SELECT rid FROM res WHERE live", ())
        rows = dossier.image.rows([rid for (rid,) in found])
        assert await sweep(house, older_than=3600) == 0
        counts = await sweep(house, older_than=-60)
        await house.store.keep_bodies(client, {young: b"of a push under way"})
        again = await sweep(house, older_than=60)
        return (
            counts,
            again,
            len(await dossier.texts(rows)),
            len(rows),
            list(await house.store.bodies(client, [orphan, young])) == [young],
        )

    counts, again, read, live, kept = both.inside(swept)
    assert counts >= 1, "the planted one, and what killed writers of other tests left"
    assert again == 0
    assert read == live > 0
    assert kept


def test_workers_do_not_outlive_a_killed_supervisor(both):
    workers = both.workers()
    assert len(workers) == 2
    both.process.kill()
    both.process.wait(10)
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    both.serve()
