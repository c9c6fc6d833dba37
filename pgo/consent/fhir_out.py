"""A grant as FHIR Consent R4, a relation as RelatedPerson (consent.md §7); pure, decides nothing.

Nothing computes with what is made here: the model does. `fhir_in` reads it back without loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from pgo.consent import fhir_systems as systems
from pgo.consent import fhir_times, moments
from pgo.consent.model import Grant, Grantee, Level, Relation

Tree = dict[str, Any]
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_STATUSES: Final = frozenset({"active", "proposed", "inactive", "rejected", "entered-in-error"})
_PRACTITIONERS: Final = frozenset({"copiloot", "zorgverlener", "systeem"})


@dataclass(frozen=True, slots=True)
class Named:
    """What a projection needs to know besides the rules.

    `client` is the client's person id, `patient` the id of his Patient; `kinds` and `names` are
    by person, organisation or team id, as far as they are known; `policy` the policy's version.
    """

    client: str
    patient: str
    policy: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def consent_id(grant_id: str) -> str:
    """The id of a grant's Consent: its own, or one made of it when FHIR does not allow that."""
    return (
        grant_id if _ID.fullmatch(grant_id) else f"k-{sha256(grant_id.encode()).hexdigest()[:40]}"
    )


def consent_of(grant: Grant, known: Named, narrative: str = "") -> Tree:
    """The Consent of a grant; `narrative` is its text, as XHTML."""
    tree: Tree = {
        "resourceType": "Consent",
        "id": consent_id(grant.id),
        "meta": {"profile": [systems.PROFILE]},
        "text": {"status": "generated", "div": narrative} if narrative else None,
        "extension": _extensions(grant),
        "modifierExtension": _unreadable(grant),
        "identifier": [{"system": systems.GRANT, "value": grant.id}],
        "status": _status(grant),
        "scope": _concept(systems.SCOPE, systems.PRIVACY),
        "category": [
            _concept(systems.LOINC, systems.CONSENT_FORM),
            _concept(systems.KINDS, kind_of(grant)),
        ],
        "patient": {"reference": f"Patient/{known.patient}"},
        "dateTime": fhir_times.written(grant.made) if grant.made else None,
        "performer": [person_reference(grant.by, known)] if grant.by else None,
        "sourceReference": _parent(grant),
        "policy": [{"uri": f"{systems.POLICY}/{known.policy}" if known.policy else systems.POLICY}],
        "provision": _provision(grant, known),
    }
    return _filled(tree)


def ending_of(grant: Grant, version: int, by: str, at: str, known: Named) -> Tree:
    """The Provenance of a grant's end: who ended it, when (an instant), and which version says so.

    Args:
        grant: as it is now, with a status that ends it.
        version: of the Consent that shows the end.
        by: the person who ended it; one who has no account is named by identifier only.
        at: the moment, as an instant.
        known: what the projection knows.
    """
    who: Tree = {"identifier": {"system": systems.PERSON, "value": by}}
    if by == known.client or by in known.kinds:
        who = person_reference(by, known)
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"Consent/{consent_id(grant.id)}/_history/{version}"}],
        "recorded": at,
        "activity": _concept(systems.OPERATION, systems.ENDINGS[grant.status]),
        "agent": [{"who": who}],
    }


def kind_of(grant: Grant) -> str:
    """What kind of grant it is, as a code people see."""
    if grant.effect == "deny":
        return "weigering"
    return "koppeling" if grant.own else "toestemming"


def _status(grant: Grant) -> str:
    if grant.status not in _STATUSES or (grant.status == "active" and grant.revoked):
        return "inactive"
    return grant.status


def _extensions(grant: Grant) -> list[Tree]:
    made: list[Tree] = []
    if _status(grant) != grant.status:
        made.append({"url": systems.STATUS, "valueCode": grant.status})
    if grant.revoked is not None:
        made.append({"url": systems.REVOKED, "valueDateTime": fhir_times.written(grant.revoked)})
    if grant.depth:
        made.append({"url": systems.DEPTH, "valueInteger": grant.depth})
    if grant.by_court:
        made.append({"url": systems.COURT, "valueBoolean": True})
    return made


def _unreadable(grant: Grant) -> list[Tree]:
    return [{"url": systems.UNREADABLE, "valueBoolean": True}] if grant.unreadable else []


def _parent(grant: Grant) -> Tree | None:
    if not grant.parent:
        return None
    identifier = {"system": systems.GRANT, "value": grant.parent}
    reference = f"Consent/{consent_id(grant.parent)}"
    return {"reference": reference, "type": "Consent", "identifier": identifier}


def _provision(grant: Grant, known: Named) -> Tree:
    actor = [{"role": _concept(systems.ROLE, systems.RECIPIENT), "reference": _actor(grant, known)}]
    return _filled(
        {
            "extension": _left_out(grant),
            "modifierExtension": _narrowings(grant),
            "type": grant.effect,
            "period": fhir_times.period(grant.from_, grant.to),
            "actor": actor if grant.grantee.id else None,
            "action": [
                _concept(*systems.ACTION_CODES[action])
                for action in systems.ACTION_CODES
                if action in grant.allowed
            ],
            "securityLabel": [_label(label) for label in sorted(grant.labels or ())],
            "purpose": [_coding(systems.REASON, code) for code in sorted(grant.purposes or ())],
            "class": [_coding(systems.TYPES, type_) for type_ in sorted(grant.types or ())],
            "code": [_concept(systems.CATEGORIES, name) for name in _categories(grant)],
            "dataPeriod": fhir_times.period(grant.data_from, grant.data_to),
            "data": list(_data(grant, known)),
        }
    )


