"""Plants single faults in the rules of consent, one at a time, and finds rows that notice them.

A fault is one change of the syntax tree: a comparison turned, a condition dropped, two steps
swapped, a constant changed. The list is the same each time and every fault has a name of its own.
"""

from __future__ import annotations

import ast
import copy
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pgo.consent
from pgo.consent import decide, reading
from pgo.consent.model import Decision, World

TABLES = Path(__file__).parent / "tables"
# In the order in which they import each other.
RULES = (
    *("labels", "ages", "asking", "matching", "representation", "seals"),
    *("denies", "delegation", "emergency", "entry", "decide"),
)
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
# Words that only `pgo consent explain` says; they decide nothing.
SAID = (
    *("status", "ingetrokken", "periode", "doel", "weekvenster", "categorie", "actie", "soort"),
    *("auteur", "onderdeel", "datum", "gemaakt", "label", "eigen organisatie"),
)
OTHERS = {"any": "all", "all": "any", "min": "max", "max": "min"}
Plant = Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """One fault: its name and the module's code with it."""

    name: str
    module: str
    code: CodeType


def faults(module: str) -> Iterator[Fault]:
    """All single faults of a rule module, in the order of its text."""
    tree = ast.parse(inspect.getsource(sys.modules[f"pgo.consent.{module}"]))
    seen: Counter[str] = Counter()
    for place, part in enumerate(tree.body):
        for number in range(sum(1 for _ in _places(part))):
            changed = copy.deepcopy(part)
            where, what, plant = next(islice(_places(changed), number, None))
            plant()
            name = f"{module}.{where}: {what}"
            seen[name] += 1
            if seen[name] > 1:
                name = f"{name} ({seen[name]})"
            whole = ast.Module([*tree.body[:place], changed, *tree.body[place + 1 :]], [])
            ast.fix_missing_locations(whole)
            yield Fault(name, module, compile(whole, f"<{module}>", "exec"))


def _places(node: ast.stmt) -> Iterator[tuple[str, str, Plant]]:
    """(where, what, plant) for every fault that can be planted in this part of a module."""
    if isinstance(node, ast.FunctionDef) and node.name != "misses":
        yield from _in_function(node.name, node)
    elif isinstance(node, ast.ClassDef):
        for one in node.body:
            if isinstance(one, ast.FunctionDef):
                yield from _in_function(f"{node.name}.{one.name}", one)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = ast.unparse(target)
        if name == "CHECKS" and isinstance(node.value, ast.Tuple):
            yield from _out_of_order(node.value)
        if node.value is not None and name != "Rule":
            yield from _in_tree(name, node.value)


def _in_function(name: str, function: ast.FunctionDef) -> Iterator[tuple[str, str, Plant]]:
    for node in ast.walk(function):
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(body, list):
                yield from _in_body(name, body)
    for statement in function.body:
        if not _is_docstring(statement):
            yield from _in_tree(name, statement)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _in_body(name: str, body: list[ast.stmt]) -> Iterator[tuple[str, str, Plant]]:
    """Two steps that follow each other, swapped."""
    for place, (first, second) in enumerate(pairwise(body)):
        both = isinstance(first, ast.If) and isinstance(second, ast.If)
        if both and _shorts(first.body) != _shorts(second.body):
            what = f"swapped {_short(first.test)} and {_short(second.test)}"
            yield name, what, lambda p=place: _swap(body, p)


def _in_tree(name: str, tree: ast.AST) -> Iterator[tuple[str, str, Plant]]:
    for node in ast.walk(tree):
        for what, plant in _of_node(node):
            yield name, what, plant


def _of_node(node: ast.AST) -> Iterator[tuple[str, Plant]]:
    match node:
        case ast.Compare():
            yield from _turned(node)
        case ast.BoolOp():
            yield from _loosened(node)
        case ast.UnaryOp(op=ast.Not()):
            yield f"not dropped: {_short(node)}", lambda: _instead(node, node.operand)
        case ast.If():
            yield f"never: if {_short(node.test)}", lambda: _set(node, "test", value=False)
        case ast.IfExp():
            yield f"always: {_short(node)}", lambda: _set(node, "test", value=True)
            yield f"never: {_short(node)}", lambda: _set(node, "test", value=False)
        case ast.Constant() if node.value not in SAID:
            yield from _changed(node)
        case ast.Name(id=word, ctx=ast.Load()) if word in OTHERS:
            yield f"{word} -> {OTHERS[word]}", lambda: setattr(node, "id", OTHERS[word])
        case ast.BinOp(op=ast.Sub()):
            yield f"plus: {_short(node)}", lambda: setattr(node, "op", ast.Add())
        case ast.Tuple(elts=[_, _, *_], ctx=ast.Load()) | ast.Set(elts=[_, _, *_]):
            yield from _left_out(node.elts)


def _turned(node: ast.Compare) -> Iterator[tuple[str, Plant]]:
    for place, op in enumerate(node.ops):
        other = TURNED[type(op)]
        what = f"{type(op).__name__} -> {other.__name__}: {_short(node)}"
        yield what, lambda p=place, o=other: node.ops.__setitem__(p, o())


