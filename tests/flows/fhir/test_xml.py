"""XML and JSON over HTTP: the same content in the form that is asked for, errors included."""

from __future__ import annotations

from pathlib import Path

import httpx2
import orjson
import pytest

from pgo.fhir import text
from pgo.fhir.xml import from_xml
from pgo.fhir.xml_out import to_xml

DATA = Path(__file__).resolve().parents[3] / "../shared/data/fhir"
XML = {"Accept": "application/fhir+xml", "Content-Type": "application/fhir+xml"}
NS = 'xmlns="http://hl7.org/fhir"'
RELEASES = ["r4", "stu3"]


def as_xml(resource, release="r4") -> bytes:
    return to_xml(text.parse(orjson.dumps(resource)), release)


def as_json(answer: httpx2.Response, release="r4"):
    assert answer.headers["content-type"].startswith("application/fhir+xml"), answer.text
    return orjson.loads(text.dump(from_xml(answer.content, release)))


@pytest.mark.parametrize("release", RELEASES)
def test_what_comes_in_as_xml_is_there_as_json_to_the_digit(fresh, release):
    marjan = fresh.as_(release=release)
    raw = as_xml(fresh.weight(), release).replace(b'value="21"', b'value="21.00"')
    made = marjan.post("Observation", content=raw, headers=XML)
    assert made.status_code == 201, made.text
    id_ = as_json(made, release)["id"]
    kept = marjan.get(f"Observation/{id_}")
    assert '"value":21.00' in kept.text
    assert kept.json() | {"id": "", "meta": {}} == fresh.weight() | {"id": "", "meta": {}}
    put = marjan.put(f"Observation/{id_}", content=as_xml(kept.json(), release), headers=XML)
    assert (put.status_code, put.headers["etag"]) == (200, 'W/"2"')


@pytest.mark.parametrize("release", RELEASES)
def test_every_answer_is_the_same_in_both_forms(fresh, release):
    marjan = fresh.as_(release=release)
    id_ = marjan.post("Observation", json=fresh.weight("21.50")).json()["id"]
    marjan.post("Observation", json=fresh.weight())
    for address in (
        "metadata",
        f"Observation/{id_}",
        f"Observation/{id_}/_history",
        f"Observation/{id_}/_history/1",
        "Observation?_sort=date&_count=1",
        "Observation/_history",
        "_history",
        "Observation/nergens",
        "Observation?kleur=rood",
        "nergens",
    ):
        one = marjan.get(address, headers={"Accept": "application/fhir+json"})
        other = marjan.get(address, headers={"Accept": "application/fhir+xml"})
        assert one.headers["content-type"] == "application/fhir+json; charset=utf-8"
        assert other.headers["content-type"] == "application/fhir+xml; charset=utf-8"
        assert one.status_code == other.status_code
        assert one.headers.get("etag") == other.headers.get("etag")
        left, right = one.json(), as_json(other, release)
        for cursor in (one, other):
            assert "_cursor=" in cursor.text or "_count" not in address
        assert without_next(left) == without_next(right)


def without_next(bundle):
    links = [link for link in bundle.pop("link", []) if link["relation"] != "next"]
    return bundle | {"link": links}


def test_a_batch_in_xml_is_answered_in_xml(fresh):
    request = {"method": "POST", "url": "Observation"}
    entry = {"resource": fresh.weight(), "request": request}
    wrong = {"resource": fresh.weight(status="zzz"), "request": request}
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [entry, wrong]}
    answer = fresh.as_().post("", content=as_xml(sent), headers=XML)
    first, second = as_json(answer)["entry"]
    assert (first["response"]["status"], second["response"]["status"]) == ("201", "422")
    assert second["response"]["outcome"]["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("query", "accept", "media"),
    [
        ("_format=xml", "application/fhir+json", "application/fhir+xml"),
        ("_format=json", "application/fhir+xml", "application/fhir+json"),
        ("_format=application/fhir%2Bxml", "", "application/fhir+xml"),
        ("_format=application/fhir+xml", "*/*", "application/fhir+xml"),
        ("", "text/html,application/xml;q=0.9,*/*;q=0.8", "application/fhir+json"),
        ("", "application/fhir+json;q=0.4, application/fhir+xml;q=0.6", "application/fhir+xml"),
        ("", "application/fhir+xml; fhirVersion=4.0", "application/fhir+xml; fhirVersion=4.0"),
    ],
)  # fmt: skip
def test_the_form_that_is_asked_for(fresh, query, accept, media):
    for address in ("Observation", "Observation/nergens", "metadata"):
        answer = fresh.as_().get(f"{address}?{query}", headers={"Accept": accept})
        assert answer.headers["content-type"] == f"{media}; charset=utf-8"
    assert query.partition("=")[0] not in answer.text or not query


def test_a_search_in_a_form_may_name_the_form_of_its_answer(fresh):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for asked, status in (("status=final", 200), ("kleur=rood", 400)):
        answer = fresh.as_().post(
            "Observation/_search", content=f"{asked}&_format=xml", headers=form
        )
        assert answer.status_code == status
        as_json(answer)


@pytest.mark.parametrize("release", RELEASES)
def test_what_nobody_offers_is_not_acceptable_and_said_so_in_json(fresh, release):
    other = {"r4": "3.0", "stu3": "4.0"}[release]
    for headers, query in (
        ({"Accept": "image/png"}, ""),
        ({"Accept": "application/fhir+turtle"}, ""),
        ({"Accept": f"application/fhir+json; fhirVersion={other}"}, ""),
        ({}, "?_format=ttl"),
    ):
        for address in ("Observation", "metadata"):
            answer = fresh.as_(release=release).get(f"{address}{query}", headers=headers)
            assert answer.status_code == 406
            assert fresh.issue(answer)["code"] == "not-supported"
            assert fresh.place(answer) == ("_format" if query else "Accept")


