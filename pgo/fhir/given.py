"""What an operation is given: parameters in the address, or a Parameters resource in the body.

Source: http://hl7.org/fhir/R4/operations.html#request. Simple values become pairs, as they would
stand in the address; resources and other composed values stay trees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orjson import Fragment

from pgo.errors import BadValue, Missing, Unsupported
from pgo.fhir import elfproef
from pgo.fhir.ask import Ask
from pgo.fhir.incoming import tree_of
from pgo.fhir.text import number

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """Simple parameters by name and value, in order; composed ones as (name, tree)."""

    pairs: tuple[Pair, ...] = ()
    trees: tuple[tuple[str, dict[str, Any]], ...] = ()

    def only(self, names: Iterable[str], trees: Iterable[str] = ()) -> None:
        """Refuse what an operation does not know.

        Raises:
            Unsupported: naming the first.
        """
        strange = [name for name, _ in self.pairs if name not in names]
        strange += [name for name, _ in self.trees if name not in trees]
        if strange:
            raise Unsupported("this operation does not know this parameter", place=strange[0][:64])

    def one(self, name: str) -> str:
        """The value of a parameter that may be given once; "" when it is not.

        Raises:
            BadValue: it was given more often, or is empty.
        """
        found = [value for one, value in self.pairs if one == name]
        if len(found) > 1 or found == [""]:
            raise BadValue("give this parameter once, with a value", place=name)
        return found[0] if found else ""


def given(ask: Ask, *, bare: str = "") -> Given:
    """What this request gives; a BSN is never asked, since questions are kept and shown.

    `bare` is the name of the parameter that a resource in the body stands for by itself; its own
    text may hold anything, and is masked by who reads it.

    Raises:
        BadRequest: a body that is not readable, or parameters in a form FHIR does not have.
    """
    found = _in_body(ask, bare) if ask.method == "POST" and ask.body else Given()
    pairs = (*ask.pairs, *found.pairs)
    for name, value in pairs:
        if elfproef.hide_in_address(f"{name}={value}")[1]:
            raise BadValue("this may be a BSN, and is not asked here", place=name[:64])
    return Given(pairs, found.trees)


def _in_body(ask: Ask, bare: str) -> Given:
    tree = tree_of(ask.address.release, ask.body, ask.reader)
    if tree.get("resourceType") != "Parameters":
        if not bare:
            raise BadValue("send a Parameters resource", place="resourceType")
        return Given((), ((bare, tree),))
    parts = tree.get("parameter", [])
    if type(parts) is not list:
        raise BadValue("parameter is a list", place="Parameters.parameter")
    pairs: list[Pair] = []
    trees: list[tuple[str, dict[str, Any]]] = []
    for index, part in enumerate(parts):
        name, value = _parameter(part, f"Parameters.parameter[{index}]")
        if type(value) is dict:
            trees.append((name, value))
        else:
            pairs.append((name, value))
    return Given(tuple(pairs), tuple(trees))


def _parameter(part: Any, place: str) -> tuple[str, Any]:
    name = part.get("name") if type(part) is dict else None
    if type(name) is not str or not name:
        raise Missing("a parameter needs a name", place=f"{place}.name")
    values = [key for key in part if key == "resource" or key.startswith("value")]
    if len(values) != 1:
        raise BadValue("a parameter here has one value or one resource", place=place)
    value = part[values[0]]
    if type(value) is bool:
        return name, "true" if value else "false"
    if type(value) is Fragment:
        return name, number(value)
    if type(value) is str or type(value) is dict:
        return name, value
    raise BadValue("this is not a value", place=f"{place}.{values[0]}")
