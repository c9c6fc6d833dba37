"""What becomes of a piece of a file before any dossier is asked: read, BSNs masked, judged; pure.

A piece is a resource, or a Bundle of them. Nothing here knows what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pgo.consent.categories import classify
from pgo.errors import Issue, PgoError
from pgo.fhir import bsn, index, text, written
from pgo.fhir.added import Searches
from pgo.fhir.bundle import Known, opened, resolve
from pgo.fhir.elements import Release
from pgo.fhir.incoming import entry_issues
from pgo.fhir.large import BINARY
from pgo.fhir.parameters import Parameters
from pgo.fhir.profiles import Profiles
from pgo.pieces import MOST_RESOURCE_BYTES, Piece, Tree, unpacked

_ASKED: Final = frozenset({"batch", "transaction"})
_TAKEN_APART: Final = frozenset({"collection", "document", "history", "message", "searchset"})
ALONE: Final = -1


@dataclass(slots=True)
class One:
    """What was found of one resource.

    Attributes:
        at: its number in the Bundle it came in, or `ALONE`.
        raw: its text as it may be kept; empty for an entry of a batch or transaction, and for
            what is refused.
        issues: all that is wrong with it.
        unchecked: whether it names a profile that is not here.
        tree: the parsed text, when it was parsed in this process.
        known: what was worked out of it for its dossier.
    """

    at: int
    raw: bytes = b""
    issues: tuple[Issue, ...] = ()
    unchecked: bool = False
    tree: Tree | None = None
    known: Known | None = None

    def parsed(self) -> Tree:
        """The tree of the text."""
        return text.reread(self.raw) if self.tree is None else self.tree


@dataclass(slots=True)
class Judged:
    """What was found in one piece.

    Attributes:
        issues: why nothing of it can be imported.
        masked: how many BSNs were masked.
        bundle: the text of a batch or transaction; `ones` are its resources by entry.
        ones: each resource, those that are no resource first, then a Patient.
    """

    issues: tuple[Issue, ...] = ()
    masked: int = 0
    bundle: bytes = b""
    ones: list[One] = field(default_factory=list)


def judge(release: Release, piece: Piece, profiles: Profiles) -> Judged:
    """What is in a piece, and whether each resource in it is good."""
    try:
        tree = piece.tree(release)
    except PgoError as error:
        return Judged(tuple(error.issues))
    found = Judged(masked=bsn.mask(tree))
    kind = str(tree.get("type"))
    if tree.get("resourceType") != "Bundle":
        found.ones = [_alone(release, ALONE, tree, profiles)]
    elif kind in _ASKED:
        found.bundle = text.dump(tree)
        found.ones = _entries(release, tree, profiles)
    elif kind in _TAKEN_APART:
        inside, faults = unpacked(tree)
        inside.sort(key=lambda pair: pair[1].get("resourceType") != "Patient")
        found.ones = [One(at, issues=(issue,)) for at, issue in faults]
        found.ones += [_alone(release, at, one, profiles) for at, one in inside]
    else:
        words = "This Bundle is of no type that can be imported."
        found.issues = (Issue("value", words, "Bundle.type"),)
    return found


def work_out(release: Release, found: Judged, searches: Searches) -> None:
    """Find what can be known of each good resource before it comes to its dossier.

    Worth it where that does not keep whoever stores it waiting.
    """
    for one in found.ones:
        if one.tree is not None:
            one.known = _known(release, one.tree, searches[release])


def _known(release: Release, tree: Tree, searches: Parameters) -> Known | None:
    """What holds in any dossier; None when something in it is still to be resolved there."""
    id_ = tree.get("id")
    if not isinstance(id_, str) or tree["resourceType"] == BINARY:
        return None
    try:
        if resolve(tree, {}, "", "") is not tree:
            return None
    except PgoError:
        return None
    source = written.said_source(release, tree)
    kept = written.stamped(tree, id_, 1, 0, source, release)
    rows, kinds = index.rows(release, kept, searches), classify(release, tree)
    return Known(searches.mark, source, rows, sorted(kinds))


def _alone(release: Release, at: int, tree: Tree, profiles: Profiles) -> One:
    """A resource that is kept by itself."""
    type_, raw = str(tree.get("resourceType", "")), text.dump(tree)
    issues = _too_large(raw, type_) or entry_issues(release, tree, type_, profiles)
    if issues:
        return One(at, issues=tuple(issues))
    return One(at, raw, (), bool(profiles.unknown(release, tree)), tree)


def _entries(release: Release, tree: Tree, profiles: Profiles) -> list[One]:
    """The resources in a batch or transaction, whose entries are asked for one by one later."""
    try:
        _, entries = opened(tree)
    except PgoError:
        return []
    return [
        _entry(release, at, entry["resource"], profiles)
        for at, entry in enumerate(entries)
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]


def _entry(release: Release, at: int, tree: Tree, profiles: Profiles) -> One:
    place = f"Bundle.entry[{at}].resource"
    issues = _too_large(text.dump(tree), place) or entry_issues(release, tree, place, profiles)
    return One(at, b"", tuple(issues), not issues and bool(profiles.unknown(release, tree)))


def _too_large(raw: bytes, place: str) -> list[Issue]:
    if len(raw) <= MOST_RESOURCE_BYTES:
        return []
    most = MOST_RESOURCE_BYTES // 1_000_000
    return [Issue("too-long", f"A resource has at most {most} MB.", place)]


# --- from one process to another -----------------------------------------------------------------


def told(found: Judged) -> tuple[orjson.Fragment, list[bytes]]:
    """What was found in a piece as JSON, and the texts beside it; `heard` is the way back."""
    ones = [[one.at, one.issues, one.unchecked, one.known] for one in found.ones]
    row = orjson.Fragment(orjson.dumps([found.issues, found.masked, ones]))
    return row, [found.bundle, *(one.raw for one in found.ones)]


def heard(rows: Sequence[Any], texts: Sequence[bytes]) -> list[Judged]:
    """What another process found."""
    left = iter(texts)
    found = []
    for issues, masked, ones in rows:
        piece = Judged(_issues(issues), masked, next(left))
        piece.ones = [_one(row, next(left)) for row in ones]
        found.append(piece)
    return found


def _one(row: Sequence[Any], raw: bytes) -> One:
    at, issues, unchecked, known = row
    return One(at, raw, _issues(issues), unchecked, known=Known(**known) if known else None)


def _issues(rows: Sequence[dict[str, str]]) -> tuple[Issue, ...]:
    return tuple(Issue(**row) for row in rows)
