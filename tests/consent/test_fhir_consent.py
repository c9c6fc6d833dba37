"""A grant as a FHIR Consent, and a Consent as the grant it says: without loss, or not at all."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.consent import fhir_in, fhir_out, fhir_times, moments, reading
from pgo.consent import fhir_systems as systems
from pgo.consent.categories import classify, types
from pgo.consent.decide import decide
from pgo.consent.fhir_actors import Actors
from pgo.consent.model import ACTIONS, CATEGORIES, Grant, Person, Request, Resource, World
from pgo.errors import Unprocessable
from pgo.fhir import profiles, text, validate

NOW = datetime(2026, 11, 21, 11, tzinfo=UTC)
KNOWN = fhir_out.Named(
    client="anna",
    patient="p-1",
    policy="pgo-toestemming-1",
    kinds={"kim": "copiloot", "noor": "zorgverlener"},
    names={"kim": "Kim Jansen", "linde": "De Linde"},
)
ACTORS = Actors(client="anna", patient="p-1", related={"r-1": "mia"})
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._é ", min_size=1, max_size=20).map(str.strip)
NAME = WORD.filter(bool)
DAYS = st.dates(date(1950, 1, 1), date(2100, 1, 1)).map(moments.midnight)
MOMENTS = st.integers(-(10**15), 4 * 10**15).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
WHOLE = MOMENTS.map(lambda at: at.replace(microsecond=0))
TIMES = st.none() | DAYS | WHOLE | MOMENTS
MINUTES = st.integers(0, 7 * 24 * 60 - 1)
TO = st.one_of(
    NAME,
    NAME.map(lambda name: f"team:{name}"),
    NAME.map(lambda name: f"org:{name}"),
    st.tuples(NAME, NAME).map(lambda pair: f"org:{pair[0]}/{pair[1]}"),
    st.sampled_from(["kim", "noor", "mia", "anna"]),
)
VALUES = {
    "actions": sorted(ACTIONS),
    "categories": sorted(CATEGORIES),
    "types": sorted(types()),
    "labels": ["R", "V", "N", "PSY", "HIV", "eigen-label"],
    "purposes": ["TREAT", "PATRQT", "FAMRQT", "SUPNWK", "CAREMGT", "ETREAT", "HRESCH"],
    "instances": ["zp-9", "a", "b.c", "x" * 64],
}


def lists(effect):
    smallest = 0 if effect == "permit" else 1
    return {
        name: st.none() | st.frozensets(st.sampled_from(some), min_size=smallest)
        for name, some in VALUES.items()
    }


@st.composite
def grants(draw):
    effect = draw(st.sampled_from(["permit", "permit", "deny"]))
    to_who = draw(TO)
    least = 0 if effect == "permit" else 1
    windows = st.lists(st.tuples(MINUTES, MINUTES), min_size=least, max_size=3).map(tuple)
    start, end = draw(TIMES), draw(TIMES)
    data_start, data_end = draw(TIMES), draw(TIMES)
    return Grant(
        id=draw(NAME),
        client="anna",
        by=draw(st.sampled_from(["anna", "mia", "kim"])),
        effect=effect,
        to_who=to_who,
        grantee=reading.grantee(to_who, ""),
        by_court=draw(st.booleans()),
        author=draw(st.just("") | NAME),
        from_=start,
        to=end if start is None or end is None or start < end else None,
        data_from=data_start,
        data_to=data_end
        if data_start is None or data_end is None or data_start < data_end
        else None,
        weekly=draw(st.none() | windows),
        status=draw(
            st.sampled_from(["active", "proposed", "waakvlam", "inactive", "rejected", "x"])
        ),
        revoked=draw(st.none() | MOMENTS),
        parent=draw(st.just("") | NAME),
        depth=draw(st.integers(0, 9)),
        made=draw(MOMENTS),
        own=draw(st.booleans()),
        **{name: draw(some) for name, some in lists(effect).items()},
    )


def back(tree):
    return reading.grant(fhir_in.grant_in(tree, ACTORS), stored=True)


@settings(max_examples=300, deadline=None)
@given(grants())
def test_every_grant_is_the_same_after_the_round_trip(grant):
    assert back(fhir_out.consent_of(grant, KNOWN)) == grant


@settings(max_examples=40, deadline=None)
@given(grants())
def test_every_projection_is_valid_and_is_no_health_data(grant):
    tree = fhir_out.consent_of(grant, KNOWN)
    parsed = text.parse(orjson.dumps(tree))
    assert validate.validate("r4", parsed) == ()
    assert profiles.ours().faults("r4", parsed) == []
    assert classify("r4", tree) == {"toestemmingen"}
    assert tree["provision"]["type"] == grant.effect
    assert ("action" in tree["provision"]) == bool(grant.allowed)
    if grant.effect == "permit":
        assert ("code" in tree["provision"]) == bool(grant.contained)


PEOPLE = (
    Person("anna", "1980-05-01"),
    Person("mia", kind="naaste"),
    Person("kim", kind="copiloot", orgs=frozenset({"hulp"})),
    Person("noor", kind="zorgverlener", orgs=frozenset({"linde"}), teams=frozenset({"zuid"})),
)


@settings(max_examples=200, deadline=None)
@given(grants(), st.data())
def test_the_same_is_decided_after_the_round_trip(grant, data):
    to_who = data.draw(st.sampled_from(["mia", "kim", "noor", "org:linde/arts", "team:zuid"]))
    grant = replace(grant, to_who=to_who, grantee=reading.grantee(to_who, ""), by="anna")
    there = back(fhir_out.consent_of(grant, KNOWN))
    who = data.draw(st.sampled_from(["mia", "kim", "noor"]))
    request = Request(
        actor=who,
        client="anna",
        action=data.draw(st.sampled_from(sorted(ACTIONS))),
        purpose=data.draw(st.sampled_from(VALUES["purposes"])),
        at=NOW + timedelta(minutes=data.draw(MINUTES)),
        resource=Resource(
            frozenset({data.draw(st.sampled_from(sorted(CATEGORIES)))}),
            data.draw(st.sampled_from(["", "Observation", "Goal"])),
            data.draw(st.sampled_from(["", "zp-9", "a"])),
            labels=data.draw(st.frozensets(st.sampled_from(["R", "PSY"]))),
            date=data.draw(st.sampled_from(["", "2020-01-01", "2026"])),
        ),
        org={"kim": "hulp", "noor": "linde"}.get(who, ""),
        role="arts" if who == "noor" else "",
    )
    first, second = (decide(World.of(PEOPLE, (), (one,)), request) for one in (grant, there))
    assert first == second


def test_the_profile_refuses_what_the_reader_refuses():
    for change in (
        {"actor": None},
        {"actor": [ACTOR, ACTOR]},
        {"code": one_of({"system": systems.CATEGORIES, "code": "alles"})},
        {"action": one_of({"system": systems.CONSENT_ACTION, "code": "use"})},
        {"type": None},
        {"provision": [{"type": "deny"}]},
    ):
        tree = sent(**change) | {"meta": {"profile": [systems.PROFILE]}}
        refused = profiles.ours().faults("r4", text.parse(orjson.dumps(tree)))
        reads = True
        try:
            said(tree)
        except Unprocessable:
            reads = False
        assert not reads
        assert refused or "actor" in change, change


# --- what a Consent of somebody else says --------------------------------------------------------

CODING = {"system": systems.CATEGORIES, "code": "medicatie"}
SENT = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"coding": [{"system": systems.SCOPE, "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "patient": {"reference": "Patient/p-1"},
    "policy": [{"uri": "https://pgo.example/fhir/beleid/pgo-toestemming-1"}],
    "provision": {
        "type": "permit",
        "actor": [
            {
                "role": {"coding": [{"system": systems.ROLE, "code": "IRCP"}]},
                "reference": {"reference": "Practitioner/kim"},
            }
        ],
        "action": [{"coding": [{"system": systems.CONSENT_ACTION, "code": "access"}]}],
        "code": [{"coding": [CODING]}],
    },
}


def sent(**provision):
    tree = copy.deepcopy(SENT)
    tree["provision"] |= provision
    return {**tree, "provision": {k: v for k, v in tree["provision"].items() if v is not None}}


def said(tree):
    return fhir_in.grant_in(tree, ACTORS)


def test_a_plain_consent_is_a_plain_grant():
    assert validate.validate("r4", SENT) == ()
    found = said(SENT)
    assert (found["effect"], found["to_who"]) == ("permit", "kim")
    assert (found["actions"], found["categories"]) == (["lezen"], ["medicatie"])


def test_what_is_said_beside_the_rule_and_changes_nothing_is_taken():
    rule = {"coding": [{"system": systems.ACT_CODE, "code": "OPTIN"}]}
    beside = {"policyRule": rule, "organization": [{"display": "De Linde"}]}
    for more in (
        beside,
        {"policy": [{"uri": "https://elders.example/beleid"}]},
        {"language": "nl"},
    ):
        assert said({**SENT, **more}) == said(SENT)
    assert said({name: each for name, each in SENT.items() if name != "policy"}) == said(SENT)


def test_the_type_counts_in_the_root_and_one_level_below_it():
    inner = sent()["provision"]
    below = {**SENT, "provision": {"provision": [inner]}}
    assert said(below) == said(SENT)
    split = {key: inner[key] for key in ("actor", "code")}
    rest = {key: inner[key] for key in ("type", "action")}
    assert said({**SENT, "provision": {**split, "provision": [rest]}}) == said(SENT)


@pytest.mark.parametrize(
    ("end", "to"),
    [
        ("2027-06-01", "2027-06-01T22:00:00Z"),
        ("2027-06", "2027-06-30T22:00:00Z"),
        ("2027", "2027-12-31T23:00:00Z"),
        ("2027-06-01T10:00:00Z", "2027-06-01T10:00:01Z"),
        ("2027-06-01T10:00:00.5Z", "2027-06-01T10:00:00.600000Z"),
        ("2027-10-31", "2027-10-31T23:00:00Z"),
    ],
)
def test_an_end_counts_up_to_and_including_itself(end, to):
    assert said(sent(period={"end": end}))["to"] == to
    assert said(sent(dataPeriod={"end": end}))["data_to"] == to


@settings(max_examples=200, deadline=None)
@given(TIMES, TIMES)
def test_a_period_is_the_same_after_the_round_trip(start, end):
    if start is not None and end is not None and end <= start:
        start = None
    made = fhir_times.period(start, end)
    assert fhir_times.stretch(made or None, "period") == (start, end)


def test_who_is_meant_by_a_literal_reference():
    def who(**reference):
        role = {"coding": [{"system": systems.ROLE, "code": "IRCP"}]}
        return said(sent(actor=[{"role": role, "reference": reference}]))["to_who"]

    assert who(reference="RelatedPerson/r-1") == "mia"
    assert who(reference="RelatedPerson/sam") == "sam"
    assert who(reference="Organization/linde") == "org:linde"
    assert who(reference="CareTeam/zuid") == "team:zuid"
    assert who(reference="Patient/p-1") == "anna"
    role = {"system": systems.ROLE_IN, "value": "linde/arts"}
    assert who(type="PractitionerRole", identifier=role) == "org:linde/arts"


def one_of(coding):
    return [{"coding": [coding]}]


ACTOR = SENT["provision"]["actor"][0]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"provision": None}, "Consent.provision"),
        ({"provision": None, "policyRule": {"text": "x"}}, "Consent.policyRule"),
        ({"policyRule": {"text": "x"}}, "Consent.policyRule"),
        ({"modifierExtension": [{"url": "http://x", "valueBoolean": True}]}, "Consent.modifier"),
        ({"extension": [{"url": "http://x", "valueBoolean": True}]}, "Consent.extension[0]"),
        ({"verification": [{"verified": True}]}, "Consent.verification"),
        ({"policyRule": {"coding": [{"system": systems.ACT_CODE, "code": "OPTOUT"}]}}, "Consent.p"),
        ({"_status": {"id": "x"}}, "Consent._status"),
        ({"status": "draft"}, "Consent.status"),
        ({"extension": [{"url": systems.STATUS, "valueCode": "waakvlam"}]}, "Consent.status"),
        ({"scope": one_of({"system": systems.SCOPE, "code": "research"})[0]}, "Consent.scope"),
        ({"category": one_of({"system": "http://x", "code": "y"})}, "Consent.category"),
        ({"category": one_of({"system": systems.KINDS, "code": "weigering"})}, "Consent.category"),
        ({"patient": {"reference": "Patient/p-2"}}, "Consent.patient"),
        ({"policy": [{"uri": "http://elders", "extension": []}]}, "Consent.policy[0].extension"),
        ({"sourceAttachment": {"title": "x"}}, "Consent.sourceAttachment"),
        ({"sourceReference": {"reference": "Contract/1"}}, "Consent.sourceReference"),
        ({"performer": [{"reference": "Organization/x"}]}, "Consent.performer[0]"),
        ({"performer": [{"reference": "Patient/p-1"}] * 2}, "Consent.performer"),
        ({"dateTime": "straks"}, "Consent.dateTime"),
        ({"contained": [{"resourceType": "Group", "id": "a"}]}, "Consent.contained"),
    ],
)
def test_what_stands_around_the_provision_and_cannot_be_computed_is_refused(change, place):
    tree = {k: v for k, v in (copy.deepcopy(SENT) | change).items() if v is not None}
    with pytest.raises(Unprocessable) as refused:
        said(tree)
    assert refused.value.place.startswith(place)
    assert refused.value.status == 422


RULE = "Consent.provision"
USE = {"system": systems.CONSENT_ACTION, "code": "use"}
NOBODY = {"display": "iedereen"}
ABOUT = {"reference": "Goal/1"}
DEEP = [{"type": "deny", "provision": [{}]}]
EXTRA = [{"url": "http://x", "valueBoolean": True}]
GROUP = {"role": ACTOR["role"], "reference": {"reference": "Group/iedereen"}}
WEEK = {"url": systems.WEEKLY, "extension": [{"url": "van", "valueString": "fri 15:00"}]}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"type": None}, f"{RULE}.type"),
        ({"actor": None}, f"{RULE}.actor"),
        ({"actor": [ACTOR, ACTOR]}, f"{RULE}.actor"),
        ({"actor": [GROUP]}, f"{RULE}.actor[0].reference"),
        (
            {"actor": [ACTOR | {"reference": NOBODY}]},
            f"{RULE}.actor[0]",
        ),
        ({"actor": [ACTOR | {"reference": {"reference": "Device/x"}}]}, f"{RULE}.actor[0]"),
        ({"actor": [ACTOR | {"reference": {"reference": "Practitioner/*"}}]}, f"{RULE}.actor[0]"),
        ({"actor": [{"reference": ACTOR["reference"]}]}, f"{RULE}.actor[0].role"),
        ({"action": None}, f"{RULE}.action"),
        (
            {"action": one_of(USE)},
            f"{RULE}.action[0]",
        ),
        ({"action": one_of({"code": "access"})}, f"{RULE}.action[0]"),
        ({"code": None}, f"{RULE}.code"),
        ({"code": one_of({"system": systems.CATEGORIES, "code": "alles"})}, f"{RULE}.code[0]"),
        ({"code": one_of({"system": "http://loinc.org", "code": "1-1"})}, f"{RULE}.code[0]"),
        ({"code": [{"text": "alles"}]}, f"{RULE}.code[0]"),
        ({"class": [{"system": systems.TYPES, "code": "Alles"}]}, f"{RULE}.class[0]"),
        ({"class": [{"code": "Observation"}]}, f"{RULE}.class[0]"),
        ({"purpose": [{"system": systems.REASON, "code": "HMARKT"}]}, f"{RULE}.purpose[0]"),
        ({"purpose": [{"system": systems.REASON, "code": "ZOMAAR"}]}, f"{RULE}.purpose[0]"),
        ({"securityLabel": [{"system": "http://x", "code": "PSY"}]}, f"{RULE}.securityLabel[0]"),
        ({"period": {"start": "2027-01-02", "end": "2027-01-01"}}, f"{RULE}.period"),
        ({"period": {}}, f"{RULE}.period"),
        ({"period": {"end": "nooit"}}, f"{RULE}.period.end"),
        ({"period": {"end": "2027-01-01T10:00"}}, f"{RULE}.period.end"),
        ({"period": {"end": "2027-01-01", "extension": EXTRA}}, f"{RULE}.period"),
        (
            {"data": [{"meaning": "related", "reference": ABOUT}]},
            f"{RULE}.data[0]",
        ),
        ({"data": [{"meaning": "instance", "reference": {"display": "x"}}]}, f"{RULE}.data[0]"),
        ({"modifierExtension": EXTRA}, f"{RULE}.modifierExtension[0]"),
        ({"modifierExtension": [WEEK]}, f"{RULE}.modifierExtension[0]"),
        ({"extension": EXTRA}, f"{RULE}.extension[0]"),
        ({"provision": [{"type": "deny"}]}, f"{RULE}.provision"),
        ({"type": None, "provision": [{"type": "deny"}] * 2}, f"{RULE}.provision"),
        (
            {"type": None, "provision": [{"type": "deny", "provision": [{}]}]},
            f"{RULE}.provision[0]",
        ),
        ({"type": None, "provision": [{"type": "deny", "code": []}]}, f"{RULE}.provision[0].code"),
        ({"type": None, "provision": [{"purpose": []}]}, f"{RULE}.provision[0].type"),
        (
            {"extension": [{"url": systems.LEFT_OUT, "valueCode": "categorieen"}]},
            f"{RULE}.code",
        ),
        (
            {"modifierExtension": [{"url": systems.NOTHING, "valueCode": "categorieen"}]},
            f"{RULE}.modifierExtension",
        ),
    ],
)
def test_a_provision_that_cannot_be_computed_is_refused_by_its_element(change, place):
    with pytest.raises(Unprocessable) as refused:
        said(sent(**change))
    assert refused.value.place.startswith(place)


def test_no_refusal_repeats_what_was_sent():
    secret = "geheim-7261"
    for change in ({"type": secret}, {"code": one_of({"system": secret, "code": secret})}):
        with pytest.raises(Unprocessable) as refused:
            said(sent(**change))
        assert secret not in refused.value.detail + refused.value.place
