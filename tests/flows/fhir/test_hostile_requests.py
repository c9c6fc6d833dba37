"""What comes in crooked: bytes, forms, headers and addresses that mean harm or are just wrong."""

from __future__ import annotations

import gzip
import zlib

import httpx2
import orjson
import pytest

JSON = {"Content-Type": "application/fhir+json"}
SECRET = "zeer-geheime-waarde"
OPEN, SHUT = '{"resourceType":"Basic","code":{"text":"x"}', "}"


def basic(inside: str) -> str:
    """A Basic with something more in it."""
    return f"{OPEN},{inside}{SHUT}"


def nested(depth: int) -> str:
    """Extensions inside each other."""
    return '"extension":[{"url":"http://x.nl/e",' * depth + '"valueString":"x"' + "}]" * depth


BODIES = {
    "nothing": b"",
    "blank": b"  \n",
    "a byte order mark": b"\xef\xbb\xbf" + (OPEN + SHUT).encode(),
    "utf-16": (OPEN + SHUT).encode("utf-16"),
    "latin-1": basic('"language":"caf\xe9"').encode("latin-1"),
    "no object": b'[{"resourceType":"Basic"}]',
    "null": b"null",
    "a text": b'"Basic"',
    "two values": (OPEN + SHUT).encode() * 2,
    "a last comma": (OPEN + "," + SHUT).encode(),
    "half": OPEN.encode(),
    "a comment": (OPEN + "/* x */" + SHUT).encode(),
    "single quotes": b"{'resourceType':'Basic'}",
    "the same member twice": basic(f'"id":"{SECRET}","id":"b"').encode(),
    "the same member twice inside": basic('"meta":{"tag":[{"code":"a","code":"b"}]}').encode(),
    "the same member escaped": basic('"id":"a","\\u0069d":"b"').encode(),
    "NaN": basic('"extension":[{"url":"u","valueDecimal":NaN}]').encode(),
    "Infinity": basic('"extension":[{"url":"u","valueDecimal":-Infinity}]').encode(),
    "minus zero": basic('"extension":[{"url":"u","valueDecimal":-0}]').encode(),
    "an endless number": basic(f'"extension":[{{"url":"u","valueInteger":{"9" * 5000}}}]').encode(),
    "65 bits": basic(f'"extension":[{{"url":"u","valueInteger":{2**64}}}]').encode(),
    "an endless exponent": basic('"extension":[{"url":"u","valueDecimal":1e999999}]').encode(),
    "a leading zero": basic('"extension":[{"url":"u","valueInteger":007}]').encode(),
    "half a pair": basic('"language":"\\ud800"').encode(),
    "a null character": basic('"language":"a\\u0000b"').encode(),
    "a raw line end": basic('"language":"a\nb"').encode(),
    "too deep": basic(nested(40)).encode(),
    "absurdly deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "too many members": ("{" + ",".join(f'"m{n}":1' for n in range(300)) + "}").encode(),
    "a long string": basic('"language":"' + "a" * 1_000_001 + '"').encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_good_json_is_400_and_stores_nothing(fresh, name):
    marjan = fresh.as_()
    for method, address in (("POST", "Basic"), ("PUT", "Basic/a"), ("POST", "")):
        answer = marjan.request(method, address, content=BODIES[name], headers=JSON)
        assert answer.status_code == 400, answer.text[:300]
        assert fresh.issue(answer)["severity"] in {"error", "fatal"}
        assert SECRET not in answer.text
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"resourceType": 1},
        {"resourceType": None},
        {"resourceType": ["Basic"]},
        {"resourceType": "Basic", "code": "x"},
        {"resourceType": "Basic", "code": {"text": "x"}, "meta": "x"},
        {"resourceType": "Basic", "code": {"text": "x"}, "meta": []},
        {"resourceType": "Basic", "code": {"text": "x"}, "identifier": {"value": 1}},
        {"resourceType": "Basic", "code": {"text": "x"}, "contained": [[]]},
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": "Patient/1"},
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": {}}},
        {"resourceType": "Basic", "code": {"text": "x"}, "extension": [None]},
        {"resourceType": "Basic", "code": {"text": "x"}, "text": {"div": "<div/>"}},
        {"resourceType": "Basic", "code": {"text": "x"}, "contained": [{"resourceType": "Foo"}]},
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "urn:uuid:x"}},
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Group?a=b"}},
        {"resourceType": "Basic", "code": {"text": "x"},
         "subject": {"reference": "javascript:alert(1)"}},
    ],
    ids=lambda one: orjson.dumps(one).decode()[:80],
)  # fmt: skip
def test_a_body_that_is_no_resource_is_refused_also_in_a_bundle(fresh, tree):
    marjan = fresh.as_()
    alone = marjan.post("Basic", json=tree)
    assert alone.status_code in {400, 422}, alone.text
    assert fresh.issue(alone)["diagnostics"]
    entry = {"resource": tree, "request": {"method": "POST", "url": "Basic"}}
    for kind in ("transaction", "batch"):
        whole = marjan.post("", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        if kind == "batch":
            (one,) = whole.json()["entry"]
            assert one["response"]["status"] in {"400", "422"}
            places = [issue["expression"][0] for issue in one["response"]["outcome"]["issue"]]
        else:
            assert whole.status_code in {400, 422}, whole.text
            places = [issue["expression"][0] for issue in whole.json()["issue"]]
        assert all(place.startswith("Bundle.entry[0].resource") for place in places)
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    "media",
    [
        "",
        "text/plain",
        "text/html",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/fhir+json; charset=utf-16",
        "application/fhir+json; charset=iso-8859-1",
        "application/fhir+jsonx",
        "application/fhir+turtle",
        "json",
        "*/*",
    ],
)
def test_a_body_of_another_kind_is_415(fresh, media):
    marjan = fresh.as_()
    body = (OPEN + SHUT).encode()
    for method, address in (("POST", "Basic"), ("PUT", "Basic/a"), ("POST", "")):
        answer = marjan.request(method, address, content=body, headers={"Content-Type": media})
        assert answer.status_code == 415
        assert fresh.issue(answer)["code"] == "not-supported"
    search = marjan.post("Basic/_search", content=b"_id=a", headers={"Content-Type": media})
    assert search.status_code == (200 if "form-urlencoded" in media else 415)
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    "media",
    [
        "application/fhir+json",
        "application/json",
        "application/json+fhir",
        "Application/FHIR+JSON; Charset=UTF-8",
        'application/fhir+json; charset="utf-8"',
        "application/fhir+json; fhirVersion=4.0",
    ],
)
def test_json_by_its_usual_names_is_taken(fresh, media):
    body = (OPEN + SHUT).encode()
    answer = fresh.as_().post("Basic", content=body, headers={"Content-Type": media})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("accept", "query", "release", "status"),
    [
        ("application/fhir+json", "", "r4", 200),
        ("*/*", "", "r4", 200),
        ("application/*", "", "r4", 200),
        ("text/turtle, application/fhir+json;q=0.2", "", "r4", 200),
        ("text/turtle, */*;q=0.1", "", "r4", 200),
        ("application/fhir+json; fhirVersion=4.0", "", "r4", 200),
        ("application/fhir+json; fhirVersion=3.0", "", "stu3", 200),
        ("application/fhir+json; fhirVersion=3.0", "", "r4", 406),
        ("application/fhir+json; fhirVersion=4.0", "", "stu3", 406),
        ("text/turtle", "", "r4", 406),
        ("text/turtle", "_format=json", "r4", 200),
        ("text/turtle", "_format=application/fhir%2Bjson", "r4", 200),
        ("text/turtle", "_format=application/fhir+json", "r4", 200),
        ("application/fhir+json", "_format=ttl", "r4", 406),
    ],
)
def test_an_answer_comes_in_a_form_that_is_asked_or_not_at_all(
    fresh, accept, query, release, status
):
    answer = fresh.as_(release=release).get(f"Basic?{query}", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"].startswith("application/fhir+json")
        assert answer.json()["link"][0]["url"].endswith("/Basic")


def test_a_body_of_the_other_release_is_not_taken(fresh):
    media = {"Content-Type": "application/fhir+json; fhirVersion=3.0"}
    answer = fresh.as_().post("Basic", content=(OPEN + SHUT).encode(), headers=media)
    assert answer.status_code in {406, 415}
    assert fresh.commits() == 2


def test_a_body_may_be_zipped_but_not_be_a_bomb(fresh):
    marjan = fresh.as_()
    body = (OPEN + SHUT).encode()
    zipped = JSON | {"Content-Encoding": "gzip"}
    assert marjan.post("Basic", content=gzip.compress(body), headers=zipped).status_code == 201
    bomb = gzip.compress(b" " * 20_000_000)
    assert marjan.post("Basic", content=bomb, headers=zipped).status_code == 413
    assert marjan.post("Basic", content=body, headers=zipped).status_code == 400
    deflated = JSON | {"Content-Encoding": "deflate"}
    assert marjan.post("Basic", content=zlib.compress(body), headers=deflated).status_code == 415
    assert marjan.get("Basic").json()["total"] == 1


def test_a_body_has_a_largest_size(fresh):
    marjan = fresh.as_()
    large = basic('"text":{"status":"generated","div":"' + "a" * 2_100_000 + '"}').encode()
    assert marjan.post("Basic", content=large, headers=JSON).status_code == 413

    def chunks():
        for at in range(0, len(large), 100_000):
            yield large[at : at + 100_000]

    assert marjan.post("Basic", content=chunks(), headers=JSON).status_code == 413
    bundle = b'{"resourceType":"Bundle","type":"batch","entry":[' + b" " * 5_100_000 + b"]}"
    assert marjan.post("", content=bundle, headers=JSON).status_code == 413
    assert fresh.commits() == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Basic/%2e%2e/%2e%2e", 400),
        ("Basic/..%2f..%2f", 400),
        ("Basic/a%00b", 400),
        ("Basic/a%0d%0aX: y", 400),
        ("Basic/a%2Fb", 404),
        ("Basic/%F0%9F%98%80", 404),
        ("Basic/a b", 404),
        ("Basic/'; DROP TABLE res;--", 404),
        ("Basic?_id=" + "a" * 9000, 414),
        ("Basic/" + "a" * 9000, 414),
    ],
)
def test_a_crooked_address_is_refused(fresh, path, status):
    with httpx2.Client(headers=fresh.as_().headers) as client:
        answer = client.get(f"{fresh.as_().base_url}{path}")
    assert answer.status_code in {status, 400}
    assert "DROP" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "code=' OR 1=1 --",
        "_id=' OR '1'='1",
        "code=%00",
        "identifier=\\|\\,\\$",
        "code=\\",
        "_sort=(select 1)",
        "date=9999999-99-99",
        "date=eq",
        "value-quantity=1e999",
        "value-quantity=" + "9" * 400,
        "_lastUpdated=0000-00-00",
        "code=" + "%" * 3,
        "code:=x",
        ":missing=true",
        "=x",
        "_include=:::",
        "_include=Basic",
        "_count=" + "9" * 30,
        "_cursor=../../etc/passwd",
    ],
)
def test_a_crooked_search_is_answered_or_refused_but_never_breaks(fresh, query):
    marjan = fresh.as_()
    marjan.post("Observation", json=fresh.weight())
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        marjan.get(f"Observation?{query}"),
        marjan.post("Observation/_search", content=query, headers=form),
    ):
        assert answer.status_code in {200, 400, 404, 422}, answer.text
        if answer.status_code == 200 and "_count" not in query:
            assert answer.json()["total"] == 0
        assert "sqlite" not in answer.text.lower()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer x", 401),
        ("Basic eDp5", 401),
        ("Bearer", 400),
        (f"Bearer {SECRET * 100}", 400),
    ],
)
def test_without_a_good_token_there_is_nothing(fresh, sent, status):
    headers = {} if sent is None else {"Authorization": sent}
    for method, path in (
        ("GET", "Basic"),
        ("GET", "Basic/a"),
        ("POST", "Basic"),
        ("POST", ""),
        ("GET", "$wie-keek"),
    ):
        answer = httpx2.request(method, f"{fresh.as_().base_url}{path}", headers=headers)
        assert answer.status_code == status
        assert fresh.issue(answer)["code"] in {"login", "invalid"}
        challenge = answer.headers.get("www-authenticate", "")
        assert challenge.startswith("Bearer") is (status == 401)
        assert SECRET not in answer.text


