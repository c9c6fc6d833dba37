"""A person writes in his own name or the client's, whichever door he takes; and it is told who."""

from __future__ import annotations

import orjson
import pytest

from pgo.fhir import text
from pgo.fhir.xml_out import to_xml

RELEASES = ["r4", "stu3"]
SOURCE = "http://hl7.org/fhir/4.0/StructureDefinition/extension-Meta.source"
DOCTOR = {"reference": "Practitioner/smit"}
PATCH = {"content-type": "application/json-patch+json"}
MERGE = {"content-type": "application/merge-patch+json"}
WHO = "Smit"
NAME = "Marjan de Boer"


@pytest.fixture(params=RELEASES)
def release(request):
    return request.param


@pytest.fixture
def dossier(fresh, release):
    """A girl's dossier in which De Linde brought its doctor."""
    system = fresh.system(release=release)
    doctor = {"resourceType": "Practitioner", "id": "smit", "name": [{"family": WHO}]}
    assert system.put("Practitioner/smit", json=doctor).status_code == 201
    patient = {"resourceType": "Patient", "id": fresh.patient, "name": [{"family": "Zon"}]}
    assert system.put(f"Patient/{fresh.patient}", json=patient).status_code in {200, 201}
    return fresh


def told(dossier, release, **more):
    """Something somebody tells."""
    return {
        "resourceType": "Communication",
        "status": "completed",
        "subject": dossier.subject(),
        "payload": [{"contentString": "Het ging goed"}],
        **more,
    }


def drug(dossier, release, **more):
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "levetiracetam"},
        "subject": dossier.subject(),
        **more,
    }


def plan(dossier, release, by):
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": dossier.subject(),
        "author": by if release == "r4" else [by],
    }


def refused(dossier, answer, place):
    """Whether this says where, and nothing of what was sent."""
    assert (answer.status_code, dossier.place(answer)) == (422, place), answer.text
    assert WHO not in answer.text
    assert "Practitioner/" not in answer.text


def bundle(*entries, kind="transaction"):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method, url, resource, full="", **more):
    made = {"resource": resource, "request": {"method": method, "url": url, **more}}
    return made | ({"fullUrl": full} if full else {})


