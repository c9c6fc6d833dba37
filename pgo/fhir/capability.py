"""The capability statement, made from what the code offers; never written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from pgo import __version__
from pgo.fhir import compartments, elements, endpoint, operations
from pgo.fhir.elements import Release
from pgo.fhir.operations import Operated
from pgo.fhir.parameters import Parameters
from pgo.fhir.profiles_library import Library
from pgo.fhir.refused import NOT_TAKEN

_VERSIONS: Final = {"r4": "4.0.1", "stu3": "3.0.2"}
_ON_ALL: Final = ("transaction", "batch", "history-system")
_MAKES: Final = frozenset({"create", "update", "patch"})
_PATCHES: Final = (
    *("application/json-patch+json", "application/merge-patch+json"),
    *("application/fhir+json", "application/fhir+xml"),
)
"""JSON Patch and merge patch; the last two are those of a FHIRPath Patch."""
_DATE: Final = "2026-11-22"
_SMART: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition"
_OAUTH_URIS, _CAPABILITIES = f"{_SMART}/oauth-uris", f"{_SMART}/capabilities"
_SERVICES: Final = {
    "r4": "http://terminology.hl7.org/CodeSystem/restful-security-service",
    "stu3": "http://hl7.org/fhir/restful-security-service",
}
_SMART_CODES: Final = frozenset(
    {
        *("launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric"),
        *("sso-openid-connect", "context-passthrough-banner", "context-passthrough-style"),
        *("context-ehr-patient", "context-ehr-encounter", "context-standalone-patient"),
        *("context-standalone-encounter", "permission-offline", "permission-patient"),
        "permission-user",
    }
)
"""The code system of the extension (smart-capabilities 4.0.1); SMART 2 has codes it has not."""


@dataclass(frozen=True, slots=True)
class Security:
    """How an app gets a token: `ends` are names of SMART's oauth-uris with their addresses.

    `can` are SMART's capabilities, `description` is for people who make apps.
    """

    ends: tuple[tuple[str, str], ...]
    can: tuple[str, ...]
    description: str


@lru_cache(maxsize=64)
def capability(
    release: Release, base: str, searches: Parameters, library: Library, security: Security
) -> bytes:
    """The CapabilityStatement of one release at one base address, as JSON.

    `searches` are the search parameters of that release that the server answers, `library` has the
    profiles it holds resources against, `security` is what the authorization server says of itself.
    """
    profiles = library.profiles()
    types = sorted(elements.stored(release))
    offered = endpoint.offered()
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "pgo", "version": __version__},
        "implementation": {"description": "Personal health record", "url": base},
        "fhirVersion": _VERSIONS[release],
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "patchFormat": [*_PATCHES],
        "rest": [
            {
                "mode": "server",
                "security": _security(release, security),
                "resource": [
                    _resource(searches, type_, offered, profiles.get(type_, [])) for type_ in types
                ],
                "interaction": [{"code": code} for code in _ON_ALL],
                "compartment": compartments.definitions(),
                "operation": _operations(release),
            }
        ],
    }
    if release == "stu3":
        statement["acceptUnknown"] = "extensions"
        urls = [url for type_ in types for url in profiles.get(type_, [])]
        if urls:
            statement["profile"] = [{"reference": url} for url in urls]
    return orjson.dumps(statement)


def _security(release: Release, security: Security) -> dict[str, Any]:
    """How to get a token; the extensions are those of R4's specification, and of SMART for STU3."""
    ends = [{"url": name, "valueUri": address} for name, address in security.ends]
    can = [{"url": _CAPABILITIES, "valueCode": one} for one in security.can if one in _SMART_CODES]
    code = {"system": _SERVICES[release], "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    return {
        "extension": [{"url": _OAUTH_URIS, "extension": ends}, *can],
        "cors": True,
        "service": [{"coding": [code], "text": "OAuth 2 by SMART App Launch"}],
        "description": security.description,
    }


def _resource(
    searches: Parameters, type_: str, offered: tuple[str, ...], profiles: list[str]
) -> dict[str, Any]:
    parameters = searches.of(type_)
    includes = [
        f"{type_}:{p.code}" for p in parameters.values() if p.kind == "reference" and p.paths
    ]
    taken = type_ not in NOT_TAKEN
    described: dict[str, Any] = {
        "type": type_,
        "interaction": [{"code": code} for code in offered if taken or code not in _MAKES],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": taken,
        "conditionalCreate": taken,
        "conditionalRead": "full-support",
        "conditionalUpdate": taken,
        "conditionalDelete": "single",
        # Not "enforced": refusing what refers to nothing would tell it from what is hidden.
        "referencePolicy": ["literal", "logical"],
        "searchParam": [
            {"name": p.code, "definition": p.url, "type": p.type}
            for p in parameters.values()
            if p.searchable
        ],
    }
    if profiles and searches.release == "r4":
        described["supportedProfile"] = profiles
    described["searchRevInclude"] = ["*"]
    if includes:
        described["searchInclude"] = [*includes, "*"]
    of_type = operations.on("r4", type_)
    if searches.release == "r4" and of_type:
        described["operation"] = [_operation("r4", one) for one in of_type]
    return described


def _operations(release: Release) -> list[dict[str, Any]]:
    """Those of the whole dossier; STU3 names all operations here."""
    named = operations.on(release, "")
    if release == "stu3":
        named = [one for one in operations.TABLE if release in one.releases]
    return [_operation(release, one) for one in named]


def _operation(release: Release, one: Operated) -> dict[str, Any]:
    definition = {"reference": one.definition} if release == "stu3" else one.definition
    return {"name": one.name.removeprefix("$"), "definition": definition}
