"""A provider's system pushes: linked by the family, idempotent, its own records only, no BSN."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import httpx2
import orjson
import pytest

from pgo.caller import Caller
from pgo.errors import InvalidGrant
from pgo.house import open_house
from pgo.links import link, make_code

BSN = "999990019"
SYSTEM = "https://delinde.example/id"
SAME = {"resourceType": "Observation", "status": "final", "code": {"text": "gewicht"}}


def entry(type_, number, body, method="POST"):
    """An entry with an identifier of De Linde."""
    resource = {
        "resourceType": type_,
        "identifier": [{"system": SYSTEM, "value": f"{type_}-{number}"}],
    }
    url = f"urn:uuid:{uuid4()}"
    return {
        "fullUrl": url,
        "resource": resource | body,
        "request": {"method": method, "url": type_},
    }


def push(fresh, weight="21.50", release="r4"):
    """Care plan, goal, condition, medication and a result, that refer to each other."""
    about, r4 = {"subject": fresh.subject()}, release == "r4"
    person = entry("Practitioner", 1, {"name": [{"family": "Smit"}]})
    problem = entry("Condition", 1, about | {"code": {"text": "epilepsie"}})
    by, of = {"reference": person["fullUrl"]}, [{"reference": problem["fullUrl"]}]
    aim = {"description": {"text": "minder aanvallen"}, "addresses": of}
    goal = entry(
        "Goal", 1, about | aim | ({"lifecycleStatus": "active"} if r4 else {"status": "proposed"})
    )
    made = {"status": "active", "intent": "plan", "goal": [{"reference": goal["fullUrl"]}]}
    plan = entry("CarePlan", 1, about | made | {"addresses": of, "author": by if r4 else [by]})
    order = {"status": "active", "intent": "order", "requester": by if r4 else {"agent": by}}
    what = {"medicationCodeableConcept": {"text": "valproaat"}}
    drug = entry("MedicationRequest", 1, about | order | what)
    measured = {k: v for k, v in fresh.weight(weight).items() if k != "resourceType"}
    result = entry("Observation", 1, measured)
    entries = [plan, goal, problem, drug, result, person]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def said(answer):
    """Status and versioned address (Type/id/_history/n) of each entry."""
    assert answer.status_code == 200, answer.text
    return [
        (e["response"]["status"], "/".join(e["response"]["location"].split("/")[-4:]))
        for e in answer.json()["entry"]
    ]


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_a_push_is_read_by_the_family(fresh, release):
    answer = fresh.system(release=release).post("", json=push(fresh, release=release))
    assert [status for status, _ in said(answer)] == ["201"] * 6
    marjan = fresh.as_(release=release)
    plan = marjan.get("CarePlan?_include=CarePlan:goal&_include=CarePlan:condition").json()
    assert [e["resource"]["resourceType"] for e in plan["entry"]] == [
        "CarePlan",
        "Goal",
        "Condition",
    ]
    kept = plan["entry"][0]["resource"]
    assert kept["meta"].get("source", "") == ("urn:pgo:bron:delinde" if release == "r4" else "")
    assert kept["goal"][0]["reference"] == f"Goal/{plan['entry'][1]['resource']['id']}"
    author = kept["author"] if release == "r4" else kept["author"][0]
    assert marjan.get(author["reference"]).json()["name"] == [{"family": "Smit"}]
    assert '"value":21.5' in marjan.get("Observation").text


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_the_same_push_again_changes_nothing(fresh, release):
    linde = fresh.system(release=release)
    first = said(linde.post("", json=push(fresh, release=release)))
    commits = fresh.commits()
    again = said(linde.post("", json=push(fresh, release=release)))
    assert [status for status, _ in again] == ["200"] * 6
    assert [place for _, place in again] == [place for _, place in first]
    assert fresh.commits() == commits
    assert linde.get("CarePlan").json()["total"] == 1


def test_what_changed_in_a_push_is_a_new_version_and_the_rest_is_not(fresh):
    linde = fresh.system()
    first = said(linde.post("", json=push(fresh)))
    again = said(linde.post("", json=push(fresh, "22.25")))
    changed = [(a, b) for a, b in zip(first, again, strict=True) if a[1] != b[1]]
    ((before, after),) = changed
    assert after == ("200", before[1].replace("/_history/1", "/_history/2"))
    assert linde.get("Observation").json()["total"] == 1
    assert linde.get(after[1]).json()["valueQuantity"]["value"] == 22.25


def test_a_single_record_is_sent_again_without_a_copy_too(fresh):
    linde = fresh.system()
    sent = fresh.weight(identifier=[{"system": SYSTEM, "value": "los"}])
    first = linde.post("Observation", json=sent)
    again = linde.post("Observation", json=sent)
    other = linde.post("Observation", json=sent | {"status": "amended"})
    assert [a.status_code for a in (first, again, other)] == [201, 200, 200]
    assert first.json() == again.json()
    assert (again.headers["etag"], other.headers["etag"]) == ('W/"1"', 'W/"2"')
    assert linde.get("Observation").json()["total"] == 1


def test_a_family_may_send_the_same_twice(fresh):
    marjan = fresh.as_()
    sent = fresh.weight(identifier=[{"system": SYSTEM, "value": "los"}])
    assert [marjan.post("Observation", json=sent).status_code for _ in range(2)] == [201, 201]
    assert marjan.get("Observation").json()["total"] == 2


def test_the_same_request_id_gets_the_same_answer_and_does_nothing_twice(fresh):
    linde = fresh.system()
    one = {"resource": fresh.weight(), "request": {"method": "POST", "url": "Observation"}}
    unnamed = {"resourceType": "Bundle", "type": "transaction", "entry": [one]}
    headers = {"X-Request-ID": "zending-een", "Prefer": "return=representation"}
    first = linde.post("", json=unnamed, headers=headers)
    again = linde.post("", json=unnamed, headers=headers)
    assert first.content == again.content
    assert said(first)[0][0] == "201"
    assert linde.get("Observation").json()["total"] == 1
    single = [linde.post("Observation", json=fresh.weight(), headers={"X-Request-ID": "twee"})
              for _ in range(2)]  # fmt: skip
    assert single[0].content == single[1].content
    assert single[0].headers["location"] == single[1].headers["location"]
    assert linde.get("Observation").json()["total"] == 2


def test_the_line_of_a_repeated_request_says_why_as_well(fresh):
    linde, headers = fresh.system(), {"X-Request-ID": "zending-drie"}
    for _ in range(2):
        assert linde.post("Observation", json=fresh.weight(), headers=headers).status_code == 201
    told = fresh.as_().get("$wie-keek").json()["entry"]
    by = [json.dumps(one["resource"]) for one in told if "zending-drie" in json.dumps(one)]
    assert ["koppeling-delinde" in one for one in by] == [True, True]


def test_a_request_id_is_for_one_request_of_one_organisation(fresh):
    headers = {"X-Request-ID": "zelfde-nummer"}
    linde, hospital = fresh.system(), fresh.system("isselzkh")
    assert linde.post("Observation", json=fresh.weight("1"), headers=headers).status_code == 201
    other = linde.post("Observation", json=fresh.weight("2"), headers=headers)
    assert other.status_code == 422
    assert hospital.post("Observation", json=fresh.weight("2"), headers=headers).status_code == 201
    assert fresh.as_().get("Observation").json()["total"] == 2


def test_a_request_id_shows_nothing_that_was_closed_since(fresh):
    grant = fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen", "toevoegen"])
    fresh.grant(to_who="p-samira", categories=["afspraken"], actions=["lezen"])
    samira, headers = fresh.as_("p-samira"), {"X-Request-ID": "van-samira"}
    first = samira.post("Observation", json=fresh.weight("20.75"), headers=headers)
    assert "20.75" in first.text
    fresh.revoke(grant)
    again = samira.post("Observation", json=fresh.weight("20.75"), headers=headers)
    assert "20.75" not in again.text


def test_a_provider_sees_and_changes_its_own_records_only(fresh):
    linde, hospital = fresh.system(), fresh.system("isselzkh")
    mine = said(linde.post("", json=push(fresh)))
    theirs = said(hospital.post("", json=push(fresh)))
    assert {place for _, place in mine}.isdisjoint(place for _, place in theirs)
    for one, other in ((linde, theirs), (hospital, mine)):
        assert one.get("CarePlan").json()["total"] == 1
        for _, place in other:
            type_, id_, *_ = place.split("/")
            assert one.get(place).status_code == 404
            assert one.get(f"{type_}/{id_}").status_code == 404
            assert one.get(f"{type_}?_id={id_}").json()["total"] == 0
            assert one.delete(f"{type_}/{id_}").status_code == 404
            body = fresh.weight("1", id=id_) | {"resourceType": type_}
            if type_ == "Observation":
                assert one.put(f"{type_}/{id_}", json=body).status_code == 404
    assert fresh.as_().get("CarePlan").json()["total"] == 2
    fresh.grant(to_who="org:isselzkh", categories=["zorgplan"], actions=["lezen"])
    assert hospital.get("CarePlan").json()["total"] == 2
    assert hospital.get("Observation").json()["total"] == 1
    plan = next(place for _, place in mine if place.startswith("CarePlan"))
    refused = hospital.delete("/".join(plan.split("/")[:2]))
    assert refused.status_code == 403


def test_a_provider_corrects_and_withdraws_its_own_record(fresh):
    linde = fresh.system()
    id_ = linde.post("Observation", json=fresh.weight()).json()["id"]
    assert linde.put(f"Observation/{id_}", json=fresh.weight("3", id=id_)).status_code == 200
    assert linde.get(f"Observation/{id_}/_history").json()["total"] == 2
    assert linde.delete(f"Observation/{id_}").status_code == 204


def test_a_family_does_not_rewrite_what_a_provider_wrote_but_may_throw_it_away(fresh):
    id_ = fresh.system().post("Observation", json=fresh.weight()).json()["id"]
    marjan = fresh.as_()
    put = marjan.put(f"Observation/{id_}", json=fresh.weight("3", id=id_))
    assert put.status_code == 403
    assert marjan.delete(f"Observation/{id_}").status_code == 204
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen", "wijzigen"])
    other = fresh.system().post("Observation", json=fresh.weight()).json()["id"]
    assert fresh.as_("p-samira").delete(f"Observation/{other}").status_code == 403
    assert marjan.get(f"Observation/{other}").status_code == 200


def test_a_second_record_under_a_known_identifier_is_refused(fresh):
    linde = fresh.system()
    known = [{"system": SYSTEM, "value": "een"}]
    linde.put("Observation/een", json=fresh.weight(id="een", identifier=known))
    copy = linde.put("Observation/twee", json=fresh.weight(id="twee", identifier=known))
    assert copy.status_code == 409
    linde.put("Observation/drie", json=fresh.weight(id="drie"))
    taken = linde.put("Observation/drie", json=fresh.weight(id="drie", identifier=known))
    assert taken.status_code == 409
    twins = [
        {"resource": fresh.weight(str(n), identifier=[{"system": SYSTEM, "value": "nieuw"}]),
         "request": {"method": "POST", "url": "Observation"}}
        for n in (1, 2)
    ]  # fmt: skip
    answer = linde.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": twins})
    assert (answer.status_code, fresh.place(answer)) == (422, "Bundle.entry[1]")
    assert linde.get("Observation").json()["total"] == 2


def test_an_identifier_that_was_corrected_is_free_again(fresh):
    linde = fresh.system()
    wrong, right = ([{"system": SYSTEM, "value": value}] for value in ("fout", "goed"))
    linde.put("Observation/een", json=fresh.weight("1", id="een", identifier=wrong))
    linde.put("Observation/een", json=fresh.weight("1", id="een", identifier=right))
    new = linde.post("Observation", json=fresh.weight("2", identifier=wrong))
    assert new.status_code == 201
    assert linde.get("Observation/een").json()["valueQuantity"]["value"] == 1


def test_one_invalid_entry_stores_nothing_of_a_push(fresh):
    sent = push(fresh)
    sent["entry"][3]["resource"]["status"] = "zzz"
    answer = fresh.system().post("", json=sent)
    assert answer.status_code == 422
    assert fresh.place(answer) == "Bundle.entry[3].resource.status"
    assert fresh.commits() == 2
    assert fresh.as_().get("CarePlan").json()["total"] == 0


def test_without_a_link_a_dossier_is_not_there(fresh):
    dossiers = f"{fresh.served.url}/dossiers"
    for client in (fresh.system("demolen"), fresh.system("vechtapotheek")):
        for sent in (push(fresh), {"resourceType": "Bundle", "type": "batch", "entry": ["x"]}, {}):
            answers = [
                client.post(f"{dossiers}/{id_}/fhir/r4", json=sent) for id_ in (fresh.id, "0" * 32)
            ]
            assert [a.status_code for a in answers] == [404, 404]
            assert answers[0].content == answers[1].content
        for address in (
            "Observation",
            "Observation/x",
            "Observation?kleur=1",
            "Patient/x/_history",
        ):
            pair = [
                client.get(f"{dossiers}/{id_}/fhir/r4/{address}") for id_ in (fresh.id, "0" * 32)
            ]
            assert [a.status_code for a in pair] == [404, 404]
            assert pair[0].content == pair[1].content
            names = [{k for k in a.headers if k != "date"} for a in pair]
            assert names[0] == names[1]
    assert fresh.commits() == 2


def together(*calls):
    """The answers of calls made at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_pushes_at_the_same_time_make_no_copies(fresh):
    systems = [fresh.system() for _ in range(6)]
    answers = together(*(partial(one.post, "", json=push(fresh)) for one in systems))
    found = [said(answer) for answer in answers]
    assert sorted(one[0][0] for one in found) == ["200"] * 5 + ["201"]
    assert len({tuple(place for _, place in one) for one in found}) == 1
    marjan = fresh.as_()
    for type_ in ("CarePlan", "Goal", "Condition", "MedicationRequest", "Observation"):
        assert marjan.get(type_).json()["total"] == 1


