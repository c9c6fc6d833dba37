"""A server in this process, dossiers made of a few resources, and calls to an exchange service."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from pgo.app import build
from pgo.audit.entry import Entry
from pgo.audit.trail import Trail
from pgo.dossier.log import Rule
from pgo.fhir import bsn, text
from pgo.fhir.bundle import Op
from pgo.house import House
from pgo.keyfile import make_key
from pgo.log import configure
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.settings import load

SCT = "http://snomed.info/sct"
VERSION = {"stu3": "3.0", "r4": "4.0"}


def concept(code: str, system: str = SCT) -> dict[str, Any]:
    """A CodeableConcept with one coding."""
    return {"coding": [{"system": system, "code": code, "display": f"code {code}"}]}


def observation(id_: str, **more: Any) -> dict[str, Any]:
    """A minimal Observation of the client."""
    made = {"resourceType": "Observation", "id": id_, "status": "final", "code": concept("1")}
    return {**made, "subject": {"reference": "Patient/p"}, **more}


@dataclass
class Exchange:
    """A dossier and how to ask its services."""

    house: House
    http: httpx2.AsyncClient
    log: io.BytesIO
    dossier: str = ""
    person: str = "p-anna"
    tokens: dict[Any, str] = field(default_factory=dict)

    async def bring(self, release: str, *trees: dict[str, Any]) -> None:
        """Put resources in as an operator does, ids kept; a Patient when there is none."""
        patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Berg"}]}
        others = [one for one in trees if one["resourceType"] != "Patient"]
        patient = next((one for one in trees if one["resourceType"] == "Patient"), patient)
        read = [text.parse(orjson.dumps(one)) for one in (patient, *others)]
        for one in read:
            bsn.mask(one)
        ops = [
            Op("PUT", one["resourceType"], one["id"], one, index=n) for n, one in enumerate(read)
        ]
        outcomes = await Office(self.house, self.dossier).bring_in(release, ops, whole=True)
        assert all(outcome.error is None for outcome in outcomes)

    async def token(self, service: str = "", *, person: str = "", scope: str = "") -> str:
        """A token for a service, or with scopes."""
        key = (service, person, scope, self.dossier)
        if key not in self.tokens:
            issued = await self.house.tokens.issue_operator(
                self.house.registry,
                dossier=self.dossier,
                person=person or self.person,
                scope=tuple(scope.split()),
                service=service,
            )
            self.tokens[key] = issued.access
        return self.tokens[key]

    async def headers(self, service: str, release: str = "stu3", **more: str) -> dict[str, str]:
        """Header fields as an app of MedMij sends them."""
        return {
            "Authorization": f"Bearer {await self.token(service)}",
            "MedMij-Request-ID": str(uuid.uuid4()),
            "X-Correlation-ID": str(uuid.uuid4()),
            "Accept": f"application/fhir+json; fhirVersion={VERSION[release]}",
            **more,
        }

    async def ask(
        self, service: str, path: str, release: str = "stu3", *, method: str = "GET", **more: str
    ) -> httpx2.Response:
        """A call to a service; `more` replaces header fields, "" leaves one out."""
        headers = await self.headers(service, release) | {
            name.replace("_", "-"): value for name, value in more.items()
        }
        url = f"/medmij/{service}/fhir/{path}"
        kept = {name: value for name, value in headers.items() if value}
        return await self.http.request(method, url, headers=kept)

    async def ids(self, service: str, path: str, release: str = "stu3") -> list[str]:
        """Type/id of each entry of a searchset that must be answered, in order."""
        answer = await self.ask(service, path, release)
        assert answer.status_code == 200, answer.text
        return names(answer.json())

    async def lines(self) -> list[Entry]:
        """The audit lines of the dossier, oldest first."""
        trail: Trail = self.house.trail
        return sorted([e async for e in trail.read(self.dossier)], key=lambda one: one.at)


def names(bundle: dict[str, Any]) -> list[str]:
    """Type/id of each entry of a Bundle, in order."""
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    return [f"{one['resourceType']}/{one['id']}" for one in found]


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    """A fresh server with an empty dossier of Anna; Sam is a friend with appointments only."""
    make_key(tmp_path / "pgo.key", development=True)
    settings = load(
        store=f"sqlite:///{tmp_path}/pgo.db",
        key_file=tmp_path / "pgo.key",
        issuer="http://127.0.0.1:8000",
        rate_person=1e6,
        rate_burst=1_000_000,
        rate_app=1e6,
    )
    ticks = count()
    start = datetime(2026, 3, 31, 12, tzinfo=UTC)
    server = build(settings, clock=lambda: start + timedelta(milliseconds=next(ticks)))
    log = io.BytesIO()
    configure(settings, log)
    house = await server.start()
    transport = httpx2.ASGITransport(app=server)
    async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
        made = Exchange(house, http, log, new_client())
        for id_ in ("p-anna", "p-sam"):
            await house.registry.keep_account(Account(id_, id_[2:].title(), "1980-05-01"))
        office = Office(house, made.dossier)
        await office.create({"person": "p-anna", "birth": "1980-05-01", "patient": "p"})
        row = {"id": "g", "client": "p-anna", "by": "p-anna", "effect": "permit"}
        row |= {"to_who": "p-sam", "categories": ["afspraken", "metingen"], "order": 0}
        row["made"] = "2026-01-01T00:00:00Z"
        await office.set_rules([Rule("grant", "g", row)], "test")
        yield made
    await server.stop()
