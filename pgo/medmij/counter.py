"""The vault behind the counter of one service: the same door, and never more than the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from pgo.caller import Caller
from pgo.door import Calling, Parts
from pgo.dossier.image import Row
from pgo.fhir.query import Query
from pgo.medmij.services import Service
from pgo.medmij.within import Narrowed, within
from pgo.vault import Vault
from pgo.verdict import Verdict


class Counter(Vault):
    """One caller at one dossier, within one service.

    The token's service takes the place of scopes: what the service can contain may be read.
    `correlation` ties the calls of one collection together, for the audit line.
    """

    def __init__(
        self,
        parts: Parts,
        caller: Caller,
        client: str,
        service: Service,
        *,
        request: str = "",
        correlation: str = "",
    ) -> None:
        scope = tuple(f"patient/{type_}.rs" for type_ in sorted(service.types))
        super().__init__(parts, replace(caller, scope=scope), client, request=request)
        self._service = service
        self._correlation = correlation

    def call(self, interaction: str, **said: Any) -> Calling:
        """As of the door, with what ties it to the calls before and after."""
        return super().call(interaction, **said, correlation=self._correlation)

    async def verdict(self) -> Verdict:
        """What the caller may read of this service here now."""
        if self._verdict is None:
            plain = await super().verdict()
            known = self.dossier.searches[self._service.release]
            self._verdict = within(plain, self._service, self._parts.clock(), known)
        return self._verdict

    def included(self, verdict: Verdict, query: Query, page: Sequence[Row]) -> list[Row]:
        """What a page includes, and what this service adds by itself."""
        if isinstance(verdict, Narrowed):
            verdict = replace(verdict, along=True)
        found = super().included(verdict, query, page)
        types = [type_ for type_, target in self._service.referring if target == query.type]
        if not types or not page:
            return found
        known = {row.rid for row in (*page, *found)}
        return [*found, *(row for row in self._added(verdict, types, page) if row.rid not in known)]

    def _added(self, verdict: Verdict, types: list[str], page: Sequence[Row]) -> list[Row]:
        """Resources of these types that refer to something on the page."""
        visible, args = verdict.visible(self._service.release, types)("t")
        rids = orjson.dumps([row.rid for row in page]).decode()
        sql = (
            "SELECT DISTINCT t.rid FROM json_each(?) j JOIN res s ON s.rid=j.value"
            " JOIN lnk l ON l.type=s.type AND l.id=s.id"
            " JOIN res t ON t.rid=l.rid AND t.rel=s.rel"
            f" WHERE t.live AND t.type IN (SELECT value FROM json_each(?)) AND {visible}"
            " ORDER BY t.rid"
        )
        found = self.dossier.image.select(sql, (rids, orjson.dumps(types).decode(), *args))
        return self.dossier.image.rows([rid for (rid,) in found])
