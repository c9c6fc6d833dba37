"""An opened house on a store of its own, and small dossiers in it."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass

import pytest

from pgo.caller import Caller
from pgo.dossier.open import Dossier, Dossiers
from pgo.fhir.bundle import Op
from pgo.house import House, open_house
from pgo.office import Office, new_client
from pgo.settings import load

ANNA = Caller(person="anna", name="Anna Berg", scope=("user/*.cruds",))


@dataclass
class Home:
    """A house, and what opens it again; `anna` is the client of every dossier here."""

    house: House
    store: str
    key: str

    async def dossier(self) -> str:
        """A new dossier."""
        client = new_client()
        subject = {"person": "anna", "name": "Anna Berg", "birth": "1980-05-01"}
        await Office(self.house, client).create(subject)
        return client

    def vault(self, client: str, caller: Caller = ANNA):
        """Anna at a dossier."""
        return self.house.vault(caller, client)

    async def add(self, client: str, *trees: dict, name: str = "") -> list[str]:
        """Resources in one commit; their ids."""
        ops = [
            Op("POST", tree["resourceType"], tree=dict(tree), index=n)
            for n, tree in enumerate(trees)
        ]
        done = await self.vault(client).change("transaction", "r4", ops, name=name)
        return [outcome.row.id for outcome in done]

    def elsewhere(self, **more: int) -> Dossiers:
        """Open dossiers as another process would have them."""
        sizes = {"open_bytes": 64_000_000, "image_every": 64} | more
        return Dossiers(self.house.store, self.house.keys, **sizes)


def observation(number: int, **more) -> dict:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"code-{number % 5}"}]},
        "effectiveDateTime": f"2026-01-{number % 28 + 1:02d}",
        "valueQuantity": {"value": number, "unit": "mg"},
    } | more


def tables(dossier: Dossier) -> list[str]:
    """Everything an image holds, as SQL text in a fixed order."""
    return sorted(dossier.image.db.iterdump())


@pytest.fixture
def make():
    return observation


@pytest.fixture
def held():
    return tables


@pytest.fixture
async def home(tmp_path):
    store, key = f"sqlite:///{tmp_path}/pgo.db", b64encode(os.urandom(32)).decode()
    async with open_house(load(store=store, key=key)) as house:
        yield Home(house, store, key)
