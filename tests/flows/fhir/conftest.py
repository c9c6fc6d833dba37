"""A fresh dossier per test on the server of this session, and somebody to call for each role."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from pgo.dossier.log import Rule
from pgo.house import House
from pgo.office import Office, new_client
from pgo.shared import patient_id

LINKED = ("delinde", "isselzkh")
_numbers = itertools.count(1)


@dataclass
class Fresh:
    """A dossier that is empty at first: of a girl of 9, her mother p-marjan, two linked providers.

    `patient` is the id her Patient has, or will have, in both releases.
    """

    served: Any
    name: str
    id: str
    patient: str
    _open: ExitStack

    def as_(self, person: str = "p-marjan", release: str = "r4", **more: Any) -> httpx2.Client:
        """Somebody at this dossier."""
        return self._client(self.served.token(person, self.name, **more), release)

    def system(self, org: str = "delinde", release: str = "r4") -> httpx2.Client:
        """The system of a provider at this dossier."""
        return self._client(self.served.system(f"sys-{org}"), release)

    def _client(self, token: str, release: str) -> httpx2.Client:
        base = f"{self.served.url}/dossiers/{self.id}/fhir/{release}/"
        headers = {"Authorization": f"Bearer {token}"}
        return self._open.enter_context(httpx2.Client(base_url=base, headers=headers, timeout=30))

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

        return int(self.served.inside(work))

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


@pytest.fixture
def new_dossier(served: Any) -> Iterator[Callable[[], Fresh]]:
    """Makes dossiers of this test alone."""
    names: list[str] = []
    with ExitStack() as opened:

        def make() -> Fresh:
            names.append(f"fresh-{next(_numbers)}")
            return _made(served, names[-1], opened)

        yield make
    for name in names:
        del served.dossiers[name]


@pytest.fixture
def fresh(new_dossier: Callable[[], Fresh]) -> Fresh:
    """A dossier of this test alone."""
    return new_dossier()


def _made(served: Any, name: str, opened: ExitStack) -> Fresh:
    id_ = new_client()

    async def work(house: House) -> str:
        office = Office(house, id_, "demo")
        await office.create({"person": name, "name": "Sanne", "birth": "2017-04-01"})
        await office.set_rules(_rules(name), "demo")
        return patient_id(await house.parts.dossiers.open(id_), "r4")

    patient = served.inside(work)
    served.dossiers[name] = id_
    return Fresh(served, name, id_, patient, opened)


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
