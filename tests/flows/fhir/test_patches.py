"""PATCH over HTTP and in Bundles: three kinds, decided like an update, checked like one."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
FHIR = {"Content-Type": "application/fhir+json"}
RELEASES = ["r4", "stu3"]
FINAL = [{"op": "replace", "path": "/status", "value": "amended"}]


def path_patch(path="Observation.status", value="amended"):
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", "valueCode": value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}


def binary(patch, media="application/json-patch+json"):
    data = base64.b64encode(orjson.dumps(patch)).decode()
    return {"resourceType": "Binary", "contentType": media, "data": data}


def entry(patch, url, method="PATCH", **more):
    return {"resource": patch, "request": {"method": method, "url": url, **more}}


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def kept(marjan, fresh, **more):
    made = marjan.post("Observation", json=fresh.weight("21.5", **more))
    assert made.status_code == 201, made.text
    return f"Observation/{made.json()['id']}"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("patch", "headers"),
    [(FINAL, JSON_PATCH), ({"status": "amended"}, MERGE), (path_patch(), FHIR)],
    ids=["json", "merge", "fhirpath"],
)
def test_a_patch_makes_the_next_version(fresh, patch, headers, release):
    marjan = fresh.as_(release=release)
    where = kept(marjan, fresh)
    before = marjan.get(where).json()
    answer = marjan.patch(where, content=orjson.dumps(patch), headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.headers["location"].endswith(f"{where}/_history/2")
    after = marjan.get(where).json()
    assert answer.json() == after
    assert after | {"meta": {}} == before | {"meta": {}, "status": "amended"}
    assert after["meta"]["versionId"] == "2"
    assert marjan.get(f"{where}/_history").json()["total"] == 2
    assert marjan.get("Observation?status=amended").json()["total"] == 1


def test_numbers_that_a_patch_does_not_touch_keep_their_lexemes(fresh):
    marjan = fresh.as_()
    raw = orjson.dumps(fresh.weight()).replace(b'"value":21', b'"value":21.500')
    where = f"Observation/{marjan.post('Observation', content=raw, headers=FHIR).json()['id']}"
    for patch, headers in ((FINAL, JSON_PATCH), ({"status": "final"}, MERGE)):
        answer = marjan.patch(where, content=orjson.dumps(patch), headers=headers)
        assert '"value":21.500' in answer.text


@pytest.mark.parametrize(
    ("patch", "status", "place"),
    [
        ([{"op": "test", "path": "/status", "value": "x"}], 422, "patch[0]"),
        ([*FINAL, {"op": "remove", "path": "/nowhere"}], 422, "patch[1].path"),
        ([{"op": "replace", "path": "/id", "value": "x"}], 422, "patch[0]"),
        ([{"op": "remove", "path": "/meta"}], 422, "patch[0]"),
        ([{"op": "replace", "path": "/resourceType", "value": "Basic"}], 422, "patch[0]"),
        ([{"op": "remove", "path": "/status"}], 422, "Observation.status"),
        ([{"op": "replace", "path": "/status", "value": "zzz"}], 422, "Observation.status"),
        ([{"op": "add", "path": "/kleur", "value": "rood"}], 422, "Observation"),
        ([{"op": "replace", "path": "/subject/reference", "value": "Patient/x"}], 422,
            "Observation.subject"),
        ([{"op": "zzz", "path": "/status"}], 400, "patch[0].op"),
        (FINAL * 101, 422, "patch"),
        ({}, 400, ""),
    ],
)  # fmt: skip
def test_a_patch_that_does_not_fit_changes_nothing_and_says_where(fresh, patch, status, place):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    answer = marjan.patch(where, content=orjson.dumps(patch), headers=JSON_PATCH)
    assert (answer.status_code, fresh.place(answer)) == (status, place)
    assert marjan.get(where).headers["etag"] == 'W/"1"'


def test_what_is_no_patch_is_refused(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    for media, status in (
        ("application/fhir+json", 400),
        ("application/fhir+xml", 400),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ):
        answer = marjan.patch(where, content=b"{}", headers={"Content-Type": media})
        assert answer.status_code == status


def test_plain_json_that_is_no_resource_is_a_merge_patch(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    answer = marjan.patch(where, json={"status": "amended", "note": [{"text": "nuchter"}]})
    assert (answer.status_code, answer.json()["status"]) == (200, "amended")
    assert answer.json()["note"] == [{"text": "nuchter"}]
    whole = marjan.patch(where, json=answer.json())
    assert whole.status_code == 400


def test_a_patch_may_demand_a_version(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    late = marjan.patch(where, json=FINAL, headers=JSON_PATCH | {"If-Match": 'W/"9"'})
    assert late.status_code == 412
    wrong = [{"op": "test", "path": "/status", "value": "x"}]
    assert marjan.patch(
        where, json=wrong, headers=JSON_PATCH | {"If-Match": 'W/"9"'}
    ).status_code == 412  # fmt: skip
    good = marjan.patch(where, json=FINAL, headers=JSON_PATCH | {"If-Match": 'W/"1"'})
    assert good.status_code == 200


def test_what_is_not_there_or_deleted_cannot_be_patched(fresh):
    marjan = fresh.as_()
    assert marjan.patch("Observation/x", json=FINAL, headers=JSON_PATCH).status_code == 404
    where = kept(marjan, fresh)
    marjan.delete(where)
    assert marjan.patch(where, json=FINAL, headers=JSON_PATCH).status_code == 410


def test_who_may_not_see_it_learns_nothing_from_a_patch(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}
    hidden = {"resourceType": "Condition", "code": code, "subject": fresh.subject()}
    secret = marjan.post("Condition", json=hidden).json()["id"]
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    samira = fresh.as_("p-samira")
    good = [{"op": "test", "path": "/resourceType", "value": "Condition"}]
    bad = [{"op": "test", "path": "/resourceType", "value": "Basic"}]
    answers = {
        samira.patch(f"Condition/{id_}", json=patch, headers=JSON_PATCH).text
        for id_ in (secret, "nergens")
        for patch in (good, bad)
    }
    assert len(answers) == 1
    assert samira.patch(where, json=FINAL, headers=JSON_PATCH).status_code == 403
    assert samira.patch(
        where, json=[{"op": "test", "path": "/status", "value": "x"}], headers=JSON_PATCH
    ).status_code == 403  # fmt: skip
    small = fresh.as_("p-marjan", scope="user/*.rs")
    assert small.patch(where, json=FINAL, headers=JSON_PATCH).status_code == 403
    assert marjan.get(where).headers["etag"] == 'W/"1"'


def test_a_patch_cannot_copy_what_is_hidden_of_a_patient(fresh):
    marjan = fresh.as_()
    sent = {
        "resourceType": "Patient",
        "active": True,
        "name": [{"text": "Sanne"}],
        "address": [{"city": "Zutphen"}],
    }
    where = f"Patient/{marjan.post('Patient', json=sent).json()['id']}"
    fresh.grant(to_who="p-samira", categories=["overig"], actions=["lezen", "wijzigen"])
    samira = fresh.as_("p-samira")
    assert "Zutphen" not in samira.get(where).text
    for step in (
        {"op": "test", "path": "/address/0/city", "value": "Zutphen"},
        {"op": "copy", "from": "/address/0/city", "path": "/name/0/text"},
        {"op": "move", "from": "/address", "path": "/contact"},
        {"op": "add", "path": "/address", "value": [{"city": "Elders"}]},
        {"op": "replace", "path": "/active", "value": False},
    ):
        answer = samira.patch(where, json=[step], headers=JSON_PATCH)
        assert answer.status_code == 403
        assert "Zutphen" not in answer.text
    assert marjan.get(where).headers["etag"] == 'W/"1"'


def test_a_bsn_in_a_patch_is_masked(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    bsn = {"system": "http://fhir.nl/fhir/NamingSystem/bsn", "value": "999990019"}
    patch = [{"op": "add", "path": "/subject/identifier", "value": bsn}]
    answer = marjan.patch(where, json=patch, headers=JSON_PATCH)
    assert answer.status_code == 200, answer.text
    assert "999990019" not in marjan.get(where).text + answer.text


@pytest.mark.parametrize("release", RELEASES)
def test_patches_in_a_transaction_are_all_done_or_none(fresh, release):
    marjan = fresh.as_(release=release)
    one, two = kept(marjan, fresh), kept(marjan, fresh)
    good = (entry(binary(FINAL), one), entry(path_patch(), two))
    if release == "stu3":
        good[0]["resource"]["content"] = good[0]["resource"].pop("data")
    bad = entry(path_patch("Observation.nowhere"), two)
    refused = marjan.post("", json=bundle("transaction", good[0], bad))
    assert refused.status_code == 422
    assert fresh.place(refused) == "Bundle.entry[1].resource.parameter[0].path"
    assert marjan.get(one).headers["etag"] == 'W/"1"'
    answer = marjan.post("", json=bundle("transaction", *good))
    assert answer.status_code == 200, answer.text
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200", "200"]
    for where in (one, two):
        assert marjan.get(where).json()["status"] == "amended"
        assert marjan.get(where).headers["etag"] == 'W/"2"'


def test_patches_in_a_batch_are_each_for_themselves(fresh):
    marjan = fresh.as_()
    one, two = kept(marjan, fresh), kept(marjan, fresh)
    answer = marjan.post(
        "",
        json=bundle(
            "batch",
            entry(binary(FINAL), one),
            entry(binary([{"op": "remove", "path": "/nowhere"}]), two),
            entry(binary(FINAL), "Observation/nergens"),
            entry(binary({"status": "amended"}, "application/merge-patch+json"), two, ifMatch="9"),
            entry({"resourceType": "Basic", "code": {"text": "x"}}, two),
            entry(binary([{"op": "remove", "path": "/status"}]), two),
        ),
    )
    said = [e["response"]["status"] for e in answer.json()["entry"]]
    assert said == ["200", "422", "404", "400", "400", "422"]
    assert marjan.get(two).headers["etag"] == 'W/"1"'


def test_a_patch_in_a_transaction_may_point_to_what_the_transaction_makes(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    urn = "urn:uuid:11111111-2222-4333-8444-555555555555"
    patch = [{"op": "add", "path": "/device", "value": {"reference": urn}}]
    new = {
        "fullUrl": urn,
        "resource": {"resourceType": "Device", "manufacturer": "Weegschaal"},
        "request": {"method": "POST", "url": "Device"},
    }
    answer = marjan.post("", json=bundle("transaction", entry(binary(patch), where), new))
    assert answer.status_code == 200, answer.text
    reference = marjan.get(where).json()["device"]["reference"]
    assert marjan.get(reference).json()["manufacturer"] == "Weegschaal"


def test_patches_at_the_same_time_all_arrive(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh, note=[{"text": "0"}])
    add = "/note/-"

    def one(n):
        patch = [{"op": "add", "path": add, "value": {"text": str(n)}}]
        return marjan.patch(where, json=patch, headers=JSON_PATCH).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(1, 25))) == {200}
    notes = {note["text"] for note in marjan.get(where).json()["note"]}
    assert notes == {str(n) for n in range(25)}


def test_a_patch_is_written_down_as_one(fresh):
    marjan = fresh.as_()
    where = kept(marjan, fresh)
    marjan.patch(where, json=FINAL, headers=JSON_PATCH)
    looked = marjan.get("$wie-keek").json()
    assert "patch" in orjson.dumps(looked).decode()
