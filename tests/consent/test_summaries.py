"""Each grant in short sentences: whatever it says, none is long and nothing is left unsaid."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.audit.entry import Entry
from pgo.consent import reading, words
from pgo.consent.model import ACTIONS, CATEGORIES, Grant
from pgo.plain.who import sentences

START = datetime(2020, 1, 1, tzinfo=UTC)
TIMES = st.none() | st.integers(0, 8_000_000).map(lambda n: START + timedelta(minutes=n))
MINUTES = st.integers(0, 7 * 24 * 60 - 1)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÉ])")
LONG = {
    "kim": "Kimberley van der Meulen tot Zwartewaterland",
    "linde": "Stichting Woonzorg De Linde Noord en Oost",
}


def some(values, least=0):
    return st.none() | st.frozensets(st.sampled_from(sorted(values)), min_size=least)


@st.composite
def grants(draw):
    effect = draw(st.sampled_from(["permit", "permit", "deny"]))
    least = 0 if effect == "permit" else 1
    to_who = draw(st.sampled_from(["kim", "team:linde", "org:linde", "org:linde/persoonlijk arts"]))
    windows = st.lists(st.tuples(MINUTES, MINUTES), min_size=least, max_size=4).map(tuple)
    return Grant(
        id="g",
        client="c",
        by="c",
        effect=effect,
        to_who=to_who,
        grantee=reading.grantee(to_who, ""),
        by_court=draw(st.booleans()),
        actions=draw(some(ACTIONS, least)),
        categories=draw(some(CATEGORIES, least)),
        types=draw(some(["Goal"], least)),
        labels=draw(some(["PSY"], least)),
        purposes=draw(some([*words.PURPOSE_WORDS, "COC"], least)),
        author=draw(st.sampled_from(["", "kim"])),
        instances=draw(some(["a", "b"], least)),
        data_from=draw(TIMES),
        data_to=draw(TIMES),
        from_=draw(TIMES),
        to=draw(TIMES),
        weekly=draw(st.none() | windows),
        status=draw(st.sampled_from(["active", "proposed", "waakvlam", "inactive", "rejected"])),
        revoked=draw(TIMES),
        parent=draw(st.sampled_from(["", "g-0"])),
        depth=draw(st.integers(0, 9)),
        made=START,
        own=draw(st.booleans()),
    )


KINDS = st.sampled_from(["", *words.KIND_WORDS])
OWNERS = st.sampled_from(["", "Fenna", "Anna Maria van der Berg", " .,", "fenna"])


@settings(max_examples=400, deadline=None)
@given(grants(), KINDS, st.booleans(), st.sampled_from([{}, LONG]), OWNERS)
def test_no_sentence_is_long_whatever_the_grant(grant, kind, easy, names, owner):
    said = words.sentences(grant, names, kind, easy=easy, owner=owner)
    most = words.EASY_WORDS if easy else words.MOST_WORDS
    for sentence in said:
        assert len(sentence.split()) <= most, sentence
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "  " not in sentence
        assert not re.search(r",\s*\.|\s\.|None|\ben\.$", sentence), sentence
    assert words.summary(grant, names, kind, easy=easy, owner=owner) == " ".join(said)


def looked(**more):
    """One look on the strength of grant g."""
    at = (datetime(2026, 3, 3, 13, 5, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // MICRO
    by = {"reason": "TOESTEMMING:g", "grants": ("g",), "person": "kim", "name": "Kim"}
    return Entry(at, "read", status=200, categories=(("zorgplan", 1),), **by, **more)


MICRO = timedelta(microseconds=1)


@settings(max_examples=400, deadline=None)
@given(grants(), KINDS, st.booleans(), OWNERS, st.sampled_from(["kim", "anna"]))
def test_a_look_tells_all_of_the_grant_in_whole_sentences(grant, kind, easy, owner, reader):
    said = words.sentences(grant, LONG, kind, easy=easy, owner=owner)
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    (one,) = sentences(
        [looked()], easy=easy, now=now, owner=owner, reader=reader, grants={"g": said}
    )
    assert one.lines[-len(said) :] == tuple(said)
    for line in one.lines:
        assert line[0].isupper()
        assert line.endswith(".")
        assert not re.search(r",\s*\.|\s[.,]|\.\.|  |:\.|\ben\.$", line), line
        assert not easy or len(line.split()) <= words.EASY_WORDS, line


@settings(max_examples=300, deadline=None)
@given(grants(), KINDS, st.booleans())
def test_somebody_else_is_never_told_that_the_data_are_his(grant, kind, easy):
    text = words.summary(grant, LONG, kind, easy=easy, owner="Fenna")
    assert not {"u", "uw"}.intersection(re.split(r"\W+", text.lower())), text


@settings(max_examples=300, deadline=None)
@given(grants())
def test_whose_data_it_is_changes_nothing_else_of_what_is_told(grant):
    for category in words.CATEGORY_WORDS.values():
        mine, hers = words.summary(grant, LONG), words.summary(grant, LONG, owner="Fenna")
        assert (category in mine) == (category in hers)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Linda van Dam", "Linda van Dam mag lezen."),
        ("Johanna Maria van der Velde", "Johanna Maria… mag lezen."),
    ],
)
def test_an_easy_name_is_whole_or_does_not_end_in_a_small_word(name, said):
    grant = reading.grant({"id": "g", "client": "c", "by": "c", "effect": "permit", "to_who": "p"})
    assert words.sentences(grant, {"p": name}, easy=True)[0] == said


@pytest.mark.parametrize("owner", ["", "Fenna", "Anna Maria van der Berg"])
@pytest.mark.parametrize("easy", [False, True])
def test_the_longest_names_leave_room_for_whose_data_it_is(owner, easy):
    grant = reading.grant(
        {
            "id": "g",
            "client": "c",
            "by": "c",
            "effect": "permit",
            "to_who": "org:linde/persoonlijk arts",
            "categories": ["aanvragen"],
            "actions": ["lezen", "toevoegen", "wijzigen", "delen", "beheren"],
            "to": "2027-06-01",
        }
    )
    said = words.sentences(grant, LONG, easy=easy, owner=owner)
    most = words.EASY_WORDS if easy else words.MOST_WORDS
    assert [one for one in said if len(one.split()) > most] == []
    assert easy or "van Anna Maria…" in " ".join(said) or owner != "Anna Maria van der Berg"


def test_for_somebody_else_a_grant_is_about_the_client_by_name():
    grant = reading.grant(
        {
            "id": "g",
            "client": "c",
            "by": "c",
            "effect": "permit",
            "to_who": "p1",
            "categories": ["zorgplan", "afspraken"],
        }
    )
    said = words.sentences(grant, {"p1": "Samira"}, "copiloot", owner="Fenna")
    assert said[0] == "Samira (copiloot) mag het zorgplan en afspraken van Fenna lezen."


@settings(max_examples=200, deadline=None)
@given(grants(), st.booleans())
def test_every_category_that_is_opened_or_closed_by_name_is_named(grant, easy):
    text = words.summary(grant, {}, easy=easy)
    empty = any(one == frozenset() for one in (grant.types, grant.purposes, grant.instances))
    if grant.own or grant.instances or grant.categories is None or empty or not grant.allowed:
        return
    for category in grant.categories:
        assert words.CATEGORY_WORDS[category] in text


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("proposed", "Dit geldt nog niet: er is eerst akkoord nodig."),
        ("waakvlam", "Dit staat nu stil."),
        ("rejected", "Dit is geweigerd en geldt niet."),
        ("inactive", "Dit geldt nu niet."),
    ],
)
def test_what_is_not_in_force_says_so_first(status, sentence):
    grant = reading.grant(
        {"id": "g", "client": "c", "by": "c", "effect": "permit", "to_who": "p", "status": status}
    )
    assert words.sentences(grant, {})[0] == sentence
    assert words.sentences(grant, {}, easy=True)[0] == sentence


def test_the_easy_words_of_a_whole_grant():
    grant = reading.grant(
        {
            "id": "g",
            "client": "c",
            "by": "c",
            "effect": "permit",
            "to_who": "p1",
            "categories": ["zorgplan", "afspraken"],
            "actions": ["lezen", "toevoegen"],
            "to": "2027-06-01",
        }
    )
    assert words.summary(grant, {"p1": "Samira"}, "copiloot", easy=True) == (
        "Samira (copiloot) mag lezen. Erbij schrijven mag ook. "
        "Het gaat om: zorgplan en afspraken. Dit stopt op 1 juni 2027. "
        "Niet: medicijnen, uitslagen, verslagen en dagboek. "
        "Niet: notities over het gezin en geldzaken. Ook niet: nog 16 andere soorten gegevens. "
        "Extra gevoelige gegevens blijven dicht."
    )


def test_notes_about_the_family_are_never_for_care():
    grant = reading.grant(
        {
            "id": "g",
            "client": "c",
            "by": "c",
            "effect": "permit",
            "to_who": "org:linde",
            "categories": ["gezin", "medicatie"],
        }
    )
    assert "gezin" in words.not_covered(grant)
    assert "Niet: uitslagen" in words.summary(grant, {})
