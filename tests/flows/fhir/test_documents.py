"""Documents over HTTP: bytes in and out, as a resource, in a transaction; who may read them."""

from __future__ import annotations

import base64
import hashlib
import http.client
import time
import uuid
from typing import Any

import httpx2
import orjson
import pytest

from pgo.dossier.log import Rule
from pgo.fhir.large import PIECE
from pgo.office import Office

PDF = {"Content-Type": "application/pdf"}
AS_PDF = {"Accept": "application/pdf"}
AS_JSON = {"Accept": "application/fhir+json"}
RELEASES = ("r4", "stu3")
DRIFTING = {"date", "x-request-id"}


def pdf(size: int, word: str = "brief") -> bytes:
    """A document of this many bytes that begins as a PDF does; every piece of it is different."""
    head = f"%PDF-1.7\n% {word}\n".encode()
    body = hashlib.shake_256(word.encode()).digest(size - len(head))
    return head + body


SMALL, LARGE = pdf(5_000), pdf(3 * PIECE + 1, "groot")


def sent(client: httpx2.Client, raw: bytes, **more: str) -> str:
    """The address of a new Binary."""
    made = client.post("Binary", content=raw, headers={**PDF, **more})
    assert made.status_code == 201, made.text
    return made.headers["location"].removeprefix(str(client.base_url)).partition("/_history")[0]


def document(fresh: Any, address: str, release: str = "r4", **more: Any) -> dict[str, Any]:
    """A DocumentReference to a Binary."""
    indexed = {"date" if release == "r4" else "indexed": "2026-03-01T10:00:00Z"}
    kind = {"coding": [{"system": "http://loinc.org", "code": "68688-1"}], "text": "Document"}
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": kind,
        "subject": fresh.subject(),
        "content": [{"attachment": {"contentType": "application/pdf", "url": address}}],
        **indexed,
        **more,
    }


def member(release: str) -> str:
    return "data" if release == "r4" else "content"


def without_drift(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = {k: v for k, v in answer.headers.items() if k not in DRIFTING}
    return answer.status_code, answer.content, headers


# --- bytes in and out --------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("raw", [SMALL, pdf(PIECE), pdf(PIECE + 1), LARGE], ids=len)
def test_the_bytes_that_were_sent_come_back_as_a_file_and_in_the_resource(fresh, release, raw):
    marjan = fresh.as_(release=release)
    where = sent(marjan, raw)
    got = marjan.get(where, headers=AS_PDF)
    assert (got.status_code, got.content) == (200, raw)
    assert got.headers["content-type"] == "application/pdf"
    assert got.headers["content-disposition"] == 'attachment; filename="document.pdf"'
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-length"] == str(len(raw))
    assert got.headers["etag"] == 'W/"1"'
    resource = marjan.get(where, headers=AS_JSON)
    assert resource.headers["content-type"].startswith("application/fhir+json")
    assert int(resource.headers["content-length"]) == len(resource.content)
    tree = resource.json()
    assert (tree["resourceType"], tree["contentType"]) == ("Binary", "application/pdf")
    assert "tag" not in tree["meta"]
    assert base64.b64decode(tree[member(release)]) == raw
    xml = marjan.get(where, headers={"Accept": "application/fhir+xml"}).content
    assert base64.b64encode(raw) in xml
    assert xml.startswith(b'<?xml version="1.0" encoding="UTF-8"?><Binary') or b"<Binary" in xml


@pytest.mark.parametrize("raw", [SMALL, LARGE], ids=["small", "large"])
def test_a_document_sent_as_a_resource_is_the_same_one(fresh, raw):
    marjan = fresh.as_()
    data = base64.b64encode(raw).decode()
    tree = {"resourceType": "Binary", "contentType": "application/pdf", "data": data}
    made = marjan.post("Binary", json=tree)
    assert made.status_code == 201
    assert made.json()["data"] == data
    where = f"Binary/{made.json()['id']}"
    assert marjan.get(where, headers=AS_PDF).content == raw
    assert marjan.get(where, headers=AS_JSON).json()["data"] == data
    assert marjan.get(sent(marjan, raw), headers=AS_PDF).content == raw


@pytest.mark.parametrize("raw", [SMALL, LARGE], ids=["small", "large"])
def test_each_version_of_a_document_keeps_its_bytes(fresh, raw):
    marjan = fresh.as_()
    where = sent(marjan, raw)
    again = pdf(len(raw) + 7, "verbeterd")
    headers = {**PDF, "If-Match": 'W/"1"'}
    changed = marjan.put(where, content=again, headers=headers)
    assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
    assert marjan.put(where, content=raw, headers=headers).status_code == 412
    assert marjan.get(where, headers=AS_PDF).content == again
    assert marjan.get(f"{where}/_history/1", headers=AS_PDF).content == raw
    assert marjan.get(f"{where}/_history/2", headers=AS_PDF).content == again
    assert marjan.delete(where).status_code == 204
    assert marjan.get(where, headers=AS_PDF).status_code == 410


def test_who_has_it_already_gets_no_bytes_and_head_tells_how_many(fresh):
    marjan = fresh.as_()
    where = sent(marjan, LARGE)
    head = marjan.head(where, headers=AS_PDF)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(LARGE))
    kept = marjan.get(where, headers={**AS_PDF, "If-None-Match": 'W/"1"'})
    assert (kept.status_code, kept.content) == (304, b"")


