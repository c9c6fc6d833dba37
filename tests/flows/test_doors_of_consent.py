"""The doors around the decision: what is hidden is answered like what does not exist.

Sam may read Anna's appointments and nothing else; Nina may write them too.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

import httpx2
import orjson
import pytest

from pgo.consent import categories
from pgo.dossier.log import Change, Facet
from pgo.fhir import elements, text
from pgo.fhir.parameters import registry
from pgo.office import Office

KEY = "deuren"
DRIFTING = {"date", "x-request-id"}
HIDDEN = (
    "Observation/geheim",
    "MedicationRequest/geheim",
    "Medication/geheim",
    "Practitioner/geheim",
    "Provenance/geheim",
    "List/geheim",
    "Composition/geheim",
    "ServiceRequest/geheim",
    "Appointment/verzegeld",
    "Observation/verwijderd",
)
PERMITS = [
    {"to_who": "sam", "categories": ["afspraken"]},
    {
        "to_who": "nina",
        "actions": ["lezen", "toevoegen", "wijzigen"],
        "categories": ["afspraken"],
    },
    {
        "to_who": "org:delinde",
        "actions": ["lezen", "toevoegen", "wijzigen"],
        "own": True,
        "id": "koppeling-delinde",
    },
    {
        "to_who": "org:isselzkh",
        "actions": ["lezen", "toevoegen", "wijzigen"],
        "own": True,
        "id": "koppeling-isselzkh",
    },
]


def concept(code: str) -> dict:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def appointment(id_: str, start: str, *refs: str, patient: str) -> dict:
    people = [f"Patient/{patient}", *(r for r in refs if r.startswith(("Practitioner/", "Loc")))]
    others = [r for r in refs if not r.startswith(("Practitioner/", "Loc", "Condition/", "Serv"))]
    tree = {
        "resourceType": "Appointment",
        "id": id_,
        "status": "booked",
        "start": start,
        "end": start.replace(":00Z", ":30Z"),
        "participant": [{"actor": {"reference": r}, "status": "accepted"} for r in people],
        "supportingInformation": [{"reference": r} for r in others],
        "reasonReference": [{"reference": r} for r in refs if r.startswith("Condition/")],
        "basedOn": [{"reference": r} for r in refs if r.startswith("ServiceRequest/")],
    }
    return {name: value for name, value in tree.items() if value}


def in_stu3(tree: dict) -> dict:
    """The same resource as STU3 says it."""
    left_out = {"basedOn", "reasonReference"} if tree["resourceType"] == "Appointment" else set()
    made = {name: value for name, value in tree.items() if name not in left_out}
    if tree["resourceType"] == "ServiceRequest":
        made["resourceType"] = "ProcedureRequest"
    if tree["resourceType"] == "Provenance":
        made["agent"] = [{"whoReference": agent["who"]} for agent in tree["agent"]]
    return made


def things(patient: str, release: str = "r4") -> list[dict]:
    """All that is in Anna's dossier in one release."""
    made = in_r4(patient)
    return made if release == "r4" else [in_stu3(tree) for tree in made]


