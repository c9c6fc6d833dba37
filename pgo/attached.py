"""Who may read a Binary: decided through the documents that refer to it (consent.md §9).

A Binary has no category of its own: it has those of the DocumentReference, DiagnosticReport, Media
or whatever else refers to it that the caller may read. Unlike other supporting resources it is
closed to everybody but the client when all that refers to it is hidden, also to who represents
him. One that nothing refers to is there for the client and for who brought it.

What a `securityContext` names must be visible as well; it counts as a document that refers to the
Binary. The Patient does not: everybody who reads anything here may read him, so as a context he
would open too much (R4 would let him).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pgo.consent.categories import SUPPORTING
from pgo.consent.model import Decision
from pgo.dossier.image import Row
from pgo.dossier.log import Facet
from pgo.fhir.large import BINARY
from pgo.lending import lending

if TYPE_CHECKING:
    from pgo.verdict import Verdict

_SELF: Final = "ZELF"
_ALONE: Final = ("documenten",)


def decided(verdict: Verdict, row: Row, facet: Facet, action: str) -> Decision:
    """The decision about one Binary."""
    own = verdict.decide(action, facet, row.id, row.day)
    if own.permit and own.reason == _SELF:
        return own
    closed = replace(own, permit=False, reason="GEEN_TOESTEMMING") if own.permit else own
    contexts = _contexts(verdict, row)
    if any(one is None or not verdict.sees(one) for one in contexts):
        return closed
    lent = list(verdict.lenders(row, facet, set()))
    lent += [
        verdict.image.facets[one.facet].categories
        for one in contexts
        if one is not None and one.type not in SUPPORTING
    ]
    if not lent and verdict.wrote(facet) and not _referred(verdict, row):
        lent = [_ALONE]
    for categories in lent:
        decision = verdict.decide(action, lending(facet, categories), row.id, row.day)
        if decision.permit:
            return decision
    return closed


def parts(verdict: Verdict, rel: str) -> list[str]:
    """SQL conditions on a row `§` of `res`, one of which holds for each Binary to be read."""
    facets = verdict.image.facets
    own = [
        fid
        for fid, facet in facets.items()
        if facet.type == BINARY and _is_own(verdict.decide("lezen", facet))
    ]
    listed = ",".join(map(str, own))
    found = verdict.image.select(
        f"SELECT rid FROM res WHERE rel=? AND type=? AND facet NOT IN ({listed})", (rel, BINARY)
    )
    rows = verdict.image.rows([rid for (rid,) in found])
    seen = ",".join(str(row.rid) for row in rows if verdict.sees(row))
    made = [f"§.facet IN ({listed})"] if own else []
    return [*made, f"§.rid IN ({seen})"] if seen else made


def _is_own(decision: Decision) -> bool:
    return decision.permit and decision.reason == _SELF


def _contexts(verdict: Verdict, row: Row) -> list[Row | None]:
    """What the securityContext names, the one thing a Binary refers to; None where it is not there.

    The Patient is left out: whoever may read anything of the dossier may read him.
    """
    image = verdict.image
    found = image.select("SELECT type, id FROM lnk WHERE rid=? AND type<>'Patient'", (row.rid,))
    rows = [image.get(row.rel, type_, id_) for type_, id_ in found]
    return [one if one is not None and one.live and one.type != BINARY else None for one in rows]


def _referred(verdict: Verdict, row: Row) -> bool:
    """Whether anything refers to it, visible or not."""
    found = verdict.image.select(
        "SELECT 1 FROM lnk l JOIN res s ON s.rid=l.rid"
        " WHERE l.type=? AND l.id=? AND s.rel=? AND s.live AND s.type<>? LIMIT 1",
        (row.type, row.id, row.rel, BINARY),
    )
    return bool(found)
