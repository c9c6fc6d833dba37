"""What one commit says: the changes of one request, as sealed JSON; the log is the truth.

A replay parses no resource: index rows travel inside the commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

SHOWS_A_RULE: Final = "regel"
"""The digest of a resource that was written here to show a grant or relation."""


@dataclass(frozen=True, slots=True)
class Facet:
    """What a decision needs to know of a resource besides its id and date.

    `type` FHIR type; `categories` and `labels` as classified at write; `author` person or system;
    `org` whose record it is; `seals` are zegels put on it by `beheren`.
    """

    type: str
    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    author: str = ""
    org: str = ""
    seals: tuple[str, ...] = ()

    def text(self) -> str:
        """Canonical JSON: equal facets give equal text."""
        return orjson.dumps(self, option=orjson.OPT_SORT_KEYS).decode()

    @staticmethod
    def of(text: str) -> Facet:
        """The facet of a canonical text."""
        row = orjson.loads(text)
        for name in ("categories", "labels", "seals"):
            row[name] = tuple(row[name])
        return Facet(**row)


@dataclass(frozen=True, slots=True)
class Change:
    """One new version of one resource.

    `method` is POST, PUT or DELETE; `body` the hex id of its sealed text ("" when deleted);
    `day` the data date in µs; `rows` index rows (pgo.fhir.index); `idents` business identifiers
    [system, value] of the writing organisation; `digest` a keyed hash of the content as sent;
    `made` names the search parameters that `rows` were made with ("" in old commits); `pieces`
    the hex ids of what a large document was cut into.
    """

    rel: str
    type: str
    id: str
    ver: int
    method: str
    facet: Facet
    body: str = ""
    day: int | None = None
    rows: dict[str, list[Any]] = field(default_factory=dict)
    idents: tuple[tuple[str, str], ...] = ()
    digest: str = ""
    made: str = ""
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A grant, relation, seal, notice or fact about the client; `value` None ends it."""

    kind: str
    id: str
    value: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Delta:
    """Everything one request changed. `at` is µs since 1970; `who` person, kind, org, app …."""

    n: int
    at: int
    who: dict[str, str]
    changes: tuple[Change, ...] = ()
    rules: tuple[Rule, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """JSON bytes, to be sealed."""
        return orjson.dumps(self)

    @staticmethod
    def decode(raw: bytes) -> Delta:
        """The delta of JSON bytes."""
        row = orjson.loads(raw)
        changes = tuple(_change(change) for change in row["changes"])
        rules = tuple(Rule(**rule) for rule in row["rules"])
        answers = tuple((name, answer) for name, answer in row["answers"])
        return Delta(row["n"], row["at"], row["who"], changes, rules, answers)


def _change(row: dict[str, Any]) -> Change:
    facet = row.pop("facet")
    for name in ("categories", "labels", "seals"):
        facet[name] = tuple(facet[name])
    row["idents"] = tuple((system, value) for system, value in row["idents"])
    row["pieces"] = tuple(row.get("pieces", ()))
    return Change(facet=Facet(**facet), **row)
