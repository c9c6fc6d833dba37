"""What child and parent agree to together is said in short sentences, three ways."""

from __future__ import annotations

import re
from itertools import product

import pytest

from pgo.consent.model import SEALS
from pgo.consent.representation import KINSHIP, REPRESENTATIVE_KINDS
from pgo.plain.wishes import said

PEOPLE = ("anna", "lea")
LONG = {"anna": "Annemarie van der Berg-de Wit", "lea": "Lea de Vries-van den Heuvel",
        "mo": "Mohamed el Amrani"}  # fmt: skip
UNSEAL = [
    {"label": label, "becomes": after}
    for label, after in product(sorted(SEALS), ("", *sorted(SEALS)))
]
RELATIONS = [{"kind": kind, "gezag": gezag} for kind, gezag in
             product(sorted(REPRESENTATIVE_KINDS - {"familie"}), (True, False))]  # fmt: skip
RELATIONS += [{"kind": "familie", "as": kin} for kin in sorted(KINSHIP)]
EVERY = [
    *(("unseal", wants) for wants in UNSEAL),
    *(("relation", wants) for wants in RELATIONS),
    *(("successor", {"person": "lea", "instead_of": old}) for old in ("", "mo")),
    ("admit", {"grant": "g-1"}),
]


def lengths(text: str) -> list[int]:
    return [len(one.split()) for one in re.split(r"(?<=\.)\s+", text)]


@pytest.mark.parametrize(("what", "wants"), EVERY, ids=str)
@pytest.mark.parametrize("about", [(), ("uitslagen", "metingen")])
def test_every_sentence_is_short_also_with_long_names(what, wants, about):
    found = said(what, wants, PEOPLE, LONG, about)
    assert set(found) == {"samenvatting", "eenvoudig", "english"}
    for text in found.values():
        assert "{" not in text
        assert not re.search(r"\b(unseal|admit|reseal|None)\b", text)
    plain = [n for short in (LONG, {"anna": "Anna", "lea": "Lea"})
             for n in lengths(said(what, wants, PEOPLE, short, about)["samenvatting"])]  # fmt: skip
    assert sum(plain) / len(plain) <= 12
    assert max(lengths(found["eenvoudig"])) <= 12
    assert max(lengths(found["english"])) <= 20
    assert "geldt nog niet" in found["samenvatting"]
    assert "geldt nog niet" in found["eenvoudig"]
    assert "does not hold yet" in found["english"]


def test_what_is_hidden_from_the_reader_is_not_named():
    wants = {"label": "niet-voor-vertegenwoordiger", "becomes": ""}
    unseen, seen = said("unseal", wants, PEOPLE, LONG), said("unseal", wants, PEOPLE, LONG, ("x",))
    assert "U ziet nu niet wat het is." in unseen["samenvatting"]
    assert "Het gaat om: x." in seen["samenvatting"]
    assert "ouders en andere vertegenwoordigers zien het niet" in unseen["samenvatting"]


def test_who_is_not_known_here_is_somebody_and_a_name_steers_no_screen():
    assert said("admit", {}, PEOPLE, {})["samenvatting"].startswith("Iemand wil de uitsluiting")
    assert said("admit", {}, PEOPLE, {})["english"].startswith("Somebody wants")
    shown = said("successor", {}, PEOPLE, {"anna": "Anna\x1b[2J\u202e {to}", "lea": "Lea"})
    assert "\x1b" not in str(shown)
    assert "\u202e" not in str(shown)
    assert "Anna {to} wil Lea" in shown["samenvatting"]


def test_a_successor_comes_in_the_place_of_another():
    found = said("successor", {"person": "lea", "instead_of": "mo"}, PEOPLE, LONG)
    assert "Nu is dat Mohamed el Amrani." in found["samenvatting"]


@pytest.mark.parametrize(
    ("wants", "checked"),
    [({"kind": "voogd", "gezag": True}, True), ({"kind": "mentor"}, True),
     ({"kind": "ouder"}, False), ({"kind": "familie", "as": "zus"}, False)],
)  # fmt: skip
def test_what_rests_on_evidence_is_looked_at_first(wants, checked):
    text = said("relation", wants, PEOPLE, LONG)["samenvatting"]
    assert ("bewijs" in text) is checked


@pytest.mark.parametrize("names", [LONG, {"anna": "Anna", "lea": "Lea"}, {}])
def test_letting_a_grant_go_on_does_not_say_that_it_does_not_hold(names):
    found = said("keep", {"grant": "g-1"}, PEOPLE, names)
    assert max(lengths(found["eenvoudig"])) <= 12
    assert sum(lengths(found["samenvatting"])) / len(lengths(found["samenvatting"])) <= 12
    assert "geldt nog niet" not in found["samenvatting"] + found["eenvoudig"]
    assert "Een nee verandert nu ook niets." in found["samenvatting"]
    assert "does not hold" not in found["english"]
