"""One try at the changes of one call, inside the dossier's turn; used by the vault only.

Stage everything, answer the reads of the Bundle on the image as it will be, commit once, fetch
what was read. Tried again when another process was first.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from pgo.call import Call
from pgo.dossier.image import Row
from pgo.dossier.log import Change, Delta, Facet
from pgo.errors import NotFound, PgoError, ScopeTooSmall, Unprocessable
from pgo.fhir import text
from pgo.fhir.bundle import Op
from pgo.fhir.query import Query
from pgo.shown import Found, Outcome, Page
from pgo.staging import Staged, Staging

if TYPE_CHECKING:
    from pgo.vault import Vault

WRITES = frozenset({"POST", "PUT", "DELETE"})
Queries = Callable[[Op], Query | None]


@dataclass(slots=True)
class Asked:
    """A read inside a Bundle, worked out on the image; its texts come after the commit."""

    op: Op
    rows: list[Row]
    included: list[Row] = field(default_factory=list)
    total: int = 0
    searched: bool = False


@dataclass(slots=True)
class Changing:
    """`isolated`: a batch, each operation for itself; `operator`: an import by the operator."""

    vault: Vault
    call: Call
    rel: str
    isolated: bool
    operator: bool
    queries: Queries | None
    _outcomes: dict[int, Outcome] = field(default_factory=dict)
    _fresh: dict[bytes, bytes] = field(default_factory=dict)

    async def run(self, ops: Sequence[Op], name: str) -> list[Outcome]:
        """What became of each operation, in the order of the Bundle."""
        vault = self.vault
        self._note_searches(ops)
        writes_only = all(op.method in WRITES for op in ops)
        named = bool(name) and writes_only and not self.isolated
        key, digest = self._name(ops, name) if named else ("", "")
        async with vault.dossier.turn():
            vault.renew()
            self.call.begin_again()
            before = vault.dossier.image.answer(key) if key else None
            if before is not None:
                return await self._again(ops, orjson.loads(before), digest)
            staging = await self._stage(ops)
            changes = [done.change for done in staging.staged if done.change is not None]
            asked = await self._ask(ops, staging, changes)
            if changes:
                await self._commit(staging, changes, key, digest)
        await self._changed(staging)
        await self._fetch(asked)
        return [self._outcomes[op.index] for op in ops]

    # --- changes -------------------------------------------------------------------------------

    async def _stage(self, ops: Sequence[Op]) -> Staging:
        verdict = await self.vault.verdict()

        def allow(action: str, facet: Facet, id_: str, day: int | None) -> bool:
            if self.operator:
                return True
            decision = verdict.decide(action, facet, id_, day)
            self.call.because(decision)
            return decision.permit

        vault = self.vault
        staging = Staging(
            vault.dossier, self.rel, vault.caller, allow, verdict.sees, self.call.at, self.operator
        )
        staging.identify(ops)
        for op in ops:
            if op.method in WRITES:
                self._one(staging, op)
        return staging

    def _one(self, staging: Staging, op: Op) -> None:
        try:
            if op.fault is not None:
                raise op.fault
            self._reach(op)
            staging.stage(op)
        except PgoError as error:
            if not self.isolated:
                raise
            self._outcomes[op.index] = Outcome(op, error.status, error=error)

    def _reach(self, op: Op) -> None:
        letters = {"POST": "c", "PUT": "uc", "DELETE": "d", "GET": "r", "HEAD": "r"}[op.method]
        if not any(self.vault.cap.allows(letter, op.type) for letter in letters):
            raise ScopeTooSmall("the scope of this token does not reach this", place=op.place)

    async def _commit(
        self, staging: Staging, changes: Sequence[Change], key: str, digest: str
    ) -> None:
        for change in changes:
            self.call.touched(f"{change.type}/{change.id}@{change.ver}", change.facet)
        answers = []
        if key:
            said = [_said(done) for done in staging.staged]
            answers = [(key, orjson.dumps({"digest": digest, "said": said}).decode())]
        await self.vault.commit(self.call, changes, (), staging.bodies, answers)

    async def _changed(self, staging: Staging) -> None:
        image = self.vault.dossier.image
        for done in staging.staged:
            row, shown = done.before, done.text
            if done.change is not None:
                row = image.get(self.rel, done.change.type, done.change.id)
            elif row is not None and row.live and not self.operator:
                shown = (await self.vault.texts([row], (), {}))[0].text
            self._outcomes[done.op.index] = Outcome(done.op, done.status, row, shown, done.note)

    # --- reads inside a Bundle -----------------------------------------------------------------

    def _note_searches(self, ops: Sequence[Op]) -> None:
        """The one line of a Bundle keeps what was searched for in it."""
        asked = [f"{op.path}?{op.query}" for op in ops if op.method not in WRITES and op.query]
        if asked:
            self.call.said["query"] = "\n".join(asked)

    async def _ask(
        self, ops: Sequence[Op], staging: Staging, changes: Sequence[Change]
    ) -> list[Asked]:
        reads = [op for op in ops if op.method in {"GET", "HEAD"}]
        if not reads:
            return []
        vault = self.vault
        vault.renew()
        verdict = await vault.verdict()
        image = vault.dossier.image
        self._fresh = {bytes.fromhex(d.change.body): d.text for d in staging.staged if d.change}
        with image.preview(Delta(image.n + 1, self.call.at, {}, tuple(changes))):
            asked = [one for op in reads if (one := self._read(op, verdict)) is not None]
            for one in asked:
                self.call.touch([*one.rows, *one.included], image.facets)
        return asked

    def _read(self, op: Op, verdict: Any) -> Asked | None:
        try:
            self._reach(op)
            query = self.queries(op) if self.queries else None
            if query is not None:
                rows = self.vault.matches(verdict, query)
                page = (
                    [] if query.counts_only else rows[: 50 if query.count is None else query.count]
                )
                return Asked(op, page, self.vault.included(verdict, query, page), len(rows), True)
            type_, _, id_ = op.path.partition("/")
            row = self.vault.dossier.image.get(self.rel, type_, id_)
            if row is None or not row.live or not verdict.sees(row):
                raise NotFound("not found", place=op.place)
            return Asked(op, [row])
        except PgoError as error:
            if not self.isolated:
                raise
            self._outcomes[op.index] = Outcome(op, error.status, error=error)
            return None

    async def _fetch(self, asked: Sequence[Asked]) -> None:
        for one in asked:
            found = await self.vault.texts(one.rows, one.included, self._fresh)
            if one.searched:
                outcome = Outcome(one.op, 200, page=Page(tuple(found), one.total))
            else:
                outcome = Outcome(one.op, 200, found[0].row, found[0].text)
            self._outcomes[one.op.index] = outcome

    # --- the same request again ----------------------------------------------------------------

    def _name(self, ops: Sequence[Op], name: str) -> tuple[str, str]:
        """A name for this request, and a keyed digest of what it asked."""
        caller, keys = self.vault.caller, self.vault.dossier.keys
        key = keys.name("request", caller.org or caller.person, self.rel, name).hex()
        asked = [[op.method, op.type, op.id, op.query, op.if_match, op.tree] for op in ops]
        return key, hmac.digest(keys.index, text.dump({"asked": asked}), sha256).hex()

    async def _again(self, ops: Sequence[Op], before: dict[str, Any], digest: str) -> list[Outcome]:
        """What was answered before; texts are those of the versions made then."""
        if not hmac.compare_digest(before["digest"], digest):
            raise Unprocessable("this request id was used for another request")
        image = self.vault.dossier.image
        outcomes = []
        for op, (status, type_, id_, ver, note) in zip(ops, before["said"], strict=False):
            row = image.get(self.rel, type_, id_) if id_ else None
            rows = image.versions(row) if row else []
            then = next((one for one in rows if one.ver == ver), None)
            shown = [then] if then is not None and then.body is not None else []
            self.call.touch(shown, image.facets)
            found: list[Found] = await self.vault.texts(shown, (), {})
            outcomes.append(Outcome(op, status, then, found[0].text if found else b"", note))
        return outcomes


def _said(done: Staged) -> list[Any]:
    if done.change is not None:
        return [done.status, done.change.type, done.change.id, done.change.ver, done.note]
    row = done.before
    named = [row.type, row.id, row.ver] if row is not None else ["", "", 0]
    return [done.status, *named, done.note]
