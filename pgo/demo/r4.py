"""R4 resources of daily care, in the shape of the nl-core profiles (zib 2020)."""

from __future__ import annotations

from typing import Any

from pgo.demo.book import Book, Clinician, Period, meta
from pgo.demo.codes import HL7, SCT, VITALS, Code, coding, concept, quantity, sct
from pgo.demo.shapes import Organisation, Resource

NL = "http://nictiz.nl/fhir/StructureDefinition/nl-core-"


def begin(book: Book) -> Book:
    """Write the organisation's own Patient and Organization; answers the book."""
    client, organisation = book.client, book.organisation
    body = {
        "meta": meta(NL + "Patient"),
        "active": True,
        "name": [{"use": "official", "family": client["family"], "given": [client["given"]]}],
        "gender": client["gender"],
        "birthDate": client["birth"],
        "address": [{"use": "home", "city": client["city"], "country": "Nederland"}],
    }
    book.subject = book.write("Patient", "1", client["name"], body)
    book.sender = _organization(book, organisation)
    return book


def _organization(book: Book, organisation: Organisation) -> Resource:
    body = {
        "meta": meta(NL + "HealthcareProvider-Organization"),
        "identifier": [{"system": organisation.system, "value": organisation.id}],
        "name": organisation.name,
        "telecom": [{"system": "phone", "value": organisation.phone, "use": "work"}],
        "address": [{"city": organisation.city, "country": "Nederland"}],
    }
    return book.write("Organization", "1", organisation.name, body)


def clinician(book: Book, who: Clinician) -> Resource:
    """Write Practitioner and PractitionerRole; answers a reference to the role."""
    person = {
        "meta": meta(NL + "HealthProfessional-Practitioner"),
        "identifier": [{"system": book.organisation.system, "value": f"medewerker-{who.key}"}],
        "name": [{"use": "official", "family": who.family, "given": [who.given]}],
    }
    practitioner = book.write("Practitioner", who.key, who.name, person)
    shown = f"{who.name}, {who.role.display}"
    role = {
        "meta": meta(NL + "HealthProfessional-PractitionerRole"),
        "identifier": [{"system": book.organisation.system, "value": f"rol-{who.key}"}],
        "practitioner": practitioner,
        "organization": book.sender,
        "specialty": [concept(who.role)],
    }
    return book.write("PractitionerRole", who.key, shown, role)


def problem(
    book: Book, number: str, code: Code, onset: str, *, by: Resource, note: str = ""
) -> Resource:
    """Write a Condition (nl-core-Problem), active and confirmed."""
    status = Code(HL7 + "condition-clinical", "active", "actief")
    sure = Code(HL7 + "condition-ver-status", "confirmed", "bevestigd")
    body: Resource = {
        "meta": meta(NL + "Problem"),
        "clinicalStatus": concept(status),
        "verificationStatus": concept(sure),
        "category": [concept(sct("282291009", "diagnose"))],
        "code": concept(code),
        "subject": book.subject,
        "onsetDateTime": onset,
        "asserter": by,
    }
    return book.write("Condition", number, code.display, body | _note(note))


def allergy(book: Book, number: str, code: Code, since: str, reaction: str) -> Resource:
    """Write an AllergyIntolerance with the reaction in words."""
    status = Code(HL7 + "allergyintolerance-clinical", "active", "actief")
    sure = Code(HL7 + "allergyintolerance-verification", "confirmed", "bevestigd")
    body = {
        "meta": meta(NL + "AllergyIntolerance"),
        "clinicalStatus": concept(status),
        "verificationStatus": concept(sure),
        "category": ["medication"],
        "criticality": "high",
        "code": concept(code),
        "patient": book.subject,
        "onsetDateTime": since,
        "reaction": [{"manifestation": [{"text": reaction}], "description": reaction}],
    }
    return book.write("AllergyIntolerance", number, code.display, body)


def goal(book: Book, number: str, text: str, since: str, about: Resource) -> Resource:
    """Write a Goal (nl-core-TreatmentObjective) for a problem."""
    body = {
        "meta": meta(NL + "TreatmentObjective"),
        "lifecycleStatus": "active",
        "description": {"text": text},
        "subject": book.subject,
        "startDate": since,
        "addresses": [about],
    }
    return book.write("Goal", number, text, body)


def plan(
    book: Book, number: str, title: str, period: Period, *,
    by: Resource, about: list[Resource], goals: list[Resource], steps: list[str],
) -> Resource:  # fmt: skip
    """Write a CarePlan whose activities are `steps` in words."""
    body = {
        "meta": meta(NL + "NursingIntervention"),
        "status": "active",
        "intent": "plan",
        "category": [concept(sct("9632001", "verpleegkundige verrichting"))],
        "title": title,
        "subject": book.subject,
        "period": period.fhir(),
        "author": by,
        "addresses": about,
        "goal": goals,
        "activity": [{"detail": {"status": "in-progress", "description": s}} for s in steps],
    }
    return book.write("CarePlan", number, title, body)


def team(book: Book, number: str, name: str, members: list[tuple[str, Resource]]) -> Resource:
    """Write a CareTeam of (role in words, reference)."""
    body = {
        "meta": meta(NL + "CareTeam"),
        "status": "active",
        "name": name,
        "subject": book.subject,
        "participant": [{"role": [{"text": role}], "member": who} for role, who in members],
        "managingOrganization": [book.sender],
    }
    return book.write("CareTeam", number, name, body)


