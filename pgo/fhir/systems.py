"""What is known of code systems: which codes are above which, and what a plain code implies; facts.

Read once from data/systems.json, which `pgo.fhir.make_facts` makes from HL7's definitions. SNOMED
CT, LOINC and the G-Standaard are not in it: their terms allow no copy, and a dossier needs none.
"""

from __future__ import annotations

from functools import cache
from importlib import resources as files
from typing import Any, Final

import orjson

_HL7: Final = "http://hl7.org/fhir/SearchParameter/"
_TERMINOLOGY: Final = "://terminology.hl7.org/"


def family(release: str, system: str, code: str, *, above: bool) -> frozenset[str] | None:
    """A code with those above it, or below it; None when this system's hierarchy is not known."""
    parents = _read()[release]["parents"].get(system)
    if parents is None:
        return None
    nearer = parents if above else _children(release, system)
    found, fresh = {code}, [code]
    while fresh:
        more = nearer.get(fresh.pop(), ())
        fresh += [one for one in more if one not in found]
        found.update(more)
    return frozenset(found)


@cache
def implied(release: str, url: str) -> frozenset[str]:
    """The systems of the plain codes (`final`) that HL7's parameter with this address searches."""
    return frozenset(_read()[release]["implied"].get(url.removeprefix(_HL7), ()))


def spellings(system: str) -> tuple[str, ...]:
    """The ways a system is written: HL7's terminology has http, and the Dutch lab texts https."""
    scheme, sign, rest = system.partition(_TERMINOLOGY)
    if not sign or scheme not in {"http", "https"}:
        return (system,)
    return tuple(f"{one}{sign}{rest}" for one in ("http", "https"))


@cache
def _children(release: str, system: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code, parents in _read()[release]["parents"][system].items():
        for parent in parents:
            found.setdefault(parent, []).append(code)
    return found


@cache
def _read() -> dict[str, Any]:
    raw = (files.files("pgo.fhir") / "data" / "systems.json").read_bytes()
    data: dict[str, Any] = orjson.loads(raw)
    return data
