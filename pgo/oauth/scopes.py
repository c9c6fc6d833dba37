"""SMART scopes: what a token may at most reach; it never widens what consent allows.

Grammar: http://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html. Version 1 scopes are
read as their version 2 meaning. A search restriction (`?category=…`) holds for one named type; what
it leaves is worked out in `pgo.narrowed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from pgo.errors import InvalidScope

LETTERS = "cruds"
CONTEXT = frozenset({"launch/patient", "fhirUser", "offline_access", "openid"})
"""Scopes without a resource type that are granted here."""
NOT_OFFERED = frozenset({"profile", "email", "launch", "launch/encounter", "online_access"})
"""Known scopes that are left out of what is granted: no profile of people, no embedded launch."""
MOST_CHARACTERS, MOST_SCOPES = 4096, 100
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(
    r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\."
    r"(?:(?=[cruds])(c?r?u?d?s?)(?:\?([!-~]{1,1000}))?|(read|write|\*))"
)
_PARAMETER = re.compile(r"[a-z][A-Za-z0-9-]{0,63}|_(?:id|lastUpdated|profile|security|tag)")
MOST_RESTRICTIONS = 5

Only = tuple[tuple[str, str], ...]
"""A search restriction: names and values, in order of name; all must match."""


@dataclass(frozen=True, slots=True)
class Reach:
    """One resource scope: `level` patient, user or system; `type_` or "*"; `letters` of cruds.

    `only` is its search restriction. `text` is how it was written, so that a version 1 app gets
    back what it asked for.
    """

    level: str
    type_: str
    letters: str
    text: str = field(compare=False, default="")
    only: Only = ()

    def __str__(self) -> str:
        restriction = f"?{urlencode(self.only, safe=':/|,')}" if self.only else ""
        return self.text or f"{self.level}/{self.type_}.{self.letters}{restriction}"

    def within(self, other: Reach) -> bool:
        """Whether everything this reaches is reached by the other too."""
        return (
            self.level == other.level
            and other.type_ in ("*", self.type_)
            and set(self.letters) <= set(other.letters)
            and set(other.only) <= set(self.only)
        )

    def meet(self, other: Reach) -> Reach | None:
        """What both reach; None when that is nothing."""
        letters = "".join(letter for letter in self.letters if letter in other.letters)
        if self.level != other.level or not letters:
            return None
        if self.within(other):
            return self
        if "*" not in (self.type_, other.type_) and self.type_ != other.type_:
            return None
        type_ = other.type_ if self.type_ == "*" else self.type_
        only = tuple(sorted({*self.only, *other.only}))
        return Reach(self.level, type_, letters, only=only)


@dataclass(frozen=True, slots=True)
class Cap:
    """A parsed set of scopes: the resource reaches and the context scopes."""

    reaches: tuple[Reach, ...] = ()
    context: frozenset[str] = frozenset()

    def allows(self, interaction: str, type_: str, *, in_context: bool = True) -> bool:
        """Whether a token with these scopes may do this to resources of a type.

        Args:
            interaction: one letter: c create, r read, vread or history of an instance, u update or
                patch, d delete, s search or history of a type.
            type_: FHIR resource type.
            in_context: the dossier asked for is the one the token was given for; when it is not,
                `patient/` scopes do not count.
        """
        for reach in self.reaches:
            if (
                interaction in reach.letters
                and reach.type_ in ("*", type_)
                and (in_context or reach.level != "patient")
            ):
                return True
        return False

    @property
    def restricted_types(self) -> frozenset[str]:
        """The types of which a search restriction may leave a part only."""
        return frozenset(reach.type_ for reach in self.reaches if reach.only)

    def restrictions(
        self, letter: str, type_: str, *, in_context: bool = True
    ) -> tuple[Only, ...] | None:
        """What a resource of this type must match, one of them, for this letter; None: nothing."""
        mine = [
            reach.only
            for reach in self.reaches
            if letter in reach.letters
            and reach.type_ in ("*", type_)
            and (in_context or reach.level != "patient")
        ]
        return tuple(mine) if mine and all(mine) else None

    @property
    def one_dossier(self) -> bool:
        """Whether these scopes need one chosen dossier."""
        return "launch/patient" in self.context or any(r.level == "patient" for r in self.reaches)

    def covers(self, other: Cap) -> bool:
        """Whether all of the other is in this one."""
        reached = all(any(one.within(mine) for mine in self.reaches) for one in other.reaches)
        return reached and other.context <= self.context

    def texts(self) -> tuple[str, ...]:
        """The scopes as they stand in a token answer, context scopes last."""
        return (*(str(reach) for reach in self.reaches), *sorted(self.context))

    def __str__(self) -> str:
        return " ".join(self.texts())


def _reach(text: str) -> Reach:
    found = _SCOPE.fullmatch(text)
    if found is None:
        raise InvalidScope("This scope is malformed or not supported.", place="scope")
    level, type_, letters, restriction, old = found.groups()
    only = _only(type_, restriction) if restriction else ()
    return Reach(level, type_, letters or _V1[old], text, only)


def _only(type_: str, restriction: str) -> Only:
    """Plain parameters of one type, without modifiers or chains."""
    try:
        pairs = parse_qsl(restriction, strict_parsing=True, errors="strict", max_num_fields=9)
    except ValueError:
        pairs = []
    sound = pairs and all(_PARAMETER.fullmatch(name) and value for name, value in pairs)
    if not sound or type_ == "*" or len(pairs) > MOST_RESTRICTIONS:
        raise InvalidScope("This scope is malformed or not supported.", place="scope")
    return tuple(sorted(set(pairs)))


def _tidied(reaches: Iterable[Reach]) -> tuple[Reach, ...]:
    kept: list[Reach] = []
    for reach in reaches:
        if any(reach.within(other) for other in kept):
            continue
        kept = [other for other in kept if not other.within(reach)]
        kept.append(reach)
    return tuple(kept)


@lru_cache(maxsize=1024)
def cap_of(scopes: tuple[str, ...]) -> Cap:
    """The cap of a token's scopes (`Caller.scope`).

    Raises:
        InvalidScope: one of them is malformed or unknown.
    """
    named = CONTEXT | NOT_OFFERED
    reaches = tuple(_reach(text) for text in scopes if text not in named)
    return Cap(_tidied(reaches), frozenset(scopes) & CONTEXT)


def parse(text: str) -> Cap:
    """The cap of a `scope` parameter: words with one space between them.

    Raises:
        InvalidScope: malformed, unknown, or too long.
    """
    words = tuple(text.split(" ")) if text else ()
    if len(text) > MOST_CHARACTERS or len(words) > MOST_SCOPES or "" in words:
        raise InvalidScope("The scope is not a list of words.", place="scope")
    return cap_of(words)


def narrowed(asked: Cap, allowed: Cap) -> Cap:
    """What is in both: never more than was asked, never more than is allowed."""
    met = (mine.meet(theirs) for mine in asked.reaches for theirs in allowed.reaches)
    reaches = _tidied(reach for reach in met if reach is not None)
    return Cap(reaches, asked.context & allowed.context)


def levels(cap: Cap, *names: str) -> Cap:
    """Only the reaches of these levels; context scopes stay."""
    return Cap(tuple(reach for reach in cap.reaches if reach.level in names), cap.context)