def in_r4(patient: str) -> list[dict]:
    subject = {"reference": f"Patient/{patient}"}
    result = {"reference": "Observation/geheim"}
    return [
        {
            "resourceType": "Patient",
            "id": patient,
            "text": {
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">Kanariestraat 7</div>',
            },
            "name": [{"family": "Berg", "given": ["Anna"]}],
            "telecom": [{"system": "phone", "value": "0611223344"}],
            "address": [{"line": ["Kanariestraat 7"], "city": "Zwolle"}],
            "contact": [{"name": {"family": "Contactpersoon"}}],
        },
        {"resourceType": "Practitioner", "id": "zichtbaar", "name": [{"family": "Open"}]},
        {"resourceType": "Practitioner", "id": "geheim", "name": [{"family": "Dicht"}]},
        {"resourceType": "Location", "id": "zichtbaar", "name": "Polikliniek"},
        {"resourceType": "Medication", "id": "geheim", "code": concept("1-8")},
        {
            "resourceType": "Observation",
            "id": "geheim",
            "status": "final",
            "code": concept("4548-4"),
            "category": [{"coding": [{"code": "laboratory"}]}],
            "subject": subject,
            "performer": [{"reference": "Practitioner/geheim"}],
            "effectiveDateTime": "2026-02-01",
            "valueQuantity": {"value": 7.25, "unit": "mmol/l"},
        },
        {
            "resourceType": "Observation",
            "id": "verwijderd",
            "status": "final",
            "code": concept("4548-4"),
            "subject": subject,
        },
        {
            "resourceType": "MedicationRequest",
            "id": "geheim",
            "status": "active",
            "intent": "order",
            "subject": subject,
            "medicationReference": {"reference": "Medication/geheim"},
        },
        {
            "resourceType": "ServiceRequest",
            "id": "geheim",
            "status": "active",
            "intent": "order",
            "code": concept("4548-4"),
            "subject": subject,
        },
        {
            "resourceType": "Provenance",
            "id": "geheim",
            "target": [result, {"reference": "Appointment/een"}],
            "recorded": "2026-02-01T00:00:00Z",
            "agent": [{"who": {"reference": "Practitioner/geheim"}}],
        },
        {
            "resourceType": "List",
            "id": "geheim",
            "status": "current",
            "mode": "working",
            "entry": [{"item": result}],
        },
        {
            "resourceType": "Composition",
            "id": "geheim",
            "status": "final",
            "type": concept("11503-0"),
            "subject": subject,
            "date": "2026-02-01",
            "author": [{"reference": "Practitioner/geheim"}],
            "title": "Verslag",
            "section": [{"title": "Uitslag", "entry": [result]}],
        },
        *(
            appointment(
                name,
                f"2026-0{month}-01T10:00:00Z",
                "Practitioner/zichtbaar",
                "Location/zichtbaar",
                "Observation/geheim",
                "Medication/niet-daar",
                "ServiceRequest/geheim",
                "Condition/niet-daar",
                patient=patient,
            )
            for month, name in ((3, "een"), (2, "twee"), (5, "drie"), (4, "vier"))
        ),
        appointment("verzegeld", "2026-06-01T10:00:00Z", patient=patient),
    ]


@pytest.fixture(scope="session")
def anna(served):
    made = served.anna(KEY, PERMITS)
    with served.client(made.person("anna"), KEY) as http:
        for release in ("r4", "stu3"):
            base = served.fhir(KEY, release)
            served.brought(KEY, release, *things(made.patient, release))
            assert http.delete(f"{base}/Observation/verwijderd").status_code == 204
            sealed = {"release": release, "type": "Appointment", "id": "verzegeld"}
            answer = http.post(
                f"{served.url}/dossiers/{made.dossier}/zegels",
                json={**sealed, "label": "niet-voor-naasten"},
            )
            assert answer.status_code == 200, answer.text
    return made


@pytest.fixture
def as_anna(served, anna):
    with served.client(anna.person("anna"), KEY) as http:
        yield http


@pytest.fixture
def sam(served, anna):
    with served.client(anna.person("sam"), KEY) as http:
        yield http


@pytest.fixture
def nina(served, anna):
    with served.client(anna.person("nina"), KEY) as http:
        yield http


def told(answer: httpx2.Response, name: str) -> tuple:
    """All that an answer says, with the id that was asked for taken out."""
    id_ = name.partition("/")[2]
    headers = {
        (key, value.replace(id_, "*"))
        for key, value in answer.headers.items()
        if key not in DRIFTING
    }
    return answer.status_code, headers, answer.text.replace(id_, "*")


def bundle(kind: str, method: str, url: str, resource: dict | None = None) -> dict:
    entry = {"request": {"method": method, "url": url}}
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [entry | ({"resource": resource} if resource else {})],
    }


