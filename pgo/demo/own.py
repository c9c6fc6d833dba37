"""What a family writes itself: passport sheets, diary, notes about the family (all R4)."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from pgo.demo.codes import Code, concept
from pgo.demo.shapes import Own, Resource

PROFILES = "https://pgo.example/fhir/StructureDefinition/"
KINDS = "https://pgo.example/fhir/CodeSystem/categorie"


def sheet(family: str, author: str, title: str, written: str, answers: dict[str, str]) -> Own:
    """A passport sheet: questions and answers in plain words (QuestionnaireResponse)."""
    items = [
        {"linkId": str(number), "text": question, "answer": [{"valueString": answer}]}
        for number, (question, answer) in enumerate(answers.items(), 1)
    ]
    body: Resource = {
        "resourceType": "QuestionnaireResponse",
        "meta": _meta("paspoort"),
        "identifier": _identifier(family, title),
        "status": "completed",
        "subject": _client(family),
        "authored": written,
        "item": [{"linkId": "titel", "text": title, "item": items}],
    }
    return Own(author, "r4", body)


def entry(family: str, author: str, kind: str, written: str, text: str) -> Own:
    """A dated entry in words; `kind` is dagboek or gezin (Communication)."""
    shown = {"dagboek": "dagboek", "gezin": "notitie over het gezin"}[kind]
    body: Resource = {
        "resourceType": "Communication",
        "meta": _meta(kind),
        "identifier": [_identifier(family, f"{kind} {written}")],
        "status": "completed",
        "category": [concept(Code(KINDS, kind, shown))],
        "subject": _client(family),
        "sent": written,
        "payload": [{"contentString": text}],
    }
    return Own(author, "r4", body)


def _meta(kind: str) -> Resource:
    return {
        "profile": [f"{PROFILES}pgo-{kind}"],
        "tag": [{"system": KINDS, "code": kind, "display": kind}],
    }


def _client(family: str) -> Resource:
    return {"reference": f"Patient/{family}", "display": family.capitalize()}


def _identifier(family: str, title: str) -> Resource:
    value = f"urn:uuid:{uuid5(NAMESPACE_URL, f'{family}|{title}')}"
    return {"system": "urn:ietf:rfc:3986", "value": value}
