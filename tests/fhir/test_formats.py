"""Which form is answered and read, told by headers and parameters alone."""

import orjson
import pytest

from pgo.errors import BadRequest, BadValue, NotAcceptable, UnsupportedMedia
from pgo.fhir.formats import Format, answer_format, lenient_format, reader
from pgo.fhir.xml import from_xml
from pgo.web import render

ANSWERED = [
    ("", "", "json"),
    ("*/*", "", "json"),
    ("application/*", "", "json"),
    ("application/json", "", "json"),
    ("application/fhir+json", "", "json"),
    ("application/json+fhir", "", "json"),
    ("text/json", "", "json"),
    ("application/fhir+xml", "", "xml"),
    ("application/xml+fhir", "", "xml"),
    ("APPLICATION/FHIR+XML", "", "xml"),
    ("application/xml", "", "xml"),
    ("text/xml; charset=utf-8", "", "xml"),
    ("application/fhir+xml, application/fhir+json", "", "xml"),
    ("application/fhir+json, application/fhir+xml", "", "json"),
    ("application/fhir+xml;q=0.5, application/fhir+json;q=0.9", "", "json"),
    ("application/fhir+json;q=0.5, application/fhir+xml", "", "xml"),
    ("*/*, application/fhir+xml", "", "xml"),
    ("*/*;q=0.1, application/fhir+xml;q=0.2", "", "xml"),
    ("application/fhir+json;q=0, */*", "", "xml"),
    ("application/fhir+xml;q=0, */*", "", "json"),
    ("application/fhir+xml;q=0, application/fhir+json;q=0.001", "", "json"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", "json"),
    ("application/pdf, */*;q=0.1", "", "json"),
    ("image/png, application/fhir+xml;q=nonsense", "", "xml"),
    ("application/fhir+json", "xml", "xml"),
    ("application/fhir+xml", "json", "json"),
    ("image/png", "application/fhir+xml", "xml"),
    ("image/png", "application/fhir xml", "xml"),  # a plus that became a space
    ("", "text/xml", "xml"),
    ("", "html", "json"),
    ("", "text/json", "json"),
]


@pytest.mark.parametrize(("accept", "wanted", "kind"), ANSWERED)
def test_the_form_of_an_answer(accept, wanted, kind):
    pairs = [("_format", wanted)] if wanted else []
    assert answer_format(accept, pairs, "r4").kind == kind


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("image/png", ""),
        ("application/fhir+turtle", ""),
        ("application/fhir+json;q=0", ""),
        ("application/fhir+json;q=0, application/fhir+xml;q=0, */*", ""),
        ("*/*;q=0", ""),
        ("", "ttl"),
        ("application/fhir+json", "SECRET"),
        ("application/fhir+json; fhirVersion=3.0", ""),
        ("application/fhir+json; fhirVersion=5.0", ""),
        ("", "application/fhir+xml; fhirVersion=3.0"),
    ],
)
def test_what_is_not_offered_is_not_acceptable(accept, wanted):
    pairs = [("_format", wanted)] if wanted else []
    with pytest.raises(NotAcceptable) as caught:
        answer_format(accept, pairs, "r4")
    assert "SECRET" not in f"{caught.value.detail}{caught.value.place}"
    assert lenient_format(accept, pairs, "r4") == Format()


@pytest.mark.parametrize(
    ("release", "version", "good"),
    [
        ("r4", "4.0", True),
        ("r4", "4.0.1", True),
        ("r4", "3.0", False),
        ("r4", "4.3", False),
        ("stu3", "3.0", True),
        ("stu3", "3.0.2", True),
        ("stu3", "3.0.1", True),
        ("stu3", "4.0", False),
        ("stu3", "1.0", False),
    ],
)
def test_the_release_in_a_media_type_is_that_of_the_address(release, version, good):
    accept = f'application/fhir+xml; fhirVersion="{version}"'
    if good:
        form = answer_format(accept, [], release)
        expected = f"application/fhir+xml; fhirVersion={version}; charset=utf-8"
        assert form.media == expected.encode()
        assert reader(accept, release) == "xml"
        return
    with pytest.raises(NotAcceptable):
        answer_format(accept, [], release)
    with pytest.raises(UnsupportedMedia):
        reader(accept, release)


def test_medmij_answers_another_release_with_400_and_a_challenge():
    accept = "application/fhir+json; fhirVersion=4.0"
    for work in (
        lambda: answer_format(accept, [], "stu3", medmij=True),
        lambda: reader(accept, "stu3", medmij=True),
    ):
        with pytest.raises(BadRequest) as caught:
            work()
        assert caught.value.status == 400
        assert 'error="invalid_request"' in caught.value.headers["WWW-Authenticate"]
    either = f"{accept}, application/fhir+xml; fhirVersion=3.0"
    assert answer_format(either, [], "stu3", medmij=True).kind == "xml"


def test_pretty_is_true_or_false():
    assert answer_format("", [("_pretty", "true")], "r4").pretty
    assert not answer_format("", [("_pretty", "false")], "r4").pretty
    for wrong in ("", "yes", "TRUE"):
        with pytest.raises(BadValue):
            answer_format("", [("_pretty", wrong)], "r4")
    with pytest.raises(BadValue):
        answer_format("", [("_format", "xml"), ("_format", "json")], "r4")


def test_a_very_long_accept_header_is_refused():
    with pytest.raises(BadRequest):
        answer_format(",".join(["a/b"] * 51), [], "r4")


def test_the_same_text_in_every_form():
    raw = b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}'
    assert Format().body(raw, "r4") is raw
    laid_out = Format("json", pretty=True).body(raw, "r4")
    assert b"\n" in laid_out
    assert b"1.00" in laid_out
    assert orjson.loads(laid_out) == orjson.loads(raw)
    assert b'<value value="1.00"/>' in Format("xml").body(raw, "r4")


@pytest.mark.parametrize(
    ("sent", "how"),
    [
        ("application/fhir+json", "json"),
        ("application/json; charset=UTF-8", "json"),
        ("application/json+fhir", "json"),
        ("text/json", "json"),
        ("application/fhir+xml;charset=utf-8", "xml"),
        ("application/xml", "xml"),
        ("text/xml", "xml"),
        ("application/json-patch+json", "json-patch"),
        ("application/merge-patch+json", "merge-patch"),
        ("application/x-www-form-urlencoded", "form"),
    ],
)
def test_how_a_body_is_read(sent, how):
    assert reader(sent, "r4") == how


@pytest.mark.parametrize(
    "sent",
    ["", "json", "xml", "text/html", "text/plain", "*/*", "application/fhir+json; charset=utf-16"],
)
def test_a_body_of_another_kind_is_refused(sent):
    with pytest.raises(UnsupportedMedia):
        reader(sent, "r4")


@pytest.mark.parametrize("place", ["Observation.status", "a\x00b", "\uffff"])
def test_an_error_is_drawn_in_the_form_asked_for_unless_no_xml_can_hold_it(place):
    answer = render(BadValue("No.", place=place), "fhir", form=Format("xml"), release="stu3")
    kind = dict(answer.headers)[b"content-type"]
    if place == "Observation.status":
        assert kind == b"application/fhir+xml; charset=utf-8"
        tree = from_xml(answer.body, "stu3")
        assert tree["issue"][0]["expression"] == [place]
    else:
        assert kind == b"application/fhir+json; charset=utf-8"
        assert orjson.loads(answer.body)["issue"][0]["expression"] == [place]
