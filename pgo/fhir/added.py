"""Search parameters beyond HL7's: ours in `fhir_profiles/search`, and a deployment's own folder.

A folder has `r4/` and `stu3/`, each with SearchParameter resources as .json or .xml files. One
mapping, made at the start, serves extraction, searching and the capability statement alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pgo
from pgo.errors import BadValue, PgoError
from pgo.fhir import text
from pgo.fhir.elements import Release
from pgo.fhir.parameters import Parameters, registry
from pgo.fhir.paths import NotCovered
from pgo.fhir.xml import from_xml

Searches = Mapping[str, Parameters]
"""Release to its search parameters."""

RELEASES: Final[tuple[Release, ...]] = ("r4", "stu3")
OURS: Final = Path(pgo.__file__).parents[1] / "fhir_profiles" / "search"
_PLACE: Final = "PGO_SEARCH_PARAMETERS"
_NEEDED: Final = ("url", "code", "type", "base")


def searches(own: Path | None = None) -> Searches:
    """HL7's parameters, ours and those in a deployment's folder; a later one replaces an earlier.

    Raises:
        BadValue: the folder or a file in it cannot be used; says which file and why.
    """
    made: dict[str, Parameters] = {release: known(release) for release in RELEASES}
    if own is None:
        return made
    if not own.is_dir():
        raise BadValue("there is no such folder", place=_PLACE)
    found = {release: _read(own, release) for release in RELEASES}
    if not any(found.values()):
        raise BadValue("put SearchParameter resources into r4/ or stu3/ in it", place=_PLACE)
    return {release: _extended(made[release], found[release]) for release in RELEASES}


@lru_cache
def known(release: Release) -> Parameters:
    """HL7's parameters of r4 or stu3 and ours."""
    return _extended(registry(release), _read(OURS, release))


def _read(folder: Path, release: Release) -> dict[str, Any]:
    """File name to resource."""
    files = sorted(f for f in (folder / release).glob("*") if f.suffix in {".json", ".xml"})
    return {f"{release}/{file.name}": _resource(file, release) for file in files}


def _resource(file: Path, release: Release) -> dict[str, Any]:
    where = f"{release}/{file.name}"
    try:
        raw = file.read_bytes()
        tree = from_xml(raw, release) if file.suffix == ".xml" else text.parse(raw)
    except (OSError, PgoError) as fault:
        raise BadValue(f"{where} cannot be read", place=_PLACE) from fault
    missing = [name for name in _NEEDED if not tree.get(name)]
    if tree.get("resourceType") != "SearchParameter" or missing:
        raise BadValue(f"{where} is no SearchParameter with {', '.join(_NEEDED)}", place=_PLACE)
    return tree


def _extended(base: Parameters, found: Mapping[str, Any]) -> Parameters:
    for where, tree in found.items():
        try:  # one by one, to name the file; a composite may need others
            base.extended([*found.values()] if "component" in tree else [tree])
        except (NotCovered, ValueError, KeyError) as fault:
            raise BadValue(f"{where} cannot be used: {fault}", place=_PLACE) from fault
    return base.extended(found.values()) if found else base