def doors(name: str, patient: str, release: str):
    """(what, method, address, body, header fields) of every way to ask about one resource."""
    type_, _, id_ = name.partition("/")
    body = next(t for t in things(patient, release) if t["resourceType"] == type_) | {"id": id_}
    yield "read", "GET", name, None, {}
    yield "head", "HEAD", name, None, {}
    yield "if-none-match", "GET", name, None, {"If-None-Match": 'W/"1"'}
    since = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    yield "if-modified-since", "GET", name, None, since
    yield "if-match read", "GET", name, None, {"If-Match": 'W/"9"'}
    yield "history", "GET", f"{name}/_history", None, {}
    for version in (1, 2, 9):
        yield f"vread {version}", "GET", f"{name}/_history/{version}", None, {}
    for more in ("", "&_summary=count", "&_total=accurate", "&_count=0", "&_sort=-_lastUpdated"):
        yield f"_id{more}", "GET", f"{type_}?_id={id_}{more}", None, {}
    yield "_id include", "GET", f"{type_}?_id={id_}&_include=*", None, {}
    yield "_id revinclude", "GET", f"{type_}?_id={id_}&_revinclude=*", None, {}
    yield "since", "GET", f"{name}/_history?_since=2020-01-01", None, {}
    yield "part", "GET", f"{name}?_elements=id", None, {}
    yield "meta", "GET", f"{name}/$meta", None, {}
    yield "everything", "GET", f"{name}/$everything", None, {}
    yield "lastn", "GET", f"{type_}/$lastn?_id={id_}", None, {}
    yield "validate", "POST", f"{name}/$validate", body, {}
    yield "by reference", "GET", f"Provenance?target={name}", None, {}
    yield "in lists", "GET", f"List?item={name}", None, {}
    yield "in documents", "GET", f"Composition?entry={name}", None, {}
    yield "in tasks", "GET", f"Task?focus={name}", None, {}
    yield "as list", "GET", f"{type_}?_list={id_}", None, {}
    yield "put", "PUT", name, body, {}
    for version in (1, 9):
        yield f"put if-match {version}", "PUT", name, body, {"If-Match": f'W/"{version}"'}
    yield "put wrong", "PUT", name, body | {"id": "anders"}, {}
    yield "delete", "DELETE", name, None, {}
    yield "delete if-match", "DELETE", name, None, {"If-Match": 'W/"9"'}
    yield from conditional_doors(type_, id_, body)
    for kind in ("batch", "transaction"):
        yield f"{kind} get", "POST", "", bundle(kind, "GET", name), {}
        yield f"{kind} search", "POST", "", bundle(kind, "GET", f"{type_}?_id={id_}"), {}
        yield f"{kind} put", "POST", "", bundle(kind, "PUT", name, body), {}
        yield f"{kind} delete", "POST", "", bundle(kind, "DELETE", name), {}


def conditional_doors(type_: str, id_: str, body: dict):
    """The same, by a question about the resource; what is not offered is equal all the same."""
    patch = [{"op": "add", "path": "/language", "value": "nl"}]
    media = {"content-type": "application/json-patch+json"}
    yield "patch", "PATCH", f"{type_}/{id_}", patch, media
    yield "patch if-match", "PATCH", f"{type_}/{id_}", patch, media | {"If-Match": 'W/"9"'}
    question = f"{type_}?_id={id_}"
    bare = {name: value for name, value in body.items() if name != "id"}
    yield "conditional delete", "DELETE", question, None, {}
    yield "conditional patch", "PATCH", question, patch, media
    if type_ != "Appointment":
        yield "conditional update", "PUT", question, bare, {}
        yield "conditional create", "POST", type_, bare, {"If-None-Exist": f"_id={id_}"}
    for way in ("supporting-info", "actor", "based-on"):
        yield f"chain {way}", "GET", f"Appointment?{way}:{type_}._id={id_}", None, {}
    for target in ("Patient", "Practitioner", "Appointment"):
        for way in ("patient", "subject", "performer", "actor", "target", "item", "author"):
            asked = f"{target}?_has:{type_}:{way}:_id={id_}"
            yield f"_has {target} {way}", "GET", asked, None, {}