def test_pretty_is_for_people(fresh):
    marjan = fresh.as_()
    id_ = marjan.post("Observation", json=fresh.weight("21.50")).json()["id"]
    plain = marjan.get(f"Observation/{id_}")
    laid_out = marjan.get(f"Observation/{id_}?_pretty=true")
    assert plain.text.count("\n") == 0
    assert laid_out.text.count("\n") > 10
    assert laid_out.json() == plain.json()
    in_xml = marjan.get(f"Observation/{id_}?_pretty=true&_format=xml")
    assert in_xml.text.count("\n") > 10
    assert as_json(in_xml) == plain.json()
    assert marjan.get(f"Observation/{id_}?_pretty=ja").status_code == 400


def test_head_has_the_length_of_the_form(fresh):
    answers = [
        fresh.as_().head("Observation", headers={"Accept": f"application/fhir+{form}"})
        for form in ("json", "xml")
    ]
    assert len({answer.headers["content-length"] for answer in answers}) == 2
    assert all(answer.content == b"" for answer in answers)


LOL = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 9))
ELSEWHERE = "http://127.0.0.1:1/x"


def declared(entities, inside=""):
    return f"<!DOCTYPE x {entities}><Patient {NS}>{inside}</Patient>"


HOSTILE = {
    "billion laughs": declared(f'[<!ENTITY l0 "lol">{LOL}]', '<id value="&l8;"/>'),
    "a file": declared('[<!ENTITY e SYSTEM "file:///etc/passwd">]', "&e;"),
    "a dtd elsewhere": declared(f'SYSTEM "{ELSEWHERE}"'),
    "a parameter entity": declared(f'[<!ENTITY % p SYSTEM "{ELSEWHERE}"> %p;]'),
    "xinclude": f'<Patient {NS}><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" '
    'href="/etc/passwd" parse="text"/></Patient>',
    "a stylesheet": f'<?xml-stylesheet href="{ELSEWHERE}"?><Patient {NS}><SECRET/></Patient>',
    "too deep": f"<Patient {NS}>" + '<extension url="u">' * 5000 + "</extension>" * 5000,
    "not closed": f"<Patient {NS}>",
    "json": "{}",
    "nothing": "",
    "no namespace": "<Patient/>",
    "unknown": f"<Secret {NS}/>",
    "utf-16": f'<?xml version="1.0" encoding="utf-16"?><Patient {NS}/>',
}


@pytest.mark.parametrize("text_", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("address", ["Patient", ""], ids=["resource", "bundle"])
def test_hostile_xml_is_refused_and_not_repeated(fresh, text_, address):
    answer = fresh.as_().post(address, content=text_.encode(), headers=XML)
    assert answer.status_code == 400
    issue = as_json(answer)["issue"][0]
    assert issue["code"] in {"structure", "value"}
    for word in ("root:", "SECRET", "passwd", "lollol"):
        assert word not in answer.text
    assert fresh.commits() == 2


def test_a_script_in_narrative_is_refused_in_both_forms(fresh):
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>'
    bad = fresh.weight(text={"status": "generated", "div": div})
    marjan = fresh.as_()
    assert marjan.post("Observation", json=bad).status_code == 422
    sent = marjan.post("Observation", content=as_xml(bad), headers=XML)
    assert sent.status_code == 422
    assert "alert" not in sent.text


def test_a_bsn_in_xml_is_masked_before_it_is_kept(fresh):
    raw = f"""<Observation {NS}><status value="final"/><code><text value="x"/></code>
      <subject><identifier><system value="http://fhir.nl/fhir/NamingSystem/bsn"/>
      <value value="999990019"/></identifier></subject></Observation>"""
    marjan = fresh.as_()
    made = marjan.post("Observation", content=raw.encode(), headers=XML)
    assert made.status_code == 201, made.text
    for answer in (made, marjan.get("Observation"), marjan.get("Observation?_format=xml")):
        assert "999990019" not in answer.text
    assert "masked" in made.text


def test_a_body_of_another_kind_is_refused(fresh):
    for media in ("text/plain", "application/fhir+turtle", "application/json-patch+json"):
        answer = fresh.as_().post("Observation", content=b"{}", headers={"Content-Type": media})
        assert answer.status_code == 415


@pytest.mark.outside
@pytest.mark.skipif(not DATA.is_dir(), reason="the folder with outside data is not there")
def test_published_examples_go_in_as_xml_and_come_out_the_same(fresh):
    """A sample of each kind; `tests/fhir/test_xml_out.py` has them all, without HTTP."""
    linde = fresh.system()
    paths = sorted((DATA / "Nictiz-R4-zib2020/examples").glob("*.xml"))[::12]
    assert len(paths) > 15
    kept = 0
    for path in paths:
        tree = from_xml(path.read_bytes(), "r4")
        tree.pop("subject", None)
        tree.pop("patient", None)
        tree.pop("id", None)
        made = linde.post(tree["resourceType"], content=to_xml(tree, "r4"), headers=XML)
        if made.status_code != 201:
            assert made.status_code in {403, 422}, (path, made.text)
            continue
        kept += 1
        where = made.headers["location"]
        again = linde.get(where, headers={"Accept": "application/fhir+xml"})
        back = from_xml(again.content, "r4")
        for one in (back, tree):
            for name in ("id", "meta", "text"):
                one.pop(name, None)
        assert text.dump(back) == text.dump(tree), path
    assert kept > 10
