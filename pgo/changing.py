"""One try at the changes of one call, inside the dossier's turn; used by the vault only.

Stage everything, answer the reads of the Bundle on the image as it will be, commit once, fetch
what was read. Tried again when another process was first.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson

from pgo.authorship import Authorship
from pgo.call import Call
from pgo.conditional import Conditions, Queries, pending
from pgo.dossier.image import Row
from pgo.dossier.log import Change, Delta, Facet
from pgo.errors import Gone, NotFound, PgoError, ScopeTooSmall, Unprocessable
from pgo.fhir import elfproef, text
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.fhir.incoming import patched
from pgo.fhir.large import BINARY
from pgo.fhir.patch import Patch
from pgo.fhir.query import Query
from pgo.narrowed import check_change
from pgo.projection import keep_out
from pgo.shown import Found, Outcome, Page, page_size
from pgo.staged import Staged
from pgo.staging import WRITES, Staging
from pgo.verdict import Verdict

if TYPE_CHECKING:
    from pgo.vault import Vault


_LETTERS: Final = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


@dataclass(slots=True)
class Asked:
    """A read inside a Bundle, worked out on the image; its texts come after the commit.

    `rows` is the first page of a search (`query`), `rest` what comes after it.
    """

    op: Op
    rows: list[Row]
    included: list[Row] = field(default_factory=list)
    rest: list[Row] = field(default_factory=list)
    query: Query | None = None


@dataclass(slots=True)
class Changing:
    """`isolated`: a batch, each operation for itself; `operator`: an import by the operator."""

    vault: Vault
    call: Call
    rel: Release
    isolated: bool
    operator: bool
    queries: Queries | None
    _outcomes: dict[int, Outcome] = field(default_factory=dict)
    _fresh: dict[bytes, bytes] = field(default_factory=dict)

    async def rehearse(self, ops: Sequence[Op]) -> None:
        """Raise what `run` would raise now, and change nothing."""
        await self._stage(ops)

    async def tried(self, ops: Sequence[Op]) -> None:
        """Work the changes out as `run` does and let go of them: nothing is stored.

        Raises:
            PgoError: why they would not be done.
        """
        async with self.vault.dossier.turn():
            self.vault.renew()
            self.call.begin_again()
            await self._stage(ops)

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
            old = self._unchanged(staging)
            if changes:
                await self._commit(staging, changes, key, digest)
        await self._changed(staging, old)
        await self._fetch(asked)
        return [self._outcomes[op.index] for op in ops]

    # --- changes -------------------------------------------------------------------------------

    async def _stage(self, ops: Sequence[Op]) -> Staging:
        verdict, image = await self.vault.verdict(), self.vault.dossier.image

        def allow(action: str, facet: Facet, id_: str, day: int | None) -> bool:
            if self.operator:
                return True
            there = image.get(self.rel, BINARY, id_) if facet.type == BINARY and id_ else None
            if there is not None and (there.live or action != "toevoegen"):
                decision = verdict.row(there, action)
            else:
                decision = verdict.decide(action, facet, id_, day)
            self.call.because(decision)
            return decision.permit

        vault = self.vault
        staging = Staging(
            vault.dossier,
            self.rel,
            vault.caller,
            allow,
            verdict.sees,
            self.call.at,
            Authorship(vault.dossier, self.rel, vault.caller, self.operator),
            operator=self.operator,
            apart=self.isolated and not self.operator,
        )
        conditions = Conditions(self.queries, self._matching, self._present)
        writes = [op for op in ops if op.method in WRITES]
        settled = [await self._settled(conditions, staging, op) for op in writes]
        names = self._referred(conditions, settled)
        staging.identify(settled, names)
        await staging.authorship.look_up(settled)
        for op in settled:
            self._one(staging, op)
        return staging

    # --- what is meant -------------------------------------------------------------------------

    async def _settled(self, conditions: Conditions, staging: Staging, op: Op) -> Op:
        """The operation on the resource that its condition means, a patch worked out."""
        try:
            if op.fault is not None or (op.condition is None and op.patch is None):
                return op
            self._reach(op)
            op = conditions.settled(op)
            return op if op.patch is None else await self._patched(staging, op, op.patch)
        except PgoError as error:
            if not self.isolated:
                raise
            return replace(op, fault=error)

    async def _patched(self, staging: Staging, op: Op, patch: Patch) -> Op:
        """An update with what the patch makes of the newest version."""
        row = staging.may_patch(op)
        if op.type == BINARY and (await self.vault.dossier.document(row))[0] is not None:
            raise Unprocessable("replace this document as a whole", place=op.place)
        raw = await self.vault.dossier.texts([row])
        place = f"{op.place}.resource" if op.place else ""
        made = patched(self.rel, patch, text.reread(raw[0]), place, self.vault.profiles)
        return replace(op, method="PUT", tree=made, patch=None)

    def _referred(self, conditions: Conditions, ops: Sequence[Op]) -> dict[str, str]:
        """What the conditional references in these operations mean."""
        names: dict[str, str] = {}
        if self.queries is None:
            return names
        own = pending(ops) if not self.isolated else frozenset[str]()
        for op in ops:
            if op.fault is None and op.tree is not None:
                try:
                    names |= conditions.references(op, own)
                except PgoError as error:
                    if not self.isolated:
                        raise
                    op.fault = error
        return names

    def _matching(self, query: Query, place: str) -> list[Row]:
        if not self.vault.cap.allows("s", query.type):
            raise ScopeTooSmall("the scope of this token does not reach a search", place=place)
        return self.vault.matches(self.vault.held_verdict, query)

    def _present(self, type_: str, id_: str) -> Row | None:
        row = self.vault.dossier.image.get(self.rel, type_, id_)
        return row if row is not None and row.live and self.vault.held_verdict.sees(row) else None

    def _one(self, staging: Staging, op: Op) -> None:
        try:
            self._reach(op)
            image, sees = self.vault.dossier.image, self.vault.held_verdict.sees
            keep_out(image, self.rel, op, sees=sees, all_=self.operator)
            self._within(staging, op, staging.stage(op))
        except PgoError as error:
            if not self.isolated:
                raise
            self._outcomes[op.index] = Outcome(op, error.status, error=error)

    def _within(self, staging: Staging, op: Op, done: Staged) -> None:
        """Leave out a change that goes beyond a search restriction in the token."""
        if self.operator:
            return
        letter, put = _LETTERS[op.method], op.id if op.method == "PUT" else ""
        try:
            check_change(self.vault.held_verdict, letter, put, done, self.call.at)
        except PgoError:
            staging.staged.remove(done)
            raise

    def _reach(self, op: Op, query: Query | None = None) -> None:
        if op.fault is not None:
            raise op.fault
        letter = "s" if query else _LETTERS.get(op.method, "r")
        if not self.vault.cap.allows(letter, op.type):
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

    def _unchanged(self, staging: Staging) -> list[Row]:
        """Versions that were there already and stay, as far as the caller may see them now."""
        if self.operator:
            return []
        rows = [done.before for done in staging.staged if done.change is None]
        shown = [row for row in rows if row is not None and self._open_now(row)]
        self.call.touch(shown, self.vault.dossier.image.facets)
        return shown

    async def _changed(self, staging: Staging, old: Sequence[Row]) -> None:
        image = self.vault.dossier.image
        found = await self.vault.texts(old, (), {})
        texts = {one.row.rid: one.text for one in found}
        for done in staging.staged:
            row, shown = done.before, done.text
            if done.change is not None:
                row = image.get(self.rel, done.change.type, done.change.id)
            elif row is not None:
                shown = texts.get(row.rid, b"")
            self._outcomes[done.op.index] = Outcome(done.op, done.status, row, shown, done.note)

    def _open_now(self, row: Row) -> bool:
        """Whether this version has a text that the caller may see now."""
        newest = self.vault.dossier.image.get(row.rel, row.type, row.id)
        sees = self.vault.held_verdict.sees
        return row.body is not None and newest is not None and sees(newest) and sees(row)

    # --- reads inside a Bundle -----------------------------------------------------------------

    def _note_searches(self, ops: Sequence[Op]) -> None:
        """The one line of a Bundle keeps what was searched for in it."""
        asked = [f"{op.path}?{op.query}" for op in ops if op.method not in WRITES and op.query]
        asked += [f"{op.type}?{op.condition}" for op in ops if op.condition is not None]
        if asked:
            self.call.said["query"] = elfproef.hide_in_address(unquote("\n".join(asked)))[0]

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

    def _read(self, op: Op, verdict: Verdict) -> Asked | None:
        try:
            query = None
            if self.queries and op.fault is None and "/" not in op.path:
                query = self.queries(op.type, op.query, f"{op.place}.request.url")
            self._reach(op, query)
            return self._found(op, query, verdict) if query else self._instance(op, verdict)
        except PgoError as error:
            if not self.isolated:
                raise
            self._outcomes[op.index] = Outcome(op, error.status, error=error)
            return None

    def _found(self, op: Op, query: Query, verdict: Verdict) -> Asked:
        vault = self.vault
        rows = vault.matches(verdict, query)
        size = page_size(query)
        page = rows[:size]
        vault.because_of(self.call, verdict, page)
        return Asked(op, page, vault.included(verdict, query, page), rows[size:], query)

    def _instance(self, op: Op, verdict: Verdict) -> Asked:
        type_, _, id_ = op.path.partition("/")
        row = self.vault.dossier.image.get(self.rel, type_, id_)
        decision = verdict.row(row) if row is not None else None
        if decision is not None:
            self.call.because(decision)
        if row is None or decision is None or not decision.permit:
            raise NotFound("not found", place=op.place)
        if op.version:
            return Asked(op, [self._version(op, row, verdict)])
        if not row.live:
            raise Gone("this resource was deleted", place=op.place)
        return Asked(op, [row])

    def _version(self, op: Op, newest: Row, verdict: Verdict) -> Row:
        versions = self.vault.dossier.image.versions(newest)
        row = next((one for one in versions if one.ver == op.version), None)
        if row is None or not verdict.sees(row):
            raise NotFound("not found", place=op.place)
        if row.method == "DELETE":
            raise Gone("this version is a deletion", place=op.place)
        return row

    async def _fetch(self, asked: Sequence[Asked]) -> None:
        for one in asked:
            found = await self.vault.texts(one.rows, one.included, self._fresh)
            if one.query is None:
                outcome = _read_now(one.op, found[0])
            else:
                more = bool(one.rows and one.rest)
                rest = [(row.rid, row.ver) for row in one.rest]
                cursor = await self.vault.keep_cursor(one.query, one.op.query, rest) if more else ""
                page = Page(tuple(found), len(one.rows) + len(one.rest), cursor)
                outcome = Outcome(one.op, 200, page=page, query=one.query)
            self._outcomes[one.op.index] = outcome

    # --- the same request again ----------------------------------------------------------------

    def _name(self, ops: Sequence[Op], name: str) -> tuple[str, str]:
        """A name for this request, and a keyed digest of what it asked."""
        caller, keys = self.vault.caller, self.vault.dossier.keys
        key = keys.name("request", caller.org or caller.person, self.rel, name).hex()
        asked = [
            [op.method, op.type, op.id, op.query, op.condition, op.if_match, op.tree] for op in ops
        ]
        return key, hmac.digest(keys.index, text.dump({"asked": asked}), sha256).hex()

    async def _again(self, ops: Sequence[Op], before: dict[str, Any], digest: str) -> list[Outcome]:
        """What was answered before; texts are those of the versions made then."""
        if not hmac.compare_digest(before["digest"], digest):
            raise Unprocessable("this request id was used for another request")
        image, verdict = self.vault.dossier.image, await self.vault.verdict()
        outcomes = []
        for op, (status, type_, id_, ver, note) in zip(ops, before["said"], strict=False):
            row = image.get(self.rel, type_, id_) if id_ else None
            rows = image.versions(row) if row else []
            then = next((one for one in rows if one.ver == ver), None)
            shown = [then] if then is not None and self._open_now(then) else []
            for one in shown:
                self.call.because(verdict.row(one))
            self.call.touch(shown, image.facets)
            found = await self.vault.texts(shown, (), {})
            outcomes.append(Outcome(op, status, then, found[0].text if found else b"", note))
        return outcomes


def _read_now(op: Op, found: Found) -> Outcome:
    """One resource, or that it is what the reader has already."""
    if op.unless is not None and op.unless.had(found.row.ver, found.row.at):
        return Outcome(op, 304, found.row)
    return Outcome(op, 200, found.row, found.text)


def _said(done: Staged) -> list[Any]:
    if done.change is not None:
        return [done.status, done.change.type, done.change.id, done.change.ver, done.note]
    row = done.before
    named = [row.type, row.id, row.ver] if row is not None else ["", "", 0]
    return [done.status, *named, done.note]
