"""Ja, dit blijft: a grant of who represents the client no longer, looked at again and given on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgo.consent.moments import midnight
from pgo.dossier.log import Rule
from pgo.moment import micros
from pgo.notices import Notices
from pgo.office import Office
from pgo.shared import caller_of_account

GRANTS, ASKED = "/toestemmingen", "/voorstellen"
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
SIXTEEN = midnight(datetime(2029, 1, 1, tzinfo=UTC).date())
MANDATE = {"kind": "gemachtigde", "verified": "volmacht", "actions": ["lezen", "beheren"]}


async def put(inside, *rules: Rule) -> None:
    await Office(inside.house, inside.anna.dossier, "test").set_rules(rules, "test")


def relation(name: str, **said) -> Rule:
    return Rule("relation", f"r-{name}", {"person": f"{name}-x", "client": "anna-x", **said})


async def gives(inside, name, **sent):
    answer = await inside.call(name, "POST", GRANTS, json=sent)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def keeps(inside, name, id_, **more):
    return await inside.call(name, "POST", f"{GRANTS}/{id_}/bevestigen", **more)


async def again(inside, name="anna"):
    return (await inside.call(name, "GET", "/berichten")).json()["opnieuw_kijken"]


async def visit(inside) -> str:
    tree = VISIT | {"subject": {"reference": f"Patient/{inside.anna.patient}"}}
    return (await inside.call("anna", "POST", "/fhir/r4/Encounter", json=tree)).json()["id"]


async def sees(inside, name, id_) -> bool:
    answer = await inside.call(name, "GET", f"/fhir/r4/Encounter/{id_}")
    assert answer.status_code in {200, 404}
    return answer.status_code == 200


async def consent(inside, id_):
    return (await inside.call("anna", "GET", f"/fhir/r4/Consent/{id_}")).json()


async def stored(inside, id_):
    dossier = await inside.house.parts.dossiers.open(inside.anna.dossier)
    return dict(dossier.image.rule("grant", id_))


async def told(inside, name, after):
    """The kinds somebody would be mailed of, from a commit on; and the newest commit."""
    account = await inside.house.registry.account(inside.anna.person(name))
    caller = replace(caller_of_account(account), scope=("user/*.rs",))
    notices = Notices(inside.house.parts, caller, inside.anna.dossier)
    return await notices.fresh(after, micros(inside.now))


@pytest.fixture
async def left(inside):
    """Mo was Anna's mentor, let Nina read along, and represents Anna no longer."""
    inside.visit = await visit(inside)
    sent = {"to_who": "nina-x", "categories": ["behandeling"], "to": "2027-01-01"}
    inside.given = await gives(inside, "mo", effect="permit", **sent)
    inside.later(minutes=1)
    answer = await inside.call("anna", "POST", "/relaties/r-mo/beeindigen")
    assert answer.status_code == 200
    inside.later(minutes=1)
    return inside


# --- of a grown person ---------------------------------------------------------------------------


async def test_what_stays_is_the_clients_own_from_now_on_and_leaves_the_list(left):
    id_ = left.given["id"]
    before = await stored(left, id_)
    assert await again(left) == [id_]
    assert await sees(left, "nina", left.visit)
    answer = await keeps(left, "anna", id_)
    assert (answer.status_code, answer.json()["by"]) == (200, "anna-x"), answer.text
    assert await again(left) == []
    assert await sees(left, "nina", left.visit)
    after = await stored(left, id_)
    whose = {"by", "made", "given"}
    assert {k: v for k, v in after.items() if k not in whose} == {
        k: v for k, v in before.items() if k not in whose
    }
    assert (after["given"], after["made"] > before["made"]) == (before["made"], True)
    assert after["to"] == "2027-01-01"


async def test_the_consent_shows_who_gives_it_now(left):
    id_ = left.given["id"]
    old = await consent(left, id_)
    assert "mo-x" in str(old["performer"])
    await keeps(left, "anna", id_)
    new = await consent(left, id_)
    assert new["performer"][0]["reference"] == f"Patient/{left.anna.patient}"
    assert new["dateTime"] > old["dateTime"]
    assert new["provision"] == old["provision"]
    assert int(new["meta"]["versionId"]) == int(old["meta"]["versionId"]) + 1