def test_every_call_that_is_wrong_in_itself_leaves_exactly_one_line(fresh):
    marjan = fresh.as_()

    async def lines(house):
        return [entry async for entry in house.trail.read(fresh.id, 0, None)]

    def made(*calls):
        before = len(fresh.inside(lines))
        for call in calls:
            assert call().status_code >= 400
            after = fresh.inside(lines)
            assert len(after) == before + 1, after[-2:]
            before = len(after)

    made(
        lambda: marjan.post("Basic", content=b"{", headers=JSON),
        lambda: marjan.post("Basic", content=b"{}", headers={"Content-Type": "text/plain"}),
        lambda: marjan.post("", content=b"{}", headers=JSON),
        lambda: marjan.get("Basic?kleur=rood"),
        lambda: marjan.get("Basic?identifier=999990019"),
        lambda: marjan.get("Basic", headers={"Accept": "text/turtle"}),
        lambda: marjan.get("Basic?_cursor=x"),
        lambda: marjan.put("Basic/a", json={"resourceType": "Basic", "id": "b"}),
        lambda: marjan.get("Basic/nergens"),
        lambda: fresh.as_("p-anja").post("Basic", content=b"{", headers=JSON),
    )
    kept = fresh.inside(lines)
    assert "999990019" not in "".join(map(repr, kept))
