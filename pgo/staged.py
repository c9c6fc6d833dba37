"""What became of one operation of a request, before anything is stored; and two small questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pgo.dossier.image import Row
from pgo.dossier.log import Change, Facet
from pgo.errors import PgoError, VersionMismatch
from pgo.fhir.bundle import Op
from pgo.fhir.moments import interval

_WHOLE_DAY: Final = len("2026-01-31")


@dataclass(slots=True)
class Staged:
    """What became of one operation: HTTP `status`, the row before, the change, the text."""

    op: Op
    status: int
    before: Row | None = None
    change: Change | None = None
    text: bytes = b""
    note: str = ""
    error: PgoError | None = None


def must_match(op: Op, before: Row | None) -> None:
    """Does nothing when the version is the one that If-Match names.

    Raises:
        VersionMismatch: it is another one.
    """
    if op.if_match is not None and (before is None or before.ver != op.if_match):
        raise VersionMismatch("the resource has another version now", place=op.place)


def action_on(facet: Facet, usual: str) -> str:
    """A Consent that is not a clinical directive is about the reins themselves (consent 7)."""
    return "beheren" if "toestemmingen" in facet.categories else usual


def day_of(date: str) -> int | None:
    """µs since 1970 of the start of a data date; None when there is none.

    A partial date (a month, a year) counts as none: a permit for a data period then does not
    match and a deny does, whatever part of that year was meant.
    """
    return interval(date)[0] if len(date) >= _WHOLE_DAY else None
