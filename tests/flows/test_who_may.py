"""May somebody do this, who may do what, and why: for who holds the reins, or about oneself."""

from __future__ import annotations

from collections import Counter

import pytest

from pgo.dossier.log import Rule
from pgo.office import Office

GRANTS = "/toestemmingen"
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}


async def grant(inside, who, **more):
    name = who if ":" in who else inside.anna.person(who)
    sent = {"effect": "permit", "to_who": name, "categories": ["medicatie"]} | more
    answer = await inside.call("anna", "POST", GRANTS, json=sent)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def may(inside, by, who, what="medicatie", **more):
    asked = {"wat": what, **({"wie": inside.anna.person(who)} if who else {}), **more}
    return await inside.call(by, "GET", "/$mag", params=asked)


async def test_a_yes_names_the_grant_and_when_it_ends(inside):
    id_ = await grant(inside, "sam", to="2026-06-01")
    said = (await may(inside, "anna", "sam")).json()
    assert said["mag"] is True
    assert said["reden"] == f"TOESTEMMING:{id_}"
    assert [one["id"] for one in said["toestemmingen"]] == [id_]
    assert "Sam Berg mag uw medicijnen lezen" in said["toestemmingen"][0]["samenvatting"]
    codes = {one["code"]: one for one in said["verandert"]}
    assert codes["TOT"]["tekst"] == "Tot 1 juni 2026."
    assert codes["ZONDER_TOESTEMMING"]["over"] == id_


async def test_a_no_says_what_would_help_and_each_of_it_helps(inside):
    said = (await may(inside, "anna", "sam")).json()
    assert (said["mag"], said["reden"]) == (False, "GEEN_TOESTEMMING")
    assert said["verandert"][0]["code"] == "TOESTEMMING"
    assert said["verandert"][0]["tekst"] == "Met een toestemming voor medicijnen."
    assert "Wel: met een toestemming voor medicijnen." in said["zinnen"]
    await grant(inside, "sam")
    assert (await may(inside, "anna", "sam")).json()["mag"] is True


async def test_a_deny_a_purpose_and_a_later_day_are_named(inside):
    await grant(inside, "esther", purposes=["TREAT"], **{"from": "2026-04-01"})
    said = (await may(inside, "anna", "esther")).json()
    assert "Vanaf 1 april 2026." in [one["tekst"] for one in said["verandert"]]
    inside.later(days=60)
    assert (await may(inside, "anna", "esther")).json()["mag"] is True
    said = (await may(inside, "anna", "esther", doel="HRESCH")).json()
    assert "Met als doel behandeling." in [one["tekst"] for one in said["verandert"]]
    no = await grant(inside, "esther", effect="deny")
    said = (await may(inside, "anna", "esther")).json()
    assert said["reden"] == "WEIGERING_WINT"
    assert ("WEIGERING_WEG", no) in [(one["code"], one["over"]) for one in said["verandert"]]


async def test_who_is_not_there_and_who_has_nothing_get_the_same_answer(inside):
    answers = []
    for wie in ("kim-x", "lea-x", "niemand"):
        asked = {"wat": "medicatie", "wie": wie}
        answers.append((await inside.call("anna", "GET", "/$mag", params=asked)).json())
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("wie", ["anna-x", "nina-x", "niemand", "org:delinde"])
async def test_others_ask_about_themselves_only(wie, inside):
    await grant(inside, "sam")
    answer = await inside.call("sam", "GET", "/$mag", params={"wat": "medicatie", "wie": wie})
    assert answer.status_code == 403
    mine = await inside.call("sam", "GET", "/$mag", params={"wat": "medicatie"})
    assert mine.json()["mag"] is True
    no = await inside.call("sam", "GET", "/$mag", params={"wat": "dagboek"})
    assert no.json() == {"mag": False, "zinnen": ["Dit mag niet."]}
    await grant(inside, "sam", effect="deny", categories=["uitslagen"])
    no = await inside.call("sam", "GET", "/$mag", params={"wat": "uitslagen"})
    assert no.json() == {"mag": False, "zinnen": ["Dit mag niet."]}


