"""Patches: a resource's tree and what is asked of it, to the tree it becomes; pure.

Three kinds: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7386) and FHIRPath Patch
(https://hl7.org/fhir/R4/fhirpatch.html). Numbers keep their lexemes. What the server keeps for
itself stays as it is: type, id, version, moment and source; a security label may be added, never
taken away. Whether the result is a good resource is for `pgo.fhir.validate` to say.

Errors: 400 for a patch that is none, 422 for one that does not fit the resource. The place names
the operation (`patch[3].path`, `Parameters.parameter[3]`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pgo.errors import BadValue, Malformed, Missing, TooCostly, Unprocessable, UnsupportedMedia
from pgo.fhir import patch_fhirpath, patch_json, text, xml
from pgo.fhir.elements import Release
from pgo.fhir.formats import Reader, reader

Kind = Literal["json-patch", "merge-patch", "fhirpath"]
OPERATIONS: Final = 100
_KEPT: Final = ("versionId", "lastUpdated", "source")


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch that was read: its operations, and where each stands in what was sent."""

    kind: Kind
    steps: tuple[Any, ...]
    places: tuple[str, ...]


def read(how: Reader, raw: bytes, release: Release, place: str = "") -> Patch:
    """The patch in a body; `how` follows from its Content-Type.

    Plain JSON that is no resource is a JSON Merge Patch.

    Raises:
        BadRequest: not a patch; TooCostly: more than 100 operations; UnsupportedMedia: a form.
    """
    if how == "json-patch":
        rows = text.parse_list(raw, place=place)
        _few(rows, place)
        places = tuple(f"{place or 'patch'}[{n}]" for n in range(len(rows)))
        steps = tuple(patch_json.step(*one) for one in zip(rows, places, strict=True))
        return Patch("json-patch", steps, places)
    if how == "merge-patch":
        return Patch("merge-patch", (text.parse(raw, place=place),), (place or "patch",))
    if how == "form":
        raise UnsupportedMedia("a patch is no form")
    tree = text.parse(raw, place=place) if how == "json" else xml.from_xml(raw, release)
    if how == "json" and tree and "resourceType" not in tree:  # as fhirpy sends a change
        return Patch("merge-patch", (tree,), (place or "patch",))
    return of_parameters(tree, release, place)


def of_resource(tree: Any, release: Release, place: str) -> Patch:
    """The patch in an entry of a Bundle: a Parameters resource, or a Binary that holds it.

    Raises:
        BadRequest: neither, or not a patch in it.
    """
    if not isinstance(tree, dict) or tree.get("resourceType") != "Binary":
        return of_parameters(tree, release, place)
    data = tree.get("data", tree.get("content", ""))
    try:
        raw = base64.b64decode("".join(str(data).split()), validate=True)
    except (ValueError, binascii.Error):
        raise BadValue("this is not base64", place=place) from None
    return read(reader(str(tree.get("contentType", "")), release), raw, release, place)


def of_parameters(tree: Any, release: Release, place: str = "") -> Patch:
    """The FHIRPath Patch in a Parameters resource.

    Raises:
        BadRequest: it is none.
    """
    if not isinstance(tree, dict) or tree.get("resourceType") != "Parameters":
        raise Malformed("a Parameters resource with operations is needed", place=place)
    rows = tree.get("parameter", [])
    if not isinstance(rows, list) or not rows:
        raise Missing("a patch has operations", place=place or "Parameters.parameter")
    _few(rows, place)
    inside = f"{place}.parameter" if place else "Parameters.parameter"
    places = tuple(f"{inside}[{n}]" for n in range(len(rows)))
    steps = tuple(patch_fhirpath.step(*one, release) for one in zip(rows, places, strict=True))
    return Patch("fhirpath", steps, places)


def _few(rows: list[Any], place: str) -> None:
    if len(rows) > OPERATIONS:
        raise TooCostly(f"a patch has at most {OPERATIONS} operations", place=place or "patch")


def apply(patch: Patch, tree: dict[str, Any], release: Release) -> dict[str, Any]:
    """The tree after all operations; the given one is not changed.

    Raises:
        Unprocessable: an operation does not fit, changes what is not the caller's to change, or
            makes more of the resource than the limits allow.
    """
    work = _work(patch.kind, release)
    for step, place in zip(patch.steps, patch.places, strict=True):
        made = work(tree, step, place)
        _still_the_same(tree, made, place)
        tree = made
    if not text.within_limits(tree):
        raise Unprocessable("the result is too deep or too long", place=patch.places[-1])
    return tree


def _work(kind: Kind, release: Release) -> Callable[[dict[str, Any], Any, str], Any]:
    if kind == "json-patch":
        budget = patch_json.Budget()
        return lambda tree, step, place: patch_json.apply(tree, step, place, budget)
    if kind == "merge-patch":
        return lambda tree, step, _: patch_json.merged(tree, step)
    return lambda tree, step, place: patch_fhirpath.apply(tree, step, place, release)


def _still_the_same(before: dict[str, Any], after: Any, place: str) -> None:
    """It is the same resource still, with the labels it had."""
    if type(after) is not dict:
        raise Unprocessable("the result is no resource", place=place)
    meta = after.get("meta", {})
    same = (
        after.get("resourceType") == before.get("resourceType")
        and after.get("id") == before.get("id")
        and type(meta) is dict
        and all(meta.get(name) == _meta(before).get(name) for name in _KEPT)
    )
    if not same:
        raise Unprocessable(
            "type, id, versionId, lastUpdated and source are not for a patch to change", place=place
        )
    if not _labels(before) <= _labels(after):
        raise Unprocessable("a patch takes no security label away", place=place)


def _meta(tree: dict[str, Any]) -> dict[str, Any]:
    meta = tree.get("meta")
    return meta if type(meta) is dict else {}


def _labels(tree: dict[str, Any]) -> frozenset[tuple[str, str]]:
    """System and code of every security label, also of what is contained."""
    contained = tree.get("contained")
    parts = [tree, *(contained if type(contained) is list else [])]
    found = set()
    for part in parts:
        security = _meta(part).get("security") if type(part) is dict else None
        for label in security if type(security) is list else []:
            if type(label) is dict:
                found.add((str(label.get("system", "")), str(label.get("code", ""))))
    return frozenset(found)
