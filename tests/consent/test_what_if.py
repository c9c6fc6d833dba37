"""What is told to change a decision, changes it; and who may do what is what is decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.consent import overview, what_if
from pgo.consent.decide import decide
from pgo.consent.model import ACTIONS, CATEGORIES, Person, Relation, Request, Resource, World
from pgo.consent.reading import grant

NOW = datetime(2026, 11, 21, 11, tzinfo=UTC)
PEOPLE = (
    Person("anna", "1980-05-01"),
    Person("bram", "2018-06-15"),
    Person("cleo", "2013-03-10"),
    Person("mia", kind="naaste"),
    Person("kim", kind="copiloot", orgs=frozenset({"hulp"})),
    Person("noor", kind="zorgverlener", orgs=frozenset({"linde"}), teams=frozenset({"zuid"})),
)
ORG = {"kim": "hulp", "noor": "linde"}


def some(values):
    return st.none() | st.frozensets(st.sampled_from(sorted(values)), min_size=1, max_size=4)


@st.composite
def grants(draw, number, client):
    times = st.none() | st.integers(-90, 90).map(lambda days: NOW + timedelta(days=days))
    value = {
        "id": f"g-{number}",
        "client": client,
        "by": draw(st.sampled_from([client, "mia"])),
        "effect": draw(st.sampled_from(["permit", "permit", "deny"])),
        "to_who": draw(st.sampled_from(["mia", "kim", "noor", "team:zuid", "org:linde"])),
        "made": (NOW - timedelta(days=200)).isoformat(),
        "status": draw(st.sampled_from(["active", "active", "waakvlam", "inactive"])),
    }
    for name, values in (
        ("actions", ACTIONS),
        ("categories", CATEGORIES),
        ("purposes", {"TREAT", "FAMRQT", "CAREMGT"}),
        ("labels", {"PSY"}),
    ):
        found = draw(some(values))
        if found is not None:
            value[name] = sorted(found)
    for name in ("from", "to"):
        at = draw(times)
        if at is not None:
            value[name] = at.isoformat()
    if draw(st.integers(0, 3)) == 0:
        value["weekly"] = [{"from": "fri 15:00", "to": "sun 19:00"}]
    return grant(value)


@st.composite
def questions(draw):
    client = draw(st.sampled_from(["anna", "bram", "cleo"]))
    count = draw(st.integers(0, 4))
    made = tuple(draw(grants(number, client)) for number in range(count))
    related = (Relation("mia", client, "ouder", gezag=True),) if draw(st.booleans()) else ()
    actor = draw(st.sampled_from(["mia", "kim", "noor", client]))
    request = Request(
        actor=actor,
        client=client,
        action=draw(st.sampled_from(sorted(ACTIONS))),
        purpose=draw(st.sampled_from(["TREAT", "FAMRQT", "CAREMGT"])),
        at=NOW,
        resource=Resource(
            frozenset({draw(st.sampled_from(sorted(CATEGORIES)))}),
            labels=draw(st.sampled_from([frozenset(), frozenset({"PSY"}), frozenset({"R"})])),
        ),
        org=ORG.get(actor, ""),
        loa=draw(st.sampled_from(["laag", "substantieel"])),
    )
    return World.of(PEOPLE, related, made), request


def changed(world, request, change):
    """The question after a change that can be made in it, or None when it is another kind."""
    if change.code == "NIVEAU":
        return world, replace(request, loa=change.about)
    if change.code == "DOEL":
        return world, replace(request, purpose=change.about)
    if change.code == "MEDETOESTEMMING":
        return world, replace(request, co_consent=True)
    if change.code in {"VANAF", "TOT"}:
        return world, replace(request, at=datetime.fromisoformat(change.about))
    if change.code in {"WEIGERING_WEG", "ZONDER_TOESTEMMING"}:
        gone = set(change.about.split("+"))
        left = tuple(one for one in world.grants if one.id not in gone)
        return World.of(world.persons, world.relations, left, world.policy), request
    if change.code == "WEER_ACTIEF":
        made = tuple(
            replace(one, status="active", revoked=None) if one.id == change.about else one
            for one in world.grants
        )
        return World.of(world.persons, world.relations, made, world.policy), request
    return None


@settings(max_examples=300, deadline=None)
@given(questions())
def test_every_change_that_is_told_turns_the_answer_round(question):
    world, request = question
    now = decide(world, request).permit
    for change in what_if.changes(world, request):
        assert change.text.endswith(".")
        assert len(change.text.split()) <= 20
        after = changed(world, request, change)
        if after is not None:
            assert decide(*after).permit is not now, change
        else:
            assert change.code in {"TOESTEMMING", "LID", "ZEGEL_WEG", "ZONDER_RELATIE"}


@settings(max_examples=60, deadline=None)
@given(questions())
def test_the_table_of_rights_is_what_decide_says_cell_by_cell(question):
    world, request = question

    def asked(action, resource):
        return replace(request, action=action, resource=resource)

    rights = overview.rights(world, asked, NOW)
    told = {(c, a) for one in rights if not one.part for c in one.categories for a in one.actions}
    for category in CATEGORIES:
        for action in ACTIONS:
            may = decide(world, asked(action, Resource(frozenset({category})))).permit
            assert may == ((category, action) in told)
    for one in rights:
        assert one.grant or one.reason == "ZELF" or one.reason.startswith("VERTEGENWOORDIGER:")
        for sentence in overview.said("Stichting Woonzorg De Linde (zorgverlener)", one):
            assert len(sentence.split()) <= 20, sentence


def test_a_grant_opens_for_a_child_by_its_parent():
    world = World.of(PEOPLE, (Relation("mia", "bram", "ouder", gezag=True),), ())
    request = Request("noor", "bram", "lezen", "TREAT", NOW, Resource(frozenset({"medicatie"})))
    codes = [change.code for change in what_if.changes(world, replace(request, org="linde"))]
    assert codes == ["TOESTEMMING"]
    alone = World.of(PEOPLE, (), ())
    assert what_if.changes(alone, replace(request, org="linde")) == ()


@pytest.mark.parametrize("effect", ["permit", "deny"])
def test_a_weekly_window_tells_when_it_opens_next(effect):
    given_ = {"id": "g", "client": "anna", "by": "anna", "effect": "permit", "to_who": "mia"}
    made = [grant(given_ | {"weekly": [{"from": "fri 15:00", "to": "sun 19:00"}]})]
    at = datetime(2026, 3, 26, 11, tzinfo=UTC)  # a Thursday; the clock goes forward that Sunday
    if effect == "deny":
        at += timedelta(days=2)
    request = Request("mia", "anna", "lezen", "SUPNWK", at, Resource(frozenset({"medicatie"})))
    found = {one.code: one.text for one in what_if.changes(World.of(PEOPLE, (), made), request)}
    if effect == "permit":
        assert found["VANAF"] == "Vanaf 27 maart 2026 om 15:00 uur."
    else:
        assert found["TOT"] == "Tot 29 maart 2026 om 19:00 uur."