async def test_said_twice_is_said_once(left):
    id_ = left.given["id"]
    first = (await keeps(left, "anna", id_)).json()
    left.later(minutes=5)
    answer = await keeps(left, "anna", id_)
    assert (answer.status_code, answer.json()) == (200, first)
    assert (await consent(left, id_))["meta"]["versionId"] == "2"


async def test_of_two_who_say_it_at_once_one_gives_it(left):
    await put(left, relation("sam", **MANDATE, categories=["behandeling", "toestemmingen"]))
    names = ("anna", "sam") * 3
    answers = await asyncio.gather(*(keeps(left, one, left.given["id"]) for one in names))
    assert {one.status_code for one in answers} == {200}
    assert len({(one.json()["by"], one.json()["made"]) for one in answers}) == 1
    assert (await consent(left, left.given["id"]))["meta"]["versionId"] == "2"


@pytest.mark.parametrize("tongue", ["", "?taal=eenvoudig"])
async def test_who_looked_tells_it(tongue, left):
    await keeps(left, "anna", left.given["id"])
    lines = (await left.call("anna", "GET", f"/$wie-keek{tongue}")).json()["zinnen"]
    assert any("liet een toestemming doorgaan" in one["zin"] for one in lines)


async def test_nobody_is_told_of_access_that_was_there_already(left):
    start, _ = await told(left, "anna", 0)
    await keeps(left, "anna", left.given["id"])
    for name in ("anna", "nina"):
        assert (await told(left, name, start))[1] == []
    listed = (await left.call("anna", "GET", "/berichten")).json()["berichten"]
    (one,) = [one for one in listed if one["soort"] == "toegang"]
    assert one["op"] == left.given["made"]


async def test_what_is_widened_afterwards_is_told_again(left):
    start, _ = await told(left, "anna", 0)
    await keeps(left, "anna", left.given["id"])
    tree = await consent(left, left.given["id"])
    more = {"coding": [{**tree["provision"]["code"][0]["coding"][0], "code": "uitslagen"}]}
    tree["provision"]["code"].append(more)
    left.later(minutes=1)
    answer = await left.call("anna", "PUT", f"/fhir/r4/Consent/{tree['id']}", json=tree)
    assert answer.status_code == 200, answer.text
    assert (await told(left, "anna", start))[1] == ["toegang"]


async def test_who_may_not_give_it_does_not_confirm_it_either(left):
    id_ = left.given["id"]
    reins = ["lezen", "beheren"]
    await gives(left, "anna", effect="permit", to_who="sam-x", actions=reins,
                categories=["behandeling", "toestemmingen"])  # fmt: skip
    for name, status in (("nina", 403), ("mo", 404), ("lea", 404), ("kim", 404), ("sam", 403)):
        assert (await keeps(left, name, id_)).status_code == status, name
    assert (await keeps(left, "anna", "g-none")).status_code == 404
    small = await keeps(left, "anna", id_, scope="user/Encounter.cruds")
    assert small.status_code == 403
    assert (await stored(left, id_))["by"] == "mo-x"
    assert await again(left) == [id_]


async def test_what_has_ended_is_not_brought_back(left):
    id_ = left.given["id"]
    await left.call("anna", "POST", f"{GRANTS}/{id_}/intrekken")
    assert (await keeps(left, "anna", id_)).status_code == 409
    assert not await sees(left, "nina", left.visit)


async def test_what_is_over_by_its_own_end_is_not_brought_back(left):
    left.now = datetime(2027, 1, 2, tzinfo=UTC)
    assert (await keeps(left, "anna", left.given["id"])).status_code == 409


async def test_what_sleeps_sleeps_on(left):
    id_ = left.given["id"]
    await left.call("anna", "POST", f"{GRANTS}/{id_}/waakvlam")
    assert (await keeps(left, "anna", id_)).json()["status"] == "waakvlam"
    assert not await sees(left, "nina", left.visit)
    assert await again(left) == []
    await left.call("anna", "POST", f"{GRANTS}/{id_}/wekken")
    assert await sees(left, "nina", left.visit)


async def test_while_the_reins_are_contested_nothing_is_given_on(left):
    frozen = {"by": "lea-x", "made": "2026-03-02T12:00:00Z", "reason": "ruzie"}
    await put(left, Rule("state", "regie", frozen))
    assert (await keeps(left, "anna", left.given["id"])).status_code == 403
    assert await sees(left, "nina", left.visit)


