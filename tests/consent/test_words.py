"""What people read about a grant and a decision: plain, short, complete and never with content."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgo.consent import explain, presets, reading, words
from pgo.consent.decide import decide
from pgo.consent.model import CATEGORIES
from pgo.errors import BadValue

TABLES = sorted((Path(__file__).parent / "tables").glob("*.json"))
MADE = datetime(2026, 11, 21, 11, tzinfo=UTC)


def permit(**members):
    return reading.grant(
        {"id": "g", "client": "c", "by": "c", "effect": "permit", "to_who": "p1", **members}
    )


def test_a_grant_is_said_with_name_kind_categories_actions_and_end():
    grant = permit(
        categories=["zorgplan", "afspraken"], actions=["lezen", "toevoegen"], to="2027-06-01"
    )
    assert words.summary(grant, {"p1": "Samira"}, "copiloot") == (
        "Samira (copiloot) mag uw zorgplan en afspraken lezen en erbij schrijven, "
        "tot 1 juni 2027. Niet: medicijnen, uitslagen, verslagen, dagboek, "
        "notities over het gezin en geldzaken. Ook niet: nog 16 andere soorten gegevens. "
        "Extra gevoelige gegevens blijven dicht."
    )


@pytest.mark.parametrize(
    ("members", "start"),
    [
        ({"to_who": "team:t"}, "Het team t mag bijna alles lezen."),
        ({"to_who": "org:linde"}, "Linde mag bijna alles lezen."),
        ({"to_who": "org:linde/arts"}, "Een arts van linde mag bijna alles lezen."),
        ({"instances": ["a"]}, "P1 mag één onderdeel lezen."),
        ({"effect": "deny"}, "P1 mag niets zien of veranderen."),
        ({"effect": "deny", "actions": ["lezen", "delen"]}, "P1 mag niets lezen of doorgeven"),
        ({"effect": "deny", "categories": ["dagboek"]}, "P1 mag uw dagboek niet zien of"),
        ({"own": True}, "P1 mag de eigen gegevens bij u neerzetten en bijwerken."),
        ({"to": "2027-01-01T15:30:00+01:00"}, "P1 mag bijna alles lezen, tot 1 januari 2027 om 15"),
    ],
)
def test_every_shape_of_grant_has_its_sentence(members, start):
    assert words.summary(permit(**members), {}).startswith(start)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"from": "2027-02-01"}, "Dit geldt vanaf 1 februari 2027."),
        (
            {"weekly": [{"from": "fri 15:00", "to": "sun 19:00"}]},
            "Dat kan alleen van vrijdag 15:00 uur tot zondag 19:00 uur.",
        ),
        ({"weekly": []}, "Dat kan op geen enkel moment."),
        ({"data_from": "2022-01-01"}, "Het gaat alleen om gegevens vanaf 1 januari 2022."),
        ({"author": "x"}, "Het gaat alleen om wat één schrijver opschreef."),
        ({"parent": "p"}, "Dit is doorgegeven door iemand die het zelf mocht."),
        ({"labels": ["PSY"]}, "Ook een deel van de extra gevoelige gegevens hoort erbij."),
    ],
)
def test_every_condition_is_said(members, sentence):
    assert sentence in words.summary(permit(**members), {})


def test_a_grant_that_cannot_be_read_says_so():
    grant = reading.stored_grant({"to_who": "p1", "client": "c"})
    assert words.summary(grant, {"p1": "Sam"}) == (
        "Sam mag nu niets. Deze toestemming is niet te lezen."
    )


def test_what_a_permit_leaves_closed_and_opens_is_all_there_is():
    grant = permit(categories=["medicatie", "gezin"])
    assert set(words.not_covered(grant)) | grant.contained == CATEGORIES
    assert words.not_covered(permit(effect="deny")) == ()
    assert set(words.CATEGORY_WORDS) == CATEGORIES


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_every_preset_makes_a_readable_stored_grant(name):
    made = presets.grant_of(name, id_="g", client="c", by="c", to_who="p", made=MADE)
    grant = reading.grant(json.loads(json.dumps(made)), stored=True)
    assert (grant.made, grant.status, grant.depth) == (MADE, "active", 0)
    assert not grant.allowed & {"delen", "beheren"}
    assert "dagboek" not in grant.contained
    assert ("gezin" in grant.contained) == (name == "copiloot-standaard")


def test_who_may_be_chosen_to_read_may_be_chosen_to_write_too():
    """Giving the one is as easy as giving the other, for each kind of people."""
    for kind in ("naaste", "copiloot", "zorgverlener"):
        writing = [one for one in presets.PRESETS.values() if "toevoegen" in one.actions]
        assert any(kind in one.kinds for one in writing), kind
    asked, given = presets.PRESETS["zorgverlener-standaard"], "zorgverlener-meeschrijven"
    assert set(asked.categories) < set(presets.PRESETS[given].categories)
    for name in (given, "dagelijkse-zorg", "logeerhuis"):
        assert {"berichten", "verslagen", "metingen"} < set(presets.PRESETS[name].categories)


def test_a_copiloot_sees_what_an_application_for_care_is_made_of():
    helped = set(presets.PRESETS["copiloot-standaard"].categories)
    assert {"zorgplan", "behandeling", "medicatie", "uitslagen"} < helped
    assert not helped & {"dagboek", "financieel", "toestemmingen", "logging", "overig"}


@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=lambda preset: preset.name)
def test_a_choice_is_told_in_short_sentences(preset):
    for sentence in preset.says.rstrip(".").split(". "):
        assert len(sentence.split()) <= 16, sentence


def test_presets_say_what_the_spec_says():
    provider = presets.PRESETS["zorgverlener-standaard"]
    assert set(provider.categories) == {
        *("zorgplan", "behandeling", "medicatie", "uitslagen", "problemen", "allergieen"),
        *("afspraken", "paspoort"),
    }
    assert set(presets.PRESETS["alleen-noodzakelijk"].categories) == {
        *("paspoort", "medicatie", "allergieen"),
    }
    assert presets.PRESETS["logeerhuis"].weekly
    assert presets.PRESETS["meelezen"].actions == ("lezen",)


def test_a_preset_takes_a_period_and_other_windows_and_refuses_a_name_it_does_not_know():
    made = presets.grant_of(
        "logeerhuis",
        id_="g",
        client="c",
        by="c",
        to_who="team:t",
        made=MADE,
        to=MADE.replace(year=2028),
        weekly=[{"from": "mon 10:00", "to": "mon 12:00"}],
    )
    grant = reading.grant(made)
    assert grant.weekly == ((600, 720),)
    assert grant.to == MADE.replace(year=2028)
    with pytest.raises(BadValue):
        presets.grant_of("alles", id_="g", client="c", by="c", to_who="p", made=MADE)


def explained():
    for path in TABLES:
        table = json.loads(path.read_text(encoding="utf-8"))
        world = reading.world(table["world"])
        for case in table["cases"]:
            request = reading.request(case["request"])
            yield world, request, explain.explain(world, request)


def test_every_row_is_explained_as_it_is_decided_and_says_what_would_help():
    seen = set()
    for world, request, told in explained():
        assert told.decision == decide(world, request)
        assert told.sentences[0] == ("Dit mag." if told.decision.permit else "Dit mag niet.")
        assert not (told.decision.permit and (told.changes or told.misses))
        seen.add(told.step)
    assert seen == {
        *("verzoek", "zelf", "zegels", "noodtoegang", "weigeringen", "vertegenwoordiging"),
        "toestemmingen",
    }


def test_explanations_are_short_plain_sentences():
    sentences = [s for *_, told in explained() for s in told.sentences]
    lengths = [len(re.findall(r"\w+", sentence)) for sentence in sentences]
    assert sum(lengths) / len(lengths) <= 12
    assert max(lengths) <= 20
    assert all(sentence.endswith(".") for sentence in sentences)


def test_near_misses_name_the_grant_and_the_rule_that_did_not_hold():
    world = reading.world(
        {
            "persons": {"anna": {"birth": "1980-05-01"}, "noor": {"kind": "zorgverlener"}},
            "grants": [
                {"id": "g1", "client": "anna", "by": "anna", "effect": "permit", "to_who": "sam"}
                | {"to": "2026-01-01"},
                {"id": "g2", "client": "anna", "by": "wie", "effect": "permit", "to_who": "sam"},
                {"id": "g3", "client": "anna", "by": "anna", "effect": "permit", "to_who": "noor"},
            ],
        }
    )
    request = reading.request(
        {
            "actor": "sam",
            "client": "anna",
            "action": "lezen",
            "purpose": "PATRQT",
            "at": "2026-11-21T12:00:00+01:00",
            "resource": {"category": "zorgplan"},
        }
    )
    told = explain.explain(world, request)
    assert [(miss.grant, miss.rules) for miss in told.misses] == [
        ("g1", ("periode",)),
        ("g2", ("gever",)),
    ]
    assert told.sentences == (
        "Dit mag niet.",
        "Er is geen toestemming die past.",
        "Toestemming g1 geldt niet op dit moment.",
        "Toestemming g2 komt van iemand die dit niet kan geven.",
        "Wat helpt: de client geeft een toestemming.",
    )
