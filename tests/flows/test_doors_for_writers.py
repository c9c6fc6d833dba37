"""The doors that writers try: what they may not see or set stays as it is, and says nothing.

Nina may read and write Anna's appointments; Anna's other resources are hidden from her.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import orjson
import pytest

from pgo.consent.fhir_systems import SEALS as SEALS_SYSTEM

KEY = "schrijven"
PERMITS = [
    {
        "to_who": "nina",
        "actions": ["lezen", "toevoegen", "wijzigen"],
        "categories": ["afspraken"],
    },
    {"to_who": "sam", "categories": ["afspraken"]},
]
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SEALS = ("alleen-auteur-en-client", "niet-voor-naasten", "niet-voor-vertegenwoordiger")
Ask = Callable[..., httpx2.Response]


@pytest.fixture(scope="session")
def anna(served):
    return served.anna(KEY, PERMITS)


@pytest.fixture(params=["r4", "stu3"])
def ask(request, served, anna) -> Iterator[Ask]:
    """Ask as anna, sam or nina in one of the releases."""
    base = served.fhir(KEY, request.param)
    tokens = {name: served.token(anna.person(name), KEY) for name in ("anna", "sam", "nina")}
    with httpx2.Client(timeout=30) as http:

        def asked(name: str, method: str, address: str, **more: Any) -> httpx2.Response:
            head = {"Authorization": f"Bearer {tokens[name]}"} | more.pop("headers", {})
            answer = http.request(method, f"{base}/{address}", headers=head, **more)
            assert answer.status_code < 500, answer.text
            return answer

        yield asked


def visit(patient: str, **more: Any) -> dict[str, Any]:
    """An appointment with the client."""
    who = {"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-01T10:00:00Z",
        "end": "2026-03-01T10:30:00Z",
        "participant": [who],
        **more,
    }


def made(ask: Ask, name: str, tree: dict[str, Any]) -> dict[str, Any]:
    answer = ask(name, "POST", tree["resourceType"], json=tree)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def measured(patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def test_version_time_source_and_author_are_the_servers_own(ask, anna):
    forged = {
        "versionId": "99",
        "lastUpdated": "2001-01-01T00:00:00Z",
        "source": "urn:pgo:bron:delinde",
    }
    if "stu3" in str(ask("nina", "GET", "Appointment").url):
        del forged["source"]
    told = made(ask, "nina", visit(anna.patient, meta=forged))
    assert told["meta"]["versionId"] == "1"
    assert told["meta"]["lastUpdated"] > "2026"
    assert told["meta"].get("source", "") != "urn:pgo:bron:delinde"
    address = f"Appointment/{told['id']}"
    changed = ask("nina", "PUT", address, json=told | {"meta": forged | {"versionId": "7"}})
    assert changed.status_code == 200
    assert changed.json()["meta"]["versionId"] == "2"
    # she, not De Linde, wrote it: it stays hers to change
    assert ask("nina", "DELETE", address).status_code == 204


@pytest.mark.parametrize("label", SEALS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_nobody_seals_or_unseals_by_writing_a_label(label, method, ask, anna):
    meta = {"security": [{"system": SEALS_SYSTEM, "code": label}, {"code": label}]}
    if method == "POST":
        told = made(ask, "nina", visit(anna.patient, meta=meta))
    else:
        told = made(ask, "nina", visit(anna.patient))
    address = f"Appointment/{told['id']}"
    if method == "PUT":
        ask("nina", "PUT", address, json=told | {"meta": meta})
    if method == "PATCH":
        patch = [{"op": "add", "path": "/meta/security", "value": meta["security"]}]
        media = {"content-type": "application/json-patch+json"}
        ask("nina", "PATCH", address, content=orjson.dumps(patch), headers=media)
    seen = ask("nina", "GET", address)
    assert seen.status_code == 200, "a seal would hide it from her or not, but she made none"
    # whatever became of the label, it is no seal: no representative and nobody else is shut out
    assert ask("anna", "GET", address).status_code == 200
    assert SEALS_SYSTEM not in seen.text
    assert ask("sam", "GET", address).status_code == 200


def test_a_sensitive_label_can_be_put_on_but_not_be_taken_off_unseen(ask, anna):
    sensitive = {"security": [{"system": CONFIDENTIALITY, "code": "R"}, {"code": "PSY"}]}
    told = made(ask, "anna", visit(anna.patient, meta=sensitive))
    address, media = f"Appointment/{told['id']}", {"content-type": "application/json-patch+json"}
    patch = orjson.dumps([{"op": "remove", "path": "/meta/security"}])
    nowhere = f"Appointment/{uuid.uuid4()}"
    for method, more in (
        ("PATCH", {"content": patch, "headers": media}),
        ("PUT", {"json": visit(anna.patient)}),
        ("DELETE", {}),
        ("GET", {}),
    ):
        said = []
        for where in (address, nowhere):
            id_ = where.partition("/")[2]
            sent = dict(more)
            if method == "PUT":
                sent = {"json": visit(anna.patient, id=id_)}
            answer = ask("nina", method, where, **sent)
            said.append((answer.status_code, answer.text.replace(id_, "*")))
        assert said[0] == said[1], method
        assert said[0][0] == 404
    kept = ask("anna", "GET", address).json()["meta"]["security"]
    assert {one["code"] for one in kept} == {"R", "PSY"}


PATCH = {"content-type": "application/json-patch+json"}


async def test_a_patch_of_a_consent_opens_nothing(inside):
    """A grantee may end his own grant; he cannot widen it, wake it, or touch another's."""
    categories = ["afspraken"]
    ids = {}
    for name in ("nina", "sam"):
        given = {"effect": "permit", "to_who": inside.anna.person(name), "categories": categories}
        more = {"actions": ["lezen", "toevoegen", "wijzigen"]} if name == "nina" else {}
        answer = await inside.call("anna", "POST", "/toestemmingen", json=given | more)
        ids[name] = answer.json()["id"]
    kept = await inside.call("anna", "GET", "/toestemmingen")

    async def patched(id_: str, path: str, value: Any) -> httpx2.Response:
        patch = orjson.dumps([{"op": "replace", "path": path, "value": value}])
        address = f"/fhir/r4/Consent/{id_}"
        return await inside.call("nina", "PATCH", address, content=patch, headers=PATCH)

    wider = [{"coding": [{"system": "urn:pgo:categorie", "code": "uitslagen"}]}]
    for path, value in (
        ("/status", "active"),
        ("/status", "inactive"),
        ("/provision/code", wider),
        ("/provision/type", "permit"),
        ("/meta/security", [{"code": "N"}]),
    ):
        said = []
        for id_ in (ids["sam"], f"g-{uuid.uuid4().hex[:16]}"):
            answer = await patched(id_, path, value)
            said.append((answer.status_code, answer.text.replace(id_, "*")))
        assert said[0] == said[1]
        assert said[0][0] == 404
    for path, value in (("/provision/code", wider), ("/provision/period", {"end": "2099-01-01"})):
        assert (await patched(ids["nina"], path, value)).status_code in {403, 404, 422}
    assert (await inside.call("anna", "GET", "/toestemmingen")).json() == kept.json()
    assert (await patched(ids["nina"], "/status", "inactive")).status_code == 200
    assert (await patched(ids["nina"], "/status", "active")).status_code == 404
    assert (await inside.call("nina", "GET", "/fhir/r4/Appointment")).status_code == 404


