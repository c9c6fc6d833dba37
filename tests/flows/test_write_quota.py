"""A dossier takes so many changes in a while and no more; reading goes on (safety 4, D11)."""

from __future__ import annotations

import httpx2
import pytest

from pgo.app import build
from pgo.house import House
from pgo.keyfile import make_key
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.settings import load

NOTE = {
    "resourceType": "Communication",
    "status": "completed",
    "payload": [{"contentString": "Vandaag ging het goed."}],
}


@pytest.fixture
async def slow_writes(tmp_path):
    make_key(tmp_path / "key", development=True)
    server = build(
        load(store=f"sqlite:///{tmp_path}/pgo.db", key_file=tmp_path / "key", rate_writes=0.5)
    )
    yield await server.start(), server
    await server.stop()


async def _annas(house: House) -> tuple[str, dict[str, str]]:
    await house.registry.keep_account(Account("anna", "Anna Berg", "1980-05-01"))
    client = new_client()
    await Office(house, client).create({"person": "anna", "birth": "1980-05-01"})
    issued = await house.tokens.issue_operator(
        house.registry, dossier=client, person="anna", scope=("patient/*.cruds",)
    )
    return client, {"Authorization": f"Bearer {issued.access}"}


async def test_a_dossier_takes_no_flood_of_changes_and_is_still_read(slow_writes):
    house, server = slow_writes
    client, headers = await _annas(house)
    transport = httpx2.ASGITransport(app=server)
    base = f"/dossiers/{client}/fhir/r4/Communication"
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        made = [await http.post(base, json=NOTE, headers=headers) for _ in range(7)]
        read = await http.get(base, headers=headers)
    assert [answer.status_code for answer in made] == [201] * 5 + [429] * 2
    assert int(made[-1].headers["retry-after"]) >= 1
    assert made[-1].json()["issue"][0]["code"] == "throttled"
    assert read.json()["total"] == 5
