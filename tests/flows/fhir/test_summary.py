"""Patient/$summary: a valid document of what the caller may read; nothing stopped looks in use."""

from __future__ import annotations

import httpx2
import orjson
import pytest

from pgo.fhir import text, validate
from pgo.fhir.summary_words import day, line

NICTIZ = "http://nictiz.nl/fhir/StructureDefinition/"
STOPPED = {"url": f"{NICTIZ}ext-StopType", "valueCodeableConcept": {"text": "definitief"}}
STRANGE = {"url": "http://example.org/onbekend", "valueBoolean": True}
ALLERGY = "allergyintolerance-clinical"
MEDICINES, ALLERGIES, PROBLEMS = "10160-0", "48765-2", "11450-4"


def treated(number, **period):
    """Extensions that say of which treatment, and when it is used."""
    identifier = {"system": "http://example.org/mbh", "value": number}
    url = f"{NICTIZ}ext-PharmaceuticalTreatment.Identifier"
    used = {"url": f"{NICTIZ}ext-TimeInterval.Period", "valuePeriod": period}
    return [{"url": url, "valueIdentifier": identifier}, *([used] if period else [])]


def medicine(fresh, id_, name, authored="2026-01-01", **more):
    """An agreement about a medicine."""
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": name},
        "subject": fresh.subject(),
        "authoredOn": authored,
        "dosageInstruction": [{"text": "1 keer per dag 1 tablet"}],
        **more,
    }


def about(fresh, type_, id_, **more):
    """A resource about the client."""
    member = "patient" if type_ in {"AllergyIntolerance", "Immunization"} else "subject"
    return {"resourceType": type_, "id": id_, member: fresh.subject(), **more}


def clinical(code, kind="condition-clinical"):
    system = f"http://terminology.hl7.org/CodeSystem/{kind}"
    return {"coding": [{"system": system, "code": code}]}


def laboratory(fresh, id_, code, when, value):
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    category = [{"coding": [{"system": system, "code": "laboratory"}]}]
    code_ = {"coding": [{"system": "http://loinc.org", "code": code, "display": f"test {code}"}]}
    return fresh.weight(value, id=id_, category=category, code=code_, effectiveDateTime=when)


def brought(fresh, *trees):
    """What a provider brought, read by the mother."""
    system = fresh.system()
    patient = {"resourceType": "Patient", "id": fresh.patient, "name": [{"family": "Zon"}]}
    for tree in (patient, *trees):
        put = system.put(f"{tree['resourceType']}/{tree['id']}", json=tree)
        assert put.status_code in {200, 201}, put.text
    return fresh.as_()


def home(fresh):
    return f"Patient/{fresh.patient}/$summary"


def document(answer):
    """The Bundle that was answered; a valid document of which every reference is in it."""
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert validate.validate("r4", text.parse(answer.content)) == ()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "document")
    assert {"system", "value"} <= set(bundle["identifier"])
    assert bundle["timestamp"]
    composition = bundle["entry"][0]["resource"]
    assert composition["resourceType"] == "Composition"
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(urls) == len(bundle["entry"])
    assert composition["subject"]["reference"] in urls
    assert set(referred(composition["section"])) <= urls
    return bundle


def referred(sections):
    for section in sections:
        yield from (one["reference"] for one in section.get("entry", ()))
        yield from referred(section.get("section", ()))


def sections(bundle):
    """The sections by LOINC code."""
    found = bundle["entry"][0]["resource"]["section"]
    return {one["code"]["coding"][0]["code"]: one for one in found}


def entries(section):
    return [one["reference"].rpartition("/")[2] for one in section.get("entry", ())]


