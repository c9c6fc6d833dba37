"""What a message says behind a sign-in: who got access, from whom, to what; and who answered."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pgo.dossier.log import Rule
from pgo.moment import micros
from pgo.notices import Notices
from pgo.office import Office
from pgo.plain.notices import access, answer
from pgo.registry import Account
from pgo.shared import caller_of_account

GRANTS, ASKED = "/toestemmingen", "/voorstellen"
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
LONG = "Mohamed Abdel-Rahman van den Heuvel-de Wit"


async def put(inside, *rules: Rule) -> None:
    await Office(inside.house, inside.anna.dossier, "test").set_rules(rules, "test")


async def texts(inside, name, kind, tongue="", **more):
    answer_ = await inside.call(name, "GET", f"/berichten{tongue}", **more)
    assert answer_.status_code == 200, answer_.text
    return [one["tekst"] for one in answer_.json()["berichten"] if one["soort"] == kind]


async def gives(inside, name, **sent):
    sent = {"effect": "permit", "to_who": "nina-x", "categories": ["behandeling"], **sent}
    given = await inside.call(name, "POST", GRANTS, json=sent)
    assert given.status_code == 201, given.text
    return given.json()


async def kinds(inside, name, after=0):
    """The kinds somebody would be mailed of, from a commit on; and the newest commit."""
    account = await inside.house.registry.account(inside.anna.person(name))
    caller = replace(caller_of_account(account), scope=("user/*.rs",))
    notices = Notices(inside.house.parts, caller, inside.anna.dossier)
    return await notices.fresh(after, micros(inside.now))


# --- who got access ------------------------------------------------------------------------------


async def test_the_client_reads_what_the_mentor_gave_to_whom_and_what_he_can_do(inside):
    given = await gives(inside, "mo")
    (told,) = await texts(inside, "anna", "toegang")
    (row,) = (await inside.call("anna", "GET", GRANTS)).json()["grant"]
    assert told == (
        "Nina Berg kreeg toegang tot het dossier. Mo Berg (mentor) gaf dit. "
        f"{row['samenvatting']} U kunt dit stoppen."
    )
    (easy,) = await texts(inside, "anna", "toegang", "?taal=eenvoudig")
    assert easy == (
        f"Nina Berg kreeg toegang. Mo Berg (mentor) gaf dit. {row['eenvoudig']} U kunt dit stoppen."
    )
    assert all(len(one.split()) <= 12 for one in re.split(r"(?<=\.)\s+", easy))
    stopped = await inside.call("anna", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert stopped.status_code == 200, "as the message said"


async def test_who_gave_it_himself_reads_so_and_others_read_of_the_client_by_name(inside):
    await gives(inside, "mo")
    (mine,) = await texts(inside, "mo", "toegang")
    assert "U gaf dit." in mine
    assert "behandelingen van Anna" in mine
    await gives(inside, "anna", to_who="kim-x")
    assert any(
        one.startswith("Kim Berg (copiloot) kreeg toegang tot het dossier. Anna Berg gaf dit.")
        for one in await texts(inside, "mo", "toegang")
    )


async def test_teams_and_organisations_are_called_what_they_are(inside):
    await gives(inside, "anna", to_who="org:delinde/verpleegkundige")
    (told,) = await texts(inside, "anna", "toegang")
    assert told.startswith("Een verpleegkundige van ")


async def test_a_token_that_reaches_no_grants_reads_nothing_of_them(inside):
    await gives(inside, "mo")
    assert await texts(inside, "anna", "toegang", scope="user/Communication.rs") == []
    both = await texts(inside, "anna", "toegang", scope="user/Communication.rs user/Consent.rs")
    assert both == await texts(inside, "anna", "toegang")


async def test_who_does_not_represent_is_told_nothing_of_it(inside):
    await gives(inside, "anna", to_who="sam-x")
    await gives(inside, "mo", to_who="nina-x")
    for name in ("sam", "nina"):
        assert await texts(inside, name, "toegang") == []


async def test_a_name_steers_no_screen_and_fills_no_sentence(inside):
    shown = f"Nina\u202e {LONG}. U moet nu betalen"
    await inside.house.registry.keep_account(Account("nina-x", shown, birth="1980-05-01"))
    await gives(inside, "anna")
    for tongue in ("", "?taal=eenvoudig"):
        (told,) = await texts(inside, "anna", "toegang", tongue)
        assert "\u202e" not in told
        assert "betalen" not in told


@pytest.mark.parametrize("easy", [False, True])
def test_the_sentences_around_a_grant_are_short_also_with_long_names(easy):
    told = access("Een arts van De Linde", LONG, "", role="gemachtigde", may_stop=True, easy=easy)
    told += " " + answer("admit", LONG, LONG, agreed=False, easy=easy)
    assert all(len(one.split()) <= 12 for one in re.split(r"(?<=\.)\s+", told.strip()))
    assert "{" not in told
    assert access("X", "", "", easy=easy).split(". ")[1].startswith("Iemand gaf dit")


# --- who answered --------------------------------------------------------------------------------


@pytest.fixture
async def family(inside):
    """Anna is 13. Sam is a parent she let in, Nina one she did not; Mo is her brother."""
    subject = {"person": "anna-x", "name": "Anna Berg", "birth": "2013-01-01"}
    parent = {"client": "anna-x", "kind": "ouder", "gezag": True}
    brother = {"person": "mo-x", "client": "anna-x", "kind": "familie", "as": "broer"}
    await put(
        inside,
        Rule("subject", "client", subject | {"patient": inside.anna.patient}),
        Rule("relation", "r-sam", {"person": "sam-x", "child_confirmed": "2025-02-01", **parent}),
        Rule("relation", "r-nina", {"person": "nina-x", **parent}),
        Rule("relation", "r-mo", brother),
    )
    return inside


async def answered(family, name, id_, way):
    (one,) = [
        one
        for one in (await family.call(name, "GET", ASKED)).json()["voorstellen"]
        if one["id"] == id_
    ]
    sent = {"json": {"precies": one["precies"]}} if way == "instemmen" else {}
    done = await family.call(name, "POST", f"{ASKED}/{id_}/{way}", **sent)
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(("by", "other"), [("anna", "sam"), ("anna", "nina"), ("sam", "anna")])
@pytest.mark.parametrize(("way", "said"), [("instemmen", "ja"), ("afwijzen", "nee")])
async def test_who_asked_for_a_grant_is_told_the_answer_of_the_other(by, other, way, said, family):
    given = await gives(family, by, to_who="lea-x")
    assert await texts(family, by, "antwoord") == []
    start, _ = await kinds(family, by)
    family.later(minutes=1)
    await answered(family, other, given["id"], way)
    no = " Er verandert niets." if said == "nee" else ""
    name = other.capitalize()
    assert await texts(family, by, "antwoord") == [
        f"{name} Berg zei {said} op uw voorstel. Het ging om een toestemming voor Lea Berg.{no}"
    ]
    (easy,) = await texts(family, by, "antwoord", "?taal=eenvoudig")
    assert easy.startswith(f"{name} Berg zei {said}. ")
    assert "antwoord" in (await kinds(family, by, start))[1]
    if other != "nina":
        assert await texts(family, other, "antwoord") == []
        assert "antwoord" not in (await kinds(family, other, start))[1]
    assert (await kinds(family, by, (await kinds(family, by))[0]))[1] == []


@pytest.mark.parametrize(
    ("path", "sent", "about"),
    [
        ("/opvolger", {"person": "lea-x"}, "Lea Berg als opvolger"),
        ("/relaties", {"person": "lea-x", "kind": "familie", "as": "zus"},
         "Lea Berg als vertegenwoordiger"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("way", "said"), [("instemmen", "ja"), ("afwijzen", "nee")])
async def test_who_asked_for_something_else_is_told_too(path, sent, about, way, said, family):
    wish = await family.call("sam", "POST", path, json=sent)
    assert wish.status_code == 202, wish.text
    await answered(family, "anna", wish.json()["id"], way)
    (told,) = await texts(family, "sam", "antwoord")
    assert told.startswith(f"Anna Berg zei {said} op uw voorstel. Het ging om {about}.")


async def test_of_a_seal_it_is_not_told_what_lies_under_it(family):
    tree = VISIT | {"subject": {"reference": f"Patient/{family.anna.patient}"}}
    id_ = (await family.call("anna", "POST", "/fhir/r4/Encounter", json=tree)).json()["id"]
    sent = {"release": "r4", "type": "Encounter", "id": id_, "label": "niet-voor-naasten"}
    assert (await family.call("anna", "POST", "/zegels", json=sent)).status_code == 200
    wish = await family.call("sam", "POST", "/zegels", json=sent | {"label": ""})
    await answered(family, "anna", wish.json()["id"], "afwijzen")
    (told,) = await texts(family, "sam", "antwoord")
    assert told == "Anna Berg zei nee op uw voorstel. Het ging om een zegel. Er verandert niets."


async def test_who_takes_it_back_himself_gets_no_answer(family):
    given = await gives(family, "sam", to_who="lea-x")
    await answered(family, "sam", given["id"], "afwijzen")
    for name in ("sam", "anna"):
        assert await texts(family, name, "antwoord") == []


async def test_ending_what_was_asked_by_its_id_is_a_no_too(family):
    given = await gives(family, "sam", to_who="lea-x")
    ended = await family.call("anna", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert ended.status_code == 200
    (told,) = await texts(family, "sam", "antwoord")
    assert told.startswith("Anna Berg zei nee")


async def test_refusing_it_as_fhir_is_a_no_too(family):
    given = await gives(family, "sam", to_who="lea-x")
    ended = await family.call("anna", "DELETE", f"/fhir/r4/Consent/{given['id']}")
    assert ended.status_code in {200, 204}, ended.text
    (told,) = await texts(family, "sam", "antwoord")
    assert told.startswith("Anna Berg zei nee")


async def test_ending_a_grant_later_is_no_new_answer(family):
    given = await gives(family, "sam", to_who="lea-x")
    await answered(family, "anna", given["id"], "instemmen")
    start, _ = await kinds(family, "sam")
    family.later(minutes=1)
    await family.call("anna", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert (await kinds(family, "sam", start))[1] == []
    (told,) = await texts(family, "sam", "antwoord")
    assert "zei ja" in told


async def test_a_question_that_fell_with_a_relation_was_not_answered(family):
    given = await gives(family, "sam", to_who="lea-x")
    family.later(minutes=1)
    await family.call("anna", "POST", "/relaties/r-sam/beeindigen")
    assert (await family.call("sam", "GET", "/berichten")).status_code == 404
    assert given["status"] == "proposed"


async def test_who_represents_no_longer_is_told_no_answer(family):
    await family.call("anna", "POST", GRANTS, json={"effect": "permit", "to_who": "lea-x"})
    given = await gives(family, "sam", to_who="lea-x")
    await answered(family, "anna", given["id"], "instemmen")
    await family.call("anna", "POST", "/relaties/r-sam/beeindigen")
    assert (await family.call("sam", "GET", "/berichten")).status_code == 404


async def test_a_token_that_reaches_no_grants_reads_only_that_there_is_an_answer(family):
    given = await gives(family, "sam", to_who="lea-x")
    await answered(family, "anna", given["id"], "afwijzen")
    small = await texts(family, "sam", "antwoord", scope="user/Communication.rs")
    assert small == ["Er is een antwoord op uw voorstel."]


async def test_a_copiloot_reads_that_there_is_an_answer_and_no_names(inside):
    await gives(inside, "anna", to_who="kim-x")
    await inside.house.registry.keep_account(
        Account("lea-x", "Lea Berg", birth="1980-05-01", kind="copiloot", orgs=("coophulp",))
    )
    sent = {"to_who": "lea-x", "van": "2026-03-03", "tot": "2026-03-10"}
    asked = await inside.call("kim", "POST", "/waarnemingen", json=sent)
    assert asked.status_code == 201, asked.text
    (one,) = asked.json()["voorstellen"]
    await answered(inside, "anna", one["id"], "instemmen")
    assert await texts(inside, "kim", "antwoord") == ["Er is een antwoord op uw voorstel."]
