"""Files of resources into a dossier: folders, Bundles, ndjson, JSON and XML, and what became of it.

In parts of at most 50 resources, so that a long import never holds a dossier for long nor its
texts in memory. What holds a Patient goes first, whatever its file is called: the rest is about
that Patient.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pgo.ahead import Ahead
from pgo.errors import Issue, PgoError, Unprocessable
from pgo.fhir import text
from pgo.fhir.bundle import Op, read_bundle
from pgo.fhir.elements import Release
from pgo.judged import ALONE, Judged, One
from pgo.judging import Judges
from pgo.office import Office
from pgo.pieces import Piece, files_of, passed_over, readable
from pgo.shown import Outcome

PART: Final = 50
PART_BYTES: Final = 4_000_000
MOST_LISTED: Final = 10_000
WORTH_IT: Final = 250_000
"""Bytes; for less, a process that has to be started first comes too late."""
_AT_ONCE: Final = 20_000_000
"""Bytes of files that are read once and kept; of more, each file is read for each turn."""
_GARBAGE: Final = (10_000, 20, 50)
_CREATED, _DELETED = 201, 204
Progress = Callable[[int, int], None]


@contextmanager
def undisturbed() -> Iterator[None]:
    """For a process that only imports: what is there stays, so garbage is collected less often."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@dataclass(slots=True)
