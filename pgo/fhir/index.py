"""The index rows of one resource: pure extraction, made once when the resource is written.

All parameters of a type become one tree of members, so that a resource is walked once and what it
does not have costs nothing: about 70 µs for a typical Observation, with its links.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from pgo.fhir import added
from pgo.fhir.convert import CONVERTERS, LOCAL, Converter, Out
from pgo.fhir.parameters import COLUMNS, Parameter, Parameters
from pgo.fhir.paths import At, Flag, Member, Path, Step, Test, Where, found
from pgo.fhir.special import stops, understood
from pgo.fhir.tables import Rows

_TABLES: Final = ("tok", "txt", "str", "dat", "num", "qty", "ref", "uri", "wds")
_URL_TYPES: Final = frozenset({"Binary"})
STRANGE: Final = "$strange"
"""Name of the row of what has a modifierExtension that is not understood; nobody can ask for it."""
STOPS: Final = "$stops"
"""Name of the row of a MedicationStatement that stops a treatment, which no parameter finds."""


class _Node:
    """One place in the resources of a type: what to note here and where to go on."""

    __slots__ = ("composites", "first", "flags", "members", "notes", "tests")

    def __init__(self) -> None:
        self.notes: list[tuple[str, Converter]] = []
        self.composites: list[Parameter] = []
        self.members: dict[str, _Node] = {}
        self.first: list[tuple[int, _Node]] = []
        self.tests: list[tuple[Test, _Node]] = []
        self.flags: list[tuple[Test, _Node]] = []


def rows(release: str, tree: Mapping[str, Any], parameters: Parameters | None = None) -> Rows:
    """The index rows of a resource, as `pgo.fhir.tables.insert` takes them.

    Args:
        release: r4 or stu3.
        tree: a parsed resource with its numbers as `orjson.Fragment`; not changed.
        parameters: when a deployment has more than the published ones and ours.

    Returns:
        Lists of rows by table; can be written as JSON. `lnk` lists every local reference in the
        tree, also in contained resources and extensions, once each. One row `STRANGE` in `tok`
        when a modifierExtension, however deep, is not understood here; `STOPS` is explained there.
    """
    parameters = parameters or added.known("stu3" if release == "stu3" else "r4")
    out: Out = {name: [] for name in (*_TABLES, "groups")}
    _visit(_plan(parameters, tree["resourceType"]), tree, tree, out)
    del out["groups"]
    made: Rows = {name: list(dict.fromkeys(some)) for name, some in out.items() if some}
    links, modifiers = _everywhere(tree, parameters)
    if links:
        made["lnk"] = links
    if modifiers and not understood(tree["resourceType"], modifiers):
        made.setdefault("tok", []).append((STRANGE, None, "true"))
    if tree["resourceType"] == "MedicationStatement" and stops(tree):
        made.setdefault("tok", []).append((STOPS, None, "true"))
    return made


def _visit(node: _Node, value: Any, root: Any, out: Out) -> None:
    for p, convert in node.notes:
        convert(p, value, root, out)
    if node.composites or node.tests or node.flags:
        _look_closer(node, value, root, out)
    members = node.members
    if members and type(value) is dict:
        for name, child in value.items():
            below = members.get(name)
            if below is None or child is None:
                continue
            if type(child) is list:
                _visit_all(below, child, root, out)
            else:
                _visit(below, child, root, out)


def _look_closer(node: _Node, value: Any, root: Any, out: Out) -> None:
    for parameter in node.composites:
        _composite(parameter, value, root, out)
    for test, below in node.tests:
        if test(value, root):
            _visit(below, value, root, out)
    for test, below in node.flags:
        _visit(below, test(value, root), root, out)


def _visit_all(node: _Node, values: list[Any], root: Any, out: Out) -> None:
    for index, below in node.first:
        for one in values[index : index + 1]:
            _visit(below, one, root, out)
    for one in values:
        if one is not None:
            _visit(node, one, root, out)


def _composite(parameter: Parameter, value: Any, root: Any, out: Out) -> None:
    """Rows `code$0`, `code$1` … of one occurrence, tied by their group number."""
    parts = []
    for component in reversed(parameter.components):  # the value first: mostly it has another type
        values = [
            one
            for path in component.paths
            for one in found(path.steps, root if path.root == "%resource" else value, root)
        ]
        if not values:
            return
        parts.append((component.kind, values))
    made: Out = {name: [] for name in _TABLES}
    for position, (kind, values) in enumerate(reversed(parts)):
        for one in values:
            CONVERTERS[kind](f"{parameter.code}${position}", one, root, made)
    out["groups"].append((parameter.code,))
    group = len(out["groups"])
    for name in _TABLES:
        if name not in {"txt", "wds"}:
            out[name] += [(*row, group) for row in made[name] if ":" not in row[0]]


def _everywhere(
    tree: Mapping[str, Any], parameters: Parameters
) -> tuple[list[tuple[str, str]], list[Any]]:
    """Every local literal reference, and Binary addresses of attachments, in order of finding.

    And the addresses of all modifierExtensions.
    """
    links: dict[tuple[str, str], None] = {}
    modifiers: list[Any] = []
    stack: list[Any] = [tree]
    while stack:
        one = stack.pop()
        if type(one) is dict:
            for name, value in one.items():
                if type(value) is dict or type(value) is list:
                    stack.append(value)
                    if name == "modifierExtension":
                        modifiers += [each.get("url") for each in value if type(each) is dict]
                elif name in {"reference", "url"} and type(value) is str:
                    match = LOCAL.fullmatch(value)
                    if match and (name == "reference" or match[1] in _URL_TYPES):
                        links[match[1], match[2]] = None
        else:
            stack += [value for value in one if type(value) is dict or type(value) is list]
    return [link for link in links if link[0] in parameters], modifiers


_PLANS: Final[WeakKeyDictionary[Parameters, dict[str, _Node]]] = WeakKeyDictionary()


def _plan(parameters: Parameters, type_: str) -> _Node:
    plans = _PLANS.setdefault(parameters, {})
    if type_ not in plans:
        plans[type_] = _make_plan(parameters.of(type_))
    return plans[type_]


def _make_plan(parameters: Mapping[str, Parameter]) -> _Node:
    top = _Node()
    for parameter in parameters.values():
        if not parameter.searchable or parameter.code in COLUMNS:
            continue
        if parameter.special is not None:
            top.notes.append((parameter.code, parameter.special.convert))
            continue
        for path in parameter.paths:
            for end in _ends(top, path):
                if parameter.kind == "composite":
                    end.composites.append(parameter)
                else:
                    end.notes.append((parameter.code, CONVERTERS[parameter.kind]))
    return top


def _ends(top: _Node, path: Path) -> list[_Node]:
    here = [top]
    for step in path.steps:
        here = [below for node in here for below in _down(node, step)]
    return here


def _down(node: _Node, step: Step) -> list[_Node]:
    """The nodes one step further; members are shared, tests are not."""
    if isinstance(step, Member):
        return [node.members.setdefault(name, _Node()) for name in step.names]
    below = _Node()
    if isinstance(step, At):
        node.first.append((step.index, below))
    elif isinstance(step, Where):
        node.tests.append((step.test, below))
    elif isinstance(step, Flag):
        node.flags.append((step.test, below))
    return [below]