@pytest.mark.parametrize(
    ("hidden", "who", "release"),
    [
        *((hidden, who, "r4") for hidden in HIDDEN for who in ("sam", "nina")),
        *((hidden, "nina", "stu3") for hidden in HIDDEN[:2]),
        *(pytest.param(hidden, "nina", "stu3", marks=pytest.mark.long) for hidden in HIDDEN[2:]),
    ],
)
def test_every_door_answers_about_something_hidden_as_about_nothing(
    hidden, who, release, anna, request, served
):
    http = request.getfixturevalue(who)
    if release == "stu3":
        hidden = hidden.replace("ServiceRequest", "ProcedureRequest")
    type_, _, id_ = hidden.partition("/")
    nothing = f"{type_}/{uuid.uuid4().hex[: len(id_)]}"
    ways = [doors(name, anna.patient, release) for name in (hidden, nothing)]
    asked = zip(*ways, strict=True)
    for there, elsewhere in asked:
        said = []
        for (what, method, address, body, headers), name in (
            (there, hidden),
            (elsewhere, nothing),
        ):
            content = None if body is None else orjson.dumps(body)
            media = {"content-type": "application/fhir+json"} if content else {}
            base = f"{served.fhir(KEY, release)}/{address}".rstrip("/")
            answer = http.request(method, base, content=content, headers=media | headers)
            assert answer.status_code < 500, (what, answer.text)
            said.append((what, *told(answer, name)))
            if what in {"read", "head", "history", "delete"} or what.startswith(("if-", "vread")):
                assert answer.status_code in {404, 403 if who == "sam" else 404}
        assert said[0] == said[1]


def test_the_same_doors_do_show_what_may_be_seen(sam, as_anna):
    assert sam.get("Appointment/een").status_code == 200
    assert sam.get("Appointment/een/_history").json()["total"] == 1
    assert sam.get("Appointment").json()["total"] == 4
    assert as_anna.get("Appointment").json()["total"] == 5
    for hidden in HIDDEN:
        assert as_anna.get(hidden).status_code == (410 if "verwijderd" in hidden else 200)


def test_a_reading_friend_is_refused_openly_only_where_he_can_look(sam):
    assert sam.delete("Appointment/een").status_code == 403
    mine = sam.get("Appointment/een").json()
    assert sam.put("Appointment/een", json=mine).status_code == 403


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_no_include_brings_what_is_hidden(release, served, anna):
    known = registry(release).of("Appointment")
    ways = [code for code, one in known.items() if one.kind == "reference" and one.searchable]
    assert len(ways) > 3
    again = "iterate" if release == "r4" else "recurse"
    token = {"Authorization": f"Bearer {served.token(anna.person('sam'), KEY)}"}
    with httpx2.Client(base_url=served.fhir(KEY, release), headers=token) as http:
        for way in [f"Appointment:{code}" for code in ways] + ["Appointment:*", "*"]:
            more = f"&_include:{again}=*"
            for address in (f"/Appointment?_include={way}", f"/Appointment?_include={way}{more}"):
                found = http.get(address)
                assert found.status_code == 200
                names = {
                    f"{e['resource']['resourceType']}/{e['resource']['id']}"
                    for e in found.json().get("entry", [])
                }
                assert not names.intersection(HIDDEN)
                assert b"Kanariestraat" not in found.content


def test_an_include_brings_what_visible_appointments_refer_to(sam, anna):
    found = sam.get("Appointment?_id=een&_include=*").json()
    names = {
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in found["entry"]
        if e["search"]["mode"] == "include"
    }
    assert names == {f"Patient/{anna.patient}", "Practitioner/zichtbaar", "Location/zichtbaar"}


