"""The pages in a real browser: a whole way by keyboard, and what axe finds on every page."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass

import httpx2
import pytest

from pgo.registry import Account, App, Organisation

pytestmark = pytest.mark.long
MIA = "p-mia"
SCOPES = ("openid", "fhirUser", "launch/patient", "patient/*.cruds", "offline_access")


@dataclass
class People:
    """A server with people, two dossiers and an app on this machine."""

    url: str
    dossier: str
    patient: str
    port: int

    def told(self, **more) -> str:
        given = {
            "url": self.url,
            "chromium": _chromium(),
            "clientId": "meekijk-app",
            "port": self.port,
            "person": MIA,
            "dossier": self.dossier,
            "patient": self.patient,
        }
        return json.dumps(given | more)


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no Chromium: make install-chromium")
    return found


@pytest.fixture
def people(start, free_port):
    _chromium()
    running, port = start(PGO_DEVELOPMENT_LOGIN="true"), free_port()

    async def furnish(house):
        first, second = [await running.make(house, name) for name in ("mia1", "bram1")]
        await house.registry.keep_organisation(Organisation("coophulp", "Coöp Hulp"))
        await house.registry.keep_organisation(Organisation("zuid", "Zorg Zuid"))
        await house.registry.keep_account(Account(MIA, "Mia Berg", "1980-05-01", demo=True))
        await house.registry.keep_account(
            Account("p-kim", "Kim de Wit", kind="copiloot", orgs=("coophulp", "zuid"), demo=True)
        )
        for record in (first, second):
            await house.store.link(MIA, record.id)
        callback = f"http://127.0.0.1:{port}/cb"
        app = App("meekijk-app", "Meekijk-app", (callback,), scopes=SCOPES)
        await house.registry.keep_app(app)
        return first, second

    first, second = running.inside(furnish)
    for record in (first, second):
        _let_in(running, record)
    return People(running.url, first.id, first.patient, port)


def _let_in(running, record):
    """Anna lets Mia read, and has a Patient."""
    with httpx2.Client(headers={"Authorization": record.bearer}) as anna:
        person = {"resourceType": "Patient", "id": record.patient, "name": [{"family": "Berg"}]}
        answer = anna.put(f"{running.url}/fhir/r4/Patient/{record.patient}", json=person)
        assert answer.status_code == 201, answer.text
        grant = {"effect": "permit", "to_who": MIA, "purposes": ["SUPNWK"]}
        grant |= {"categories": ["problemen", "contactpersonen", "adres"]}
        answer = anna.post(f"{running.url}/dossiers/{record.id}/toestemmingen", json=grant)
        assert answer.status_code in (200, 201), answer.text


def test_a_person_goes_all_the_way_by_keyboard(node, people):
    told = json.loads(node("pages/walk.mjs", people.told()))
    assert told["headings"] == [
        "Hoe wilt u inloggen?",
        "Welk dossier?",
        "Mag Meekijk-app meekijken?",
        "Mijn dossier",
        "Mijn apps",
        "U bent uitgelogd",
    ]
    assert not any(told["asked"])
    assert told["summary"] == "alert"
    assert told["title"].startswith("Fout: ")
    assert told["iss"] == people.url
    assert told["scope"].split() == [
        *("patient/Patient.rs", "patient/Observation.rs"),
        *("launch/patient", "offline_access"),
    ]
    assert told["before"] == [200, 200, 403]
    assert len(told["listed"]) == 3
    assert "is gestopt" in told["done"]
    assert told["after"] == [401, 400]
    assert told["out"] == "/oauth/sign-in"
