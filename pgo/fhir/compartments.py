"""Compartments: what belongs to one Patient, Encounter and so on, by which parameters; facts.

`Patient/1/Observation?code=x` is a search on Observation with one condition more. Inside a query
that condition is the pair `WITHIN`, so that later pages of it mean the same. Read once from
data/compartments.json, which `pgo.fhir.make_facts` makes from HL7's definitions.
"""

from __future__ import annotations

from functools import cache
from importlib import resources as files
from typing import Any, Final

import orjson

WITHIN: Final = ":within"
"""Name of the condition; its value is the compartment, as Type/id."""
NAMES: Final = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")
_DEFINED: Final = "http://hl7.org/fhir/CompartmentDefinition/"


def parameters(release: str, compartment: str, type_: str) -> tuple[str, ...]:
    """The codes of the parameters by which a resource of a type is in a compartment; or none."""
    named = _read()[release].get(compartment, {}).get(type_, "")
    return tuple(named.split())


def definitions() -> list[str]:
    """The canonical addresses of the compartments, for the capability statement."""
    return [f"{_DEFINED}{name[0].lower()}{name[1:]}" for name in NAMES]


@cache
def _read() -> dict[str, dict[str, dict[str, str]]]:
    raw = files.files("pgo.fhir").joinpath("data/compartments.json").read_bytes()
    read: dict[str, Any] = orjson.loads(raw)
    return read
