"""Puts the changes of one request together, inside the turn of its dossier; stores nothing.

Identities first, then references, then each change: whose record it is, its version, its text,
its index rows. Whether it may be done is asked of `allow`, given by the vault.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, NoReturn

from pgo.authorship import Authorship
from pgo.authorship import source as authored_by
from pgo.bodies import bodies_of
from pgo.caller import Caller
from pgo.consent import categories
from pgo.consent.model import CATEGORIES
from pgo.dossier.image import Row
from pgo.dossier.log import Change, Facet
from pgo.dossier.open import Dossier
from pgo.errors import (
    Conflict,
    Forbidden,
    Gone,
    Missing,
    NotFound,
    TooLarge,
    Unprocessable,
)
from pgo.fhir import bsn, elements, index, text, written
from pgo.fhir.bundle import Known, Op, names_of, resolve
from pgo.fhir.elements import Release
from pgo.fhir.large import BINARY
from pgo.staged import Staged, action_on, day_of, must_match

MOST_RESOURCES: Final = 100_000
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_FOREIGN: Final = "this is about somebody else than the dossier"
_NOT_STORED: Final = "the dossier has its own Patient; yours was matched to it and not stored"

Allow = Callable[[str, Facet, str, "int | None"], bool]
"""May the caller do (action) to a resource with (facet, id, data date)?"""


@dataclass(slots=True)
class Staging:
    """One request's changes to one dossier and release; `at` is µs since 1970.

    `operator` marks an import by the operator: ids are kept and any organisation's record may be
    brought in. `apart`: a batch, whose entries may not refer to each other.
    """

    dossier: Dossier
    rel: Release
    caller: Caller
    allow: Allow
    sees: Callable[[Row], bool]
    at: int
    authorship: Authorship
    operator: bool = False
    apart: bool = False
    staged: list[Staged] = field(default_factory=list)
    bodies: dict[bytes, bytes] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _targets: dict[int, str] = field(default_factory=dict)
    _patient: str = ""
    _referrers: dict[str, set[str]] = field(default_factory=dict)
    _kinds: dict[int, tuple[object, frozenset[str]]] = field(default_factory=dict)
    _room: int = 0

    # --- identities ----------------------------------------------------------------------------

    def identify(self, ops: Sequence[Op], named: Mapping[str, str] | None = None) -> None:
        """Give every operation its address, and know what entries call each other.

        What cannot be told apart gets a fault. `named`: what conditional references mean.
        """
        self._names.update(named or {})
        self._room = MOST_RESOURCES - self.dossier.image.count()
        self._patient = self._patient_id(ops)
        taken: dict[object, Op] = {}
        sound = [op for op in ops if op.method in WRITES and op.fault is None]
        for op in sound:
            if not op.id and op.method == "DELETE":
                continue  # its condition found nothing
            target = op.met or self._target(op)
            names = {f"{op.type}/{target}", *self._own_identifiers(op)}
            before = next((taken[name] for name in names if name in taken), None)
            if before is not None and not op.met:
                later = op if self.apart else max(before, op, key=lambda one: one.index)
                op.fault = Unprocessable("two entries are the same resource", place=later.place)
                continue
            taken |= dict.fromkeys(names, op)
            self._targets[op.index] = target
            if not self.apart:
                self._names.update(names_of(op, f"{op.type}/{target}"))
                if op.method == "POST" and op.condition is not None:
                    self._names[f"{op.type}?{op.condition}"] = f"{op.type}/{target}"
        if not self.operator:  # who asks no leave for what is brought in
            self._collect_referrers(op for op in sound if op.fault is None)

    def _patient_id(self, ops: Sequence[Op]) -> str:
        row = self.dossier.image.patient(self.rel)
        if row is not None:
            return row.id
        sent = (op for op in ops if op.type == "Patient" and op.method in {"POST", "PUT"})
        named = [op.id or self._own_id(op) for op in sent]
        if any(named) and (self.operator or self.caller.kind == "systeem"):
            return next(filter(None, named))
        subject = self.dossier.image.rule("subject", "client") or {}
        return str(subject.get("patient", "")) or self.dossier.client

    def _target(self, op: Op) -> str:
        if op.method != "POST":
            return op.id
        if op.type == "Patient":
            return self._patient
        if self.operator:
            return self._kept_id(op)
        row = self._sent_before(op)
        return row.id if row is not None else str(uuid.uuid4())

    def _own_identifiers(self, op: Op) -> set[tuple[str, str, str]]:
        """Under what a provider's system knows its own record: never two of one."""
        if self.caller.kind != "systeem" or op.tree is None or op.type == "Patient":
            return set()
        return {(op.type, *ident) for ident in written.identifiers(op.tree)}

    def _kept_id(self, op: Op) -> str:
        """An import keeps the id; without one it is made of the content, the same each time."""
        said = text.dump([self.rel, op.place, op.full_url, op.tree])
        made = uuid.UUID(bytes=hmac.digest(self.dossier.keys.index, said, sha256)[:16])
        return self._own_id(op) or str(made)

    def _own_id(self, op: Op) -> str:
        """The id an imported resource has; others are given one when they are created."""
        id_ = (op.tree or {}).get("id") if self.operator and op.method == "POST" else ""
        return id_ if isinstance(id_, str) else ""

    def _sent_before(self, op: Op) -> Row | None:
        for _, *ident in sorted(self._own_identifiers(op)):
            system, value = ident
            row = self.dossier.image.owned(self.caller.org, self.rel, op.type, (system, value))
            if row is not None and row.live:
                return row
        return None

    def _collect_referrers(self, ops: Iterable[Op]) -> None:
        for op in ops:
            if op.tree is None or op.type in categories.SUPPORTING:
                continue
            kinds = categories.classify(self.rel, op.tree)
            self._kinds[op.index] = (op.tree, kinds)
            for reference in written.references(self.dossier.own.meant(self.rel, op.tree)):
                name = self._names.get(reference, reference)
                self._referrers.setdefault(name, set()).update(kinds)

    # --- one operation -------------------------------------------------------------------------

    def stage(self, op: Op) -> Staged:
        """Work out one change.

        Raises:
            PgoError: why not, with the place of the entry.
        """
        done = self._delete(op) if op.method == "DELETE" else self._put(op)
        self.staged.append(done)
        return done

    def _put(self, op: Op) -> Staged:
        id_ = self._targets[op.index]
        before = self.dossier.image.get(self.rel, op.type, id_)
        if op.met:
            return Staged(op, 200, before)
        if op.type == "Patient" and self._matched_patient(op, id_, before):
            return Staged(op, 200, before, note=_NOT_STORED)
        tree = self._tree(op)
        digest = self._digest(tree)
        if before is not None and before.live:
            self._may_change(op, before)
            must_match(op, before)
            if before.digest == digest and (self.operator or self.caller.kind == "systeem"):
                return Staged(op, 200, before)
        elif op.method == "PUT" and not self.operator:
            self._may_name(op, before)
        facet = self._facet(op, tree, before)
        self._may(op, before, id_, facet, categories.date_of(self.rel, tree))
        must_match(op, before)
        self._is_new(op, id_, before)
        self.authorship.check(op, tree, before, self._patient)
        return self._change(op, id_, tree, digest, facet, before)

    def _is_new(self, op: Op, id_: str, before: Row | None) -> None:
        """An id that is not used yet may be used, and is not a second one for a known record."""
        if before is None and bsn.in_id(id_):
            place = f"{op.place}.resource" if op.place else op.type
            raise Unprocessable("this id may be a BSN", place=f"{place}.id")
        known = self._sent_before(op)
        if known is not None and known.id != id_:
            raise Conflict("you sent this identifier before, under another id", place=op.place)
        if before is None or not before.live:
            self._room -= 1
            if self._room < 0:
                most = f"a dossier holds at most {MOST_RESOURCES} resources"
                raise TooLarge(most, place=op.place)

    def _change(
        self, op: Op, id_: str, tree: dict[str, Any], digest: str, facet: Facet, before: Row | None
    ) -> Staged:
        ver = 1 if before is None else before.ver + 1
        source = authored_by(self.caller, self.rel, facet, tree, kept=self.operator)
        final = written.stamped(tree, id_, ver, self.at, source, self.rel)
        bodies = bodies_of(self.dossier, self.rel, op, final)
        idents = tuple(written.identifiers(tree)) if facet.org else ()
        made = before is None or not before.live
        change = Change(
            rel=self.rel,
            type=op.type,
            id=id_,
            ver=ver,
            method="POST" if made else "PUT",
            facet=facet,
            day=day_of(categories.date_of(self.rel, tree)),
            rows=self._rows(op, bodies.tree, source),
            idents=idents,
            digest=digest,
            made=self.dossier.searches[self.rel].mark,
            pieces=bodies.pieces,
        )
        body, sealed = self.dossier.seal_body(change, bodies.kept)
        self.bodies |= {bytes.fromhex(body): sealed, **bodies.sealed}
        return Staged(op, 201 if made else 200, before, replace(change, body=body), bodies.shown)

    def _rows(self, op: Op, tree: dict[str, Any], source: str) -> dict[str, list[Any]]:
        """The index rows of a resource as it will be; those known before when they still hold."""
        searches, known = self.dossier.searches[self.rel], self._known(op)
        if known is not None and (known.mark, known.source) == (searches.mark, source):
            return known.rows
        return index.rows(self.rel, self.dossier.own.meant(self.rel, tree), searches)

    def _known(self, op: Op) -> Known | None:
        """What was worked out before, unless this dossier makes something else of it."""
        return None if self._names else op.known

    def _delete(self, op: Op) -> Staged:
        if not op.id:
            return Staged(op, 204)
        before = self.dossier.image.get(self.rel, op.type, op.id)
        if before is None:
            self._refuse(op, None)
        facet = self.dossier.image.facets[before.facet]
        if not self.allow(action_on(facet, "wijzigen"), facet, op.id, before.day):
            self._refuse(op, before)
        if not (self._is_own(facet) or self.allow("beheren", facet, op.id, before.day)):
            self._refuse(op, before)
        if not before.live:
            return Staged(op, 204, before)
        must_match(op, before)
        change = Change(
            self.rel,
            op.type,
            op.id,
            before.ver + 1,
            "DELETE",
            replace(facet, seals=()),
            day=before.day,
        )
        return Staged(op, 204, before, change)

    # --- may it --------------------------------------------------------------------------------

    def may_patch(self, op: Op) -> Row:
        """The version to patch, if he may read and change it; else a patch tells him nothing."""
        before = self.dossier.image.get(self.rel, op.type, op.id)
        if before is None or not (self.operator or self.sees(before)):
            raise NotFound("not found", place=op.place)
        if not before.live:
            raise Gone("this resource was deleted", place=op.place)
        self._may_change(op, before)
        must_match(op, before)
        return before

    def _may_change(self, op: Op, before: Row) -> None:
        """The row as it is may be changed, by this caller, and is not somebody else's text."""
        facet = self.dossier.image.facets[before.facet]
        if not self.allow(action_on(facet, "wijzigen"), facet, before.id, before.day):
            self._refuse(op, before)
        if not self._is_own(facet):
            self._refuse(op, before)
        if op.type == "Patient":
            self._sees_whole(op, before, facet)

    def _sees_whole(self, op: Op, before: Row, facet: Facet) -> None:
        """Nobody replaces a Patient of whom he sees a part: what he does not see would be lost."""
        for kind in categories.PATIENT_PARTS:
            part = replace(facet, categories=(kind,))
            if not self.allow("lezen", part, before.id, before.day):
                raise Forbidden("you see a part of this, so you may not replace it", place=op.place)

    def _is_own(self, facet: Facet) -> bool:
        """Not the record of an organisation, or of the caller's own; he may correct its text."""
        return self.operator or facet.org in {"", self.caller.org}

    def _may_name(self, op: Op, before: Row | None) -> None:
        """The caller may choose this id: else "taken" would tell him of what he may not see.

        So may a provider's system, whose records have names of their own, and whoever sees all.
        """
        whole = Facet(op.type, tuple(CATEGORIES), (categories.UNKNOWN_LABEL,))
        if self.caller.kind != "systeem" and not self.allow("lezen", whole, "", None):
            raise NotFound("not found", place=op.place)
        if before is not None and not self.sees(before):
            raise NotFound("not found", place=op.place)

    def _may(self, op: Op, before: Row | None, id_: str, facet: Facet, date: str) -> None:
        """The row as it will be may be there."""
        live = before is not None and before.live
        action = action_on(facet, "wijzigen" if live else "toevoegen")
        asked = self._with_referrers(op, facet)
        if self.allow(action, asked, id_, day_of(date)):
            return
        if op.method == "PUT" and not live:
            raise NotFound("not found", place=op.place)
        raise Forbidden("you may not store this here", place=op.place)

    def _refuse(self, op: Op, before: Row | None) -> NoReturn:
        if before is not None and self.sees(before):
            raise Forbidden("you may not change this", place=op.place)
        raise NotFound("not found", place=op.place)

    def _with_referrers(self, op: Op, facet: Facet) -> Facet:
        if op.type not in categories.SUPPORTING:
            return facet
        kinds = self._referrers.get(f"{op.type}/{self._targets[op.index]}", set())
        alone = "documenten" if op.type == BINARY else "overig"
        return replace(facet, categories=tuple(sorted(kinds)) or (alone,))

    # --- what it becomes -----------------------------------------------------------------------

    def _matched_patient(self, op: Op, id_: str, before: Row | None) -> bool:
        if id_ != self._patient:
            raise Unprocessable("this dossier has one Patient, with another id", place=op.place)
        if before is None or not before.live or op.method == "PUT":
            return False
        org = self.dossier.image.facets[before.facet].org
        return org != self.caller.org or not org

    def _tree(self, op: Op) -> dict[str, Any]:
        if op.tree is None:
            raise Missing("a resource is needed", place=op.place)
        place = f"{op.place}.resource" if op.place else op.type
        if op.type not in elements.stored(self.rel):
            raise Unprocessable("this type of resource is not kept here", place=place)
        tree = op.tree
        if self._known(op) is None:  # else there is nothing to resolve in it
            tree = resolve(tree, self._names, f"Patient/{self._patient}", place)
        meant = self.dossier.own.meant(self.rel, tree)
        if meant is not tree:
            op.known = None
        if foreign := written.foreign_subject(meant, f"Patient/{self._patient}"):
            raise Unprocessable(_FOREIGN, place=f"{place}.{foreign}")
        return tree

    def _facet(self, op: Op, tree: dict[str, Any], before: Row | None) -> Facet:
        kinds = self._classified(op, tree)
        labels = tuple(sorted(categories.labels_of(tree)))
        author, org = self.caller.person, ""
        if self.caller.kind in {"systeem", "zorgverlener"}:
            org = self.caller.org
        if before is not None and before.live:
            old = self.dossier.image.facets[before.facet]
            author, org = old.author, old.org
        return Facet(op.type, tuple(sorted(kinds)), labels, author, org)

    def _classified(self, op: Op, tree: dict[str, Any]) -> Iterable[str]:
        """Its categories; a reference that was resolved since `identify` does not change them."""
        if op.type in categories.SUPPORTING:
            return ()
        if (facts := self._known(op)) is not None:
            return facts.kinds
        known = self._kinds.get(op.index)
        return known[1] if known and known[0] is op.tree else categories.classify(self.rel, tree)

    def _digest(self, tree: dict[str, Any]) -> str:
        said = text.dump(written.content(tree))
        return hmac.digest(self.dossier.keys.index, said, sha256).hex()[:32]
