"""Sharing as people do it: invitations, requests, proposals, substitutes, waakvlam, teams."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx2
import pytest
from joserfc.jwk import ECKey

from pgo.dossier.log import Rule
from pgo.oauth.clients import Provider
from pgo.oauth.tokens import Grant
from pgo.office import Office
from pgo.registry import Account, Organisation

KEY = ECKey.generate_key("P-256", {"use": "sig", "kid": "k"}).as_dict(private=False)
GRANTS, INVITES = "/toestemmingen", "/uitnodigingen"
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}


async def visit(inside) -> str:
    tree = VISIT | {"subject": {"reference": f"Patient/{inside.anna.patient}"}}
    answer = await inside.call("anna", "POST", "/fhir/r4/Encounter", json=tree)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def count(inside, name) -> int | None:
    answer = await inside.call(name, "GET", "/fhir/r4/Encounter?_summary=count")
    assert answer.status_code in {200, 404}
    return answer.json()["total"] if answer.status_code == 200 else None


async def outside(inside, name, method, path, **more):
    """A call that names no dossier; the token of `name` is for no dossier either."""
    issued = await inside.house.tokens.issue_operator(
        inside.house.registry,
        dossier=inside.anna.dossier,
        person=inside.anna.person(name),
        scope=("user/*.cruds",),
    )
    headers = {"Authorization": f"Bearer {issued.access}"}
    return await inside.http.request(method, path, headers=headers, **more)


async def invite(inside, **sent):
    answer = await inside.call("anna", "POST", INVITES, json=sent)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def made(inside, name, **given):
    answer = await inside.call(name, "POST", GRANTS, json=given)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def put(inside, *rules: Rule) -> None:
    await Office(inside.house, inside.anna.dossier, "test").set_rules(rules, "test")


async def child(inside, birth: str = "2013-01-01", **confirmed) -> None:
    """Anna is a child of 13 now; Sam and Nina are her parents with gezag."""
    anna = inside.anna.person("anna")
    subject = {"person": anna, "name": "Anna Berg", "birth": birth, "patient": inside.anna.patient}
    parents = [
        Rule("relation", f"r-{name}", {"person": inside.anna.person(name), "client": anna}
             | {"kind": "ouder", "gezag": True} | confirmed)
        for name in ("sam", "nina")
    ]  # fmt: skip
    over = {"person": inside.anna.person("mo"), "client": anna, "kind": "familie", "as": "broer"}
    await put(inside, Rule("subject", "client", subject), Rule("relation", "r-mo", over), *parents)


# --- choices -------------------------------------------------------------------------------------


async def test_the_choices_are_few_and_in_plain_words(inside):
    answer = await outside(inside, "lea", "GET", "/keuzes?voor=naaste")
    found = {one["preset"]: one for one in answer.json()["keuzes"]}
    assert set(found) == {"meelezen", "meelezen-en-meeschrijven", "alleen-noodzakelijk"}
    assert found["meelezen"]["mag"] == ["lezen"]
    for one in found.values():
        assert all(len(part.split()) <= 16 for part in one["tekst"].split("."))


async def test_a_night_nurse_writes_in_the_log_by_one_choice_for_her_team(inside):
    entry = {
        "resourceType": "Communication",
        "status": "completed",
        "payload": [{"contentString": "Rustig geslapen"}],
    }
    log = "/fhir/r4/Communication"
    assert (await inside.call("esther", "POST", log, json=entry)).status_code == 404
    given = await made(inside, "anna", preset="dagelijkse-zorg", to_who="team:nacht")
    assert given["actions"] == ["lezen", "toevoegen"]
    kept = await inside.call("esther", "POST", log, json=entry)
    assert kept.status_code == 201, kept.text
    hers = f"{log}/{kept.json()['id']}"
    assert (await inside.call("anna", "GET", hers)).status_code == 200
    again = entry | {"id": kept.json()["id"], "status": "entered-in-error"}
    assert (await inside.call("esther", "PUT", hers, json=again)).status_code == 403


async def test_a_choice_makes_the_whole_grant(inside):
    await visit(inside)
    kim = inside.anna.person("kim")
    given = await made(inside, "anna", preset="copiloot-standaard", to_who=kim, to="2027-06-01")
    assert given["actions"] == ["lezen", "toevoegen"]
    assert given["purposes"] == ["CAREMGT"]
    assert await count(inside, "kim") == 1
    for sent, place in (
        ({"preset": "meelezen", "to_who": kim}, "grant.preset"),
        ({"preset": "alles", "to_who": kim}, "grant.preset"),
        ({"preset": "copiloot-standaard", "to_who": kim, "actions": ["delen"]}, "grant.preset"),
        ({"preset": "meelezen", "to_who": "team:nacht"}, "grant.preset"),
    ):
        answer = await inside.call("anna", "POST", GRANTS, json=sent)
        assert answer.status_code == 400, sent
        assert answer.json()["errors"][0]["place"] == place


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"to": "2026-03-01"}, "grant.to"),
        ({"from": "2026-05-01", "to": "2026-04-01"}, "grant.to"),
        ({"data_from": "2026-05-01", "data_to": "2026-04-01"}, "grant.data_to"),
        ({"actions": []}, "grant.actions"),
        ({"categories": []}, "grant.categories"),
        ({"types": ["Encounters"]}, "grant.types"),
        ({"purposes": ["HMARKT"]}, "grant.purposes"),
        ({"weekly": [{"from": "fri 15:00", "to": "fri 15:00"}]}, "grant.weekly"),
        ({"to_who": "anna-x"}, "grant.to_who"),
        ({"proposed_by": "sam-x"}, "grant"),
        ({"approved_by": "sam-x"}, "grant"),
        ({"waits": "medetoestemming"}, "grant"),
    ],
)
async def test_a_grant_that_can_mean_nothing_is_refused_and_not_kept(more, place, inside):
    sent = {"effect": "permit", "to_who": "sam-x", "categories": ["behandeling"]} | more
    answer = await inside.call("anna", "POST", GRANTS, json=sent)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["place"] == place
    assert (await inside.call("anna", "GET", GRANTS)).json()["grant"] == []


async def test_nobody_gives_to_himself_and_nothing_goes_in_a_circle(inside):
    await visit(inside)
    sam, nina, kim = (inside.anna.person(name) for name in ("sam", "nina", "kim"))
    whole = {"effect": "permit", "categories": ["behandeling"], "actions": ["lezen", "delen"]}
    own = await inside.call("mo", "POST", GRANTS, json=whole | {"to_who": "mo-x"})
    assert own.status_code == 403
    first = await made(inside, "anna", **whole, to_who=sam, depth=2)
    second = await made(inside, "sam", **whole, to_who=nina, parent=first["id"], depth=1)
    for sent, status in (
        ({"to_who": sam, "parent": second["id"]}, 400),
        ({"to_who": "lea-x", "parent": second["id"], "depth": 1}, 403),
        ({"to_who": "lea-x", "parent": first["id"]}, 403),
        ({"to_who": "lea-x", "parent": second["id"], "actions": ["lezen", "wijzigen"]}, 403),
        ({"to_who": "lea-x", "parent": second["id"], "categories": ["medicatie"]}, 403),
    ):
        answer = await inside.call("nina", "POST", GRANTS, json=whole | sent)
        assert answer.status_code == status, (sent, answer.text)
    assert kim
    third = await made(
        inside, "nina", effect="permit", categories=["behandeling"], to_who="lea-x",
        parent=second["id"],
    )  # fmt: skip
    assert await count(inside, "lea") == 1
    await inside.call("anna", "POST", f"{GRANTS}/{first['id']}/intrekken")
    assert await count(inside, "lea") is None
    assert third["status"] == "active"


# --- invitations ---------------------------------------------------------------------------------


async def test_an_invitation_is_looked_at_accepted_and_over(inside):
    await visit(inside)
    code = (await invite(inside, preset="meelezen", soort="naaste", to="2027-01-01"))["code"]
    looked = await outside(inside, "lea", "POST", "/uitnodigingen/bekijken", json={"code": code})
    assert looked.json()["dossier_van"] == "Anna Berg"
    assert looked.json()["uitgenodigd_door"] == "Anna Berg"
    assert "tot 1 januari 2027" in looked.json()["samenvatting"]
    assert await count(inside, "lea") is None
    taken = await outside(inside, "lea", "POST", "/uitnodigingen/aannemen", json={"code": code})
    assert taken.json()["status"] == "active"
    assert taken.json()["dossier"] == inside.anna.dossier
    assert await count(inside, "lea") == 1
    for path in ("bekijken", "aannemen", "weigeren"):
        again = await outside(inside, "sam", "POST", f"/uitnodigingen/{path}", json={"code": code})
        assert again.status_code == 400
        assert "Anna" not in again.text
    listed = (await inside.call("anna", "GET", INVITES)).json()["uitnodigingen"]
    assert [one["status"] for one in listed] == ["aangenomen"]
    assert code not in str(listed)


async def test_before_signing_in_a_code_tells_nothing(inside):
    code = (await invite(inside, preset="meelezen"))["code"]
    for path in ("bekijken", "aannemen", "weigeren"):
        answer = await inside.http.post(f"/uitnodigingen/{path}", json={"code": code})
        assert answer.status_code == 401
        assert "Anna" not in answer.text


async def test_of_many_who_take_a_code_at_once_one_gets_in(inside):
    code = (await invite(inside, preset="meelezen"))["code"]
    names = ["sam", "nina", "lea"] * 3
    answers = await asyncio.gather(
        *(
            outside(inside, name, "POST", "/uitnodigingen/aannemen", json={"code": code})
            for name in names
        )
    )
    assert sorted(one.status_code for one in answers) == [200] + [400] * (len(names) - 1)
    grants = (await inside.call("anna", "GET", GRANTS)).json()["grant"]
    assert len(grants) == 1


@pytest.fixture
def three(tmp_path, launch):
    """A server with three workers, Anna's dossier in it, and head fields of some people."""
    running = launch(tmp_path, workers=3)
    made_ = running.anna("codes", [])
    names = ("anna", "sam", "nina", "lea")
    tokens = {name: running.token(made_.person(name), "codes") for name in names}
    head = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    return running, made_, head


