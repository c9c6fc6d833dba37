"""What is announced, when, to whom, and once: birthdays, ends of mandates, grants, programmes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.consent.life import due, next_mark, to_confirm
from pgo.consent.moments import moment
from pgo.consent.reading import world

FENNA = {
    "persons": {"fenna": {"birth": "2008-08-31"}},
    "relations": [{"person": "marjan", "client": "fenna", "kind": "ouder", "gezag": True}],
    "grants": [
        {"id": "g-sam", "client": "fenna", "by": "marjan", "effect": "permit", "to_who": "samira",
         "made": "2019-01-01"},
        {"id": "g-eigen", "client": "fenna", "by": "fenna", "effect": "permit", "to_who": "jo",
         "made": "2025-01-01", "from": "2025-01-01", "to": "2025-05-01"},
    ],
}  # fmt: skip


def said(raw, since, now, client="fenna", **more):
    made = world(raw)
    start = moment(since) if since else None
    return due(made, made.person(client), start, moment(now), **more)


def names(found):
    return [(one.kind, one.today) for one in found]


def test_eighteen_is_announced_half_a_year_and_a_month_before_and_on_the_day():
    for before, day, today in (
        ("2026-02-27T23:59:59", "2026-02-28", False),
        ("2026-07-31T23:59:59", "2026-08-01", False),
        ("2026-08-30T23:59:59", "2026-08-31", True),
    ):
        assert said(FENNA, "2026-01-01", before)[-1:] != said(FENNA, "2026-01-01", day)
        (one,) = said(FENNA, before, day)
        assert (one.kind, one.today) == ("wordt-18", today)
        assert one.people == ("fenna", "marjan")
        assert one.confirm == ("g-sam",)
        assert said(FENNA, day, day) == ()


def test_who_catches_up_is_told_the_newest_thing_only():
    found = said(FENNA, "2026-01-01", "2026-09-15")
    assert names(found) == [("wordt-18", True)]
    found = said(FENNA, "2026-01-01", "2026-08-15")
    assert names(found) == [("wordt-18", False)]


def test_a_dossier_seen_for_the_first_time_is_told_what_is_still_to_come():
    assert names(said(FENNA, None, "2026-08-15")) == [("wordt-18", False)]
    assert said(FENNA, None, "2026-09-15") == ()


def test_twelve_and_sixteen_are_announced_too():
    for years, kind in ((12, "wordt-12"), (16, "wordt-16")):
        day = f"{2008 + years}-08-31"
        (one,) = said({**FENNA, "grants": FENNA["grants"][:1]}, f"{2008 + years}-08-30", day)
        assert (one.kind, one.today) == (kind, True)


def test_a_grant_that_ends_is_announced_to_who_has_it():
    ahead, over = said(FENNA, "2025-04-01", "2025-04-17"), said(FENNA, "2025-04-20", "2025-05-01")
    assert names(ahead) == [("einde-toestemming", False)]
    assert names(over) == [("einde-toestemming", True)]
    assert over[0].people == ("fenna", "jo", "marjan")
    assert over[0].about == "g-eigen"
    programme = said(FENNA, "2025-03-01", "2025-04-05", programme=frozenset({"g-eigen"}))
    assert names(programme) == [("einde-programma", False)]


@pytest.mark.parametrize("more", [{"revoked": "2025-02-01"}, {"status": "rejected"}])
def test_a_grant_that_was_ended_before_is_not_announced(more):
    raw = {**FENNA, "grants": [FENNA["grants"][1] | more]}
    assert said(raw, "2025-04-01", "2025-05-02") == ()


def test_a_short_grant_is_not_announced_before_it_was_made():
    raw = {**FENNA, "grants": [FENNA["grants"][1] | {"from": "2025-04-25", "made": "2025-04-24"}]}
    assert said(raw, "2025-04-01", "2025-04-30") == ()
    assert names(said(raw, "2025-04-01", "2025-05-01")) == [("einde-toestemming", True)]


def test_a_mandate_that_ends_leaves_grants_to_look_at_again():
    raw = {
        "persons": {"ruud": {"birth": "1990-01-01"}},
        "relations": [{"person": "anja", "client": "ruud", "kind": "mentor", "order": "C/1",
                       "from": "2024-01-01", "to": "2026-06-01"}],
        "grants": [{"id": "g-1", "client": "ruud", "by": "anja", "effect": "permit",
                    "to_who": "noor", "made": "2025-01-01"}],
    }  # fmt: skip
    (one,) = said(raw, "2026-05-01", "2026-05-05", "ruud")
    assert (one.kind, one.about, one.confirm) == ("einde-vertegenwoordiging", "anja", ("g-1",))
    made = world(raw)
    assert to_confirm(made, made.person("ruud"), moment("2026-05-31")) == ()
    assert to_confirm(made, made.person("ruud"), moment("2026-06-01")) == ("g-1",)


def test_after_death_nothing_is_announced():
    raw = {**FENNA, "persons": {"fenna": {"birth": "2008-08-31", "deceased": "2026-01-01"}}}
    assert said(raw, "2026-01-01", "2026-09-15") == ()


@given(st.lists(st.integers(0, 400), min_size=1, max_size=12))
def test_however_often_it_runs_each_announcement_is_made_once_and_the_last_is_not_missed(steps):
    now = datetime(2025, 1, 1, 12, tzinfo=UTC)
    made, since, keys = world(FENNA), now, []
    for step in [*steps, 700]:
        now += timedelta(days=step)
        found = due(made, made.person("fenna"), since, now)
        keys += [one.key for one in found]
        since = now
    assert len(keys) == len(set(keys))
    if now >= datetime(2026, 9, 1, tzinfo=UTC):
        assert sum("wordt-18" in key and key.endswith("2026-08-31") for key in keys) == 1


@given(st.integers(0, 3000))
def test_nothing_is_due_before_the_next_mark(days):
    made, now = world(FENNA), datetime(2019, 1, 1, tzinfo=UTC) + timedelta(days=days)
    mark = next_mark(made, made.person("fenna"), now)
    if mark is None:
        return
    just_before = mark - timedelta(microseconds=1)
    assert due(made, made.person("fenna"), now, just_before) == ()
    assert due(made, made.person("fenna"), now, mark) != ()
