"""Who is meant by a reference in a FHIR Consent: a person, team, organisation or role; pure.

Known by our own identifiers, or by a literal reference that bears an account's id. Everybody, a
Group and a device are nobody here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pgo.consent import fhir_systems as systems
from pgo.consent.fhir_codes import coded, listed, member, only, refuse

_REFERENCE: Final = frozenset({"reference", "type", "identifier", "display"})
_GROUPS: Final = {
    systems.ORGANISATION: ("Organization", "org:"),
    systems.ROLE_IN: ("PractitionerRole", "org:"),
    systems.TEAM: ("CareTeam", "team:"),
}
_LITERAL: Final = {"Organization": "org:", "CareTeam": "team:"}
_PEOPLE: Final = frozenset({"Practitioner", "RelatedPerson"})


@dataclass(frozen=True, slots=True)
class Actors:
    """Whom references in one dossier mean.

    `client` is the client's person id, `patient` the id of his Patient; `related` the persons
    behind the RelatedPersons that stand for relations; `stored` other resources of the dossier
    (Type/id) that stand for somebody without an account.
    """

    client: str
    patient: str
    related: Mapping[str, str] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()

    def is_client(self, reference: Any) -> bool:
        """Whether this is the client's Patient."""
        literal = reference.get("reference") if isinstance(reference, dict) else None
        return isinstance(literal, str) and literal == f"Patient/{self.patient}"

    def person(self, reference: Any, place: str) -> str:
        """The person id a reference means.

        Raises:
            Unprocessable: it is no person known here.
        """
        only(member(reference, place), _REFERENCE, place)
        if self.is_client(reference):
            return self.client
        system, value = _identifier(reference, place)
        if system == systems.PERSON and value:
            return value
        type_, _, id_ = str(reference.get("reference", "")).partition("/")
        if system or type_ not in _PEOPLE or not id_ or "/" in id_:
            refuse("not somebody who is known here", place)
        if f"{type_}/{id_}" in self.stored:
            refuse("this stands for somebody without an account here", place)
        return self.related.get(id_, id_) if type_ == "RelatedPerson" else id_


def actor_of(rule: Mapping[str, Any], place: str, actors: Actors) -> str:
    """The one grantee of a rule, as the model writes him.

    Raises:
        Unprocessable: nobody, more than one, or one that cannot be told.
    """
    where = f"{place}.actor"
    found = listed(rule.get("actor"), where)
    if len(found) != 1:
        refuse("a grant is to one person, team or organisation; never to everybody", where)
    where = f"{where}[0]"
    actor = member(found[0], where)
    only(actor, frozenset({"id", "role", "reference"}), where)
    if coded(actor.get("role"), f"{where}.role") != (systems.ROLE, systems.RECIPIENT):
        refuse("only the recipient is an actor of a grant", f"{where}.role")
    return _grantee(actor.get("reference"), f"{where}.reference", actors)


def _grantee(reference: Any, place: str, actors: Actors) -> str:
    only(member(reference, place), _REFERENCE, place)
    system, value = _identifier(reference, place)
    if system in _GROUPS:
        type_, prefix = _GROUPS[system]
        said = reference.get("type", type_)
        if said != type_ or not value or ("/" in value) != (system == systems.ROLE_IN):
            refuse("not a team, organisation or role that is known here", place)
        return f"{prefix}{value}"
    type_, _, id_ = str(reference.get("reference", "")).partition("/")
    if not system and type_ in _LITERAL:
        if not id_ or "/" in id_ or f"{type_}/{id_}" in actors.stored:
            refuse("not a team or organisation that is known here", place)
        return f"{_LITERAL[type_]}{id_}"
    person = actors.person(reference, place)
    if ":" in person or "/" in person or person in {"", "*"} or person != person.strip():
        refuse("not somebody who is known here", place)
    return person


def _identifier(reference: Mapping[str, Any], place: str) -> tuple[str, str]:
    found = reference.get("identifier")
    if found is None:
        return "", ""
    where = f"{place}.identifier"
    only(member(found, where), frozenset({"system", "value", "use", "type"}), where)
    system, value = found.get("system", ""), found.get("value")
    if not isinstance(value, str) or not isinstance(system, str) or not system:
        refuse("an identifier that is not known here", where)
    return system, value


def grant_named(reference: Any, place: str) -> str:
    """The grant a sourceReference means; no other source can be computed.

    Raises:
        Unprocessable: it means no grant.
    """
    only(member(reference, place), _REFERENCE, place)
    system, value = _identifier(reference, place)
    if system == systems.GRANT and value:
        return value
    type_, _, id_ = str(reference.get("reference", "")).partition("/")
    if system or type_ != "Consent" or not id_ or "/" in id_:
        refuse("the source of a grant is the Consent it was passed on from", place)
    return id_


def instance_named(reference: Any, place: str) -> str:
    """The id of the one resource a grant singles out.

    Raises:
        Unprocessable: it is not a resource of this dossier.
    """
    only(member(reference, place), _REFERENCE, place)
    system, value = _identifier(reference, place)
    if system == systems.INSTANCE and value:
        return value
    type_, _, id_ = str(reference.get("reference", "")).partition("/")
    if system or not type_[:1].isupper() or not id_ or "/" in id_:
        refuse("not a resource of this dossier", place)
    return id_
