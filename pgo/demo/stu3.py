"""STU3 resources of long-term care, in the shape of the zib 2017 profiles (BgLZ)."""

from __future__ import annotations

from decimal import Decimal

from pgo.demo.book import Book, Clinician, Period, meta
from pgo.demo.codes import TESTS, VITALS, Code, Dose, Drug, coding, concept, quantity, sct
from pgo.demo.r4_results import Draw, outside, reference_range
from pgo.demo.shapes import Resource

ZIB = "http://nictiz.nl/fhir/StructureDefinition/zib-"
CORE = "http://fhir.nl/fhir/StructureDefinition/nl-core-"
HL7 = "http://hl7.org/fhir/"
V3 = "http://hl7.org/fhir/v3/"


def begin(book: Book) -> Book:
    """Write the organisation's own Patient and Organization; answers the book."""
    client, organisation = book.client, book.organisation
    body = {
        "meta": meta(CORE + "patient"),
        "active": True,
        "name": [{"use": "official", "family": client["family"], "given": [client["given"]]}],
        "gender": client["gender"],
        "birthDate": client["birth"],
    }
    book.subject = book.write("Patient", "1", client["name"], body)
    home = {
        "meta": meta(CORE + "organization"),
        "identifier": [{"system": organisation.system, "value": organisation.id}],
        "name": organisation.name,
        "telecom": [{"system": "phone", "value": organisation.phone, "use": "work"}],
    }
    book.sender = book.write("Organization", "1", organisation.name, home)
    return book


def clinician(book: Book, who: Clinician) -> Resource:
    """Write Practitioner and PractitionerRole; answers a reference to the Practitioner."""
    person = {
        "meta": meta(CORE + "practitioner"),
        "identifier": [{"system": book.organisation.system, "value": f"medewerker-{who.key}"}],
        "name": [{"use": "official", "family": who.family, "given": [who.given]}],
    }
    practitioner = book.write("Practitioner", who.key, who.name, person)
    role = {
        "meta": meta(CORE + "practitionerrole"),
        "identifier": [{"system": book.organisation.system, "value": f"rol-{who.key}"}],
        "practitioner": practitioner,
        "organization": book.sender,
        "specialty": [concept(who.role)],
    }
    book.write("PractitionerRole", who.key, f"{who.name}, {who.role.display}", role)
    return practitioner


def problem(book: Book, number: str, code: Code, onset: str, *, by: Resource) -> Resource:
    """Write a Condition (zib-Problem), active and confirmed."""
    body = {
        "meta": meta(ZIB + "Problem"),
        "clinicalStatus": "active",
        "verificationStatus": "confirmed",
        "category": [concept(sct("282291009", "diagnose"))],
        "code": concept(code),
        "subject": book.subject,
        "onsetDateTime": onset,
        "asserter": by,
    }
    return book.write("Condition", number, code.display, body)


def goal(book: Book, number: str, text: str, since: str, *, about: Resource) -> Resource:
    """Write a Goal (zib-TreatmentObjective) for a problem."""
    body = {
        "meta": meta(ZIB + "TreatmentObjective"),
        "status": "in-progress",
        "description": {"text": text},
        "subject": book.subject,
        "startDate": since,
        "addresses": [about],
    }
    return book.write("Goal", number, text, body)


def plan(
    book: Book,
    number: str,
    title: str,
    period: Period,
    *,
    by: Resource,
    about: list[Resource],
    goals: list[Resource],
    steps: list[tuple[str, str]],
) -> Resource:
    """Write a CarePlan; `steps` are (what is done, how often as `3/d` or `1/wk`)."""
    body = {
        "meta": meta(CORE + "careplan"),
        "status": "active",
        "intent": "plan",
        "title": title,
        "subject": book.subject,
        "period": period.fhir(),
        "author": [by],
        "addresses": about,
        "goal": goals,
        "activity": [_step(goals[0], text, rate) for text, rate in steps],
    }
    return book.write("CarePlan", number, title, body)


def _step(goal_: Resource, text: str, rate: str) -> Resource:
    times, unit = rate.split("/")
    repeat = {"frequency": int(times), "period": Decimal(1), "periodUnit": unit}
    detail = {
        "category": concept(sct("9632001", "verpleegkundige verrichting")),
        "status": "in-progress",
        "goal": [goal_],
        "scheduledTiming": {"repeat": repeat},
        "description": text,
    }
    return {"detail": detail}


def team(book: Book, number: str, name: str, members: list[tuple[str, Resource]]) -> Resource:
    """Write a CareTeam of (role in words, reference)."""
    body = {
        "meta": meta(CORE + "careteam"),
        "status": "active",
        "name": name,
        "subject": book.subject,
        "participant": [{"role": {"text": role}, "member": who} for role, who in members],
        "managingOrganization": [book.sender],
    }
    return book.write("CareTeam", number, name, body)


def contact(book: Book, number: str, name: str, role: Code, *, phone: str) -> Resource:
    """Write a RelatedPerson."""
    given, family = name.split(" ", 1)
    body = {
        "meta": meta(CORE + "relatedperson"),
        "active": True,
        "patient": book.subject,
        "relationship": concept(role),
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": phone, "use": "mobile"}],
    }
    return book.write("RelatedPerson", number, name, body)


def report(book: Book, number: str, text: str, when: str, *, by: Resource) -> Resource:
    """Write a daily nursing report (Observation, lz-NursingReport)."""
    body = {
        "meta": meta("http://medmij.nl/fhir/StructureDefinition/lz-NursingReport"),
        "status": "final",
        "code": concept(sct("11591000146107", "patiëntcontactverslag")),
        "subject": book.subject,
        "effectiveDateTime": when,
        "performer": [by],
        "valueString": text,
    }
    return book.write("Observation", number, "dagrapportage", body)