async def test_a_grant_whose_giver_still_represents_stays_his(inside):
    given = await gives(inside, "mo", preset="meelezen", to_who="nina-x")
    answer = await keeps(inside, "anna", given["id"])
    assert (answer.status_code, answer.json()["by"]) == (200, "mo-x")
    assert "given" not in answer.json()


async def test_a_representative_gives_on_no_more_than_he_may_give(left):
    """A mentor is not there for money; the client himself is."""
    curator = {"kind": "curator", "order": "C/01/2"}
    await put(left, relation("sam", **curator), relation("lea", kind="mentor", order="C/01/3"))
    given = await gives(
        left, "sam", effect="permit", to_who="nina-x", categories=["financieel", "medicatie"]
    )
    left.later(minutes=1)
    await put(left, relation("sam", **curator, to="2026-03-03"))
    left.now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert given["id"] in await again(left)
    assert (await keeps(left, "lea", given["id"])).status_code == 403
    assert (await keeps(left, "lea", left.given["id"])).json()["by"] == "lea-x"
    assert (await keeps(left, "anna", given["id"])).json()["by"] == "anna-x"


async def test_who_has_it_himself_does_not_give_it_on(left):
    await put(left, relation("nina", **MANDATE, categories=["behandeling", "toestemmingen"]))
    assert (await keeps(left, "nina", left.given["id"])).status_code == 403
    assert await again(left) == [left.given["id"]]


@pytest.mark.parametrize(("labels", "status"), [([], 409), (["PSY"], 200)])
async def test_what_never_held_in_part_is_not_made_to_hold(labels, status, inside):
    """A mandate without sensitive labels gave them on paper: confirming would open them."""
    bounds = {"categories": ["behandeling", "toestemmingen"], "labels": labels}
    await put(inside, relation("sam", **MANDATE, **bounds))
    given = await gives(inside, "sam", effect="permit", to_who="nina-x",
                        categories=["behandeling"], labels=["PSY"])  # fmt: skip
    inside.later(minutes=1)
    assert (await inside.call("anna", "POST", "/relaties/r-sam/beeindigen")).status_code == 200
    inside.later(minutes=1)
    assert await again(inside) == [given["id"]]
    assert (await keeps(inside, "anna", given["id"])).status_code == status
    assert (await stored(inside, given["id"]))["by"] == ("sam-x" if status == 409 else "anna-x")


async def test_what_somebody_gave_who_had_nothing_to_give_is_not_made_to_hold(left):
    void = {"id": "g-void", "client": "anna-x", "by": "lea-x", "to_who": "sam-x", "order": 9}
    void |= {"effect": "permit", "categories": ["behandeling"], "made": "2026-01-01"}
    await put(left, Rule("grant", "g-void", void))
    assert "g-void" in await again(left)
    assert (await keeps(left, "anna", "g-void")).status_code == 409
    assert not await sees(left, "sam", left.visit)


async def test_nobody_says_himself_that_a_grant_was_given_before(inside):
    for name in ("given", "decided"):
        sent = {"effect": "permit", "to_who": "nina-x", name: "2020-01-01"}
        assert (await inside.call("anna", "POST", GRANTS, json=sent)).status_code == 400


# --- of a child of 12 to 15 ----------------------------------------------------------------------


@pytest.fixture
async def family(inside):
    """Anna is 13; Sam is a parent she let in, Nina one she did not. Lea was voogd, and gave Mo."""
    subject = {"person": "anna-x", "name": "Anna Berg", "birth": "2013-01-01"}
    parent = {"kind": "ouder", "gezag": True}
    grant = {"id": "g-mo", "client": "anna-x", "by": "lea-x", "to_who": "mo-x", "order": 0}
    grant |= {"effect": "permit", "categories": ["behandeling"], "made": "2024-06-01"}
    await put(
        inside,
        Rule("subject", "client", subject | {"patient": inside.anna.patient}),
        relation("mo", kind="familie", **{"as": "broer"}),
        relation("sam", **parent, child_confirmed="2025-02-01"),
        relation("nina", **parent),
        relation("lea", kind="voogd", gezag=True, to="2025-06-01"),
        Rule("grant", "g-mo", grant),
    )
    inside.visit = await visit(inside)
    return inside


async def waiting(family, name):
    answer = await family.call(name, "GET", ASKED)
    return answer.json()["voorstellen"] if answer.status_code == 200 else answer.status_code


async def answered(family, name, one, way="instemmen"):
    sent = {"json": {"precies": one["precies"]}} if way == "instemmen" else {}
    return await family.call(name, "POST", f"{ASKED}/{one['id']}/{way}", **sent)