@pytest.mark.parametrize(
    "address",
    [
        "Patient?_revinclude=*",
        "Patient?_revinclude=Observation:subject",
        "Patient?_revinclude=Observation:patient&_revinclude=MedicationRequest:patient",
        "Appointment?_revinclude=Provenance:target",
        "Practitioner?_revinclude=Observation:performer",
        "Practitioner?_revinclude=Composition:author",
        "Appointment?_include=*&_revinclude=*&_include:iterate=*&_revinclude:iterate=*",
    ],
)
def test_no_include_the_other_way_brings_what_is_hidden(address, sam):
    found = sam.get(address)
    assert found.status_code == 200, found.text
    for entry in found.json()["entry"]:
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        assert name not in HIDDEN


def test_guessing_along_references_gains_no_bit(sam, as_anna):
    """A hidden value cannot be found by halving: every guess is answered the same."""
    for question in (
        "Patient?_has:Observation:patient:value-quantity={}",
        "Patient?_has:Observation:patient:code={}",
        "Practitioner?_has:Observation:performer:value-quantity={}",
        "Appointment?supporting-info:Observation.value-quantity={}",
        "Appointment?supporting-info:Observation.code={}",
        "Appointment?supporting-info:Observation.date={}",
        "Appointment?supporting-info:Observation.performer:Practitioner.family={}",
    ):
        said = set()
        for guess in ("gt7", "gt7.5", "lt8", "7.25", "4548-4", "ge2026-01-01", "Dicht", "x"):
            answer = sam.get(question.format(guess))
            if answer.status_code == 200:
                said.add((answer.json()["total"], "entry" in answer.json()))
        assert said == {(0, False)}, question
    seen = as_anna.get("Patient?_has:Observation:patient:value-quantity=gt7").json()
    assert seen["total"] == 1, "the question itself is a good one"


def test_order_does_not_depend_on_what_is_hidden(sam):
    for code in ("date", "actor", "supporting-info", "based-on", "reason-reference", "_id"):
        ids = [e["resource"]["id"] for e in sam.get(f"Appointment?_sort={code}").json()["entry"]]
        assert sorted(ids) == ["drie", "een", "twee", "vier"]


def test_supporting_resources_are_seen_only_through_visible_referrers(sam, as_anna, anna):
    assert sam.get("Practitioner/zichtbaar").status_code == 200
    assert sam.get("Practitioner").json()["total"] == 1
    assert as_anna.get("Practitioner").json()["total"] == 2
    assert sam.get("Practitioner?family=Dicht").json()["total"] == 0
    hidden = appointment("los", "2026-07-01T10:00:00Z", "Practitioner/los", patient=anna.patient)
    loose = {"resourceType": "Practitioner", "id": "los", "name": [{"family": "Los"}]}
    assert as_anna.put("Practitioner/los", json=loose).status_code == 201
    assert sam.get("Practitioner/los").status_code == 404
    assert as_anna.put("Appointment/los", json=hidden).status_code == 201
    assert sam.get("Practitioner/los").status_code == 200
    assert as_anna.delete("Appointment/los").status_code == 204
    assert sam.get("Practitioner/los").status_code == 404


def test_nobody_opens_a_resource_to_himself_by_pointing_at_it(nina, sam, anna):
    made = appointment(
        "", "2026-08-01T10:00:00Z", "Medication/geheim", "Practitioner/geheim", patient=anna.patient
    )
    answer = nina.post("Appointment", json=made)
    assert answer.status_code == 201
    for hidden in ("Medication/geheim", "Practitioner/geheim"):
        assert nina.get(hidden).status_code == 404
    found = nina.get(f"Appointment?_id={answer.json()['id']}&_include=*").json()
    assert b"Dicht" not in orjson.dumps(found)
    assert nina.delete(f"Appointment/{answer.json()['id']}").status_code == 204