def test_bytes_go_out_only_as_what_they_are(fresh):
    marjan = fresh.as_()
    where = sent(marjan, SMALL)
    for accept in ("*/*", "application/*", "text/html, application/pdf;q=0.9"):
        assert marjan.get(where, headers={"Accept": accept}).content == SMALL, accept
    other = marjan.get(where, headers={"Accept": "image/png"})
    assert other.status_code == 406
    assert fresh.place(other) == "Accept"
    assert marjan.get(where, headers={"Accept": "application/pdf;q=0"}).status_code == 406
    page = base64.b64encode(b"<script>alert(1)</script>").decode()
    for kind in ("text/html", "image/svg+xml", "application/pdf"):
        tree = {"resourceType": "Binary", "contentType": kind, "data": page}
        id_ = marjan.post("Binary", json=tree).json()["id"]
        got = marjan.get(f"Binary/{id_}", headers={"Accept": "*/*"})
        assert got.headers["content-type"] == "application/octet-stream", kind
        assert got.headers["content-disposition"].startswith("attachment")


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"<html></html>", "application/pdf", 422),
        (b"\n%PDF-1.7", "application/pdf", 422),
        (LARGE, "image/png", 422),
        (b"", "application/pdf", 422),
        (b"GIF89a", "image/jpeg", 422),
        (b"<svg/>", "image/svg+xml", 415),
        (b"MZ", "application/x-msdownload", 415),
        (b"plain", "text/plain", 415),
    ],
    ids=["html", "late", "large", "empty", "gif", "svg", "program", "text"],
)
def test_what_is_not_what_it_says_is_not_stored(fresh, content, kind, status):
    marjan = fresh.as_()
    before = fresh.commits(), bodies(fresh)
    answer = marjan.post("Binary", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert fresh.issue(answer)["severity"] == "error"
    assert (fresh.commits(), bodies(fresh)) == before


def test_what_is_too_large_is_told_before_it_is_read(fresh):
    marjan = fresh.as_()
    most = fresh.served.settings().binary_bytes
    address = httpx2.URL(f"{marjan.base_url}Binary")
    line = http.client.HTTPConnection(address.host, address.port, timeout=30)
    headers = {**PDF, "Content-Length": str(most + 1)}
    headers["Authorization"] = marjan.headers["authorization"]
    line.request("POST", address.path, headers=headers)
    answer = line.getresponse()
    issue = orjson.loads(answer.read())["issue"][0]
    line.close()
    assert (answer.status, issue["code"]) == (413, "too-long")
    assert str(most) in issue["diagnostics"]
    json = marjan.post("Binary", json={"resourceType": "Binary", "data": "A" * 2_000_001})
    assert json.status_code == 413


def test_bytes_are_not_sent_on_the_condition_of_a_search(fresh):
    marjan = fresh.as_()
    for answer in (
        marjan.post("Binary", content=SMALL, headers={**PDF, "If-None-Exist": "_id=x"}),
        marjan.put("Binary?_id=x", content=SMALL, headers=PDF),
    ):
        assert answer.status_code == 400
        assert fresh.issue(answer)["code"] == "not-supported"


def test_a_large_document_is_replaced_and_not_patched(fresh):
    marjan = fresh.as_()
    where = sent(marjan, LARGE)
    patch = {"Content-Type": "application/merge-patch+json"}
    answer = marjan.patch(where, content=b'{"contentType":"image/png"}', headers=patch)
    assert answer.status_code == 422
    assert marjan.get(where, headers=AS_PDF).content == LARGE


def test_the_same_request_again_keeps_one_copy(fresh):
    marjan = fresh.as_()
    before = bodies(fresh)
    first = sent(marjan, LARGE, **{"X-Request-ID": "brief-een"})
    kept = bodies(fresh)
    assert sent(marjan, LARGE, **{"X-Request-ID": "brief-een"}) == first
    assert bodies(fresh) == kept == before + 5
    other = marjan.post("Binary", content=pdf(9_000), headers={**PDF, "X-Request-ID": "brief-een"})
    assert other.status_code == 422


def bodies(fresh: Any) -> int:
    """How many sealed bodies the store holds for this dossier."""

    async def work(house: Any) -> int:
        rows = await house.store._scan("SELECT id FROM bodies WHERE client = ?", fresh.id)
        return len(rows)

    return int(fresh.inside(work))


def test_an_upload_that_breaks_off_leaves_nothing(fresh):
    marjan = fresh.as_()
    before = fresh.commits(), bodies(fresh)
    address = httpx2.URL(f"{marjan.base_url}Binary")
    line = http.client.HTTPConnection(address.host, address.port, timeout=30)
    line.putrequest("POST", address.path)
    for name, value in {
        **PDF,
        "Content-Length": str(len(LARGE)),
        "Authorization": marjan.headers["authorization"],
    }.items():
        line.putheader(name, value)
    line.endheaders(LARGE[: 2 * PIECE + 9])
    waited = 0
    while bodies(fresh) == before[1] and waited < 200:
        waited += 1
        time.sleep(0.02)
    assert bodies(fresh) > before[1], "pieces are kept while the rest is under way"
    line.close()
    waited = 0
    while bodies(fresh) > before[1] and waited < 500:
        waited += 1
        time.sleep(0.02)
    assert (fresh.commits(), bodies(fresh)) == before


# --- in a Bundle -------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
def test_a_transaction_brings_a_document_with_its_bytes(fresh, release):
    marjan = fresh.as_(release=release)
    name = f"urn:uuid:{uuid.uuid4()}"
    data = base64.b64encode(LARGE).decode()
    binary = {"resourceType": "Binary", "contentType": "application/pdf", member(release): data}
    entries = [
        {
            "fullUrl": f"urn:uuid:{uuid.uuid4()}",
            "resource": document(fresh, name, release),
            "request": {"method": "POST", "url": "DocumentReference"},
        },
        {
            "fullUrl": name,
            "resource": binary,
            "request": {"method": "POST", "url": "Binary"},
        },
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = marjan.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    reference = marjan.get(answer.json()["entry"][0]["response"]["location"]).json()
    url = reference["content"][0]["attachment"]["url"]
    assert url == f"Binary/{url.removeprefix('Binary/')}"
    assert marjan.get(url, headers=AS_PDF).content == LARGE


def test_our_own_address_becomes_relative_and_others_stay(fresh):
    marjan = fresh.as_()
    where = sent(marjan, SMALL)
    for url, kept in (
        (f"{marjan.base_url}{where}", where),
        (f"{fresh.served.url}/fhir/r4/{where}", where),
        (f"https://elders.example/fhir/r4/{where}", f"https://elders.example/fhir/r4/{where}"),
        (f"{fresh.served.url}.evil.example/fhir/r4/{where}", None),
    ):
        made = marjan.post("DocumentReference", json=document(fresh, url))
        assert made.status_code == 201, made.text
        assert made.json()["content"][0]["attachment"]["url"] == (kept or url)


def test_an_attachment_with_its_bytes_inside_is_served_as_it_is(fresh):
    marjan = fresh.as_()
    data = base64.b64encode(SMALL).decode()
    attachment = {"contentType": "application/pdf", "data": data}
    tree = document(fresh, "") | {"content": [{"attachment": attachment}]}
    made = marjan.post("DocumentReference", json=tree)
    read = marjan.get(f"DocumentReference/{made.json()['id']}").json()
    assert read["content"] == [{"attachment": attachment}]


def test_in_a_history_a_large_document_is_a_part_and_says_so(fresh):
    marjan = fresh.as_()
    for release, system in (
        ("r4", "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"),
        ("stu3", "http://hl7.org/fhir/v3/ObservationValue"),
    ):
        marjan = fresh.as_(release=release)
        where = sent(marjan, LARGE)
        (entry,) = marjan.get(f"{where}/_history").json()["entry"]
        assert entry["resource"]["meta"]["tag"] == [{"system": system, "code": "SUBSETTED"}]
        assert member(release) not in entry["resource"]
        assert entry["resource"]["contentType"] == "application/pdf"


# --- through its document ----------------------------------------------------------------------


def hidden_like_nothing(
    client: httpx2.Client, where: str, raw: bytes, *, may_name: bool = False
) -> None:
    """Every door says the same of this Binary as of one that is not there.

    `may_name`: who represents the client may choose ids, so he may put what is not there.
    """
    nothing = f"Binary/{uuid.uuid4()}"
    known = {**AS_PDF, "If-None-Match": 'W/"1"'}
    for headers in (AS_PDF, AS_JSON, {"Accept": "image/png"}, known):
        for tail in ("", "/_history/1"):
            one, other = (client.get(f"{w}{tail}", headers=headers) for w in (where, nothing))
            assert without_drift(one) == without_drift(other)
            assert one.status_code == 404
    for ask in (
        lambda w: client.head(w, headers=AS_PDF),
        lambda w: client.get(f"{w}/_history"),
        client.delete,
        lambda w: client.put(w, content=raw, headers=PDF),
        lambda w: client.put(w, content=raw, headers={**PDF, "If-Match": 'W/"1"'}),
    ):
        one = ask(where)
        assert one.status_code == 404
        if not may_name:
            assert without_drift(one) == without_drift(ask(nothing))


@pytest.mark.parametrize("raw", [SMALL, LARGE], ids=["small", "large"])
def test_a_document_is_read_by_whoever_may_read_what_refers_to_it(fresh, raw):
    marjan, samira = fresh.as_(), fresh.as_("p-samira")
    where = sent(marjan, raw)
    fresh.grant(to_who="p-samira", categories=["documenten"], actions=["lezen"])
    hidden_like_nothing(samira, where, raw)
    report = {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]}
    kept = marjan.post("DocumentReference", json=document(fresh, where, type=report)).json()["id"]
    hidden_like_nothing(samira, where, raw)
    grant = fresh.grant(to_who="p-samira", categories=["verslagen"], actions=["lezen"])
    assert samira.get(where, headers=AS_PDF).content == raw
    assert base64.b64decode(samira.get(where, headers=AS_JSON).json()["data"]) == raw
    assert marjan.delete(f"DocumentReference/{kept}").status_code == 204
    hidden_like_nothing(samira, where, raw)
    marjan.post("DocumentReference", json=document(fresh, where, type=report))
    assert samira.get(where, headers=AS_PDF).content == raw
    fresh.revoke(grant)
    hidden_like_nothing(samira, where, raw)


def test_nobody_opens_a_document_for_himself_by_pointing_at_it(fresh):
    marjan, samira = fresh.as_(), fresh.as_("p-samira")
    where = sent(marjan, SMALL)
    actions = ["lezen", "toevoegen", "wijzigen"]
    fresh.grant(to_who="p-samira", categories=["documenten"], actions=actions)
    assert samira.post("DocumentReference", json=document(fresh, where)).status_code == 201
    hidden_like_nothing(samira, where, SMALL)
    own = sent(samira, SMALL, **{"X-Security-Context": where})
    hidden_like_nothing(samira, where, SMALL)
    assert samira.get(own, headers=AS_PDF).status_code == 404, "what it names is hidden"


def test_who_brings_a_document_has_it_until_something_hidden_refers_to_it(fresh):
    marjan, samira = fresh.as_(), fresh.as_("p-samira")
    actions = ["lezen", "toevoegen", "wijzigen"]
    fresh.grant(to_who="p-samira", categories=["documenten"], actions=actions)
    where = sent(samira, LARGE)
    assert samira.get(where, headers=AS_PDF).content == LARGE
    again = samira.put(where, content=SMALL, headers=PDF)
    assert again.status_code == 200
    report = {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]}
    marjan.post("DocumentReference", json=document(fresh, where, type=report))
    hidden_like_nothing(samira, where, SMALL)


