"""fhirpy and fhirclient as they are, against a real server with a real token."""

from __future__ import annotations

from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.condition import Condition
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRUnauthorizedException
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import (
    AuthorizationError,
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)
from requests import HTTPError

from .conftest import Record

pytestmark = pytest.mark.long
LOINC = "http://loinc.org"
CODES = ("29463-7", "8302-2")
IDENTIFIER = {"system": "https://elders.example/id", "value": "w-1"}


def weight(number: int, code: str = CODES[0], **more: Any) -> dict[str, Any]:
    return {
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code, "display": "meting"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": f"2026-03-{number:02}",
        "valueQuantity": {
            "value": 20 + number,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
        **more,
    }


PATIENT = {"id": "p", "name": [{"family": "Berg", "given": ["Anna"]}], "birthDate": "1980-05-01"}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, full: str = "") -> Any:
    made: dict[str, Any] = {"request": {"method": method, "url": url}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full} if full else {})


def together() -> dict[str, Any]:
    """A transaction: a Condition, and an Observation that refers to it."""
    urn = "urn:uuid:6b3c6b0e-6f0e-4f5c-9d0e-2f8c5a8e7b11"
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/p"}}
    observation = {"resourceType": "Observation", **weight(9), "focus": [{"reference": urn}]}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("POST", "Observation", observation),
            entry("POST", "Condition", condition, urn),
        ],
    }


# --- fhirpy --------------------------------------------------------------------------------------


@pytest.fixture
def fhirpy(record: Record) -> SyncFHIRClient:
    client = SyncFHIRClient(record.fhir, authorization=record.bearer)
    client.resource("Patient", **PATIENT).save()
    return client


def test_fhirpy_saves_reads_changes_and_deletes(fhirpy):
    made = fhirpy.resource("Observation", **weight(1))
    made.save()
    assert (made.id, made["meta"]["versionId"]) == (made.id, "1")
    made["status"] = "amended"
    made.save()
    assert made["meta"]["versionId"] == "2"
    made.patch(note=[{"text": "na het ontbijt"}])
    assert (made["meta"]["versionId"], made["status"]) == ("3", "amended")
    made["status"] = "corrected"
    made.save(fields=["status"])
    read = fhirpy.get("Observation", made.id)
    assert (read["status"], read["note"]) == ("corrected", [{"text": "na het ontbijt"}])
    assert made.refresh().serialize() == read
    assert made.to_reference().to_resource().serialize() == read
    assert fhirpy.reference("Patient", "p").to_resource()["birthDate"] == "1980-05-01"
    made.delete()
    with pytest.raises(ResourceNotFound):
        fhirpy.get("Observation", made.id)


def test_fhirpy_searches_over_pages(fhirpy):
    for number in range(1, 8):
        fhirpy.resource("Observation", **weight(number, CODES[number % 2])).save()
    every = fhirpy.resources("Observation").search(code=f"{LOINC}|{CODES[0]}")
    assert len(every.limit(2).sort("-date").fetch_all()) == 3
    dates = [one["effectiveDateTime"] for one in every.limit(2).sort("-date")]
    assert dates == ["2026-03-06", "2026-03-04", "2026-03-02"]
    assert len(every.limit(2).fetch()) == 2
    assert every.count() == 3
    assert (
        every.search(date__ge="2026-03-04").sort("date").first()["effectiveDateTime"][-2:] == "04"
    )
    with_patient = every.include("Observation", "subject").fetch_raw()
    kinds = {(one.resource.resourceType, one.search.mode) for one in with_patient.entry}
    assert kinds == {("Observation", "match"), ("Patient", "include")}
    by_name = fhirpy.resources("Observation").search(subject__Patient__name="berg")
    assert by_name.count() == 7
    assert fhirpy.resources("Patient").has("Observation", "patient", code=CODES[1]).count() == 1
    lean = every.elements("status").first()
    assert "valueQuantity" not in lean


