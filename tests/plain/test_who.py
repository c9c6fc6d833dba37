"""Who looked, in words that the client understands."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.audit.catalogue import EVENTS
from pgo.audit.entry import Entry
from pgo.plain.who import sentences
from pgo.plain.words import NOUNS, REFUSALS, REFUSALS_OF_YOU

NOON = datetime(2026, 3, 3, 13, 5, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def at(**later):
    return (NOON + timedelta(**later) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


READ = Entry(
    at(),
    "read",
    id="w1-1",
    status=200,
    reason="TOESTEMMING:g-1",
    grants=("g-1",),
    person="p-1",
    name="Samira",
    kind="copiloot",
    org="coophulp",
    org_name="CoopHulp",
    app="app-1",
    app_name="Familie-app",
    resources=("CarePlan/1@1",),
    categories=(("zorgplan", 1),),
)
REFUSED = replace(READ, outcome=4, status=404, reason="GEEN_TOESTEMMING", grants=())


def tell(*entries, easy=False, now=NOW, **more):
    return sentences(entries, easy=easy, now=now, **more)


def text(*entries, **more):
    (one,) = tell(*entries, **more)
    return one.text


def test_who_what_app_and_when_in_one_sentence():
    (one,) = tell(READ)
    assert one.lines[0] == (
        "Samira (copiloot, CoopHulp) bekeek uw zorgplan, met de app Familie-app,"
        " op 3 maart 2026 om 14:05."
    )


SAID = ("Samira mag lezen.", "Het gaat om: zorgplan.")


@pytest.mark.parametrize("easy", [False, True])
def test_on_which_permission_in_the_words_of_that_permission(easy):
    assert tell(READ, easy=easy, grants={"g-1": SAID})[0].lines[-3:] == (
        "Hiervoor is toestemming gegeven.",
        *SAID,
    )


@pytest.mark.parametrize("easy", [False, True])
def test_a_permission_that_is_not_there_any_more_is_named_by_its_id(easy):
    assert "Hiervoor is toestemming gegeven: g-1." in text(READ, easy=easy)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("VERTEGENWOORDIGER:mentor", "Dat mag deze persoon als mentor."),
        ("VERTEGENWOORDIGER:minderjarig<12", "Dat mag deze persoon als ouder of voogd."),
        ("VERTEGENWOORDIGER:naaste", "Dat mag deze persoon als familie."),
        ("GEEN,VERTEGENWOORDIGER:mentor", "Dat mag deze persoon als mentor."),
    ],
)
def test_who_represents_is_told(reason, told):
    assert told in text(replace(READ, reason=reason, grants=()))


@pytest.mark.parametrize("easy", [False, True])
def test_who_represents_and_reads_this_is_told_as_u(easy):
    hers = replace(READ, reason="VERTEGENWOORDIGER:minderjarig<12", grants=())
    told = text(hers, reader="p-1", owner="Fenna", easy=easy)
    assert "Dat mag u als ouder of voogd." in told
    assert "deze persoon" not in told


@pytest.mark.parametrize("easy", [False, True])
@pytest.mark.parametrize(("reason", "said"), REFUSALS_OF_YOU.items())
def test_a_refusal_is_told_to_the_person_himself_as_u(reason, said, easy):
    tried = replace(REFUSED, reason=reason)
    assert said in tell(tried, reader="p-1", easy=easy)[0].lines
    assert REFUSALS[reason] in tell(tried, easy=easy)[0].lines


@pytest.mark.parametrize("easy", [False, True])
def test_on_behalf_of_the_reader_is_told_as_u(easy):
    for_her = replace(READ, on_behalf_of="p-9", on_behalf_of_name="Marjan")
    assert "namens u" in text(for_her, reader="p-9", easy=easy)
    assert "namens Marjan" in text(for_her, reader="p-8", easy=easy)


def test_winter_and_summer_time_are_those_of_the_netherlands():
    summer = replace(READ, at=at(days=120))
    assert "op 3 maart 2026 om 14:05" in text(READ)
    assert "op 1 juli 2026 om 15:05" in text(summer)


def test_the_day_is_the_day_in_the_netherlands():
    late = [replace(READ, at=at(hours=hours)) for hours in (9, 10)]
    assert [one.first.day for one in tell(*late)] == [3, 4]


def test_three_times_on_one_day_is_one_sentence():
    (one,) = tell(*(replace(READ, at=at(minutes=i), id=f"w1-{i}") for i in (0, 5, 10)))
    assert one.times == 3
    assert one.ids == ("w1-0", "w1-5", "w1-10")
    assert one.lines[0].startswith("Samira (copiloot, CoopHulp) bekeek 3 keer uw zorgplan,")
    assert "tussen 14:05 en 14:15" in one.text


@pytest.mark.parametrize(
    "other",
    [
        {"person": "p-2"},
        {"at": at(days=1)},
        {"app_name": "Andere app"},
        {"categories": (("medicatie", 1),)},
        {"interaction": "update"},
        {"on_behalf_of": "p-9"},
        {"emergency_code": "BTG"},
        {"grants": ("g-2",)},
        {"outcome": 4},
        {"role": "teamleider"},
    ],
)
def test_what_differs_is_told_apart(other):
    assert len(tell(READ, replace(READ, **other))) == 2


def test_the_same_results_seen_twice_are_counted_once():
    seen = replace(
        READ,
        interaction="search-type",
        resources=("Observation/1@1", "Observation/2@1"),
        categories=(("uitslagen", 2),),
    )
    more = replace(seen, resources=("Observation/2@1", "Observation/3@4"))
    assert "bekeek 2 keer 3 uitslagen," in text(seen, more)


def test_several_categories_are_all_named():
    both = replace(READ, categories=(("zorgplan", 1), ("uitslagen", 5), ("metingen", 1)))
    assert "bekeek het zorgplan, 5 uitslagen en 1 meting," in text(both)


def test_for_somebody_else_the_owner_is_named():
    assert "bekeek het zorgplan van Fenna," in text(READ, owner="Fenna")
    seen = replace(READ, categories=(("uitslagen", 5),), resources=(), total=5)
    assert "bekeek 5 uitslagen van Fenna," in text(seen, owner="Fenna")
    assert "uw" not in text(seen, owner="Fenna").split()


def test_the_reader_himself_is_u():
    assert text(READ, reader="p-1").startswith("U bekeek uw zorgplan,")


def test_on_whose_behalf_is_told():
    assert ", namens Noor," in text(replace(READ, on_behalf_of="p-9", on_behalf_of_name="Noor"))


def test_an_emergency_is_told_with_its_reason():
    (one,) = tell(
        replace(READ, reason="NOOD", emergency_code="ETREAT", emergency_reason="zwaar aanval")
    )
    assert one.emergency
    assert one.lines[1:] == ("Het was een noodgeval.", "De reden was: zwaar aanval.")


def test_refused_attempts_of_one_person_are_grouped_and_shown():
    tries = [
        replace(REFUSED, at=at(minutes=i), categories=((code, 1),))
        for i, code in enumerate(("zorgplan", "medicatie", "dagboek"))
    ]
    (one,) = tell(*tries)
    assert one.refused
    assert one.times == 3
    assert "wilde" in one.lines[0]
    assert "bekeek" not in one.lines[0]
    assert one.lines[0].endswith(", 3 keer.")
    assert one.lines[1:] == ("Dat mocht niet.", "Er was geen toestemming.")


def test_a_crash_is_not_told_as_a_look():
    crashed = text(replace(READ, outcome=12, status=500))
    assert "wilde uw zorgplan bekijken" in crashed
    assert "Dat lukte niet door een storing." in crashed


@pytest.mark.parametrize("status", [400, 412, 422, 429, 0])
def test_what_did_not_succeed_is_no_fault_of_the_server(status):
    failed = text(replace(READ, outcome=8, status=status))
    assert "wilde uw zorgplan bekijken" in failed
    assert "Dat lukte niet." in failed
    assert "storing" not in failed


@pytest.mark.parametrize("easy", [False, True])
@pytest.mark.parametrize("asked", ["_summary=count", "code=x&_count=0&_total=accurate"])
def test_who_was_told_a_number_is_not_said_to_have_seen_nothing(asked, easy):
    counted = replace(
        READ, interaction="search-type", resources=(), categories=(), query=asked, type_="Goal"
    )
    told = text(counted, easy=easy, owner="Fenna")
    assert "telde gegevens in het dossier van Fenna" in told
    assert "niets te zien" not in told
    refused = replace(counted, outcome=4, reason="GEEN_TOESTEMMING", grants=())
    assert "wilde gegevens in uw dossier tellen" in text(refused, easy=easy)


@pytest.mark.parametrize("easy", [False, True])
def test_what_has_no_category_of_its_own_is_counted_together(easy):
    """Who wrote something and where has no category: two kinds of it are not two amounts."""
    around = (("Organization", 2), ("Practitioner", 4))
    told = text(replace(READ, categories=around, resources=()), easy=easy)
    assert "6 gegevens" in told
    assert told.count("gegevens") == 1
    beside = replace(READ, categories=(*around, ("overig", 1), ("uitslagen", 3)), resources=())
    told = text(beside, easy=easy)
    assert "3 uitslagen" in told
    assert "7 andere gegevens" in told


def test_a_search_that_found_nothing_is_told_as_a_search():
    search = replace(READ, interaction="search-type", resources=(), categories=())
    told = text(search)
    assert "zocht in uw dossier" in told
    assert "Er was niets te zien." in told


def test_a_provider_that_sends_is_not_told_as_a_look():
    sent = replace(READ, interaction="transaction", kind="systeem", name="ECD Zuid")
    assert text(sent).startswith("ECD Zuid (computersysteem, CoopHulp) zette het zorgplan in uw")
    assert "bekeek" in text(replace(READ, interaction="batch", action="R"))


def test_reading_the_overview_and_signing_in_are_not_told():
    assert tell(replace(READ, interaction="wie-keek"), replace(READ, interaction="token")) == []


def test_a_line_that_cannot_be_read_is_told():
    gap = Entry(at(), "gap", outcome=8, id="w1-2")
    assert text(gap) == (
        "Eén regel is niet te lezen. Dat was op 3 maart 2026 om 14:05. Meld dit bij de beheerder."
    )
    assert text(gap, replace(gap, id="w1-3")).startswith("2 regels zijn niet te lezen.")


def test_a_line_hidden_by_law_comes_when_its_time_has_come():
    hidden = replace(READ, hide_until=at(days=30), hide_reason="onderzoek")
    assert tell(hidden) == []
    assert len(tell(hidden, now=NOON + timedelta(days=30))) == 1


def test_oldest_first_whatever_the_order_of_the_lines():
    told = tell(*(replace(READ, at=at(days=day)) for day in (2, 0, 1)))
    assert [one.first.day for one in told] == [3, 4, 5]


def test_an_unknown_event_of_a_later_version_is_not_left_out():
    assert "deed iets in uw dossier" in text(replace(READ, interaction="teleport"))


def test_names_cannot_forge_a_line():
    told = text(replace(READ, name="Sam\n\x1b[2J\u202eira. U bekeek", app_name="x\r\ny"))
    assert told.isprintable()
    assert "\u202e" not in told


def test_somebody_without_a_name_is_somebody():
    assert text(replace(READ, name="", kind="zorgverlener")).startswith("Iemand (zorgverlener,")


def test_each_shown_event_has_words_of_its_own():
    for name, event in EVENTS.items():
        if event.shown and name != "gap":
            assert "deed iets" not in text(replace(READ, interaction=name)), name


# --- the easy form -------------------------------------------------------------------------------


def test_the_easy_form_says_the_same_in_short_sentences():
    (one,) = tell(READ, easy=True, grants={"g-1": SAID})
    assert one.lines == (
        "Samira bekeek uw zorgplan.",
        "Dit is: copiloot bij CoopHulp.",
        "Dat was op 3 maart 2026 om 14:05.",
        "De app heet Familie-app.",
        "Hiervoor is toestemming gegeven.",
        "Samira mag lezen.",
        "Het gaat om: zorgplan.",
    )


@pytest.mark.parametrize(("days", "told"), [(0, "vandaag"), (1, "gisteren"), (2, "op 3 maart")])
def test_today_and_yesterday_are_called_so(days, told):
    now = NOON + timedelta(days=days)
    assert f"Dat was {told}" in text(READ, easy=True, now=now)


def test_in_the_easy_form_refusals_are_told_too():
    lines = tell(REFUSED, easy=True)[0].lines
    assert lines[0] == "Samira wilde uw zorgplan bekijken."
    assert lines[-2:] == ("Dat mocht niet.", "Er was geen toestemming.")


LONG = "een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien"


def test_in_the_easy_form_a_long_name_goes_on_in_a_sentence_of_its_own():
    (one,) = tell(replace(READ, name="Johanna Maria van der Velde"), easy=True)
    assert one.lines[:2] == (
        "Johanna Maria van bekeek uw zorgplan.",
        "De hele naam is: Johanna Maria van der Velde.",
    )


@pytest.mark.parametrize("easy", [False, True])
def test_each_permission_has_its_sentences(easy):
    grants = {"g-1": SAID, "g-2": ("Samira mag wijzigen.",)}
    (one,) = tell(replace(READ, grants=("g-1", "g-2")), easy=easy, grants=grants)
    assert one.lines[-5:] == (
        "Hiervoor is toestemming gegeven.",
        *SAID,
        "Er is nog een toestemming.",
        "Samira mag wijzigen.",
    )


def test_a_reason_of_several_sentences_is_told_in_as_many():
    reason = "Zij viel van de trap, en verloor veel bloed. wij zochten haar medicijnen !"
    urgent = replace(READ, reason="NOOD", emergency_code="BTG", emergency_reason=reason)
    assert tell(urgent, easy=True)[0].lines[-3:] == (
        "Het was een noodgeval.",
        "De reden was: Zij viel van de trap, en verloor veel bloed.",
        "En verder: wij zochten haar medicijnen.",
    )


def test_for_somebody_else_the_easy_form_uses_the_first_name_and_the_full_form_all_of_it():
    assert "het zorgplan van Fenna Maria," in text(READ, owner="Fenna Maria")
    assert "bekeek het zorgplan van Fenna." in text(READ, owner="Fenna Maria", easy=True)


@pytest.mark.parametrize(
    "name", ["name", "role", "org_name", "app_name", "on_behalf_of_name", "emergency_reason"]
)
def test_the_easy_form_cuts_nothing_short(name):
    entry = replace(READ, on_behalf_of="p-9", **{name: LONG})
    if name == "emergency_reason":
        entry = replace(entry, emergency_code="BTG", reason="NOOD")
    told = text(entry, easy=True)
    assert set(LONG.split()) <= set(told.replace(".", "").split())
    assert "…" not in told


TYPED = st.text(st.sampled_from("abE \n\u00e9.,;:!?-"), max_size=60)
TEXTS = ("name", "role", "org_name", "app_name", "on_behalf_of_name", "emergency_reason")
SHOWN = [name for name, event in EVENTS.items() if event.shown]
REASONS = [*REFUSALS, "TOESTEMMING:g-1", "VERTEGENWOORDIGER:minderjarig<12", "ZELF", ""]
COUNTED = st.tuples(st.sampled_from([*NOUNS, "nieuw", "Goal"]), st.integers(1, 999))
LINES = st.fixed_dictionaries(
    {
        **dict.fromkeys(TEXTS, TYPED),
        "interaction": st.sampled_from(SHOWN),
        "type_": st.sampled_from(["", "Patient", "Goal"]),
        "outcome": st.sampled_from([0, 4, 8, 12]),
        "reason": st.sampled_from(REASONS),
        "categories": st.lists(COUNTED, max_size=5).map(tuple),
        "emergency_code": st.sampled_from(["", "BTG"]),
        "on_behalf_of": st.sampled_from(["", "p-1", "p-9"]),
        "query": st.sampled_from(["", "_summary=count", "_count=0"]),
        "resources": st.sampled_from([(), ("Goal/1@1",)]),
    }
)
BROKEN = re.compile(r",\.|\s[.,;:]|\.\.|  |,,|:\.|\(\)|\ben\.$|None")


@settings(max_examples=500, deadline=None)
@given(LINES, TYPED, st.integers(1, 3), st.booleans(), st.sampled_from(["p-1", "p-5"]))
def test_every_sentence_is_whole_whatever_happened(said, owner, times, easy, reader):
    entry = replace(READ, **said)
    told = tell(*[entry] * times, easy=easy, owner=owner, reader=reader, grants={"g-1": SAID})
    for line in (line for one in told for line in one.lines):
        assert not line[0].islower(), line
        assert line.endswith((".", "…")), line
        assert not BROKEN.search(line), line
        assert not easy or len(line.split()) <= 12, line
    whole = " ".join(one.text for one in told)
    assert reader != "p-1" or "deze persoon" not in whole.lower()
    assert times == 1 or str(times) in whole


@pytest.mark.parametrize("interaction", SHOWN)
def test_with_the_longest_names_each_event_keeps_to_twelve_words(interaction):
    long = dict.fromkeys(TEXTS, "een twee drie vier vijf zes zeven acht negen tien elf")
    several = (("overig", 99), ("gezin", 99), ("zorgplan", 1))
    for outcome in (0, 4, 12):
        for categories in ((), (("overig", 99),), several):
            said = long | {"outcome": outcome, "categories": categories}
            entry = replace(READ, interaction=interaction, **said)
            (one,) = tell(entry, easy=True, owner="Fenna Maria")
            assert max(len(line.split()) for line in one.lines) <= 12, one.lines
