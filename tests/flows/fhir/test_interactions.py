"""One resource over HTTP: create, read, change, delete, look back; conditions, headers, text."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import httpx2
import orjson
import pytest

JSON = {"Content-Type": "application/fhir+json"}
RELEASES = ("r4", "stu3")


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_created_is_read_under_the_address_in_the_answer(fresh, release):
    marjan = fresh.as_(release=release)
    made = marjan.post("Observation", json=fresh.weight())
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["content-type"].startswith("application/fhir+json")
    where = made.headers["location"]
    assert re.fullmatch(rf"{re.escape(str(marjan.base_url))}Observation/[^/]+/_history/1", where)
    then = parsedate_to_datetime(made.headers["last-modified"])
    for address in (where, where.removesuffix("/_history/1")):
        read = marjan.get(address)
        assert read.status_code == 200
        assert read.headers["etag"] == 'W/"1"'
        assert read.content == made.content
        assert parsedate_to_datetime(read.headers["last-modified"]) == then
    meta = made.json()["meta"]
    assert meta["versionId"] == "1"
    assert meta["lastUpdated"].startswith(then.strftime("%Y-%m-%dT%H:%M:%S"))


def test_each_change_is_a_version_that_can_be_read_and_listed(fresh):
    marjan = fresh.as_()
    id_ = marjan.post("Observation", json=fresh.weight("20")).json()["id"]
    for number, value in ((2, "21"), (3, "22")):
        put = marjan.put(f"Observation/{id_}", json=fresh.weight(value, id=id_))
        assert (put.status_code, put.headers["etag"]) == (200, f'W/"{number}"')
        assert put.headers["location"].endswith(f"/Observation/{id_}/_history/{number}")
    values = [
        marjan.get(f"Observation/{id_}/_history/{number}").json()["valueQuantity"]["value"]
        for number in (1, 2, 3)
    ]
    assert values == [20, 21, 22]
    assert marjan.get(f"Observation/{id_}").json()["meta"]["versionId"] == "3"
    assert marjan.get(f"Observation/{id_}/_history/4").status_code == 404
    history = marjan.get(f"Observation/{id_}/_history").json()
    assert (history["type"], history["total"]) == ("history", 3)
    assert [e["resource"]["valueQuantity"]["value"] for e in history["entry"]] == [22, 21, 20]
    assert [e["request"]["method"] for e in history["entry"]] == ["PUT", "PUT", "POST"]
    assert [e["response"]["etag"] for e in history["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']
    newest = marjan.get(f"Observation/{id_}/_history", params={"_count": 1}).json()
    assert (newest["total"], len(newest["entry"])) == (3, 1)
    assert newest["link"][0]["url"].endswith("_history?_count=1")


def test_what_is_deleted_is_gone_and_can_be_brought_back(fresh):
    marjan = fresh.as_()
    id_ = marjan.post("Observation", json=fresh.weight()).json()["id"]
    deleted = marjan.delete(f"Observation/{id_}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert deleted.headers["etag"] == 'W/"2"'
    assert marjan.get(f"Observation/{id_}").status_code == 410
    assert fresh.issue(marjan.get(f"Observation/{id_}"))["code"] == "deleted"
    assert marjan.get(f"Observation/{id_}/_history/2").status_code == 410
    assert marjan.get(f"Observation/{id_}/_history/1").status_code == 200
    assert marjan.get("Observation").json()["total"] == 0
    assert marjan.delete(f"Observation/{id_}").status_code == 204
    newest = marjan.get(f"Observation/{id_}/_history").json()["entry"][0]
    assert newest["request"] == {"method": "DELETE", "url": f"Observation/{id_}"}
    assert "resource" not in newest
    back = marjan.put(f"Observation/{id_}", json=fresh.weight(id=id_))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    assert marjan.get("Observation").json()["total"] == 1


def test_stu3_says_deleted_with_a_code_it_knows(fresh):
    marjan = fresh.as_(release="stu3")
    id_ = marjan.post("Observation", json=fresh.weight()).json()["id"]
    marjan.delete(f"Observation/{id_}")
    gone = marjan.get(f"Observation/{id_}")
    assert (gone.status_code, fresh.issue(gone)["code"]) == (410, "not-found")


def test_whoever_does_not_name_the_newest_version_changes_nothing(fresh):
    marjan = fresh.as_()
    id_ = marjan.post("Observation", json=fresh.weight("20")).json()["id"]
    marjan.put(f"Observation/{id_}", json=fresh.weight("21", id=id_))
    late = {"If-Match": 'W/"1"'}
    put = marjan.put(f"Observation/{id_}", json=fresh.weight("99", id=id_), headers=late)
    assert put.status_code == marjan.delete(f"Observation/{id_}", headers=late).status_code == 412
    assert fresh.issue(put)["code"] == "conflict"
    now = {"If-Match": 'W/"2"'}
    good = marjan.put(f"Observation/{id_}", json=fresh.weight("22", id=id_), headers=now)
    assert (good.status_code, good.headers["etag"]) == (200, 'W/"3"')
    assert marjan.delete(f"Observation/{id_}", headers={"If-Match": 'W/"3"'}).status_code == 204


def test_a_version_demanded_of_what_is_not_there_is_not_met(fresh):
    put = fresh.as_().put(
        "Observation/new", json=fresh.weight(id="new"), headers={"If-Match": 'W/"1"'}
    )
    assert put.status_code == 412
    assert fresh.commits() == 1 + 1


def test_a_version_demanded_is_checked_also_when_the_content_is_the_same(fresh):
    linde = fresh.system()
    sent = fresh.weight(id="w1")
    assert linde.put("Observation/w1", json=sent).status_code == 201
    assert linde.put("Observation/w1", json=fresh.weight("30", id="w1")).status_code == 200
    late = linde.put(
        "Observation/w1", json=fresh.weight("30", id="w1"), headers={"If-Match": 'W/"1"'}
    )
    assert late.status_code == 412


@pytest.mark.parametrize(
    "headers",
    [{"If-Match": "1"}, {"If-Match": "*"}, {"If-Match": 'W/"1", W/"2"'}, {"If-None-Match": "*"}],
    ids=lambda one: "".join(f"{k}: {v}" for k, v in one.items()),
)
def test_a_condition_that_is_not_offered_is_refused_by_its_name(fresh, headers):
    put = fresh.as_().put("Observation/new", json=fresh.weight(id="new"), headers=headers)
    assert put.status_code == 400
    assert fresh.place(put) == next(iter(headers))


def test_an_update_creates_under_the_id_that_was_chosen(fresh):
    marjan = fresh.as_()
    put = marjan.put("Observation/mijn-meting.1", json=fresh.weight(id="mijn-meting.1"))
    assert (put.status_code, put.json()["id"]) == (201, "mijn-meting.1")
    assert marjan.get("Observation/mijn-meting.1").content == put.content


def test_a_create_gives_its_own_id_whatever_id_was_sent(fresh):
    marjan = fresh.as_()
    made = marjan.post("Observation", json=fresh.weight(id="eigen"))
    assert made.json()["id"] != "eigen"
    assert marjan.get("Observation/eigen").status_code == 404


@pytest.mark.parametrize("release", RELEASES)
def test_the_server_alone_says_which_version_of_when_and_from_whom(fresh, release):
    claimed = {
        "versionId": "77",
        "lastUpdated": "1999-01-01T00:00:00Z",
        "source": "urn:pgo:bron:delinde",
        "profile": ["http://example.nl/StructureDefinition/x"],
        "tag": [{"system": "http://example.nl/tags", "code": "t"}],
    }
    if release == "stu3":
        del claimed["source"]
    marjan = fresh.as_(release=release)
    meta = marjan.post("Observation", json=fresh.weight(meta=claimed)).json()["meta"]
    assert meta["versionId"] == "1"
    assert "delinde" not in str(meta)
    assert meta.get("source", "").startswith("urn:pgo:persoon:p-marjan") == (release == "r4")
    assert not meta["lastUpdated"].startswith("1999")
    assert (meta["profile"], meta["tag"]) == (claimed["profile"], claimed["tag"])


def test_what_a_provider_brings_says_from_whom_in_r4(fresh):
    made = fresh.system().post("Observation", json=fresh.weight()).json()
    assert made["meta"]["source"] == "urn:pgo:bron:delinde"


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [
        ("", "Observation"),
        ("return=representation", "Observation"),
        ("return=minimal", ""),
        ("return=OperationOutcome", "OperationOutcome"),
        ("handling=strict, return=minimal", ""),
        ("return=minimal; foo", ""),
        ("return=nonsense", "Observation"),
    ],
)
def test_the_answer_to_a_change_is_as_large_as_preferred(fresh, prefer, kind):
    marjan = fresh.as_()
    for answer in (
        marjan.post("Observation", json=fresh.weight(), headers={"Prefer": prefer}),
        marjan.put("Observation/a", json=fresh.weight(id="a"), headers={"Prefer": prefer}),
    ):
        assert answer.status_code == 201
        assert answer.headers["etag"] == 'W/"1"'
        assert "location" in answer.headers
        assert (answer.json()["resourceType"] if answer.content else "") == kind


def test_head_tells_what_get_tells_without_the_text(fresh):
    marjan = fresh.as_()
    id_ = marjan.post("Observation", json=fresh.weight()).json()["id"]
    for address in (
        f"Observation/{id_}",
        f"Observation/{id_}/_history/1",
        f"Observation/{id_}/_history",
        "Observation?code=29463-7",
        "metadata",
    ):
        whole, head = marjan.get(address), marjan.head(address)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "etag", "last-modified"):
            assert head.headers.get(name) == whole.headers.get(name), name
    assert marjan.head("Observation/nothing").status_code == 404


def test_the_text_comes_back_as_it_was_sent(fresh):
    marjan = fresh.as_()
    raw = (
        '{"status":"final","resourceType":"Observation","valueQuantity":{"unit":"kg",'
        '"value":5.40,"_value":{"extension":[{"url":"http://example.nl/hoe","valueDecimal":1.00}]}},'
        '"extension":[{"valueDecimal":1E-2,"url":"http://example.nl/niemand-kent-dit"},'
        '{"url":"http://example.nl/b","extension":[{"url":"c","valueInteger":7777}]}],'
        '"code":{"text":"gewicht \\u00e9\\ud83d\\ude00 <&> 😀"},'
        '"note":[{"text":"regel\\nregel\\ttab"}]}'
    )
    made = marjan.post("Observation", content=raw.encode(), headers=JSON)
    assert made.status_code == 201, made.text
    kept = marjan.get(made.headers["location"]).text
    for lexeme in ('"value":5.40,', '"valueDecimal":1.00}', '"valueDecimal":1E-2,'):
        assert lexeme in kept
    sent, back = orjson.loads(raw), orjson.loads(kept)
    assert [k for k in back if k not in {"id", "meta"}] == [
        "resourceType",
        *(k for k in sent if k != "resourceType"),
    ]
    assert list(back["valueQuantity"]) == list(sent["valueQuantity"])
    assert [list(one) for one in back["extension"]] == [
        ["valueDecimal", "url"],
        ["url", "extension"],
    ]
    assert back | {"id": "", "meta": {}} == sent | {"id": "", "meta": {}}
    found = marjan.get("Observation").text
    assert kept.split('"meta"')[0] in found
    assert '"value":5.40,' in found


def test_members_keep_their_place_when_id_and_meta_were_there(fresh):
    raw = (
        '{"meta":{"tag":[{"code":"t"}],"versionId":"9"},"code":{"text":"x"},"id":"volgorde",'
        '"status":"final","resourceType":"Observation"}'
    )
    marjan = fresh.as_()
    made = marjan.put("Observation/volgorde", content=raw, headers=JSON)
    assert made.status_code == 201, made.text
    assert list(made.json()) == ["meta", "code", "id", "status", "resourceType"]


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("OPTIONS", "Observation", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("POST", "Observation/x", "GET, HEAD, PUT, PATCH, DELETE"),
        ("POST", "_history", "GET, HEAD"),
        ("PUT", "Observation/_history", "GET, HEAD"),
        ("PUT", "Observation/x/_history/1", "GET, HEAD"),
        ("DELETE", "Observation/x/_history/1", "GET, HEAD"),
        ("POST", "Observation/x/_history", "GET, HEAD"),
        ("POST", "metadata", "GET, HEAD"),
        ("GET", "Observation/_search", "POST"),
        ("GET", "", "POST"),
        ("PUT", "", "POST"),
    ],
)
def test_a_method_that_is_not_offered_is_answered_with_those_that_are(
    fresh, method, address, allowed
):
    answer = fresh.as_().request(method, address, json=fresh.weight(id="x"))
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) >= set(allowed.split(", "))
    assert fresh.issue(answer)["code"] == "not-supported"
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    "address",
    [
        "Foo",
        "Foo/1",
        "observation",
        "Parameters",
        "Observation/x/_history/0",
        "Observation/x/_history/1/2",
        "Observation/x/_history/een",
        "Observation/te_veel",
        f"Observation/{'a' * 65}",
        "Observation/x/y",
        "$bestaat-niet",
        "Observation/$firstn",
        "Observation/x/$everything",
        "_history/1",
        "Observation/_history/1",
        "MedicinalProduct_",
    ],
)
def test_what_is_not_an_address_is_not_found(fresh, address):
    answer = fresh.as_().get(address)
    assert answer.status_code == 404, answer.text
    assert fresh.issue(answer)["code"] == "not-found"


def test_a_type_of_the_other_release_is_not_found(fresh):
    assert fresh.as_(release="stu3").get("ServiceRequest").status_code == 404
    assert fresh.as_(release="r4").get("ProcedureRequest").status_code == 404
    assert fresh.as_(release="r4").get("ServiceRequest").status_code == 200
    assert fresh.as_(release="stu3").get("ProcedureRequest").status_code == 200


def test_a_resource_of_one_release_is_not_there_in_the_other(fresh):
    r4, stu3 = fresh.as_(release="r4"), fresh.as_(release="stu3")
    assert r4.put("Observation/een", json=fresh.weight(id="een")).status_code == 201
    assert stu3.get("Observation/een").status_code == 404
    assert stu3.put("Observation/een", json=fresh.weight("3", id="een")).status_code == 201
    assert r4.get("Observation/een").json()["valueQuantity"]["value"] == 21


def test_a_resource_that_does_not_fit_its_address_is_refused_by_its_place(fresh):
    marjan = fresh.as_()
    basic = {"resourceType": "Basic", "id": "x", "code": {"text": "iets"}}
    for answer, place in (
        (marjan.post("Observation", json=basic), "Observation"),
        (marjan.put("Observation/x", json=basic), "Observation"),
        (marjan.put("Observation/x", json=fresh.weight(id="y")), "Observation.id"),
        (marjan.put("Observation/x", json=fresh.weight()), "Observation.id"),
    ):
        assert (answer.status_code, fresh.place(answer)) == (400, place)
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"status": "zzz"}, "Observation.status"),
        ({"status": None}, "Observation.status"),
        ({"code": None}, "Observation.code"),
        ({"onbekend": 1}, "Observation"),
        ({"valueString": "ook"}, "Observation"),
        (
            {"component": [{"code": {"text": "a"}}, {"valueString": "b"}]},
            "Observation.component[1].code",
        ),
        ({"text": {"status": "generated", "div": "<div><script/></div>"}}, "Observation.text.div"),
    ],
    ids=str,
)
def test_what_is_not_valid_is_refused_by_its_place(fresh, change, place):
    wrong = {k: v for k, v in (fresh.weight() | change).items() if v is not None}
    answer = fresh.as_().post("Observation", json=wrong)
    assert answer.status_code == 422, answer.text
    assert fresh.place(answer).startswith(place)
    assert "zzz" not in answer.text
    assert fresh.commits() == 2


def test_read_and_change_know_no_parameters(fresh):
    marjan = fresh.as_()
    id_ = marjan.post("Observation", json=fresh.weight()).json()["id"]
    for answer in (
        marjan.get(f"Observation/{id_}?_sort=date"),
        marjan.get(f"Observation/{id_}/_history/1?x=1"),
        marjan.post("Observation?x=1", json=fresh.weight()),
        marjan.put(f"Observation/{id_}?x=1", json=fresh.weight(id=id_)),
        marjan.delete(f"Observation/{id_}?x=1"),
        marjan.get(f"Observation/{id_}/_history?_sort=_lastUpdated"),
    ):
        assert answer.status_code == 400
        assert fresh.place(answer)
    assert marjan.get(f"Observation/{id_}").headers["etag"] == 'W/"1"'


def test_the_dossier_of_the_token_is_the_same_as_the_one_in_the_address(fresh):
    named = fresh.as_()
    id_ = named.post("Observation", json=fresh.weight()).json()["id"]
    with httpx2.Client(base_url=f"{fresh.served.url}/fhir/r4/", headers=named.headers) as own:
        read = own.get(f"Observation/{id_}")
        assert read.content == named.get(f"Observation/{id_}").content
        home = own.get("Observation").json()["entry"][0]["fullUrl"]
        assert home == f"{fresh.served.url}/fhir/r4/Observation/{id_}"


@pytest.mark.parametrize("member", ["subject", "specimen"])
@pytest.mark.parametrize(
    "foreign",
    ["Patient/iemand-anders", "https://elders.example/fhir/Patient/1", "Patient/x/_history/2"],
)
def test_nothing_about_somebody_else_is_stored(fresh, member, foreign):
    reference = {"reference": foreign}
    answer = fresh.as_().post("Observation", json=fresh.weight(**{member: reference}))
    if member == "specimen":
        assert answer.status_code == 201
    else:
        assert (answer.status_code, fresh.place(answer)) == (422, "Observation.subject")
        assert foreign not in answer.text
        assert fresh.commits() == 2


def test_a_dossier_has_one_patient_under_one_id(fresh):
    marjan = fresh.as_()
    patient = {"resourceType": "Patient", "active": True}
    other = marjan.put("Patient/iemand-anders", json=patient | {"id": "iemand-anders"})
    assert other.status_code == 422
    made = marjan.post("Patient", json=patient)
    assert (made.status_code, made.json()["id"]) == (201, fresh.patient)
    again = marjan.post("Patient", json=patient | {"active": False})
    assert (again.status_code, marjan.get("Patient").json()["total"]) == (200, 1)
    assert marjan.get(f"Patient/{fresh.patient}").json()["active"] is True


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("user/Observation.rs", "read search"),
        ("user/Observation.s", "search"),
        ("user/Observation.r", "read"),
        ("user/Observation.c", "create"),
        ("user/Observation.u", "update"),
        ("user/Observation.d", "delete"),
        ("user/Observation.cd", "create delete"),
        ("user/Observation.cr", "create read"),
        ("user/Patient.cruds", ""),
    ],
)
def test_a_token_does_what_its_scope_says_and_no_more(fresh, scope, may):
    marjan = fresh.as_()
    for id_ in ("a", "b"):
        marjan.put(f"Observation/{id_}", json=fresh.weight(id=id_))
    small = fresh.as_(scope=scope)
    answers = {
        "read": small.get("Observation/a"),
        "search": small.get("Observation"),
        "create": small.post("Observation", json=fresh.weight()),
        "update": small.put("Observation/a", json=fresh.weight("3", id="a")),
        "delete": small.delete("Observation/b"),
    }
    done = {name for name, answer in answers.items() if answer.is_success}
    assert done == set(may.split())
    refused = [answer for answer in answers.values() if not answer.is_success]
    assert {answer.status_code for answer in refused} == {403}
    assert all("insufficient_scope" in answer.headers["www-authenticate"] for answer in refused)


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("user/Observation.r", {"Observation/a"}),
        ("user/Observation.s", {"Observation?status=final"}),
        ("user/Patient.rs", set()),
    ],
)
def test_a_batch_does_not_stretch_a_scope(fresh, scope, may):
    fresh.as_().put("Observation/a", json=fresh.weight(id="a"))
    urls = ["Observation/a", "Observation?status=final"]
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    answer = fresh.as_(scope=scope).post(
        "", json={"resourceType": "Bundle", "type": "batch", "entry": entries}
    )
    statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
    assert {url for url, status in zip(urls, statuses, strict=True) if status == "200"} == may