def vital(book: Book, number: str, key: str, value: str, *, when: str) -> Resource:
    """Write a measurement from `codes.VITALS`."""
    code, unit, profile = VITALS[key]
    profile = {"O2Saturation": "OxygenSaturation"}.get(profile, profile)
    signs = Code(HL7 + "observation-category", "vital-signs", "vitale functies")
    body = {
        "meta": meta(ZIB + profile),
        "status": "final",
        "category": [concept(signs)],
        "code": concept(code),
        "subject": book.subject,
        "effectiveDateTime": when,
        "performer": [book.sender],
        "valueQuantity": quantity(value, unit),
    }
    return book.write("Observation", number, code.display, body)


def draw(book: Book, taken: Draw) -> None:
    """Write the laboratory Observations of one day (MedMij laboratory 2.0)."""
    finding = sct("49581000146104", "laboratoriumbevinding")
    for key, value in taken.values.items():
        test = TESTS[key]
        flag = outside(test, value)
        body: Resource = {
            "meta": meta(ZIB + "LaboratoryTestResult-Observation"),
            "status": "final",
            "category": [concept(finding), concept(test.kind)],
            "code": concept(test.code),
            "subject": book.subject,
            "effectiveDateTime": taken.when,
            "performer": [book.sender],
            "valueQuantity": quantity(value, test.unit),
            "referenceRange": [reference_range(test)],
        }
        if flag:
            body["interpretation"] = concept(flag)
        book.write("Observation", f"lab-{key}-{taken.number}", test.code.display, body)


def agreement(
    book: Book, number: str, drug: Drug, dose: Dose, period: Period, *, by: Resource
) -> Resource:
    """Write a MedicationRequest (zib-MedicationAgreement)."""
    extension = "http://nictiz.nl/fhir/StructureDefinition/zib-Medication-PeriodOfUse"
    body = {
        "meta": meta(ZIB + "MedicationAgreement"),
        "extension": [{"url": extension, "valuePeriod": period.fhir()}],
        "status": "completed" if period.end else "active",
        "intent": "order",
        "category": concept(sct("16076005", "medicatieafspraak")),
        "medicationCodeableConcept": concept(drug.code, drug.name),
        "subject": book.subject,
        "authoredOn": period.start,
        "requester": {"agent": by},
        "dosageInstruction": [dosage(drug, dose)],
    }
    return book.write("MedicationRequest", number, drug.name, body)


def use(book: Book, number: str, drug: Drug, dose: Dose, period: Period) -> Resource:
    """Write a MedicationStatement (zib-MedicationUse), as told to the organisation."""
    used = Code("urn:oid:2.16.840.1.113883.2.4.3.11.60.20.77.5.3", "6", "medicatiegebruik")
    body = {
        "meta": meta(ZIB + "MedicationUse"),
        "status": "completed" if period.end else "active",
        "category": concept(used),
        "medicationCodeableConcept": concept(drug.code, drug.name),
        "subject": book.subject,
        "effectivePeriod": period.fhir(),
        "dateAsserted": period.start,
        "informationSource": book.sender,
        "taken": "y",
        "dosage": [dosage(drug, dose)],
    }
    return book.write("MedicationStatement", number, drug.name, body)


def dosage(drug: Drug, dose: Dose) -> Resource:
    """The STU3 Dosage: words, timing and amount."""
    repeat: Resource = {"frequency": dose.times, "period": Decimal(1), "periodUnit": dose.period}
    if dose.at:
        repeat["when"] = list(dose.at)
    body: Resource = {
        "text": dose.text,
        "timing": {"repeat": repeat},
        "doseQuantity": quantity(dose.amount, drug.unit),
    }
    if dose.needed:
        body["asNeededCodeableConcept"] = {"text": dose.needed}
    return body


def encounter(
    book: Book, number: str, kind: str, period: Period, *, by: Resource, reason: str
) -> Resource:
    """Write a finished Encounter; `kind` is AMB, IMP, HH or VR (v3-ActCode)."""
    shown = {"AMB": "ambulant", "IMP": "opname", "HH": "thuis", "VR": "op afstand"}[kind]
    body = {
        "meta": meta(ZIB + "Encounter"),
        "status": "finished",
        "class": coding(Code(V3 + "ActCode", kind, shown)),
        "subject": book.subject,
        "participant": [{"individual": by}],
        "period": period.fhir(),
        "reason": [{"text": reason}],
        "serviceProvider": book.sender,
    }
    return book.write("Encounter", number, reason, body)


def alert(book: Book, number: str, text: str, since: str) -> Resource:
    """Write a Flag (zib-Alert) in words."""
    body = {
        "meta": meta(ZIB + "Alert"),
        "status": "active",
        "category": concept(Code("http://loinc.org", "75323-6", "aandoening")),
        "code": {"text": text},
        "subject": book.subject,
        "period": {"start": since},
    }
    return book.write("Flag", number, text, body)


def directive(book: Book, number: str, text: str, since: str) -> Resource:
    """Write a treatment directive (Consent, behandelaanwijzing) in words."""
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'
    body = {
        "meta": meta(ZIB + "TreatmentDirective"),
        "text": {"status": "generated", "div": narrative},
        "status": "active",
        "category": [concept(sct("11291000146105", "behandelaanwijzing"))],
        "patient": book.subject,
        "dateTime": since,
        "policyRule": "http://wetten.overheid.nl/",
    }
    return book.write("Consent", number, text, body)