class Report:
    """What became of everything: refusals by place in the file, with the reason.

    Of more than 10,000 refusals the rest is only counted (`unlisted`). `unchecked` are those that
    name a profile that is not here, `skipped` the files in folders that are of no kind that holds
    resources, by ending.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    masked: int = 0
    unlisted: int = 0
    unchecked: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    refused: list[dict[str, str]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, where: str, issues: Iterable[Issue]) -> None:
        """Remember a refusal."""
        for issue in issues:
            if len(self.refused) == MOST_LISTED:
                self.unlisted += 1
                continue
            self.refused.append(
                {"where": where, "place": issue.place, "code": issue.code, "why": issue.detail}
            )

    @property
    def accepted(self) -> int:
        """How many resources are in the dossier as they were sent."""
        return self.created + self.updated + self.unchanged

    def plain(self) -> dict[str, Any]:
        """As one JSON value."""
        stored = ("accepted", "created", "updated", "unchanged", "deleted")
        counts = (*stored, "masked", "unchecked", "unlisted")
        return {name: getattr(self, name) for name in counts} | {
            "skipped": sum(self.skipped.values()),
            "skipped_endings": self.skipped,
            "refused": self.refused,
            "notes": self.notes,
        }


async def bring_in(
    office: Office,
    release: Release,
    paths: Iterable[Path],
    progress: Progress,
    judges: Judges | None = None,
) -> Report:
    """Import all files into the office's dossier; each refused resource is named with its reason.

    Ids are kept; a resource without one gets an id made of its content, so that the same files
    again change nothing. A transaction Bundle goes in whole or not at all; every other resource
    for itself.

    Args:
        office: an operator at the dossier.
        release: of all that is in the files.
        paths: files, and folders of files.
        progress: is told the bytes done and the bytes there are.
        judges: processes that help, for more than a little.

    Raises:
        Unavailable: one of `judges` ended by itself; what was committed stays.
    """
    paths = list(paths)
    files = files_of(paths)
    total = sum(file.size() for file in files)
    if judges is not None and total > WORTH_IT:
        await judges.start()
    report = Report(skipped=passed_over(paths))
    work = _Import(office, release, report, judges or Judges(0), progress, total)
    held = [one for file in files for one in readable(file, tell=True)] if total < _AT_ONCE else []
    try:
        for first in (True, False):
            read = held or (one for file in files for one in readable(file, tell=first))
            await work.all_of(one for one in read if one.comes(first=first))
    finally:
        await work.settled()
    progress(total, total)
    return work.report


@dataclass(slots=True)
class _Import:
    """One import: resources wait here until there are enough for a commit."""

    office: Office
    release: Release
    report: Report
    judges: Judges
    progress: Progress
    total: int
    done: int = 0
    waiting: list[tuple[str, Op]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    size: int = 0
    under_way: asyncio.Task[None] | None = None
    behind: list[tuple[str, Iterable[Issue]]] = field(default_factory=list)

    def refuse(self, where: str, issues: Iterable[Issue]) -> None:
        """Report a refusal, behind those of what is being committed and came before it."""
        if self.under_way is None:
            self.report.refuse(where, issues)
        else:
            self.behind.append((where, issues))

    async def all_of(self, found: Iterable[Piece]) -> None:
        """Take in pieces, in order."""
        ahead = Ahead(self.release, found, self.judges, self.office.profiles)
        while batch := await ahead.next():
            for piece, judged in batch:
                if piece.fault is not None:
                    self.refuse(piece.where, piece.fault.issues)
                else:
                    await self.take(piece.where, judged)
                self.done += len(piece.raw)
                self.progress(self.done, self.total)
        await self.flush()
        await self.settled()

    async def take(self, where: str, judged: Judged) -> None:
        """One line or file."""
        self.report.masked += judged.masked
        if judged.issues:
            self.refuse(where, judged.issues)
        elif judged.bundle:
            await self.flush()
            await self.settled()
            await self._bundle(where, judged)
        for one in () if judged.bundle else judged.ones:
            await self._loose(where if one.at == ALONE else f"{where}#{one.at}", one)

    async def _loose(self, where: str, one: One) -> None:
        """A resource by itself waits for its part to be full."""
        if one.issues:
            self.refuse(where, one.issues)
            return
        self.report.unchecked += one.unchecked
        tree = one.parsed()
        type_, id_ = str(tree.get("resourceType", "")), str(tree.get("id", ""))
        name = f"{type_}/{id_}" if id_ or type_ == "Patient" else sha256(one.raw).hexdigest()
        full = len(self.waiting) == PART or self.size + len(one.raw) > PART_BYTES
        if full or name in self.names:
            await self.flush()
        op = Op("PUT" if id_ else "POST", type_, id_, tree, index=len(self.waiting))
        op.known = one.known
        self.waiting.append((where, op))
        self.names.add(name)
        self.size += len(one.raw)

    async def flush(self) -> None:
        """Begin to commit what waits, each resource for itself, when the part before it is done.

        While the store makes it durable, the next part is made ready.
        """
        await self.settled()
        part, self.waiting, self.names, self.size = self.waiting, [], set(), 0
        if part:
            self.under_way = asyncio.create_task(self._commit(part))

    async def settled(self) -> None:
        """Wait until nothing is being committed."""
        if self.under_way is not None:
            await self.under_way
            self.under_way = None
            for where, issues in self.behind:
                self.report.refuse(where, issues)
            self.behind.clear()

    async def _commit(self, part: Sequence[tuple[str, Op]]) -> None:
        try:
            outcomes = await self.office.bring_in(self.release, [op for _, op in part], whole=False)
        except PgoError as error:
            for where, _ in part:
                self.report.refuse(where, error.issues)
            return
        for (where, _), outcome in zip(part, outcomes, strict=True):
            self._count(where, outcome)

    async def _bundle(self, where: str, judged: Judged) -> None:
        """A transaction, whole or not at all; a batch, each entry for itself."""
        verdicts = {one.at: one for one in judged.ones}
        try:
            asked = read_bundle(text.reread(judged.bundle))
            bearing = [verdicts[op.index] for op in asked.ops if op.tree is not None]
            self.report.unchecked += sum(one.unchecked for one in bearing)
            wrong = {one.at: one.issues for one in bearing if one.issues}
            whole = asked.kind == "transaction"
            if whole and wrong:
                self.report.refuse(where, (issue for some in wrong.values() for issue in some))
                return
            for op in asked.ops:
                if op.index in wrong:
                    op.fault = Unprocessable("not valid", issues=wrong[op.index])
            outcomes = await self.office.bring_in(self.release, asked.ordered(), whole=whole)
        except PgoError as error:
            self.report.refuse(where, error.issues)
            return
        for outcome in outcomes:
            self._count(f"{where}#{outcome.op.index}", outcome)

    def _count(self, where: str, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.report.refuse(where, outcome.error.issues)
        elif outcome.note:
            self.report.notes.append({"where": where, "note": outcome.note})
        elif outcome.status == _CREATED:
            self.report.created += 1
        elif outcome.status == _DELETED:
            self.report.deleted += 1
        elif outcome.text:
            self.report.updated += 1
        else:
            self.report.unchanged += 1