def test_a_resource_does_not_move_to_another_dossier(ask, anna, served):
    with served.client("p-marjan") as marjan:
        real = marjan.get("Patient").json()["entry"][0]["resource"]["id"]
    told = made(ask, "anna", measured(anna.patient))
    said = []
    for patient in (real, str(uuid.uuid4())):
        moved = told | {"subject": {"reference": f"Patient/{patient}"}}
        put = ask("anna", "PUT", f"Observation/{told['id']}", json=moved)
        patch = orjson.dumps(
            [{"op": "replace", "path": "/subject/reference", "value": f"Patient/{patient}"}]
        )
        media = {"content-type": "application/json-patch+json"}
        patched = ask("anna", "PATCH", f"Observation/{told['id']}", content=patch, headers=media)
        entry = {
            "resource": moved,
            "request": {"method": "PUT", "url": f"Observation/{told['id']}"},
        }
        whole = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        bundle = httpx2.post(
            str(put.url).rpartition("/Observation")[0],
            json=whole,
            headers={"Authorization": put.request.headers["authorization"]},
        )
        said.append([(a.status_code, a.text.replace(patient, "*")) for a in (put, patched, bundle)])
    assert said[0] == said[1]
    assert {status for status, _ in said[0]} == {422}
    now = ask("anna", "GET", f"Observation/{told['id']}").json()
    assert now["subject"]["reference"] == f"Patient/{anna.patient}"
    assert now["meta"]["versionId"] == "1"


