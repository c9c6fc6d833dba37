"""What tables cannot say: grants used, the actor as signed in now, values that callers make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgo.consent import moments, reading
from pgo.consent.ages import birthday
from pgo.consent.decide import decide
from pgo.consent.model import Person, Policy, Request, Resource, World
from pgo.errors import BadValue

NOW = datetime(2026, 11, 21, 11, tzinfo=UTC)
PERMIT = {"client": "anna", "by": "anna", "effect": "permit"}
DENY = {**PERMIT, "effect": "deny"}


def world(*grants, persons=(), policy=None):
    rows = [reading.grant({"id": f"g{n}", **one}) for n, one in enumerate(grants)]
    return World.of([Person("anna", "1980-05-01"), *persons], (), rows, policy)


def ask(actor="sam", **members):
    usual = {"client": "anna", "action": "lezen", "purpose": "PATRQT", "at": NOW}
    resource = Resource(frozenset({"zorgplan"}))
    return Request(**{"actor": actor, "resource": resource, **usual, **members})


def test_the_decision_names_the_grant_and_the_chain_it_hangs_on():
    decision = decide(
        world(
            {**PERMIT, "id": "a", "to_who": "kees", "actions": ["lezen", "delen"], "depth": 1},
            {**PERMIT, "id": "b", "by": "kees", "to_who": "sam", "parent": "a"},
        ),
        ask(),
    )
    assert (decision.reason, decision.grants) == ("TOESTEMMING:b", ("b", "a"))


def test_a_refusal_names_every_deny_that_hit_and_no_other():
    decision = decide(
        world(
            {**DENY, "to_who": "sam"},
            {**DENY, "to_who": "sam", "categories": ["zorgplan"]},
            {**DENY, "to_who": "sam", "categories": ["dagboek"]},
            {**PERMIT, "to_who": "sam"},
        ),
        ask(),
    )
    assert (decision.reason, decision.grants) == ("WEIGERING_WINT", ("g0", "g1"))


def test_an_emergency_that_a_court_stopped_names_only_that_deny():
    from pgo.caller import Emergency

    doctor = Person("dok", kind="zorgverlener")
    request = ask(
        "dok",
        loa="hoog",
        resource=Resource(frozenset({"medicatie"})),
        emergency=Emergency("BTG", "ligt bewusteloos op straat"),
    )
    court = {**DENY, "to_who": "dok", "by": "rechter", "by_court": True}
    stopped = decide(world(court, {**DENY, "to_who": "dok"}, persons=[doctor]), request)
    assert (stopped.reason, stopped.grants) == ("WEIGERING_WINT", ("g0",))
    late = replace(request, emergency=Emergency("BTG", "x"))
    assert decide(world(court, persons=[doctor]), late).grants == ()
    opened = decide(world({**DENY, "to_who": "dok"}, persons=[doctor]), request)
    assert (opened.reason, opened.grants) == ("NOOD", ())


def test_broken_and_shallow_grants_are_named_too():
    broken = decide(world({**PERMIT, "by": "kees", "to_who": "sam", "parent": "weg"}), ask())
    assert (broken.reason, broken.grants) == ("DELEGATIE_ONGELDIG", ("g0",))
    shallow = decide(world({**PERMIT, "to_who": "sam", "actions": ["delen"]}), ask(action="delen"))
    assert (shallow.reason, shallow.grants) == ("DELEGATIE_DIEPTE", ("g0",))


def test_giving_up_names_one_grant():
    up = ask(
        action="beheren",
        restrictive=True,
        grant_to="sam",
        resource=Resource(frozenset({"toestemmingen"})),
    )
    decision = decide(world({**PERMIT, "to_who": "sam"}, {**PERMIT, "to_who": "sam"}), up)
    assert (decision.reason, decision.grants) == ("TOESTEMMING:g0", ("g0",))


def test_the_actor_as_signed_in_now_goes_before_what_the_world_knew():
    grants = {**PERMIT, "to_who": "org:linde"}
    then = Person("noor", kind="zorgverlener", orgs=frozenset({"linde"}))
    now = replace(then, orgs=frozenset())
    request = ask("noor", org="linde")
    assert decide(world(grants, persons=[then]), request).permit
    gone = decide(world(grants, persons=[then]), replace(request, person=now))
    assert gone.reason == "GEEN_LID_ORGANISATIE"
    assert decide(world(grants), replace(request, person=then)).permit


def test_what_no_rule_knows_is_refused():
    assert decide(world({**PERMIT, "to_who": "sam"}), ask(action="printen")).reason == "SCOPE"
    copilot = Person("kim", kind="copiloot", orgs=frozenset({"c"}))
    request = ask("kim", org="c", action="beheren", target="iets")
    assert decide(world(persons=[copilot]), request).reason == "BEHEER_BEPERKT"
    assert decide(world(), ask(loa="", action="delen")).reason == "LOA_TE_LAAG"


def test_the_policy_version_and_the_moment_are_in_the_decision():
    decision = decide(world(policy=Policy(version="huis-7")), ask())
    assert (decision.policy, decision.evaluated_at) == ("huis-7", NOW)


def test_persons_may_be_looked_up_live():
    class Live(dict):
        def get(self, key, _=None):
            return Person(key, kind="zorgverlener", orgs=frozenset({"linde"}))

    rows = [reading.grant({**PERMIT, "id": "g", "to_who": "org:linde"})]
    assert decide(World.of(Live(), (), rows), ask("noor", org="linde")).permit


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026", "2026-02-30", "2026-13-01", "20261121", "2026-11-21T12", "2026-W47-6"),
        *("2026-11-21 12:00", "2026-11-21T12:00:00+25:00", "0001-01-01T00:00:00+10:00"),
        *("9999-12-31", "1799-01-01", "\uff12026-11-21", None, 5, True),
    ],
)
def test_what_is_no_date_or_moment_cannot_be_read(text):
    with pytest.raises(BadValue) as caught:
        moments.moment(text, "x.from")
    assert caught.value.place == "x.from"
    assert str(text) not in caught.value.detail or not text


def test_a_day_starts_at_local_midnight_and_a_moment_without_zone_is_local():
    assert moments.moment("2026-07-01") == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert moments.moment("2026-01-01") == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert moments.moment("2026-07-01T10:00") == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert moments.moment("2026-07-01T10:00:00.5Z") == datetime(
        2026, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["2014-1", "14", "2014-00", "2014-02-30", "1799", "ooit", ""])
def test_half_a_date_that_is_no_date_has_no_birthday(text):
    assert moments.days_of(text) is None
    assert birthday(text, 12) is None


def test_birthdays_of_partial_dates_have_an_earliest_and_a_latest_day():
    assert birthday("2014", 12) == moments.moment("2026-01-01")
    assert birthday("2014", 12, latest=True) == moments.moment("2026-12-31")
    assert birthday("2012-02", 12, latest=True) == moments.moment("2024-02-29")
    assert birthday("2012-02-29", 18) == moments.moment("2030-03-01")


@pytest.mark.parametrize("minute", [0, 899, 1440, 8640, 10_079])
def test_a_minute_of_the_week_is_written_as_it_is_read(minute):
    text = moments.window_text(minute)
    assert moments.window({"from": text, "to": text}) == (minute, minute)


def test_a_stored_grant_needs_the_moment_it_was_made():
    row = {**PERMIT, "id": "g", "to_who": "sam"}
    assert reading.stored_grant(row).unreadable == "grant.made"
    assert reading.stored_grant({**row, "made": "2026-01-01"}).effect == "permit"
    lost = reading.stored_grant({"to_who": "sam"}, "rij", client="anna")
    assert (lost.client, lost.effect, lost.id) == ("anna", "deny", "rij")
    with pytest.raises(ValueError, match="rij"):
        reading.written(lost)


def test_remarks_beside_a_grant_restrict_nothing_and_are_let_through():
    row = {**PERMIT, "id": "g", "to_who": "sam", "preset": "meelezen", "note": "op verzoek"}
    assert reading.grant(row) == reading.grant({**PERMIT, "id": "g", "to_who": "sam"})
    with pytest.raises(BadValue) as caught:
        reading.grant({**row, "alleen_op": "zondag"})
    assert "zondag" not in str(caught.value)