async def test_for_a_stranger_there_is_no_dossier_to_ask_about(inside):
    for path in ("/$mag?wat=medicatie", "/$mag", "/$wie-mag", "/fhir/r4/$mag", "/fhir/r4/$wie-mag"):
        assert (await inside.call("lea", "GET", path)).status_code == 404


async def test_a_record_is_asked_about_by_its_id_when_it_may_be_seen(inside):
    tree = VISIT | {"subject": {"reference": f"Patient/{inside.anna.patient}"}}
    made = (await inside.call("anna", "POST", "/fhir/r4/Encounter", json=tree)).json()["id"]
    await grant(inside, "sam", categories=["behandeling"])
    assert (await may(inside, "anna", "sam", f"Encounter/{made}")).json()["mag"] is True
    seal = {"release": "r4", "type": "Encounter", "id": made, "label": "niet-voor-naasten"}
    await inside.call("anna", "POST", "/zegels", json=seal)
    said = (await may(inside, "anna", "sam", f"Encounter/{made}")).json()
    assert said["reden"] == "VERBORGEN_VOOR_NAASTEN"
    assert "ZEGEL_WEG" in [one["code"] for one in said["verandert"]]
    hidden = await may(inside, "sam", "", f"Encounter/{made}")
    absent = await may(inside, "sam", "", "Encounter/bestaat-niet")
    assert hidden.status_code == absent.status_code == 404


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({}, "wat"),
        ({"wat": "alles"}, "wat"),
        ({"wat": "medicatie", "actie": "kijken"}, "actie"),
        ({"wat": "medicatie", "doel": "zomaar"}, "doel"),
        ({"wat": "medicatie", "extra": "1"}, "extra"),
    ],
)
async def test_a_question_that_is_wrong_names_the_parameter(asked, place, inside):
    answer = await inside.call("anna", "GET", "/fhir/r4/$mag", params=asked)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [place]


@pytest.mark.parametrize("release", ["r4", "stu3"])
async def test_the_questions_are_fhir_operations_too(release, inside):
    await grant(inside, "sam")
    base = f"/fhir/{release}"
    answer = await inside.call("anna", "GET", f"{base}/$mag?wat=medicatie&wie=sam-x")
    found = {one["name"]: one for one in answer.json()["parameter"]}
    assert answer.json()["resourceType"] == "Parameters"
    assert found["mag"]["valueBoolean"] is True
    people = (await inside.call("anna", "GET", f"{base}/$wie-mag")).json()["parameter"]
    assert {one["part"][0]["valueString"] for one in people} >= {"anna-x", "mo-x", "sam-x"}


async def who_may(inside, by):
    answer = await inside.call(by, "GET", "/$wie-mag")
    assert answer.status_code == 200, answer.text
    return {one["wie"]: one for one in answer.json()["mensen"]}


async def test_everybody_who_may_do_something_is_told_with_since_and_until(inside):
    sam = await grant(inside, "sam", actions=["lezen", "toevoegen"], to="2026-06-01")
    team = await grant(inside, "team:nacht", categories=["medicatie", "paspoort"])
    ended = await grant(inside, "nina")
    await inside.call("anna", "POST", f"{GRANTS}/{ended}/intrekken")
    found = await who_may(inside, "anna")
    assert set(found) == {"anna-x", "mo-x", "sam-x", "team:nacht"}
    right = found["sam-x"]["rechten"][0]
    assert (right["toestemming"], right["acties"]) == (sam, ["lezen", "toevoegen"])
    assert right["categorieen"] == ["medicatie"]
    assert right["sinds"].startswith("2026-03-02")
    assert right["tot"].startswith("2026-05-31T22")
    assert found["team:nacht"]["rechten"][0]["toestemming"] == team
    assert found["team:nacht"]["soort"] == "team"
    assert found["mo-x"]["rechten"][0]["recht"] == "VERTEGENWOORDIGER:mentor"
    assert found["anna-x"]["rechten"][0]["recht"] == "ZELF"
    sentence = "Sam Berg (naaste) mag uw medicijnen lezen en erbij schrijven."
    assert sentence in found["sam-x"]["zinnen"]
    for one in found.values():
        for sentence in one["zinnen"]:
            assert len(sentence.split()) <= 20, sentence


