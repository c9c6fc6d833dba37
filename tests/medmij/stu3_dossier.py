"""A made-up STU3 dossier with something of everything the services ask for, and something else.

Ids are short and each is used once, so that a test can say what must be found in a few words: one
that ends in `-x` must never be found by the searches of its own service.
"""

from __future__ import annotations

from typing import Any

from .conftest import SCT, observation

ACT = "http://hl7.org/fhir/v3/ActCode"
LOINC = "http://loinc.org"
NHG = "https://referentiemodel.nhg.org/tabellen/nhg-tabel-45-diagnostische-bepalingen"
USE = "urn:oid:2.16.840.1.113883.2.4.3.11.60.20.77.5.3"
PRK = "urn:oid:2.16.840.1.113883.2.4.4.10"
OBSERVED = "http://hl7.org/fhir/observation-category"
NICTIZ = "http://nictiz.nl/fhir/StructureDefinition"
PROFILE = {"profile": [f"{NICTIZ}/zib-Voorbeeld"]}
BSN = {"system": "http://fhir.nl/fhir/NamingSystem/bsn", "value": "999990019"}

AIDED = {
    "url": f"{NICTIZ}/extension-medicaldevice",
    "valueReference": {"reference": "DeviceUseStatement/wheels", "display": "rolstoel"},
}

Tree = dict[str, Any]


def code(word: str) -> Tree:
    """A concept of `system|code`; of SNOMED CT when there is no system."""
    system, _, value = word.rpartition("|")
    return {"coding": [{"system": system or SCT, "code": value, "display": f"code {value}"}]}


def to(name: str) -> Tree:
    """A reference with words."""
    return {"reference": name, "display": f"naar {name}"}


ME = to("Patient/p")


def made(type_: str, id_: str, **members: Any) -> Tree:
    """A resource of the client, with a profile as every resource of a service has."""
    return {"resourceType": type_, "id": id_, "meta": PROFILE, **members}


def measured(id_: str, what: str, day: str = "2026-03-01", **more: Any) -> Tree:
    """An Observation of a code on a day."""
    noon = f"{day}T12:00:00+01:00"
    return observation(
        id_, code=code(what), effectiveDateTime=noon, meta=PROFILE, subject=ME, **more
    )


def of(category: str) -> list[Tree]:
    """Categories of an Observation."""
    return [code(category)]


def used(id_: str, type_: str, category: str, start: str, **more: Any) -> Tree:
    """A building block of medication, with its period of use and its treatment."""
    period = {"start": start, "end": f"{start[:4]}-12-31"}
    treatment = {"system": "urn:oid:1.2.3", "value": f"MBH-{id_}"}
    extension = [
        {"url": f"{NICTIZ}/zib-Medication-PeriodOfUse", "valuePeriod": period},
        {"url": f"{NICTIZ}/zib-Medication-MedicationTreatment", "valueIdentifier": treatment},
    ]
    named = [{"system": "urn:oid:1.2.4", "value": id_}]
    concept = code(category)
    members = {"identifier": named, "extension": extension, "subject": ME}
    members |= {"category": concept, "medicationReference": to("Medication/paracetamol")}
    return made(type_, id_, **members, **more)


