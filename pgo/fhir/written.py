"""What a dossier must know of a resource, and the tree as it is kept; pure, for both releases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pgo.consent.fhir_systems import SEALS
from pgo.errors import BadValue
from pgo.fhir import text
from pgo.fhir.elements import Release
from pgo.moment import instant

_SUBJECTS: Final = ("subject", "patient", "individual", "beneficiary", "for")
_REFERRING: Final = frozenset({"reference", "url"})
SOURCE: Final = "http://hl7.org/fhir/4.0/StructureDefinition/extension-Meta.source"
"""HL7's extension for R4's Meta.source in an older release: http://hl7.org/fhir/versions.html."""
_SERVER_META: Final = ("versionId", "lastUpdated", "source")


def stamped(
    tree: dict[str, Any], id_: str, ver: int, at: int, source: str, release: Release = "r4"
) -> dict[str, Any]:
    """The tree with id and meta as the server sets them (`at` in µs); the members' order is kept.

    STU3's meta has no source: there it is the extension by which HL7 says R4's element.

    Raises:
        BadValue: meta is not an object.
    """
    sent = tree.get("meta", {})
    if not isinstance(sent, dict):
        raise BadValue("meta is an object", place="meta")
    stamp: dict[str, Any] = {"versionId": str(ver), "lastUpdated": instant(at)}
    own = _own_meta(sent)
    if source and release == "r4":
        stamp["source"] = source
    elif source:
        told = {"url": SOURCE, "valueUri": source}
        own["extension"] = [told, *own.get("extension", ())]
    meta = stamp | own
    front = {"resourceType": tree["resourceType"], "id": id_, "meta": meta}
    if "id" in tree and "meta" in tree:
        return tree | {"id": id_, "meta": meta}
    return front | {k: v for k, v in tree.items() if k not in front}


def said_source(release: str, tree: dict[str, Any]) -> str:
    """The source that a resource came with."""
    meta = tree.get("meta")
    if not isinstance(meta, dict):
        return ""
    if release == "r4":
        return str(meta.get("source", ""))
    return next((str(one.get("valueUri", "")) for one in _told(meta)), "")


def _told(meta: dict[str, Any]) -> list[dict[str, Any]]:
    """The extensions of a meta that say a source."""
    found = meta.get("extension")
    return [one for one in found if _is_source(one)] if isinstance(found, list) else []


def _is_source(one: Any) -> bool:
    return isinstance(one, dict) and one.get("url") == SOURCE


def _own_meta(sent: dict[str, Any]) -> dict[str, Any]:
    """The meta of whoever sent it: what the server sets, seals too, is left out."""
    kept = {name: value for name, value in sent.items() if name not in _SERVER_META}
    if _told(sent):
        kept["extension"] = [one for one in sent["extension"] if not _is_source(one)]
        if not kept["extension"]:
            del kept["extension"]
    labels = kept.get("security")
    if isinstance(labels, list):
        kept["security"] = [one for one in labels if not _is_seal(one)]
        if not kept["security"]:
            del kept["security"]
    return kept


def _is_seal(label: Any) -> bool:
    return isinstance(label, dict) and label.get("system") == SEALS


def with_seals(raw: bytes, seals: Sequence[str]) -> bytes:
    """A stored text with the seals that lie on it now as labels (consent 7); kept apart from it."""
    tree = text.reread(raw)
    meta = tree.get("meta", {})
    told = [{"system": SEALS, "code": seal} for seal in seals]
    return text.dump(tree | {"meta": meta | {"security": [*meta.get("security", []), *told]}})


def content(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without what the server sets: two with equal content are the same version."""
    meta = _own_meta(tree.get("meta", {}))
    return {k: v for k, v in tree.items() if k not in {"id", "meta"}} | {"meta": meta}


def identifiers(tree: dict[str, Any]) -> list[tuple[str, str]]:
    """Business identifiers, as (system, value); those whose value was masked are left out."""
    found = []
    for item in _as_list(tree.get("identifier")):
        value = item.get("value") if isinstance(item, dict) else None
        if isinstance(value, str):
            found.append((str(item.get("system", "")), value))
    return found


def references(tree: Any) -> list[str]:
    """Every reference in a tree, as it stands there, in any order; addresses of attachments too."""
    found: list[str] = []
    left: list[Any] = [tree]
    while left:
        one = left.pop()
        if type(one) is list:
            left += one
        elif type(one) is dict:
            for name, value in one.items():
                if type(value) is dict or type(value) is list:
                    left.append(value)
                elif name in _REFERRING and type(value) is str:
                    found.append(value)
    return found


def foreign_subject(tree: dict[str, Any], patient: str) -> str:
    """The member that says this is about another Patient than `patient` (Patient/id), or ""."""
    for member in _SUBJECTS:
        for value in _as_list(tree.get(member)):
            reference = value.get("reference") if isinstance(value, dict) else None
            if not isinstance(reference, str) or "Patient/" not in reference:
                continue
            if reference.partition("/_history/")[0] != patient:
                return member
    return ""


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