@pytest.mark.long
async def test_of_many_who_take_a_code_at_once_one_gets_in_on_several_workers_too(three):
    running, made_, head = three
    url = f"{running.url}/dossiers/{made_.dossier}"
    async with httpx2.AsyncClient(timeout=30) as http:
        sent = {"preset": "meelezen"}
        for _ in range(3):
            answer = await http.post(f"{url}{INVITES}", headers=head["anna"], json=sent)
            code = {"code": answer.json()["code"]}
            took = f"{running.url}/uitnodigingen/aannemen"
            answers = await asyncio.gather(
                *(http.post(took, headers=head[name], json=code) for name in ("sam", "nina", "lea"))
            )
            assert sorted(one.status_code for one in answers) == [200, 400, 400]
        grants = (await http.get(f"{url}{GRANTS}", headers=head["anna"])).json()["grant"]
        assert len(grants) == 3
        path = f"{url}{GRANTS}/{grants[0]['id']}"
        ways = [f"{path}/{way}" for way in ("waakvlam", "intrekken") * 6]
        answers = await asyncio.gather(*(http.post(way, headers=head["anna"]) for way in ways))
        ended = [one.status_code for one in answers[1::2]]
        assert ended == [200] * 6
        grants = (await http.get(f"{url}{GRANTS}", headers=head["anna"])).json()["grant"]
        assert grants[0]["status"] == "inactive"


