"""Strict reading of the parts of a FHIR Consent: codes, lists, extensions; pure.

Whatever is more than what can be computed is refused, naming the element and never its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from pgo.errors import Unprocessable

_CODING: Final = frozenset({"system", "code", "display", "version", "userSelected"})


def refuse(why: str, place: str) -> NoReturn:
    """Say no to an element.

    Raises:
        Unprocessable: always.
    """
    raise Unprocessable(why, place=place)


def member(value: Any, place: str) -> Mapping[str, Any]:
    """The value, when it is an object with something in it."""
    if not isinstance(value, dict) or not value:
        refuse("not an object", place)
    return value


def listed(value: Any, place: str) -> list[Any]:
    """The value, when it is a list; empty when it is left out."""
    if value is None:
        return []
    if not isinstance(value, list):
        refuse("not a list", place)
    return value


def only(tree: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    """Nothing but what is known stands in an object."""
    for name in tree:
        if name not in known:
            refuse("this element cannot be computed here", f"{place}.{name}")


def coded(concept: Any, place: str) -> tuple[str, str]:
    """System and code of a CodeableConcept with one coding; a text beside it says nothing more."""
    only(member(concept, place), frozenset({"coding", "text"}), place)
    codings = listed(concept.get("coding"), f"{place}.coding")
    if len(codings) != 1:
        refuse("one coding is needed", place)
    coding = member(codings[0], f"{place}.coding[0]")
    only(coding, _CODING, f"{place}.coding[0]")
    return str(coding.get("system", "")), str(coding.get("code", ""))


def extensions(value: Any, place: str) -> Iterable[tuple[str, Mapping[str, Any], str]]:
    """Each extension: its address, itself, and where it stands."""
    for number, one in enumerate(listed(value, place)):
        where = f"{place}[{number}]"
        yield str(member(one, where).get("url", "")), one, where
