"""Conditions of a search: one parameter, chained or reversed, read into frozen values; no SQL.

R4 3.1.1.4.5 - 3.1.1.4.16. A chain goes along a reference (`subject:Patient.name`), `_has` comes
back along one (`_has:Observation:patient:code`), `_list` is `_has` of a List. Together at most two
steps (safety.md D05). An unknown modifier is always refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pgo.errors import BadValue, PgoError, TooCostly, Unsupported
from pgo.fhir import compartments, values
from pgo.fhir.compartments import WITHIN
from pgo.fhir.parameters import COLUMNS, Parameter, Parameters
from pgo.fhir.systems import family
from pgo.fhir.values import Family, Missing, Reference, Together, Token, Value, of_type, read, split

VALUES: Final = 50
STEPS: Final = 2
TYPES: Final = 12
"""To how many types of resource a chain without a named type may lead."""

_MODIFIERS: Final = {
    "string": {"exact", "contains"},
    "token": {"not", "text", "of-type", "above", "below"},
    "reference": {"identifier"},
    "uri": {"above", "below"},
}
_ALONE: Final = frozenset({"stop"})
"""Kinds that only mean something by themselves: no `:missing`, no chain to them."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One parameter of the resource: any of `values` must match."""

    parameter: Parameter
    modifier: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The reference leads to a resource of one of these types that meets the type's condition."""

    parameter: Parameter
    ways: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of type `source` refers here by `parameter`, and meets `condition`."""

    source: str
    parameter: Parameter
    condition: Condition


@dataclass(frozen=True, slots=True)
class Either:
    """One of these is met, or more; there is at least one."""

    conditions: tuple[Clause, ...]

    @property
    def parameter(self) -> Parameter:
        """The first of the parameters."""
        return self.conditions[0].parameter


Condition = Clause | Chain | Has | Either


class Unknown(Unsupported):
    """An unknown or unsupported parameter, which a lenient caller wants left out."""


def types_of(condition: Condition) -> Iterator[str]:
    """The types of resource a condition looks at besides the one it is about."""
    if isinstance(condition, Chain):
        for type_, further in condition.ways:
            yield type_
            yield from types_of(further)
    elif isinstance(condition, Has):
        yield condition.source
        yield from types_of(condition.condition)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Reads conditions for the parameters of one release; `base` is our own FHIR address."""

    known: Parameters
    base: str = ""

    def read(self, type_: str, name: str, text: str, place: str, steps: int = 0) -> Condition:
        """The condition that `name=text` puts on a resource of this type.

        Raises:
            Unknown: a parameter this server does not know; Unsupported: a modifier.
            BadValue: a value that is not of its kind.
            TooCostly: more values or steps than the limits allow.
        """
        if steps > STEPS:
            raise TooCostly(f"At most {STEPS} steps from one resource to another.", place=place)
        if name.startswith("_has:"):
            return self.has(type_, name, text, place, steps)
        if name == WITHIN:
            return self.within(type_, text)
        if name == "_list":
            return self.list_(type_, text, place, steps)
        head, dot, rest = name.partition(".")
        if dot:
            return self.chain(type_, head, (rest, text), place, steps)
        code, _, modifier = name.partition(":")
        parameter = self.parameter(type_, code, place)
        self.check(parameter, modifier, place, steps)
        return Clause(parameter, modifier, tuple(self.values(parameter, modifier, text, place)))

    # --- from one resource to another ----------------------------------------------------------

    def chain(
        self, type_: str, head: str, then: tuple[str, str], place: str, steps: int
    ) -> Condition:
        """`subject:Patient.name`; without the type, all types it may lead to that know `name`."""
        code, _, named = head.partition(":")
        parameter = self.reference(type_, code, place)
        targets = [named] if named else list(parameter.targets)
        if not 0 < len(targets) <= TYPES:
            raise BadValue("Name the type, as in subject:Patient.name.", place=place)
        if named and (named not in self.known or not _leads_to(parameter, named)):
            raise Unsupported("This reference does not lead to that type.", place=place)
        ways: list[tuple[str, Condition]] = []
        fault: PgoError | None = None
        for target in targets:
            try:
                ways.append((target, self.read(target, *then, place, steps + 1)))
            except Unknown as unknown:
                fault = fault or unknown
            except BadValue as wrong:
                fault = wrong if fault is None or isinstance(fault, Unknown) else fault
        if not ways:
            raise fault or _not_known(place)
        return Chain(parameter, tuple(ways))

    def has(self, type_: str, name: str, text: str, place: str, steps: int) -> Condition:
        """`_has:Observation:patient:code`."""
        parts = name.split(":", 3)
        if len(parts) != 4 or not parts[3]:  # noqa: PLR2004 - _has:Type:reference:parameter
            raise Unsupported("Write _has:Type:reference:parameter.", place=place)
        _, source, code, rest = parts
        if source not in self.known:
            raise Unknown("This resource type is not known.", place=place)
        parameter = self.reference(source, code, place)
        if not _leads_to(parameter, type_):
            raise Unsupported("This reference does not lead to the type searched.", place=place)
        return Has(source, parameter, self.read(source, rest, text, place, steps + 1))

    def list_(self, type_: str, text: str, place: str, steps: int) -> Condition:
        """`_list=id`: members of that List."""
        del type_
        if "$" in text:
            raise Unknown("Lists that are worked out are not supported.", place=place)
        named = ",".join(one.removeprefix("List/") for one in text.split(","))
        return Has(
            "List",
            self.known.of("List")["item"],
            self.read("List", "_id", named, place, steps + 1),
        )

    def within(self, type_: str, text: str) -> Condition:
        """In the compartment of `text` (Type/id)."""
        codes = compartments.parameters(self.known.release, text.partition("/")[0], type_)
        mine = self.known.of(type_)
        known = [mine[code] for code in codes if code in mine and mine[code].searchable]
        if not known:
            raise Unsupported("Nothing of this type belongs to that resource.", place=type_)
        value = read("reference", text, type_, self.base)
        return Either(tuple(Clause(one, "", (value,)) for one in known))

    def reference(self, type_: str, code: str, place: str) -> Parameter:
        """A parameter that leads to other resources."""
        parameter = self.parameter(type_, code, place)
        if parameter.kind != "reference":
            raise Unknown("This is not a reference parameter of that type.", place=place)
        return parameter

    # --- one parameter -------------------------------------------------------------------------

    def parameter(self, type_: str, code: str, place: str) -> Parameter:
        """A parameter of a type.

        Raises:
            Unknown: there is none, or this server cannot answer it.
        """
        found = self.known.of(type_).get(code)
        if found is None:
            raise _not_known(place)
        if not found.searchable:
            raise Unknown("This search parameter is not supported.", place=place)
        return found

    def check(self, parameter: Parameter, modifier: str, place: str, steps: int) -> None:
        """The modifier means something for this parameter, at this distance."""
        if parameter.kind in _ALONE and (modifier or steps):
            raise Unsupported("This parameter stands by itself.", place=place)
        if modifier in {"", "missing"}:
            return
        allowed = modifier in _MODIFIERS.get(parameter.kind, ())
        if parameter.code in COLUMNS:
            allowed = False
        elif parameter.kind == "reference" and modifier in self.known:
            allowed = True
        if not allowed:
            raise Unsupported("This modifier is not supported here.", place=place)

    def values(self, parameter: Parameter, modifier: str, text: str, place: str) -> Iterator[Value]:
        """All values; one that stands for several gives several."""
        texts = split(text, ",")
        if len(texts) > VALUES:
            raise TooCostly(f"At most {VALUES} values for one parameter.", place=place)
        for one in texts:
            if modifier == "above" and parameter.kind == "uri":
                yield from values.above(one, place)
            else:
                yield self.value(parameter, modifier, one, place)

    def value(self, parameter: Parameter, modifier: str, text: str, place: str) -> Value:
        """One value."""
        if modifier == "missing" or parameter.kind == "stop":
            if text not in {"true", "false"}:
                raise BadValue("Write true or false.", place=place)
            return Missing(text == "true")
        if modifier == "of-type":
            return of_type(text, place)
        if modifier in {"text", "identifier"}:
            return read("string" if modifier == "text" else "token", text, place)
        if modifier in {"above", "below"}:
            if parameter.kind == "uri":
                return values.below(text, place)
            return self.family(text, place, above=modifier == "above")
        if parameter.kind == "composite":
            return self.together(parameter, text, place)
        value = read(parameter.kind, text, place, self.base)
        return _of_type(value, modifier, place) if isinstance(value, Reference) else value

    def family(self, text: str, place: str, *, above: bool) -> Value:
        """A code with those above or below it, in a hierarchy that is known here."""
        token = read("token", text, place)
        if not isinstance(token, Token) or not token.system or not token.code:
            raise BadValue("With this modifier, write system|code.", place=place)
        codes = family(self.known.release, token.system, token.code, above=above)
        if codes is None:
            raise Unsupported("The hierarchy of this code system is not known.", place=place)
        return Family(token.system, tuple(sorted(codes)))

    def together(self, parameter: Parameter, text: str, place: str) -> Value:
        """The parts of a composite value."""
        texts = split(text, "$")
        if len(texts) != len(parameter.components):
            raise BadValue("A composite has another number of parts.", place=place)
        kinds = (component.kind for component in parameter.components)
        parts = zip(kinds, texts, strict=True)
        return Together(tuple(read(kind, part, place, self.base) for kind, part in parts))


def _leads_to(parameter: Parameter, type_: str) -> bool:
    return not parameter.targets or type_ in parameter.targets


def _not_known(place: str) -> PgoError:
    return Unknown("This search parameter is not known.", place=place)


def _of_type(value: Reference, modifier: str, place: str) -> Reference:
    """`subject:Patient=1` means `subject=Patient/1`."""
    if not modifier:
        return value
    if value.url and not value.id:
        raise BadValue("With a type, write the id.", place=place)
    if value.type not in {"", modifier}:
        raise BadValue("The type here is another one than in the name.", place=place)
    return replace(value, type=modifier)