async def test_an_invitation_is_for_its_kind_of_person_and_for_a_week(inside):
    code = (await invite(inside, preset="copiloot-standaard"))["code"]
    for name in ("lea", "noor", "anna"):
        answer = await outside(inside, name, "POST", "/uitnodigingen/bekijken", json={"code": code})
        assert answer.status_code == 400, name
    inside.later(days=7, seconds=1)
    answer = await outside(inside, "kim", "POST", "/uitnodigingen/aannemen", json={"code": code})
    assert answer.status_code == 400


async def test_an_invitation_falls_with_the_right_of_who_gave_it(inside):
    made_ = await inside.call("mo", "POST", INVITES, json={"preset": "meelezen"})
    await inside.call("anna", "POST", "/relaties/r-mo/beeindigen")
    code = {"code": made_.json()["code"]}
    answer = await outside(inside, "lea", "POST", "/uitnodigingen/aannemen", json=code)
    assert answer.status_code == 400
    assert await count(inside, "lea") is None


async def test_an_invitation_can_be_refused_and_withdrawn(inside):
    first, second = [await invite(inside, preset="meelezen") for _ in range(2)]
    answer = await outside(
        inside, "lea", "POST", "/uitnodigingen/weigeren", json={"code": first["code"]}
    )
    assert answer.status_code == 200
    path = f"{INVITES}/{second['uitnodiging']}/intrekken"
    assert (await inside.call("sam", "POST", path)).status_code == 404
    assert (await inside.call("anna", "POST", path)).status_code == 200
    assert (await inside.call("anna", "POST", path)).status_code == 404
    answer = await outside(
        inside, "lea", "POST", "/uitnodigingen/aannemen", json={"code": second["code"]}
    )
    assert answer.status_code == 400
    listed = (await inside.call("anna", "GET", INVITES)).json()["uitnodigingen"]
    assert {one["status"] for one in listed} == {"geweigerd", "ingetrokken"}


