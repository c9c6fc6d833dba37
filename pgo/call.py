"""One call to one dossier: what its single audit line will say, gathered while it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pgo.audit.entry import CRASHED, FAILED, OK, REFUSED, who
from pgo.caller import Caller
from pgo.consent.model import Decision
from pgo.dossier.image import Row
from pgo.dossier.log import Facet
from pgo.errors import Forbidden, NotFound, PgoError, Unauthenticated

_SERVER_FAULT = 500


@dataclass(slots=True)
class Call:
    """The line of one call; `written` when it went along with a commit."""

    at: int
    interaction: str
    caller: Caller
    said: dict[str, Any] = field(default_factory=dict)
    written: bool = False
    _grants: dict[str, None] = field(default_factory=dict)
    _obligations: dict[str, None] = field(default_factory=dict)
    _categories: dict[str, int] = field(default_factory=dict)
    _labels: set[str] = field(default_factory=set)
    _resources: list[str] = field(default_factory=list)
    _reasons: dict[str, None] = field(default_factory=dict)

    def begin_again(self) -> None:
        """Another process was first: what was worked out so far did not happen."""
        for gathered in (self._resources, self._categories, self._labels, self._reasons):
            gathered.clear()
        self._grants.clear()
        self._obligations.clear()

    def because(self, decision: Decision) -> None:
        """Remember a decision that this call rests on."""
        self._reasons[decision.reason] = None
        self._grants.update(dict.fromkeys(decision.grants))
        self._obligations.update(dict.fromkeys(decision.obligations))
        self.said["policy"] = decision.policy

    def touch(self, rows: Iterable[Row], facets: dict[int, Facet]) -> None:
        """Remember what was shown or changed."""
        counts: dict[int, int] = {}
        for row in rows:
            self._resources.append(f"{row.type}/{row.id}@{row.ver}")
            counts[row.facet] = counts.get(row.facet, 0) + 1
        for fid, count in counts.items():
            self._of(facets[fid], count)

    def touched(self, name: str, facet: Facet) -> None:
        """Remember one resource, as Type/id@version."""
        self._resources.append(name)
        self._of(facet, 1)

    def _of(self, facet: Facet, count: int) -> None:
        for category in facet.categories or (facet.type,):
            self._categories[category] = self._categories.get(category, 0) + count
        self._labels.update(facet.labels, facet.seals)

    @property
    def emergency(self) -> bool:
        """Whether a decision demands that the client is told before anything is shown."""
        return "notify-client" in self._obligations

    def line(self, *, outcome: int = OK, status: int = 200) -> dict[str, Any]:
        """The line as it stands: the fields of an `Entry` by name."""
        said: dict[str, Any] = {
            "at": self.at,
            "interaction": self.interaction,
            "outcome": outcome,
            "status": status,
            **who(self.caller),
        }
        if self._reasons:
            said["grants"] = tuple(self._grants)
            said["obligations"] = tuple(self._obligations)
            said["reason"] = ",".join(self._reasons)
        if self._resources:
            said["resources"], said["total"] = tuple(self._resources), len(self._resources)
            said["categories"] = tuple(sorted(self._categories.items()))
            said["labels"] = tuple(sorted(self._labels))
        said.update(self.said)
        return said

    def failed(self, fault: BaseException) -> dict[str, Any]:
        """The line of a call that ended with an error; nothing was shown, so nothing is listed."""
        for gathered in (self._resources, self._categories, self._labels):
            gathered.clear()
        outcome, status = outcome_of(fault)
        return self.line(outcome=outcome, status=status)


def outcome_of(fault: BaseException) -> tuple[int, int]:
    """(NEN 7513 outcome, HTTP status) of an error."""
    if isinstance(fault, Unauthenticated | Forbidden | NotFound):
        return REFUSED, fault.status
    if isinstance(fault, PgoError) and fault.status < _SERVER_FAULT:
        return FAILED, fault.status
    if isinstance(fault, asyncio.CancelledError):
        return FAILED, 0
    return CRASHED, fault.status if isinstance(fault, PgoError) else _SERVER_FAULT