def test_a_security_context_only_narrows(fresh):
    marjan, samira = fresh.as_(), fresh.as_("p-samira")
    fresh.grant(to_who="p-samira", categories=["documenten"], actions=["lezen"])
    weight = marjan.post("Observation", json=fresh.weight()).json()["id"]
    narrow = sent(marjan, SMALL, **{"X-Security-Context": f"Observation/{weight}"})
    wide = sent(marjan, SMALL, **{"X-Security-Context": f"Patient/{fresh.patient}"})
    hidden_like_nothing(samira, wide, SMALL)
    for where in (narrow, wide):
        marjan.post("DocumentReference", json=document(fresh, where))
    hidden_like_nothing(samira, narrow, SMALL)
    assert samira.get(wide, headers=AS_PDF).content == SMALL
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    seen = samira.get(narrow, headers=AS_PDF)
    assert seen.content == SMALL
    assert seen.headers["x-security-context"] == f"Observation/{weight}"


def test_what_is_sealed_away_from_a_representative_takes_its_bytes_along(fresh):
    marjan = fresh.as_()
    system = fresh.system()
    where = sent(system, SMALL)
    id_ = system.post("DocumentReference", json=document(fresh, where)).json()["id"]
    assert marjan.get(where, headers=AS_PDF).content == SMALL

    async def seal(house: Any) -> None:
        rule = Rule("seal", f"r4/DocumentReference/{id_}", {"label": "alleen-auteur-en-client"})
        await Office(house, fresh.id, "test").set_rules([rule], "test")

    fresh.inside(seal)
    assert marjan.get(f"DocumentReference/{id_}").status_code == 404
    hidden_like_nothing(marjan, where, SMALL, may_name=True)
    listed = marjan.get("_history", params={"_count": 50}).json()
    assert not [e for e in listed["entry"] if e["fullUrl"].endswith(where)]
