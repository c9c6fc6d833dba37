"""The versions in a dossier, newest first, as far as a caller may see them; used by the vault.

Each version is decided for itself and for the newest one of its resource, and a resource of which
the newest is hidden has no history. Pages follow the commits, so that no version is told twice or
left out while others write. Sources: https://hl7.org/fhir/R4/http.html#history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pgo.consent.categories import SUPPORTING
from pgo.dossier.image import Image, Row
from pgo.fhir.spans import Span
from pgo.verdict import Verdict

_COLUMNS: Final = (
    "v.rid, r.rel, r.type, r.id, v.ver, v.at, v.facet, v.day, r.live, v.body, r.digest, v.method"
)
_CHUNK: Final = 200

Mark = tuple[int, int]
"""How far a reader is: commit number and row of the last version he got."""
NOW: Final[Mark] = (2**62, 0)


@dataclass(frozen=True, slots=True)
class Past:
    """The history of one release in one dossier for one caller.

    `types` are the resource types asked for; `rid` one resource only, already decided.
    """

    image: Image
    verdict: Verdict
    rel: str
    types: tuple[str, ...]
    rid: int | None = None

    def page(self, span: Span, before: Mark) -> tuple[list[Row], Mark | None]:
        """Versions before a mark, at most as many as asked, and the mark to go on from."""
        found: list[tuple[Row, Mark]] = []
        while len(found) <= span.count:
            rows = self._chunk(span, before)
            found += [(row, mark) for row, mark in rows if self.verdict.sees(row)]
            if len(rows) < _CHUNK:
                break
            before = rows[-1][1]
        shown = found[: span.count]
        more = len(found) > span.count
        return [row for row, _ in shown], shown[-1][1] if more else None

    def count(self, span: Span, before: Mark) -> int:
        """How many versions there are in all; for one resource, which has few."""
        total = 0
        while True:
            rows = self._chunk(span, before)
            total += sum(self.verdict.sees(row) for row, _ in rows)
            if len(rows) < _CHUNK:
                return total
            before = rows[-1][1]

    def _chunk(self, span: Span, before: Mark) -> list[tuple[Row, Mark]]:
        where, args = self._where(span)
        sql = (
            f"SELECT {_COLUMNS}, v.n FROM ver v CROSS JOIN res r ON r.rid = v.rid"
            f" WHERE (v.n, v.rid) < (?, ?) AND r.rel = ? AND {where}"
            f" ORDER BY v.n DESC, v.rid DESC LIMIT {_CHUNK}"
        )
        found = self.image.select(sql, (*before, self.rel, *args))
        return [(_row(columns), (int(columns[-1]), int(columns[0]))) for columns in found]

    def _where(self, span: Span) -> tuple[str, list[Any]]:
        sql, args = self._resources()
        parts = [sql]
        if span.since is not None:
            parts.append("v.at >= ?")
            args.append(span.since)
        if span.at is not None:
            low, high = span.at
            parts.append(_AT)
            args += [high, low, low]
        return " AND ".join(parts), args

    def _resources(self) -> tuple[str, list[Any]]:
        if self.rid is not None:
            return "v.rid = ?", [self.rid]
        marks = ",".join("?" * len(self.types))
        visible = self.verdict.visible(self.rel, self.types)
        (newest, one), (version, two) = visible("r"), visible("w")
        version = f"EXISTS (SELECT 1 FROM ({_THEN}) w WHERE {version})"
        gone = ",".join(map(str, self._gone_supporting()))
        return (
            f"r.type IN ({marks}) AND (({newest} AND {version}) OR r.rid IN ({gone}))",
            [*self.types, *one, *two],
        )

    def _gone_supporting(self) -> Iterable[int]:
        """Deleted resources that are seen through what refers to them: SQL knows live ones only."""
        types = sorted(SUPPORTING.intersection(self.types))
        marks = ",".join("?" * len(types))
        found = self.image.select(
            f"SELECT rid FROM res WHERE rel = ? AND NOT live AND type IN ({marks})",
            (self.rel, *types),
        )
        rows = self.image.rows([rid for (rid,) in found])
        return [row.rid for row in rows if self.verdict.sees(row)]


# Newest at some time in a period: made before its end, and not followed before its start. That
# something is deleted is told when it happened in the period.
_AT: Final = (
    "v.at < ? AND (v.method <> 'DELETE' OR v.at >= ?) AND NOT EXISTS"
    " (SELECT 1 FROM ver w WHERE w.rid = v.rid AND w.ver = v.ver + 1 AND w.at <= ?)"
)


# A version as if it were the newest: what decisions look at is that of the version itself.
_THEN: Final = (
    "SELECT v.rid AS rid, v.facet AS facet, v.day AS day,"
    " r.rel AS rel, r.type AS type, r.id AS id, r.live AS live"
)


def _row(columns: tuple[Any, ...]) -> Row:
    return Row(*columns[:-1])


def types_of(image: Image, rel: str) -> list[str]:
    """The types of which there is, or was, a resource."""
    found = image.select("SELECT DISTINCT type FROM res WHERE rel = ? ORDER BY type", (rel,))
    return [type_ for (type_,) in found]