async def test_what_is_told_is_what_is_decided(inside):
    await grant(inside, "sam", categories=["medicatie", "afspraken"], actions=["lezen", "delen"])
    await grant(inside, "sam", effect="deny", categories=["afspraken"], actions=["delen"])
    right = (await who_may(inside, "anna"))["sam-x"]["rechten"]
    told = {(c, a) for one in right for c in one["categorieen"] for a in one["acties"]}
    for category in ("medicatie", "afspraken", "uitslagen"):
        for action in ("lezen", "toevoegen", "delen"):
            said = (await may(inside, "anna", "sam", category, actie=action)).json()
            assert said["mag"] == ((category, action) in told), (category, action, said)


async def test_a_grant_on_a_part_is_told_as_a_part(inside):
    await grant(inside, "sam", types=["MedicationStatement"], data_from="2025-01-01")
    right = (await who_may(inside, "anna"))["sam-x"]["rechten"]
    assert [(one["deel"], one["categorieen"]) for one in right] == [(True, ["medicatie"])]


async def test_a_linked_provider_is_told_to_bring_its_own_records_and_no_more(inside):
    """Its system brings and reads what is its own; what its people may is told beside it."""
    await grant(inside, "org:delinde", categories=["paspoort"])
    anna = inside.anna.person("anna")
    link = {"id": "koppeling-delinde", "client": anna, "by": anna, "effect": "permit", "own": True}
    link |= {"to_who": "org:delinde", "actions": ["lezen", "toevoegen", "wijzigen"], "order": 9}
    link |= {"made": "2026-03-01T00:00:00Z"}
    office = Office(inside.house, inside.anna.dossier, "test")
    await office.set_rules([Rule("grant", link["id"], link)], "test")
    row = (await who_may(inside, "anna"))["org:delinde"]
    people, own = row["rechten"]
    assert (people["categorieen"], people["acties"]) == (["paspoort"], ["lezen"])
    assert (own["toestemming"], own["deel"]) == ("koppeling-delinde", True)
    assert sorted(own["acties"]) == ["lezen", "toevoegen", "wijzigen"]
    said = " ".join(row["zinnen"])
    assert "mag de eigen gegevens bij u neerzetten en bijwerken." in said
    assert "alles" not in said


async def test_what_is_not_open_now_is_not_told_as_open(inside):
    """Dormant, later, and outside its hours: nobody may by these now."""
    asleep = await grant(inside, "sam")
    answer = await inside.call("anna", "POST", f"{GRANTS}/{asleep}/waakvlam")
    assert answer.status_code == 200, answer.text
    await grant(inside, "nina", **{"from": "2026-06-01"})
    await grant(inside, "lea", weekly=[{"from": "fri 15:00", "to": "sun 19:00"}])
    assert set(await who_may(inside, "anna")) == {"anna-x", "mo-x"}
    inside.later(days=5)
    assert set(await who_may(inside, "anna")) == {"anna-x", "mo-x", "lea-x"}


async def test_others_are_told_of_themselves_only(inside):
    await grant(inside, "sam")
    await grant(inside, "nina")
    assert set(await who_may(inside, "sam")) == {"sam-x"}
    await grant(inside, "team:nacht")
    assert set(await who_may(inside, "esther")) == {"esther-x"}


async def test_each_question_leaves_one_line(inside):
    async def lines():
        trail = inside.house.trail
        return Counter([one.interaction async for one in trail.read(inside.anna.dossier, 0, None)])

    before = await lines()
    await may(inside, "anna", "sam")
    await who_may(inside, "anna")
    await inside.call("anna", "GET", "/fhir/r4/$wie-mag")
    assert await lines() - before == {"mag": 1, "wie-mag": 2}
