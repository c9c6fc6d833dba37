"""Makes `data/parameters.json` from HL7's published definitions; run by hand, never by the server.

    npm pack hl7.fhir.r4.examples@4.0.1 hl7.fhir.r3.examples@3.0.2
    python -m pgo.fhir.make_parameters hl7.fhir.r4.examples-4.0.1.tgz hl7.fhir.r3.examples-3.0.2.tgz

The packages are CC0. Only facts are taken: types, code, kind, expression, targets, components, the
names of resource types, and which elements come in several types (`value[x]`) with those types.
Left out: HL7's own examples of a SearchParameter, and definitions that name no resource type.
`CORRECTED` mends expressions that are wrong as published.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

OUT: Final = Path(__file__).parent / "data" / "parameters.json"
RELEASES: Final = ("r4", "stu3")

_PREFIX: Final = "http://hl7.org/fhir/SearchParameter/"
_DECEASED: Final = "Patient.deceased.exists() and Patient.deceased != false"

CORRECTED: Final[Mapping[tuple[str, str], str]] = {
    # `exists()` alone calls everybody dead whose record says `deceasedBoolean: false`.
    ("stu3", "Patient-deceased"): _DECEASED,
    # The published path starts nowhere.
    ("r4", "InsurancePlan-name"): "InsurancePlan.name | InsurancePlan.alias",
}


def main(arguments: list[str]) -> int:
    """Read the two packages (R4 first) and write the data file."""
    if len(arguments) != len(RELEASES):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    made = {name: _release(name, Path(at)) for name, at in zip(RELEASES, arguments, strict=True)}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(_text(made))
    return 0


def _release(name: str, package: Path) -> dict[str, Any]:
    parameters, structures = [], []
    for resource in _resources(package):
        if resource["resourceType"] == "SearchParameter":
            parameters.append(resource)
        else:
            structures.append(resource)
    usable = [o for o in parameters if "base" in o and not o["id"].startswith("example")]
    kinds = {(type_, one["code"]): one["type"] for one in usable for type_ in one["base"]}
    rows = [_row(name, one, kinds) for one in usable]
    own = [one for one in structures if one.get("derivation") == "specialization"]
    return {
        "types": sorted(o["id"] for o in own if o["kind"] == "resource" and not o.get("abstract")),
        "choices": _choices(structures),
        "parameters": sorted(rows),
    }


def _resources(package: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if not name.startswith(("SearchParameter-", "StructureDefinition-")):
                continue
            file = archive.extractfile(member)
            if file is not None and name.endswith(".json"):
                yield orjson.loads(file.read())


def _row(release: str, one: dict[str, Any], kinds: Mapping[tuple[str, str], str]) -> list[Any]:
    """[id, code, kind, types, expression, targets, components]; trailing empties left out."""
    expression = CORRECTED.get((release, one["id"]), one.get("expression", ""))
    components = [
        [_kind(one["base"][0], _definition(part), kinds), part["expression"]]
        for part in one.get("component", [])
    ]
    row = [one["id"], one["code"], one["type"], sorted(one["base"]), expression]
    row += [sorted(one.get("target", [])), components]
    while not row[-1]:
        row.pop()
    return row


def _kind(type_: str, definition: str, kinds: Mapping[tuple[str, str], str]) -> str:
    """The kind of a component: STU3 names definitions that do not exist, so by type and code."""
    code = definition.removeprefix(_PREFIX).partition("-")[2]
    return kinds[type_, code]


def _definition(component: dict[str, Any]) -> str:
    found = component["definition"]
    return str(found["reference"] if isinstance(found, dict) else found)


def _choices(structures: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Per element name that ends in `[x]` somewhere: every type it has anywhere."""
    found: dict[str, set[str]] = {}
    for one in structures:
        if one.get("derivation") != "specialization" and one["id"] not in {"Element", "Resource"}:
            continue
        for element in one.get("snapshot", {}).get("element", []):
            if element["path"].endswith("[x]"):
                name = element["path"].rpartition(".")[2].removesuffix("[x]")
                found.setdefault(name, set()).update(t["code"] for t in element.get("type", []))
    return {name: sorted(found[name]) for name in sorted(found)}


def _text(made: dict[str, Any]) -> bytes:
    """One line per fact, so that a new version shows as a small difference."""
    parts = []
    for name, release in made.items():
        sections = []
        for key, value in release.items():
            if key == "parameters":
                lines = b",\n".join(orjson.dumps(row) for row in value)
                sections.append(b'"parameters":[\n' + lines + b"]")
            else:
                sections.append(orjson.dumps(key) + b":" + orjson.dumps(value))
        parts.append(orjson.dumps(name) + b":{" + b",\n".join(sections) + b"}")
    return b"{" + b",\n".join(parts) + b"}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
