"""Files of resources into a dossier: folders, Bundles, ndjson, JSON and XML, and what became of it.

Reads in chunks, so that a long import never holds a dossier for more than one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgo.errors import Issue, PgoError
from pgo.fhir import bsn, text, xml
from pgo.fhir.bundle import Op, names_of, read_bundle, resolve
from pgo.fhir.elements import Release
from pgo.fhir.incoming import entry_issues
from pgo.office import Office
from pgo.shown import Outcome

CHUNK: Final = 50
MOST_FILE_BYTES: Final = 50_000_000
_SUFFIXES: Final = frozenset({".json", ".ndjson", ".xml"})
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Report:
    """What became of everything: refusals by place in the file, with the reason."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    masked: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, where: str, issues: Iterable[Issue]) -> None:
        """Remember a refusal."""
        for issue in issues:
            self.refused.append(
                {"where": where, "place": issue.place, "code": issue.code, "why": issue.detail}
            )

    @property
    def accepted(self) -> int:
        """How many resources are in the dossier as they were sent."""
        return self.created + self.updated + self.unchanged

    def plain(self) -> dict[str, Any]:
        """As one JSON value."""
        return {
            "accepted": self.accepted,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "masked": self.masked,
            "refused": self.refused,
            "notes": self.notes,
        }


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files to read: those named, and those in folders named, in order of name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
        else:
            found.append(path)
    return found


async def bring_in(
    office: Office, release: Release, paths: Iterable[Path], progress: Progress
) -> Report:
    """Import all files into the office's dossier; each refused resource is named with its reason.

    A transaction Bundle goes in whole or not at all; every other resource for itself.
    """
    report, files = Report(), files_of(paths)
    for done, file in enumerate(files):
        progress(done, len(files))
        try:
            trees = list(_trees(file, release))
        except PgoError as error:
            report.refuse(file.name, error.issues)
            continue
        await _file(office, release, file.name, trees, report)
    progress(len(files), len(files))
    return report


def _trees(file: Path, release: Release) -> Iterator[tuple[str, dict[str, Any]]]:
    if not file.is_file():
        raise PgoError("there is no such file", issues=(Issue("not-found", "no such file"),))
    if file.stat().st_size > MOST_FILE_BYTES:
        raise PgoError("too large", issues=(Issue("too-long", "the file is over 50 MB"),))
    raw = file.read_bytes()
    if file.suffix == ".ndjson":
        for number, line in enumerate(raw.splitlines(), 1):
            if line.strip():
                yield f"{file.name}:{number}", text.parse(line)
    elif file.suffix == ".xml":
        yield file.name, xml.from_xml(raw, release)
    else:
        yield file.name, text.parse(raw)


async def _file(
    office: Office,
    release: Release,
    name: str,
    trees: list[tuple[str, dict[str, Any]]],
    report: Report,
) -> None:
    loose: list[tuple[str, dict[str, Any]]] = []
    for where, tree in trees:
        report.masked += bsn.mask(tree)
        if tree.get("resourceType") != "Bundle":
            loose.append((where, tree))
        elif tree.get("type") in {"transaction", "batch"}:
            await _bundle(office, release, where, tree, report)
        else:
            loose += _unpacked(where, tree)
    ops = _ops(release, loose, report)
    for start in range(0, len(ops), CHUNK):
        await _put(office, release, name, ops[start : start + CHUNK], report)


def _unpacked(where: str, tree: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The resources of a collection, searchset or document, with references among them."""
    entries = [entry for entry in tree.get("entry", []) if isinstance(entry.get("resource"), dict)]
    names: dict[str, str] = {}
    for entry in entries:
        resource = entry["resource"]
        if "id" in resource:
            op = Op("PUT", resource.get("resourceType", ""), full_url=entry.get("fullUrl", ""))
            names |= names_of(op, f"{resource['resourceType']}/{resource['id']}")
    return [
        (f"{where}#{n}", resolve(entry["resource"], names, "Patient", "resource"))
        for n, entry in enumerate(entries)
    ]


def _ops(
    release: Release, loose: list[tuple[str, dict[str, Any]]], report: Report
) -> list[tuple[str, Op]]:
    ops = []
    for where, tree in loose:
        type_, id_ = str(tree.get("resourceType", "")), str(tree.get("id", ""))
        issues = entry_issues(release, tree, type_)
        if issues:
            report.refuse(where, issues)
            continue
        op = Op("PUT" if id_ else "POST", type_, id_, tree, place=type_)
        ops.append((where, op))
    return sorted(ops, key=lambda pair: pair[1].type != "Patient")


async def _put(
    office: Office, release: Release, name: str, part: list[tuple[str, Op]], report: Report
) -> None:
    for index, (_, op) in enumerate(part):
        op.index = index
    try:
        outcomes = await office.bring_in(release, [op for _, op in part], whole=False)
    except PgoError as error:
        report.refuse(name, error.issues)
        return
    for (where, _), outcome in zip(part, outcomes, strict=True):
        _count(where, outcome, report)
    await asyncio.sleep(0)


async def _bundle(
    office: Office, release: Release, where: str, tree: dict[str, Any], report: Report
) -> None:
    try:
        asked = read_bundle(tree)
        issues = [
            issue
            for op in asked.ops
            if op.tree is not None
            for issue in entry_issues(release, op.tree, f"{op.place}.resource")
        ]
        if issues:
            report.refuse(where, issues)
            return
        outcomes = await office.bring_in(release, asked.ordered(), whole=asked.kind != "batch")
    except PgoError as error:
        report.refuse(where, error.issues)
        return
    for outcome in outcomes:
        _count(f"{where}#{outcome.op.index}", outcome, report)


def _count(where: str, outcome: Outcome, report: Report) -> None:
    if outcome.error is not None:
        report.refuse(where, outcome.error.issues)
    elif outcome.note:
        report.notes.append({"where": where, "note": outcome.note})
    elif outcome.status == 201:  # noqa: PLR2004 - HTTP: created
        report.created += 1
    elif outcome.text:
        report.updated += 1
    else:
        report.unchanged += 1
