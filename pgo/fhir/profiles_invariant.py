"""Evaluates FHIRPath on a resource, for the invariants of profiles; bounded in work.

`holds` is what the rest needs. Whatever is not known here (`resolve()` of another resource, a
function nobody wrote, a pattern that could run long) raises `Unreadable`: then an invariant is not
checked, and never refuses. Sources: http://hl7.org/fhirpath/N1, http://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from pgo.fhir.elements import Release
from pgo.fhir.profiles_nodes import Effort, Node, below, equal, is_number, key, order, plain
from pgo.fhir.profiles_path import (
    Binary,
    Constant,
    Function,
    Index,
    Literal,
    Member,
    Minus,
    This,
    Unreadable,
    read,
)

Values = list[Any]
Codes = Callable[[str, Node], bool | None]
"""Whether a value set, by its address, has a value; None when that cannot be told."""

LONGEST_TEXT: Final = 3_000_000
_STRANGE: Final = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
_CONSTANTS: Final = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}


@dataclass(slots=True)
class World:
    """What an expression may look at.

    Attributes:
        release: of the resource.
        resource: the resource, contained or not, that the expression is about.
        root: the outermost resource.
        member_of: asks a value set.
        effort: what is left of the work allowed.
    """

    release: Release
    resource: Node
    root: Node
    member_of: Codes = lambda _url, _node: None
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True)
class Here:
    """Where an expression is evaluated: the focus, `$this`, `$index`, `%context`."""

    world: World
    focus: tuple[Any, ...]
    this: tuple[Any, ...]
    context: tuple[Any, ...]
    index: int = 0

    def at(self, value: Any, index: int = 0) -> Here:
        """The same, for one value of a list."""
        return replace(self, focus=(value,), this=(value,), index=index)


def holds(expression: str, node: Node, world: World) -> bool:
    """Whether an invariant is true of a value.

    Raises:
        Unreadable: it cannot be told; also when the expression comes to nothing at all. HL7's own
            examples break ras-2 and bdl-8 otherwise, where the element is simply not there.
    """
    try:
        here = Here(world, (node,), (node,), (node,))
        found = evaluate(read(expression), here)
    except Unreadable:
        raise
    except _STRANGE as fault:  # a strange expression is no reason to fall over
        raise Unreadable("an expression that cannot be used") from fault
    told = truth(found)
    if told is None:
        raise Unreadable("it comes to nothing")
    return told


def truth(found: Values) -> bool | None:
    """True or false of one value; None of nothing. What is there and no boolean is true.

    Raises:
        Unreadable: of more than one boolean.
    """
    if not found:
        return None
    first = plain(found[0])
    if isinstance(first, bool):
        if len(found) > 1:
            raise Unreadable("more than one value")
        return first
    return True


def evaluate(tree: Any, here: Here) -> Values:
    """The values of an expression."""
    here.world.effort.spend()
    found = _KINDS[type(tree)](tree, here)
    here.world.effort.spend(len(found))
    return found


def _literal(tree: Literal, _here: Here) -> Values:
    return [*tree.values]


def _this(tree: This, here: Here) -> Values:
    if tree.name == "$index":
        return [here.index]
    if tree.name not in {"", "$this"}:
        raise Unreadable("an unknown variable")
    return [*(here.this if tree.name else here.focus)]


def _constant(tree: Constant, here: Here) -> Values:
    name, world = tree.name, here.world
    if name in _CONSTANTS:
        return [_CONSTANTS[name]]
    if name == "resource":
        return [world.resource]
    if name == "rootResource":
        return [world.root]
    if name == "context":
        return [*here.context]
    if name.startswith("vs-"):
        return [f"http://hl7.org/fhir/ValueSet/{name[3:]}"]
    if name.startswith("ext-"):
        return [f"http://hl7.org/fhir/StructureDefinition/{name[4:]}"]
    raise Unreadable("an unknown constant")


def _member(tree: Member, here: Here) -> Values:
    values, name = evaluate(tree.of, here), tree.name
    if tree.first and name[0].isupper():
        kept = [one for one in values if isinstance(one, Node) and one.kind == name]
        return kept or ([*values] if name in {"Resource", "DomainResource"} else [])
    release = here.world.release
    return [two for one in values if isinstance(one, Node) for two in below(release, one, name)]


def _index(tree: Index, here: Here) -> Values:
    values, at = evaluate(tree.of, here), evaluate(tree.at, here)
    place = plain(at[0]) if len(at) == 1 else None
    if type(place) is not int:
        raise Unreadable("no position")
    return values[place : place + 1] if place >= 0 else []


def _minus(tree: Minus, here: Here) -> Values:
    values = [plain(one) for one in evaluate(tree.of, here)]
    if not all(is_number(one) for one in values):
        raise Unreadable("no number")
    return [-one for one in values]


def _function(tree: Function, here: Here) -> Values:
    from pgo.fhir.profiles_functions import FUNCTIONS  # noqa: PLC0415 - they evaluate arguments

    function = FUNCTIONS.get(tree.name)
    if function is None:
        raise Unreadable("an unknown function")
    return function(evaluate(tree.of, here), tree.arguments, here)


# --- operators -----------------------------------------------------------------------------------


def _binary(tree: Binary, here: Here) -> Values:
    sign = tree.sign
    if sign in {"is", "as"}:
        values = evaluate(tree.left, here)
        kept = [one for one in values if is_a(one, tree.right)]
        return kept if sign == "as" else [bool(kept)] if values else []
    if sign in _LOGIC:
        return _logic(sign, tree, here)
    left, right = evaluate(tree.left, here), evaluate(tree.right, here)
    if sign == "|":
        return distinct(left + right, here)
    if sign == "&":
        return [joined("", [*left[:1], *right[:1]])]
    if not left or not right:
        return [False] if sign == "contains" and right else []
    if sign in {"in", "contains"}:
        one, many = (left, right) if sign == "in" else (right, left)
        return [contains(many, single(one), here)]
    if sign in {"=", "!=", "~", "!~"}:
        alike = same(left, right, here)
        return [alike is not sign.startswith("!")]
    if sign in _ORDER:
        told = order(single(left), single(right))
        return [] if told is None else [told in _ORDER[sign]]
    return _calculated(sign, plain(single(left)), plain(single(right)))


_ORDER: Final = {"<": {-1}, ">": {1}, "<=": {-1, 0}, ">=": {0, 1}}
_LOGIC: Final = frozenset({"and", "or", "xor", "implies"})


def _logic(sign: str, tree: Binary, here: Here) -> Values:
    """Three-valued: None is nothing."""
    left = truth(evaluate(tree.left, here))
    if (sign, left) in {("and", False), ("or", True), ("implies", False)}:
        return [sign != "and"]
    right = truth(evaluate(tree.right, here))
    if sign == "implies":
        left, sign = None if left is None else not left, "or"
    told: bool | None
    if sign == "xor":
        told = None if left is None or right is None else left is not right
    else:
        strong = sign == "or"
        told = strong if strong in {left, right} else None if None in {left, right} else not strong
    return [] if told is None else [told]


def _calculated(sign: str, left: Any, right: Any) -> Values:
    if sign == "+" and type(left) is str and type(right) is str:
        return [left + right]
    if not is_number(left) or not is_number(right):
        raise Unreadable("no numbers")
    if sign in {"/", "div", "mod"} and right == 0:
        return []
    if sign == "/":
        return [Decimal(left) / Decimal(right)]
    return [{"+": _plus, "-": _less, "*": _times, "div": _div, "mod": _mod}[sign](left, right)]


def _plus(left: Any, right: Any) -> Any:
    return left + right


def _less(left: Any, right: Any) -> Any:
    return left - right


def _times(left: Any, right: Any) -> Any:
    return left * right


def _div(left: Any, right: Any) -> Any:
    return int(Decimal(left) / Decimal(right))


def _mod(left: Any, right: Any) -> Any:
    return left - right * int(Decimal(left) / Decimal(right))


# --- what functions need too -----------------------------------------------------------------


def single(values: Values) -> Any:
    """The one value.

    Raises:
        Unreadable: there are more, or none.
    """
    if len(values) != 1:
        raise Unreadable("one value is needed")
    return values[0]


def joined(between: str, values: Values) -> str:
    """The texts of values, one after the other.

    Raises:
        Unreadable: longer than a text gets.
    """
    texts = [str(plain(one)) for one in values]
    if sum(map(len, texts)) + len(between) * len(texts) > LONGEST_TEXT:
        raise Unreadable("too long")
    return between.join(texts)


def same(left: Values, right: Values, here: Here) -> bool:
    """Two lists of equal values in the same order."""
    here.world.effort.spend(len(left))
    return len(left) == len(right) and all(
        equal(one, two) for one, two in zip(left, right, strict=True)
    )


def contains(many: Values, one: Any, here: Here) -> bool:
    """Whether one of these values is equal."""
    here.world.effort.spend(len(many))
    return any(equal(one, two) for two in many)


def distinct(values: Values, here: Here) -> Values:
    """Each value once."""
    here.world.effort.spend(len(values))
    return [*{key(one): one for one in reversed(values)}.values()][::-1]


def is_a(value: Any, name: str) -> bool:
    """Whether a value is of a type, by FHIR's name or that of the language."""
    if isinstance(value, Node):
        kind = "BackboneElement" if "." in value.kind else value.kind
        return kind == name or (kind == name[:1].lower() + name[1:] and name in _SYSTEM)
    named = _SYSTEM.get(name[:1].upper() + name[1:])
    return (
        named is not None
        and isinstance(value, named)
        and (name.lower() == "boolean" or not isinstance(value, bool))
    )


_SYSTEM: Final[dict[str, type]] = {
    "Boolean": bool,
    "String": str,
    "Integer": int,
    "Decimal": Decimal,
}

_KINDS: Final[dict[type, Callable[[Any, Here], Values]]] = {
    Literal: _literal,
    This: _this,
    Constant: _constant,
    Member: _member,
    Index: _index,
    Minus: _minus,
    Function: _function,
    Binary: _binary,
}
