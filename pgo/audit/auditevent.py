"""An audit line as FHIR R4 AuditEvent, after the NEN 7513 table and IHE BALP. Pure.

BALP (https://profiles.ihe.net/ITI/BALP) is claimed in `meta.profile` only for what it describes:
interactions that went well. One deliberate difference: it asks for the last 32 characters of an
opaque token, which would be most of the secret; here is the beginning of its SHA-256.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pgo.audit.catalogue import Event, event
from pgo.audit.entry import OK, Entry
from pgo.plain.clean import clean

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_BALP: Final = "https://profiles.ihe.net/ITI/BALP/"
_TYPES: Final = "http://hl7.org/fhir/resource-types"
_OWN: Final = "urn:pgo:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FAMILY: Final = {
    "rest": (_TERMINOLOGY + "audit-event-type", "rest", "RESTful Operation"),
    "operation": (_TERMINOLOGY + "audit-event-type", "rest", "RESTful Operation"),
    "regie": (_DCM, "110113", "Security Alert"),
    "access": (_DCM, "110114", "User Authentication"),
    "operator": (_DCM, "110100", "Application Activity"),
    "system": (_DCM, "110100", "Application Activity"),
}
_TYPE: Final = {
    "wie-keek": (_DCM, "110101", "Audit Log Used"),
    "audit-export": (_DCM, "110101", "Audit Log Used"),
    "audit-verify": (_DCM, "110101", "Audit Log Used"),
    "export": (_DCM, "110106", "Export"),
    "import": (_DCM, "110107", "Import"),
}
_SUBTYPE: Final = {
    "login": (_DCM, "110122", "Login"),
    "logout": (_DCM, "110123", "Logout"),
    "emergency": (_DCM, "110127", "Emergency Override Started"),
}
_PROFILE: Final = {
    "read": "IHE.BasicAudit.PatientRead",
    "vread": "IHE.BasicAudit.PatientRead",
    "search-type": "IHE.BasicAudit.PatientQuery",
    "search-system": "IHE.BasicAudit.PatientQuery",
    "create": "IHE.BasicAudit.PatientCreate",
    "update": "IHE.BasicAudit.PatientUpdate",
    "patch": "IHE.BasicAudit.PatientUpdate",
    "delete": "IHE.BasicAudit.PatientDelete",
}
_LIFECYCLE: Final = {
    "C": ("1", "Origination / Creation"),
    "R": ("6", "Access / Use"),
    "U": ("3", "Amendment"),
}
_SOURCE: Final = (_DCM, "110153", "Source Role ID")
_DESTINATION: Final = (_DCM, "110152", "Destination Role ID")
_APPLICATION: Final = (_DCM, "110150", "Application")
_CUSTODIAN: Final = (_TERMINOLOGY + "provenance-participant-type", "custodian", "Custodian")
_READER: Final = (_TERMINOLOGY + "v3-ParticipationType", "IRCP", "information recipient")
_AUTHOR: Final = (_TERMINOLOGY + "v3-ParticipationType", "AUT", "author")
_RESPONSIBLE: Final = (_TERMINOLOGY + "v3-ParticipationType", "RESP", "responsible party")
_PERSON: Final = (_TERMINOLOGY + "audit-entity-type", "1", "Person")
_OBJECT: Final = (_TERMINOLOGY + "audit-entity-type", "2", "System Object")
_OTHER: Final = (_TERMINOLOGY + "audit-entity-type", "4", "Other")
_WEB_SERVER: Final = (_TERMINOLOGY + "security-source-type", "3", "Web Server")
Code = tuple[str, str, str]


def audit_event(
    entry: Entry, client: str, *, patient: str = "", server: str = ""
) -> dict[str, Any]:
    """The line as an AuditEvent (http://hl7.org/fhir/R4/auditevent.html), a plain tree.

    Args:
        entry: a line as `Trail.read` gives it (with its id).
        client: id of the dossier, or "system".
        patient: id of the dossier's R4 Patient, when it has one.
        server: public address of this server.
    """
    entry = _cleaned(entry)
    kind = event(entry.interaction)
    profile = _profile(entry, server)
    emergency = [_concept(_reason(entry.emergency_code))] if entry.emergency_code else []
    return _full(
        {
            "resourceType": "AuditEvent",
            "id": entry.id,
            "meta": _full({"profile": [profile] if profile else []}),
            "type": _coding(_TYPE.get(entry.interaction, _FAMILY[kind.family])),
            "subtype": _subtypes(entry, kind),
            "action": entry.code,
            "recorded": _instant(entry.at),
            "outcome": str(entry.outcome),
            "outcomeDesc": entry.reason,
            "purposeOfEvent": emergency,
            "agent": _agents(entry, server),
            "source": _source(server),
            "entity": _entities(entry, client, patient),
        }
    )


def _cleaned(entry: Entry) -> Entry:
    """Without control characters in what people wrote: FHIR strings have none."""
    texts = ("name", "org_name", "app_name", "on_behalf_of_name", "emergency_reason")
    fit: dict[str, Any] = {field: clean(getattr(entry, field), 1_000) for field in texts}
    return replace(entry, **fit)


def _profile(entry: Entry, server: str) -> str:
    """The BALP profile this line fulfils, or ""."""
    name = _PROFILE.get(entry.interaction, "")
    whole = bool(name and entry.outcome == OK and entry.address and server and entry.app)
    one_thing = "Query" in name or len(entry.resources) == 1
    asked = "Query" not in name or bool(entry.query)
    fits = whole and one_thing and asked
    return f"{_BALP}StructureDefinition/{name}" if fits else ""


def _subtypes(entry: Entry, kind: Event) -> list[dict[str, Any]]:
    if kind.family == "rest":
        codes = [("http://hl7.org/fhir/restful-interaction", kind.name, kind.name)]
    else:
        codes = [(_OWN + "audit", kind.name, kind.name)]
    if kind.name in _SUBTYPE:
        codes.append(_SUBTYPE[kind.name])
    elif entry.emergency_code:
        codes.append(_SUBTYPE["emergency"])
    return [_coding(code) for code in codes]


# --- who ---------------------------------------------------------------------------------------


def _agents(entry: Entry, server: str) -> list[dict[str, Any]]:
    client_end, server_end = _ends(entry)
    agents = [_user(entry)] if entry.person else []
    if entry.on_behalf_of:
        whom = _named("account", entry.on_behalf_of, entry.on_behalf_of_name)
        agents.append({"type": _concept(_RESPONSIBLE), "who": whom, "requestor": False})
    if entry.org:
        whom = _named("organisatie", entry.org, entry.org_name)
        agents.append({"type": {"text": "organisatie"}, "who": whom, "requestor": False})
    agents.append(_app(entry, client_end))
    agents.append(
        _full(
            {
                "type": _concept(server_end),
                "who": {"display": server or "pgo"},
                "requestor": False,
                "network": {"address": server, "type": "5"} if server else {},
            }
        )
    )
    return agents


def _ends(entry: Entry) -> tuple[Code, Code]:
    """The roles of app and server: who sends and who receives (as BALP has it)."""
    if entry.code == "R":
        return _DESTINATION, _SOURCE
    if entry.code == "D":
        return _APPLICATION, _CUSTODIAN
    return _SOURCE, _DESTINATION


def _user(entry: Entry) -> dict[str, Any]:
    roles = [("kind", entry.kind), ("role", entry.role)]
    policies = [f"{_OWN}toestemming:{grant}" for grant in entry.grants]
    if entry.policy:
        policies.append(f"{_OWN}policy:{entry.policy}")
    changes = entry.code in {"C", "U", "D"}
    return _full(
        {
            "type": _concept(_AUTHOR if changes else _READER),
            "role": [_concept((_OWN + name, code, code)) for name, code in roles if code],
            "who": _named("account", entry.person, entry.name),
            "name": entry.name,
            "requestor": True,
            "policy": policies,
            "purposeOfUse": [_concept(_reason(entry.purpose))] if entry.purpose else [],
        }
    )


def _app(entry: Entry, end: Code) -> dict[str, Any]:
    return _full(
        {
            "type": _concept(end),
            "who": _named("app", entry.app or "onbekend", entry.app_name),
            "name": entry.app_name,
            "requestor": not entry.person,
            "policy": [f"{_OWN}token-sha256:{entry.token}"] if entry.token else [],
            "network": {"address": entry.address, "type": "2"} if entry.address else {},
        }
    )


def _source(server: str) -> dict[str, Any]:
    who = {"display": server or "pgo"}
    return _full({"site": server, "observer": who, "type": [_coding(_WEB_SERVER)]})


# --- what --------------------------------------------------------------------------------------


def _entities(entry: Entry, client: str, patient: str) -> list[dict[str, Any]]:
    found = [_patient(client, patient)] if client != "system" else []
    found += [_data(entry, name) for name in entry.resources]
    if entry.query:
        asked = b64encode(entry.query.encode("utf-8", "backslashreplace")).decode()
        found.append({"type": _coding(_OBJECT), "role": _role("24", "Query"), "query": asked})
    if entry.request:
        kind = (_BALP + "CodeSystem/BasicAuditEntityType", "XrequestId", "X-Request-Id")
        found.append({"type": _coding(kind), "what": {"identifier": {"value": entry.request}}})
    for grant in entry.grants:
        what = {"type": "Consent", "identifier": {"system": _OWN + "toestemming", "value": grant}}
        found.append({"type": _coding((_TYPES, "Consent", "Consent")), "what": what})
    details = _details(entry)
    if details:
        found.append({"type": _coding(_OTHER), "name": entry.interaction, "detail": details})
    return found


def _patient(client: str, patient: str) -> dict[str, Any]:
    what: dict[str, Any] = {
        "type": "Patient",
        "identifier": {"system": _OWN + "dossier", "value": client},
    }
    if patient:
        what["reference"] = f"Patient/{patient}"
    return {"what": what, "type": _coding(_PERSON), "role": _role("1", "Patient")}


def _data(entry: Entry, name: str) -> dict[str, Any]:
    """One resource; typed by its own type where BALP keeps "System Object" for the query."""
    address, _, version = name.partition("@")
    type_ = address.partition("/")[0]
    alone = entry.code != "E" and len(entry.resources) == 1
    code = _LIFECYCLE.get(entry.code)
    life = _coding((_TERMINOLOGY + "dicom-audit-lifecycle", *code)) if code else {}
    confidentiality = _TERMINOLOGY + "v3-Confidentiality"
    labels = [_coding((_label_system(each, confidentiality), each, each)) for each in entry.labels]
    return _full(
        {
            "what": {"reference": f"{address}/_history/{version}" if version else address},
            "type": _coding(_OBJECT if alone else (_TYPES, type_, type_)),
            "role": _role("4", "Domain Resource"),
            "lifecycle": life,
            "securityLabel": labels if len(entry.resources) == 1 else [],
        }
    )


def _label_system(label: str, confidentiality: str) -> str:
    if len(label) == 1:
        return confidentiality
    return _TERMINOLOGY + "v3-ActCode" if label.isupper() else _OWN + "zegel"


def _details(entry: Entry) -> list[dict[str, str]]:
    """What has no place of its own in an AuditEvent, by name."""
    several = entry.labels if len(entry.resources) != 1 else ()
    rows = [(f"categorie:{code}", str(count)) for code, count in entry.categories]
    rows += [("label", label) for label in several]
    rows += [("verplichting", each) for each in entry.obligations]
    rows += [
        ("aantal", str(entry.touched) if entry.touched else ""),
        ("noodtoegang", entry.emergency_reason),
        ("release", entry.release),
        ("type", entry.type_),
        ("commit", str(entry.n) if entry.n else ""),
        ("status", str(entry.status) if entry.status else ""),
        ("reden", entry.reason),
        ("toelichting", entry.note),
    ]
    return [{"type": name, "valueString": value} for name, value in rows if value]


# --- small pieces ------------------------------------------------------------------------------


def _named(system: str, value: str, display: str) -> dict[str, Any]:
    return _full({"identifier": {"system": _OWN + system, "value": value}, "display": display})


def _reason(code: str) -> Code:
    return _TERMINOLOGY + "v3-ActReason", code, code


def _role(code: str, display: str) -> dict[str, str]:
    return _coding((_TERMINOLOGY + "object-role", code, display))


def _coding(code: Code) -> dict[str, str]:
    return {"system": code[0], "code": code[1], "display": code[2]}


def _concept(code: Code) -> dict[str, Any]:
    return {"coding": [_coding(code)]}


def _instant(at: int) -> str:
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _full(tree: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: FHIR has no empty strings, lists or objects."""
    return {name: value for name, value in tree.items() if value not in ("", [], {}, None)}
