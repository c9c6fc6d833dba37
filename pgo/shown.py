"""What a vault answers: versions as the caller may see them, pages, outcomes of changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from pgo.dossier.image import Row
from pgo.errors import PgoError
from pgo.fhir.bundle import Op
from pgo.fhir.query import Query

PAGE: Final = 50


class Found(NamedTuple):
    """One resource version as the caller may see it; `included` when not a match itself."""

    row: Row
    text: bytes
    included: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: `total` counts all matches; `cursor` leads to the next page, if any."""

    found: tuple[Found, ...]
    total: int
    cursor: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of one operation of a Bundle, or of a single change.

    `row` is the version that is there now (None after a refusal); for a search `page` and `query`.
    """

    op: Op
    status: int
    row: Row | None = None
    text: bytes = b""
    note: str = ""
    error: PgoError | None = None
    page: Page | None = None
    query: Query | None = None


def page_size(query: Query) -> int:
    """How many matches go on one page of a search."""
    if query.counts_only:
        return 0
    return PAGE if query.count is None else query.count
