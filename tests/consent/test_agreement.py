"""Who may say yes to what somebody asked, and what that does: one table, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgo.agreement import Asked, Yes, both_needed, is_other_party, opens_less, stands, yes
from pgo.consent import reading
from pgo.consent.model import SEALS, Person, Policy, Relation, Request, Resource, World

TWELVE = datetime(2024, 12, 31, 23, tzinfo=UTC)
"""1 January 2025 in Amsterdam: who was born on 1 January 2013 turns twelve."""
SIXTEEN = datetime(2028, 12, 31, 23, tzinfo=UTC)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
CO, FAMILY = "medetoestemming", "instemming"
CHILD = Person("anna", "2013-01-01")
KINDS = {"op": "beheerder", "kim": "copiloot", "sys": "systeem", "noor": "zorgverlener"}
PURPOSES = {"kim": "CAREMGT", "noor": "TREAT", "sys": "TREAT", "anna": "PATRQT"}
REINS = {"effect": "permit", "actions": ["lezen", "beheren"], "categories": ["toestemmingen"],
         "client": "anna", "by": "anna", "made": "2025-02-01"}  # fmt: skip


def parent(who: str, **more: Any) -> Relation:
    said = {"person": who, "client": "anna", "kind": "ouder", "gezag": True} | more
    return reading.relation(said)


SAM, NINA = parent("sam", child_confirmed="2025-02-01"), parent("nina")
LEFT = parent("piet", child_confirmed="2025-02-01", to="2026-03-01")


def world(*more: dict[str, Any], child: Person = CHILD, policy: Policy | None = None) -> World:
    grants = [REINS | {"id": "g-buur", "to_who": "buur"}, REINS | {"id": "g-kim", "to_who": "kim"}]
    return World.of(
        {"anna": child},
        (SAM, NINA, LEFT, reading.relation(
            {"person": "mo", "client": "anna", "kind": "familie", "as": "broer"})),
        [reading.grant(one) for one in (*grants, *more)],
        policy,
    )  # fmt: skip


def mine(who: str, at: datetime = NOW, **more: Any) -> Request:
    actor = CHILD if who == "anna" else Person(who, "1980-01-01", KINDS.get(who, ""))
    orgs = frozenset({"coophulp"}) if who == "kim" else frozenset()
    request = Request(
        who, "anna", "beheren", PURPOSES.get(who, "FAMRQT"), at,
        Resource(frozenset({"toestemmingen"}), "Consent"),
        person=replace(actor, orgs=orgs), org=min(orgs, default=""),
    )  # fmt: skip
    return replace(request, **more)


@dataclass(frozen=True)
class Row:
    id: str
    by: str
    who: str
    does: Yes
    to: str = "lea"
    at: datetime = NOW
    waits: str = CO
    more: tuple[tuple[str, Any], ...] = ()


ROWS = [
    Row("a confirmed parent agrees to what the child asked", "anna", "sam", Yes.DONE),
    Row("so does one who is not confirmed", "anna", "nina", Yes.DONE),
    Row("the child agrees to what a parent asked", "sam", "anna", Yes.DONE),
    Row("the child does not agree to his own question", "anna", "anna", Yes.OWN),
    Row("nor a parent to hers", "sam", "sam", Yes.OWN),
    Row("a second parent is not the child", "sam", "nina", Yes.REFUSED),
    Row("nobody agrees to what is about himself", "anna", "sam", Yes.REFUSED, to="sam"),
    Row("nor a parent who is not confirmed", "anna", "nina", Yes.REFUSED, to="nina"),
    Row("a stranger agrees to nothing", "anna", "lea", Yes.REFUSED, to="x"),
    Row("nor who it is about", "anna", "lea", Yes.REFUSED),
    Row("nor an operator", "anna", "op", Yes.REFUSED),
    Row("nor a parent who is signed in as operator", "anna", "sam", Yes.REFUSED,
        more=(("person", Person("sam", kind="beheerder")),)),
    Row("nor a doctor", "anna", "noor", Yes.REFUSED),
    Row("nor a system", "anna", "sys", Yes.REFUSED),
    Row("nor a brother", "anna", "mo", Yes.REFUSED),
    Row("nor a parent who was removed", "anna", "piet", Yes.REFUSED),
    Row("what a removed parent asked is over", "piet", "anna", Yes.LAPSED),
    Row("a sign-in that is too weak agrees to nothing", "anna", "nina", Yes.REFUSED,
        more=(("loa", "laag"),)),
    Row("not the child's either", "sam", "anna", Yes.REFUSED, more=(("loa", "laag"),)),
    Row("an app for the market agrees to nothing", "anna", "sam", Yes.REFUSED,
        more=(("purpose", "HMARKT"),)),
    Row("who holds the reins by a grant alone gives nothing of it", "anna", "buur",
        Yes.NOTHING_TO_GIVE),
    Row("what he asked, the child makes his own; the parent is next", "buur", "anna", Yes.FIRST,
        waits=FAMILY),
    Row("or the parent, and the child is next", "buur", "sam", Yes.FIRST, waits=FAMILY),
    Row("he himself does not answer it", "buur", "buur", Yes.NOTHING_TO_GIVE, waits=FAMILY),
    Row("just before twelve a parent may do it alone", "nina", "sam", Yes.ALONE,
        at=TWELVE - INSTANT),
    Row("and the child nothing", "sam", "anna", Yes.REFUSED, at=TWELVE - INSTANT),
    Row("at twelve both are needed", "sam", "anna", Yes.LAPSED, at=TWELVE),
    Row("just before sixteen too", "sam", "anna", Yes.DONE, at=SIXTEEN - INSTANT),
    Row("at sixteen it is the child's alone, what a parent asked", "sam", "anna", Yes.ALONE,
        at=SIXTEEN),
    Row("and what he asked himself", "anna", "anna", Yes.ALONE, at=SIXTEEN),
    Row("a parent agrees to nothing any more", "anna", "sam", Yes.REFUSED, at=SIXTEEN),
    Row("confirmed or not", "anna", "nina", Yes.REFUSED, at=SIXTEEN),
]  # fmt: skip


@pytest.mark.parametrize("target", ["grant", "seal", "relation", "deny"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_a_yes_does(row, target):
    asked = Asked(row.by, row.to, target, row.waits)
    does, decision = yes(world(), CHILD, asked, mine(row.who, row.at, **dict(row.more)))
    assert does is row.does, decision.reason
    assert decision.reason


def test_a_copiloot_with_the_reins_answers_nothing_that_is_not_a_grant():
    for target in ("seal", "relation", "deny"):
        does, decision = yes(world(), CHILD, Asked("anna", "lea", target, CO), mine("kim"))
        assert (does, decision.reason) == (Yes.REFUSED, "BEHEER_BEPERKT")


@pytest.mark.parametrize("who", ["sam", "nina"])
def test_a_parent_the_child_keeps_out_is_not_asked(who):
    deny = {"id": "d", "effect": "deny", "client": "anna", "by": "anna", "to_who": who,
            "made": "2025-02-01"}  # fmt: skip
    asked = Asked("anna", "lea", "seal", CO)
    assert is_other_party(world(), CHILD, asked, mine(who))
    assert not is_other_party(world(deny), CHILD, asked, mine(who))
    assert yes(world(deny), CHILD, asked, mine(who))[0] is Yes.REFUSED


def test_where_parents_keep_access_at_twelve_both_are_needed_all_the_same():
    shared = world(policy=Policy(kind_12_15="gedeeld"))
    for by, who in (("nina", "anna"), ("anna", "nina")):
        assert yes(shared, CHILD, Asked(by, "lea", "seal", CO), mine(who))[0] is Yes.DONE
    assert yes(shared, CHILD, Asked("nina", "lea", "seal", CO), mine("nina"))[0] is Yes.OWN


def test_of_a_child_who_cannot_decide_a_parent_does_it_alone():
    unable = replace(CHILD, wilsonbekwaam=True)
    asked = Asked("anna", "lea", "seal", CO)
    assert yes(world(child=unable), unable, asked, mine("nina"))[0] is Yes.DONE
    alone = Asked("buur", "lea", "seal", FAMILY)
    assert yes(world(child=unable), unable, alone, mine("nina"))[0] is Yes.ALONE


def test_after_death_nothing_is_agreed_to():
    dead = replace(CHILD, deceased=NOW - timedelta(days=1))
    for by, who in (("sam", "anna"), ("anna", "sam"), ("anna", "anna")):
        does, _ = yes(world(child=dead), dead, Asked(by, "lea", "relation", CO), mine(who))
        assert does in {Yes.LAPSED, Yes.REFUSED}


def test_a_question_stands_as_long_as_who_asked_it_may_ask_it():
    asked = Asked("piet", "lea", "relation", CO)
    assert stands(world(), CHILD, asked, datetime(2026, 2, 28, 12, tzinfo=UTC))
    assert not stands(world(), CHILD, asked, NOW)
    assert stands(world(), CHILD, replace(asked, by="sam"), NOW)
    assert stands(world(), CHILD, replace(asked, by="sam"), SIXTEEN), "then it is the child's"
    assert stands(world(), CHILD, Asked("kim", "lea", "grant", "waarneming"), NOW)


@pytest.mark.parametrize(
    ("birth", "at", "needed"),
    [
        ("2013-01-01", TWELVE - INSTANT, False),
        ("2013-01-01", TWELVE, True),
        ("2013-01-01", SIXTEEN - INSTANT, True),
        ("2013-01-01", SIXTEEN, False),
        ("2012-02-29", datetime(2028, 2, 28, 23, tzinfo=UTC) - INSTANT, True),
        ("2012-02-29", datetime(2028, 2, 28, 23, tzinfo=UTC), False),
        ("2013", datetime(2025, 6, 1, tzinfo=UTC), False),  # own rights: the latest birthday
        ("2013", datetime(2029, 6, 1, tzinfo=UTC), True),
        ("", NOW, False),
    ],
)
def test_both_are_needed_from_the_twelfth_birthday_up_to_the_sixteenth(birth, at, needed):
    assert both_needed(Person("anna", birth), at) is needed


def test_a_seal_that_hides_less_opens_something():
    only = "alleen-auteur-en-client"
    for before in ("", *SEALS):
        for after in ("", *SEALS):
            same = not before or before == after
            assert opens_less(before, after) is (same or after == only), (before, after)