def test_one_request_sent_six_times_at_once_is_done_once(fresh):
    headers = {"X-Request-ID": "ongeduldig"}
    systems = [fresh.system() for _ in range(6)]
    answers = together(
        *(partial(one.post, "Observation", json=SAME, headers=headers) for one in systems)
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert systems[0].get("Observation").json()["total"] == 1


def test_of_six_who_saw_the_same_version_one_changes_it(fresh):
    fresh.as_().put("Observation/w", json=fresh.weight(id="w"))
    seen = {"If-Match": 'W/"1"'}
    writers = [fresh.as_() for _ in range(6)]
    answers = together(
        *(
            partial(one.put, "Observation/w", json=fresh.weight(f"3{n}", id="w"), headers=seen)
            for n, one in enumerate(writers)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
    assert writers[0].get("Observation/w/_history").json()["total"] == 2


# --- the link ------------------------------------------------------------------------------------


def test_a_family_links_a_provider_with_a_code_that_works_once(fresh):
    marjan, doctor = fresh.as_(), fresh.system("demolen")
    url = fresh.served.url
    assert doctor.post("", json=push(fresh)).status_code == 404
    made = marjan.post(f"{url}/dossiers/{fresh.id}/koppelcodes")
    assert made.status_code == 201
    code = made.json()["code"]
    linked = doctor.post(f"{url}/koppelingen", json={"code": f" {code.upper()} "})
    assert (linked.status_code, linked.json()) == (201, {"dossier": fresh.id})
    assert [status for status, _ in said(doctor.post("", json=push(fresh)))] == ["201"] * 6
    assert marjan.get("CarePlan").json()["total"] == 1
    for again in (doctor, fresh.system("vechtapotheek")):
        refused = again.post(f"{url}/koppelingen", json={"code": code})
        assert refused.status_code == 400
        assert fresh.id not in refused.text
    assert fresh.system("vechtapotheek").get("CarePlan").status_code == 404
    listed = marjan.get(f"{url}/dossiers/{fresh.id}/toestemmingen").json()["grant"]
    (grant,) = [one for one in listed if one["to_who"] == "org:demolen"]
    fresh.revoke(grant["id"])
    assert doctor.get("CarePlan").status_code == 404
    assert doctor.post("", json=push(fresh)).status_code == 404


def test_only_who_holds_the_reins_makes_a_code_and_only_a_system_uses_it(fresh):
    url = fresh.served.url
    codes = f"{url}/dossiers/{fresh.id}/koppelcodes"
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen", "toevoegen"])
    assert fresh.as_("p-samira").post(codes).status_code == 403
    assert fresh.system().post(codes).status_code == 403
    assert fresh.as_("p-anja").post(codes).status_code == 404
    code = fresh.as_().post(codes).json()["code"]
    assert fresh.as_("p-samira").post(f"{url}/koppelingen", json={"code": code}).status_code == 403
    for wrong in ({"code": "geen-code"}, {"code": ""}, {}, {"code": code, "org": "x"}):
        answer = fresh.system("demolen").post(f"{url}/koppelingen", json=wrong)
        assert answer.status_code in {400, 422}
    assert httpx2.post(f"{url}/koppelingen", json={"code": code}).status_code == 401
    good = fresh.system("demolen").post(f"{url}/koppelingen", json={"code": code})
    assert good.status_code == 201


def test_a_code_is_over_after_a_week(fresh):
    async def made(house):
        return await make_code(house, fresh.id, "p-marjan")

    code = fresh.inside(made)
    later = datetime.now(UTC) + timedelta(days=7, minutes=1)

    async def too_late():
        async with open_house(fresh.served.settings(), clock=lambda: later) as house:
            caller = Caller("sys-demolen", kind="systeem", org="demolen", scope=("system/*.cruds",))
            with pytest.raises(InvalidGrant):
                await link(house, caller, code)

    asyncio.run(too_late())


# --- BSN -----------------------------------------------------------------------------------------


def with_bsn(fresh):
    """A push with a BSN in many places."""
    system = "http://fhir.nl/fhir/NamingSystem/bsn"
    urn, numbered = f"urn:uuid:{uuid4()}", f"https://elders.example/fhir/Condition/{BSN}"
    dotted = f"{BSN[:4]}.{BSN[4:6]}.{BSN[6:]}"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">BSN: {BSN}<p>{dotted}</p></div>'
    known = {"system": system, "value": BSN}
    patient = {
        "resourceType": "Patient", "id": BSN,
        "identifier": [
            {"system": system, "value": BSN},
            {"system": "urn:oid:2.16.840.1.113883.2.4.6.3", "value": BSN},
            {"type": {"coding": [{"code": "NNNLD"}]}, "value": BSN},
            {"value": BSN},
        ],
        "text": {"status": "generated", "div": div},
        "name": [{"text": f"Sanne, bsn {BSN}"}],
        "extension": [{"url": "http://example.nl/bsn", "valueString": BSN}],
    }  # fmt: skip
    problem = {
        "resourceType": "Condition", "subject": {"reference": urn, "identifier": known},
        "code": {"text": f"epilepsie (burgerservicenummer {BSN})"},
        "note": [{"text": f"Patiënt {BSN} gezien"}],
        "identifier": [{"system": SYSTEM, "value": "c-bsn"}],
    }  # fmt: skip
    weight = fresh.weight(
        subject={"reference": urn, "display": f"Sanne {BSN}"},
        performer=[{"reference": f"Practitioner/{BSN}"}],
        derivedFrom=[{"reference": f"https://elders.example/fhir/Observation/{BSN}/_history/1"}],
        hasMember=[{"reference": numbered}],
        focus=[{"reference": f"Patient?identifier={system}|{BSN}"}],
        contained=[{"resourceType": "Patient", "id": "p", "identifier": [known]}],
        extension=[{"url": "http://example.nl/e", "valueReference": {"reference": "#p"}}],
    )  # fmt: skip
    entries = [
        {"fullUrl": urn, "resource": patient, "request": {"method": "POST", "url": "Patient"}},
        {
            "fullUrl": numbered,
            "resource": problem,
            "request": {"method": "POST", "url": "Condition"},
        },
        {"resource": weight, "request": {"method": "POST", "url": "Observation"}},
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def test_a_bsn_in_a_push_is_nowhere_in_any_answer(fresh):
    sent = with_bsn(fresh)
    assert orjson.dumps(sent).count(BSN.encode()) > 15
    linde = fresh.system()
    answers = [linde.post("", json=sent, headers={"Prefer": "return=representation"})]
    assert answers[0].status_code == 200, answers[0].text
    marjan = fresh.as_()
    for reader in (linde, marjan):
        for type_ in ("Patient", "Condition", "Observation"):
            found = reader.get(f"{type_}?_include=*")
            assert found.json()["total"] == 1
            id_ = found.json()["entry"][0]["resource"]["id"]
            answers += [found, reader.get(f"{type_}/{id_}/_history")]
    log = marjan.get(f"{fresh.served.url}/dossiers/{fresh.id}/$wie-keek")
    trail = marjan.get("$wie-keek")
    answers += [log, trail]
    for answer in answers:
        assert BSN not in answer.text
        assert f"{BSN[:4]}.{BSN[4:6]}.{BSN[6:]}" not in answer.text
    weight = marjan.get("Observation").json()["entry"][0]["resource"]
    assert weight["focus"] == [{"reference": f"Patient/{fresh.patient}"}]
    assert weight["hasMember"][0]["reference"].startswith("Condition/")
    masked = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                             "valueCode": "masked"}]}  # fmt: skip
    assert weight["performer"] == weight["derivedFrom"] == [{"_reference": masked}]
    patient = marjan.get("Patient").json()["entry"][0]["resource"]
    assert patient["identifier"][0] == {
        "system": "http://fhir.nl/fhir/NamingSystem/bsn",
        "_value": masked,
    }


def test_no_record_is_kept_under_a_bsn(fresh):
    linde = fresh.system()
    for id_ in (BSN, f"p-{BSN}"):
        put = linde.put(f"Observation/{id_}", json=fresh.weight(id=id_))
        assert (put.status_code, fresh.place(put)) == (422, "Observation.id")
        inside = fresh.weight(
            contained=[{"resourceType": "Basic", "id": id_, "code": {"text": "x"}}]
        )
        answer = linde.post("Observation", json=inside)
        assert (answer.status_code, fresh.place(answer)) == (422, "Observation.contained[0].id")
        one = {
            "resource": fresh.weight(id=id_),
            "request": {"method": "PUT", "url": f"Observation/{id_}"},
        }
        whole = linde.post(
            "", json={"resourceType": "Bundle", "type": "transaction", "entry": [one]}
        )
        assert (whole.status_code, fresh.place(whole)) == (422, "Bundle.entry[0].resource.id")
        for each in (put, answer, whole):
            assert BSN not in each.text
    assert fresh.commits() == 2


def test_two_providers_bring_the_same_patient_once(fresh):
    linde, hospital = fresh.system(), fresh.system("isselzkh")
    patient = {"resourceType": "Patient", "name": [{"family": "de Boer"}],
               "address": [{"city": "Zwolle"}]}  # fmt: skip
    one = {"resource": patient, "request": {"method": "POST", "url": "Patient"}}
    sent = {"resourceType": "Bundle", "type": "transaction", "entry": [one]}
    assert said(linde.post("", json=sent))[0][0] == "201"
    other = sent["entry"][0] | {"resource": patient | {"name": [{"family": "Anders"}]}}
    answer = hospital.post(
        "", json=sent | {"entry": [other]}, headers={"Prefer": "return=representation"}
    )
    assert said(answer) == [("200", f"Patient/{fresh.patient}/_history/1")]
    assert "Zwolle" not in answer.text
    outcome = answer.json()["entry"][0]["response"]["outcome"]
    assert outcome["issue"][0]["severity"] == "information"
    assert fresh.as_().get("Patient").json()["total"] == 1
    assert fresh.as_().get(f"Patient/{fresh.patient}").json()["name"] == [{"family": "de Boer"}]


def test_resources_of_one_push_may_refer_to_each_other_in_a_circle(fresh):
    one, two = (entry("Observation", n, {**SAME, "subject": fresh.subject()}) for n in (1, 2))
    for this, other in ((one, two), (two, one)):
        this["resource"]["hasMember"] = [{"reference": other["fullUrl"]}]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [one, two]}
    assert [status for status, _ in said(fresh.system().post("", json=bundle))] == ["201"] * 2
    marjan = fresh.as_()
    both = marjan.get("Observation?_include:iterate=Observation:has-member").json()
    names = [f"Observation/{e['resource']['id']}" for e in both["entry"]]
    members = [e["resource"]["hasMember"][0]["reference"] for e in both["entry"]]
    assert (len(names), members) == (2, names[::-1])


def test_a_reference_to_nothing_is_answered_as_one_to_what_is_hidden(fresh):
    hidden = fresh.system("isselzkh").post("Observation", json=fresh.weight("7")).json()["id"]
    linde = fresh.system()
    assert linde.get(f"Observation/{hidden}").status_code == 404
    answers = []
    for id_ in (hidden, str(uuid4())):
        sent = fresh.weight("8") | {"hasMember": [{"reference": f"Observation/{id_}"}]}
        answers.append(linde.post("Observation", json=sent))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({tuple(answer.json()) for answer in answers}) == 1
