"""Makes data/elements.json and data/codes.json out of HL7's two definition packages; no network.

::

    npm pack hl7.fhir.r4.examples@4.0.1 hl7.fhir.r3.examples@3.0.2
    python -m pgo.fhir.definitions hl7.fhir.r4.examples-4.0.1.tgz hl7.fhir.r3.examples-3.0.2.tgz

Only facts are kept (the definitions are CC0): which element has which types, how often it may
occur, and which codes a required binding allows. `pgo.fhir.elements` reads the result.

elements.json: release → {"resources": [names], "types": {path: ["name occurs type type"]}}, where
path is a type (`Quantity`) or an inner element (`Observation.component`), in the order of the
definition, and occurs is `?` 0..1, `!` 1..1, `*` 0..n, `+` 1..n.
codes.json: release → {"sets": [codes or {system: codes}], "bound": {element path: number of set}}.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

Tree = dict[str, Any]
Codes = dict[str, set[str]]

_DATA: Final = Path(__file__).parent / "data"
_WANTED: Final = ("StructureDefinition", "ValueSet", "CodeSystem")
_OCCURS: Final = {("0", "1"): "?", ("1", "1"): "!", ("0", "*"): "*", ("1", "*"): "+"}


def main(r4: str, stu3: str) -> None:
    """Writes both data files from the two tarballs."""
    elements: Tree = {}
    codes: Tree = {}
    for release, path in (("r4", r4), ("stu3", stu3)):
        package = _package(Path(path))
        elements[release] = _elements(package)
        codes[release] = _codes(package)
    for name, data in (("elements", elements), ("codes", codes)):
        text = orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)
        (_DATA / f"{name}.json").write_bytes(text)


def _package(path: Path) -> dict[str, dict[str, Tree]]:
    """Resource type → canonical url → resource, for the types wanted here."""
    found: dict[str, dict[str, Tree]] = {kind: {} for kind in _WANTED}
    with tarfile.open(path) as tar:
        for member in tar:
            kind = member.name.removeprefix("package/").partition("-")[0]
            content = tar.extractfile(member) if kind in found else None
            if content:
                one = orjson.loads(content.read().removeprefix(b"\xef\xbb\xbf"))
                found[kind][one["url"]] = one
    return found


def _definitions(package: dict[str, dict[str, Tree]]) -> Iterator[Tree]:
    """Base types and resources, by name; no profiles, no logical models, no primitives."""
    for one in sorted(package["StructureDefinition"].values(), key=lambda one: str(one["name"])):
        if one.get("derivation") != "constraint" and one["kind"] in {"complex-type", "resource"}:
            yield one


def _elements(package: dict[str, dict[str, Tree]]) -> Tree:
    types: dict[str, list[str]] = {}
    resources = []
    for definition in _definitions(package):
        if definition["kind"] == "resource" and not definition["abstract"]:
            resources.append(definition["name"])
        for element in definition["snapshot"]["element"]:
            path, _, name = element["path"].rpartition(".")
            if path and element["max"] != "0":
                occurs = _OCCURS[str(element["min"]), element["max"]]
                kinds = " ".join(_kinds(element, definition["kind"]))
                types.setdefault(path, []).append(f"{name} {occurs} {kinds}")
    return {"resources": resources, "types": types}


def _kinds(element: Tree, kind: str) -> list[str]:
    """Type codes of one element; an inner element's type is its own path."""
    path = element["path"]
    if path.endswith(".id"):
        return ["id" if kind == "resource" and path.count(".") == 1 else "string"]
    if "contentReference" in element:
        return [element["contentReference"].partition("#")[2]]
    codes = dict.fromkeys(one.get("code", "uri") for one in element["type"])
    if codes.keys() & {"BackboneElement", "Element"}:
        return [path]
    return ["uri" if code.startswith("http") else code for code in codes]


def _codes(package: dict[str, dict[str, Tree]]) -> Tree:
    sets: list[Any] = []
    bound: dict[str, int] = {}
    for definition in _definitions(package):
        for element in definition["snapshot"]["element"]:
            allowed = _required(element, package)
            if allowed:
                if allowed not in sets:
                    sets.append(allowed)
                bound[element["path"]] = sets.index(allowed)
    return {"sets": sets, "bound": bound}


def _required(element: Tree, package: dict[str, dict[str, Tree]]) -> Any:
    """Codes of a required binding: a list for a code, by system for a concept; else None."""
    binding = element.get("binding", {})
    if binding.get("strength") != "required":
        return None
    url = binding.get("valueSet") or binding.get("valueSetUri")
    url = url or binding.get("valueSetReference", {}).get("reference", "")
    codes = _expanded(url.partition("|")[0], package)
    if codes is None:
        return None
    if {one["code"] for one in element["type"]} == {"code"}:
        return sorted(set[str]().union(*codes.values()))
    return {system: sorted(values) for system, values in sorted(codes.items())}


def _expanded(url: str, package: dict[str, dict[str, Tree]]) -> Codes | None:
    """System → codes of a value set, or None when the package does not hold them all."""
    compose = package["ValueSet"].get(url, {}).get("compose")
    if compose is None:
        return None
    codes: Codes = {}
    for include in compose["include"]:
        part = _included(include, package)
        if part is None:
            return None
        for system, values in part.items():
            codes.setdefault(system, set()).update(values)
    for exclude in compose.get("exclude", ()):
        for system, values in (_included(exclude, package) or {}).items():
            codes.get(system, set()).difference_update(values)
    return codes


def _included(include: Tree, package: dict[str, dict[str, Tree]]) -> Codes | None:
    others = include.get("valueSet") or include.get("import")
    if others:
        parts = [_expanded(other, package) for other in others]
        return parts[0] if len(parts) == 1 and "system" not in include else None
    system = include["system"]
    if "concept" in include:
        return {system: {one["code"] for one in include["concept"]}}
    known = package["CodeSystem"].get(system, {})
    if known.get("content") != "complete":
        return None
    filters = include.get("filter", ())
    roots = {one["value"] for one in filters if one["op"] == "is-a"}
    if len(roots) != len(filters):
        return None
    return {system: set(_concepts(known.get("concept", ()), roots, inside=not roots))}


def _concepts(concepts: Any, roots: set[str], *, inside: bool) -> Iterator[str]:
    """Codes of a hierarchy: all of it, or what is at and below the roots."""
    for one in concepts:
        here = inside or one["code"] in roots
        if here:
            yield one["code"]
        yield from _concepts(one.get("concept", ()), roots, inside=here)


if __name__ == "__main__":
    main(*sys.argv[1:])
