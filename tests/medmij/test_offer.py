"""The exchange endpoint: what one service answers, to whom, and that it never shows more."""

from __future__ import annotations

import uuid

import orjson
import pytest
from lxml import etree

from pgo.fhir import text, validate
from pgo.medmij.services import catalogue
from pgo.office import Office, new_client

from .conftest import SCT, VERSION, concept, names, observation

LAB = "275711006"
PLAN = {
    "resourceType": "CarePlan",
    "id": "plan",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p"},
    "activity": [{"detail": {"status": "in-progress", "goal": [{"reference": "Goal/goal"}]}}],
}
GOAL = {
    "resourceType": "Goal",
    "id": "goal",
    "status": "in-progress",
    "description": {"text": "Zelf aankleden"},
    "subject": {"reference": "Patient/p"},
}
LOOSE = {**GOAL, "id": "loose"}
RESULT = observation("result", category=[concept(LAB)], performer=[{"reference": "Practitioner/a"}])
MOOD = observation("mood", category=[concept("384821006")])
DOCTOR = {"resourceType": "Practitioner", "id": "a", "name": [{"family": "De Wit"}]}
STRANGER = {"resourceType": "Practitioner", "id": "b", "name": [{"family": "Vreemd"}]}
TREATMENT = {
    "resourceType": "Consent",
    "id": "treatment",
    "status": "active",
    "category": [concept("11291000146105")],
    "patient": {"reference": "Patient/p"},
    "policy": [{"uri": "https://example.org/policy"}],
}
VISIT = {
    "resourceType": "Appointment",
    "id": "visit",
    "status": "booked",
    "start": "2026-04-01T10:00:00+02:00",
    "end": "2026-04-01T10:30:00+02:00",
    "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted"}],
}


@pytest.fixture
async def filled(exchange):
    everything = (PLAN, GOAL, LOOSE, RESULT, MOOD, DOCTOR, STRANGER, TREATMENT, VISIT)
    await exchange.bring("stu3", *everything)
    return exchange


def codes(answer):
    return [issue["code"] for issue in answer.json()["issue"]]


async def test_a_service_answers_its_own_searches(filled):
    assert await filled.ids("61", f"Consent?category={SCT}|11291000146105") == ["Consent/treatment"]
    assert await filled.ids("61", "CarePlan") == ["CarePlan/plan"]
    assert await filled.ids("48", "Appointment?status=booked") == ["Appointment/visit"]
    assert await filled.ids("eafspraak", "Appointment?date=ge2026-04-01") == ["Appointment/visit"]


async def test_the_rules_for_every_searchset_hold(filled):
    path = f"Observation/$lastn?category={SCT}|{LAB}&_include=Observation:related-target"
    answer = await filled.ask("61", path)
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    (link,) = (one["url"] for one in bundle["link"] if one["relation"] == "self")
    assert link.endswith("/medmij/61/fhir/" + path)
    (entry,) = bundle["entry"]
    assert entry["fullUrl"] == "http://127.0.0.1:8000/medmij/61/fhir/Observation/result"