PEOPLE = (
    made("Patient", "p", identifier=[BSN], generalPractitioner=[to("Practitioner/gp")],
         name=[{"family": "Berg"}]),
    made("Practitioner", "gp", name=[{"family": "De Wit"}]),
    made("Practitioner", "loose-x", name=[{"family": "Vreemd"}]),
    made("Organization", "insurer", name="De Zekerheid"),
    made("Medication", "paracetamol", code=code(f"{PRK}|3956")),
    made("Medication", "loose-m-x", code=code(f"{PRK}|1")),
    made("Device", "chair", type=code("228869008")),
    made("Specimen", "blood", subject=ME, type=code("119297000")),
)  # fmt: skip
RESULTS = (
    measured("lab-old", "1", "2026-01-01", category=of("275711006")),
    measured("lab-new", "1", "2026-02-01", category=of("275711006"), specimen=to("Specimen/blood"),
             related=[{"type": "has-member", "target": to("Observation/lab-part")}]),
    measured("lab-part", "2", category=of("1-x")),
    measured("lab46", "3", category=of("49581000146104")),
    measured("walk", "4", category=of("118228005")),
    measured("mood", "5", category=of("384821006")),
    measured("survey", "6", category=of(f"{OBSERVED}|survey")),
    measured("vital", "7", category=of(f"{OBSERVED}|vital-signs")),
    measured("none-x", "8"),
    measured("bp-old", f"{LOINC}|85354-9", "2026-01-01"),
    measured("bp-new", f"{LOINC}|85354-9", "2026-02-01"),
    measured("weight", f"{LOINC}|29463-7"),
    measured("height", f"{LOINC}|8302-2"),
    measured("lying", f"{LOINC}|8306-3"),
    measured("standing", f"{LOINC}|8308-9"),
    measured("home", "365508006"),
    measured("drugs", "228366006"),
    measured("drink", "228273003"),
    measured("smoke", "365980008"),
    measured("ggz-a", "314845004"),
    measured("ggz-b", "365470003"),
    measured("warm", f"{LOINC}|8310-5"),
    measured("breath", "422834003"),
    measured("fluid", "364396009"),
    measured("pulse", f"{LOINC}|8893-0"),
    measured("daily", "11591000146107"),
    measured("nhg-old", f"{NHG}|523", "2025-01-01"),
    measured("nhg-new", f"{NHG}|524", "2026-01-01"),
)  # fmt: skip
DRUGS = (
    used("ma", "MedicationRequest", "16076005", "2026-01-01", intent="order"),
    used("ma-old", "MedicationRequest", "16076005", "2024-01-01", intent="order"),
    used("vv", "MedicationRequest", "52711000146108", "2026-01-01", intent="order"),
    used("mr-x", "MedicationRequest", "1", "2026-01-01", intent="order"),
    used("ta", "MedicationDispense", "422037009", "2026-01-01"),
    used("mve", "MedicationDispense", "373784005", "2026-01-01",
         whenHandedOver="2026-01-05T12:00:00+01:00"),
    used("md-x", "MedicationDispense", "1", "2026-01-01"),
    used("mgb", "MedicationStatement", f"{USE}|6", "2026-01-01", status="active", taken="y"),
    used("ms-x", "MedicationStatement", f"{USE}|5", "2026-01-01", status="active", taken="y"),
)  # fmt: skip
CARE = (
    made("Coverage", "insured", payor=[to("Organization/insurer")], beneficiary=ME),
    *(made("Consent", id_, status="active", category=[code(category)], patient=ME,
           policy=[{"uri": "https://example.org/policy"}])
      for id_, category in (("treat", "11291000146105"), ("will", "11341000146107"),
                            ("consent-x", "1"))),
    made("Condition", "problem", subject=ME, code=code("44054006")),
    made("NutritionOrder", "diet", patient=ME, dateTime="2026-01-01"),
    made("Flag", "alert", status="active", subject=ME, code=code("1")),
    made("AllergyIntolerance", "drug", patient=ME, verificationStatus="confirmed",
         category=["medication"], code=code("1")),
    made("AllergyIntolerance", "nuts", patient=ME, verificationStatus="confirmed",
         category=["food"], code=code("2")),
    made("DeviceUseStatement", "wheels", status="active", subject=ME, device=to("Device/chair")),
    made("Immunization", "jab", status="completed", notGiven=False, patient=ME,
         vaccineCode=code("1"), primarySource=True),
    made("Immunization", "jab-x", status="entered-in-error", notGiven=False, patient=ME,
         vaccineCode=code("1"), primarySource=True),
    made("Procedure", "surgery", status="completed", subject=ME, category=code("387713003")),
    made("Procedure", "talk", status="completed", subject=ME, category=code("1")),
    *(made("Encounter", id_, status="finished", subject=ME,
           **{"class": {"system": ACT, "code": kind, "display": kind}})
      for id_, kind in (("stay", "IMP"), ("acute", "ACUTE"), ("other", "NONAC"),
                        ("clinic", "AMB"))),
    *(made("ProcedureRequest", id_, status=status, intent="order", subject=ME, code=code("1"))
      for id_, status in (("planned", "active"), ("planned-x", "completed"))),
    made("ImmunizationRecommendation", "advice", patient=ME,
         recommendation=[{"date": "2026-01-01", "forecastStatus": code("due")}]),
    *(made("DeviceRequest", id_, status=status, intent=code("order"), subject=ME,
           codeReference=to("Device/chair"))
      for id_, status in (("wanted", "active"), ("wanted-x", "completed"))),
    *(made("Appointment", id_, status=status, start=f"2026-04-{day}T10:00:00+02:00",
           end=f"2026-04-{day}T10:30:00+02:00", participant=[{"actor": ME, "status": "accepted"}])
      for id_, status, day in (("booked", "booked", "01"), ("pending", "pending", "02"),
                               ("cancelled", "cancelled", "03"))),
    made("EpisodeOfCare", "episode", status="active", patient=ME),
    *(made("Composition", id_, status="final", type=code(f"{LOINC}|{kind}"), subject=ME,
           date="2026-01-01T10:00:00+01:00", author=[to("Practitioner/gp")], title="Verslag")
      for id_, kind in (("visit", "67781-5"), ("letter", "18842-5"))),
    made("DiagnosticReport", "report", status="final", subject=ME, code=code("1")),
    made("CareTeam", "team", subject=ME, participant=[{"member": to("Practitioner/gp")}]),
    made("CarePlan", "help", status="active", intent="order", subject=ME,
         category=[code("243114000")]),
    made("CarePlan", "plan", status="active", intent="order", subject=ME,
         category=[code("9632001")],
         activity=[{"outcomeReference": [to("Observation/walk")],
                    "detail": {"status": "in-progress", "goal": [to("Goal/dress")],
                               "extension": [AIDED]}}]),
    made("Goal", "dress", status="in-progress", subject=ME, description={"text": "Aankleden"}),
    made("Goal", "goal-x", status="in-progress", subject=ME, description={"text": "Los"}),
    *(made("DocumentReference", id_, status=status, type=code("1"), subject=ME,
           indexed="2026-01-02T12:00:00+01:00",
           content=[{"attachment": {"contentType": "application/pdf", "url": "Binary/pdf"}}])
      for id_, status in (("document", "current"), ("document-x", "superseded"))),
    made("DocumentManifest", "manifest", status="current", subject=ME,
         created="2026-01-02T12:00:00+01:00",
         content=[{"pReference": to("DocumentReference/document")}]),
    {"resourceType": "Binary", "id": "pdf", "contentType": "application/pdf",
     "content": "JVBERg=="},
    *(made("Task", id_, status=status, intent="proposal", code=code(f"{LOINC}|{kind}"),
           **{"for": ME})
      for id_, status, kind in (("ask", "requested", "74468-0"), ("asked", "completed", "74468-0"),
                                ("task-x", "requested", "1"))),
)  # fmt: skip
DOSSIER: tuple[Tree, ...] = (*PEOPLE, *RESULTS, *DRUGS, *CARE)
