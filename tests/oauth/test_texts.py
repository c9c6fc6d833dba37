"""The catalogue of what pages say: whole, readable, and the only place with words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pgo.oauth.look import FAULTS, SHOWN
from pgo.oauth.scopes import CONTEXT, cap_of
from pgo.oauth.texts import DUTCH, TONGUES, catalogue, spoken
from pgo.oauth.wording import CATEGORIES, LAUNCH, sentence
from pgo.registry import KINDS

OAUTH = Path(__file__).resolve().parents[2] / "pgo/oauth"
TEMPLATES = sorted((OAUTH / "templates").glob("*.html"))
LONGEST = 20
AVERAGE = {"nl": 12, "nl-eenvoudig": 10, "en": 12, "en-eenvoudig": 10}
FILES = {"html", "css", "js", "svg"}
NAMES_OF_LANGUAGES = {"English", "Nederlands"}


def written(key: str) -> tuple[str, ...]:
    return catalogue()[key]


def sentences(text: str) -> list[str]:
    """What ends as a sentence; a place to fill in counts as one word."""
    return [part.strip() for part in re.split(r"(?<=[.?!])\s+", text) if part.strip()]


def words(sentence: str) -> int:
    return len(re.findall(r"[\w{}'-]+", sentence))


@pytest.mark.parametrize("key", catalogue())
def test_a_text_stands_there_in_each_tongue_with_the_same_places(key):
    texts = written(key)
    assert len(texts) == len(TONGUES)
    assert all(text == text.strip() and text for text in texts)
    assert len({tuple(sorted(re.findall(r"\{(\w+)\}", text))) for text in texts}) == 1
    assert not any(re.search(r"[<>&]", text) for text in texts)


@pytest.mark.parametrize("name", TONGUES)
def test_sentences_are_short(name):
    told = [
        sentence
        for texts in catalogue().values()
        for sentence in sentences(texts[TONGUES[name].row])
    ]
    assert [one for one in told if words(one) > LONGEST] == []
    whole = [words(one) for one in told if one.endswith((".", "?", "!"))]
    assert len(whole) > 80
    assert sum(whole) / len(whole) <= AVERAGE[name]


def test_easy_words_are_never_longer_sentences():
    for key, texts in catalogue().items():
        for usual, easy in ((texts[0], texts[1]), (texts[2], texts[3])):
            if easy.endswith("."):
                longest = max(words(one) for one in sentences(usual))
                assert max(words(one) for one in sentences(easy)) <= longest + 1, key


@pytest.mark.parametrize("hard", ["toestemming", "autoris", "scope", "token", "client", "OAuth"])
def test_no_text_uses_hard_words(hard):
    assert [key for key, texts in catalogue().items() if hard in " ".join(texts)] == []


def asked_for() -> tuple[set[str], set[str]]:
    """Whole keys, and beginnings of keys, that templates and modules name."""
    sources = "".join(path.read_text() for path in [*TEMPLATES, *OAUTH.glob("*.py")])
    whole = set(re.findall(r"[\"']([a-z]+\.[A-Za-z_]+)[\"']", sources))
    begun = set(re.findall(r'"([a-z]+)\." ~', sources)) | set(
        re.findall(r'f"([a-z]+)\.\{', sources)
    )
    begun |= set(re.findall(r'any_of\("([a-z]+)"', sources))
    return whole & {key for key in whole if key.split(".")[0] in groups()}, begun


def groups() -> set[str]:
    return {key.partition(".")[0] for key in catalogue()}


def test_no_page_asks_for_a_text_that_is_not_there():
    whole, begun = asked_for()
    asked = {key for key in whole if key.partition(".")[2] not in FILES}
    assert asked <= catalogue().keys()
    assert len(whole) > 100
    assert begun & groups() >= {"fault", "category", "may", "kind", "consent"}
    made = {f"fault.{name}" for name in {*FAULTS.values(), *SHOWN}}
    made |= {f"category.{name}" for name in ("everything", *CATEGORIES, "other", "app")}
    made |= {f"may.{name}" for name in CONTEXT - {LAUNCH}} | {
        f"kind.{kind}" for kind in KINDS if kind
    }
    made |= {"consent.choose_dossier", "consent.tick_one"}
    assert made <= catalogue().keys()


def test_no_text_is_left_that_no_page_asks_for():
    whole, begun = asked_for()
    left = {key for key in catalogue() if key not in whole and key.partition(".")[0] not in begun}
    assert left == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_words_of_its_own(path):
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", path.read_text(), flags=re.DOTALL)
    spoken_ = re.sub(r"<[^>]*>", " ", text)
    assert set(re.findall(r"[A-Za-zé]{2,}", spoken_)) <= NAMES_OF_LANGUAGES
    named = re.findall(r'(?:aria-label|title|alt|placeholder)="([^"{]+)"', path.read_text())
    assert named == []


def test_a_text_without_its_places_is_an_error_and_so_is_an_unknown_one():
    with pytest.raises(KeyError):
        DUTCH.text("consent.title")
    with pytest.raises(KeyError):
        DUTCH.text("consent.nothing")


@pytest.mark.parametrize(
    ("chosen", "ui_locales", "accepted", "name"),
    [
        ("", "", "", "nl"),
        ("", "", "en", "en"),
        ("", "", "en-GB,nl;q=0.9", "en"),
        ("", "", "nl;q=0.5, en;q=0.9", "en"),
        ("", "", "de,fr;q=0.9", "nl"),
        ("", "", "de, en;q=0.1", "en"),
        ("", "", "en;q=0", "nl"),
        ("", "", "en;q=x,,;;*", "nl"),
        ("", "", "*", "nl"),
        ("", "en-GB nl", "nl", "en"),
        ("", "fr", "en", "en"),
        ("nl-eenvoudig", "en", "en", "nl-eenvoudig"),
        ("xx", "", "en", "en"),
        ("", "", "en," * 5000, "en"),
    ],
)
def test_a_page_speaks_what_was_chosen_asked_or_accepted(chosen, ui_locales, accepted, name):
    assert spoken(chosen=chosen, ui_locales=ui_locales, accepted=accepted).name == name


@pytest.mark.parametrize("name", TONGUES)
def test_what_a_scope_means_is_told_in_short_sentences(name):
    types = [one for types in CATEGORIES.values() for one in types]
    scopes = [f"{level}/{one}.cruds" for level in ("patient", "user") for one in ("*", *types)]
    scopes.append("patient/Observation.rs?category=laboratory")
    told = [sentence(cap_of((scope,)).reaches[0], TONGUES[name]) for scope in scopes]
    lengths = [words(one) for text in told for one in sentences(text)]
    assert max(lengths) <= 18
    assert sum(lengths) / len(lengths) <= 12
    assert not any("{" in text for text in told)


def test_days_are_told_in_words_as_they_were_in_the_netherlands():
    new_year = 1798758000  # 31 December 2026, 23:00 UTC
    assert TONGUES["nl"].day(new_year) == "1 januari 2027"
    assert TONGUES["en-eenvoudig"].moment(new_year) == "1 January 2027, 00:00"