def test_what_is_contained_counts_for_the_whole(ask, anna):
    """A result inside an appointment makes it a result too: Nina may not store or see that."""
    inside = measured(anna.patient, id="binnen")
    told = visit(anna.patient, contained=[inside], supportingInformation=[{"reference": "#binnen"}])
    assert ask("nina", "POST", "Appointment", json=told).status_code == 403
    kept = made(ask, "anna", told)
    assert ask("nina", "GET", f"Appointment/{kept['id']}").status_code == 404
    assert ask("nina", "GET", f"Appointment?_id={kept['id']}").json()["total"] == 0
    labelled = inside | {"meta": {"security": [{"code": "PSY"}]}}
    secret = made(ask, "anna", visit(anna.patient, contained=[labelled]))
    assert ask("sam", "GET", f"Appointment/{secret['id']}").status_code == 404


def test_a_narrative_is_no_second_way_to_an_address(ask, anna):
    """The text of a Patient tells the same again: it goes when a part is masked."""
    said = '<div xmlns="http://www.w3.org/1999/xhtml">Kanariestraat 7</div>'
    tree = {
        "resourceType": "Patient",
        "id": anna.patient,
        "text": {"status": "generated", "div": said},
        "address": [{"line": ["Kanariestraat 7"]}],
    }
    assert ask("anna", "PUT", f"Patient/{anna.patient}", json=tree).status_code in {200, 201}
    for address in (f"Patient/{anna.patient}", "Patient", f"Patient/{anna.patient}/_history"):
        assert "Kanariestraat" in ask("anna", "GET", address).text
        assert "Kanariestraat" not in ask("sam", "GET", address).text
    assert ask("nina", "PUT", f"Patient/{anna.patient}", json=tree).status_code in {403, 404}


def test_bytes_are_seen_as_their_document_is(ask, anna):
    """A Binary says nothing to who may not see the DocumentReference that points at it."""
    pixel = {"resourceType": "Binary", "contentType": "text/plain"}
    pixel["content" if "stu3" in str(ask("nina", "GET", "Appointment").url) else "data"] = (
        "Z2VoZWlt"
    )
    stored = ask("anna", "POST", "Binary", json=pixel)
    if stored.status_code in {404, 405, 422}:
        pytest.skip("bytes are not kept by themselves here")
    id_ = stored.headers["location"].partition("/Binary/")[2].partition("/")[0]
    for who in ("nina", "sam"):
        for kind in ({}, {"accept": "text/plain"}, {"accept": "application/fhir+json"}):
            said = []
            for name in (id_, str(uuid.uuid4())):
                for address in (f"Binary/{name}", f"Binary/{name}/_history", f"Binary?_id={name}"):
                    answer = ask(who, "GET", address, headers=kind)
                    said.append((answer.status_code, answer.text.replace(name, "*")))
            assert said[:3] == said[3:]
            assert "Z2VoZWlt" not in str(said)
            assert "geheim" not in str(said)
