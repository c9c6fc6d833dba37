"""The operations of the FHIR interface, one row each: where, by what method, in which release.

The address is read by these rows and the capability statement is made of them; what an operation
does is put beside its name in `pgo.app`. Sources: http://hl7.org/fhir/R4/operationslist.html,
http://hl7.org/fhir/STU3/operationslist.html and, for what is Dutch or ours, the definition named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pgo.fhir.elements import Release

Level = Literal["system", "type", "instance"]
_READ: Final = ("GET", "HEAD")
_BOTH: Final = ("GET", "HEAD", "POST")
RELEASES: Final[tuple[Release, ...]] = ("r4", "stu3")
_R4: Final[tuple[Release, ...]] = ("r4",)
_HL7: Final = "http://hl7.org/fhir/OperationDefinition/"
_BULK: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Operated:
    """One operation.

    Attributes:
        name: with its `$`; the audit line says it without.
        definition: the canonical of its OperationDefinition.
        levels: on the whole dossier, a type, or one resource.
        types: the resource types it is on; none: every type.
        methods: by what it may be called.
        releases: where it is offered.
    """

    name: str
    definition: str
    levels: tuple[Level, ...]
    types: tuple[str, ...] = ()
    methods: tuple[str, ...] = _READ
    releases: tuple[Release, ...] = RELEASES

    def at(self, release: Release, type_: str, id_: str) -> bool:
        """Whether it is offered on a resource, a type (no id) or the dossier (no type)."""
        level: Level = "instance" if id_ else "type" if type_ else "system"
        fits = not type_ or not self.types or type_ in self.types
        return fits and level in self.levels and release in self.releases


_BY_PATCH: Final = "meta changes by an update or a patch of the resource, which makes a version"
INSTEAD: Final = {"$meta-add": _BY_PATCH, "$meta-delete": _BY_PATCH}
"""Operations of HL7 that are not offered, with what to do instead."""

TABLE: Final = (
    Operated(
        "$summary",
        "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
        ("type", "instance"),
        ("Patient",),
        _BOTH,
        _R4,
    ),
    Operated("$validate", f"{_HL7}Resource-validate", ("type", "instance"), methods=_BOTH),
    Operated("$meta", f"{_HL7}Resource-meta", ("system", "type", "instance")),
    Operated("$everything", f"{_HL7}Patient-everything", ("type", "instance"), ("Patient",), _BOTH),
    Operated("$export", f"{_BULK}export", ("system",), methods=_BOTH),
    Operated("$export", f"{_BULK}patient-export", ("type", "instance"), ("Patient",), _BOTH),
    Operated(
        "$wie-keek",
        "https://pgo.example/fhir/OperationDefinition/wie-keek",
        ("system",),
        releases=_R4,
    ),
    Operated("$mag", "https://pgo.example/fhir/OperationDefinition/mag", ("system",)),
    Operated("$wie-mag", "https://pgo.example/fhir/OperationDefinition/wie-mag", ("system",)),
    Operated("$lastn", f"{_HL7}Observation-lastn", ("type",), ("Observation",)),
    Operated(
        "$latest-stops",
        "http://nictiz.nl/fhir/OperationDefinition/mp-latest-stops",
        ("type",),
        ("MedicationRequest", "MedicationDispense"),
        releases=_R4,
    ),
)


def offered(release: Release, name: str, type_: str = "", id_: str = "") -> Operated | None:
    """The operation by this name (with `$`) at this place, if there is one."""
    return next((one for one in TABLE if one.name == name and one.at(release, type_, id_)), None)


def methods(name: str, type_: str = "", id_: str = "") -> tuple[str, ...]:
    """By what an operation may be called here, whatever the release; of an unknown one, by all.

    That there is no such operation is told to who may know of the dossier, not at the address.
    """
    found = (offered(release, name, type_, id_) for release in RELEASES)
    return next((one.methods for one in found if one is not None), _BOTH)


def on(release: Release, type_: str) -> list[Operated]:
    """The operations on a type or its resources; of "" those on the whole dossier.

    What is on every type is told with the whole dossier, not again with each.
    """
    if type_:
        return [one for one in TABLE if type_ in one.types and release in one.releases]
    return [one for one in TABLE if not one.types and release in one.releases]
