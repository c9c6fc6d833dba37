"""What one caller may do in one dossier at one moment: `decide`, once per distinct facet.

The same verdict decides single rows and, as SQL, whole searches, so that counts, order and
includes never reveal what the caller may not see (architecture 1, "Consent in it").
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from pgo import attached, lending
from pgo.consent.categories import SUPPORTING
from pgo.consent.decide import decide
from pgo.consent.model import SEALS, Decision, Request, Resource, World
from pgo.dossier.image import Image, Row
from pgo.dossier.log import Facet
from pgo.fhir.large import BINARY
from pgo.moment import instant

Visible = Callable[[str], tuple[str, list[Any]]]
_RULES: Final = "toestemmingen"
_NOT_GIVEN: Final = frozenset({"GEEN_TOESTEMMING", "BUITEN_MACHTIGING", "DELEGATIE_ONGELDIG"})
_NOTHING: Final[tuple[str, list[Any]]] = ("0", [])


@dataclass(slots=True)
class Verdict:
    """Decisions for one caller, remembered for the time of one request only.

    `ask` makes the decision's request out of (action, resource); `reach` says whether the token's
    scope reaches a FHIR type for an action; `edges` are the µs at which a grant's data period
    begins or ends; `named` the ids that grants single out; `concerns` says whether a Consent or
    RelatedPerson (type, id) shows a rule that gives the caller himself something now.
    """

    world: World
    image: Image
    ask: Callable[..., Request]
    edges: Sequence[int] = ()
    named: frozenset[str] = frozenset()
    concerns: Callable[[str, str], bool] = lambda _type, _id: False
    _kept: dict[Any, Decision] = field(default_factory=dict)
    _opening: dict[bool, str] = field(default_factory=dict)
    _system: bool | None = None
    _parts: dict[Any, tuple[dict[int, Facet], int, list[str]]] = field(default_factory=dict)

    def decide(self, action: str, facet: Facet, id_: str = "", day: int | None = None) -> Decision:
        """May the caller do this to a resource with this facet, id and data date (µs)?"""
        special = id_ if id_ in self.named else ""
        period = None if day is None else bisect_right(self.edges, day)
        key = (*self._matters(action, facet), special, period)
        found = self._kept.get(key)
        if found is None:
            resource = self._resource(facet, special, day if self.edges else None)
            found = decide(self.world, self.ask(action, resource))
            if action == "lezen" and _RULES in facet.categories:
                found = self._as_holder(found, resource)
            self._kept[key] = found
        return found

    def _as_holder(self, found: Decision, resource: Resource) -> Decision:
        """Who may end a grant may read what there is to end."""
        if found.reason != "GEEN_TOESTEMMING":
            return found
        asked = replace(self.ask("beheren", resource), restrictive=True)
        held = decide(self.world, asked)
        return held if held.permit else found

    def _matters(self, action: str, facet: Facet) -> tuple[object, ...]:
        """What of a facet the decision looks at: for reading, authors whom no rule names are alike.

        Whose record it is matters to systems only, and who wrote it to who reads what is sealed.
        """
        what = (action, facet.type, facet.categories, facet.labels)
        sealed = facet.seals or not SEALS.isdisjoint(facet.labels)
        if action != "lezen" or sealed or self._for_system():
            return (*what, facet.seals, facet.author, facet.org)
        named = not facet.author or facet.author in self.world.authors
        return (*what, facet.author if named else None)

    def _for_system(self) -> bool:
        if self._system is None:
            person = self.ask("lezen", Resource()).person
            self._system = person is None or person.kind == "systeem"
        return self._system

    def _resource(self, facet: Facet, id_: str, day: int | None) -> Resource:
        return Resource(
            categories=frozenset(facet.categories),
            type=facet.type,
            id=id_,
            author=facet.author,
            date=day_text(day),
            labels=frozenset(facet.labels) | frozenset(facet.seals),
            org=facet.org,
        )

    def resource_of(self, row: Row) -> Resource:
        """What decisions know of a row."""
        return self._resource(self.image.facets[row.facet], row.id, row.day)

    def row(self, row: Row, action: str = "lezen") -> Decision:
        """The decision about one row; a supporting one is decided by what refers to it."""
        facet = self.image.facets[row.facet]
        if facet.type == BINARY:
            return attached.decided(self, row, facet, action)
        if facet.type in SUPPORTING:
            return self._supporting(row, facet, action)
        decision = self.decide(action, facet, row.id, row.day)
        if action == "lezen" and decision.reason in _NOT_GIVEN and _RULES in facet.categories:
            return self._own_part(decision, row)
        return decision

    def _own_part(self, decision: Decision, row: Row) -> Decision:
        """A rule that gives the caller something he may read by its id, while he may enter."""
        if not self.concerns(row.type, row.id) or not self.knows(Facet("Patient")).permit:
            return decision
        return replace(decision, permit=True, reason="EIGEN_DEEL")

    def sees(self, row: Row) -> bool:
        """May the caller read this row?"""
        return self.row(row).permit

    # --- may he know of the dossier ------------------------------------------------------------

    def knows(self, facet: Facet) -> Decision:
        """May the caller know of the dossier, whatever his token reaches?

        He may when he may read `facet`, when his organisation brings records here, or when a deny
        that hits whatever has no author or date stops him there but not at some row.
        """
        decision = self._kept.get(("knows", facet))
        if decision is None:
            request = self.ask("lezen", self._resource(facet, "", None), anyhow=True)
            decision = self._kept[("knows", facet)] = decide(self.world, request)
        if decision.permit:
            return decision
        excluded = decision.reason == "WEIGERING_WINT"
        permit = self._brings() or (excluded and self._sees_any())
        return replace(decision, permit=True) if permit else decision

    def _brings(self) -> bool:
        org = self.ask("lezen", Resource()).org
        own = Resource(type="Patient", org=org)
        request = self.ask("toevoegen", own, anyhow=True) if org else None
        return request is not None and decide(self.world, request).permit

    def _sees_any(self) -> bool:
        for rel in ("r4", "stu3"):
            where, args = self.visible(rel, None)("r")
            sql = f"SELECT 1 FROM res r WHERE r.rel=? AND r.live AND {where} LIMIT 1"
            if self.image.select(sql, (rel, *args)):
                return True
        return False

    # --- supporting resources ------------------------------------------------------------------

    def _supporting(self, row: Row, facet: Facet, action: str) -> Decision:
        own = self.decide(action, facet, row.id, row.day)
        if own.permit:
            return own
        for source in self.lenders(row, facet, set()):
            decision = self.decide(action, lending.lending(facet, source), row.id, row.day)
            if decision.permit:
                return decision
        return own

    def lenders(self, row: Row, facet: Facet, seen: set[int]) -> Iterable[tuple[str, ...]]:
        """Categories of the visible resources that refer to this one, through others if need be.

        What the caller or his organisation wrote opens nothing but what they wrote themselves:
        nobody makes a resource visible to himself by pointing at it.
        """
        if not seen:
            yield from self._first_lender(row, facet)
        found = self.image.select(
            "SELECT min(s.rid) FROM lnk l JOIN res s ON s.rid = l.rid"
            f" WHERE l.type=? AND l.id=? AND s.rel=? AND s.live AND s.type<>?"
            f" GROUP BY {self._alike()}",
            (row.type, row.id, row.rel, BINARY),
        )
        fresh = [rid for (rid,) in found if rid not in seen]
        seen.update(fresh)
        given: set[tuple[str, ...]] = set()
        for source in self.image.rows(fresh):
            referrer = self.image.facets[source.facet]
            if self.wrote(referrer) and not self.wrote(facet):
                continue
            if referrer.type in SUPPORTING:
                yield from self.lenders(source, facet, seen)
            elif referrer.categories not in given and self.row(source).permit:
                given.add(referrer.categories)
                yield referrer.categories

    def _first_lender(self, row: Row, facet: Facet) -> Iterable[tuple[str, ...]]:
        """The categories of one that refers to it directly, found without looking at all of them.

        Of a carer whom 300 records name this takes 20 µs, and looking at all of them 900.
        """
        if self.edges or self.named:
            return
        own, facets = self.wrote(facet), self.image.facets
        opening = self._opening.get(own)
        if opening is None:
            plain = {f: one for f, one in facets.items() if one.type not in SUPPORTING}
            mine = {f: one for f, one in plain.items() if own or not self.wrote(one)}
            seen = [str(f) for f, one in mine.items() if self.decide("lezen", one).permit]
            opening = self._opening[own] = ",".join(seen)
        found = self.image.select(
            "SELECT s.facet FROM lnk l CROSS JOIN res s ON s.rid = l.rid"
            f" WHERE l.type=? AND l.id=? AND s.rel=? AND s.live AND s.facet IN ({opening}) LIMIT 1",
            (row.type, row.id, row.rel),
        )
        for (fid,) in found:
            yield facets[fid].categories

    def _alike(self) -> str:
        """Rows `s` about which one decision holds: those of one facet, if a facet settles it."""
        if self.edges or self.named:
            return "s.rid"
        others = [str(f) for f, facet in self.image.facets.items() if facet.type in SUPPORTING]
        return f"CASE WHEN s.facet IN ({','.join(others)}) THEN -s.rid ELSE s.facet END"

    def wrote(self, facet: Facet) -> bool:
        """Did the caller, or his organisation, write a resource with this facet?"""
        asker = self.ask("lezen", Resource())
        return facet.author == asker.actor or (bool(facet.org) and facet.org == asker.org)

    # --- as SQL --------------------------------------------------------------------------------

    def visible(self, rel: str, types: Iterable[str] | None) -> Visible:
        """The rows of these types (None: all) the caller may read, as SQL on an alias of `res`."""
        wanted = None if types is None else frozenset(types)
        support = (SUPPORTING if wanted is None else SUPPORTING & wanted) - {BINARY}
        rids: list[int] = []
        if self.edges or self.named:
            parts: Sequence[str] = self._plain_parts(wanted)
            rids = self._support_rids(rel, support) if support else []
        else:
            parts = self._facet_parts(wanted, support)
        if wanted is None or BINARY in wanted:
            parts = [*parts, *attached.parts(self, rel)]

        def on(alias: str) -> tuple[str, list[Any]]:
            made = [part.replace("§", alias) for part in parts]
            if rids:
                made.append(f"{alias}.rid IN ({','.join(map(str, rids))})")
            return ("(" + " OR ".join(made) + ")", []) if made else _NOTHING

        return on

    def _facet_parts(self, wanted: frozenset[str] | None, support: frozenset[str]) -> Sequence[str]:
        """Where facets settle everything: worked out once for the facets there are."""
        facets = self.image.facets
        kept = self._parts.get(wanted)
        if kept is None or kept[0] is not facets or kept[1] != len(facets):
            parts = self._plain_parts(wanted)
            if support:
                parts += lending.parts(facets, support, self._opens, self.wrote)
            kept = self._parts[wanted] = (facets, len(facets), parts)
        return kept[2]

    def _opens(self, facet: Facet) -> bool:
        return self.decide("lezen", facet).permit

    def _plain_parts(self, wanted: frozenset[str] | None) -> list[str]:
        facets = {
            fid: facet
            for fid, facet in self.image.facets.items()
            if facet.type not in SUPPORTING and (wanted is None or facet.type in wanted)
        }
        if not self.edges and not self.named:
            allowed = [fid for fid, facet in facets.items() if self.decide("lezen", facet).permit]
            return [f"§.facet IN ({','.join(map(str, allowed))})"] if allowed else []
        return [*self._by_period(facets), *self._by_name(facets)]

    def _by_period(self, facets: dict[int, Facet]) -> list[str]:
        spans: list[tuple[str, int | None]] = [("§.day IS NULL", None)]
        bounds = [None, *self.edges, None]
        for low, high in pairwise(bounds):
            above = "§.day IS NOT NULL" if low is None else f"§.day >= {low:d}"
            below = "" if high is None else f" AND §.day < {high:d}"
            within = low if low is not None else (high - 1 if high is not None else 0)
            spans.append((above + below, within))
        parts = []
        for where, day in spans:
            allowed = [
                f for f, facet in facets.items() if self.decide("lezen", facet, "", day).permit
            ]
            if allowed:
                parts.append(f"({where} AND §.facet IN ({','.join(map(str, allowed))})")
        special = self._named_rids()
        outside = f" AND §.rid NOT IN ({','.join(map(str, special))}))" if special else ")"
        return [part + outside for part in parts]

    def _named_rids(self) -> list[int]:
        marks = ",".join("?" * len(self.named))
        found = self.image.select(f"SELECT rid FROM res WHERE id IN ({marks})", sorted(self.named))
        return [rid for (rid,) in found]

    def _by_name(self, facets: dict[int, Facet]) -> list[str]:
        rows = self.image.rows(self._named_rids())
        allowed = [row.rid for row in rows if row.facet in facets and self.sees(row)]
        return [f"§.rid IN ({','.join(map(str, allowed))})"] if allowed else []

    def _support_rids(self, rel: str, types: frozenset[str]) -> list[int]:
        marks = ",".join("?" * len(types))
        found = self.image.select(
            f"SELECT rid FROM res WHERE rel=? AND live AND type IN ({marks})", (rel, *sorted(types))
        )
        return [row.rid for row in self.image.rows([rid for (rid,) in found]) if self.sees(row)]


def day_text(day: int | None) -> str:
    """A data date in the form decisions read: a UTC instant, or "" for none."""
    return "" if day is None else instant(day)
