"""What a child of 12 to 15 and a parent agree to together, and nobody opens alone.

A seal that goes, a successor, a relation, a deny that ends: asked by one, agreed to by the other.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from pgo.consent.moments import midnight
from pgo.dossier.log import Rule
from pgo.errors import BadValue
from pgo.evidence import Evidence
from pgo.office import Office
from pgo.registry import Account

VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
GRANTS, ASKED, SEALS = "/toestemmingen", "/voorstellen", "/zegels"
HIDDEN, FROM_RELATIVES, ONLY = (
    "niet-voor-vertegenwoordiger",
    "niet-voor-naasten",
    "alleen-auteur-en-client",
)
SIXTEEN = midnight(datetime(2029, 1, 1, tzinfo=UTC).date())
BROTHER = {"kind": "familie", "as": "broer"}
KINDS = ["unseal", "successor", "relation", "admit"]


async def put(inside, *rules: Rule) -> None:
    await Office(inside.house, inside.anna.dossier, "test").set_rules(rules, "test")


@pytest.fixture
async def family(inside):
    """Anna is 13. Sam is a parent she has let in, Nina one she has not; Mo is her brother."""
    anna = inside.anna.person("anna")
    parents = {"sam": {"child_confirmed": "2025-02-01"}, "nina": {}}
    subject = {"person": anna, "name": "Anna Berg", "birth": "2013-01-01"}
    brother = {"person": inside.anna.person("mo"), "client": anna, **BROTHER}
    await put(
        inside,
        Rule("subject", "client", subject | {"patient": inside.anna.patient}),
        Rule("relation", "r-mo", brother),
        *(
            Rule("relation", f"r-{name}", {"person": inside.anna.person(name), "client": anna}
                 | {"kind": "ouder", "gezag": True} | more)
            for name, more in parents.items()
        ),
    )  # fmt: skip
    return inside


async def visit(family, label: str = "") -> str:
    """A visit that Anna wrote down, with a seal of hers when there is a label."""
    tree = VISIT | {"subject": {"reference": f"Patient/{family.anna.patient}"}}
    answer = await family.call("anna", "POST", "/fhir/r4/Encounter", json=tree)
    if label:
        assert (await seal(family, "anna", answer.json()["id"], label)).status_code == 200
    return answer.json()["id"]


async def seal(family, name, id_, label):
    sent = {"release": "r4", "type": "Encounter", "id": id_, "label": label}
    return await family.call(name, "POST", SEALS, json=sent)


async def sees(family, name, id_) -> bool:
    answer = await family.call(name, "GET", f"/fhir/r4/Encounter/{id_}")
    assert answer.status_code in {200, 404}
    return answer.status_code == 200


async def rules(family, kind, name="anna"):
    return (await family.call(name, "GET", GRANTS)).json()[kind]


async def waiting(family, name):
    answer = await family.call(name, "GET", ASKED)
    return answer.json()["voorstellen"] if answer.status_code == 200 else answer.status_code


async def answered(family, name, one, way="instemmen", exactly=""):
    sent = {"json": {"precies": exactly or one["precies"]}} if way == "instemmen" else {}
    return await family.call(name, "POST", f"{ASKED}/{one['id']}/{way}", **sent)


async def ready(family, what) -> None:
    """What has to be there before this is asked."""
    if what == "unseal":
        family.sealed = await visit(family, FROM_RELATIVES)
    if what == "admit":
        deny = {"effect": "deny", "to_who": "lea-x"}
        family.deny = (await family.call("anna", "POST", GRANTS, json=deny)).json()["id"]


async def asks(family, name, what):
    """Ask for one of the four things, the same each time."""
    if what == "unseal":
        return await seal(family, name, family.sealed, "")
    if what == "successor":
        return await family.call(name, "POST", "/opvolger", json={"person": "lea-x"})
    if what == "relation":
        return await family.call(name, "POST", "/relaties", json={"person": "lea-x", **BROTHER})
    return await family.call(name, "POST", f"{GRANTS}/{family.deny}/intrekken")


async def holds(family, what) -> bool:
    """Whether what was asked has come about."""
    dossier = await family.house.parts.dossiers.open(family.anna.dossier)
    if what == "unseal":
        return not dossier.image.rules("seal")
    if what == "successor":
        return (dossier.image.rule("successor", "opvolger") or {}).get("person") == "lea-x"
    if what == "relation":
        return any(one["person"] == "lea-x" for one in dossier.image.rules("relation").values())
    return dossier.image.rules("grant")[family.deny]["status"] == "inactive"


async def open_question(family, name, what):
    await ready(family, what)
    answer = await asks(family, name, what)
    assert answer.status_code == 202, answer.text
    return answer.json()


# --- asked and agreed to -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "by", "other"),
    [
        *((what, by, other) for what in KINDS for by, other in (("anna", "sam"), ("sam", "anna"))),
        ("relation", "anna", "nina"),
    ],
)
async def test_one_asks_the_other_agrees_and_only_then_it_holds(what, by, other, family):
    asked = await open_question(family, by, what)
    assert (asked["soort"], asked["status"], asked["waits"]) == (
        what, "proposed", "medetoestemming",
    )  # fmt: skip
    assert not await holds(family, what)
    (mine,), (found,) = await waiting(family, by), await waiting(family, other)
    assert found["precies"] == mine["precies"] == asked["precies"]
    assert (await answered(family, by, found)).status_code == 403, "not both by one"
    assert (await answered(family, other, found, exactly="iets anders")).status_code == 409
    assert not await holds(family, what)
    answer = await answered(family, other, found)
    assert (answer.status_code, answer.json()["status"]) == (200, "agreed"), answer.text
    assert await holds(family, what)
    for again in (by, other):
        settled = 404 if again == "nina" else 409  # who was not let in is told no more than this
        assert (await answered(family, again, found)).status_code == settled, "a replay"
        assert (await answered(family, again, found, "afwijzen")).status_code == settled
        assert await waiting(family, again) == []


@pytest.mark.parametrize("what", KINDS)
async def test_others_neither_see_nor_answer_a_question(what, family):
    await family.house.registry.keep_account(Account("op-x", "Olga Op", kind="beheerder"))
    await family.call("anna", "POST", GRANTS, json={"effect": "deny", "to_who": "mo-x"})
    asked = await open_question(family, "anna", what)
    for name in ("lea", "kim", "noor", "mo", "op"):
        assert await waiting(family, name) in ([], 404), name
        for way in ("instemmen", "afwijzen"):
            assert (await answered(family, name, asked, way)).status_code == 404, (name, way)
    assert not await holds(family, what)
    assert [one["id"] for one in await waiting(family, "sam")] == [asked["id"]]


@pytest.mark.parametrize("what", ["unseal", "relation"])
async def test_of_two_who_agree_at_once_one_is_first(what, family):
    asked = await open_question(family, "anna", what)
    answers = await asyncio.gather(*(answered(family, name, asked) for name in ("sam", "nina") * 3))
    said = [one.status_code for one in answers]
    assert said.count(200) == 1
    assert set(said) <= {200, 404, 409}
    assert await holds(family, what)


async def test_of_a_yes_and_a_no_at_once_one_counts(family):
    asked = await open_question(family, "anna", "successor")
    answers = await asyncio.gather(
        answered(family, "sam", asked), answered(family, "nina", asked, "afwijzen"),
        answered(family, "anna", asked, "afwijzen"),
    )  # fmt: skip
    good = [one for one in answers if one.status_code == 200]
    assert len(good) == 1
    assert await holds(family, "successor") is (good[0].json()["status"] == "agreed")


@pytest.mark.parametrize(
    ("what", "who"),
    [("unseal", "anna"), ("successor", "sam"), ("relation", "nina"), ("admit", "anna")],
)
async def test_a_no_or_taking_it_back_ends_it_and_it_can_be_asked_anew(what, who, family):
    asked = await open_question(family, "anna", what)
    assert (await answered(family, who, asked, "afwijzen")).json()["status"] == "rejected"
    assert (await answered(family, "sam", asked)).status_code == 409
    assert not await holds(family, what)
    again = (await asks(family, "anna", what)).json()
    assert again["id"] != asked["id"]
    old = await answered(family, "sam", again, exactly=asked["precies"])
    assert old.status_code == 409, "an old yes is not one to the new question"
    assert (await answered(family, "sam", again)).status_code == 200


@pytest.mark.parametrize("what", KINDS)
async def test_who_asks_the_same_twice_has_asked_it_once(what, family):
    asked = await open_question(family, "anna", what)
    assert (await asks(family, "anna", what)).json() == asked
    theirs = (await asks(family, "sam", what)).json()
    assert theirs["id"] != asked["id"], "asking is not agreeing"
    assert not await holds(family, what)


# --- birthdays -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "by"),
    [("unseal", "sam"), ("successor", "anna"), ("relation", "sam"), ("admit", "sam")],
)
async def test_at_sixteen_an_open_question_is_the_childs_alone(what, by, family):
    asked = await open_question(family, by, what)
    family.now = SIXTEEN
    for parent in ("sam", "nina"):
        assert await waiting(family, parent) == 404
        assert (await answered(family, parent, asked)).status_code == 404
        assert (await answered(family, parent, asked, "afwijzen")).status_code == 404
    assert not await holds(family, what)
    assert [one["id"] for one in await waiting(family, "anna")] == [asked["id"]]
    assert (await answered(family, "anna", asked)).status_code == 200
    assert await holds(family, what)


@pytest.mark.parametrize("what", ["unseal", "admit"])
async def test_just_before_sixteen_a_parent_still_agrees(what, family):
    asked = await open_question(family, "anna", what)
    family.now = SIXTEEN - timedelta(microseconds=1)
    assert (await answered(family, "nina", asked)).status_code == 200
    assert await holds(family, what)


@pytest.mark.parametrize("what", KINDS)
async def test_from_sixteen_nothing_waits(what, family):
    await ready(family, what)
    family.now = SIXTEEN
    assert (await asks(family, "anna", what)).status_code in {200, 201}
    assert await holds(family, what)


async def test_a_parent_of_a_younger_child_does_it_alone(family):
    subject = {"person": "anna-x", "name": "Anna Berg", "birth": "2015-06-01"}
    await put(family, Rule("subject", "client", subject | {"patient": family.anna.patient}))
    assert (await asks(family, "nina", "successor")).status_code == 201
    assert await holds(family, "successor")


# --- what changed in between ---------------------------------------------------------------------


async def test_a_removed_parents_questions_end_with_the_relation(family):
    family.sealed = await visit(family, FROM_RELATIVES)
    asked = [(await asks(family, "sam", what)).json() for what in ("unseal", "successor")]
    given = await family.call(
        "sam", "POST", GRANTS, json={"preset": "meelezen"} | {"to_who": "lea-x"}
    )
    assert given.json()["status"] == "proposed"
    assert len(await waiting(family, "anna")) == 3
    own = (await asks(family, "anna", "relation")).json()
    answer = await family.call("anna", "POST", "/relaties/r-sam/beeindigen")
    assert answer.status_code == 200
    assert [one["id"] for one in await waiting(family, "anna")] == [own["id"]]
    for one in asked:
        assert (await answered(family, "anna", one)).status_code == 409
        assert (await answered(family, "sam", one)).status_code == 404
    kept = {
        one["id"]: one["status"] for kind in ("grant", "wish") for one in await rules(family, kind)
    }
    assert kept == {
        **{one["id"]: "inactive" for one in asked}, given.json()["id"]: "inactive",
        own["id"]: "proposed",
    }  # fmt: skip
    assert not await holds(family, "successor")


async def test_what_a_parent_asked_stays_while_he_may_still_ask_it(family):
    guardian = {"person": "sam-x", "client": "anna-x", "kind": "voogd", "gezag": True}
    await put(family, Rule("relation", "r-too", guardian | {"child_confirmed": "2025-02-01"}))
    asked = await open_question(family, "sam", "successor")
    for relation, left in (("r-sam", [asked["id"]]), ("r-too", [])):
        await family.call("anna", "POST", f"/relaties/{relation}/beeindigen")
        assert [one["id"] for one in await waiting(family, "anna")] == left


@pytest.mark.parametrize("lost", ["deny", "period"])
async def test_a_question_falls_with_the_right_of_who_asked_it(lost, family):
    asked = await open_question(family, "sam", "successor")
    if lost == "deny":
        deny = {"effect": "deny", "to_who": "sam-x"}
        assert (await family.call("anna", "POST", GRANTS, json=deny)).status_code == 201
    else:
        over = {"person": "sam-x", "client": "anna-x", "kind": "ouder", "gezag": True}
        await put(family, Rule("relation", "r-sam", over | {"to": "2026-03-01"}))
    assert await waiting(family, "anna") == []
    answer = await answered(family, "anna", asked)
    assert (answer.status_code, "who proposed this" in answer.text) == (403, True)
    assert not await holds(family, "successor")


async def test_a_seal_that_was_changed_is_not_taken_off_by_an_old_yes(family):
    asked = await open_question(family, "sam", "unseal")
    assert (await seal(family, "anna", family.sealed, ONLY)).status_code == 200
    assert await waiting(family, "anna") == []
    assert (await answered(family, "anna", asked)).status_code == 409
    assert not await sees(family, "sam", family.sealed)


async def test_what_was_deleted_meanwhile_is_not_unsealed(family):
    asked = await open_question(family, "anna", "unseal")
    await family.call("anna", "DELETE", f"/fhir/r4/Encounter/{family.sealed}")
    assert (await answered(family, "sam", asked)).status_code in {404, 409}
    assert not await holds(family, "unseal")


async def test_another_successor_in_between_asks_for_a_new_yes(family):
    first = await open_question(family, "anna", "successor")
    other = await family.call("anna", "POST", "/opvolger", json={"person": "mo-x"})
    assert (await answered(family, "sam", other.json())).status_code == 200
    assert (await answered(family, "sam", first)).status_code == 409
    third = (await asks(family, "anna", "successor")).json()
    assert (await answered(family, "nina", third)).status_code == 200
    assert await holds(family, "successor")


async def test_a_relation_whose_time_is_over_is_not_recorded_any_more(family):
    sent = {"person": "lea-x", **BROTHER, "to": "2026-04-01"}
    asked = (await family.call("anna", "POST", "/relaties", json=sent)).json()
    family.later(days=40)
    assert await waiting(family, "sam") == []
    answer = await answered(family, "sam", asked)
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (400, "relation.to")
    assert not await holds(family, "relation")


async def test_while_the_reins_are_contested_nothing_is_asked_or_agreed_to(family):
    asked = await open_question(family, "anna", "unseal")
    why = {"reden": "wij zijn het niet eens"}
    assert (await family.call("sam", "POST", "/opvolging/betwisten", json=why)).status_code == 200
    assert (await answered(family, "sam", asked)).status_code == 403
    assert (await asks(family, "anna", "successor")).status_code == 403
    assert (await answered(family, "sam", asked, "afwijzen")).status_code == 200


# --- what each says and does not say -------------------------------------------------------------


async def test_a_parent_agrees_to_open_what_he_may_not_see_yet(family):
    id_ = await visit(family, HIDDEN)
    asked = (await seal(family, "anna", id_, "")).json()
    (found,) = await waiting(family, "sam")
    shown = (await family.call("sam", "GET", GRANTS)).text
    looked = (await family.call("sam", "GET", "/$wie-keek")).text
    for text in (str(found), shown, looked):
        assert id_ not in text
        assert "Encounter" not in text.replace("Encounter/$", "")
    assert "U ziet nu niet wat het is." in found["samenvatting"]
    (mine,) = await waiting(family, "anna")
    assert mine["stuk"] == {"release": "r4", "type": "Encounter", "id": id_}
    assert not await sees(family, "sam", id_)
    assert (await answered(family, "nina", asked)).status_code == 200
    assert await sees(family, "sam", id_)
    assert not await sees(family, "nina", id_), "she is not let in by agreeing"


async def test_where_a_seal_lies_is_told_only_to_who_sees_what_it_lies_on(family):
    hidden, open_ = await visit(family, HIDDEN), await visit(family, FROM_RELATIVES)
    names = {name: {one["id"] for one in await rules(family, "seal", name)}
             for name in ("anna", "sam")}  # fmt: skip
    assert names["anna"] == {f"r4/Encounter/{hidden}", f"r4/Encounter/{open_}"}
    assert names["sam"] == {f"r4/Encounter/{open_}"}


async def test_a_lighter_seal_waits_and_a_heavier_one_does_not(family):
    id_ = await visit(family, HIDDEN)
    lighter = await seal(family, "anna", id_, FROM_RELATIVES)
    assert lighter.status_code == 202
    assert not await sees(family, "sam", id_)
    (found,) = await waiting(family, "sam")
    assert "naasten en copiloten zien het niet" in found["samenvatting"]
    assert (await answered(family, "sam", found)).json()["status"] == "agreed"
    assert await sees(family, "sam", id_)
    assert (await seal(family, "anna", id_, ONLY)).status_code == 200
    assert not await sees(family, "sam", id_)


async def test_closing_is_done_by_one_alone(family):
    id_ = await visit(family)
    assert (await seal(family, "sam", id_, FROM_RELATIVES)).status_code == 200
    deny = {"effect": "deny", "to_who": "lea-x"}
    for name in ("anna", "sam"):
        assert (await family.call(name, "POST", GRANTS, json=deny)).status_code == 201
    assert (await family.call("anna", "POST", "/relaties/r-mo/beeindigen")).status_code == 200
    assert await rules(family, "wish") == []


async def test_who_it_is_about_does_not_agree_to_it(family):
    asked = await family.call("anna", "POST", "/opvolger", json={"person": "sam-x"})
    assert asked.status_code == 202
    assert (await answered(family, "sam", asked.json())).status_code == 403
    assert (
        await family.call("sam", "POST", "/opvolger", json={"person": "sam-x"})
    ).status_code == 403
    assert (await answered(family, "nina", asked.json())).status_code == 200


async def test_who_holds_the_reins_by_a_grant_alone_opens_nothing_by_himself(family):
    """Neither a seal nor a relation of a child of 13: the family decides, both of them."""
    reins = {"effect": "permit", "to_who": "lea-x", "actions": ["lezen", "beheren"],
             "categories": ["behandeling", "toestemmingen"]}  # fmt: skip
    given = await family.call("anna", "POST", GRANTS, json=reins)
    (found,) = await waiting(family, "sam")
    assert (await answered(family, "sam", found)).json()["status"] == "active", given.text
    family.sealed = await visit(family, HIDDEN)
    assert await sees(family, "lea", family.sealed)
    asked = await seal(family, "lea", family.sealed, "")
    assert (asked.status_code, asked.json()["waits"]) == (202, "instemming")
    named = await family.call("lea", "POST", "/relaties", json={"person": "mo-x", **BROTHER})
    assert named.status_code == 202
    assert (await answered(family, "lea", asked.json())).status_code == 403
    assert (await answered(family, "anna", asked.json())).json()["status"] == "proposed"
    assert not await holds(family, "unseal")
    assert (await answered(family, "anna", asked.json())).status_code == 403
    assert (await answered(family, "nina", asked.json())).json()["status"] == "agreed"
    assert await sees(family, "sam", family.sealed)


async def test_nor_does_he_wake_what_sleeps(family):
    reins = {"id": "g-lea", "client": "anna-x", "by": "anna-x", "to_who": "lea-x", "order": 0}
    reins |= {"effect": "permit", "actions": ["lezen", "beheren"], "made": "2025-02-01"}
    asleep = reins | {"id": "g-mo", "to_who": "mo-x", "order": 1, "status": "waakvlam"}
    asleep |= {"actions": ["lezen"], "categories": ["behandeling"]}
    reins |= {"categories": ["behandeling", "toestemmingen"]}
    await put(family, Rule("grant", "g-lea", reins), Rule("grant", "g-mo", asleep))
    woken = (await family.call("lea", "POST", f"{GRANTS}/g-mo/wekken")).json()
    assert (woken["status"], woken["waits"]) == ("proposed", "instemming")


async def test_a_parent_alone_opens_nothing_that_is_hidden_from_her(family):
    """Not by saying yes to what a neighbour with the reins asked, either: the child has to."""
    subject = {"person": "anna-x", "name": "Anna Berg", "birth": "2013-01-01"}
    reins = {"id": "g-lea", "client": "anna-x", "by": "anna-x", "to_who": "lea-x", "order": 0}
    reins |= {"effect": "permit", "actions": ["lezen", "beheren"], "made": "2025-02-01"}
    reins |= {"categories": ["behandeling", "toestemmingen"]}
    facts = subject | {"patient": family.anna.patient, "wilsonbekwaam": True}
    await put(family, Rule("subject", "client", facts), Rule("grant", "g-lea", reins))
    family.sealed = await visit(family, HIDDEN)
    asked = (await seal(family, "lea", family.sealed, "")).json()
    assert (await answered(family, "nina", asked)).status_code == 403
    assert not await sees(family, "nina", family.sealed)
    assert (await answered(family, "anna", asked)).json()["status"] == "proposed"
    assert (await answered(family, "nina", asked)).json()["status"] == "agreed"
    assert await sees(family, "nina", family.sealed)


async def test_what_somebody_asked_ends_when_an_operator_ends_his_relation(family):
    asked = await open_question(family, "sam", "relation")
    named = await family.call("anna", "POST", "/opvolger", json={"person": "mo-x"})
    assert (await answered(family, "nina", named.json())).status_code == 200
    desk = Evidence(family.house, family.anna.dossier, "olga")
    guardian = {"kind": "voogd", "gezag": True}
    with pytest.raises(BadValue):  # not one who holds the reins before the child lets him in
        await desk.succeed(guardian, "C/1", "de rechter besliste zo", None, ends="r-sam")
    facts = {"person": "anna-x", "name": "Anna Berg", "birth": "2013-01-01"}
    facts |= {"patient": family.anna.patient, "wilsonbekwaam": True}
    await put(family, Rule("subject", "client", facts))
    await desk.succeed(guardian, "C/1", "de rechter besliste zo", None, ends="r-sam")
    assert (await answered(family, "anna", asked)).status_code == 409
    assert not await holds(family, "relation")


async def test_a_relation_that_rests_on_evidence_is_a_claim_after_the_yes(family):
    sent = {"person": "lea-x", "kind": "voogd", "gezag": True}
    asked = (await family.call("anna", "POST", "/relaties", json=sent)).json()
    assert await rules(family, "claim") == []
    (found,) = await waiting(family, "sam")
    assert found["relatie"] == sent
    assert "bewijs" in found["samenvatting"]
    assert (await answered(family, "sam", asked)).status_code == 200
    (claim,) = await rules(family, "claim")
    assert (claim["person"], claim["by"], claim["status"]) == ("lea-x", "anna-x", "te-controleren")
    assert not await holds(family, "relation")


async def test_only_the_child_says_that_a_parent_was_let_in(family):
    said = {"kind": "ouder", "gezag": True, "child_confirmed": "2025-02-01"}
    answer = await family.call("anna", "POST", "/relaties", json=said | {"person": "lea-x"})
    assert answer.status_code == 400
    head = await family.token("nina-x")
    answer = await family.http.request(
        "POST", "/vertegenwoordiging", headers=head, json=said | {"dossier": family.anna.dossier}
    )
    assert answer.status_code == 400


async def test_it_is_shown_in_fhir_when_it_holds_and_not_before(family):
    asked = await open_question(family, "anna", "relation")
    path = "/fhir/r4/RelatedPerson?_summary=count"
    before = (await family.call("anna", "GET", path)).json()["total"]
    await answered(family, "sam", asked)
    assert (await family.call("anna", "GET", path)).json()["total"] == before + 1
    deny = await open_question(family, "anna", "admit")
    consent = f"/fhir/r4/Consent/{family.deny}"
    assert (await family.call("anna", "GET", consent)).json()["status"] == "active"
    assert (await family.call("anna", "DELETE", consent)).status_code == 403
    await answered(family, "nina", deny)
    assert (await family.call("anna", "GET", consent)).json()["status"] == "inactive"


@pytest.mark.parametrize("what", KINDS)
async def test_both_are_told_and_the_list_of_who_looked_says_what_was_done(what, family):
    asked = await open_question(family, "anna", what)
    told = (await family.call("sam", "GET", "/berichten")).json()["berichten"]
    assert "Er is een voorstel. U kunt ja of nee zeggen." in [one["tekst"] for one in told]
    await answered(family, "sam", asked)
    told = (await family.call("sam", "GET", "/berichten")).json()["berichten"]
    assert "voorstel" not in [one["soort"] for one in told]
    looked = (await family.call("anna", "GET", "/$wie-keek")).json()["zinnen"]
    text = " ".join(one["zin"] for one in looked)
    assert "deed een voorstel" in text
    assert "stemde in met een voorstel" in text
    done = ("zichtbaar", "wees een opvolger", "legde een vertegenwoordiger", "stopte")
    assert not any(word in text for word in done)


async def test_a_weak_sign_in_and_a_small_token_agree_to_nothing(family):
    asked = await open_question(family, "anna", "successor")
    weak = Account("nina-x", "Nina Berg", birth="1980-05-01", loa="laag")
    await family.house.registry.keep_account(weak)
    answer = await answered(family, "nina", asked)
    assert (answer.status_code, "LOA_TE_LAAG" in answer.text) == (403, True)
    small = await family.call(
        "sam", "POST", f"{ASKED}/{asked['id']}/instemmen", scope="user/*.rs",
        json={"precies": asked["precies"]},
    )  # fmt: skip
    assert small.status_code == 403
    assert not await holds(family, "successor")


async def test_the_new_address_answers_grants_as_well(family):
    given = await family.call(
        "anna", "POST", GRANTS, json={"preset": "meelezen", "to_who": "lea-x"}
    )
    (found,) = await waiting(family, "sam")
    assert (found["id"], found["soort"]) == (given.json()["id"], "grant")
    assert (await answered(family, "sam", found)).json()["status"] == "active"


@pytest.fixture
def three(tmp_path, launch):
    """A server with three workers, a child of 13 or 14 and two parents, with head fields."""
    running = launch(tmp_path, workers=3)
    made, year = running.anna("samen", []), datetime.now(UTC).year
    anna, sam, nina = (made.person(name) for name in ("anna", "sam", "nina"))
    subject = {"person": anna, "name": "Anna Berg", "birth": f"{year - 14}-01-01"}
    whole = {"client": anna, "kind": "ouder", "gezag": True, "child_confirmed": f"{year - 1}-01-02"}
    rules = [Rule("relation", f"r-{who}", whole | {"person": who}) for who in (sam, nina)]
    rules.append(Rule("subject", "client", subject | {"patient": made.patient}))
    running.inside(lambda house: Office(house, made.dossier, "test").set_rules(rules, "test"))
    tokens = [running.token(who, "samen") for who in (anna, sam, nina)]
    heads = [{"Authorization": f"Bearer {token}"} for token in tokens]
    return f"{running.url}/dossiers/{made.dossier}", made, heads


@pytest.mark.long
async def test_of_many_who_agree_at_once_one_is_first_on_several_workers_too(three):
    url, made, (anna, *parents) = three
    async with httpx2.AsyncClient(timeout=30) as http:
        for number in range(4):
            person = {"person": made.person(("mo", "lea")[number % 2])}
            asked = (await http.post(f"{url}/opvolger", headers=anna, json=person)).json()
            path, yes = f"{url}{ASKED}/{asked['id']}", {"precies": asked["precies"]}
            answers = await asyncio.gather(
                *(http.post(f"{path}/instemmen", headers=who, json=yes) for who in parents * 3),
                http.post(f"{path}/afwijzen", headers=anna),
            )
            assert sorted(one.status_code for one in answers) == [200] + [409] * 6
            there = (await http.get(f"{url}{GRANTS}", headers=anna)).json()["wish"]
            assert "proposed" not in {one["status"] for one in there}
