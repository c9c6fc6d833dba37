"""$export over HTTP: started, asked for, fetched file by file, and decided at each of them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx2
import orjson
import pytest

from pgo.exporting import LARGEST
from pgo.fhir.large import PIECE

ASYNC = {"Prefer": "respond-async"}
PDF = {"Content-Type": "application/pdf"}
RELEASES = ("r4", "stu3")
DRIFTING = {"date", "x-request-id"}


def begun(client: httpx2.Client, path: str = "$export", **params: str) -> str:
    """The address at which to ask how far an export is."""
    answer = client.get(path, params=params, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    assert answer.content == b""
    return answer.headers["content-location"]


def finished(client: httpx2.Client, where: str) -> dict[str, Any]:
    """The list of files, asked for until it is there."""
    for _ in range(200):
        answer = client.get(where)
        if answer.status_code == 200:
            assert answer.headers["content-type"] == "application/json"
            return dict(answer.json())
        assert answer.status_code == 202
        assert answer.headers["x-progress"]
        assert int(answer.headers["retry-after"]) > 0
    raise AssertionError("the export did not end")


def lines(client: httpx2.Client, file: dict[str, str]) -> list[dict[str, Any]]:
    """The resources of one file."""
    answer = client.get(file["url"], headers={"Accept": "application/fhir+ndjson"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    found = [orjson.loads(line) for line in answer.content.splitlines()]
    assert {one["resourceType"] for one in found} <= {file["type"]}
    return found


def everything(client: httpx2.Client, manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All resources of all files, by address."""
    found = [one for file in manifest["output"] for one in lines(client, file)]
    made = {f"{one['resourceType']}/{one['id']}": one for one in found}
    assert len(made) == len(found), "nothing is told twice"
    return made


def weights(fresh: Any, client: httpx2.Client, count: int) -> list[str]:
    """The ids of so many new weights."""
    entries = [
        {"resource": fresh.weight(), "request": {"method": "POST", "url": "Observation"}}
        for _ in range(count)
    ]
    found: list[str] = []
    for start in range(0, count, 100):
        part = {"resourceType": "Bundle", "type": "transaction"}
        answer = client.post("", json=part | {"entry": entries[start : start + 100]})
        assert answer.status_code == 200, answer.text
        places = [entry["response"]["location"] for entry in answer.json()["entry"]]
        found += [place.partition("/_history")[0].rpartition("/")[2] for place in places]
    return found


