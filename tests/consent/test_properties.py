"""What holds in every world: deny wins, order never matters, nothing said is no."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.consent.decide import decide
from pgo.consent.model import (
    ACTIONS,
    CATEGORIES,
    Grant,
    Person,
    Relation,
    Request,
    Resource,
    World,
)
from pgo.consent.reading import grant, grantee, stored_grant, written

NOW = datetime(2026, 11, 21, 11, tzinfo=UTC)
PEOPLE = (
    Person("anna", "1980-05-01"),
    Person("bram", "2018-06-15"),
    Person("cleo", "2013-03-10"),
    Person("rosa", "1970-02-02", wilsonbekwaam=True),
    Person("mia", kind="naaste"),
    Person("kim", kind="copiloot", orgs=frozenset({"hulp"})),
    Person("noor", kind="zorgverlener", orgs=frozenset({"linde"}), teams=frozenset({"zuid"})),
    Person("sys", kind="systeem", orgs=frozenset({"linde"})),
)
NAMES = st.sampled_from([person.id for person in PEOPLE])
CLIENTS = st.sampled_from(["anna", "bram", "cleo", "rosa"])
TO = st.sampled_from(["mia", "kim", "noor", "sys", "org:linde", "org:linde/arts", "team:zuid"])
SOME = {
    "actions": st.frozensets(st.sampled_from(sorted(ACTIONS)), min_size=1),
    "categories": st.frozensets(st.sampled_from(sorted(CATEGORIES)), min_size=1, max_size=6),
    "types": st.frozensets(st.sampled_from(["Goal", "Condition"]), min_size=1),
    "labels": st.frozensets(st.sampled_from(["R", "V", "PSY", "XYZ"]), min_size=1),
    "purposes": st.frozensets(st.sampled_from(["TREAT", "PATRQT"]), min_size=1),
    "instances": st.frozensets(st.sampled_from(["x", "y"]), min_size=1),
}
EFFECTS = st.sampled_from(["permit", "deny"])
TIMES = st.none() | st.integers(-3, 3).map(lambda hours: NOW + timedelta(hours=hours))


@st.composite
def grants(draw, effect=EFFECTS):
    to_who = draw(TO)
    lists = {name: draw(st.none() | st.none() | values) for name, values in SOME.items()}
    return Grant(
        id=f"g{draw(st.integers(0, 5))}",
        client=draw(CLIENTS),
        by=draw(NAMES),
        effect=draw(effect),
        to_who=to_who,
        grantee=grantee(to_who, ""),
        status=draw(st.sampled_from(["active", "active", "active", "waakvlam"])),
        from_=draw(TIMES),
        to=draw(TIMES),
        revoked=draw(TIMES),
        weekly=draw(st.none() | st.just(((0, 5 * 1440),))),
        parent=draw(st.sampled_from(["", "", "g0", "g1", "g2"])),
        depth=draw(st.integers(0, 2)),
        made=draw(st.none() | st.just(NOW - timedelta(days=1))),
        own=draw(st.sampled_from([False, False, True])),
        **lists,
    )


@st.composite
def relations(draw):
    return Relation(
        person=draw(st.sampled_from(["mia", "kim", "noor"])),
        client=draw(CLIENTS),
        kind=draw(st.sampled_from(["ouder", "mentor", "gemachtigde", "familie", "curator"])),
        gezag=draw(st.booleans()),
        order=draw(st.sampled_from(["", "C/1"])),
        verified=draw(st.sampled_from(["", "volmacht"])),
        as_=draw(st.sampled_from(["", "zus", "partner"])),
        child_confirmed=draw(st.none() | st.just(NOW - timedelta(days=9))),
    )


@st.composite
def requests(draw):
    actor = draw(NAMES)
    org = {"kim": "hulp", "noor": "linde", "sys": "linde"}.get(actor, "")
    return Request(
        actor=actor,
        client=draw(CLIENTS),
        action=draw(st.sampled_from(["lezen", "lezen", *sorted(ACTIONS)])),
        purpose=draw(st.sampled_from(["TREAT", "PATRQT"])),
        at=NOW,
        resource=Resource(
            categories=frozenset(draw(st.lists(st.sampled_from(sorted(CATEGORIES)), max_size=2))),
            type=draw(st.sampled_from(["", "Goal", "Patient"])),
            id=draw(st.sampled_from(["", "x"])),
            author=draw(st.sampled_from(["", "noor", "mia"])),
            labels=draw(st.frozensets(st.sampled_from(["N", "R", "PSY"]), max_size=2)),
            org=draw(st.sampled_from(["", "linde"])),
        ),
        org=draw(st.sampled_from([org, org, ""])),
        role=draw(st.sampled_from(["", "arts"])),
        restrictive=draw(st.booleans()),
        co_consent=draw(st.booleans()),
    )


WORLDS = st.tuples(st.lists(relations(), max_size=3), st.lists(grants(), max_size=6))
MANY = settings(max_examples=120, deadline=None)


def permitted(relations_, grants_, request):
    return decide(World.of(PEOPLE, relations_, grants_), request).permit


@MANY
@given(requests())
def test_in_an_empty_world_nobody_but_the_client_gets_anything(request):
    assert not permitted([], [], request) or request.actor == request.client


@MANY
@given(WORLDS, requests(), grants(effect=st.just("deny")))
def test_adding_a_deny_never_permits(world, request, deny):
    before = permitted(*world, request)
    # A deny must not take the id of a permit somebody's chain leans on, nor give it one.
    deny = replace(deny, id="nieuw", parent="")
    after = permitted(world[0], [*world[1], deny], request)
    assert before or not after


@MANY
@given(WORLDS, requests(), st.lists(grants(effect=st.just("permit")), min_size=1, max_size=4))
def test_a_matching_deny_wins_over_any_added_permit(world, request, added):
    relations_, grants_ = world
    first = decide(World.of(PEOPLE, relations_, grants_), request)
    if first.reason != "WEIGERING_WINT":
        return
    fresh = [replace(one, id=f"n{number}") for number, one in enumerate(added)]
    again = decide(World.of(PEOPLE, relations_, [*grants_, *fresh]), request)
    giving_up = request.action == "beheren" and request.restrictive
    assert again.reason == "WEIGERING_WINT" or giving_up


@MANY
@given(WORLDS, requests(), st.data())
def test_revoking_a_permit_never_permits(world, request, data):
    relations_, grants_ = world
    permits = [n for n, one in enumerate(grants_) if one.effect == "permit"]
    if not permits:
        return
    number = data.draw(st.sampled_from(permits))
    ended = [replace(g, revoked=NOW) if n == number else g for n, g in enumerate(grants_)]
    assert permitted(relations_, grants_, request) or not permitted(relations_, ended, request)


@MANY
@given(WORLDS, requests(), st.randoms(use_true_random=False))
def test_the_order_of_grants_never_changes_the_verdict(world, request, random):
    relations_, grants_ = world
    shuffled = list(grants_)
    random.shuffle(shuffled)
    first = decide(World.of(PEOPLE, relations_, grants_), request)
    second = decide(World.of(PEOPLE, relations_, shuffled), request)
    assert first.permit == second.permit
    assert first.reason.partition(":")[0] == second.reason.partition(":")[0]


@MANY
@given(WORLDS, requests())
def test_nothing_of_another_dossier_counts(world, request):
    relations_, grants_ = world
    here = [one for one in grants_ if one.client == request.client]
    related = [one for one in relations_ if one.client == request.client]
    assert decide(World.of(PEOPLE, relations_, grants_), request) == decide(
        World.of(PEOPLE, related, here), request
    )


@MANY
@given(WORLDS, requests())
def test_a_decision_says_what_it_is_made_of(world, request):
    relations_, grants_ = world
    decision = decide(World.of(PEOPLE, relations_, grants_), request)
    assert decision.evaluated_at == NOW
    assert decision.policy == "pgo-toestemming-1"
    assert decision.obligations == ("audit",)
    assert set(decision.grants) <= {one.id for one in grants_}
    if decision.reason.startswith("TOESTEMMING:"):
        assert decision.grants[0] == decision.reason.partition(":")[2]
    assert decision.permit == (
        decision.reason == "ZELF" or decision.reason.startswith(("TOESTEMMING:", "VERTEGENWOO"))
    )


@MANY
@given(grants(), st.sampled_from(["weekly", "to", "actions", "depth", "status", "by"]))
def test_spoiling_a_stored_permit_never_opens_more(one, member):
    spoilt = stored_grant({**written(one), member: ["?"]}, stored=False)
    assert spoilt.effect == "deny"
    assert spoilt.unreadable
    assert (spoilt.to_who, spoilt.client) == (one.to_who, one.client)


@MANY
@given(grants())
def test_a_grant_that_is_written_reads_back_the_same(one):
    kept = one if one.effect == "permit" else replace(one, weekly=one.weekly or None)
    assert grant(written(kept)) == kept