def others(fresh, release):
    """All sorts of ways to name somebody else."""
    base = f"{fresh.served.url}/dossiers/{fresh.id}/fhir/{release}"
    return [
        DOCTOR,
        {"reference": "PractitionerRole/arts"},
        {"reference": "Organization/delinde"},
        {"reference": "RelatedPerson/oma"},
        {"reference": "Device/pomp"},
        {"reference": "Person/p-samira"},
        {"reference": "Practitioner/p-marjan"},
        {"reference": "#binnen"},
        {"reference": "Practitioner/smit/_history/1"},
        {"reference": "Person/p-marjan/_history/1"},
        {"reference": f"{base}/Practitioner/smit"},
        {"reference": "https://elders.example/fhir/Person/p-marjan"},
        {"reference": f"{fresh.served.url}/dossiers/ander/fhir/{release}/Person/p-marjan"},
        {"reference": "Person/p-marjan", "display": f"Dr. {WHO}"},
        {"reference": "Person/p-marjan", "identifier": {"value": "12"}},
        {
            "reference": "Person/p-marjan",
            "extension": [{"url": "http://nictiz.nl/rol", "valueReference": DOCTOR}],
        },
        {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/uzi-nr-pers", "value": "9"}},
        {"display": f"Dr. {WHO}"},
    ]


def test_nobody_sends_in_another_s_name_however_he_is_named(dossier, release):
    marjan = dossier.as_(release=release)
    inside = [{"resourceType": "Practitioner", "id": "binnen", "name": [{"family": WHO}]}]
    before = dossier.commits()
    for by in others(dossier, release):
        sent = told(dossier, release, sender=by)
        if by.get("reference") == "#binnen":
            sent["contained"] = inside
        refused(dossier, marjan.post("Communication", json=sent), "Communication.sender")
    assert dossier.commits() == before


def test_a_person_names_himself_or_the_client(dossier, release):
    marjan = dossier.as_(release=release)
    base = f"{dossier.served.url}/dossiers/{dossier.id}/fhir/{release}"
    for by in (
        {"reference": "Person/p-marjan"},
        {"reference": "Person/p-marjan", "display": NAME},
        {"reference": "RelatedPerson/r-0"},
        {"reference": f"{base}/Person/p-marjan"},
        dossier.subject(),
    ):
        answer = marjan.post("Communication", json=told(dossier, release, sender=by))
        assert answer.status_code == 201, answer.text
        assert answer.json()["sender"] == by


def test_a_copiloot_is_a_practitioner_of_her_own(dossier, release):
    dossier.grant(to_who="p-samira", actions=["lezen", "toevoegen"])
    samira = dossier.as_("p-samira", release)
    own = told(dossier, release, sender={"reference": "Practitioner/p-samira"})
    assert samira.post("Communication", json=own).status_code == 201
    for by in ({"reference": "RelatedPerson/r-0"}, {"reference": "Person/p-marjan"}, DOCTOR):
        answer = samira.post("Communication", json=told(dossier, release, sender=by))
        refused(dossier, answer, "Communication.sender")
    role = {"reference": "PractitionerRole/arts"}
    answer = samira.post("CarePlan", json=plan(dossier, release, role))
    refused(dossier, answer, "CarePlan.author" if release == "r4" else "CarePlan.author[0]")


def test_a_professional_writes_for_himself_not_for_a_colleague(dossier, release):
    dossier.grant(to_who="p-smit", actions=["lezen", "toevoegen", "wijzigen"])
    smit = dossier.as_("p-smit", release)
    mine = {"reference": "Practitioner/p-smit"}
    by = mine if release == "r4" else {"agent": mine}
    made = smit.post("MedicationRequest", json=drug(dossier, release, requester=by))
    assert made.status_code == 201, made.text
    by = DOCTOR if release == "r4" else {"agent": DOCTOR}
    answer = smit.post("MedicationRequest", json=drug(dossier, release, requester=by))
    place = "MedicationRequest.requester"
    refused(dossier, answer, place if release == "r4" else f"{place}.agent")


def test_every_door_is_shut(dossier, release):
    """Create, update, update as create, patches, conditions, transaction, batch and XML."""
    marjan = dossier.as_(release=release)
    place = "Communication.sender"
    good = marjan.post("Communication", json=told(dossier, release)).json()
    where, forged = f"Communication/{good['id']}", told(dossier, release, sender=DOCTOR)
    refused(dossier, marjan.put(where, json=forged | {"id": good["id"]}), place)
    refused(dossier, marjan.put("Communication/nieuw", json=forged | {"id": "nieuw"}), place)
    refused(dossier, marjan.put(f"Communication?_id={good['id']}", json=forged), place)
    head = {"If-None-Exist": "identifier=http://x.test|1"}
    refused(dossier, marjan.post("Communication", json=forged, headers=head), place)
    steps = orjson.dumps([{"op": "add", "path": "/sender", "value": DOCTOR}])
    refused(dossier, marjan.patch(where, content=steps, headers=PATCH), place)
    refused(
        dossier,
        marjan.patch(where, content=orjson.dumps({"sender": DOCTOR}), headers=MERGE),
        place,
    )
    xml = {"content-type": "application/fhir+xml"}
    drawn = to_xml(text.parse(orjson.dumps(forged)), release)
    refused(dossier, marjan.post("Communication", content=drawn, headers=xml), place)
    inside = f"Bundle.entry[0].resource{place.removeprefix('Communication')}"
    for one in (
        entry("POST", "Communication", forged),
        entry("PUT", where, forged | {"id": good["id"]}),
    ):
        refused(dossier, marjan.post("", json=bundle(one)), inside)
        answer = marjan.post("", json=bundle(one, kind="batch"))
        assert answer.json()["entry"][0]["response"]["status"] == "422"
    assert marjan.get(where).json()["meta"]["versionId"] == "1"
    assert marjan.get("Communication").json()["total"] == 1


def test_a_doctor_made_in_the_same_transaction_is_another_too(dossier, release):
    marjan, urn = dossier.as_(release=release), "urn:uuid:11111111-2222-4333-8444-555555555555"
    doctor = {"resourceType": "Practitioner", "name": [{"family": WHO}]}
    forged = told(dossier, release, sender={"reference": urn})
    both = (entry("POST", "Communication", forged), entry("POST", "Practitioner", doctor, urn))
    refused(dossier, marjan.post("", json=bundle(*both)), "Bundle.entry[0].resource.sender")
    by = {"reference": f"Practitioner?family={WHO}"}
    sent = bundle(entry("POST", "Communication", told(dossier, release, sender=by)))
    refused(dossier, marjan.post("", json=sent), "Bundle.entry[0].resource.sender")


def test_who_says_a_note_or_something_contained_counts_as_well(dossier, release):
    marjan = dossier.as_(release=release)
    for note in ({"authorString": f"Dr. {WHO}"}, {"authorReference": DOCTOR}):
        sent = told(dossier, release, note=[{"text": "eigen"}, {"text": "van haar", **note}])
        member = next(iter(note))
        place = f"Communication.note[1].{member}"
        refused(dossier, marjan.post("Communication", json=sent), place)
    by = DOCTOR if release == "r4" else {"agent": DOCTOR}
    inner = drug(dossier, release, id="m", requester=by)
    sent = told(dossier, release, contained=[inner])
    answer = marjan.post("Communication", json=sent)
    place = "Communication.contained[0].requester"
    refused(dossier, answer, place if release == "r4" else f"{place}.agent")


def test_what_a_record_said_before_may_stay_but_not_go_nor_be_said_again(dossier, release):
    note = {"authorReference": DOCTOR, "text": "rustig"}
    kept = told(dossier, release, id="oud", sender=DOCTOR, note=[note])
    dossier.served.brought(dossier.name, release, kept)
    marjan = dossier.as_(release=release)
    more = kept | {"note": [{"text": "Ik was erbij"}, note]}
    answer = marjan.put("Communication/oud", json=more)
    assert answer.status_code == 200, answer.text
    assert answer.json()["sender"] == DOCTOR
    without = {name: value for name, value in more.items() if name != "sender"}
    refused(dossier, marjan.put("Communication/oud", json=without), "Communication.sender")
    own = more | {"sender": {"reference": "Person/p-marjan"}}
    refused(dossier, marjan.put("Communication/oud", json=own), "Communication.sender")
    for notes, place in (
        ([note, note], "note[1]"),
        ([note | {"text": "zij slaat hem"}], "note[0]"),
    ):
        answer = marjan.put("Communication/oud", json=more | {"note": notes})
        refused(dossier, answer, f"Communication.{place}.authorReference")


def test_who_forged_before_there_was_a_rule_can_take_it_back(dossier, release):
    """What he made himself he may correct: the author that he is not goes."""
    marjan = dossier.as_(release=release)
    mine = told(dossier, release, sender={"reference": "RelatedPerson/r-0"})
    id_ = marjan.post("Communication", json=mine).json()["id"]
    answer = marjan.put(f"Communication/{id_}", json=told(dossier, release, id=id_))
    assert answer.status_code == 200, answer.text


def test_a_hidden_record_is_answered_as_one_that_is_not_there(dossier, release):
    kept = told(dossier, release, id="dicht", sender=DOCTOR)
    dossier.served.brought(dossier.name, release, kept)
    dossier.grant(to_who="p-samira", categories=["afspraken"], actions=["lezen", "wijzigen"])
    samira, said = dossier.as_("p-samira", release), []
    for id_ in ("dicht", "nergens"):
        answer = samira.put(f"Communication/{id_}", json=kept | {"id": id_})
        said.append((answer.status_code, answer.text.replace(id_, "*")))
    assert said[0] == said[1]
    assert said[0][0] == 404


def test_nobody_gives_an_account_another_name(dossier, release):
    """What `fhirUser` leads to is not overlaid by a resource with the same address."""
    marjan = dossier.as_(release=release)
    overlaid = {"resourceType": "Person", "id": "p-marjan", "name": [{"text": f"Dr. {WHO}"}]}
    answer = marjan.put("Person/p-marjan", json=overlaid)
    refused(dossier, answer, "Person.id")


def test_a_provider_s_system_and_an_import_name_whom_they_like(dossier, release):
    system = dossier.system(release=release)
    by = DOCTOR if release == "r4" else {"agent": DOCTOR}
    made = system.post("MedicationRequest", json=drug(dossier, release, requester=by))
    assert made.status_code == 201, made.text
    dossier.served.brought(dossier.name, release, told(dossier, release, id="in", sender=DOCTOR))
    marjan = dossier.as_(release=release)
    assert marjan.get("Communication/in").json()["sender"] == DOCTOR


# --- who wrote it --------------------------------------------------------------------------------


def source(tree, release):
    if release == "r4":
        return tree["meta"].get("source", "")
    found = tree["meta"].get("extension", ())
    return next((one["valueUri"] for one in found if one["url"] == SOURCE), "")


def test_read_search_and_history_tell_who_wrote_which_version(dossier, release):
    dossier.grant(to_who="p-samira", actions=["lezen", "toevoegen", "wijzigen"])
    marjan, samira = dossier.as_(release=release), dossier.as_("p-samira", release)
    forged = {"source": "urn:pgo:bron:delinde"}
    if release == "stu3":
        forged = {"extension": [{"url": SOURCE, "valueUri": "urn:pgo:bron:delinde"}]}
    id_ = marjan.post("Communication", json=told(dossier, release, meta=forged)).json()["id"]
    where = f"Communication/{id_}"
    changed = samira.put(where, json=told(dossier, release, id=id_, meta=forged))
    assert changed.status_code == 200, changed.text
    newest = marjan.get(where).json()
    assert source(newest, release).startswith("urn:pgo:persoon:p-samira")
    past = marjan.get(f"{where}/_history").json()["entry"]
    said = [source(one["resource"], release) for one in past]
    assert [one.split(":")[3] for one in said] == ["p-samira", "p-marjan"]
    assert "delinde" not in str(said)
    [found] = marjan.get("Communication").json()["entry"]
    assert source(found["resource"], release) == said[0]
    drawn = marjan.get(where, headers={"accept": "application/fhir+xml"})
    assert drawn.status_code == 200
    assert said[0] in drawn.text
    again = marjan.put(where, json=newest)
    assert source(again.json(), release).startswith("urn:pgo:persoon:p-marjan")
    assert len(again.json()["meta"].get("extension", ())) == (release == "stu3")
    if release == "r4":
        total = marjan.get("Communication", params={"_source": said[1]}).json()["total"]
        assert total == 1


def test_a_professional_s_source_names_his_organisation_too(dossier):
    dossier.grant(to_who="p-smit", actions=["lezen", "toevoegen"])
    made = dossier.as_("p-smit").post("Communication", json=told(dossier, "r4")).json()
    assert made["meta"]["source"].startswith("urn:pgo:bron:delinde:persoon:p-smit")


# --- medicines -----------------------------------------------------------------------------------


def test_who_is_no_professional_stores_no_order_for_a_medicine(dossier, release):
    dossier.grant(to_who="p-samira", actions=["lezen", "toevoegen", "wijzigen"])
    for person in ("p-marjan", "p-samira"):
        client = dossier.as_(person, release)
        answer = client.post("MedicationRequest", json=drug(dossier, release))
        refused(dossier, answer, "MedicationRequest.intent")
        assert "MedicationStatement" in answer.text
        asked = drug(dossier, release, intent="proposal")
        assert client.post("MedicationRequest", json=asked).status_code == 201
    dossier.served.brought(dossier.name, release, drug(dossier, release, id="oud"))
    marjan = dossier.as_(release=release)
    still = drug(dossier, release, id="oud", note=[{"text": "?"}])
    refused(dossier, marjan.put("MedicationRequest/oud", json=still), "MedicationRequest.intent")
    ended = drug(dossier, release, id="oud", status="entered-in-error")
    assert marjan.put("MedicationRequest/oud", json=ended).status_code == 200


def medicines(client, dossier):
    """The titles of the parts of the medicines with their texts."""
    found = client.get(f"Patient/{dossier.patient}/$summary").json()["entry"][0]["resource"]
    section = found["section"][0]
    inner = {one["title"]: one["text"]["div"] for one in section.get("section", ())}
    return {section["title"]: section.get("text", {}).get("div", ""), **inner}


@pytest.mark.parametrize("release", ["r4"], indirect=True)
def test_a_summary_sets_apart_what_somebody_reports_and_says_who(dossier, release):
    system, marjan = dossier.system(), dossier.as_()
    assert system.post("MedicationRequest", json=drug(dossier, release)).status_code == 201
    thing = {"medicationCodeableConcept": {"text": "paracetamol"}}
    me = {"reportedReference": {"reference": "RelatedPerson/r-0"}}
    reported = drug(dossier, release, **thing, **me)
    assert marjan.post("MedicationRequest", json=reported).status_code == 201
    uses = {
        "resourceType": "MedicationStatement",
        "status": "active",
        "subject": dossier.subject(),
        "medicationCodeableConcept": {"text": "melatonine"},
    }
    assert marjan.post("MedicationStatement", json=uses).status_code == 201
    told = medicines(marjan, dossier)
    apart = told.pop("Medicijnen: opgegeven, niet voorgeschreven")
    assert "levetiracetam" in told["Medicijnen"]
    for drug_name in ("paracetamol", "melatonine"):
        assert drug_name not in told["Medicijnen"]
        assert drug_name in apart
    assert apart.count(f"opgegeven door {NAME}") == 2


@pytest.mark.parametrize("release", ["r4"], indirect=True)
def test_a_stop_that_somebody_reports_takes_no_prescription_away(dossier, release):
    nictiz = "http://nictiz.nl/fhir/StructureDefinition/"
    treatment = {
        "url": f"{nictiz}ext-PharmaceuticalTreatment.Identifier",
        "valueIdentifier": {"system": "http://example.org/mbh", "value": "1"},
    }
    stop = {"url": f"{nictiz}ext-StopType", "valueCodeableConcept": {"text": "definitief"}}
    given = drug(dossier, release, extension=[treatment], authoredOn="2026-01-01")
    assert dossier.system().post("MedicationRequest", json=given).status_code == 201
    marjan = dossier.as_()
    ends = drug(
        dossier, release, extension=[treatment], authoredOn="2026-02-01", reportedBoolean=True
    )
    ends |= {"modifierExtension": [stop]}
    assert marjan.post("MedicationRequest", json=ends).status_code == 201
    told = medicines(marjan, dossier)
    assert "levetiracetam" in told["Medicijnen: niet zeker"]