@pytest.mark.parametrize(
    ("service", "path", "status", "code"),
    [
        ("61", "Condition?patient=Patient/p", 400, "not-supported"),
        ("61", "Condition?subject=Patient/p", 400, "not-supported"),
        ("61", "Condition?patient:Patient=p", 400, "not-supported"),
        ("61", "Condition?subject.name=Berg", 400, "not-supported"),
        ("61", "Condition?code=1", 400, "not-supported"),
        ("61", "Condition?_id=x", 400, "not-supported"),
        ("61", "Condition?_revinclude=CarePlan:subject", 400, "not-supported"),
        ("61", "Patient?_include=*", 400, "not-supported"),
        ("61", "CarePlan?_include=CarePlan:subject", 400, "not-supported"),
        ("61", "CarePlan?_include:iterate=DeviceUseStatement:device:Device", 400, "not-supported"),
        ("61", "Consent", 400, "required"),
        ("61", "Observation/$lastn", 400, "required"),
        ("61", f"Consent?category={SCT}|1", 400, "value"),
        ("61", f"Consent?category={SCT}|11291000146105,{SCT}|1", 400, "value"),
        ("61", f"Consent?category:not={SCT}|11291000146105", 400, "not-supported"),
        ("61", f"Observation?category={SCT}|{LAB}", 404, "not-found"),
        ("61", "Appointment", 404, "not-found"),
        ("61", "Practitioner", 404, "not-found"),
        ("61", "Kat", 404, "not-found"),
        ("61", "Practitioner/%20", 400, "value"),
        ("61", "Condition/1", 404, "not-found"),
        ("61", "$export", 404, "not-found"),
        ("61", "Patient/p/$everything", 404, "not-found"),
        ("61", "Patient/p/_history/1", 404, "not-found"),
        ("eafspraak", "Appointment?date=gisteren", 400, "value"),
        ("eafspraak", "Appointment?date=ge2026-04-01&_sort=kleur", 400, "not-supported"),
        ("58", "AllergyIntolerance?category=food", 400, "value"),
        ("mp9-3.0", "Medication", 404, "not-found"),
    ],
)
async def test_what_a_service_does_not_have_is_refused_and_named(
    filled, service, path, status, code
):
    (release,) = catalogue().of(service).by_release
    answer = await filled.ask(service, path, release)
    assert (answer.status_code, codes(answer)) == (status, [code])
    challenge = answer.headers.get("www-authenticate", "")
    assert challenge.startswith("Bearer") == (status == 400)
    assert ('error="invalid_request"' in challenge) == (status == 400)


