"""A fresh dossier per test on the server of this session, and somebody to call for each role."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from pgo.dossier.log import Rule
from pgo.house import House, open_house
from pgo.office import Office, new_client
from pgo.shared import patient_id

LINKED = ("delinde", "isselzkh")
_numbers = itertools.count(1)
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual one takes 20 ms to make per client


EVERYTHING = "user/*.cruds"
Work = Callable[[House], Coroutine[Any, Any, Any]]


class Beside:
    """A second house on the store of the server, open all session, in a thread of its own."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self._opened: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.house: House = self._run(self._open())

    async def _open(self) -> House:
        self._opened = open_house(self._settings)
        return await self._opened.__aenter__()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def do(self, work: Work) -> Any:
        """The outcome of `await work(house)`."""
        return self._run(work(self.house))

    def close(self) -> None:
        """End the thread and close the house."""
        self._run(self._opened.__aexit__(None, None, None))
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Fresh:
    """A dossier that is empty at first: of a girl of 9, her mother p-marjan, two linked providers.

    `patient` is the id her Patient has, or will have, in both releases.
    """

    served: Any
    beside: Beside
    name: str
    id: str
    patient: str
    _open: ExitStack

    def as_(
        self, person: str = "p-marjan", release: str = "r4", scope: str = EVERYTHING
    ) -> httpx2.Client:
        """Somebody at this dossier."""

        async def token(house: House) -> str:
            wide = tuple(scope.split())
            issued = await house.tokens.issue_operator(
                house.registry, dossier=self.id, person=person, scope=wide
            )
            return issued.access

        return self._client(self.beside.do(token), release)

    def system(self, org: str = "delinde", release: str = "r4") -> httpx2.Client:
        """The system of a provider at this dossier."""
        return self._client(self.served.system(f"sys-{org}"), release)

    def _client(self, token: str, release: str) -> httpx2.Client:
        base = f"{self.served.url}/dossiers/{self.id}/fhir/{release}/"
        headers = {"Authorization": f"Bearer {token}"}
        http = httpx2.Client(base_url=base, headers=headers, timeout=30, verify=_NO_TLS)
        return self._open.enter_context(http)

    def subject(self) -> dict[str, str]:
        """A reference to whom this is about."""
        return {"reference": f"Patient/{self.patient}"}

    def weight(self, value: str = "21", **more: Any) -> dict[str, Any]:
        """A body weight, R4 or STU3."""
        code = {"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [code]},
            "subject": self.subject(),
            "effectiveDateTime": "2026-03-01",
            "valueQuantity": {
                "value": float(value) if "." in value else int(value),
                "unit": "kg",
                "system": "http://unitsofmeasure.org",
                "code": "kg",
            },
            **more,
        }

    @staticmethod
    def issue(answer: httpx2.Response) -> dict[str, Any]:
        """The first issue of an OperationOutcome."""
        body = answer.json()
        assert body["resourceType"] == "OperationOutcome", body
        return dict(body["issue"][0])

    @classmethod
    def place(cls, answer: httpx2.Response) -> str:
        """Where the first issue is."""
        return str(cls.issue(answer).get("expression", [""])[0])

    def commits(self) -> int:
        """How many commits the dossier has; a read adds none."""

        async def work(house: House) -> int:
            return await house.store.head(self.id)

        return int(self.inside(work))

    def inside(self, work: Work) -> Any:
        """The outcome of `await work(house)`, on the same store beside the server."""
        return self.beside.do(work)

    def grant(self, **said: Any) -> str:
        """A grant by the mother; answers its id."""
        made = self.as_().post(
            f"{self.served.url}/dossiers/{self.id}/toestemmingen", json={"effect": "permit", **said}
        )
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def revoke(self, grant: str) -> None:
        """End a grant, as the mother."""
        url = f"{self.served.url}/dossiers/{self.id}/toestemmingen/{grant}/intrekken"
        assert self.as_().post(url).status_code == 200


@pytest.fixture(scope="session")
def beside(served: Any) -> Iterator[Beside]:
    """A house beside the running server."""
    opened = Beside(served.settings())
    yield opened
    opened.close()


@pytest.fixture
def new_dossier(served: Any, beside: Beside) -> Iterator[Callable[[], Fresh]]:
    """Makes dossiers of this test alone."""
    names: list[str] = []
    with ExitStack() as opened:

        def make() -> Fresh:
            names.append(f"fresh-{next(_numbers)}")
            return _made(served, beside, names[-1], opened)

        yield make
    for name in names:
        del served.dossiers[name]


@pytest.fixture
def fresh(new_dossier: Callable[[], Fresh]) -> Fresh:
    """A dossier of this test alone."""
    return new_dossier()


def _made(served: Any, beside: Beside, name: str, opened: ExitStack) -> Fresh:
    id_ = new_client()

    async def work(house: House) -> str:
        office = Office(house, id_, "demo")
        await office.create({"person": name, "name": "Sanne", "birth": "2017-04-01"})
        await office.set_rules(_rules(name), "demo")
        return patient_id(await house.parts.dossiers.open(id_), "r4")

    patient = beside.do(work)
    served.dossiers[name] = id_
    return Fresh(served, beside, name, id_, patient, opened)


def _rules(subject: str) -> list[Rule]:
    parent = {"client": subject, "person": "p-marjan", "kind": "ouder", "gezag": True}
    links = [
        {
            "id": f"koppeling-{org}",
            "client": subject,
            "by": "p-marjan",
            "effect": "permit",
            "to_who": f"org:{org}",
            "actions": ["lezen", "toevoegen", "wijzigen"],
            "own": True,
            "made": "2026-01-01T12:00:00+00:00",
            "order": order,
        }
        for order, org in enumerate(LINKED)
    ]
    relation = Rule("relation", "r-0", {**parent, "from": "2017-04-01"})
    return [relation, *(Rule("grant", str(link["id"]), link) for link in links)]
