"""Files of resources into a dossier: folders, Bundles, ndjson, JSON and XML, and what became of it.

In parts of at most 50 resources, so that a long import never holds a dossier for long nor its
texts in memory. What holds a Patient goes first, whatever its file is called: the rest is about
that Patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pgo.errors import Issue, PgoError, Unprocessable
from pgo.fhir import bsn, text
from pgo.fhir.bundle import Op, read_bundle
from pgo.fhir.elements import Release
from pgo.fhir.incoming import entry_issues
from pgo.office import Office
from pgo.pieces import MOST_RESOURCE_BYTES, File, Piece, Tree, files_of, pieces, unpacked
from pgo.shown import Outcome

PART: Final = 50
PART_BYTES: Final = 4_000_000
MOST_LISTED: Final = 10_000
_TAKEN_APART: Final = frozenset({"collection", "document", "history", "message", "searchset"})
_CREATED, _DELETED = 201, 204
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Report:
    """What became of everything: refusals by place in the file, with the reason.

    Of more than 10,000 refusals the rest is only counted (`unlisted`). `unchecked` are those that
    name a profile that is not here.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    masked: int = 0
    unlisted: int = 0
    unchecked: int = 0
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
            "refused": self.refused,
            "notes": self.notes,
        }


async def bring_in(
    office: Office, release: Release, paths: Iterable[Path], progress: Progress
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
    """
    work, files = _Import(office, release, Report()), files_of(paths)
    total, done = sum(file.size() for file in files), 0
    for first in (True, False):
        for file in files:
            for piece in _readable(file, work.report, tell=first):
                if piece.holds_patient() is first:
                    await work.take(piece)
                    done += len(piece.raw)
                    progress(done, total)
        await work.flush()
    progress(total, total)
    return work.report


def _readable(file: File, report: Report, *, tell: bool) -> Iterable[Piece]:
    try:
        yield from pieces(file)
    except PgoError as error:
        if tell:
            report.refuse(file.name, error.issues)


@dataclass(slots=True)
class _Import:
    """One import: resources wait here until there are enough for a commit."""

    office: Office
    release: Release
    report: Report
    waiting: list[tuple[str, Op]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    size: int = 0

    async def take(self, piece: Piece) -> None:
        """One line or file."""
        try:
            tree = piece.tree(self.release)
        except PgoError as error:
            self.report.refuse(piece.where, error.issues)
            return
        self.report.masked += bsn.mask(tree)
        kind = str(tree.get("type"))
        if tree.get("resourceType") != "Bundle":
            await self._loose(piece.where, tree)
        elif kind in {"batch", "transaction"}:
            await self.flush()
            await self._bundle(piece.where, tree)
        elif kind in _TAKEN_APART:
            await self._entries(piece.where, tree)
        else:
            issue = Issue("value", "This Bundle is of no type that can be imported.", "Bundle.type")
            self.report.refuse(piece.where, [issue])

    async def _entries(self, where: str, tree: Tree) -> None:
        found, faults = unpacked(tree)
        for number, issue in faults:
            self.report.refuse(f"{where}#{number}", [issue])
        for number, one in sorted(found, key=lambda pair: pair[1].get("resourceType") != "Patient"):
            await self._loose(f"{where}#{number}", one)

    async def _loose(self, where: str, tree: Tree) -> None:
        """A resource by itself waits for its part to be full."""
        type_ = str(tree.get("resourceType", ""))
        raw = text.dump(tree)
        issues = _too_large(raw, type_) or self._issues(tree, type_)
        if issues:
            self.report.refuse(where, issues)
            return
        id_ = str(tree.get("id", ""))
        name = f"{type_}/{id_}" if id_ or type_ == "Patient" else sha256(raw).hexdigest()
        full = len(self.waiting) == PART or self.size + len(raw) > PART_BYTES
        if full or name in self.names:
            await self.flush()
        op = Op("PUT" if id_ else "POST", type_, id_, tree, index=len(self.waiting))
        self.waiting.append((where, op))
        self.names.add(name)
        self.size += len(raw)

    async def flush(self) -> None:
        """Commit what waits, each resource for itself."""
        part, self.waiting, self.names, self.size = self.waiting, [], set(), 0
        if not part:
            return
        try:
            outcomes = await self.office.bring_in(self.release, [op for _, op in part], whole=False)
        except PgoError as error:
            for where, _ in part:
                self.report.refuse(where, error.issues)
            return
        for (where, _), outcome in zip(part, outcomes, strict=True):
            self._count(where, outcome)
        await asyncio.sleep(0)

    async def _bundle(self, where: str, tree: Tree) -> None:
        """A transaction, whole or not at all; a batch, each entry for itself."""
        try:
            asked = read_bundle(tree)
            wrong = {op.index: self._faults(op) for op in asked.ops}
            whole = asked.kind == "transaction"
            if whole and any(wrong.values()):
                self.report.refuse(where, (one for some in wrong.values() for one in some))
                return
            for op in asked.ops:
                if wrong[op.index]:
                    op.fault = Unprocessable("not valid", issues=tuple(wrong[op.index]))
            outcomes = await self.office.bring_in(self.release, asked.ordered(), whole=whole)
        except PgoError as error:
            self.report.refuse(where, error.issues)
            return
        for outcome in outcomes:
            self._count(f"{where}#{outcome.op.index}", outcome)

    def _faults(self, op: Op) -> list[Issue]:
        if op.tree is None:
            return []
        place = f"{op.place}.resource"
        return _too_large(text.dump(op.tree), place) or self._issues(op.tree, place)

    def _issues(self, tree: Tree, place: str) -> list[Issue]:
        """All that is wrong with a resource; counts those with a profile that is not here."""
        profiles = self.office.profiles
        wrong = entry_issues(self.release, tree, place, profiles)
        self.report.unchecked += not wrong and bool(profiles.unknown(self.release, tree))
        return wrong

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


def _too_large(raw: bytes, place: str) -> list[Issue]:
    if len(raw) <= MOST_RESOURCE_BYTES:
        return []
    most = MOST_RESOURCE_BYTES // 1_000_000
    return [Issue("too-long", f"A resource has at most {most} MB.", place)]
