"""Is a code in a value set: yes, no, or not to be told from the definitions that are here.

Told: codes that are listed, whole code systems that are here and complete, `is-a` and
`descendent-of` where the hierarchy of the code system is written down in it, other value sets,
exclusions, and a value set that has only its expansion. Anything else (SNOMED CT, LOINC, filters on
properties) is not told, and then nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

Tree = dict[str, Any]
Told = bool | None
Definitions = Callable[[str, str], Tree | None]

_DEEPEST: Final = 16
_BELOW: Final = frozenset({"is-a", "descendent-of"})
_PARENTS: Final = frozenset({"parent", "child", "subsumedBy"})


def either(told: Iterable[Told]) -> Told:
    """True when one is; else None when one is; else False."""
    unsure = False
    for one in told:
        if one:
            return True
        unsure = unsure or one is None
    return None if unsure else False


def every(told: Iterable[Told]) -> Told:
    """False when one is; else None when one is; else True."""
    unsure = False
    for one in told:
        if one is False:
            return False
        unsure = unsure or one is None
    return None if unsure else True


class ValueSets:
    """Answers for all value sets that `definitions` finds by kind and address."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._systems: dict[str, dict[str, tuple[str, ...]] | None] = {}
        self._listed: dict[int, frozenset[str]] = {}

    def has(self, url: str, system: str | None, code: str) -> Told:
        """Whether a value set has a code; not told when a definition is not in order.

        Args:
            url: of the value set.
            system: of the code; None for a plain code, whose system the value set says.
            code: itself.
        """
        try:
            return self._has(url, system, code, 0)
        except (AttributeError, KeyError, TypeError):
            return None

    def _has(self, url: str, system: str | None, code: str, deep: int) -> Told:
        tree = self._definitions("ValueSet", url)
        if tree is None or deep > _DEEPEST:
            return None
        compose = tree.get("compose")
        if type(compose) is not dict:
            return self._expanded(tree, system, code)
        found = either(self._included(one, system, code, deep) for one in _list(compose, "include"))
        if found is False:
            return False
        out = either(self._included(one, system, code, deep) for one in _list(compose, "exclude"))
        return False if out else None if out is None else found

    def _expanded(self, tree: Tree, system: str | None, code: str) -> Told:
        expansion = tree.get("expansion")
        if type(expansion) is not dict or "contains" not in expansion:
            return None
        rows = [*_all(expansion, "contains")]
        total = expansion.get("total")
        if any(one.get("code") == code and system in {None, one.get("system")} for one in rows):
            return True
        return False if total is None or total == len(rows) else None

    def _included(self, one: Tree, system: str | None, code: str, deep: int) -> Told:
        others = one.get("valueSet", [])  # STU3: a list too
        inside = every(self._has(url, system, code, deep + 1) for url in others)
        if "system" not in one:
            return inside if others else None
        if system is not None and system != one["system"]:
            return False
        return every([inside, self._in_system(one, code)])

    def _in_system(self, one: Tree, code: str) -> Told:
        if "concept" in one:
            at = id(one)
            if at not in self._listed:
                self._listed[at] = frozenset(
                    row["code"] for row in _list(one, "concept") if "code" in row
                )
            return code in self._listed[at]
        known = self._system(one["system"])
        filters = _list(one, "filter")
        if known is None:
            return None
        above = known.get(code)
        if above is None:
            return False
        return every(_filtered(row, code, above) for row in filters)

    def _system(self, url: str) -> dict[str, tuple[str, ...]] | None:
        """The codes of a complete code system, each with those above it."""
        if url not in self._systems:
            tree = self._definitions("CodeSystem", url)
            whole = tree is not None and tree.get("content") == "complete" and "concept" in tree
            self._systems[url] = dict(_concepts(tree)) if tree is not None and whole else None
        return self._systems[url]


def _filtered(row: Tree, code: str, above: tuple[str, ...]) -> Told:
    op, value = row.get("op"), row.get("value")
    if row.get("property") != "concept" or op not in _BELOW or above[:1] == ("?",):
        return None
    return value in above or (op == "is-a" and value == code)


def _concepts(tree: Tree) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Codes with those above; ("?",) when the hierarchy is told in properties."""
    waiting: list[tuple[Tree, tuple[str, ...]]] = [(one, ()) for one in _list(tree, "concept")]
    while waiting:
        one, above = waiting.pop()
        code = str(one.get("code"))
        told = any(row.get("code") in _PARENTS for row in _list(one, "property"))
        yield code, ("?",) if told else above
        waiting += [(inner, (*above, code)) for inner in _list(one, "concept")]


def _all(tree: Tree, name: str) -> Iterator[Tree]:
    waiting = _list(tree, name)
    while waiting:
        one = waiting.pop()
        yield one
        waiting += _list(one, name)


def _list(tree: Tree, name: str) -> list[Tree]:
    found = tree.get(name)
    return [one for one in found if type(one) is dict] if type(found) is list else []