async def test_who_guesses_codes_is_slowed_down(inside):
    wrong = [
        await outside(inside, "lea", "POST", "/uitnodigingen/aannemen", json={"code": f"{n}"})
        for n in range(6)
    ]
    assert [one.status_code for one in wrong] == [400] * 5 + [429]


async def test_who_may_not_give_may_not_invite(inside):
    await made(inside, "anna", preset="meelezen", to_who="sam-x")
    for name, status in (("sam", 403), ("lea", 404)):
        answer = await inside.call(name, "POST", INVITES, json={"preset": "meelezen"})
        assert answer.status_code == status
        assert (await inside.call(name, "GET", INVITES)).status_code == status
    for sent in ({"preset": "meelezen", "to_who": "lea-x"}, {"effect": "deny", "soort": "naaste"}):
        answer = await inside.call("anna", "POST", INVITES, json=sent)
        assert answer.status_code == 400, sent


async def test_nobody_invites_to_more_than_he_represents_for(inside):
    sent = {"effect": "permit", "categories": ["medicatie", "financieel"], "soort": "naaste"}
    assert (await inside.call("mo", "POST", INVITES, json=sent)).status_code == 403
    assert (await inside.call("anna", "POST", INVITES, json=sent)).status_code == 201


# --- asking for access ---------------------------------------------------------------------------


async def ask(inside, name, dossier=None, **more):
    sent = {"dossier": dossier or inside.anna.dossier, "preset": "meelezen"} | more
    return await outside(inside, name, "POST", "/verzoeken", json=sent)


