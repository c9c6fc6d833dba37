"""Grants as FHIR Consent over HTTP: what is shown to whom, and what is taken and refused."""

from __future__ import annotations

import asyncio
import copy

import orjson
import pytest

from pgo.consent import fhir_systems as systems
from pgo.dossier.log import Rule
from pgo.fhir import profiles, text, validate
from pgo.fhir.bundle import Op
from pgo.office import Office

CONSENT = "/fhir/r4/Consent"
GRANTS = "/toestemmingen"
CATEGORY = {"system": systems.CATEGORIES, "code": "behandeling"}
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}


def concept(system, code):
    return {"coding": [{"system": system, "code": code}]}


def consent(inside, who, **provision):
    """A Consent that gives this person the treatments to read."""
    actor = {
        "role": concept(systems.ROLE, "IRCP"),
        "reference": {"reference": f"RelatedPerson/{inside.anna.person(who)}"},
    }
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": concept(systems.SCOPE, "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": f"Patient/{inside.anna.patient}"},
        "policy": [{"uri": "https://pgo.example/fhir/beleid/pgo-toestemming-1"}],
        "provision": {
            "type": "permit",
            "actor": [actor],
            "action": [concept(systems.CONSENT_ACTION, "access")],
            "code": [{"coding": [CATEGORY]}],
            **provision,
        },
    }


def permit(inside, who, **more):
    sent = {"effect": "permit", "to_who": inside.anna.person(who), "categories": ["behandeling"]}
    return sent | more


