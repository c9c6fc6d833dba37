"""Which supporting resources may be read, as SQL: what the resources that refer to them lend them.

A Practitioner has no category of its own and takes those of the visible resources that refer to it,
directly or through other supporting ones (consent.md §1, `pgo.verdict`). For a search that would be
a question per Practitioner; here the decisions are made once per pair of facets, and SQL looks for
a referrer with one of the facets that open it. With 5,000 resources: 0.3 ms instead of 28 ms.

Only for decisions that a facet alone settles: not where a grant names ids or a data period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pgo.consent.categories import SUPPORTING
from pgo.dossier.log import Facet
from pgo.fhir.large import BINARY

Permits = Callable[[Facet], bool]
"""May the caller read a resource with this facet?"""
Wrote = Callable[[Facet], bool]
"""Did the caller, or his organisation, write a resource with this facet?"""

_DIRECT: Final = (
    "EXISTS (SELECT 1 FROM lnk l0 JOIN res s0 ON s0.rid=l0.rid WHERE l0.type=§.type AND l0.id=§.id"
    " AND s0.rel=§.rel AND s0.live AND s0.facet IN ({open}))"
)
_THROUGH: Final = (
    "EXISTS (WITH RECURSIVE up0(rid, type, id) AS"
    " (SELECT m0.rid, m0.type, m0.id FROM lnk l0 JOIN res m0 ON m0.rid=l0.rid"
    " WHERE l0.type=§.type AND l0.id=§.id AND m0.rel=§.rel AND m0.live AND m0.facet IN ({between})"
    " UNION SELECT m0.rid, m0.type, m0.id FROM up0 JOIN lnk l0 ON l0.type=up0.type AND l0.id=up0.id"
    " JOIN res m0 ON m0.rid=l0.rid"
    " WHERE m0.rel=§.rel AND m0.live AND m0.facet IN ({between}))"
    " SELECT 1 FROM up0 JOIN lnk l1 ON l1.type=up0.type AND l1.id=up0.id"
    " JOIN res s0 ON s0.rid=l1.rid WHERE s0.rel=§.rel AND s0.live AND s0.facet IN ({open}))"
)


def parts(
    facets: Mapping[int, Facet], types: Iterable[str], permits: Permits, wrote: Wrote
) -> list[str]:
    """SQL conditions on a row `§` of `res`, one of which holds for what may be read.

    Args:
        facets: all facets of the dossier by number.
        types: the supporting types that matter.
        permits: what the verdict says of a facet.
        wrote: whose own a facet is.
    """
    wanted = frozenset(types) & SUPPORTING
    asked = {fid: facet for fid, facet in facets.items() if facet.type in wanted}
    if not asked:
        return []
    plain = {f: facet for f, facet in facets.items() if facet.type not in SUPPORTING}
    seen = {fid: facet for fid, facet in plain.items() if permits(facet)}
    passing = SUPPORTING - {BINARY}  # what a Binary names is not opened by it (pgo.attached)
    between = {fid: facet for fid, facet in facets.items() if facet.type in passing}
    own, lent = [], dict[tuple[str, str], list[int]]()
    for fid, facet in asked.items():
        if permits(facet):
            own.append(fid)
            continue
        others = {f: one for f, one in facets.items() if wrote(facet) or not wrote(one)}
        opened = _opening(facet, {f: others[f] for f in seen if f in others}, permits)
        passed = [one for one in between if one in others]
        if opened:
            lent.setdefault((_list(opened), _list(passed)), []).append(fid)
    made = [f"§.facet IN ({_list(own)})"] if own else []
    return [*made, *(_lent(fids, *key) for key, fids in lent.items())]


def _opening(facet: Facet, seen: Mapping[int, Facet], permits: Permits) -> list[int]:
    """The facets of visible resources that open one with this facet by referring to it."""
    known: dict[tuple[str, ...], bool] = {}
    opened = []
    for fid, source in seen.items():
        if source.categories not in known:
            known[source.categories] = permits(lending(facet, source.categories))
        if known[source.categories]:
            opened.append(fid)
    return opened


def lending(facet: Facet, categories: tuple[str, ...]) -> Facet:
    """A supporting facet with the categories of what refers to it."""
    return Facet(facet.type, categories, facet.labels, facet.author, facet.org, facet.seals)


def _lent(fids: list[int], opened: str, passed: str) -> str:
    direct = _DIRECT.format(open=opened)
    through = _THROUGH.format(open=opened, between=passed)
    return f"(§.facet IN ({_list(fids)}) AND ({direct} OR {through}))"


def _list(fids: Iterable[int]) -> str:
    return ",".join(map(str, fids))