def test_a_reference_to_something_hidden_is_taken_like_one_to_nothing(nina, anna):
    said = []
    for target in ("Observation/geheim", f"Observation/{uuid.uuid4()}"):
        made = appointment("", "2026-08-02T10:00:00Z", target, patient=anna.patient)
        answer = nina.post("Appointment", json=made)
        own = answer.json()["id"]
        text_ = answer.text.replace(target, "*").replace(own, "*")
        said.append((answer.status_code, set(answer.headers), text_[:60]))
        assert nina.delete(f"Appointment/{own}").status_code == 204
    assert said[0] == said[1]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_condition_does_not_match_what_is_hidden(method, nina, anna):
    tree = appointment("", "2026-08-03T10:00:00Z", patient=anna.patient)
    said = []
    for id_ in ("verzegeld", uuid.uuid4().hex[:9]):
        asked = {
            "POST": ("Appointment", {"If-None-Exist": f"_id={id_}"}),
            "PUT": (f"Appointment?_id={id_}", {}),
        }
        address, headers = asked[method]
        answer = nina.request(method, address, json=tree, headers=headers)
        said.append((answer.status_code, set(answer.headers), answer.json()["meta"]["versionId"]))
        assert nina.delete(f"Appointment/{answer.json()['id']}").status_code == 204
    assert said[0] == said[1]
    assert said[0][0] == 201
    seen = {"If-None-Exist": "_id=een"}
    assert nina.post("Appointment", json=tree, headers=seen).status_code == 200


def test_a_subject_elsewhere_is_refused_whether_it_exists_or_not(nina, served, anna):
    with served.client("p-marjan") as marjan:
        real = marjan.get("Patient").json()["entry"][0]["resource"]["id"]
    said = []
    for patient in (real, str(uuid.uuid4())):
        tree = {
            "resourceType": "AppointmentResponse",
            "appointment": {"reference": "Appointment/een"},
            "actor": {"reference": f"Patient/{patient}"},
            "participantStatus": "accepted",
        }
        # AppointmentResponse names its patient as actor; Communication as subject
        talk = {
            "resourceType": "Communication",
            "status": "completed",
            "subject": {"reference": f"Patient/{patient}"},
        }
        for sent in (tree, talk):
            answer = nina.post(sent["resourceType"], json=sent)
            said.append((sent["resourceType"], patient, answer))
    talks = [told(a, f"Patient/{p}") for t, p, a in said if t == "Communication"]
    assert talks[0] == talks[1]
    assert talks[0][0] == 422


def test_the_same_identifier_at_another_provider_says_nothing(served, anna):
    said = []
    for system in ("sys-delinde", "sys-isselzkh"):
        tree = {
            "resourceType": "Observation",
            "status": "final",
            "identifier": [{"system": "https://gedeeld.example", "value": "zelfde-1"}],
            "code": concept("4548-4"),
            "subject": {"reference": f"Patient/{anna.patient}"},
        }
        with httpx2.Client(headers={"Authorization": f"Bearer {served.system(system)}"}) as http:
            first = http.post(f"{served.fhir(KEY)}/Observation", json=tree)
            again = http.post(f"{served.fhir(KEY)}/Observation", json=tree)
        said.append((first.status_code, again.status_code, set(first.headers)))
        assert first.json()["meta"]["versionId"] == "1"
        assert again.json()["id"] == first.json()["id"]
    assert said == [(201, 200, said[0][2]), (201, 200, said[0][2])]


def test_address_telephone_and_contacts_are_masked_and_cannot_be_searched(sam, as_anna, anna):
    for address in (
        f"Patient/{anna.patient}",
        f"Patient/{anna.patient}/_history/1",
        f"Patient/{anna.patient}/_history",
        "Patient",
        "Appointment?_include=Appointment:patient",
    ):
        seen = sam.get(address)
        assert seen.status_code == 200
        for secret in ("Kanariestraat", "0611223344", "Contactpersoon", "Zwolle"):
            assert secret not in seen.text
            assert secret in as_anna.get(address).text
    for search in (
        "address=Kanariestraat",
        "address-city=Zwolle",
        "phone=0611223344",
        "telecom=0611223344",
        "address:missing=false",
        "address:missing=true",
        "phone:not=1",
        "address:contains=straat",
    ):
        assert sam.get(f"Patient?{search}").json()["total"] == 0
    assert as_anna.get("Patient?address-city=Zwolle").json()["total"] == 1