async def grant(inside, who, by="anna", **more):
    answer = await inside.call(by, "POST", GRANTS, json=permit(inside, who, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def visits(inside, who):
    """How many treatments this person finds; None when the dossier is not there for him."""
    answer = await inside.call(who, "GET", "/fhir/r4/Encounter?_summary=count")
    return answer.json()["total"] if answer.status_code == 200 else None


@pytest.fixture
async def visited(inside):
    tree = VISIT | {"subject": {"reference": f"Patient/{inside.anna.patient}"}}
    assert (await inside.call("anna", "POST", "/fhir/r4/Encounter", json=tree)).status_code == 201
    return inside


async def found(inside, who, asked=""):
    answer = await inside.call(who, "GET", f"{CONSENT}?{asked}")
    assert answer.status_code == 200, answer.text
    return [each["resource"]["id"] for each in answer.json().get("entry", [])]


# --- out -----------------------------------------------------------------------------------------


async def test_every_grant_is_a_consent_for_who_holds_the_reins(inside):
    id_ = await grant(inside, "kim", actions=["lezen", "toevoegen"], to="2027-06-01")
    answer = await inside.call("anna", "GET", f"{CONSENT}/{id_}")
    assert answer.status_code == 200
    tree = answer.json()
    assert validate.validate("r4", text.parse(answer.content)) == ()
    assert tree["status"] == "active"
    assert tree["provision"]["period"] == {"end": "2027-05-31"}
    assert tree["provision"]["actor"][0]["reference"]["display"] == "Kim Berg"
    assert tree["provision"]["actor"][0]["reference"]["reference"].startswith("Practitioner/")
    assert "Kim Berg" in tree["text"]["div"]
    assert answer.headers["etag"] == 'W/"1"'


async def test_consents_are_found_by_what_they_say(inside):
    kim = await grant(inside, "kim", **{"from": "2026-03-01", "to": "2027-01-01"})
    sam = await grant(inside, "sam")
    await inside.call("anna", "POST", f"{GRANTS}/{sam}/intrekken")
    assert await found(inside, "anna", "status=active") == [kim]
    assert await found(inside, "anna", "status=inactive") == [sam]
    actor = f"actor=Practitioner/{inside.anna.person('kim')}"
    assert await found(inside, "anna", actor) == [kim]
    assert await found(inside, "anna", f"actor={inside.anna.person('kim')}") == [kim]
    assert set(await found(inside, "anna", "category=http://loinc.org|59284-0")) == {kim, sam}
    assert await found(inside, "anna", f"category={systems.KINDS}|weigering") == []
    assert await found(inside, "anna", "period=lt2026-01-01") == []
    assert await found(inside, "anna", "period=gt2026-12-31") == []
    assert await found(inside, "anna", "period=2026-06") == []
    assert await found(inside, "anna", "period=gt2026-12-30") == [kim]
    assert set(await found(inside, "anna", f"patient={inside.anna.patient}")) == {kim, sam}


async def test_a_revoked_grant_has_a_history(inside):
    id_ = await grant(inside, "sam")
    await inside.call("anna", "POST", f"{GRANTS}/{id_}/intrekken")
    answer = await inside.call("anna", "GET", f"{CONSENT}/{id_}/_history")
    states = [each["resource"]["status"] for each in answer.json()["entry"]]
    assert states == ["inactive", "active"]
    first = await inside.call("anna", "GET", f"{CONSENT}/{id_}/_history/1")
    assert first.json()["status"] == "active"


async def test_a_revoked_grant_says_by_whom_and_no_one_rewrites_that(inside):
    """A Provenance in the same commit, for who may see grants; the grantee is not told by it."""
    id_ = await grant(inside, "nina")
    path = "/fhir/r4/Provenance"
    asked = f"{path}?target=Consent/{id_}"
    assert (await inside.call("anna", "GET", asked)).json()["total"] == 0
    answer = await inside.call("mo", "POST", f"{GRANTS}/{id_}/intrekken")
    assert answer.status_code == 200, answer.text
    (entry,) = (await inside.call("anna", "GET", asked)).json()["entry"]
    told = entry["resource"]
    assert told["agent"][0]["who"]["identifier"]["value"] == inside.anna.person("mo")
    assert told["target"][0]["reference"] == f"Consent/{id_}/_history/2"
    assert told["activity"]["coding"][0]["code"] == "ABORT"
    raw = (await inside.call("anna", "GET", f"{path}/{told['id']}")).content
    assert validate.validate("r4", text.parse(raw)) == ()
    again = await inside.call("anna", "POST", f"{GRANTS}/{id_}/intrekken")
    assert again.status_code == 200
    assert (await inside.call("anna", "GET", asked)).json()["entry"] == [entry], "it ended once"
    mine = f"{path}/{told['id']}"
    forged = told | {"recorded": "2020-01-01T00:00:00Z"}
    assert (await inside.call("anna", "PUT", mine, json=forged)).status_code == 422
    assert (await inside.call("anna", "DELETE", mine)).status_code == 422
    await grant(inside, "sam", categories=["afspraken"])
    for name in ("sam", "nina"):
        assert (await inside.call(name, "GET", mine)).status_code == 404
    assert (await inside.call("sam", "GET", path)).json()["total"] == 0


async def test_nobody_is_there_before_the_provenance_of_an_end(inside):
    """Its id can be known beforehand; who writes there first would keep the end from being told."""
    id_ = await grant(inside, "nina")
    name = f"einde.{id_}"
    tree = {
        "resourceType": "Provenance",
        "id": name,
        "target": [{"reference": f"Consent/{id_}"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "Iemand"}}],
    }
    answer = await inside.call("anna", "PUT", f"/fhir/r4/Provenance/{name}", json=tree)
    assert answer.status_code == 422, answer.text
    assert answer.json()["issue"][0]["expression"] == ["Provenance.id"]
    assert (await inside.call("anna", "POST", f"{GRANTS}/{id_}/intrekken")).status_code == 200
    told = await inside.call("anna", "GET", f"/fhir/r4/Provenance/{name}")
    assert told.json()["agent"][0]["who"]["identifier"]["value"] == inside.anna.person("anna")


async def test_others_read_no_consents_but_their_own_by_its_id(inside):
    sam, nina = await grant(inside, "sam"), await grant(inside, "nina")
    no = await grant(inside, "nina", effect="deny", categories=["dagboek"])
    assert (await inside.call("sam", "GET", f"{CONSENT}/{sam}")).status_code == 200
    for id_ in (nina, no, "g-0000000000000000"):
        refused = await inside.call("sam", "GET", f"{CONSENT}/{id_}")
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (404, "not-found")
        assert (await inside.call("sam", "GET", f"{CONSENT}/{id_}/_history")).status_code == 404
    assert (await inside.call("nina", "GET", f"{CONSENT}/{no}")).status_code == 404
    assert await found(inside, "sam") == []
    assert (await inside.call("lea", "GET", f"{CONSENT}/{sam}")).status_code == 404
    await inside.call("anna", "POST", f"{GRANTS}/{sam}/intrekken")
    assert (await inside.call("sam", "GET", f"{CONSENT}/{sam}")).status_code == 404


async def test_who_may_end_grants_reads_them(inside):
    await grant(inside, "sam", actions=["beheren"], categories=["toestemmingen"])
    nina = await grant(inside, "nina")
    assert nina in await found(inside, "sam")
    reader = permit(inside, "esther", categories=["toestemmingen"])
    assert (await inside.call("anna", "POST", GRANTS, json=reader)).status_code == 201
    assert nina in await found(inside, "esther")


async def test_a_relation_is_a_related_person_that_nobody_changes_as_a_record(inside):
    answer = await inside.call("anna", "GET", "/fhir/r4/RelatedPerson/r-mo")
    assert answer.status_code == 200
    tree = answer.json()
    assert validate.validate("r4", text.parse(answer.content)) == ()
    assert profiles.ours().faults("r4", text.parse(answer.content)) == []
    assert tree["relationship"][0]["coding"][0]["code"] == "mentor"
    evidence = {one["url"]: one for one in tree["extension"][0]["extension"]}
    assert evidence["beschikking"]["valueString"] == "C/01/1"
    for method, body in (("PUT", tree | {"active": False}), ("DELETE", None)):
        path = "/fhir/r4/RelatedPerson/r-mo"
        refused = await inside.call("anna", method, path, json=body)
        assert refused.status_code == 422
    await grant(inside, "sam", categories=["contactpersonen"], actions=["lezen", "wijzigen"])
    assert (await inside.call("sam", "GET", "/fhir/r4/RelatedPerson/r-mo")).status_code == 404
    mine = await inside.call("mo", "GET", "/fhir/r4/RelatedPerson/r-mo")
    assert mine.status_code == 200


async def test_a_related_person_of_somebody_else_creates_no_right(visited):
    tree = {
        "resourceType": "RelatedPerson",
        "patient": {"reference": f"Patient/{visited.anna.patient}"},
        "identifier": [{"system": systems.PERSON, "value": visited.anna.person("sam")}],
        "relationship": [concept(systems.RELATIONS, "curator")],
    }
    answer = await visited.call("anna", "POST", "/fhir/r4/RelatedPerson", json=tree)
    assert answer.status_code == 201
    assert await visits(visited, "sam") is None


async def test_the_first_patient_gives_his_id_to_the_consents(inside):
    id_ = await grant(inside, "sam")
    patient = {"resourceType": "Patient", "id": "van-elders"}
    office = Office(inside.house, inside.anna.dossier, "test")
    await office.bring_in("r4", [Op("PUT", "Patient", "van-elders", patient)], whole=True)
    tree = (await inside.call("anna", "GET", f"{CONSENT}/{id_}")).json()
    assert tree["patient"] == {"reference": "Patient/van-elders"}
    assert await found(inside, "anna", "patient=van-elders") == [id_]


async def test_grants_from_before_are_shown_with_the_next_change(inside):
    made = await grant(inside, "sam")
    answer = await inside.call("anna", "GET", f"{CONSENT}/{made}/_history")
    assert answer.json()["total"] == 1
    strange = {"id": "een vreemde naam", "client": inside.anna.person("anna")}
    strange |= {"by": inside.anna.person("anna"), "effect": "permit", "order": 1}
    strange |= {"to_who": inside.anna.person("nina"), "made": "2026-01-01T00:00:00Z"}
    await Office(inside.house, inside.anna.dossier, "test").set_rules(
        [Rule("grant", strange["id"], strange)], "test"
    )
    ids = await found(inside, "anna", "status=active")
    assert made in ids
    assert len(ids) == 2


async def test_a_dossier_from_before_shows_its_grants_after_a_reindex(inside, monkeypatch):
    """Before there was this, a rule had no Consent; one call of the operator makes up for it."""
    with monkeypatch.context() as before:
        before.setattr("pgo.door.projected", _nothing)
        await grant(inside, "sam")
        await grant(inside, "nina")
    assert await found(inside, "anna") == []
    office = Office(inside.house, inside.anna.dossier, "test")
    await office.reindex()
    ids = await found(inside, "anna")
    assert len(ids) == 2
    n = (await inside.house.parts.dossiers.open(inside.anna.dossier)).image.n
    await Office(inside.house, inside.anna.dossier, "test").reindex()
    assert sorted(await found(inside, "anna")) == sorted(ids)
    assert (await inside.house.parts.dossiers.open(inside.anna.dossier)).image.n == n


async def _nothing(*_: object) -> tuple[list[object], dict[bytes, bytes]]:
    return [], {}


# --- in ------------------------------------------------------------------------------------------


async def send(inside, who, tree, **more):
    return await inside.call(who, "POST", CONSENT, json=tree, **more)


async def test_a_consent_makes_a_grant_that_holds_from_the_answer_on(visited):
    assert await visits(visited, "sam") is None
    made = await send(visited, "anna", consent(visited, "sam"))
    assert made.status_code == 201, made.text
    assert made.headers["location"].endswith("/_history/1")
    assert await visits(visited, "sam") == 1
    kept = (await visited.call("anna", "GET", GRANTS)).json()["grant"]
    assert [one["to_who"] for one in kept] == [visited.anna.person("sam")]
    again = made.json()
    assert again["performer"][0]["identifier"]["value"] == visited.anna.person("anna")
    ended = again | {"status": "inactive"}
    path = f"{CONSENT}/{again['id']}"
    answer = await visited.call("anna", "PUT", path, json=ended, headers={"If-Match": 'W/"1"'})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "inactive"
    assert await visits(visited, "sam") is None


async def test_a_consent_that_a_child_sends_waits_for_a_parent(visited):
    """It is proposed, in FHIR too, and no change of its text makes it active."""
    anna, sam = visited.anna.person("anna"), visited.anna.person("sam")
    subject = {"person": anna, "birth": "2013-01-01", "patient": visited.anna.patient}
    parent = {"person": sam, "client": anna, "kind": "ouder", "gezag": True}
    office = Office(visited.house, visited.anna.dossier, "test")
    parent |= {"child_confirmed": "2025-02-01"}
    await office.set_rules(
        [Rule("subject", "client", subject), Rule("relation", "r-sam", parent)], "test"
    )
    made = await send(visited, "anna", consent(visited, "lea"))
    assert made.status_code == 201, made.text
    tree, path = made.json(), f"{CONSENT}/{made.json()['id']}"
    assert tree["status"] == "proposed"
    assert await visits(visited, "lea") is None
    for name in ("anna", "sam"):
        answer = await visited.call(name, "PUT", path, json=tree | {"status": "active"})
        assert answer.status_code == 422, (name, answer.text)
        assert await visits(visited, "lea") is None
    (found,) = (await visited.call("sam", "GET", "/voorstellen")).json()["voorstellen"]
    agreed = {"precies": found["precies"]}
    answer = await visited.call("sam", "POST", f"{GRANTS}/{found['id']}/instemmen", json=agreed)
    assert answer.status_code == 200, answer.text
    assert (await visited.call("sam", "GET", path)).json()["status"] == "active"
    assert await visits(visited, "lea") == 1


async def test_what_was_read_can_be_sent_back_and_changes_nothing(visited):
    id_ = await grant(visited, "esther", to="2027-06-01", purposes=["TREAT"])
    path = f"{CONSENT}/{id_}"
    read = await visited.call("anna", "GET", path)
    answer = await visited.call("anna", "PUT", path, json=read.json())
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == read.headers["etag"]
    longer = read.json()
    longer["provision"]["period"] = {"end": "2027-12-31"}
    answer = await visited.call("anna", "PUT", path, json=longer)
    assert answer.headers["etag"] == 'W/"2"'
    kept = (await visited.call("anna", "GET", GRANTS)).json()["grant"][0]
    assert kept["to"] == "2027-12-31T23:00:00Z"
    assert kept["id"] == id_


@pytest.mark.parametrize("name", ["sam", "kim", "noor", "esther", "lea"])
async def test_adding_is_not_ruling(name, visited):
    everything = ["lezen", "toevoegen", "wijzigen"]
    for who in ("sam", "kim", "noor", "esther"):
        await grant(visited, who, actions=everything, categories=["behandeling", "toestemmingen"])
    other = await grant(visited, "nina")
    refused = 404 if name == "lea" else 403
    sent = consent(visited, "nina")
    assert (await send(visited, name, sent)).status_code == refused
    assert (await send(visited, name, consent(visited, name))).status_code == refused
    path = f"{CONSENT}/{other}"
    body = (await visited.call("anna", "GET", path)).json() | {"status": "inactive"}
    patch = [{"op": "replace", "path": "/status", "value": "inactive"}]
    media = {"content-type": "application/json-patch+json"}
    for method, more in (
        ("PUT", {"json": body}),
        ("PATCH", {"content": orjson.dumps(patch), "headers": media}),
        ("DELETE", {}),
    ):
        answer = await visited.call(name, method, path, **more)
        assert answer.status_code == refused, (method, answer.text)
    assert (await visited.call("anna", "GET", path)).json()["status"] == "active"


async def test_for_who_may_not_see_a_grant_it_is_not_there_to_change(visited):
    await grant(visited, "sam", actions=["lezen", "toevoegen", "wijzigen"])
    other = await grant(visited, "nina")
    tree = (await visited.call("anna", "GET", f"{CONSENT}/{other}")).json()
    for id_ in (other, "g-0000000000000000"):
        body = tree | {"id": id_}
        answers = [
            await visited.call("sam", "PUT", f"{CONSENT}/{id_}", json=body),
            await visited.call("sam", "DELETE", f"{CONSENT}/{id_}"),
            await visited.call("sam", "GET", f"{CONSENT}/{id_}"),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert {answer.json()["issue"][0]["diagnostics"] for answer in answers} == {"not found"}


async def test_a_patch_of_the_status_is_no_side_door(visited):
    id_ = await grant(visited, "sam")
    path, media = f"{CONSENT}/{id_}", {"content-type": "application/json-patch+json"}

    async def status(who, value):
        patch = orjson.dumps([{"op": "replace", "path": "/status", "value": value}])
        return await visited.call(who, "PATCH", path, content=patch, headers=media)

    assert (await status("sam", "entered-in-error")).status_code in {200, 403}
    second = await grant(visited, "sam")
    path = f"{CONSENT}/{second}"
    assert (await status("anna", "inactive")).status_code == 200
    assert await visits(visited, "sam") is None
    assert (await status("sam", "active")).status_code == 404
    assert await visits(visited, "sam") is None
    kept = (await visited.call("anna", "GET", GRANTS)).json()["grant"]
    assert {one["status"] for one in kept} <= {"inactive", "entered-in-error"}


async def test_a_grantee_may_give_up_what_he_has(visited):
    id_ = await grant(visited, "sam")
    assert (await visited.call("sam", "DELETE", f"{CONSENT}/{id_}")).status_code == 200
    assert await visits(visited, "sam") is None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"provision": None}, "Consent.provision"),
        ({"modifierExtension": [{"url": "http://x/y", "valueBoolean": True}]}, "Consent.modifier"),
        ({"status": "inactive"}, "Consent.status"),
        ({"performer": [{"reference": "RelatedPerson/mo-x"}]}, "Consent.performer[0]"),
    ],
)
async def test_a_consent_that_cannot_be_computed_is_refused_and_nothing_is_kept(
    change, place, visited
):
    tree = consent(visited, "sam") | change
    tree = {name: value for name, value in tree.items() if value is not None}
    answer = await send(visited, "anna", tree)
    assert answer.status_code == 422, answer.text
    assert answer.json()["issue"][0]["expression"][0].startswith(place)
    assert (await visited.call("anna", "GET", GRANTS)).json()["grant"] == []
    assert await found(visited, "anna") == []