def filled(fresh):
    return brought(
        fresh,
        medicine(fresh, "m", "paracetamol"),
        about(fresh, "AllergyIntolerance", "a", code={"text": "noten"}, criticality="high",
              clinicalStatus=clinical("active", ALLERGY)),
        about(fresh, "Condition", "c", code={"text": "astma"}, clinicalStatus=clinical("active")),
        about(fresh, "Immunization", "i", status="completed", vaccineCode={"text": "griepprik"},
              occurrenceDateTime="2025-10-14"),
        laboratory(fresh, "o1", "4548-4", "2026-01-01", "7.25"),
        laboratory(fresh, "o2", "4548-4", "2026-02-01", "6.50"),
    )  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_summary_is_a_valid_document_with_sections_by_loinc(fresh, method):
    marjan = filled(fresh)
    for address in (home(fresh), "Patient/$summary"):
        bundle = document(marjan.request(method, address))
        composition = bundle["entry"][0]["resource"]
        assert composition["type"]["coding"][0]["code"] == "60591-5"
        assert "meta" not in composition
        assert "profile" not in bundle.get("meta", {})
        told = {code: entries(section) for code, section in sections(bundle).items()}
        assert told == {
            MEDICINES: ["m"], ALLERGIES: ["a"], PROBLEMS: ["c"], "11369-6": ["i"],
            "30954-2": ["o2"],
        }  # fmt: skip
        words = orjson.dumps(sections(bundle)).decode()
        for said in (
            "paracetamol, 1 keer per dag 1 tablet (1 januari 2026)",
            "noten, kan ernstig zijn",
            "griepprik (14 oktober 2025)",
            "6,5 kg",
        ):
            assert said in words
    assert fresh.as_().get("Composition").json()["total"] == 0


def test_what_is_empty_says_that_nothing_can_be_shown_and_never_that_nothing_is_known(fresh):
    marjan = brought(fresh)
    found = sections(document(marjan.get(home(fresh))))
    assert list(found) == [MEDICINES, ALLERGIES, PROBLEMS]
    for section in found.values():
        assert "entry" not in section
        assert section["emptyReason"]["coding"][0]["code"] == "unavailable"
        assert "Dat betekent niet dat er niets is." in section["text"]["div"]


def test_what_is_hidden_looks_the_same_as_what_is_not_there(fresh, new_dossier):
    filled(fresh)
    empty = new_dossier()
    brought(empty)
    drawn = []
    for one in (fresh, empty):
        one.grant(to_who="p-samira", categories=["afspraken"])
        bundle = document(one.as_("p-samira").get(home(one)))
        assert len(bundle["entry"]) == 2
        drawn.append(orjson.dumps(sections(bundle)))
    assert drawn[0] == drawn[1]
    some = fresh.as_(scope="user/Patient.rs user/Condition.rs")
    assert entries(sections(document(some.get(home(fresh))))[PROBLEMS]) == ["c"]
    assert len(document(some.get(home(fresh)))["entry"]) == 3


STOPS = {
    "a stop itself": [("m", {"modifierExtension": [STOPPED]})],
    "stopped later": [
        ("m", {"extension": treated("1", start="2026-01-01")}),
        ("stop", {"extension": treated("1", start="2026-01-01"),
                  "modifierExtension": [STOPPED], "authored": "2026-02-01"}),
    ],
    "stopped at the same time": [
        ("m", {"extension": treated("1", start="2026-01-01")}),
        ("stop", {"extension": treated("1"), "modifierExtension": [STOPPED]}),
    ],
    "over": [("m", {"extension": treated("1", start="2025-01-01", end="2025-02-01")})],
    "not to be given": [("m", {"doNotPerform": True})],
    "only proposed": [("m", {"intent": "proposal"})],
    "stopped by its status": [("m", {"status": "stopped"})],
}  # fmt: skip


@pytest.mark.parametrize("why", STOPS)
def test_a_medicine_that_was_stopped_is_not_in_it(fresh, why):
    marjan = brought(fresh, *(medicine(fresh, id_, "stopmiddel", **m) for id_, m in STOPS[why]))
    answer = marjan.get(home(fresh))
    section = sections(document(answer))[MEDICINES]
    assert entries(section) == []
    assert "section" not in section
    assert "stopmiddel" not in answer.text


def test_a_medicine_that_was_started_again_is_in_it(fresh):
    stop = {"extension": treated("1"), "modifierExtension": [STOPPED], "authored": "2026-02-01"}
    again = {"extension": treated("1", start="2026-03-01"), "authored": "2026-03-01"}
    marjan = brought(
        fresh,
        medicine(fresh, "first", "middel", extension=treated("1", start="2026-01-01")),
        medicine(fresh, "stop", "middel", **stop),
        medicine(fresh, "again", "middel", **again),
        medicine(fresh, "other", "ander", extension=treated("2", start="2026-01-01")),
    )
    assert set(entries(sections(document(marjan.get(home(fresh))))[MEDICINES])) == {
        "again",
        "other",
    }


