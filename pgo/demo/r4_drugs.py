"""R4 medication of the Medicatieproces 9 building blocks: agreement, dispense, use."""

from __future__ import annotations

from decimal import Decimal

from pgo.demo.book import Book, Period, meta
from pgo.demo.codes import Dose, Drug, concept, quantity, sct
from pgo.demo.shapes import Resource

MP = "http://nictiz.nl/fhir/StructureDefinition/mp-"
EXT = "http://nictiz.nl/fhir/StructureDefinition/ext-"
AGREED = sct("33633005", "medicatieafspraak")
ADMINISTERED = sct("422037009", "toedieningsafspraak")
DISPENSED = sct("373784005", "medicatieverstrekking")
USED = sct("422979000", "medicatiegebruik")


def product(book: Book, drug: Drug, number: str = "") -> Resource:
    """Write the Medication, coded by ATC, which is its number too unless another is given."""
    body = {
        "meta": meta(MP + "PharmaceuticalProduct"),
        "code": concept(drug.code, drug.name),
        "status": "active",
    }
    return book.write("Medication", number or drug.code.code.lower(), drug.name, body)


def agreement(
    book: Book, number: str, drug: Drug, dose: Dose, period: Period, *,
    by: Resource, medication: Resource, about: Resource | None = None,
) -> Resource:  # fmt: skip
    """Write a MedicationRequest (medicatieafspraak); a period that ended is completed."""
    body: Resource = {
        "meta": meta(MP + "MedicationAgreement"),
        "extension": _extensions(book, number, dose, period),
        "status": "completed" if period.end else "active",
        "intent": "order",
        "category": [concept(AGREED)],
        "medicationReference": medication,
        "subject": book.subject,
        "authoredOn": period.start,
        "requester": by,
        "dosageInstruction": [dosage(drug, dose)],
    }
    if about:
        body["reasonReference"] = [about]
    return book.write("MedicationRequest", number, drug.name, body)


def administration(
    book: Book, number: str, drug: Drug, dose: Dose, period: Period, *,
    medication: Resource,
) -> Resource:  # fmt: skip
    """Write a MedicationDispense (toedieningsafspraak): what the pharmacy put on the label."""
    body = {
        "meta": meta(MP + "AdministrationAgreement"),
        "extension": _extensions(book, number, dose, period),
        "status": "completed" if period.end else "in-progress",
        "category": concept(ADMINISTERED),
        "medicationReference": medication,
        "subject": book.subject,
        "performer": [{"actor": book.sender}],
        "dosageInstruction": [dosage(drug, dose)],
    }
    return book.write("MedicationDispense", f"ta-{number}", drug.name, body)


def handed_over(
    book: Book, number: str, drug: Drug, when: str, amount: tuple[str, str], *,
    medication: Resource,
) -> Resource:  # fmt: skip
    """Write a MedicationDispense (verstrekking) of `amount` = (value, UCUM unit) for 30 days."""
    body = {
        "meta": meta(MP + "MedicationDispense"),
        "status": "completed",
        "category": concept(DISPENSED),
        "medicationReference": medication,
        "subject": book.subject,
        "performer": [{"actor": book.sender}],
        "quantity": quantity(*amount),
        "daysSupply": quantity("30", "d"),
        "whenHandedOver": when,
    }
    return book.write("MedicationDispense", f"mve-{number}", drug.name, body)


def use(
    book: Book, number: str, drug: Drug, dose: Dose, period: Period, *,
    medication: Resource,
) -> Resource:  # fmt: skip
    """Write a MedicationStatement (medicatiegebruik), as told to the organisation."""
    body = {
        "meta": meta(MP + "MedicationUse2"),
        "status": "completed" if period.end else "active",
        "category": concept(USED),
        "medicationReference": medication,
        "subject": book.subject,
        "effectivePeriod": period.fhir(),
        "dateAsserted": period.start,
        "informationSource": book.sender,
        "dosage": [dosage(drug, dose)],
    }
    return book.write("MedicationStatement", number, drug.name, body)


def dosage(drug: Drug, dose: Dose) -> Resource:
    """The R4 Dosage: words, timing and amount."""
    repeat: Resource = {"frequency": dose.times, "period": Decimal(1), "periodUnit": dose.period}
    if dose.at:
        repeat["when"] = list(dose.at)
    body: Resource = {
        "text": dose.text,
        "timing": {"repeat": repeat},
        "doseAndRate": [{"doseQuantity": quantity(dose.amount, drug.unit)}],
    }
    if dose.needed:
        body["asNeededCodeableConcept"] = {"text": dose.needed}
    return body


def _extensions(book: Book, number: str, dose: Dose, period: Period) -> list[Resource]:
    treatment = {
        "system": f"{book.organisation.system}/behandeling",
        "value": f"{book.client['id']}-mbh-{number}",
    }
    return [
        {"url": EXT + "TimeInterval.Period", "valuePeriod": period.fhir()},
        {"url": EXT + "PharmaceuticalTreatment.Identifier", "valueIdentifier": treatment},
        {"url": EXT + "RenderedDosageInstruction", "valueString": dose.text},
    ]