async def test_who_asks_learns_nothing_and_the_family_decides(inside):
    await visit(inside)
    there = await ask(inside, "lea", toelichting="Ik ben de buurvrouw")
    nowhere = await ask(inside, "lea", "f" * 32)
    assert (there.status_code, there.content) == (202, nowhere.content)
    assert await count(inside, "lea") is None
    found = (await inside.call("anna", "GET", "/verzoeken")).json()["verzoeken"]
    assert [(one["person"], one["note"]) for one in found] == [("lea-x", "Ik ben de buurvrouw")]
    path = f"/verzoeken/{found[0]['id']}/toestaan"
    answer = await inside.call("anna", "POST", path, json={"to": "2026-04-01"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["by"] == "anna-x"
    assert await count(inside, "lea") == 1
    assert (await inside.call("anna", "POST", path, json={})).status_code == 404
    inside.now = inside.now.replace(month=4)
    assert await count(inside, "lea") is None


async def test_a_refused_request_is_not_heard_again(inside):
    await ask(inside, "lea")
    found = (await inside.call("anna", "GET", "/verzoeken")).json()["verzoeken"]
    path = f"/verzoeken/{found[0]['id']}/afwijzen"
    assert (await inside.call("lea", "POST", path)).status_code == 404
    assert (await inside.call("anna", "POST", path)).status_code == 200
    assert (await ask(inside, "lea")).status_code == 202
    found = (await inside.call("anna", "GET", "/verzoeken")).json()["verzoeken"]
    assert [one["status"] for one in found] == ["afgewezen"]


async def test_two_representatives_who_answer_at_once_make_one_grant(inside):
    await ask(inside, "lea")
    (found,) = (await inside.call("anna", "GET", "/verzoeken")).json()["verzoeken"]
    path = f"/verzoeken/{found['id']}"
    answers = await asyncio.gather(
        *(inside.call(name, "POST", f"{path}/toestaan", json={}) for name in ("anna", "mo") * 3),
        *(inside.call(name, "POST", f"{path}/afwijzen") for name in ("anna", "mo") * 3),
    )
    good = [one for one in answers if one.status_code < 300]
    assert len(good) == 1
    assert {one.status_code for one in answers} - {200, 201} == {404}
    grants = (await inside.call("anna", "GET", GRANTS)).json()["grant"]
    assert len(grants) == (good[0].status_code == 201)


# --- child and parent ----------------------------------------------------------------------------


async def test_a_child_of_thirteen_and_a_parent_agree_to_exactly_one_grant(inside):
    await child(inside, child_confirmed="2025-02-01")
    given = await made(inside, "anna", preset="meelezen", to_who="lea-x")
    assert (given["status"], given["waits"]) == ("proposed", "medetoestemming")
    assert await count(inside, "lea") is None
    (found,) = (await inside.call("sam", "GET", "/voorstellen")).json()["voorstellen"]
    assert "Lea Berg mag" in found["samenvatting"]
    path = f"{GRANTS}/{given['id']}/instemmen"
    for name, sent, status in (
        ("anna", found["precies"], 403),
        ("lea", found["precies"], 404),
        ("sam", "iets anders", 409),
        ("sam", found["precies"], 200),
        ("nina", found["precies"], 409),
    ):
        answer = await inside.call(name, "POST", path, json={"precies": sent})
        assert answer.status_code == status, (name, answer.text)
    assert await count(inside, "lea") == 0


async def test_a_parent_who_is_not_confirmed_can_agree_but_sees_nothing(inside):
    await child(inside)
    given = await made(inside, "anna", preset="meelezen", to_who="lea-x")
    assert await count(inside, "nina") is None
    (found,) = (await inside.call("nina", "GET", "/voorstellen")).json()["voorstellen"]
    answer = await inside.call(
        "nina", "POST", f"{GRANTS}/{given['id']}/instemmen", json={"precies": found["precies"]}
    )
    assert answer.json()["status"] == "active"
    assert answer.json()["by"] == "anna-x"
    assert await count(inside, "nina") is None
    assert (await inside.call("nina", "GET", GRANTS)).status_code == 404
    assert await count(inside, "lea") == 0


async def test_a_child_lets_a_parent_in_and_either_closes_alone(inside):
    await child(inside)
    assert await count(inside, "sam") is None
    assert (await inside.call("sam", "POST", "/relaties/r-sam/bevestigen")).status_code == 404
    answer = await inside.call("anna", "POST", "/relaties/r-sam/bevestigen")
    assert answer.status_code == 200
    assert await count(inside, "sam") == 0
    proposed = await made(inside, "sam", preset="meelezen", to_who="lea-x")
    (found,) = (await inside.call("anna", "GET", "/voorstellen")).json()["voorstellen"]
    path = f"{GRANTS}/{proposed['id']}"
    answer = await inside.call(
        "anna", "POST", f"{path}/instemmen", json={"precies": found["precies"]}
    )
    assert answer.json()["status"] == "active"
    assert await count(inside, "lea") == 0
    assert (await inside.call("sam", "POST", f"{path}/intrekken")).status_code == 200
    assert await count(inside, "lea") is None


async def test_whom_a_child_invites_waits_for_a_parent(inside):
    await child(inside, child_confirmed="2025-02-01")
    code = {"code": (await invite(inside, preset="meelezen"))["code"]}
    taken = await outside(inside, "lea", "POST", "/uitnodigingen/aannemen", json=code)
    assert taken.json()["status"] == "proposed"
    assert await count(inside, "lea") is None
    (found,) = (await inside.call("sam", "GET", "/voorstellen")).json()["voorstellen"]
    path = f"{GRANTS}/{found['id']}/instemmen"
    answer = await inside.call("sam", "POST", path, json={"precies": found["precies"]})
    assert answer.status_code == 200, answer.text
    assert await count(inside, "lea") == 0


async def test_a_provider_that_a_child_links_waits_for_a_parent(inside):
    await child(inside, child_confirmed="2025-02-01")
    head = await system(inside, "vecht")
    code = (await inside.call("anna", "POST", "/koppelcodes")).json()
    linked = await inside.http.request("POST", "/koppelingen", json=code, headers=head)
    assert linked.json()["wacht_op"] == "medetoestemming"
    base = f"/dossiers/{inside.anna.dossier}/fhir/r4"
    seen = await inside.http.request("GET", f"{base}/Patient", headers=head)
    assert seen.status_code == 404
    (found,) = (await inside.call("sam", "GET", "/voorstellen")).json()["voorstellen"]
    path = f"{GRANTS}/{found['id']}/instemmen"
    answer = await inside.call("sam", "POST", path, json={"precies": found["precies"]})
    assert answer.status_code == 200, answer.text
    tree = VISIT | {"subject": {"reference": f"Patient/{inside.anna.patient}"}}
    pushed = await inside.http.request("POST", f"{base}/Encounter", json=tree, headers=head)
    assert pushed.status_code == 201, pushed.text
    again = (await inside.call("anna", "POST", "/koppelcodes")).json()
    linked = await inside.http.request("POST", "/koppelingen", json=again, headers=head)
    assert linked.json() == {"dossier": inside.anna.dossier}, "linked already: it stays so"
    pushed = await inside.http.request("POST", f"{base}/Encounter", json=tree, headers=head)
    assert pushed.status_code == 201


@pytest.mark.parametrize("lost", ["relatie", "bevroren"])
async def test_a_code_for_a_provider_falls_with_the_right_of_who_gave_it(lost, inside):
    head = await system(inside, "vecht")
    code = (await inside.call("mo", "POST", "/koppelcodes")).json()
    if lost == "relatie":
        await inside.call("anna", "POST", "/relaties/r-mo/beeindigen")
    else:
        contested = {"reden": "mijn mentor beslist over mij"}
        answer = await inside.call("anna", "POST", "/opvolging/betwisten", json=contested)
        assert answer.status_code in {200, 201}, answer.text
    refused = await inside.http.request("POST", "/koppelingen", json=code, headers=head)
    assert refused.status_code == 400
    assert refused.json()["detail"] == "this code is not good, or not any more"
    assert not any(
        one.get("own") for one in (await inside.call("anna", "GET", GRANTS)).json()["grant"]
    )


async def test_a_turned_down_proposal_never_opens(inside):
    await child(inside, child_confirmed="2025-02-01")
    given = await made(inside, "anna", preset="meelezen", to_who="lea-x")
    path = f"{GRANTS}/{given['id']}"
    (found,) = (await inside.call("sam", "GET", "/voorstellen")).json()["voorstellen"]
    assert (await inside.call("nina", "POST", f"{path}/afwijzen")).status_code == 200
    answer = await inside.call(
        "sam", "POST", f"{path}/instemmen", json={"precies": found["precies"]}
    )
    assert answer.status_code == 409
    assert await count(inside, "lea") is None


# --- waakvlam and waarneming ---------------------------------------------------------------------


async def test_a_dormant_grant_opens_nothing_and_one_call_wakes_it(inside):
    await visit(inside)
    given = await made(inside, "anna", preset="copiloot-standaard", to_who="kim-x")
    path = f"{GRANTS}/{given['id']}"
    assert (await inside.call("sam", "POST", f"{path}/waakvlam")).status_code == 404
    assert (await inside.call("kim", "POST", f"{path}/waakvlam")).json()["status"] == "waakvlam"
    assert await count(inside, "kim") is None
    shared = await outside(inside, "kim", "GET", "/dossiers")
    assert [one["dormant"] for one in shared.json()["dossiers"]] == [True]
    assert (await inside.call("kim", "POST", f"{path}/wekken")).status_code == 404
    assert (await inside.call("anna", "POST", f"{path}/wekken")).json()["status"] == "active"
    assert await count(inside, "kim") == 1
    assert (await inside.call("anna", "POST", f"{path}/wekken")).status_code == 409


async def test_a_substitute_works_after_the_family_said_yes_and_until_the_end(inside):
    await visit(inside)
    for id_ in ("kees-x", "kaat-x"):
        colleague = Account(id_, "Kees Vos", kind="copiloot", orgs=("coophulp",))
        await inside.house.registry.keep_account(colleague)
    sent = {"to_who": "kees-x", "van": "2026-03-02", "tot": "2026-03-16"}
    assert (await inside.call("kim", "POST", "/waarnemingen", json=sent)).status_code == 404
    await made(inside, "anna", preset="copiloot-standaard", to_who="kim-x")
    for wrong, status in (
        ({"to_who": "sam-x"}, 400), ({"to_who": "kim-x"}, 400), ({"tot": "2026-09-01"}, 400),
        ({"tot": "2026-03-01"}, 400),
    ):  # fmt: skip
        answer = await inside.call("kim", "POST", "/waarnemingen", json=sent | wrong)
        assert answer.status_code == status, wrong
    (made_,) = (await inside.call("kim", "POST", "/waarnemingen", json=sent)).json()["voorstellen"]
    assert (await inside.call("kim", "POST", "/waarnemingen", json=sent)).status_code == 409
    (found,) = (await inside.call("anna", "GET", "/voorstellen")).json()["voorstellen"]
    path = f"{GRANTS}/{made_['id']}/instemmen"
    for name, status in (("kim", 403), ("kees", 404), ("anna", 200)):
        answer = await inside.call(name, "POST", path, json={"precies": found["precies"]})
        assert answer.status_code == status, (name, answer.text)
    assert answer.json()["by"] == "anna-x"
    assert await count(inside, "kees") == 1
    looked = await inside.call("anna", "GET", "/$wie-keek")
    assert "Kees Vos" in looked.text
    inside.later(days=14)
    assert await count(inside, "kees") is None
    assert await count(inside, "kim") == 1


# --- teams ---------------------------------------------------------------------------------------


async def system(inside, org="delinde"):
    """Header fields of the system of a provider."""
    if await inside.house.registry.organisation(org) is None:
        await inside.house.registry.keep_organisation(Organisation(org, org))
    provider = Provider(client_id=f"sys-{org}", name=org, id=org, jwks={"keys": [KEY]})
    await inside.house.registry.keep_provider(provider)
    kept = await inside.house.registry.provider(provider.client_id)
    name, hour = provider.client_id, inside.house.tokens.now() + 3600
    grant = Grant(
        name, "systeem", org, name, "", ("system/*.cruds",), "", "substantieel", "",
        kept.generation, 0, hour, hour,
    )  # fmt: skip
    issued = await inside.house.tokens.issue(grant)
    return {"Authorization": f"Bearer {issued.access}"}


async def test_a_provider_says_who_is_in_its_team_and_it_holds_at_once(inside):
    await visit(inside)
    given = {"effect": "permit", "to_who": "team:zuid", "categories": ["behandeling"]}
    await made(inside, "anna", **given)
    head = await system(inside)

    async def members(*names):
        sent = {"naam": "Team Zuid", "leden": [inside.anna.person(name) for name in names]}
        return await inside.http.put("/teams/zuid", headers=head, json=sent)

    assert await count(inside, "noor") is None
    assert (await members("noor")).json()["leden"] == ["noor-x"]
    assert (await count(inside, "noor"), await count(inside, "esther")) == (1, None)
    assert (await members("esther")).status_code == 200
    assert (await count(inside, "noor"), await count(inside, "esther")) == (None, 1)
    wrong = await members("esther", "sam")
    assert wrong.status_code == 400
    assert wrong.json()["errors"][0]["place"] == "leden[1]"
    assert await count(inside, "esther") == 1
    both = await asyncio.gather(*(members(name) for name in ("noor", "esther") * 4))
    assert {one.status_code for one in both} == {200}
    seen = [await count(inside, name) for name in ("noor", "esther")]
    assert sorted(seen, key=str) == [1, None]


async def test_nobody_touches_the_team_of_another(inside):
    await system(inside)
    other = await system(inside, "zorg-b")
    await inside.house.registry.keep_account(
        replace(await inside.house.registry.account("lea-x"), kind="zorgverlener", orgs=("zorg-b",))
    )
    sent = {"leden": ["lea-x"]}
    taken = await inside.http.put("/teams/nacht", headers=other, json=sent)
    assert taken.status_code == 404
    own = await inside.http.put("/teams/oost", headers=other, json=sent)
    assert own.status_code == 200
    mine = await inside.http.put("/teams/oost", headers=await system(inside), json={"leden": []})
    assert mine.status_code == 404
    person = await outside(inside, "noor", "PUT", "/teams/oost", json={"leden": []})
    assert person.status_code == 403