def _categories(grant: Grant) -> list[str]:
    """Named also where a permit left them out: without any, FHIR means all there are."""
    if grant.categories is None and grant.effect == "deny":
        return []
    return sorted(grant.contained)


def _left_out(grant: Grant) -> list[Tree]:
    words = systems.LIST_WORDS
    left = [words["actions"]] if grant.actions is None else []
    if grant.categories is None and grant.effect == "permit":
        left.append(words["categories"])
    return [{"url": systems.LEFT_OUT, "valueCode": word} for word in left]


def _narrowings(grant: Grant) -> list[Tree]:
    made: list[Tree] = [
        {"url": systems.NOTHING, "valueCode": word}
        for name, word in systems.LIST_WORDS.items()
        if getattr(grant, name) is not None and not getattr(grant, name)
    ]
    made += [
        {
            "url": systems.WEEKLY,
            "extension": [
                {"url": "van", "valueString": moments.window_text(start)},
                {"url": "tot", "valueString": moments.window_text(end)},
            ],
        }
        for start, end in grant.weekly or ()
    ]
    return [*made, {"url": systems.OWN, "valueBoolean": True}] if grant.own else made


def _data(grant: Grant, known: Named) -> Iterable[Tree]:
    if grant.author:
        yield {"meaning": "authoredby", "reference": person_reference(grant.author, known)}
    for id_ in sorted(grant.instances or ()):
        identifier = {"system": systems.INSTANCE, "value": id_}
        yield {"meaning": "instance", "reference": {"identifier": identifier}}


def _actor(grant: Grant, known: Named) -> Tree:
    grantee = grant.grantee
    if grantee.level == Level.PERSON:
        return person_reference(grantee.id, known)
    type_, system, value = _group(grantee)
    reference = {"type": type_, "identifier": {"system": system, "value": value}}
    return _filled({**reference, "display": known.names.get(grantee.id, "")})


def _group(grantee: Grantee) -> tuple[str, str, str]:
    if grantee.level == Level.TEAM:
        return "CareTeam", systems.TEAM, grantee.id
    if grantee.level == Level.ROLE:
        return "PractitionerRole", systems.ROLE_IN, f"{grantee.id}/{grantee.role}"
    return "Organization", systems.ORGANISATION, grantee.id


def person_reference(person: str, known: Named) -> Tree:
    """A person as a reference; the client as his Patient, others by their account."""
    identifier = {"system": systems.PERSON, "value": person}
    if person == known.client:
        type_, literal = "Patient", f"Patient/{known.patient}"
    else:
        helps = known.kinds.get(person, "") in _PRACTITIONERS
        type_ = "Practitioner" if helps else "RelatedPerson"
        literal = f"{type_}/{person}" if _ID.fullmatch(person) else ""
    found = {"reference": literal, "type": type_, "identifier": identifier}
    return _filled({**found, "display": known.names.get(person, "")})


def _label(code: str) -> Tree:
    if code in systems.CONFIDENTIALITY_CODES:
        return _coding(systems.CONFIDENTIALITY, code)
    return _coding(systems.ACT_CODE, code) if code in systems.SENSITIVITY_CODES else {"code": code}


def _coding(system: str, code: str) -> Tree:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> Tree:
    return {"coding": [_coding(system, code)]}


def _filled(tree: Tree) -> Tree:
    """Without what is empty; false and 0 are not."""
    return {name: value for name, value in tree.items() if value not in (None, "", [], {})}


# --- relations ---------------------------------------------------------------------------------


def related_person_of(id_: str, relation: Relation, known: Named) -> Tree:
    """The RelatedPerson of a relation: shown to people, never a source of rights."""
    name = known.names.get(relation.person, "")
    return _filled(
        {
            "resourceType": "RelatedPerson",
            "id": consent_id(id_),
            "meta": {"profile": [systems.RELATION_PROFILE]},
            "extension": list(_evidence(relation)),
            "identifier": [{"system": systems.PERSON, "value": relation.person}],
            "patient": {"reference": f"Patient/{known.patient}"},
            "relationship": [_concept(systems.RELATIONS, relation.kind)],
            "name": [{"text": name}] if name else None,
            "period": fhir_times.period(relation.from_, relation.to),
        }
    )


def _evidence(relation: Relation) -> Iterable[Tree]:
    """What the relation rests on and within which bounds: gezag, a court order, a mandate."""
    parts: list[Tree] = []
    if relation.gezag:
        parts.append({"url": "gezag", "valueBoolean": True})
    for url, value in (
        ("beschikking", relation.order),
        ("machtiging", relation.verified),
        ("verwantschap", relation.as_),
    ):
        if value:
            parts.append({"url": url, "valueString": value})
    if relation.child_confirmed is not None:
        confirmed = fhir_times.written(relation.child_confirmed)
        parts.append({"url": "bevestigd-door-kind", "valueDateTime": confirmed})
    for url, values in (
        ("actie", relation.actions),
        ("categorie", relation.categories),
        ("label", relation.labels),
    ):
        parts += [{"url": url, "valueCode": value} for value in sorted(values or ())]
    if relation.treedt_niet_op:
        parts.append({"url": "treedt-niet-op", "valueBoolean": True})
    if parts:
        yield {"url": systems.EVIDENCE, "extension": parts}
