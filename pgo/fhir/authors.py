"""Where a resource says whose it is: author, recorder, requester, performer of record; pure.

Which members those are comes from data/authors.json, made by `pgo.fhir.make_facts` of the mappings
in HL7's published definitions (W5 and workflow). Also in what is contained, in the entries of a
Bundle that is kept, in notes and in signatures; what an extension of its own says is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources as files
from typing import Any, Final, NamedTuple

import orjson

from pgo.fhir.elements import Release, members

_WHOLE: Final = frozenset({"Annotation", "Signature"})
"""Types that are one saying: who said it cannot be told apart from what was said."""


class Said(NamedTuple):
    """One member that says whose something is.

    `place` is where it stands (`CarePlan.author[0]`); `value` a Reference, or a name or address as
    text; `same` tells whether an earlier version said the same.
    """

    place: str
    value: Any
    same: bytes


def said(release: Release, tree: Mapping[str, Any]) -> Iterator[Said]:
    """All that says whose it is in a valid resource, in its order."""
    type_ = str(tree.get("resourceType", ""))
    return _inside(release, type_, tree, type_)


def _inside(release: Release, type_: str, tree: Mapping[str, Any], at: str) -> Iterator[Said]:
    known, named = members(release, type_), _authors(release, type_)
    for name, value in tree.items():
        element = known.get(name)
        if element is None or (element.primitive and name not in named):
            continue
        for place, one in _each(f"{at}.{name}", value):
            if name in named:
                same = [type_, name, tree if type_ in _WHOLE else one]
                yield Said(place, one, orjson.dumps(same, option=orjson.OPT_SORT_KEYS))
            elif type(one) is dict:
                inner = str(one.get("resourceType", "")) or element.type_
                yield from _inside(release, inner, one, place)


def _each(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is not list:
        yield place, value
        return
    for number, one in enumerate(value):
        yield f"{place}[{number}]", one


@cache
def _authors(release: Release, type_: str) -> frozenset[str]:
    return frozenset(_read()[release].get(type_, "").split())


@cache
def _read() -> dict[str, dict[str, str]]:
    raw = (files.files("pgo.fhir") / "data" / "authors.json").read_bytes()
    data: dict[str, dict[str, str]] = orjson.loads(raw)
    return data