@pytest.mark.parametrize(
    "question",
    [
        "Appointment?patient:Patient.address-city=Zwolle",
        "Appointment?patient:Patient.phone=0611223344",
        "Appointment?actor:Patient.address=Kanariestraat",
        "Appointment?patient:Patient.address:missing=false",
    ],
)
def test_a_masked_address_cannot_be_guessed_along_a_reference(question, sam, as_anna):
    assert sam.get(question).json()["total"] == 0
    assert as_anna.get(question).json()["total"] >= 4


@pytest.mark.parametrize(
    "address",
    [
        "Patient?_summary=text",
        "Patient?_summary=data",
        "Patient?_summary=true",
        "Patient?_elements=address,telecom,contact,text",
        "Patient?_content=Kanariestraat",
        "Patient?_text=Kanariestraat",
        "Appointment?_has:Patient:link:address-city=Zwolle",
        "Patient?_revinclude=*&_include=*",
    ],
)
def test_no_form_of_a_patient_shows_what_is_masked(address, sam):
    answer = sam.get(address)
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        if "_content" in address or "_text" in address or "_has" in address:
            assert answer.json()["total"] == 0
        for secret in ("0611223344", "Contactpersoon", "Zwolle"):
            assert secret not in answer.text
        assert "Kanariestraat" not in answer.text.partition('"entry"')[2]


def test_a_cursor_is_its_owners_and_each_page_is_decided_anew(served, anna, as_anna, nina):
    with served.client(anna.person("kim"), KEY) as kim:
        regie = f"{served.url}/dossiers/{anna.dossier}"
        given = {"effect": "permit", "to_who": anna.person("kim")}
        both = given | {"categories": ["afspraken", "uitslagen"]}
        grant = as_anna.post(f"{regie}/toestemmingen", json=both).json()["id"]
        rest = as_anna.post(
            f"{regie}/toestemmingen", json=given | {"categories": ["medicatie"]}
        ).json()["id"]
        first = kim.get("Appointment?_count=1&_sort=date").json()
        assert first["total"] == 4
        link = next(one["url"] for one in first["link"] if one["relation"] == "next")
        second = kim.get(link)
        assert [e["resource"]["id"] for e in second.json()["entry"]] == ["een"]
        wrong = link.replace(link.partition("_cursor=")[2][:8], "0" * 8)
        others = [nina.get(link), nina.get(wrong)]
        assert told(others[0], "x/-") == told(others[1], "x/-")
        assert others[0].status_code == 404
        assert as_anna.post(f"{regie}/toestemmingen/{grant}/intrekken").status_code == 200
        later = kim.get(link)
        assert later.status_code == 200
        assert later.json()["total"] == 0
        assert "entry" not in later.json()
        assert as_anna.post(f"{regie}/toestemmingen/{rest}/intrekken").status_code == 200
        assert kim.get(link).status_code == kim.get(wrong).status_code == 404
        assert told(kim.get(link), "x/-") == told(kim.get(wrong), "x/-")


def test_a_small_scope_says_403_to_who_may_look_and_404_to_a_stranger(served, anna):
    small = "user/Observation.rs"
    with served.client(anna.person("sam"), KEY, small) as sam:
        assert sam.get("Appointment/een").status_code == 403
        assert sam.get("Appointment").status_code == 403
        assert sam.get("Observation").json()["total"] == 0
    with served.client(anna.person("lea"), KEY, small) as lea:
        for address in ("Appointment/een", "Appointment", "Observation", "Observation?x=1"):
            assert lea.get(address).status_code == 404