@pytest.mark.parametrize(
    ("provision", "place"),
    [
        ({"actor": []}, "Consent.provision"),
        ({"provision": [{"type": "deny"}]}, "Consent.provision.provision"),
        ({"period": {"start": "2020-01-01", "end": "2020-12-31"}}, "Consent.provision.period"),
        ({"code": [concept(systems.CATEGORIES, "alles")]}, "Consent.provision.code[0]"),
        ({"purpose": [{"system": systems.REASON, "code": "HMARKT"}]}, "Consent.provision.purpose"),
    ],
)
async def test_a_provision_that_cannot_be_computed_is_refused(provision, place, visited):
    tree = consent(visited, "sam", **provision)
    answer = await send(visited, "anna", tree)
    assert answer.status_code in {400, 422}, answer.text
    if answer.status_code == 422:
        assert answer.json()["issue"][0]["expression"][0].startswith(place)
    assert (await visited.call("anna", "GET", GRANTS)).json()["grant"] == []


async def test_one_s_own_organisation_of_records_and_a_court_are_not_for_people_to_say(visited):
    own = [{"url": systems.OWN, "valueBoolean": True}]
    tree = consent(visited, "sam", modifierExtension=own)
    assert (await send(visited, "anna", tree)).status_code == 422
    court = consent(visited, "sam", type="deny")
    court["extension"] = [{"url": systems.COURT, "valueBoolean": True}]
    assert (await send(visited, "anna", court)).status_code == 422


