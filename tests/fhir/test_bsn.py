"""No BSN is kept, wherever it stands and however it is written; what only looks like one stays."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.fhir import bsn, elfproef, text, validate, xml

DATA = Path(__file__).resolve().parents[2] / "../shared/data/fhir"
SYSTEM = "http://fhir.nl/fhir/NamingSystem/bsn"
OID = "2.16.840.1.113883.2.4.6.3"
NUMBER = "999990019"  # synthetic: the series 9999 is not given out
SHORT = "12345672"  # synthetic: passes with its zero in front
MASKED = {"extension": [{"url": bsn.ABSENT, "valueCode": "masked"}]}


def masked(resource):
    tree = text.parse(json.dumps(resource).encode())
    count = bsn.mask(tree)
    assert bsn.mask(tree) == 0
    return orjson.loads(text.dump(tree)), count


def everything(resource):
    """All digits of a resource, also those inside attachments, without what may separate them."""
    words = json.dumps(resource, ensure_ascii=False)
    for data in re.findall(r'"(?:data|content)": "([^"]*)"', words):
        raw = base64.b64decode(data)
        words += raw.decode("utf-16" if raw[:1] in b"\xff\xfe" else "latin-1")
    return re.sub(r"[^0-9A-Za-z]|\\u[0-9a-f]{4}", "", words)


def b64(words, charset="utf-8"):
    return base64.b64encode(words.encode(charset)).decode()


def attachment(words, kind="text/plain", charset="utf-8"):
    return {"resourceType": "Media", "content": {"contentType": kind, "data": b64(words, charset)}}


def div(inside):
    return {"text": {"div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'}}


N = NUMBER
PLACES = {
    "identifier": {"identifier": [{"system": SYSTEM, "value": N}]},
    "identifier by oid": {"identifier": [{"system": f"urn:oid:{OID}", "value": N}]},
    "identifier by bare oid": {"identifier": [{"system": OID, "value": N}]},
    "identifier, https and capitals": {
        "identifier": [{"system": "https://fhir.nl/fhir/NamingSystem/BSN/", "value": N}]
    },
    "identifier without system": {"identifier": [{"value": N}]},
    "identifier by type": {
        "identifier": [{"type": {"coding": [{"code": "NNNLD"}]}, "system": "urn:x", "value": N}]
    },
    "identifier by words": {"identifier": [{"type": {"text": "BSN"}, "value": "9999.90.019"}]},
    "rendered value": {
        "identifier": [
            {"system": SYSTEM, "_value": {"extension": [{"url": "x", "valueString": N}]}}
        ]
    },
    "logical reference": {"subject": {"identifier": {"system": SYSTEM, "value": N}}},
    "assigner": {"identifier": [{"assigner": {"identifier": {"system": SYSTEM, "value": N}}}]},
    "coding": {"code": {"coding": [{"system": SYSTEM, "code": N}]}},
    "reference": {"subject": {"reference": f"Patient?identifier={SYSTEM}|{N}"}},
    "reference, encoded": {
        "subject": {
            "reference": f"Patient?identifier=http%3A%2F%2Ffhir.nl%2FNamingSystem%2Fbsn%7C{N}"
        }
    },
    "reference, digits encoded": {
        "subject": {"reference": f"Patient?identifier={''.join(f'%3{digit}' for digit in N)}"}
    },
    "reference, some digits encoded": {
        "subject": {"reference": f"https://x.test/Patient?bsn={N[:3]}%3{N[3]}{N[4:]}"}
    },
    "reference by oid": {"subject": {"reference": f"Patient?identifier=urn:oid:{OID}|{N}"}},
    "reference without system": {"subject": {"reference": f"Patient?identifier={N}"}},
    "absolute reference": {"subject": {"reference": f"https://x.test/fhir/Patient?bsn={N}&a=1"}},
    "display": {"subject": {"display": f"J. Jansen ({N})"}},
    "contained": {
        "contained": [{"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": N}]}]
    },
    "narrative": div(f"<p>BSN: {N}</p>"),
    "narrative alone": div(f"<td>{N}</td>"),
    "narrative in a title": div(f'<p title="{N}">x</p>'),
    "narrative over cells": div("<td>BSN</td>\n <td>9999 90 019</td>"),
    "narrative by entities": div("&#57;99990019 en 9999&#160;90&#160;019"),
    "narrative, label behind": div(f"<p>Id {N} (BSN)</p>"),
    "note": {"note": [{"text": f"Mevrouw heeft nummer {N}, zie dossier."}]},
    "note with dots": {"note": [{"text": "nr 9999.90.019."}]},
    "note with dashes": {"note": [{"text": "nr 999-990-019"}]},
    "note with spaces": {"note": [{"text": "nr 999 990 019"}]},
    "note with thin spaces": {"note": [{"text": "nr 999\u2009990\u2009019"}]},
    "note the old way": {"note": [{"text": "nr 99.99.90.019"}]},
    "note with a label and odd spaces": {"note": [{"text": "burgerservicenummer: 9 9999 0019"}]},
    "note with a label stuck on": {"note": [{"text": f"bsn{N}"}]},
    "note with a sofinummer": {"note": [{"text": f"Sofi-nr. {N}"}]},
    "note in a row": {"note": [{"text": f"{N},{N};{N}/{N}"}]},
    "note over lines": {"note": [{"text": f"a\n{N}\nb"}]},
    "full width digits": {"note": [{"text": "".join(chr(ord(digit) + 0xFEE0) for digit in N)}]},
    "hl7v2": {"note": [{"text": f"PID|1||{N}^^^NLMINBIZA^NNNLD"}]},
    "family name": {"name": [{"family": f"Jansen {N}"}]},
    "given name": {"name": [{"given": ["Jan", N]}]},
    "address line": {"address": [{"line": [f"Dorpsstraat 1 {N}"]}]},
    "e-mail": {"telecom": [{"system": "email", "value": f"{N}@x.test"}]},
    "title": {"title": f"Ontslagbrief_{N}"},
    "extension text": {"extension": [{"url": "http://x.test/e", "valueString": N}]},
    "extension number": {"extension": [{"url": "http://x.test/bsn", "valueInteger": int(N)}]},
    "extension code text": {"extension": [{"url": "urn:bsn", "valueMarkdown": "9999.90.019"}]},
    "extension identifier": {
        "extension": [{"url": "x", "valueIdentifier": {"system": SYSTEM, "value": N}}]
    },
    "answer": {"item": [{"text": "Wat is uw BSN?", "answer": [{"valueInteger": int(N)}]}]},
    "quantity answer": {
        "item": [{"text": "BSN", "answer": [{"valueQuantity": {"value": int(N)}}]}]
    },
    "parameter": {"parameter": [{"name": "bsn", "valueString": N}]},
    "attachment title": {"content": [{"attachment": {"title": f"{N}.pdf"}}]},
    "attachment url": {"content": [{"attachment": {"url": f"https://x.test/{N}.pdf"}}]},
    "bundle link": {
        "link": [{"relation": "self", "url": f"https://x.test/Patient?identifier={N}"}]
    },
    "if none exist": {"entry": [{"request": {"ifNoneExist": f"identifier={SYSTEM}|{N}"}}]},
    "attachment": attachment(f"Naam: Jansen\nBSN {N}\n"),
    "attachment alone": attachment(f"{N}\r\n"),
    "attachment in latin-1": attachment(f"Zoë {N}", charset="latin-1"),
    "attachment in utf-16": attachment(f"Zoë {N}", charset="utf-16"),
    "attachment in cda": attachment(
        f'<?xml version="1.0"?><ClinicalDocument><id extension="{N}" root="{OID}"/>'
        f'<id root="{OID}" extension="{N}"/><p>nummer {N}</p></ClinicalDocument>',
        "text/xml",
    ),
    "attachment in fhir": attachment(
        json.dumps(
            {"identifier": [{"system": SYSTEM, "value": N}, {"value": N, "system": SYSTEM}]}
        ),
        "application/fhir+json",
    ),
    "attachment in rtf": attachment(rf"{{\rtf1 \b BSN\b0 : {N}}}", "application/rtf"),
    "attachment without type": {"data": b64(f"BSN {N}")},
    "stu3 binary": {"resourceType": "Binary", "contentType": "text/plain", "content": b64(N)},
    "in a list under a code's name": {"code": [f"a {N}"]},
    "under a name that ends like a code": {'x"code': N},
    "display beside a code": {"code": {"coding": [{"code": "275711006", "display": f"x {N}"}]}},
    "in words spread by a tab": {"note": [{"text": "9999\t90\t019"}]},
    "in words spread by a dash of its own": {"note": [{"text": "999\u2011990\u2011019"}]},
}


@pytest.mark.parametrize("resource", PLACES.values(), ids=PLACES.keys())
def test_it_is_gone_from(resource):
    after, count = masked(resource)
    assert NUMBER not in everything(after)
    assert NUMBER not in str(after)
    assert count >= 1


SHORTS = {
    "labelled": {"note": [{"text": f"BSN {SHORT}"}]},
    "labelled in markdown": {"note": [{"text": f"**BSN:** {SHORT}"}]},
    "labelled with dots": {"note": [{"text": "BSN: 123.45.672"}]},
    "label behind": {"note": [{"text": f"Id {SHORT} (BSN)"}]},
    "identifier by words": {"identifier": [{"type": {"text": "BSN"}, "value": SHORT}]},
    "answer": {"item": [{"text": "Wat is uw BSN?", "answer": [{"valueInteger": int(SHORT)}]}]},
}


@pytest.mark.parametrize("resource", SHORTS.values(), ids=SHORTS.keys())
def test_eight_digits_go_when_they_are_called_a_bsn(resource):
    after, count = masked(resource)
    assert SHORT not in everything(after)
    assert count == 1


STAYS = {
    "snomed code": {
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "275711006"}]}
    },
    "snomed code in words": div('<span title="Serumtest (275711006 - SNOMED CT)">x</span>'),
    "snomed before": {"note": [{"text": "SNOMED CT 275711006"}]},
    "code without system": {"code": {"coding": [{"code": N}]}},
    "other identifier": {"identifier": [{"system": "http://x.test/labnr", "value": N}]},
    "uzi number": {
        "identifier": [{"system": "http://fhir.nl/fhir/NamingSystem/uzi-nr-pers", "value": N}]
    },
    "agb": {"identifier": [{"system": "http://fhir.nl/fhir/NamingSystem/agb-z", "value": SHORT}]},
    "short identifier": {"identifier": [{"value": SHORT}]},
    "telephone": {"telecom": [{"system": "phone", "value": N}]},
    "telephone in words": {"note": [{"text": f"bel +31 {N} of 0031{N} of 06-{SHORT}"}]},
    "id": {"id": N, "subject": {"reference": f"Patient/{N}"}},
    "full url": {"entry": [{"fullUrl": f"https://x.test/fhir/Patient/{N}"}]},
    "query with another system": {"subject": {"reference": f"Patient?identifier=urn:x|{N}"}},
    "lot": {"lotNumber": N},
    "quantity": {"valueQuantity": {"value": int(N), "unit": N}},
    "integer": {"extension": [{"url": "http://x.test/count", "valueInteger": int(N)}]},
    "value code": {"extension": [{"url": "http://x.test/e", "valueCode": N}]},
    "fails the test": {"note": [{"text": "BSN 123456789, 999990018 of 000000000"}]},
    "eight digits": {"note": [{"text": f"order {SHORT}"}]},
    "ten digits": {"note": [{"text": f"0{N} {N}0"}]},
    "in a word": {"note": [{"text": f"NL{N}B01 x{N}"}]},
    "decimal": {"note": [{"text": f"{N}.5 en 1.{N}"}]},
    "oid": {"note": [{"text": f"1.2.{N}.4"}]},
    "dates": {"note": [{"text": "2024-01-02 10:30, 01-02-2024 t/m 12.03.2024"}]},
    "longer row of numbers": {"note": [{"text": "120 999 990 019 140"}]},
    "uuid": {"note": [{"text": "16b3194d-8fdf-11ec-5622-020000999990"}]},
    "picture": div(f'<img src="data:image/png;base64,AAAA+{N}+AA=" alt=""/>'),
    "sampled data": {"valueSampledData": {"origin": {"value": 0}, "data": f"{N} {N}"}},
    "pdf": {"contentType": "application/pdf", "data": b64(N)},
    "codes in a document": attachment(
        f'<?xml version="1.0"?><x><code code="{N}" codeSystem="2.16.840.1.113883.6.96"/></x>',
        "application/xml",
    ),
}


@pytest.mark.parametrize("resource", STAYS.values(), ids=STAYS.keys())
def test_it_is_left_alone(resource):
    after, count = masked(resource)
    assert after == resource
    assert count == 0


@pytest.mark.parametrize(
    "before",
    [";base64,", "BSN;base64,x", "data:image/svg+xml;charset=utf-8;base64,QUFB", "data:;base64,="],
)
def test_what_looks_like_an_embedded_picture_and_is_none_is_text(before):
    after, count = masked({"note": [{"text": f"{before} BSN {N}"}]})
    assert count == 1
    assert N not in everything(after)


def test_the_system_stays_and_the_value_says_why_it_is_absent():
    given = {"use": "official", "system": SYSTEM, "value": N, "period": {"start": "2020"}}
    after, count = masked({"resourceType": "Patient", "identifier": [given]})
    expected = {"use": "official", "system": SYSTEM, "_value": MASKED, "period": {"start": "2020"}}
    assert list(after["identifier"][0].items()) == list(expected.items())
    assert count == 1
    assert validate.validate("r4", text.parse(json.dumps(after).encode())) == ()
    assert validate.validate("stu3", text.parse(json.dumps(after).encode())) == ()


def test_words_around_it_and_number_lexemes_stay():
    raw = b'{"valueDecimal":1.00,"note":[{"text":"voor 999990019 na"}]}'
    tree = text.parse(raw)
    assert bsn.mask(tree) == 1
    assert text.dump(tree).decode() == '{"valueDecimal":1.00,"note":[{"text":"voor ••••••••• na"}]}'


def test_an_attachment_that_changed_has_a_right_size_and_hash():
    words = f"Zoë, BSN {N}."
    given = {"contentType": "text/plain", "data": b64(words), "size": 1, "hash": "x"}
    after, _ = masked({"content": [{"attachment": given}]})
    found = after["content"][0]["attachment"]
    raw = base64.b64decode(found["data"])
    assert raw.decode() == "Zoë, BSN *********."
    assert found["size"] == len(raw)
    digest = hashlib.sha1(raw, usedforsecurity=False).digest()
    assert found["hash"] == base64.b64encode(digest).decode()


def test_the_eleven_test():
    for good in ("999990019", "111222333", "123456782", "012345672", "12345672", "9999.90.019"):
        assert elfproef.valid(good)
    for bad in ("999990018", "000000000", "1234567", "1234567820", "", "abc"):
        assert not elfproef.valid(bad)


def _completed(eight):
    """Eight digits and the ninth that makes the test pass, if there is one."""
    total = sum(w * int(digit) for w, digit in zip(range(9, 1, -1), str(eight), strict=True))
    return f"{eight}{total % 11 % 10}"


@settings(max_examples=200, deadline=None)
@given(
    st.integers(10_000_000, 99_999_999).map(_completed).filter(elfproef.valid),
    st.sampled_from(["code", "display", "text", "value", "div"]),
    st.sampled_from(["{}", "a {}", "{} é", "{}\n", '"{}"', "275711006 {}"]),
    st.sampled_from([{}, {"code": "275711006"}, {"text": "x & y"}]),
)
def test_a_number_that_is_all_of_a_code_hides_no_other(number, name, words, beside):
    given = {"note": [beside | {name: words.replace("{}", number)}], "code": number}
    after, count = masked(given)
    assert (number in json.dumps(after["note"])) == (name == "code")
    assert (after["code"], count > 0) == (number, name != "code")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(10_000_000, 99_999_999).map(_completed).filter(elfproef.valid),
    st.sampled_from(["{}", "BSN {}", "({})", "a {} b", "<b>{}</b>", "x:{}", "{}, {}", "'{}'"]),
)
def test_every_valid_number_goes_from_free_text(number, words):
    hidden, count = elfproef.hide_in_text(words.replace("{}", number))
    assert number not in hidden
    assert count == words.count("{}")


JUNK = st.recursive(
    st.none() | st.booleans() | st.text("bsn 9|=.", max_size=8) | st.just(SYSTEM) | st.just(N),
    lambda one: (
        st.lists(one, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["system", "value", "_value", "type", "url", "data", "contentType", "text"]
            ),
            one,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["identifier", "value", "extension"]), JUNK, max_size=3))
def test_no_junk_makes_it_fall_over_and_twice_is_once(junk):
    tree = text.parse(json.dumps(junk).encode())
    bsn.mask(tree)
    after = text.dump(tree)
    assert bsn.mask(tree) == 0
    assert text.dump(tree) == after


@pytest.mark.outside
def test_in_published_examples_only_persons_numbers_go():
    if not DATA.is_dir():
        pytest.skip("the folder with outside test data is not beside the checkout")
    hits = {}
    for release, folder in (("r4", "Nictiz-R4-zib2020/examples"), ("stu3", "Nictiz-STU3-Zib2017")):
        for file in (DATA / folder).rglob("*.xml"):
            if "xample" not in str(file.parent):
                continue
            tree = xml.from_xml(file.read_bytes(), release)
            numbers = re.findall(rf'"{SYSTEM}","value":"(\d+)"', text.dump(tree).decode())
            if bsn.mask(tree):
                hits[file.name] = tree["resourceType"]
            assert not any(number in text.dump(tree).decode() for number in numbers)
    assert set(hits.values()) == {"Patient"}


SPLIT = {
    "bold": "<p>BSN <b>9999</b>90019</p>",
    "bold, not labelled": "<p>nr <b>9999</b>90019</p>",
    "one digit in italics": "<p><i>9</i>99990019</p>",
    "several, with attributes": (
        '<p><span class="a" style="color: red">999</span><em title="x>y">990</em>019</p>'
    ),
    "in a link": '<p><a href="#top">99999</a>0019</p>',
    "eight digits behind its name": "<p>BSN: 123<b>45672</b></p>",
    "written with dots": "<p>9999<b>.90</b>.019</p>",
    "with a line end": "<p>BSN 9999<b>\n90019</b></p>",
    "comment": "<p>9999<!-- x -->90019</p>",
    "entity of a digit, and bold": "<p><b>9999</b>&#57;0019</p>",
    "entity of what is not seen": "<p>9999&#173;90019 en 99999&#x200b;0019</p>",
    "soft hyphen": "<p>9999\u00ad90019</p>",
    "zero width": "<p>9\u200b9\u200b9\u200b9\u200b9\u200b0\u200b0\u200b1\u200b9</p>",
    "in a cell beside its name": "<table><tr><td>BSN</td><td>9999<b>90019</b></td></tr></table>",
    "with a prefix": '<h:p xmlns:h="http://www.w3.org/1999/xhtml">9999<h:b>90019</h:b></h:p>',
    "twice": "<p>9999<b>90019</b>, 99999<b>0019</b></p>",
}


@pytest.mark.parametrize("inside", SPLIT.values(), ids=SPLIT.keys())
def test_a_number_that_only_a_reader_sees_whole_goes_from_narrative(inside):
    after, count = masked(div(inside))
    told = after["text"]["div"]
    seen = re.sub("<[^<>]*>", "", html.unescape(told).replace('title="x>y"', ""))
    assert not re.search(r"[0-9]", seen)
    assert re.findall("</?[a-z:]+", told) == re.findall("</?[a-z:]+", div(inside)["text"]["div"])
    assert count == told.count("•") // 8


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_a_split_number_goes_from_xml_too(release):
    told = '<div xmlns="http://www.w3.org/1999/xhtml"><p>BSN <b>9999</b>90019</p></div>'
    told = f'<text><status value="generated"/>{told}</text>'
    sent = f'<Patient xmlns="http://hl7.org/fhir">{told}</Patient>'
    tree = xml.from_xml(sent.encode(), release)
    assert bsn.mask(tree) == 1
    assert "<b>••••</b>•••••" in tree["text"]["div"]
    assert validate.validate(release, tree) == ()


NOT_ONE = {
    "cells": "<tr><td>9999</td><td>90019</td></tr>",
    "cells of a grouped number": "<tr><td>999</td><td>990</td><td>019</td></tr>",
    "paragraphs": "<p>9999</p><p>90019</p>",
    "line end": "<p>9999<br/>90019</p>",
    "items": "<li>9999</li><li>90019</li>",
    "fails the test": "<p>BSN <b>9999</b>90018</p>",
    "longer": "<p><b>9999</b>900190</p>",
    "decimal": "<p><b>9999</b>90019.5</p>",
    "telephone": "<p>+31 <b>9999</b>90019</p>",
    "picture between": '<p>9999<img src="#a" alt=""/>90019</p>',
}


@pytest.mark.parametrize("inside", NOT_ONE.values(), ids=NOT_ONE.keys())
def test_what_stands_apart_for_a_reader_is_no_number(inside):
    after, count = masked(div(inside))
    assert (after, count) == (div(inside), 0)


def test_tags_in_plain_text_are_no_markup_and_invisible_characters_split_nothing():
    words = "9999<b>90019</b>"
    assert masked({"note": [{"text": words}]}) == ({"note": [{"text": words}]}, 0)
    after, count = masked({"note": [{"text": "nr 9999\u200b90019."}]})
    assert (after["note"][0]["text"], count) == ("nr ••••\u200b•••••.", 1)


def test_an_attachment_of_html_is_read_as_its_reader_does():
    after, count = masked(attachment("<p>BSN <b>9999</b>90019</p>", "text/html; charset=utf-8"))
    assert count == 1
    assert base64.b64decode(after["content"]["data"]) == b"<p>BSN <b>****</b>*****</p>"


@pytest.mark.parametrize(
    "tag",
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdo",
        "big",
        "cite",
        "code",
        "del",
        "dfn",
        "em",
        "i",
        "ins",
        "kbd",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
        "var",
        "B",
        "h:span",
    ],
)
def test_every_tag_within_a_line_is_seen_through(tag):
    assert masked(div(f"nr <{tag}>9999</{tag}>90019"))[1] == 1
    assert masked(div(f"nr 9999<{tag} class='x'>90019</{tag}>"))[1] == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["", "<b>", "</b>", "<i/>", "<!--x-->", "\u00ad", "&shy;", "\u2060"]),
        min_size=8,
        max_size=8,
    )
)
def test_no_way_to_split_a_number_keeps_it(between):
    words = "nr " + "".join(map("".join, zip(N, [*between, ""], strict=True))) + " einde"
    hidden, count = elfproef.hide_in_narrative(words)
    assert count == 1
    assert not re.search(r"[0-9]", hidden)


def test_an_id_with_encoded_digits_is_read_as_what_it_means():
    encoded = "".join(f"%3{digit}" for digit in N)
    reference = {"reference": f"https://x.test/Practitioner/{encoded}"}
    bsn.mask_reference(reference)
    assert "reference" not in reference
    other = {"reference": "https://x.test/Practitioner/%31%32%33"}
    bsn.mask_reference(other)
    assert other == {"reference": "https://x.test/Practitioner/%31%32%33"}


def test_an_address_without_a_bsn_keeps_its_encoded_digits():
    tree = {"url": "https://x.test/?a=%31%32&bsn=none&time=12%3A30"}
    assert bsn.mask(tree) == 0
    assert tree == {"url": "https://x.test/?a=%31%32&bsn=none&time=12%3A30"}
