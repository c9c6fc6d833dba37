"""The capability statement of one exchange service, made from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from pgo import __version__
from pgo.fhir.parameters import Parameter, Parameters
from pgo.medmij.services import Search, Service

_VERSIONS: Final = {"r4": "4.0.1", "stu3": "3.0.2"}
_DATE: Final = "2026-11-22"
_OPERATIONS: Final = {
    "$lastn": "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
    "$latest-stops": "http://nictiz.nl/fhir/OperationDefinition/mp-latest-stops",
}


def capability(service: Service, base: str, issuer: str, known: Parameters) -> bytes:
    """The CapabilityStatement of a service at this address, as JSON."""
    release = service.release
    statement: dict[str, Any] = {
        "resourceType": "CapabilityStatement",
        "name": f"service-{service.id}",
        "title": service.name,
        "status": "active",
        "date": _DATE,
        "description": service.plain,
        "kind": "instance",
        "software": {"name": "pgo", "version": __version__},
        "implementation": {"description": service.name, "url": base},
        "fhirVersion": _VERSIONS[release],
        "format": ["application/fhir+json", "application/fhir+xml"],
        "rest": [_rest(service, issuer, known)],
    }
    if release == "stu3":
        statement["acceptUnknown"] = "extensions"
    return orjson.dumps(statement)


def _rest(service: Service, issuer: str, known: Parameters) -> dict[str, Any]:
    words = (
        f"Bearer token for this service only, from {issuer}. The token says whose data are asked"
        " for. MedMij-Request-ID and X-Correlation-ID are demanded."
    )
    rest: dict[str, Any] = {"mode": "server", "security": {"cors": False, "description": words}}
    told = [_resource(service, type_, known) for type_ in sorted(service.types)]
    rest["resource"] = [one for one in told if "interaction" in one or service.release == "r4"]
    if service.release == "stu3":
        operations = _operations(service, [s for s in service.searches if s.operation])
        return rest | ({"operation": operations} if operations else {})
    return rest


def _resource(service: Service, type_: str, known: Parameters) -> dict[str, Any]:
    searches = [one for one in service.searches if one.type == type_]
    plain = [one for one in searches if not one.operation]
    told: dict[str, Any] = {"type": type_}
    codes = (["search-type"] if plain else []) + (["read"] if type_ in service.reads else [])
    if codes:
        told["interaction"] = [{"code": code} for code in codes]
    included = dict.fromkeys(text for one in searches for text in (*one.include, *one.iterate))
    if included:
        told["searchInclude"] = list(included)
    parameters = _parameters(known.of(type_), searches)
    if parameters:
        told["searchParam"] = parameters
    operations = _operations(service, [one for one in searches if one.operation])
    if operations and service.release == "r4":
        told["operation"] = operations
    return told


def _parameters(known: Mapping[str, Parameter], searches: list[Search]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for one in searches for name in (*one.fixed, *one.allowed))
    demanded = {name: _demanded(searches, name) for name in names}
    return [_parameter(name, known.get(name.partition(".")[0]), demanded[name]) for name in names]


def _demanded(searches: list[Search], name: str) -> str:
    values = dict.fromkeys(value for one in searches for value in one.fixed.get(name, ()))
    return f"Demanded, one or more of: {', '.join(values)}" if values else ""


def _parameter(name: str, found: Parameter | None, words: str) -> dict[str, Any]:
    kind = "token" if "." in name or found is None else found.type
    told = {"name": name, "type": kind}
    return told | ({"documentation": words} if words else {})


def _operations(service: Service, searches: list[Search]) -> list[dict[str, Any]]:
    names = dict.fromkeys(one.operation for one in searches)
    return [
        {
            "name": name[1:],
            "definition": {"reference": _OPERATIONS[name]}
            if service.release == "stu3"
            else _OPERATIONS[name],
        }
        for name in names
    ]