def _loosened(node: ast.BoolOp) -> Iterator[tuple[str, Plant]]:
    other = ast.Or if isinstance(node.op, ast.And) else ast.And
    yield f"{other.__name__.lower()}: {_short(node)}", lambda: setattr(node, "op", other())
    for place, part in enumerate(node.values):
        what = f"dropped {_short(part)} of {_short(node)}"
        yield what, lambda p=place: node.values.__setitem__(p, node.values[p - 1])


def _changed(node: ast.Constant) -> Iterator[tuple[str, Plant]]:
    value: Any = node.value
    if isinstance(value, bool):
        yield f"{value} -> {not value}", lambda: setattr(node, "value", not value)
    elif isinstance(value, int):
        yield f"{value} -> {value + 1}", lambda: setattr(node, "value", value + 1)
    elif isinstance(value, str) and value:
        yield f"{value!r} -> 'x'", lambda: setattr(node, "value", "x")


def _left_out(parts: list[ast.expr]) -> Iterator[tuple[str, Plant]]:
    for place, part in enumerate(parts):
        yield f"left out {_short(part)}", lambda p=place: parts.pop(p)


def _out_of_order(steps: ast.Tuple) -> Iterator[tuple[str, str, Plant]]:
    """Two steps of a list of steps, swapped."""
    for place, (one, two) in enumerate(pairwise(steps.elts)):
        what = f"swapped {_short(one)} and {_short(two)}"
        yield "CHECKS", what, lambda p=place: _swap(steps.elts, p)


def _instead(node: ast.UnaryOp, operand: ast.expr) -> None:
    """`not x` becomes `not not x`: the same node, so that no parent has to be found."""
    node.operand = ast.UnaryOp(ast.Not(), operand)


def _swap(parts: list[Any], place: int) -> None:
    parts[place], parts[place + 1] = parts[place + 1], parts[place]


def _set(node: ast.If | ast.IfExp, name: str, *, value: bool) -> None:
    setattr(node, name, ast.Constant(value))


def _short(node: ast.AST) -> str:
    return ast.unparse(node)


def _shorts(nodes: Sequence[ast.AST]) -> list[str]:
    return [ast.unparse(node) for node in nodes]


# --- asking the tables ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """A table that was read: its world and its rows as (name, request, what is expected)."""

    name: str
    world: World
    cases: tuple[tuple[str, Any, tuple[bool, str, list[str] | None]], ...]


def tables() -> list[Rows]:
    """Our own decision tables, read by the real reader."""
    return [_read(path) for path in sorted(TABLES.glob("*.json"))]


def _read(path: Path) -> Rows:
    raw = json.loads(path.read_text(encoding="utf-8"))
    cases = tuple(
        (
            case["id"],
            reading.request(case["request"]),
            (case["permit"], case["reason"], case.get("obligations")),
        )
        for case in raw["cases"]
    )
    return Rows(path.stem, reading.world(raw["world"]), cases)


def noticed(read: list[Rows], deciding: ModuleType = decide) -> str:
    """The first row that a decision gives another answer to than expected; "" when none does."""
    for table in read:
        for name, request, (permit, reason, obligations) in table.cases:
            try:
                said = deciding.decide(table.world, request)
            except Exception as error:  # noqa: BLE001 - a fault may break anything; that is seen too
                return f"{table.name}/{name}: {type(error).__name__}"
            if (said.permit, said.reason) != (permit, reason):
                return f"{table.name}/{name}: {said.reason}"
            if obligations is not None and sorted(said.obligations) != sorted(obligations):
                return f"{table.name}/{name}: obligations"
            if not _named_well(table.world, request.client, said):
                return f"{table.name}/{name}: grants"
    return ""


def _named_well(world: World, client: str, said: Decision) -> bool:
    """The grants that a decision names are those that made it: one, or a whole chain."""
    reason, _, id_ = said.reason.partition(":")
    if reason == "TOESTEMMING":
        grant = world.by_id.get((client, id_))
        alone = grant is None or not grant.parent
        return said.grants[:1] == (id_,) and (len(said.grants) == 1) == alone
    naming = {"WEIGERING_WINT", "DELEGATIE_DIEPTE", "DELEGATIE_ONGELDIG"}
    return bool(said.grants) == (reason in naming)


CODES: dict[str, CodeType] = {}


@contextmanager
def planted(fault: Fault) -> Iterator[ModuleType | None]:
    """The rules with this fault, as a `decide` module of their own; None: they do not even load."""
    names = {short: f"pgo.consent.{short}" for short in RULES}
    real = {short: sys.modules[name] for short, name in names.items()}
    try:
        yield _loaded(fault, names)
    finally:
        for short, name in names.items():
            sys.modules[name] = real[short]
            setattr(pgo.consent, short, real[short])


def _loaded(fault: Fault, names: dict[str, str]) -> ModuleType | None:
    made: ModuleType | None = None
    for short in RULES[RULES.index(fault.module) :]:
        made = ModuleType(names[short])
        code = fault.code if short == fault.module else _code(short)
        sys.modules[names[short]] = made
        setattr(pgo.consent, short, made)
        try:
            exec(code, made.__dict__)  # noqa: S102 - our own modules, with one fault
        except Exception:  # noqa: BLE001 - a fault that stops the import is seen by everybody
            return None
    return made


def _code(short: str) -> CodeType:
    if short not in CODES:
        source = inspect.getsource(sys.modules[f"pgo.consent.{short}"])
        CODES[short] = compile(source, f"<{short}>", "exec")
    return CODES[short]
