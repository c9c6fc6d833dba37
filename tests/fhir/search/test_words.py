"""`_text` and `_content`: words of the narrative, and of everything in a resource."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.fhir import index, words

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">'
TREE = {
    "resourceType": "Condition",
    "id": "zoekid",
    "meta": {"profile": ["http://e/profiel"], "versionId": "7"},
    "text": {"status": "generated", "div": f"{XHTML}<b>Hoofd</b>pijn &amp; koorts<br/>Zoë</div>"},
    "code": {"coding": [{"system": "urn:oid:1.2.3", "code": "25064002", "display": "Hoofdpijn"}],
             "text": "pijn in het hoofd"},
    "subject": {"reference": "Patient/verborgen", "display": "Anna de Vries"},
    "onsetDateTime": "2024-05-06",
    "note": [{"text": "Koorts sinds MAANDAG", "time": "2024-05-06T10:00:00+02:00"}],
    "extension": [{"url": "http://e/toevoeging", "valueString": "bijzonder"}],
}  # fmt: skip


def test_the_words_of_a_narrative_are_folded_and_said_once():
    assert words.narrative(TREE) == " hoofd pijn koorts zoe "


def test_the_content_has_the_words_that_the_narrative_has_not():
    expected = " 25064002 hoofdpijn in het anna de vries sinds maandag bijzonder "
    assert words.content(TREE) == expected


@pytest.mark.parametrize(("release", "member"), [("r4", "data"), ("stu3", "content")])
def test_the_bytes_of_a_document_are_no_words(release, member):
    tree = {"resourceType": "Binary", "contentType": "application/pdf", member: "JVBERi0xLjQK"}
    assert "wds" not in index.rows(release, tree)


def test_the_title_of_a_document_is():
    tree = {"resourceType": "DocumentReference", "content": [{"attachment": {"title": "Brief"}}]}
    assert words.content(tree) == " brief "


def test_nothing_to_say_is_no_row():
    assert words.narrative({}) == words.content({"status": True}) == ""
    assert "wds" not in index.rows("r4", {"resourceType": "Condition"})
    only_text = {"resourceType": "Condition", "text": TREE["text"]}
    assert [row[0] for row in index.rows("r4", only_text)["wds"]] == ["_text"]


@pytest.fixture
def conditions(r4):
    r4.put(TREE, {**TREE, "id": "bare", "text": {"status": "empty"}}, {
        "resourceType": "Condition", "id": "other", "note": [{"text": "moe"}]})  # fmt: skip
    return r4


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("_text", "koorts"), ["zoekid"]),
        (("_text", "KOORTS"), ["zoekid"]),
        (("_text", "koo"), ["zoekid"]),
        (("_text", "oorts"), []),
        (("_text", "pijn koorts"), ["zoekid"]),
        (("_text", "pijn moe"), []),
        (("_text", "zoë"), ["zoekid"]),
        (("_text", "maandag"), []),
        (("_text", "maandag,koorts"), ["zoekid"]),
        (("_text:missing", "true"), ["bare", "other"]),
        (("_content", "koorts"), ["zoekid", "bare"]),
        (("_content", "maandag"), ["zoekid", "bare"]),
        (("_content", "koorts maandag"), ["zoekid", "bare"]),
        (("_content", "25064002"), ["zoekid", "bare"]),
        (("_content", "moe,zoe"), ["zoekid", "other"]),
        (("_content", "verborgen"), []),
        (("_content", "toevoeging"), []),
        (("_content", "profiel"), []),
        (("_content", "zoekid"), []),
        (("_content", "2024"), []),
    ],
)
def test_every_word_must_be_there_or_begin_one(conditions, pair, expected):
    assert conditions.ask("Condition", pair) == expected


def test_words_are_no_way_round_what_is_shut(conditions):
    shut = frozenset({"_content"})
    assert conditions.ask("Condition", ("_content", "koorts"), blind=lambda _: shut) == []
    assert conditions.ask("Condition", ("_text", "koorts"), blind=lambda _: shut) == ["zoekid"]


@given(st.text(max_size=60))
def test_any_text_is_words_that_find_it(text):
    line = words.content({"note": text})
    for word in words.words_of(text):
        if not words._MOMENT.fullmatch(text) and "://" not in text and not text.startswith("urn:"):
            assert f" {word}" in line
