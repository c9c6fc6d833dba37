"""Who holds the reins: grants, denies, relations and seals through the API, and what they do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pgo.caller import Caller
from pgo.dossier.log import Rule
from pgo.errors import Forbidden
from pgo.evidence import Evidence
from pgo.office import Office
from pgo.registry import Account

HERE = ZoneInfo("Europe/Amsterdam")
GRANTS, RELATIONS, SEALS = "/toestemmingen", "/relaties", "/zegels"
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}


def permit(who: str, **more) -> dict:
    return {"effect": "permit", "to_who": who, "categories": ["behandeling"]} | more


async def made(inside, name, **given):
    answer = await inside.call(name, "POST", GRANTS, json=given)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def visit(inside, name="anna", **more) -> str:
    tree = VISIT | {"subject": {"reference": f"Patient/{inside.anna.patient}"}} | more
    answer = await inside.call(name, "POST", "/fhir/r4/Encounter", json=tree)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def count(inside, name, type_="Encounter") -> int | None:
    """How many this person finds; None when the dossier is not there for him."""
    answer = await inside.call(name, "GET", f"/fhir/r4/{type_}?_summary=count")
    assert answer.status_code in {200, 404}
    return answer.json()["total"] if answer.status_code == 200 else None


def rows(*some: dict) -> list[Rule]:
    return [Rule("grant", row["id"], {**row, "order": n}) for n, row in enumerate(some, 50)]


async def put(inside, *rules: Rule) -> None:
    """Rules as they were brought at the start of a dossier, by an operator."""
    await Office(inside.house, inside.anna.dossier, "test").set_rules(rules, "test")


# --- who may -------------------------------------------------------------------------------------


async def test_the_client_gives_and_takes_and_it_holds_from_the_answer_on(inside):
    await visit(inside)
    sam = inside.anna.person("sam")
    assert await count(inside, "sam") is None
    given = await made(inside, "anna", **permit(sam))
    assert given["by"] == inside.anna.person("anna")
    assert given["client"] == inside.anna.person("anna")
    assert await count(inside, "sam") == 1
    ended = await inside.call("anna", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert ended.status_code == 200
    assert ended.json()["status"] == "inactive"
    assert await count(inside, "sam") is None
    inside.later(days=1)
    again = await inside.call("anna", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert again.json()["revoked"] == ended.json()["revoked"]


@pytest.mark.parametrize("name", ["sam", "kim", "noor", "esther", "lea"])
async def test_who_does_not_hold_the_reins_changes_no_rule(name, inside):
    id_ = await visit(inside)
    everything = ["lezen", "toevoegen", "wijzigen"]
    for who in ("sam", "kim", "noor", "esther"):
        await made(inside, "anna", **permit(inside.anna.person(who), actions=everything))
    other = await made(inside, "anna", **permit(inside.anna.person("nina")))
    refused = 404 if name == "lea" else 403
    third = inside.anna.person("nina")
    for path, body in (
        (GRANTS, permit(third)),
        (GRANTS, permit(third, effect="deny")),
        (GRANTS, permit(inside.anna.person(name))),
        (f"{GRANTS}/{other['id']}/intrekken", None),
        (RELATIONS, {"person": third, "kind": "curator", "order": "C/1"}),
        (f"{RELATIONS}/r-mo/beeindigen", None),
        (SEALS, {"release": "r4", "type": "Encounter", "id": id_, "label": "niet-voor-naasten"}),
        ("/koppelcodes", None),
    ):
        answer = await inside.call(name, "POST", path, json=body)
        assert answer.status_code == refused, (path, answer.text)
    assert (await inside.call(name, "GET", GRANTS)).status_code == refused
    assert (await inside.call("anna", "GET", GRANTS)).json()["seal"] == []


async def test_a_system_changes_no_rule(inside):
    link = {"id": "k", "client": inside.anna.person("anna"), "by": inside.anna.person("anna")}
    link |= {"effect": "permit", "to_who": "org:delinde", "own": True}
    link |= {"actions": ["lezen", "toevoegen", "wijzigen"], "made": "2026-01-01T00:00:00Z"}
    await put(inside, *rows(link))
    system = Caller(
        person="sys-delinde",
        kind="systeem",
        org="delinde",
        orgs=frozenset({"delinde"}),
        purpose="TREAT",
        scope=("system/*.cruds",),
    )
    regie = inside.house.regie(system, inside.anna.dossier)
    with pytest.raises(Forbidden):
        await regie.grant(permit(inside.anna.person("sam")))
    with pytest.raises(Forbidden):
        await regie.rules()


async def test_the_mentor_gives_but_not_to_himself_and_not_beyond_his_bounds(inside):
    await visit(inside)
    mo, sam = inside.anna.person("mo"), inside.anna.person("sam")
    own = await inside.call("mo", "POST", GRANTS, json=permit(mo))
    assert own.status_code == 403
    assert "NIET_AAN_ZICHZELF" in own.json()["detail"]
    await made(inside, "mo", **permit(sam))
    assert await count(inside, "sam") == 1
    diary = {"resourceType": "Observation", "status": "final", "code": {"text": "dag"}}
    tag = {"system": "https://pgo.example/fhir/CodeSystem/categorie", "code": "dagboek"}
    sent = diary | {"meta": {"tag": [tag]}}
    await inside.call("anna", "POST", "/fhir/r4/Observation", json=sent)
    for categories in (["dagboek"], ["behandeling", "dagboek"], ["financieel"]):
        sent = permit(inside.anna.person("nina"), categories=categories)
        assert (await inside.call("mo", "POST", GRANTS, json=sent)).status_code == 403
    assert await count(inside, "nina", "Observation") in {None, 0}
    assert await count(inside, "anna", "Observation") == 1


async def test_a_small_token_moves_no_reins(inside):
    sam = inside.anna.person("sam")
    for scope in ("user/*.rs", "patient/Observation.cruds", "user/Consent.rs"):
        answer = await inside.call("anna", "POST", GRANTS, json=permit(sam), scope=scope)
        assert answer.status_code == 403
        assert "insufficient_scope" in answer.headers["www-authenticate"]
    answer = await inside.call("anna", "POST", GRANTS, json=permit(sam), scope="user/Consent.c")
    assert answer.status_code == 201


# --- what they do --------------------------------------------------------------------------------


async def test_a_deny_wins_whatever_was_given_before_or_after(inside):
    await visit(inside)
    sam = inside.anna.person("sam")
    await made(inside, "anna", **permit(sam))
    no = await made(inside, "anna", **permit(sam, effect="deny", actions=["lezen"]))
    assert await count(inside, "sam") == 0
    await made(inside, "anna", **permit(sam, categories=["behandeling", "medicatie"]))
    assert await count(inside, "sam") == 0
    await inside.call("anna", "POST", f"{GRANTS}/{no['id']}/intrekken")
    assert await count(inside, "sam") == 1


async def test_a_deny_on_an_author_leaves_the_rest_open(inside):
    await visit(inside)
    sam = inside.anna.person("sam")
    everything = {"actions": ["lezen", "toevoegen"], "categories": ["behandeling"]}
    await made(inside, "anna", **permit(sam, **everything))
    theirs = await visit(inside, "sam")
    await made(inside, "anna", effect="deny", to_who=sam, author=inside.anna.person("anna"))
    assert await count(inside, "sam") == 1
    assert (await inside.call("sam", "GET", f"/fhir/r4/Encounter/{theirs}")).status_code == 200


async def test_a_seal_hides_from_the_mentor_in_lists_counts_and_history(inside):
    first, second = await visit(inside), await visit(inside)
    assert await count(inside, "mo") == 2
    label = "niet-voor-vertegenwoordiger"
    seal = {"release": "r4", "type": "Encounter", "id": first, "label": label}
    assert (await inside.call("anna", "POST", SEALS, json=seal)).status_code == 200
    assert await count(inside, "mo") == 1
    found = await inside.call("mo", "GET", "/fhir/r4/Encounter?_total=accurate")
    assert [e["resource"]["id"] for e in found.json()["entry"]] == [second]
    for path in (first, f"{first}/_history", f"{first}/_history/1"):
        answer = await inside.call("mo", "GET", f"/fhir/r4/Encounter/{path}")
        assert answer.status_code == 404
    again = await inside.call("mo", "POST", SEALS, json=seal | {"label": ""})
    assert again.status_code == 404
    assert await count(inside, "anna") == 2
    changed = VISIT | {"id": first, "status": "cancelled"}
    await inside.call("anna", "PUT", f"/fhir/r4/Encounter/{first}", json=changed)
    assert await count(inside, "mo") == 1
    assert (await inside.call("anna", "POST", SEALS, json=seal | {"label": ""})).status_code == 200
    assert await count(inside, "mo") == 2


async def test_only_representatives_are_kept_out_by_their_seal(inside):
    id_ = await visit(inside)
    await made(inside, "anna", **permit(inside.anna.person("sam")))
    seal = {"release": "r4", "type": "Encounter", "id": id_}
    for label, sees in (
        ("niet-voor-vertegenwoordiger", {"sam": 1, "mo": 0}),
        ("niet-voor-naasten", {"sam": 0, "mo": 1}),
        ("alleen-auteur-en-client", {"sam": 0, "mo": 0}),
    ):
        await inside.call("anna", "POST", SEALS, json=seal | {"label": label})
        for name, number in sees.items():
            assert await count(inside, name) == number, (label, name)


async def test_passing_on_stays_within_depth_and_within_the_own_grant(inside):
    await visit(inside)
    sam, nina = inside.anna.person("sam"), inside.anna.person("nina")
    flat = await made(inside, "anna", **permit(sam, actions=["lezen", "delen"]))
    answer = await inside.call("sam", "POST", GRANTS, json=permit(nina, parent=flat["id"]))
    assert answer.status_code == 403
    deep = await made(inside, "anna", **permit(sam, actions=["lezen", "delen"], depth=1))
    child = await made(inside, "sam", **permit(nina, parent=deep["id"]))
    assert await count(inside, "nina") == 1
    wider = permit(nina, parent=deep["id"], categories=["behandeling", "medicatie"])
    await inside.call("sam", "POST", GRANTS, json=wider)
    for body in (
        permit(nina, parent=deep["id"], depth=1),
        permit(sam, parent=deep["id"]),
        permit(inside.anna.person("lea"), parent="g-bestaat-niet"),
    ):
        assert (await inside.call("sam", "POST", GRANTS, json=body)).status_code == 403
    again = permit(inside.anna.person("lea"), parent=child["id"])
    assert (await inside.call("nina", "POST", GRANTS, json=again)).status_code == 403
    await inside.call("anna", "POST", f"{GRANTS}/{deep['id']}/intrekken")
    assert await count(inside, "nina") is None


async def test_who_passed_something_on_takes_it_back(inside):
    await visit(inside)
    sam, nina = inside.anna.person("sam"), inside.anna.person("nina")
    deep = await made(inside, "anna", **permit(sam, actions=["lezen", "delen"], depth=1))
    child = await made(inside, "sam", **permit(nina, parent=deep["id"]))
    await inside.call("sam", "POST", f"{GRANTS}/{child['id']}/intrekken")
    assert await count(inside, "nina") is None
    assert await count(inside, "sam") == 1


async def test_passing_on_gives_nobody_the_power_to_deny(inside):
    await visit(inside)
    sam, nina = inside.anna.person("sam"), inside.anna.person("nina")
    await made(inside, "anna", **permit(nina))
    deep = await made(inside, "anna", **permit(sam, actions=["lezen", "delen"], depth=1))
    answer = await inside.call(
        "sam", "POST", GRANTS, json=permit(nina, effect="deny", parent=deep["id"])
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["place"] == "grant.parent"
    assert await count(inside, "nina") == 1


async def test_anybody_gives_up_his_own_grant_and_nobody_elses(inside):
    await visit(inside)
    mine = await made(inside, "anna", **permit(inside.anna.person("kim")))
    other = await made(inside, "anna", **permit(inside.anna.person("sam")))
    answer = await inside.call("kim", "POST", f"{GRANTS}/{other['id']}/intrekken")
    assert answer.status_code == 403
    answer = await inside.call("kim", "POST", f"{GRANTS}/{mine['id']}/intrekken")
    assert answer.status_code == 200
    assert await count(inside, "kim") is None
    assert await count(inside, "sam") == 1


async def test_a_copiloot_with_the_reins_leaves_denies_relations_and_colleagues_alone(inside):
    id_ = await visit(inside)
    other = Account("kees-x", "Kees Vos", kind="copiloot", orgs=("coophulp",))
    await inside.house.registry.keep_account(other)
    everything = {"actions": ["lezen", "beheren"], "categories": ["behandeling", "toestemmingen"]}
    await made(inside, "anna", **permit(inside.anna.person("kim"), **everything))
    theirs = await made(inside, "anna", **permit("kees-x"))
    sam = inside.anna.person("sam")
    for path, body in (
        (GRANTS, permit(sam, effect="deny")),
        (GRANTS, permit("kees-x")),
        (f"{GRANTS}/{theirs['id']}/intrekken", None),
        (RELATIONS, {"person": sam, "kind": "familie", "as": "broer"}),
        (f"{RELATIONS}/r-mo/beeindigen", None),
        (SEALS, {"release": "r4", "type": "Encounter", "id": id_, "label": "niet-voor-naasten"}),
    ):
        answer = await inside.call("kim", "POST", path, json=body)
        assert answer.status_code == 403, (path, answer.text)
        assert "BEHEER_BEPERKT" in answer.json()["detail"]


async def test_who_holds_the_reins_by_a_grant_proposes_and_the_family_gives(inside):
    """He has nothing of his own to give (consent 2): no permit of his is kept as if it counted."""
    await visit(inside)
    everything = {"actions": ["lezen", "beheren"], "categories": ["behandeling", "toestemmingen"]}
    await made(inside, "anna", **permit(inside.anna.person("kim"), **everything))
    proposal = await made(inside, "kim", **permit(inside.anna.person("sam")))
    assert (proposal["status"], proposal["waits"]) == ("proposed", "instemming")
    assert await count(inside, "sam") is None
    listed = await inside.call("anna", "GET", "/voorstellen")
    told = next(one for one in listed.json()["voorstellen"] if one["id"] == proposal["id"])
    yes = f"{GRANTS}/{proposal['id']}/instemmen"
    for name, status in (("sam", 404), ("kim", 403), ("anna", 200)):
        assert await count(inside, "sam") is None
        answer = await inside.call(name, "POST", yes, json={"precies": told["precies"]})
        assert answer.status_code == status, (name, answer.text)
    assert answer.json()["by"] == inside.anna.person("anna")
    assert await count(inside, "sam") == 1
    for path, body in (
        ("/uitnodigingen", {"soort": "naaste", "preset": "meelezen"}),
        ("/koppelcodes", None),
    ):
        answer = await inside.call("kim", "POST", path, json=body)
        assert answer.status_code == 403, (path, answer.text)
        assert "represents him" in answer.json()["detail"]
    answer = await inside.call("kim", "POST", f"{GRANTS}/{proposal['id']}/intrekken")
    assert answer.status_code == 200, "what he holds the reins for, he may end"


# --- relations -----------------------------------------------------------------------------------


async def test_a_relation_needs_its_evidence_and_ends_at_once(inside):
    await visit(inside)
    sam = inside.anna.person("sam")
    for body, place in (
        ({"person": sam, "kind": "mentor"}, "relation.order"),
        ({"person": sam, "kind": "gemachtigde"}, "relation.verified"),
        ({"person": sam, "kind": "familie"}, "relation.as"),
        ({"person": sam, "kind": "baas"}, "relation.kind"),
        ({"person": sam, "kind": "mentor", "order": "C", "id": "r-mo"}, "relation"),
        ({"person": sam, "kind": "mentor", "order": "C", "client": "iemand"}, "relation"),
        ({"person": sam, "kind": "mentor", "order": "C", "from": "gisteren"}, "relation.from"),
        ({"kind": "mentor", "order": "C"}, "relation.person"),
    ):
        answer = await inside.call("anna", "POST", RELATIONS, json=body)
        assert answer.status_code == 400, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"][0]["place"] == place
        assert sam not in answer.text
    body = {"person": sam, "kind": "gemachtigde", "verified": "volmacht"}
    answer = await inside.call("anna", "POST", RELATIONS, json=body)
    assert (answer.status_code, answer.json()["status"]) == (201, "te-controleren")
    assert await count(inside, "sam") is None
    desk = Evidence(inside.house, inside.anna.dossier, "ria")
    id_ = await desk.verify(answer.json()["id"], "akte 2026-3", "akte gezien aan de balie", None)
    assert await count(inside, "sam") == 1
    path = f"{RELATIONS}/{id_}/beeindigen"
    assert (await inside.call("anna", "POST", path)).status_code == 200
    assert await count(inside, "sam") is None


async def test_representatives_do_not_end_each_other_but_the_client_does(inside):
    await visit(inside)
    second = {"person": inside.anna.person("sam"), "client": inside.anna.person("anna")}
    await put(inside, Rule("relation", "r-sam", second | {"kind": "mentor", "order": "C/2"}))
    answer = await inside.call("sam", "POST", f"{RELATIONS}/r-mo/beeindigen")
    assert answer.status_code == 403
    assert await count(inside, "mo") == 1
    answer = await inside.call("anna", "POST", f"{RELATIONS}/r-mo/beeindigen")
    assert answer.status_code == 200
    assert await count(inside, "mo") is None
    answer = await inside.call("sam", "POST", f"{RELATIONS}/r-sam/beeindigen")
    assert answer.status_code == 200


async def test_the_last_parent_cannot_leave_a_child_without_anybody(inside):
    child = {"person": "kind-x", "name": "Bo", "birth": "2020-01-01"}
    both = [
        Rule("relation", f"r-{name}", {"person": inside.anna.person(name), "client": "kind-x"}
             | {"kind": "ouder", "gezag": True})
        for name in ("sam", "nina")
    ]  # fmt: skip
    await put(inside, Rule("subject", "client", child), *both)
    answer = await inside.call("sam", "POST", f"{RELATIONS}/r-nina/beeindigen")
    assert answer.status_code == 403
    answer = await inside.call("sam", "POST", f"{RELATIONS}/r-sam/beeindigen")
    assert answer.status_code == 200
    answer = await inside.call("nina", "POST", f"{RELATIONS}/r-nina/beeindigen")
    assert answer.status_code == 403


# --- time ----------------------------------------------------------------------------------------


async def test_a_dated_grant_begins_and_ends_on_local_days(inside):
    await visit(inside)
    dated = {"from": "2026-03-10", "to": "2026-03-12"}
    await made(inside, "anna", **permit(inside.anna.person("sam"), **dated))
    for moment, found in (
        ("2026-03-09T23:59:59", None),
        ("2026-03-10T00:00:00", 1),
        ("2026-03-11T23:59:59", 1),
        ("2026-03-12T00:00:00", None),
    ):
        inside.now = datetime.fromisoformat(moment).replace(tzinfo=HERE).astimezone(UTC)
        assert await count(inside, "sam") == found, moment


async def test_the_logeerhuis_looks_in_its_weekend_also_when_the_clock_changes(inside):
    await visit(inside)
    window = [{"from": "fri 15:00", "to": "sun 19:00"}]
    await made(inside, "anna", **permit("team:nacht", weekly=window))
    for moment, found in (
        ("2026-03-06T14:59:59", None),
        ("2026-03-06T15:00:00", 1),
        ("2026-03-08T18:59:59", 1),
        ("2026-03-08T19:00:00", None),
        # the night of 29 March 2026 has no 02:30, and 19:00 comes an hour sooner
        ("2026-03-27T14:59:59", None),
        ("2026-03-27T15:00:00", 1),
        ("2026-03-29T01:59:59", 1),
        ("2026-03-29T03:00:00", 1),
        ("2026-03-29T18:59:59", 1),
        ("2026-03-29T19:00:00", None),
        # 25 October 2026 has 02:30 twice
        ("2026-10-25T02:30:00", 1),
        ("2026-10-25T18:59:59", 1),
        ("2026-10-25T19:00:00", None),
    ):
        inside.now = datetime.fromisoformat(moment).replace(tzinfo=HERE).astimezone(UTC)
        assert await count(inside, "esther") == found, moment
    inside.now = datetime.fromisoformat("2026-03-29T17:00:00+00:00")
    assert await count(inside, "esther") is None
    inside.now = datetime.fromisoformat("2026-10-25T17:59:59+00:00")
    assert await count(inside, "esther") == 1


async def test_who_leaves_the_team_looks_no_more(inside):
    await visit(inside)
    await made(inside, "anna", **permit("team:nacht"))
    assert await count(inside, "esther") == 1

    def out(account):
        return replace(account, teams=())

    await inside.house.registry.change(Account, inside.anna.person("esther"), out)
    assert await count(inside, "esther") is None


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"categories": ["alles"]}, "grant.categories"),
        ({"actions": ["kijken"]}, "grant.actions"),
        ({"effect": "misschien"}, "grant.effect"),
        ({"to_who": "*"}, "grant.to_who"),
        ({"to_who": 7}, "grant.to_who"),
        ({"from": "morgen"}, "grant.from"),
        ({"weekly": [{"from": "vr 15:00", "to": "zo 19:00"}]}, "grant.weekly[0].from"),
        ({"depth": -1}, "grant.depth"),
        ({"status": "gewoon"}, "grant.status"),
        ({"geheim": 1}, "grant"),
        ({"by": "iemand"}, "grant"),
        ({"client": "iemand"}, "grant"),
        ({"made": "2020-01-01"}, "grant"),
        ({"own": True}, "grant"),
        ({"by_court": True}, "grant"),
        ({"order": 1}, "grant"),
        ({"id": "g-mijn"}, "grant"),
        ({"revoked": "2020-01-01"}, "grant"),
    ],
)
async def test_a_grant_that_cannot_be_read_is_refused_with_its_place(more, place, inside):
    sent = permit(inside.anna.person("sam")) | more
    answer = await inside.call("anna", "POST", GRANTS, json=sent)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    error = answer.json()["errors"][0]
    assert error["place"] == place
    for value in ("alles", "kijken", "misschien", "morgen", "geheim", "iemand", "gewoon"):
        assert value not in error["detail"]
    assert (await inside.call("anna", "GET", GRANTS)).json()["grant"] == []


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (GRANTS, b"[]", "body"),
        (GRANTS, b"geen json", "body"),
        (SEALS, b'{"release":"r4","type":"Encounter","id":"x"}', "body.label"),
        (SEALS, b'{"release":"r5","type":"Encounter","id":"x","label":""}', "body.release"),
        (SEALS, b'{"release":"r4","type":"Encounter","id":"x","label":"","en":1}', "body"),
        (SEALS, b'{"release":"r4","type":"Encounter","id":"x","label":"mooi"}', "label"),
    ],
)
async def test_other_bodies_are_refused_with_their_place_too(path, body, place, inside):
    headers = {"content-type": "application/json"}
    answer = await inside.call("anna", "POST", path, content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["place"] == place
