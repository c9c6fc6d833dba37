"""What of a dossier matches a question, as far as the caller may see it; and what he sees of it.

Nothing here shows or writes down: that is the vault's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from pgo.consent.categories import PATIENT_PARTS, PATIENT_RETOLD
from pgo.cursor import Place
from pgo.door import PATIENT, Door
from pgo.dossier.asked import name_of
from pgo.dossier.image import Row
from pgo.dossier.log import Facet
from pgo.errors import TooCostly
from pgo.fhir import search as searching
from pgo.fhir import text, written
from pgo.fhir.query import Query
from pgo.verdict import Verdict

_PROFESSIONAL: Final = frozenset({"zorgverlener", "systeem", "beheerder"})
_SOMEBODY: Final = "iemand om de cliënt heen"


class Matching(Door):
    """One caller at one dossier, who asks what is there."""

    async def reported(self, rows: Sequence[Row]) -> dict[int, str]:
        """Of those that somebody wrote who is no professional, by rid, what he is called.

        What an organisation brought, or an operator's import, is not among them.
        """
        facets, people = self.dossier.image.facets, self._parts.people
        wrote = {row.rid: facets[row.facet].author for row in rows if not facets[row.facet].org}
        kinds = {id_: await people.person(id_) for id_ in {*wrote.values()} - {""}}
        private = {
            id_ for id_, one in kinds.items() if one is not None and one.kind not in _PROFESSIONAL
        }
        names = await people.names(private)
        found = ((rid, author) for rid, author in wrote.items() if author in private)
        return {rid: names.get(author) or _SOMEBODY for rid, author in found}

    def matches(self, verdict: Verdict, query: Query) -> list[Row]:
        """All rows that match and that the caller may see, in order."""
        return self.dossier.image.rows([rid for rid, _ in self.places(verdict, query)])

    def places(self, verdict: Verdict, query: Query) -> Sequence[Place]:
        """Of all matches that the caller may see the rid and version, in order."""
        return self.placed(verdict, query)[0]

    def placed(self, verdict: Verdict, query: Query) -> tuple[Sequence[Place], bytes]:
        """The same, and the name of what was asked: another one for who may see other things."""
        made, name = self._made(verdict, query)
        return self.dossier.places(made.sql, made.args, name), name

    def made(self, verdict: Verdict, query: Query) -> searching.Statement:
        """The statement for the rid and version of all matches that the caller may see."""
        return self._made(verdict, query)[0]

    def _made(self, verdict: Verdict, query: Query) -> tuple[searching.Statement, bytes]:
        """The same with its name; made once for one query and what the verdict lets see."""
        types = query.types
        visible = verdict.visible(query.release, types)
        blind = self._blind(verdict, query.release) if "Patient" in types else searching.sighted
        known, n, (seen, bound) = self.dossier.asked, self.dossier.image.n, visible("r")
        about = ("made", query, seen, tuple(bound), blind(query.type))
        kept: tuple[searching.Statement, bytes] | None = known.find(n, about)
        if kept is not None:
            return kept
        now = self._parts.clock()
        made = searching.compile(query, visible, blind=blind, now=now, columns="r.rid, r.ver")
        name = name_of("places", made.sql, made.args)
        if searching.lasts(query):
            known.hold(n, about, (made, name), len(seen) + len(made.sql))
        return made, name

    def total(self, verdict: Verdict, query: Query) -> int:
        """How many matches the caller may see; not counted twice while nothing changed."""
        made, _ = self._made(verdict, replace(query, sort=()))
        return self.dossier.count(made.sql, made.args)

    def included(self, verdict: Verdict, query: Query, page: Sequence[Row]) -> list[Row]:
        """What the rows of a page include, as far as the caller may see it.

        Raises:
            TooCostly: it is too much for one page.
        """
        if not query.includes or not page:
            return []
        visible = verdict.visible(query.release, query.included_types)
        blind = self._blind(verdict, query.release)
        made = searching.included(query, [row.rid for row in page], visible, blind=blind)
        image = self.dossier.image
        rows = image.rows([rid for (rid, *_) in image.select(made.sql, made.args)])
        if len(rows) > searching.ADDED:
            raise TooCostly("this includes too much; include less, or ask a smaller _count")
        return [row for row in rows if self.cap.allows("r", row.type)]

    def _blind(self, verdict: Verdict, rel: str) -> searching.Blind:
        """Search parameters on what of a Patient this caller may not see."""

        @cache
        def closed_codes() -> frozenset[str]:
            row = self.dossier.image.patient(rel)
            facet = self.dossier.image.facets[row.facet] if row else PATIENT
            closed = closed_parts(verdict, facet)
            parts = [member for kind in closed for member in PATIENT_PARTS[kind]]
            members = frozenset([*parts, *PATIENT_RETOLD]) if closed else frozenset[str]()
            return self.dossier.searches[rel].telling("Patient", members) if closed else members

        return lambda type_: closed_codes() if type_ == "Patient" else frozenset()


def as_seen(verdict: Verdict, row: Row, raw: bytes, facet: Facet) -> bytes:
    """A text without what this caller may not see of it, and with its seals."""
    shown = masked(verdict, raw, facet) if row.type == "Patient" else raw
    return written.with_seals(shown, facet.seals) if facet.seals else shown


def masked(verdict: Verdict, raw: bytes, facet: Facet) -> bytes:
    """A Patient's text without the parts this caller may not see (consent 1, Patient)."""
    closed = closed_parts(verdict, facet)
    if not closed:
        return raw
    tree = text.parse(raw)
    hidden = [member for kind in closed for member in PATIENT_PARTS[kind]]
    for member in (*hidden, *PATIENT_RETOLD):
        tree.pop(member, None)
        tree.pop(f"_{member}", None)
    return text.dump(tree)


def closed_parts(verdict: Verdict, facet: Facet) -> list[str]:
    """Which of adres and contactpersonen this caller may not see of a Patient with this facet.

    Whose record it is counts: a system reads all of what its own organisation brought.
    """
    return [
        kind
        for kind in ("adres", "contactpersonen")
        if not verdict.decide("lezen", replace(facet, categories=(kind,))).permit
    ]