def without_drift(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = {k: v for k, v in answer.headers.items() if k not in DRIFTING}
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize("release", RELEASES)
def test_everything_that_may_be_read_comes_out_as_it_is_read_one_by_one(fresh, release):
    marjan = fresh.as_(release=release)
    weights(fresh, marjan, 5)
    marjan.post("Practitioner", json={"resourceType": "Practitioner", "name": [{"family": "B"}]})
    manifest = finished(marjan, begun(marjan))
    assert manifest["requiresAccessToken"] is True
    assert manifest["request"] == f"{marjan.base_url}$export"
    assert manifest["error"] == manifest["deleted"] == []
    found = everything(marjan, manifest)
    assert sum(where.startswith("Observation/") for where in found) == 5
    for where, resource in found.items():
        read = marjan.get(where, headers={"Accept": "application/fhir+json"})
        assert read.json() == resource
        assert resource["meta"]["lastUpdated"] <= manifest["transactionTime"]


def test_a_document_comes_along_with_all_its_bytes(fresh):
    marjan = fresh.as_()
    sizes = (10, 3 * PIECE + 1)
    sent = {b"%PDF-" + hashlib.shake_256(b"%d" % size).digest(size) for size in sizes}
    for raw in sent:
        assert marjan.post("Binary", content=raw, headers=PDF).status_code == 201
    (file,) = finished(marjan, begun(marjan, _type="Binary"))["output"]
    assert {base64.b64decode(one["data"]) for one in lines(marjan, file)} == sent


def test_it_is_as_of_its_start_and_what_comes_later_is_not_in_it(fresh):
    marjan = fresh.as_()
    old, gone = weights(fresh, marjan, 2)
    where = begun(marjan, _type="Observation")
    weights(fresh, marjan, 3)
    marjan.put(f"Observation/{old}", json=fresh.weight("30", id=old))
    marjan.delete(f"Observation/{gone}")
    found = everything(marjan, finished(marjan, where))
    assert set(found) <= {f"Observation/{old}", f"Observation/{gone}"}
    assert found[f"Observation/{old}"]["meta"]["versionId"] == "1"
    assert found[f"Observation/{old}"]["valueQuantity"]["value"] == 21


def test_many_resources_are_more_files_and_none_is_missing(fresh):
    marjan = fresh.as_()
    ids = weights(fresh, marjan, LARGEST + 1)
    manifest = finished(marjan, begun(marjan, _type="Observation"))
    assert [file["type"] for file in manifest["output"]] == ["Observation", "Observation"]
    assert set(everything(marjan, manifest)) == {f"Observation/{id_}" for id_ in ids}


def test_since_a_moment_tells_what_changed_and_what_was_deleted(fresh):
    marjan = fresh.as_()
    old, gone, changed = weights(fresh, marjan, 3)
    then = finished(marjan, begun(marjan))["transactionTime"]
    marjan.put(f"Observation/{changed}", json=fresh.weight("30", id=changed))
    marjan.delete(f"Observation/{gone}")
    (new,) = weights(fresh, marjan, 1)
    manifest = finished(marjan, begun(marjan, _since=then, _type="Observation"))
    assert set(everything(marjan, manifest)) == {f"Observation/{changed}", f"Observation/{new}"}
    (file,) = manifest["deleted"]
    (bundle,) = lines(marjan, file)
    asked = [entry["request"] for entry in bundle["entry"]]
    assert asked == [{"method": "DELETE", "url": f"Observation/{gone}"}]
    assert old not in str(manifest)


def test_what_is_revoked_meanwhile_is_not_in_a_file(fresh):
    marjan, samira = fresh.as_(), fresh.as_("p-samira")
    weights(fresh, marjan, 3)
    fresh.grant(to_who="p-samira", categories=["afspraken"], actions=["lezen"])
    grant = fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    manifest = finished(samira, begun(samira))
    (file,) = [one for one in manifest["output"] if one["type"] == "Observation"]
    assert len(lines(samira, file)) == 3
    fresh.revoke(grant)
    assert lines(samira, file) == []


def test_nobody_else_asks_for_or_fetches_it(fresh):
    marjan, samira = fresh.as_(), fresh.as_("p-samira")
    weights(fresh, marjan, 2)
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    where = begun(marjan)
    manifest = finished(marjan, where)
    nothing = f"{where[:-4]}0000"
    for tail in ("", "/0", "/1", "/99999"):
        one, other = (samira.get(f"{w}{tail}") for w in (where, nothing))
        assert without_drift(one) == without_drift(other)
        assert one.status_code == 404
    one, other = samira.delete(where), samira.delete(nothing)
    assert without_drift(one) == without_drift(other)
    assert len(everything(marjan, manifest)) >= 2
    assert fresh.as_(release="stu3").get(where.replace("/r4/", "/stu3/")).status_code == 404


def test_a_cancelled_export_is_gone(fresh):
    marjan = fresh.as_()
    weights(fresh, marjan, 1)
    where = begun(marjan)
    file = finished(marjan, where)["output"][0]
    assert marjan.delete(where).status_code == 202
    assert marjan.get(where).status_code == 404
    assert marjan.get(file["url"]).status_code == 404
    assert marjan.delete(where).status_code == 404


def test_one_export_at_a_time(fresh):
    marjan = fresh.as_()
    where = begun(marjan)
    again = marjan.get("$export", headers=ASYNC)
    assert again.status_code == 429
    assert int(again.headers["retry-after"]) > 0
    finished(marjan, where)
    assert marjan.delete(begun(marjan)).status_code == 202
    begun(marjan)


def test_of_the_patient_and_by_post_it_is_the_same(fresh):
    marjan = fresh.as_()
    patient = {"resourceType": "Patient", "id": fresh.patient, "name": [{"family": "Berg"}]}
    assert marjan.put(f"Patient/{fresh.patient}", json=patient).status_code == 201
    weights(fresh, marjan, 2)
    whole = everything(marjan, finished(marjan, begun(marjan)))
    for path in ("Patient/$export", f"Patient/{fresh.patient}/$export"):
        assert everything(marjan, finished(marjan, begun(marjan, path))) == whole
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueString": "Observation"}],
    }
    answer = marjan.post("$export", json=parameters, headers=ASYNC)
    found = everything(marjan, finished(marjan, answer.headers["content-location"]))
    assert set(found) == {where for where in whole if where.startswith("Observation/")}
    assert marjan.get("Patient/ander/$export", headers=ASYNC).status_code == 404


@pytest.mark.parametrize(
    ("params", "headers", "place"),
    [
        ({}, {}, "Prefer"),
        ({"_type": "Nothing"}, ASYNC, "_type"),
        ({"_since": "gisteren"}, ASYNC, "_since"),
        ({"_outputFormat": "text/csv"}, ASYNC, "_outputFormat"),
        ({"_typeFilter": "Observation?code=1"}, ASYNC, "_typeFilter"),
        ({"_elements": "id"}, ASYNC, "_elements"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_exported_is_told_by_name(fresh, params, headers, place):
    answer = fresh.as_().get("$export", params=params, headers=headers)
    assert answer.status_code == 400
    assert fresh.place(answer) == place


def test_a_stranger_does_not_hear_that_there_is_anything(fresh):
    samira = fresh.as_("p-samira")
    weights(fresh, fresh.as_(), 1)
    assert samira.get("$export", headers=ASYNC).status_code == 404
    assert samira.get(f"$export/{'0' * 32}").status_code == 404


def test_each_file_that_was_fetched_is_in_who_looked(fresh):
    marjan = fresh.as_()
    ids = weights(fresh, marjan, 2)
    (file,) = finished(marjan, begun(marjan, _type="Observation"))["output"]
    lines(marjan, file)

    async def shown(house: Any) -> list[tuple[str, ...]]:
        entries = house.trail.read(fresh.id)
        return [one.resources async for one in entries if one.interaction == "export"]

    told = fresh.inside(shown)
    assert told[:-1] == [()] * (len(told) - 1)
    assert set(told[-1]) == {f"Observation/{id_}@1" for id_ in ids}
