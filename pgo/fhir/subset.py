"""Part of a resource: `_summary` and `_elements`; pure, from a stored text to a shorter one.

R4 3.1.1.5.8 and 3.1.1.5.9. Whatever is left out, these stay: id, meta, implicitRules, what is
mandatory, and what changes the meaning of the rest (modifierExtension and elements such as
`status` or `doNotPerform`): a stopped medicine never looks like one in use. What is kept has a tag
that says so, because it must not be sent back as an update. Member order and numbers are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources as files
from typing import Any, Final

import orjson

from pgo.fhir import text
from pgo.fhir.elements import Element, Release, members
from pgo.fhir.query import Query

_SYSTEMS: Final = {
    "r4": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "stu3": "http://hl7.org/fhir/v3/ObservationValue",
}
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})


def wanted(query: Query, raw: bytes, *, included: bool = False) -> bytes:
    """A resource's text as this search wants it; `_elements` is about the matches only."""
    if query.whole or (included and query.summary in {"", "false"}):
        return raw
    release: Release = "stu3" if query.release == "stu3" else "r4"
    return subset(release, raw, query.summary, () if included else query.elements)


def subset(release: Release, raw: bytes, summary: str, elements: Sequence[str] = ()) -> bytes:
    """The text of a part of a resource.

    Args:
        release: r4 or stu3.
        raw: a stored text.
        summary: true, text, data or "" (none asked).
        elements: names of members; a choice also without its type. With a summary, both.
    """
    tree = text.reread(raw)
    type_ = tree["resourceType"]
    known = members(release, type_)
    keep = _Keep(_flagged(release, "modifier", type_), known)
    if summary == "true":
        keep.names |= _flagged(release, "summary", type_)
    elif summary == "text":
        keep.names |= {"text"}
    elif summary == "data":
        keep.names |= {one.choice or one.name for one in known.values()} - {"text"}
        keep.names |= {"contained", "extension"}
    for name in elements:
        keep.names |= {name, f"{name}[x]", known[name].choice if name in known else name}
    return text.dump(tagged(_part(release, tree, keep, whole=summary != "true"), release))


class _Keep:
    """The names wanted at the top, and paths below them, in what has these members."""

    def __init__(self, names: frozenset[str], known: dict[str, Element]) -> None:
        self.names, self.known = set(names), known

    def wants(self, name: str) -> bool:
        bare = name.removeprefix("_")
        element = self.known.get(bare)
        if bare in _ALWAYS:
            return True
        if element is None:
            return False
        named = bare in self.names or (element.choice and element.choice in self.names)
        return element.required or bool(named)

    def below(self, release: Release, name: str) -> _Keep | None:
        """For the inside of an inner element; None for a value, which is kept whole."""
        element = self.known.get(name)
        if element is None or "." not in element.type_:
            return None
        inside = {one[len(name) + 1 :] for one in self.names if one.startswith(f"{name}.")}
        return _Keep(frozenset(inside), members(release, element.type_))


def _part(release: Release, tree: dict[str, Any], keep: _Keep, *, whole: bool) -> dict[str, Any]:
    """The members wanted; `whole` keeps what is inside them, otherwise it is a summary too."""
    made: dict[str, Any] = {}
    for name, value in tree.items():
        if not keep.wants(name):
            continue
        below = None if whole else keep.below(release, name)
        if below is None:
            made[name] = value
        elif type(value) is list:
            made[name] = [_part(release, one, below, whole=whole) for one in value]
        else:
            made[name] = _part(release, value, below, whole=whole)
    if "contained" in tree and "contained" not in made and _points_inside(made):
        made["contained"] = tree["contained"]
    return made


def _points_inside(value: Any) -> bool:
    """Whether there is a reference to a contained resource."""
    if type(value) is dict:
        reference = value.get("reference")
        here = type(reference) is str and reference.startswith("#")
        return here or any(_points_inside(one) for one in value.values())
    return type(value) is list and any(_points_inside(one) for one in value)


def tagged(tree: dict[str, Any], release: Release) -> dict[str, Any]:
    """A copy with the tag that says that it is a part of the resource."""
    tag = {"system": _SYSTEMS[release], "code": "SUBSETTED"}
    meta = tree.get("meta", {})
    tags = [one for one in meta.get("tag", ()) if one.get("code") != "SUBSETTED"]
    return {**tree, "meta": {**meta, "tag": [*tags, tag]}}


@cache
def _flagged(release: Release, flag: str, type_: str) -> frozenset[str]:
    return frozenset(_read()[release][flag].get(type_, "").split())


@cache
def _read() -> dict[str, Any]:
    raw = (files.files("pgo.fhir") / "data" / "summary.json").read_bytes()
    data: dict[str, Any] = orjson.loads(raw)
    return data
