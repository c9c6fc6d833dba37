"""A copy made while providers push: what was acknowledged before it began is in it, and sound."""

from __future__ import annotations

import threading
from dataclasses import replace

import httpx2
import orjson
import pytest

MEDIA = {"Content-Type": "application/fhir+json"}


class Pusher(threading.Thread):
    """Writes one result after another until told to stop, and remembers what was acknowledged."""

    def __init__(self, served, patient, name):
        super().__init__(daemon=True)
        self.url, self.patient, self.name_ = f"{served.fhir()}/Observation", patient, name
        self.headers = MEDIA | {"Authorization": f"Bearer {served.system('sys-delinde')}"}
        self.acknowledged, self.enough = [], threading.Event()

    def run(self):
        with httpx2.Client(headers=self.headers, timeout=30) as http:
            for number in range(2_000):
                if self.enough.is_set():
                    return
                answer = http.post(self.url, content=self.result(number))
                if answer.status_code == 201:
                    self.acknowledged.append(answer.json()["id"])

    def result(self, number):
        return orjson.dumps(
            {
                "resourceType": "Observation",
                "identifier": [
                    {"system": "https://delinde.example/id", "value": f"{self.name_}{number}"}
                ],
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
                "subject": {"reference": f"Patient/{self.patient}"},
                "valueQuantity": {"value": number},
            }
        )


@pytest.fixture(params=["sqlite", "mongodb"])
def stores(request, tmp_path):
    """Settings of two stores of one kind: of the server, and of what is restored."""
    if request.param == "sqlite":
        return {}, {"PGO_STORE": f"sqlite:///{tmp_path}/there/pgo.db"}
    wire = request.getfixturevalue("wire")
    here, there = (f"{wire}/pgo-load-{name}" for name in ("here", "there"))
    more = {"PGO_MONGO_STANDALONE": "true"}
    return more | {"PGO_STORE": here}, more | {"PGO_STORE": there}


@pytest.fixture
def busy(launch, tmp_path, stores):
    """A server with two workers, and three systems that push to one dossier."""
    (tmp_path / "here").mkdir()
    served = launch(tmp_path / "here", workers=2, **stores[0])
    with served.client("p-marjan") as marjan:
        patient = marjan.get("Patient").json()["entry"][0]["resource"]["id"]
    pushers = [Pusher(served, patient, name) for name in "abc"]
    for one in pushers:
        one.start()
    yield served, pushers
    for one in pushers:
        one.enough.set()
        one.join(30)


@pytest.mark.long
def test_a_copy_made_under_load_is_whole(busy, free, stores, tmp_path):
    served, pushers = busy
    while sum(len(one.acknowledged) for one in pushers) < 60:
        assert all(one.is_alive() for one in pushers)
        pushers[0].enough.wait(0.02)
    before = [id_ for one in pushers for id_ in tuple(one.acknowledged)]
    out = tmp_path / "copy" / "data", tmp_path / "copy-keys"
    served.pgo("backup", str(out[0]), "--keys", str(out[1]))
    after = [id_ for one in pushers for id_ in tuple(one.acknowledged)]
    assert len(after) > len(before)  # it was under load
    port = free()
    there = {
        **stores[1],
        "PGO_PORT": str(port),
        "PGO_ISSUER": f"http://127.0.0.1:{port}",
    }
    told = orjson.loads(
        served.pgo("restore", str(out[0]), "--keys", str(out[1]), "--json", **there).stdout
    )
    assert told["dossiers"] == len(served.dossiers)
    verified = orjson.loads(served.pgo("audit", "verify", "--json", **there).stdout)
    assert [row["findings"] for row in verified] == [[]] * (len(served.dossiers) + 1)
    elsewhere = replace(
        served,
        url=there["PGO_ISSUER"],
        environment=served.environment | there,
        process=None,
        _tokens={},
    )
    elsewhere.serve()
    try:
        with elsewhere.client("p-marjan") as marjan:
            answers = {id_: marjan.get(f"Observation/{id_}") for id_ in before}
            total = marjan.get("Observation?code=29463-7&_count=1").json()["total"]
    finally:
        elsewhere.process.terminate()
        elsewhere.process.wait(15)
    assert {answer.status_code for answer in answers.values()} == {200}
    with served.client("p-marjan") as marjan:
        for id_, answer in answers.items():
            assert answer.content == marjan.get(f"Observation/{id_}").content
    assert total >= len(before)