async def test_a_search_for_a_citizen_service_number_is_refused(filled):
    system = "http://fhir.nl/fhir/NamingSystem/bsn"
    category = f"category={SCT}|33633005"
    answer = await filled.ask(
        "mp9-3.0", f"MedicationRequest?{category}&identifier={system}|999990019", "r4"
    )
    assert answer.status_code == 400
    assert "999990019" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_services_are_read_only(filled, method):
    answer = await filled.ask("61", "CarePlan", method=method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_head_answers_without_a_body(filled):
    full = await filled.ask("61", "CarePlan", MedMij_Request_ID="", X_Correlation_ID="")
    assert full.status_code == 400
    full, head = (
        await filled.ask("61", "CarePlan"),
        await filled.ask("61", "CarePlan", method="HEAD"),
    )
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == full.headers["content-length"]


# --- what is in a service ------------------------------------------------------------------------


async def test_what_is_referred_to_can_be_read_and_the_rest_cannot(filled):
    for inside in ("Goal/goal", "Practitioner/a"):
        assert (await filled.ask("61", inside)).status_code == 200, inside
    for outside in ("Goal/loose", "Practitioner/b", "Observation/mood", "Appointment/visit"):
        answer = await filled.ask("61", outside)
        assert (answer.status_code, codes(answer)) == (404, ["not-found"]), outside


async def test_what_hangs_on_something_hidden_is_outside_the_service(filled):
    sam = {"Authorization": f"Bearer {await filled.token('61', person='p-sam')}"}
    shared = observation("shared", category=[{"coding": [{"code": "vital-signs"}]}])
    hung = {**PLAN, "id": "hung"}
    hung["activity"] = [{"outcomeReference": [{"reference": "Observation/shared"}]}]
    await filled.bring("stu3", shared, hung)
    assert (await filled.ask("61", "Observation/shared")).status_code == 200
    assert (await filled.ask("61", "Observation/shared", **sam)).status_code == 404
    assert (await filled.ask("61", "CarePlan", **sam)).json()["total"] == 0


async def test_includes_stay_within_the_service_and_are_not_counted(filled):
    path = "CarePlan?_include=CarePlan:activity-goal:Goal"
    bundle = (await filled.ask("61", path)).json()
    assert (bundle["total"], names(bundle)) == (1, ["CarePlan/plan", "Goal/goal"])


async def test_a_family_s_own_consent_comes_on_top_of_the_service(filled):
    sam = {"Authorization": f"Bearer {await filled.token('eafspraak', person='p-sam')}"}
    assert (await filled.ask("eafspraak", "Appointment", **sam)).json()["total"] == 1
    sam = {"Authorization": f"Bearer {await filled.token('61', person='p-sam')}"}
    for path in ("CarePlan", "Condition", f"Consent?category={SCT}|11291000146105"):
        bundle = (await filled.ask("61", path, **sam)).json()
        assert (bundle["total"], bundle.get("entry")) == (0, None), path


async def test_what_refers_to_the_answer_goes_along_where_the_service_says_so(exchange):
    device = {"resourceType": "DeviceUseStatement", "status": "active"}
    device |= {"subject": {"reference": "Patient/p"}, "device": {"reference": "Device/d"}}
    address = "http://nictiz.nl/fhir/StructureDefinition/ext-MedicalDevice.TreatmentObjective"
    tied = {"url": address, "valueReference": {"reference": "Goal/goal"}}
    goal = {**GOAL, "lifecycleStatus": "active"}
    goal.pop("status")
    chair = {"resourceType": "Device", "id": "d"}
    other = {**chair, "id": "e"}
    loose = {**device, "id": "loose", "device": {"reference": "Device/e"}}
    await exchange.bring(
        "r4", goal, chair, other, loose, {**device, "id": "use", "extension": [tied]}
    )
    bundle = (await exchange.ask("900000103", "Goal", "r4")).json()
    assert (bundle["total"], names(bundle)) == (1, ["Goal/goal", "DeviceUseStatement/use"])
    assert [one["search"]["mode"] for one in bundle["entry"]] == ["match", "include"]
    assert (await exchange.ask("900000103", "Device/d", "r4")).status_code == 200
    assert (await exchange.ask("900000103", "Device/e", "r4")).status_code == 404


async def test_later_pages_are_of_the_same_service_and_decided_anew(filled):
    more = [{**VISIT, "id": f"v{n}"} for n in range(4)]
    await filled.bring("stu3", *more)
    first = (await filled.ask("eafspraak", "Appointment?_count=2")).json()
    (following,) = (one["url"] for one in first["link"] if one["relation"] == "next")
    path = following.partition("/fhir/")[2]
    second = (await filled.ask("eafspraak", path)).json()
    assert not set(names(first)) & set(names(second))
    assert (first["total"], second["total"]) == (5, 5)
    assert (await filled.ask("48", path)).status_code == 404
    sam = {"Authorization": f"Bearer {await filled.token('eafspraak', person='p-sam')}"}
    assert (await filled.ask("eafspraak", path, **sam)).status_code == 404
    assert (await filled.ask("eafspraak", "Appointment?_cursor=zz.0")).status_code == 404


async def test_a_plain_name_bundles_services_of_both_releases(filled):
    goal = {**GOAL, "lifecycleStatus": "active"}
    goal.pop("status")
    await filled.bring("r4", goal)
    assert await filled.ids("zorgplan", "CarePlan") == ["CarePlan/plan"]
    assert await filled.ids("zorgplan", "Goal", "r4") == ["Goal/goal"]
    assert (await filled.ask("zorgplan", "Goal")).status_code == 404
    assert (await filled.ask("zorgplan", "Appointment")).status_code == 404


async def test_both_names_of_a_service_take_the_same_token(filled):
    medication = f"MedicationRequest?category={SCT}|16076005"
    answer = await filled.ask("35", medication, Authorization=f"Bearer {await filled.token('31')}")
    assert answer.status_code == 200


async def test_values_that_mean_the_same_are_both_taken(exchange):
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    lab = observation("lab", category=[concept("laboratory", system)])
    await exchange.bring("r4", lab, observation("other"))
    for scheme in ("http", "https"):
        asked = f"{scheme}://terminology.hl7.org/CodeSystem/observation-category|laboratory"
        answer = await exchange.ask("lab-r4", f"Observation?category={asked}", "r4")
        assert names(answer.json()) == ["Observation/lab"]
        assert answer.json()["link"][0]["url"].endswith(asked)


# --- who may ask ---------------------------------------------------------------------------------


async def test_without_a_token_nothing_is_answered(filled):
    answer = await filled.ask("61", "CarePlan", Authorization="")
    assert (answer.status_code, codes(answer)) == (401, ["login"])
    assert answer.headers["www-authenticate"] == 'Bearer realm="pgo"'
    answer = await filled.ask("61", "CarePlan", Authorization="Bearer nee")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_token_for_another_service_or_with_scopes_is_too_small(filled):
    for token in (await filled.token("48"), await filled.token(scope="patient/*.rs")):
        answer = await filled.ask("61", "CarePlan", Authorization=f"Bearer {token}")
        assert (answer.status_code, codes(answer)) == (403, ["forbidden"])
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_a_token_for_part_of_a_bundle_does_not_open_the_bundle(filled):
    for one, other in (("61", "zorgplan"), ("zorgplan", "61")):
        token = await filled.token(one)
        answer = await filled.ask(other, "CarePlan", Authorization=f"Bearer {token}")
        assert answer.status_code == 403


async def test_a_token_for_a_service_opens_no_ordinary_address(filled):
    headers = {"Authorization": f"Bearer {await filled.token('61')}"}
    for path in ("/fhir/stu3/CarePlan", f"/dossiers/{filled.dossier}/fhir/stu3/CarePlan/plan"):
        answer = await filled.http.get(path, headers=headers)
        assert answer.status_code in {403, 404}


async def test_another_s_token_shows_another_s_dossier(filled):
    mine = filled.dossier
    filled.dossier = new_client()
    await Office(filled.house, filled.dossier).create(
        {"person": "p-sam", "birth": "1980-05-01", "patient": "p"}
    )
    await filled.bring("stu3", {**PLAN, "id": "sams"})
    token = await filled.token("61", person="p-sam")
    filled.dossier = mine
    sam = {"Authorization": f"Bearer {token}"}
    assert names((await filled.ask("61", "CarePlan", **sam)).json()) == ["CarePlan/sams"]
    assert (await filled.ask("61", "Goal/goal", **sam)).status_code == 404


async def test_an_unknown_service_is_not_found(filled):
    for id_ in ("999", "61.", "zorg"):
        answer = await filled.ask(
            id_, "Patient", Authorization=f"Bearer {await filled.token('61')}"
        )
        assert (answer.status_code, codes(answer)) == (404, ["not-found"])


# --- ids, forms and releases ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MedMij-Request-ID", "X-Correlation-ID"])
@pytest.mark.parametrize(
    "value", ["", "1", "not-a-uuid", "6f4ffae4-1ff2-403b-a130-8048f5fc3892x", "{" + "0" * 36 + "}"]
)
async def test_both_ids_are_demanded_in_the_form_of_a_uuid(filled, name, value):
    answer = await filled.ask("61", "CarePlan", **{name: value})
    assert (answer.status_code, codes(answer)) == (400, ["required"])
    assert answer.json()["issue"][0]["expression"] == [name]
    assert name.lower() not in answer.headers


@pytest.mark.parametrize("path", ["CarePlan", "Kat", "CarePlan?patient=1", "metadata"])
async def test_both_ids_are_repeated_whatever_the_answer_is(filled, path):
    ids = {"MedMij-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4())}
    for token in (await filled.token("61"), "nee", await filled.token("48")):
        answer = await filled.ask("61", path, Authorization=f"Bearer {token}", **ids)
        assert {name: answer.headers[name] for name in ids} == ids


async def test_both_ids_and_the_service_are_in_the_audit_line_and_the_log(filled):
    ids = {"MedMij-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4())}
    asked = [("CarePlan", 200), ("Practitioner/b", 404), ("CarePlan?patient=1", 400)]
    asked += [(f"Observation/$lastn?category={SCT}|{LAB}", 200)]
    for path, status in asked:
        assert (await filled.ask("61", path, **ids)).status_code == status
    lines = (await filled.lines())[-4:]
    assert [one.interaction for one in lines] == ["search-type", "read", "search-type", "lastn"]
    for line, (_, status) in zip(lines, asked, strict=True):
        assert (line.service, line.status) == ("61", status)
        assert line.request == ids["MedMij-Request-ID"]
        assert line.correlation == ids["X-Correlation-ID"]
    logged = [
        one for one in map(orjson.loads, filled.log.getvalue().splitlines()) if "route" in one
    ]
    assert [one["correlation"] for one in logged] == [ids["X-Correlation-ID"]] * 4
    assert {one["route"] for one in logged} == {
        "/medmij/{service}/fhir/{type}",
        "/medmij/{service}/fhir/{type}/{id}",
        "/medmij/{service}/fhir/{type}/$",
    }


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json; fhirVersion=3.0", 200),
        ("application/fhir+json;fhirVersion=3.0.2", 200),
        ("application/fhir+json", 200),
        ("*/*", 200),
        ("application/fhir+json; fhirVersion=4.0", 400),
        ("application/fhir+xml; fhirVersion=4.0", 400),
        ("application/fhir+json; fhirVersion=4.0, application/fhir+xml; fhirVersion=3.0", 200),
        ("text/csv", 406),
    ],
)
async def test_the_release_is_negotiated(filled, accept, status):
    answer = await filled.ask("61", "CarePlan", Accept=accept)
    assert answer.status_code == status
    if status == 400:
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith("Bearer")
        assert 'error="invalid_request"' in challenge
        assert 'error_description="Requested FHIR version not supported"' in challenge
        assert "OperationOutcome" in answer.text


async def test_a_bundle_of_two_releases_answers_in_the_one_asked_for(filled):
    for release in ("stu3", "r4"):
        answer = await filled.ask("zorgplan", "metadata", release)
        assert answer.json()["fhirVersion"].startswith(VERSION[release])
        assert f"fhirVersion={VERSION[release]}" in answer.headers["content-type"]
    answer = await filled.ask(
        "zorgplan", "CarePlan", Accept="application/fhir+json;fhirVersion=1.0"
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["CarePlan", "CarePlan?patient=1", "Practitioner/$", "Kat"])
async def test_xml_is_answered_when_asked_for_also_in_errors(filled, path):
    answer = await filled.ask("61", path, Accept="application/fhir+xml; fhirVersion=3.0")
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    root = etree.fromstring(answer.content, etree.XMLParser(resolve_entities=False))
    wanted = "Bundle" if answer.status_code == 200 else "OperationOutcome"
    assert root.tag == "{http://hl7.org/fhir}" + wanted


@pytest.mark.parametrize("id_", ["61", "mp9-3.0", "zorgplan", "51"])
async def test_a_service_says_what_it_offers_to_anybody(filled, id_):
    answer = await filled.http.get(f"/medmij/{id_}/fhir/metadata")
    assert answer.status_code == 200
    statement = answer.json()
    service = next(iter(catalogue().of(id_).by_release.values()))
    (rest,) = statement["rest"]
    assert {one["type"] for one in rest["resource"]} == service.types
    assert statement["implementation"]["url"] == f"http://127.0.0.1:8000/medmij/{id_}/fhir"
    assert (await filled.http.get("/medmij/999/fhir/metadata")).status_code == 404


@pytest.mark.parametrize("release", ["stu3", "r4"])
async def test_the_capability_statement_of_every_service_is_valid(filled, release):
    for id_, offered in catalogue().offered.items():
        if release in offered.by_release:
            answer = await filled.http.get(
                f"/medmij/{id_}/fhir/metadata",
                headers={"Accept": f"application/fhir+json; fhirVersion={VERSION[release]}"},
            )
            assert not validate.validate(release, text.parse(answer.content)), id_
