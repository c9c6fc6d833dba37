"""Makes four files of facts in data/ from HL7's definitions; run by hand only.

    npm pack hl7.fhir.r4.examples@4.0.1 hl7.fhir.r3.examples@3.0.2
    python -m pgo.fhir.make_facts hl7.fhir.r4.examples-4.0.1.tgz hl7.fhir.r3.examples-3.0.2.tgz

The packages are CC0. Only facts are taken.

systems.json: release → {"parents": {system: {code: [codes right above it]}}, "implied": {id of a
search parameter: [systems of the `code` elements it searches]}}. Hierarchies that no Dutch record
uses (races, tribes, teeth) are left out.
summary.json: release → {"summary": {type: "path path"}, "modifier": {type: "path path"}}: elements
in a summary, and those that change the meaning of others; paths start below the type. What every
resource has (id, meta, implicitRules, modifierExtension) is not repeated.
compartments.json: release → {compartment: {type: "parameter parameter"}}: by which references a
resource belongs to a Patient, Encounter and so on.
authors.json: release → {type or inner element: "member member"}: members that say who a record is
of: mapped to author, source or witness of W5, or to who performed an event or made a request; the
plain names for it (`_AUTHORS`) also without a mapping; and those of Annotation and Signature.
"""

from __future__ import annotations

import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

OUT: Final = Path(__file__).parent / "data"
_W5: Final = frozenset({"w5", "workflow"})
_RELEASES: Final = ("r4", "stu3")
_WANTED: Final = (
    *("CodeSystem", "CompartmentDefinition", "SearchParameter", "StructureDefinition", "ValueSet"),
)
_LEFT_OUT: Final = ("Race", "Tribal", "AmericanIndian", "Dentition", "Ethnicity", "hl7Realm")
_ALWAYS: Final = re.compile(r"id|meta|implicitRules|(?:.*\.)?modifierExtension")
_AUTHORING: Final = re.compile(
    r"(?:FiveWs|who)\.(?:author|source|witness)\b|Event\.performer|…performer|….actor|…requester"
    r"|Request\.requester"
)
_AUTHORS: Final = frozenset(
    {
        *("author", "recorder", "requester", "sender", "asserter", "contributor", "operator"),
        *("enterer", "reported[x]", "consentingParty", "collector", "causalityAuthor"),
    }
)
_ACTING: Final = frozenset(
    {
        *("DeviceUseStatement.source", "Procedure.performer.actor", "Provenance.agent.who[x]"),
        *("Provenance.agent.onBehalfOf[x]", "AuditEvent.agent.reference"),
    }
)
"""Whose record it is, which STU3 maps to an actor only."""
_TAKES_PART: Final = re.compile(
    r"(?:Encounter|EpisodeOfCare|Contract\.agent|Task\.owner|Device\.owner|DeviceDefinition"
    r"|Coverage|EnrollmentResponse|PaymentReconciliation|AuditEvent\.agent\.location)\b.*|.*\.(?:recipient|facility|insurer)"
)
"""Mapped to a performer or a source, but no claim about who made the record."""
_PATH: Final = re.compile(r"[A-Z]\w+(?:\.[a-z]\w*)+")
Tree = dict[str, Any]
Package = dict[str, list[Tree]]


def main(arguments: list[str]) -> int:
    """Read the two packages (R4 first) and write the data files."""
    if len(arguments) != len(_RELEASES):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    systems, summary, compartments, authors = {}, {}, {}, {}
    for release, at in zip(_RELEASES, arguments, strict=True):
        package = _package(Path(at))
        parents = {one["url"]: _parents(one) for one in _hierarchies(package)}
        systems[release] = {"parents": parents, "implied": dict(_implied(package))}
        summary[release] = {
            "summary": _paths(package, "isSummary"),
            "modifier": _paths(package, "isModifier"),
        }
        compartments[release] = dict(_compartments(package))
        authors[release] = _authors(package)
    made = {"systems": systems, "summary": summary, "compartments": compartments}
    made["authors"] = authors
    for name, data in made.items():
        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS
        (OUT / f"{name}.json").write_bytes(orjson.dumps(data, option=options))
    return 0


def _compartments(package: Package) -> Iterator[tuple[str, dict[str, str]]]:
    for one in package["CompartmentDefinition"]:
        if one["id"] != "example":
            named = {of["code"]: " ".join(of.get("param", ())) for of in one["resource"]}
            yield one["code"], {code: params for code, params in named.items() if params}


def _package(at: Path) -> Package:
    found: Package = {name: [] for name in _WANTED}
    with tarfile.open(at) as archive:
        for member in archive:
            kind = member.name.rpartition("/")[2].partition("-")[0]
            file = archive.extractfile(member) if kind in found else None
            if file is not None and member.name.endswith(".json"):
                found[kind].append(orjson.loads(file.read().removeprefix(b"\xef\xbb\xbf")))
    return found


