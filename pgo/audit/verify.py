"""Verification of a client's trail: was a line changed, removed, moved or put in its place?

Reads only. What each chain says of itself is checked with the client's audit key; what cannot be
seen there (lines cut from the end, a chain replaced by a consistent other one) with the anchors.
Lines written after the last anchor are counted as `unanchored`: for those, cutting is invisible.
Each commit has its line and each line of a commit its commit, unless the dossier was erased.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pgo.audit.anchor import NOTHING_BEFORE, Leaf, Root, parse_note, parse_root
from pgo.audit.catalogue import ANCHOR
from pgo.audit.chain import LOG, START, SYSTEM, Pen
from pgo.audit.merkle import root
from pgo.audit.trail import AuditKeys, Head
from pgo.errors import PgoError
from pgo.store.contract import Line, Store

MOST: Final = 1_000
"""Most findings a report lists; `Report.found` counts all."""
_YIELD_EVERY: Final = 200
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: changed, missing, unlinked, misplaced, unreadable, truncated, replaced,
            or for the anchors themselves: forged, lost, unproven.
        writer: whose chain (or anchors).
        seq: number in the chain (or of the anchor).
        text: the same in an English sentence, without any content.
    """

    kind: str
    writer: str
    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` saw: lines and chains, anchored heads found in place, and what is wrong."""

    client: str
    lines: int
    chains: int
    anchored: int
    unanchored: int
    found: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.found


@dataclass(frozen=True, slots=True)
class Anchors:
    """All anchors of a deployment, checked: which heads each chain has had.

    Attributes:
        heads: for each tag of a chain (`Pen.tag`) the heads that were anchored.
        writers: who made anchors.
        roots: how many roots there are.
        findings: what is wrong with the anchors themselves.
    """

    heads: Mapping[bytes, tuple[Head, ...]] = field(default_factory=dict)
    writers: frozenset[str] = frozenset()
    roots: int = 0
    findings: tuple[Finding, ...] = ()

    def of(self, pen: Pen) -> dict[tuple[str, int], set[bytes]]:
        """The anchored hashes of one client by (writer, seq)."""
        wanted: dict[tuple[str, int], set[bytes]] = defaultdict(set)
        for writer in self.writers | {LOG}:
            for head in self.heads.get(pen.tag(writer), ()):
                wanted[(writer, head.seq)].add(head.hash)
        return dict(wanted)


async def load_anchors(
    store: Store, keys: AuditKeys, public: Ed25519PublicKey, file: Path | None = None
) -> Anchors:
    """All anchors: leaves and roots from the system trail, roots from the second place as well.

    A root in the second place whose leaves are gone from the trail is a finding ("unproven").

    Args:
        store: where the system trail is.
        keys: knows the key of the system trail.
        public: the key the roots must be signed with.
        file: the second place, when there is one.
    """
    weigh = _Weigh(public)
    pen = Pen(SYSTEM, await keys.audit_key(SYSTEM))
    seen = 0
    async for line in store.trail(SYSTEM):
        weigh.line(pen, line)
        seen += 1
        if seen % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    if file is not None:
        for said in (await asyncio.to_thread(_read, file)).splitlines():
            weigh.outside(said)
    return weigh.anchors()


async def verify(store: Store, keys: AuditKeys, client: str, anchors: Anchors) -> Report:
    """Check every line of one client, and every head of his chains that was ever anchored.

    Raises:
        NotFound: there is no dossier with this id, or its audit key is gone.
    """
    pen = Pen(client, await keys.audit_key(client))
    walk = _Walk(pen, anchors.of(pen))
    try:
        head = await store.head(client)
        async for line in store.trail(client):
            walk.step(line)
            if walk.lines % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        await _match(walk, store, client, head)
    except (PgoError, TypeError, ValueError) as fault:
        walk.stopped(fault)
    return walk.report(anchors.findings)


async def _match(walk: _Walk, store: Store, client: str, head: int) -> None:
    """Whether commits and their lines go together; `head` is of before the lines were read."""
    last = walk.last(LOG)
    if last < head:
        walk.gone(last + 1, f"the lines of commits {last + 1} to {head} are gone")
    if not (await store.key(client)).get("data"):
        return  # erased: the lines stay, and say so
    at = 0
    while at < last:
        page = await store.commits(client, at, _PAGE)
        for n in [commit.n for commit in page if commit.n <= last] or [last + 1]:
            if n > at + 1:
                walk.gone(at + 1, f"commits {at + 1} to {n - 1} are gone, their lines are there")
            at = n


class _Walk:
    """Goes along all chains of one client, line by line."""

    def __init__(self, pen: Pen, wanted: dict[tuple[str, int], set[bytes]]) -> None:
        self.lines = 0
        self._pen = pen
        self._wanted = wanted
        self._heads: dict[str, Head] = {}
        self._anchored = 0
        self._counts: Counter[str] = Counter()
        self._findings: list[Finding] = []

    def step(self, line: Line) -> None:
        """Check one line against itself, the line before it, and the anchors."""
        self.lines += 1
        before = self._heads.get(line.writer, Head(0, START))
        if not self._pen.genuine(line):
            self._say("changed", line, "does not match its hash")
        elif not self._opens(line):
            self._say("unreadable", line, "does not open")
        if line.seq <= before.seq:
            self._say("misplaced", line, "comes again or out of order")
            return
        if line.seq > before.seq + 1:
            missing = line.seq - before.seq - 1
            self._say("missing", line, f"{missing} line(s) before this one are gone")
        elif line.prev != before.hash:
            self._say("unlinked", line, "does not follow the line before it")
        self._heads[line.writer] = Head(line.seq, line.hash)
        self._anchor(line)

    def last(self, writer: str) -> int:
        """The number of the last line of a chain; 0 when it has none."""
        return self._heads.get(writer, Head(0, START)).seq

    def gone(self, n: int, text: str) -> None:
        """Commits, or the lines of commits, from `n` on."""
        self._add(Finding("missing", LOG, n, text))

    def stopped(self, fault: Exception) -> None:
        """The store could not give what it has: what comes after this was not looked at."""
        why = fault.detail if isinstance(fault, PgoError) else "something is no line at all"
        self._add(
            Finding("unreadable", "", 0, f"the store stopped after {self.lines} lines: {why}")
        )

    def report(self, more: Iterable[Finding]) -> Report:
        """What was seen, after the last line."""
        for writer, seq in sorted(self._wanted):
            last = self.last(writer)
            if seq > last:
                text = f"chain {writer} ends at {last}, but was anchored at {seq}"
                self._add(Finding("truncated", writer, seq, text))
        for finding in more:
            self._add(finding)
        total = self._counts.total()
        chains, tail = len(self._heads), self._tail()
        found = tuple(self._findings)
        return Report(self._pen.client, self.lines, chains, self._anchored, tail, total, found)

    def _anchor(self, line: Line) -> None:
        wanted = self._wanted.get((line.writer, line.seq))
        if wanted is None:
            return
        if wanted == {line.hash}:
            self._anchored += 1
        else:
            self._say("replaced", line, "is not the line that was anchored")

    def _opens(self, line: Line) -> bool:
        try:
            self._pen.entry(line)
        except (PgoError, ValueError):
            return False
        return True

    def _tail(self) -> int:
        """How many lines come after the last anchored one of their chain."""
        last: dict[str, int] = {}
        for writer, seq in self._wanted:
            last[writer] = max(seq, last.get(writer, 0))
        return sum(max(0, head.seq - last.get(w, 0)) for w, head in self._heads.items())

    def _say(self, kind: str, line: Line, text: str) -> None:
        self._add(Finding(kind, line.writer, line.seq, f"line {line.writer}/{line.seq} {text}"))

    def _add(self, finding: Finding) -> None:
        self._counts[finding.kind] += 1
        if len(self._findings) < MOST:
            self._findings.append(finding)


class _Weigh:
    """Gathers anchors from both places and checks them."""

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public = public
        self._roots: dict[tuple[str, int], Root] = {}
        self._leaves: dict[tuple[str, int], tuple[Leaf, ...]] = {}
        self._findings: list[Finding] = []
        self._torn: list[bytes] = []

    def line(self, pen: Pen, line: Line) -> None:
        """Take an anchor out of a line of the system trail; other lines say nothing."""
        try:
            entry = pen.entry(line)
            if entry.interaction == ANCHOR:
                self._root(*parse_note(entry.note))
        except (PgoError, ValueError):
            self._say("unreadable", line.writer, line.seq, "line of the system trail does not open")

    def outside(self, said: bytes) -> None:
        """Take a root out of a line of the second place; an empty line says nothing."""
        if not said.strip():
            return
        try:
            self._root(parse_root(_object(said)), None)
        except ValueError:
            self._torn.append(said)

    def anchors(self) -> Anchors:
        """Everything gathered, after a look at what should be there and is not."""
        heads: dict[bytes, list[Head]] = defaultdict(list)
        for place, one in sorted(self._roots.items()):
            self._follows(one)
            leaves = self._leaves.get(place)
            if leaves is None:
                self._say("unproven", *place, "its leaves are gone from the system trail")
            for leaf in leaves or ():
                heads[leaf.tag].append(Head(leaf.seq, leaf.hash))
        self._explain_torn()
        writers = frozenset(writer for writer, _ in self._roots)
        kept = {tag: tuple(each) for tag, each in heads.items()}
        return Anchors(kept, writers, len(self._roots), tuple(self._findings))

    def _root(self, one: Root, leaves: tuple[Leaf, ...] | None) -> None:
        place = (one.writer, one.n)
        try:
            self._public.verify(one.signature, one.body())
        except InvalidSignature:
            self._say("forged", *place, "is not signed by this deployment")
            return
        known = self._roots.setdefault(place, one)
        if known != one:
            self._say("forged", *place, "exists in two different forms")
        if leaves is None:
            return
        if len(leaves) != one.count or root([leaf.data() for leaf in leaves]) != one.top:
            self._say("forged", *place, "its leaves do not give its root")
            return
        self._leaves[place] = leaves

    def _follows(self, one: Root) -> None:
        before = self._roots.get((one.writer, one.n - 1))
        if before is None and one.n > 1:
            self._say("lost", one.writer, one.n - 1, "is gone")
        elif one.prev != (before.digest() if before else NOTHING_BEFORE):
            self._say("forged", one.writer, one.n, "does not follow the one before it")

    def _explain_torn(self) -> None:
        """The beginning of a known root was torn off by a crash; anything else is a finding."""
        whole = [orjson.dumps(one.plain()) for one in self._roots.values()] if self._torn else []
        for said in self._torn:
            if not any(each.startswith(said) for each in whole):
                self._say("forged", "", 0, "a line of the second place is not an anchor")

    def _say(self, kind: str, writer: str, n: int, text: str) -> None:
        self._findings.append(Finding(kind, writer, n, f"anchor {writer}/{n}: {text}"))


def _object(said: bytes) -> dict[str, Any]:
    value = orjson.loads(said)
    if not isinstance(value, dict):
        raise ValueError("not an anchor")  # noqa: TRY004 - one kind of error for every bad line
    return value


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""