def test_what_is_wrong_with_a_request_is_told_only_to_who_may_know_of_the_dossier(served, anna):
    nowhere = f"{served.url}/dossiers/{'0' * 32}/fhir/r4"
    token = {"Authorization": f"Bearer {served.system('sys-vechtapotheek')}"}
    with httpx2.Client(headers=token) as http:
        for method, address, more in (
            ("GET", "/Observation?onbekend=1", {}),
            ("GET", "/Observation/x?_id=1", {}),
            ("POST", "/Observation", {"content": b"geen json"}),
            ("POST", "/Observation", {"json": {"resourceType": "Observation"}}),
            ("GET", "/Observation", {"headers": {"accept": "text/html"}}),
            ("GET", "/$everything", {}),
            ("GET", "/$wie-keek?x=1", {}),
            (
                "GET",
                "/Observation",
                {"headers": {"x-noodtoegang": 'code=BTG; reason="zomaar even kijken"'}},
            ),
        ):
            there = http.request(method, served.fhir(KEY) + address, **more)
            elsewhere = http.request(method, nowhere + address, **more)
            assert there.status_code == elsewhere.status_code
            assert there.content == elsewhere.content


def test_a_stranger_has_no_dossier_here_and_the_servers_own_is_nobodys(served, anna):
    with served.client(anna.person("lea"), KEY) as lea:
        for address in ("Patient", "Appointment/een", f"Patient/{anna.patient}", "$wie-keek"):
            assert lea.get(address).status_code == 404
        assert lea.get(f"{served.url}/dossiers").json() == {"dossiers": []}
    token = {"Authorization": f"Bearer {served.system('sys-delinde')}"}
    for path in ("/fhir/r4/Patient", "/toestemmingen", "/$wie-keek"):
        assert httpx2.get(f"{served.url}/dossiers/system{path}", headers=token).status_code == 404


@pytest.fixture(scope="session")
def everything(served):
    """A dossier with one resource of every type of both releases, put in below the checks."""
    key = "alles"
    made = served.anna(key, [{"to_who": "sam", "categories": ["afspraken"]}])

    async def work(house):
        office = Office(house, made.dossier, "test")
        async with office.call("import", release="r4") as call, office.dossier.turn():
            changes, bodies = [], {}
            for release in ("r4", "stu3"):
                for type_ in sorted(elements.stored(release)):
                    tree = {"resourceType": type_, "id": f"van-{type_}"}
                    kinds = tuple(sorted(categories.classify(release, tree)))
                    facet = Facet(type_, kinds)
                    change = Change(release, type_, f"van-{type_}", 1, "POST", facet)
                    body, sealed = office.dossier.seal_body(change, text.dump(tree))
                    bodies[bytes.fromhex(body)] = sealed
                    changes.append(replace(change, body=body))
            await office.commit(call, changes, (), bodies)

    served.inside(work)
    return made


def listed(bundle_: dict) -> set[str]:
    """The ids of what a search gave."""
    return {entry["resource"]["id"] for entry in bundle_.get("entry", [])}


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_type_is_denied_by_default(release, served, everything):
    types = sorted(elements.stored(release))
    assert len(types) > 110
    base = served.fhir("alles", release)
    seen, counted = set(), set()
    people = {
        name: httpx2.Client(
            headers={"Authorization": f"Bearer {served.token(everything.person(name), 'alles')}"}
        )
        for name in ("sam", "lea", "anna")
    }
    for type_ in types:
        one, many = f"{base}/{type_}/van-{type_}", f"{base}/{type_}"
        assert people["lea"].get(one).status_code == 404
        assert people["lea"].get(many).status_code == 404
        if people["sam"].get(one).status_code == 200:
            seen.add(type_)
        found = people["sam"].get(many).json()
        if f"van-{type_}" in listed(found):
            counted.add(type_)
        # his own permit is a Consent too, and that he may read
        others = listed(found) - {f"van-{type_}"}
        assert len(others) == found.get("total", 0) - (type_ in counted)
        assert not others or type_ == "Consent"
        assert type_ == "Binary" or f"van-{type_}" in listed(people["anna"].get(many).json())
    for http in people.values():
        http.close()
    appointments = {"Appointment", "AppointmentResponse", "Schedule", "Slot"}
    assert seen == counted == appointments | {"Patient"}
