"""The main job on a server with two workers whose dossiers are in MongoDB (over the wire)."""

from __future__ import annotations

import base64
import uuid

import httpx2
import orjson
import pytest

MEDIA = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module")
def on_mongodb(wire, launch, tmp_path_factory):
    """The demo families, served from MongoDB."""
    more = {"PGO_STORE": f"{wire}/pgo-main-job", "PGO_MONGO_STANDALONE": "true"}
    return launch(tmp_path_factory.mktemp("mongodb"), workers=2, **more)


def results(patient: str, *names: str) -> dict:
    """A transaction with one result for each name."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{uuid.uuid4()}",
            "resource": {
                "resourceType": "Observation",
                "identifier": [{"system": "https://delinde.example/id", "value": name}],
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
                "subject": {"reference": f"Patient/{patient}"},
                "effectiveDateTime": "2026-03-01",
                "valueQuantity": {"value": 21.50, "unit": "kg"},
            },
            "request": {"method": "POST", "url": "Observation"},
        }
        for name in names
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def patient_of(served, family="fenna") -> str:
    with served.client("p-marjan", family) as marjan:
        return marjan.get("Patient").json()["entry"][0]["resource"]["id"]


def push(served, bundle: dict, **headers: str) -> httpx2.Response:
    token = {"Authorization": f"Bearer {served.system('sys-delinde')}"}
    return httpx2.post(
        served.fhir(), content=orjson.dumps(bundle), headers=MEDIA | token | headers, timeout=30
    )


def test_the_mother_reads_and_a_stranger_gets_nothing(on_mongodb):
    with on_mongodb.client("p-marjan") as marjan:
        found = marjan.get("MedicationRequest").json()
        assert found["total"] > 0
        first = found["entry"][0]["resource"]
        assert marjan.get(f"MedicationRequest/{first['id']}").json() == first
    with on_mongodb.client("p-anja") as anja:
        assert anja.get("MedicationRequest").status_code == 404
        assert anja.get(f"MedicationRequest/{first['id']}").status_code == 404


def test_a_provider_pushes_once_however_often_he_sends_it(on_mongodb):
    bundle = results(patient_of(on_mongodb), "een", "twee")
    made = push(on_mongodb, bundle).json()["entry"]
    assert [one["response"]["status"][:3] for one in made] == ["201", "201"]
    again = push(on_mongodb, bundle).json()["entry"]
    assert [one["response"]["status"][:3] for one in again] == ["200", "200"]
    places = [[one["response"]["location"] for one in each] for each in (made, again)]
    assert places[0] == places[1]
    with on_mongodb.client("p-marjan") as marjan:
        wanted = {"identifier": "https://delinde.example/id|een", "_summary": "count"}
        assert marjan.get("Observation", params=wanted).json()["total"] == 1


def test_one_wrong_entry_and_nothing_is_kept(on_mongodb):
    bundle = results(patient_of(on_mongodb), "drie", "vier")
    del bundle["entry"][1]["resource"]["status"]
    answer = push(on_mongodb, bundle)
    assert answer.status_code == 422
    assert "Bundle.entry[1].resource" in answer.text
    with on_mongodb.client("p-marjan") as marjan:
        wanted = {"identifier": "https://delinde.example/id|drie", "_summary": "count"}
        assert marjan.get("Observation", params=wanted).json()["total"] == 0


def test_what_is_revoked_is_refused_by_every_worker_at_once(on_mongodb):
    rules = f"{on_mongodb.url}/dossiers/{on_mongodb.dossiers['fenna']}/toestemmingen"
    with on_mongodb.client("p-marjan") as marjan, on_mongodb.client("p-samira") as samira:
        assert samira.get("CarePlan").status_code == 200
        grants = marjan.get(rules).json()["grant"]
        (mine,) = [one for one in grants if one["to_who"] == "p-samira"]
        assert marjan.post(f"{rules}/{mine['id']}/intrekken").status_code == 200
        token = samira.headers["Authorization"]
        for _ in range(20):  # a connection each: both workers get their share
            answer = httpx2.get(f"{samira.base_url}CarePlan", headers={"Authorization": token})
            assert answer.status_code == 404
        looked = marjan.get(f"{on_mongodb.url}/dossiers/{on_mongodb.dossiers['fenna']}/$wie-keek")
        sentences = [one["zin"] for one in looked.json()["zinnen"]]
    hers = [each for each in sentences if "Samira Haddad" in each]
    assert any("zocht" in each or "bekeek" in each for each in hers), sentences


def test_every_chain_of_the_trail_holds(on_mongodb):
    assert on_mongodb.wrong_in_trails() == []


def test_a_standalone_server_is_refused_unless_it_is_for_tests(on_mongodb):
    for name, value in (("PGO_MONGO_STANDALONE", "false"), ("PGO_STRICT", "true")):
        said = on_mongodb.pgo("dossier", "list", check=False, **{name: value})
        assert said.returncode in (1, 2)
        assert b"PGO_MONGO_STANDALONE" in said.stderr
        assert b"Traceback" not in said.stderr


def test_a_large_document_and_an_export_of_it_are_the_same_on_every_worker(on_mongodb):
    raw = b"%PDF-1.7\n" + bytes(range(256)) * 8_000
    with on_mongodb.client("p-marjan") as marjan:
        made = marjan.post("Binary", content=raw, headers={"Content-Type": "application/pdf"})
        assert made.status_code == 201, made.text
        where = made.headers["location"].partition("/_history")[0]
        asked = {"_type": "Binary"}
        begun = marjan.get("$export", params=asked, headers={"Prefer": "respond-async"})
        assert begun.status_code == 202, begun.text
        home = begun.headers["content-location"]
    for _ in range(6):  # each time another connection, so that both workers get some
        with on_mongodb.client("p-marjan") as marjan:
            assert marjan.get(where, headers={"Accept": "application/pdf"}).content == raw
            manifest = marjan.get(home)
            assert manifest.status_code == 200, manifest.text
            (file,) = manifest.json()["output"]
            text = marjan.get(file["url"]).content
            kept = [one["data"] for one in map(orjson.loads, text.splitlines()) if "data" in one]
            assert base64.b64encode(raw).decode() in kept