async def test_to_whom_and_what_it_is_stay_as_they_are(visited):
    made = (await send(visited, "anna", consent(visited, "sam"))).json()
    path = f"{CONSENT}/{made['id']}"
    other = copy.deepcopy(made)
    other["provision"]["actor"] = consent(visited, "nina")["provision"]["actor"]
    answer = await visited.call("anna", "PUT", path, json=other)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Consent.provision.actor"]
    both = copy.deepcopy(made) | {"status": "inactive"}
    both["provision"]["action"].append(concept(systems.ACTIONS, "toevoegen"))
    answer = await visited.call("anna", "PUT", path, json=both)
    assert answer.json()["issue"][0]["expression"] == ["Consent.status"]


async def test_a_grant_goes_in_no_bundle_and_under_no_condition(visited):
    tree = consent(visited, "sam")
    entry = {"resource": tree, "request": {"method": "POST", "url": "Consent"}}
    for kind in ("batch", "transaction"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
        answer = await visited.call("anna", "POST", "/fhir/r4", json=bundle)
        said = answer.json()
        status = said["entry"][0]["response"]["status"] if kind == "batch" else answer.status_code
        assert str(status) == "422"
    conditional = await send(visited, "anna", tree, headers={"If-None-Exist": "status=active"})
    assert conditional.status_code == 422
    query = f"{CONSENT}?status=active"
    assert (await visited.call("anna", "PUT", query, json=tree)).status_code == 422
    id_ = await grant(visited, "sam")
    assert (await visited.call("anna", "DELETE", query)).status_code == 422
    entry = {"request": {"method": "DELETE", "url": f"Consent/{id_}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert (await visited.call("anna", "POST", "/fhir/r4", json=bundle)).status_code == 422
    assert await visits(visited, "sam") == 1


@pytest.mark.parametrize("release", ["r4", "stu3"])
async def test_a_clinical_directive_is_health_data_of_its_author(release, visited):
    sct = "http://snomed.info/sct"
    tree = {
        "resourceType": "Consent",
        "status": "active",
        "patient": {"reference": f"Patient/{visited.anna.patient}"},
        "category": [concept(sct, "11291000146105")],
    }
    if release == "r4":
        tree |= {"scope": concept(systems.SCOPE, "treatment"), "policyRule": {"text": "WGBO"}}
    else:
        tree |= {"policy": [{"uri": "http://wetten.overheid.nl/"}]}
    await grant(visited, "sam", categories=["wilsverklaring"], actions=["lezen", "toevoegen"])
    answer = await visited.call("sam", "POST", f"/fhir/{release}/Consent", json=tree)
    assert answer.status_code == 201, answer.text
    assert len((await visited.call("anna", "GET", GRANTS)).json()["grant"]) == 1


async def test_rules_are_exchanged_in_r4_only(visited):
    tree = {
        "resourceType": "Consent",
        "status": "active",
        "patient": {"reference": f"Patient/{visited.anna.patient}"},
        "policy": [{"uri": "https://pgo.example/fhir/beleid"}],
        "actor": [
            {
                "role": concept("http://hl7.org/fhir/v3/ParticipationType", "IRCP"),
                "reference": {"reference": f"RelatedPerson/{visited.anna.person('sam')}"},
            }
        ],
    }
    answer = await visited.call("anna", "POST", "/fhir/stu3/Consent", json=tree)
    assert answer.status_code == 422
    assert await visits(visited, "sam") is None


async def test_a_deny_and_a_team_are_said_in_the_same_way(visited):
    team = {"type": "CareTeam", "identifier": {"system": systems.TEAM, "value": "nacht"}}
    role = concept(systems.ROLE, "IRCP")
    made = await send(
        visited, "anna", consent(visited, "sam", actor=[{"role": role, "reference": team}])
    )
    assert made.status_code == 201, made.text
    assert await visits(visited, "esther") == 1
    no = await send(visited, "anna", consent(visited, "esther", type="deny"))
    assert no.status_code == 201, no.text
    assert no.json()["category"][1]["coding"][0]["code"] == "weigering"
    assert await visits(visited, "esther") == 0
    assert (await visited.call("anna", "DELETE", f"{CONSENT}/{no.json()['id']}")).status_code == 200
    assert await visits(visited, "esther") == 1


async def test_passing_on_names_the_consent_it_comes_from(visited):
    own = await grant(visited, "sam", actions=["lezen", "delen"], depth=1)
    tree = consent(visited, "nina")
    assert (await send(visited, "sam", tree)).status_code == 403
    tree["sourceReference"] = {"reference": f"Consent/{own}"}
    made = await send(visited, "sam", tree)
    assert made.status_code == 201, made.text
    assert await visits(visited, "nina") == 1
    wider = copy.deepcopy(made.json())
    wider["provision"]["code"].append(concept(systems.CATEGORIES, "medicatie"))
    path = f"{CONSENT}/{made.json()['id']}"
    assert (await visited.call("sam", "GET", path)).status_code == 200
    assert (await visited.call("sam", "PUT", path, json=wider)).status_code == 403
    assert (await visited.call("anna", "DELETE", f"{CONSENT}/{own}")).status_code == 200
    assert await visits(visited, "nina") is None


async def test_a_consent_goes_out_and_comes_in_as_xml(visited):
    weekly = [{"from": "fri 15:00", "to": "sun 19:00"}]
    id_ = await grant(visited, "esther", weekly=weekly, depth=2, actions=["lezen", "delen"])
    path, media = f"{CONSENT}/{id_}", "application/fhir+xml"
    answer = await visited.call("anna", "GET", path, headers={"accept": media})
    assert answer.headers["content-type"].startswith(media)
    same = await visited.call(
        "anna", "PUT", path, content=answer.content, headers={"content-type": media}
    )
    assert same.status_code == 200, same.text
    assert same.headers["etag"] == 'W/"1"'
    longer = answer.content.replace(b"fri 15:00", b"thu 15:00")
    changed = await visited.call(
        "anna", "PUT", path, content=longer, headers={"content-type": media}
    )
    assert changed.status_code == 200, changed.text
    kept = (await visited.call("anna", "GET", GRANTS)).json()["grant"][0]
    assert kept["weekly"] == [{"from": "thu 15:00", "to": "sun 19:00"}]


async def test_what_was_revoked_comes_back_only_by_who_may_give_it(visited):
    id_ = await grant(visited, "sam")
    path = f"{CONSENT}/{id_}"
    before = (await visited.call("anna", "GET", path)).json()
    await visited.call("anna", "DELETE", path)
    ended = (await visited.call("anna", "GET", path)).json()
    again = await visited.call("anna", "PUT", path, json=ended | {"status": "active"})
    assert again.status_code == 422
    assert (await visited.call("sam", "PUT", path, json=before)).status_code == 404
    assert await visits(visited, "sam") is None
    assert (await visited.call("anna", "PUT", path, json=before)).status_code == 200
    assert await visits(visited, "sam") == 1


async def test_of_two_changes_of_one_version_one_wins(visited):
    made = (await send(visited, "anna", consent(visited, "sam"))).json()
    path = f"{CONSENT}/{made['id']}"

    async def change(who, day):
        tree = copy.deepcopy(made)
        tree["provision"]["period"] = {"end": day}
        match = {"If-Match": 'W/"1"'}
        return await visited.call(who, "PUT", path, json=tree, headers=match)

    answers = await asyncio.gather(
        *(change(who, f"2027-0{n}-01") for n, who in enumerate(["anna", "mo"] * 4, 1))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    late = await visited.call("anna", "DELETE", path, headers={"If-Match": 'W/"1"'})
    assert late.status_code == 412
    assert await visits(visited, "sam") == 1
    assert (await visited.call("anna", "DELETE", path)).status_code == 200
    assert await visits(visited, "sam") is None


async def test_each_call_leaves_one_line(visited):
    async def lines():
        said = await visited.call("anna", "GET", "/$wie-keek")
        return sum(one["aantal"] for one in said.json()["zinnen"])

    before = await lines()
    made = (await send(visited, "anna", consent(visited, "sam"))).json()
    await visited.call("anna", "PUT", f"{CONSENT}/{made['id']}", json=made)
    await visited.call("sam", "DELETE", f"{CONSENT}/{made['id']}")
    assert await lines() == before + 3


async def test_a_seal_is_told_in_the_security_of_what_it_lies_on(visited):
    id_ = (await visited.call("anna", "GET", "/fhir/r4/Encounter")).json()["entry"][0]
    path = f"/fhir/r4/Encounter/{id_['resource']['id']}"
    seal = {"release": "r4", "type": "Encounter", "id": id_["resource"]["id"]}
    label = "niet-voor-naasten"
    await visited.call("anna", "POST", "/zegels", json=seal | {"label": label})
    for answer in (
        (await visited.call("anna", "GET", path)).json(),
        (await visited.call("anna", "GET", "/fhir/r4/Encounter")).json()["entry"][0]["resource"],
    ):
        assert answer["meta"]["security"] == [{"system": systems.SEALS, "code": label}]
    sent = (await visited.call("anna", "GET", path)).json()
    answer = await visited.call("anna", "PUT", path, json=sent)
    assert answer.status_code == 200
    await visited.call("anna", "POST", "/zegels", json=seal | {"label": ""})
    assert "security" not in (await visited.call("anna", "GET", path)).json()["meta"]


async def test_the_list_of_grants_says_each_in_words_and_in_easier_ones(inside):
    await grant(inside, "kim", categories=["zorgplan", "afspraken"], actions=["lezen", "toevoegen"])
    kept = (await inside.call("anna", "GET", GRANTS)).json()["grant"][0]
    start = "Kim Berg (copiloot) mag uw zorgplan en afspraken lezen en erbij schrijven."
    assert kept["samenvatting"].startswith(start)
    assert kept["eenvoudig"].startswith("Kim Berg (copiloot) mag lezen. Erbij schrijven mag ook.")
    assert "Niet: " in kept["samenvatting"]