@pytest.mark.parametrize(("by", "other"), [("anna", "sam"), ("anna", "nina"), ("sam", "anna")])
async def test_child_and_parent_let_it_go_on_together(by, other, family):
    assert await again(family) == ["g-mo"]
    asked = await keeps(family, by, "g-mo")
    assert (asked.status_code, asked.json()["soort"]) == (202, "keep"), asked.text
    assert (await keeps(family, by, "g-mo")).json() == asked.json(), "asked twice is asked once"
    assert (await stored(family, "g-mo"))["by"] == "lea-x"
    assert await sees(family, "mo", family.visit), "until then it goes on as it is"
    assert (await answered(family, by, asked.json())).status_code == 403, "not both by one"
    (one,) = await waiting(family, other)
    assert "Mo Berg" in one["samenvatting"]
    assert "behandelingen" in one["eenvoudig"]
    assert one["toestemming"] == "g-mo"
    answer = await answered(family, other, one)
    assert answer.json()["status"] == "agreed", answer.text
    kept = await stored(family, "g-mo")
    assert (kept["by"], kept["approved_by"]) == (f"{by}-x", f"{other}-x")
    assert await again(family) == []
    assert await sees(family, "mo", family.visit)
    assert (await answered(family, by, one)).status_code == 409, "a replay"


async def test_a_no_ends_nothing_and_the_grant_is_still_to_be_looked_at(family):
    asked = (await keeps(family, "sam", "g-mo")).json()
    assert (await answered(family, "anna", asked, "afwijzen")).json()["status"] == "rejected"
    assert (await stored(family, "g-mo"))["by"] == "lea-x"
    assert await again(family) == ["g-mo"]
    assert await sees(family, "mo", family.visit)


async def test_a_grant_that_changed_meanwhile_asks_for_a_new_yes(family):
    asked = (await keeps(family, "sam", "g-mo")).json()
    await put(family, Rule("grant", "g-mo", (await stored(family, "g-mo")) | {"categories": []}))
    assert await waiting(family, "anna") == []
    assert (await answered(family, "anna", asked)).status_code == 409
    assert (await stored(family, "g-mo"))["by"] == "lea-x"


async def test_a_grant_that_ended_meanwhile_stays_ended(family):
    asked = (await keeps(family, "sam", "g-mo")).json()
    assert (await family.call("anna", "POST", f"{GRANTS}/g-mo/intrekken")).status_code == 200
    assert await waiting(family, "anna") == []
    assert (await answered(family, "anna", asked)).status_code == 409
    assert not await sees(family, "mo", family.visit)


async def test_who_has_the_grant_does_not_agree_that_it_goes_on(family):
    to_nina = (await stored(family, "g-mo")) | {"id": "g-nina", "to_who": "nina-x", "order": 1}
    await put(family, Rule("grant", "g-nina", to_nina))
    asked = (await keeps(family, "anna", "g-nina")).json()
    assert (await answered(family, "nina", asked)).status_code in {403, 404}
    assert (await stored(family, "g-nina"))["by"] == "lea-x"
    assert (await answered(family, "sam", asked)).status_code == 200


async def test_of_others_nobody_asks_or_answers(family):
    asked = (await keeps(family, "anna", "g-mo")).json()
    for name, status in (("mo", 403), ("lea", 404), ("kim", 404)):
        assert (await keeps(family, name, "g-mo")).status_code == status, name
        assert (await answered(family, name, asked)).status_code == 404, name
    assert (await keeps(family, "nina", "g-mo")).status_code == 404, "not let in"


async def test_at_sixteen_it_is_the_childs_alone(family):
    asked = (await keeps(family, "sam", "g-mo")).json()
    family.now = SIXTEEN
    assert (await answered(family, "sam", asked)).status_code == 404
    assert (await answered(family, "anna", asked)).status_code == 200
    assert (await stored(family, "g-mo"))["by"] == "anna-x"


async def test_of_a_child_under_twelve_one_parent_says_it(family):
    subject = {"person": "anna-x", "name": "Anna Berg", "birth": "2015-01-01"}
    await put(family, Rule("subject", "client", subject | {"patient": family.anna.patient}))
    answer = await keeps(family, "nina", "g-mo")
    assert (answer.status_code, answer.json()["by"]) == (200, "nina-x"), answer.text
    assert await again(family, "sam") == []