# --- code systems --------------------------------------------------------------------------------


def _hierarchies(package: Package) -> Iterator[Tree]:
    for one in package["CodeSystem"]:
        meant = one.get("hierarchyMeaning", "is-a") == "is-a"
        if meant and not any(word in one["url"] for word in _LEFT_OUT) and _parents(one):
            yield one


def _parents(system: Tree) -> dict[str, list[str]]:
    """Code to the codes right above it, also those said as a property of the code."""
    found: dict[str, set[str]] = {}
    stack = [(one, "") for one in system.get("concept", ())]
    while stack:
        concept, parent = stack.pop()
        above = {one["valueCode"] for one in concept.get("property", ()) if _says_above(one)}
        above |= {parent} if parent else set()
        if above:
            found.setdefault(concept["code"], set()).update(above)
        stack += [(below, concept["code"]) for below in concept.get("concept", ())]
    return {code: sorted(found[code]) for code in sorted(found)}


def _says_above(one: Mapping[str, Any]) -> bool:
    return one.get("code") == "subsumedBy" and "valueCode" in one


def _implied(package: Package) -> Iterator[tuple[str, list[str]]]:
    """The systems of elements of type code that a token parameter searches."""
    elements = {e["path"]: e for d in _definitions(package) for e in d["snapshot"]["element"]}
    sets = {one.get("url"): one for one in package["ValueSet"]}
    for one in package["SearchParameter"]:
        if one.get("type") != "token":
            continue
        found: set[str] = set()
        for path in _PATH.findall(one.get("expression", "")):
            element = elements.get(path, {})
            if {t.get("code") for t in element.get("type", ())} == {"code"}:
                found |= _systems(_bound(element), sets)
        if found:
            yield one["id"], sorted(found)


def _bound(element: Tree) -> str:
    binding = element.get("binding", {})
    named = binding.get("valueSet") or binding.get("valueSetUri")
    reference: str = binding.get("valueSetReference", {}).get("reference", "")
    return str(named or reference).partition("|")[0]


def _systems(url: str, sets: Mapping[Any, Tree]) -> set[str]:
    found: set[str] = set()
    for include in sets.get(url, {}).get("compose", {}).get("include", ()):
        if "system" in include:
            found.add(include["system"])
        for other in include.get("valueSet", ()):
            found |= _systems(other, sets)
    return found


# --- elements ------------------------------------------------------------------------------------


def _definitions(package: Package) -> Iterator[Tree]:
    for one in sorted(package["StructureDefinition"], key=lambda one: str(one["id"])):
        if one.get("derivation") == "specialization" and one["kind"] == "resource":
            yield one


def _paths(package: Package, flag: str) -> dict[str, str]:
    made = {}
    for one in _definitions(package):
        named = [e["path"].partition(".")[2] for e in one["snapshot"]["element"] if e.get(flag)]
        kept = dict.fromkeys(name for name in named if name and not _ALWAYS.fullmatch(name))
        made[one["id"]] = " ".join(kept)
    return made


# --- authors -------------------------------------------------------------------------------------


def _authors(package: Package) -> dict[str, str]:
    """Members with a reference (or, in a choice, a name) by the type or element they stand in."""
    found: dict[str, dict[str, None]] = {}
    for one in _definitions(package):
        elements = [e for e in one["snapshot"]["element"] if "." in e["path"]]
        said = {e["path"] for e in elements if _authoring(e)}
        for element in elements:
            inside, _, member = element["path"].rpartition(".")
            near = member == "onBehalfOf" and any(path.startswith(f"{inside}.") for path in said)
            if element["path"] in said or inside in said or near:
                kept = dict.fromkeys(_told(member, element))
                if kept and not _TAKES_PART.fullmatch(element["path"]):
                    found.setdefault(inside, {}).update(kept)
    made = {name: " ".join(members) for name, members in sorted(found.items())}
    signed = ("whoReference", "whoUri", "onBehalfOfReference", "onBehalfOfUri")
    return made | {
        "Annotation": "authorReference authorString",
        "Signature": " ".join(("who", "onBehalfOf", *signed)),
    }


def _authoring(element: Tree) -> bool:
    if element["path"] in _ACTING or element["path"].rpartition(".")[2] in _AUTHORS:
        return True
    maps = (one["map"] for one in element.get("mapping", ()) if one["identity"] in _W5)
    return any(_AUTHORING.search(one) for one in maps)


def _told(member: str, element: Tree) -> Iterator[str]:
    """The JSON members of an element, those with a reference and, in a choice, those beside it."""
    kinds = {one.get("code", "") for one in element.get("type", ())}
    if "Reference" not in kinds:
        return
    stem = member.removesuffix("[x]")
    if stem == member:
        yield member
        return
    for kind in sorted(kinds & {"Reference", "string", "uri"}):
        yield f"{stem}{kind[:1].upper()}{kind[1:]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