def test_fhirpy_creates_changes_and_deletes_on_a_condition(fhirpy):
    wanted = fhirpy.resources("Observation").search(identifier="https://elders.example/id|w-1")
    first, made = wanted.get_or_create(
        fhirpy.resource("Observation", **weight(1), identifier=[IDENTIFIER])
    )
    again, made_again = wanted.get_or_create(
        fhirpy.resource("Observation", **weight(2), identifier=[IDENTIFIER])
    )
    assert (bool(made), bool(made_again), again.id) == (True, False, first.id)
    changed, made = wanted.update(
        fhirpy.resource("Observation", **weight(3), identifier=[IDENTIFIER])
    )
    assert (made, changed.id, changed["effectiveDateTime"]) == (False, first.id, "2026-03-03")
    assert wanted.patch(status="amended")["status"] == "amended"
    wanted.delete()
    assert wanted.count() == 0
    for number in (4, 5):
        fhirpy.resource("Observation", **weight(number)).save()
    with pytest.raises(MultipleResourcesFound):
        fhirpy.resources("Observation").search(status="final").patch(status="amended")


def test_fhirpy_sends_transactions_and_asks_operations(fhirpy):
    answer = fhirpy.execute("", method="post", data=together())
    places = [one["response"]["location"].split("/") for one in answer["entry"]]
    ids = {
        place[place.index("_history") - 2]: place[place.index("_history") - 1] for place in places
    }
    observation = fhirpy.get("Observation", ids["Observation"])
    assert observation["focus"] == [{"reference": f"Condition/{ids['Condition']}"}]
    fhirpy.resource("Observation", **weight(3)).save()
    newest = fhirpy.execute("Observation/$lastn", method="get", params={"code": CODES[0]})
    assert [one["resource"]["effectiveDateTime"] for one in newest["entry"]] == ["2026-03-09"]
    everything = fhirpy.execute("Patient/p/$everything", method="get")
    kinds = sorted(one["resource"]["resourceType"] for one in everything["entry"])
    assert kinds == ["Condition", "Observation", "Observation", "Patient"]
    history = fhirpy.execute(f"Observation/{ids['Observation']}/_history", method="get")
    assert history["type"] == "history"
    past = fhirpy.execute(f"Observation/{ids['Observation']}/_history/1", method="get")
    assert past["meta"]["versionId"] == "1"
    said = fhirpy.execute("metadata", method="get")
    assert (said["resourceType"], said["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    assert fhirpy.resource("Observation", **weight(1)).is_valid()
    assert not fhirpy.resource("Observation", **(weight(1) | {"status": "nonsense"})).is_valid()


def test_fhirpy_understands_what_is_refused(fhirpy, record):
    with pytest.raises(OperationOutcome) as caught:
        fhirpy.resource("Observation", status="nonsense").save()
    assert caught.value.resource["issue"][0]["severity"] == "error"
    with pytest.raises(OperationOutcome):
        fhirpy.resources("Observation").search(nonsense="1").fetch()
    with pytest.raises(ResourceNotFound):
        fhirpy.get("Patient", "nobody")
    stranger = SyncFHIRClient(record.fhir, authorization="Bearer nonsense")
    with pytest.raises(AuthorizationError):
        stranger.get("Patient", "p")


async def test_fhirpy_does_the_same_asynchronously(record):
    client = AsyncFHIRClient(record.fhir, authorization=record.bearer)
    await client.resource("Patient", **PATIENT).save()
    for number in range(1, 6):
        await client.resource("Observation", **weight(number)).save()
    every = client.resources("Observation").sort("date").limit(2)
    assert [one["effectiveDateTime"][-1] async for one in every] == list("12345")
    first = await every.first()
    await first.patch(status="amended")
    assert (await client.get("Observation", first.id))["status"] == "amended"
    assert await client.resources("Observation").search(status="amended").count() == 1
    again, made = await (
        client.resources("Observation")
        .search(status="amended")
        .get_or_create(client.resource("Observation", **weight(7)))
    )
    assert (made, again.id) == (False, first.id)
    answer = await client.execute("", method="post", data=together())
    assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201", "201"]
    everything = await client.reference("Patient", "p").execute("$everything", method="get")
    assert everything["type"] == "searchset"
    await first.delete()
    with pytest.raises(ResourceNotFound):
        await client.get("Observation", first.id)


# --- fhirclient ----------------------------------------------------------------------------------


@pytest.fixture
def smart(record: Record) -> FHIRClient:
    state = {
        "app_id": "gezin",
        "server": {
            "base_uri": f"{record.fhir}/",
            "auth_type": "oauth2",
            "auth": {"access_token": record.token},
        },
        "patient_id": "p",
    }
    client = FHIRClient(state=state)
    Patient(PATIENT).update(client.server)
    yield client
    client.server.session.close()


def test_fhirclient_reads_creates_updates_and_deletes(smart):
    assert smart.ready
    assert smart.human_name(smart.patient.name[0]) == "Anna Berg"
    made = Observation(weight(1)).create(smart.server)
    read = Observation.read(made["id"], smart.server)
    assert read.valueQuantity.value == 21
    assert read.effectiveDateTime.as_json() == "2026-03-01"
    read.status = "amended"
    assert read.update()["meta"]["versionId"] == "2"
    assert (
        Observation.read_from(f"Observation/{read.id}/_history/1", smart.server).status == "final"
    )
    history = Bundle.read_from(f"Observation/{read.id}/_history", smart.server)
    assert [one.resource.status for one in history.entry] == ["amended", "final"]
    read.delete()
    with pytest.raises(HTTPError) as caught:
        Observation.read(made["id"], smart.server)
    assert caught.value.response.status_code == 410


def test_fhirclient_searches_over_pages(smart):
    for number in range(1, 8):
        Observation(weight(number, CODES[number % 2])).create(smart.server)
    asked = Observation.where({"code": f"{LOINC}|{CODES[1]}", "_count": "2", "_sort": "date"})
    dates = [one.effectiveDateTime.as_json() for one in asked.perform_resources_iter(smart.server)]
    assert dates == ["2026-03-01", "2026-03-03", "2026-03-05", "2026-03-07"]
    for day in ("ge2026-03-06", {"$gte": "2026-03-06"}):
        later = Observation.where({"date": day})
        assert len(list(later.perform_resources_iter(smart.server))) == 2
    both = Observation.where({"status": {"$or": ["final", "amended"]}}).include(
        "subject", Observation
    )
    pages = both.perform_iter(smart.server)
    kinds = [one.resource.resource_type for page in pages for one in page.entry]
    assert sorted(set(kinds)) == ["Observation", "Patient"]
    assert [page.total for page in Condition.where({}).perform_iter(smart.server)] == [0]


def test_fhirclient_sends_transactions_and_reads_what_the_server_says(smart, record):
    bundle = Bundle(together())
    answer = smart.server.post_json("", bundle.as_json()).json()
    assert [one.response.status[:3] for one in Bundle(answer).entry] == ["201", "201"]
    newest = Bundle.read_from(f"Observation/$lastn?code={CODES[0]}", smart.server)
    assert [one.resource.effectiveDateTime.as_json() for one in newest.entry] == ["2026-03-09"]
    everything = Bundle.read_from("Patient/p/$everything", smart.server)
    assert len(everything.entry) == 3
    told = CapabilityStatement.read_from("metadata", smart.server)
    assert told.fhirVersion == "4.0.1"
    assert "Observation" in {one.type for one in told.rest[0].resource}


def test_fhirclient_finds_out_where_to_sign_in(record):
    client = FHIRClient(
        {"app_id": "gezin", "api_base": record.fhir, "redirect_uri": "https://a.b/c"}
    )
    assert not client.prepare()
    assert client.authorize_url.startswith(f"{record.server}/oauth/")
    client.server.session.close()


def test_fhirclient_understands_what_is_refused(smart, record):
    with pytest.raises(FHIRNotFoundException):
        Patient.read("nobody", smart.server)
    open_ = FHIRClient({"app_id": "gezin", "api_base": record.fhir})
    with pytest.raises(FHIRUnauthorizedException):
        Patient.read("p", open_.server)
    open_.server.session.close()