DOUBTS = {
    "on the medicine": {"modifierExtension": [STRANGE]},
    "deep inside": {"dosageInstruction": [{"text": "1", "modifierExtension": [STRANGE]}]},
    "in what it contains": {
        "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": "x"},
                       "modifierExtension": [STRANGE]}],
        "supportingInformation": [{"reference": "#b"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("where", DOUBTS)
def test_what_is_not_understood_is_never_told_as_certain(fresh, where):
    marjan = brought(fresh, medicine(fresh, "m", "twijfelmiddel", **DOUBTS[where]))
    answer = marjan.get(home(fresh))
    section = sections(document(answer))[MEDICINES]
    assert entries(section) == []
    assert "text" not in section
    [doubt] = section["section"]
    assert entries(doubt) == ["m"]
    assert "Vraag de zorgverlener" in doubt["text"]["div"]
    assert "http://example.org/onbekend" in answer.text


@pytest.mark.parametrize("kind", ["MedicationRequest", "MedicationStatement"])
@pytest.mark.parametrize("understood", [True, False])
def test_a_medicine_is_not_certain_when_its_stop_is_not_understood(fresh, kind, understood):
    stop = medicine(fresh, "stop", "middel", extension=treated("1"), authored="2026-02-01")
    stop["modifierExtension"] = [STOPPED] if understood else [STOPPED, STRANGE]
    if kind == "MedicationStatement":
        stop |= {"resourceType": kind, "dateAsserted": stop.pop("authoredOn")}
        del stop["intent"], stop["dosageInstruction"]
    used = medicine(fresh, "m", "middel", extension=treated("1", start="2026-01-01"))
    section = sections(document(brought(fresh, used, stop).get(home(fresh))))[MEDICINES]
    assert entries(section) == []
    if understood:
        assert "section" not in section
    else:
        assert entries(section["section"][0]) == ["m"]


def test_what_is_understood_of_a_medicine_is_not_of_an_illness(fresh):
    illness = about(fresh, "Condition", "c", code={"text": "x"}, modifierExtension=[STOPPED])
    found = sections(document(brought(fresh, illness).get(home(fresh))))[PROBLEMS]
    assert entries(found) == []
    assert entries(found["section"][0]) == ["c"]


def test_a_medicine_is_not_certain_when_its_product_is_not_understood(fresh):
    product = {"resourceType": "Medication", "id": "p", "modifierExtension": [STRANGE]}
    named = medicine(fresh, "m", "x")
    del named["medicationCodeableConcept"]
    named["medicationReference"] = {"reference": "Medication/p"}
    marjan = brought(fresh, product, named)
    section = sections(document(marjan.get(home(fresh))))[MEDICINES]
    assert entries(section) == []
    assert entries(section["section"][0]) == ["m"]


def test_who_and_what_is_named_comes_along_by_its_name(fresh):
    product = {"resourceType": "Medication", "id": "p", "code": {"text": "ijzer & <b>staal</b>"}}
    doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Smit"}]}
    role = {"resourceType": "PractitionerRole", "id": "r"}
    role["practitioner"] = {"reference": "Practitioner/d"}
    named = medicine(fresh, "m", "x", requester={"reference": "PractitionerRole/r"})
    del named["medicationCodeableConcept"]
    named["medicationReference"] = {"reference": "Medication/p"}
    marjan = brought(fresh, product, doctor, role, named)
    bundle = document(marjan.get(home(fresh)))
    types = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"Medication", "Practitioner", "PractitionerRole"} <= types
    told = sections(bundle)[MEDICINES]["text"]["div"]
    assert "ijzer &amp; &lt;b&gt;staal&lt;/b&gt;" in told


@pytest.mark.parametrize(
    ("type_", "more"),
    [
        ("AllergyIntolerance", {"clinicalStatus": clinical("resolved", ALLERGY)}),
        ("Condition", {"clinicalStatus": clinical("inactive")}),
        ("Condition", {"verificationStatus": clinical("refuted", "condition-ver-status")}),
        ("Immunization", {"status": "not-done", "vaccineCode": {"text": "x"},
                          "occurrenceDateTime": "2026"}),
    ],
)  # fmt: skip
def test_what_is_over_or_was_not_so_is_not_in_it(fresh, type_, more):
    code = {} if type_ == "Immunization" else {"code": {"text": "weg"}}
    marjan = brought(fresh, about(fresh, type_, "x", **code, **more))
    assert len(document(marjan.get(home(fresh)))["entry"]) == 2


def test_an_allergy_has_its_kinds_and_a_contained_medicine_its_name(fresh):
    allergy = about(fresh, "AllergyIntolerance", "a", code={"text": "noten"}, category=["food"])
    contained = medicine(fresh, "m", "x")
    del contained["medicationCodeableConcept"]
    contained["contained"] = [
        {"resourceType": "Medication", "id": "p", "code": {"text": "zalf"}},
    ]
    contained["medicationReference"] = {"reference": "#p"}
    found = sections(document(brought(fresh, allergy, contained).get(home(fresh))))
    assert "noten" in found[ALLERGIES]["text"]["div"]
    assert "zalf, 1 keer per dag" in found[MEDICINES]["text"]["div"]


@pytest.mark.parametrize("family", ["fenna", "ruud"])
def test_the_families_of_the_demo_have_a_summary(served, family):
    people = {"fenna": "p-marjan", "ruud": "p-anja"}
    token = served.token(people[family], family)
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx2.get(f"{served.fhir(family, 'r4')}/Patient/$summary", headers=headers)
    found = sections(document(answer))
    assert {MEDICINES, ALLERGIES, PROBLEMS} <= set(found)
    assert entries(found[MEDICINES])


def test_a_stranger_and_a_wrong_patient_get_the_same_answer(fresh):
    marjan = filled(fresh)
    answers = [fresh.as_("p-anja").get(home(fresh)), marjan.get("Patient/niemand/$summary")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("name", ["profile", "identifier", "graph", "_count"])
def test_a_parameter_is_refused_by_name(fresh, name):
    answer = fresh.as_().get(f"Patient/$summary?{name}=x")
    assert (answer.status_code, fresh.place(answer)) == (400, name)


def test_it_is_of_r4_only_and_comes_in_xml_and_by_head(fresh):
    marjan = filled(fresh)
    assert fresh.as_(release="stu3").get("Patient/$summary").status_code == 404
    assert marjan.head(home(fresh)).status_code == 200
    drawn = marjan.get(f"{home(fresh)}?_format=xml")
    assert drawn.headers["content-type"].startswith("application/fhir+xml")
    assert '<title value="Medicijnen"/>' in drawn.text


def test_without_a_patient_there_is_no_summary(fresh):
    assert fresh.as_().get("Patient/$summary").status_code == 404


# --- the words by themselves -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("2026-03-04", "4 maart 2026"),
        ("2026-03", "maart 2026"),
        ("2026", "2026"),
        ("2026-03-31T23:30:00Z", "1 april 2026"),
        ({"start": "2026-01-01"}, "vanaf 1 januari 2026"),
        ({"start": "2026", "end": "2027"}, "vanaf 2026 tot en met 2027"),
        ("2026-13", ""),
        ("onzin-datum", ""),
        (None, ""),
    ],
)
def test_a_date_is_told_in_dutch(found, told):
    assert day(found) == told


def test_a_measurement_with_parts_tells_each_part():
    raw = (
        b'{"resourceType":"Observation","code":{"text":"bloeddruk"},"component":['
        b'{"code":{"text":"boven"},"valueQuantity":{"value":120,"unit":"mmHg"}},'
        b'{"code":{"text":"onder"},"valueQuantity":{"value":80.5,"comparator":"<","unit":"mmHg"}}]}'
    )
    assert line(text.parse(raw), {}) == "bloeddruk, boven: 120 mmHg, onder: < 80,5 mmHg"