def contact(book: Book, number: str, name: str, role: Code, phone: str) -> Resource:
    """Write a RelatedPerson (nl-core-ContactPerson)."""
    given, family = name.split(" ", 1)
    body = {
        "meta": meta(NL + "ContactPerson"),
        "active": True,
        "patient": book.subject,
        "relationship": [concept(role)],
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": phone, "use": "mobile"}],
    }
    return book.write("RelatedPerson", number, name, body)


def procedure(
    book: Book, number: str, code: Code, when: str, *,
    by: Resource, about: Resource, note: str = "",
) -> Resource:  # fmt: skip
    """Write a completed Procedure."""
    body: Resource = {
        "meta": meta(NL + "Procedure-event"),
        "status": "completed",
        "code": concept(code),
        "subject": book.subject,
        "performedDateTime": when,
        "performer": [{"actor": by}],
        "reasonReference": [about],
    }
    return book.write("Procedure", number, code.display, body | _note(note))


def encounter(
    book: Book, number: str, kind: str, period: Period, *, by: Resource, reason: str
) -> Resource:
    """Write a finished Encounter; `kind` is AMB, IMP, HH or VR (v3-ActCode)."""
    shown = {"AMB": "ambulant", "IMP": "opname", "HH": "thuis", "VR": "op afstand"}[kind]
    body = {
        "meta": meta(NL + "Encounter"),
        "status": "finished",
        "class": coding(Code(HL7 + "v3-ActCode", kind, shown)),
        "subject": book.subject,
        "participant": [{"individual": by}],
        "period": period.fhir(),
        "reasonCode": [{"text": reason}],
        "serviceProvider": book.sender,
    }
    return book.write("Encounter", number, reason, body)


def vital(book: Book, number: str, key: str, value: str, when: str) -> Resource:
    """Write a measurement from `codes.VITALS`."""
    code, unit, profile = VITALS[key]
    body = _measured(book, code, when) | {"valueQuantity": quantity(value, unit)}
    body["meta"] = meta(NL + profile)
    return book.write("Observation", number, code.display, body)


def blood_pressure(book: Book, number: str, values: str, when: str) -> Resource:
    """Write a blood pressure; `values` is `systolic/diastolic` in mmHg."""
    upper, lower = values.split("/")
    parts = (
        ("8480-6", "systolische bloeddruk", upper),
        ("8462-4", "diastolische bloeddruk", lower),
    )
    body = _measured(book, Code("http://loinc.org", "85354-9", "bloeddruk"), when)
    body["meta"] = meta(NL + "BloodPressure")
    body["component"] = [
        {
            "code": concept(Code("http://loinc.org", code, shown)),
            "valueQuantity": quantity(value, "mm[Hg]"),
        }
        for code, shown, value in parts
    ]
    return book.write("Observation", number, "bloeddruk", body)


def _measured(book: Book, code: Code, when: str) -> dict[str, Any]:
    signs = Code(HL7 + "observation-category", "vital-signs", "vitale functies")
    return {
        "meta": {},
        "status": "final",
        "category": [concept(signs)],
        "code": concept(code),
        "subject": book.subject,
        "effectiveDateTime": when,
        "performer": [book.sender],
    }


def alert(book: Book, number: str, text: str, since: str) -> Resource:
    """Write a Flag (nl-core-Alert) in words."""
    absent = Code(HL7 + "data-absent-reason", "not-applicable", "niet van toepassing")
    body = {
        "meta": meta(NL + "Alert"),
        "status": "active",
        "category": [concept(Code("http://loinc.org", "75323-6", "aandoening"))],
        "code": concept(absent, text),
        "subject": book.subject,
        "period": {"start": since},
    }
    return book.write("Flag", number, text, body)


def directive(book: Book, number: str, what: Code, since: str, text: str) -> Resource:
    """Write a treatment directive (Consent): yes, but as `text` says."""
    oid = "urn:oid:2.16.840.1.113883.2.4.3.11.60.40.4.14"
    body = {
        "meta": meta(NL + "TreatmentDirective2"),
        "status": "active",
        "scope": concept(Code(HL7 + "consentscope", "treatment", "behandeling")),
        "category": [concept(Code(SCT, "129125009", "verrichting met expliciete context"))],
        "patient": book.subject,
        "dateTime": since,
        "policyRule": {"text": text},
        "provision": {"type": "permit", "code": [concept(what), concept(_but(oid))]},
    }
    return book.write("Consent", number, what.display, body)


def _but(oid: str) -> Code:
    return Code(oid, "JA_MAAR", "ja, maar met beperkingen")


def vaccination(book: Book, number: str, code: Code, when: str) -> Resource:
    """Write an Immunization."""
    body = {
        "meta": meta(NL + "Vaccination-event"),
        "status": "completed",
        "vaccineCode": concept(code),
        "patient": book.subject,
        "occurrenceDateTime": when,
        "performer": [{"actor": book.sender}],
    }
    return book.write("Immunization", number, code.display, body)


def appointment(book: Book, number: str, text: str, period: Period) -> Resource:
    """Write a booked Appointment."""
    body = {
        "status": "booked",
        "description": text,
        "start": period.start,
        "end": period.end,
        "participant": [
            {"actor": book.subject, "status": "accepted"},
            {"actor": book.sender, "status": "accepted"},
        ],
    }
    return book.write("Appointment", number, text, body)


def _note(text: str) -> Resource:
    return {"note": [{"text": text}]} if text else {}
