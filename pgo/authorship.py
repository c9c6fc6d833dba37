"""Who may say what is whose: a person writes in his own name or the client's, nobody else's.

Provider systems and an operator's import are the source of what they bring and name authors as
they like; who brought it stands in meta.source. A person names himself, as `fhirUser` does, by the
RelatedPerson of his relation, or by his own organisation. What an earlier version said may stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from pgo.caller import Caller
from pgo.consent.fhir_out import consent_id
from pgo.dossier.image import Image, Row
from pgo.dossier.log import Facet
from pgo.dossier.open import Dossier
from pgo.errors import Unprocessable
from pgo.fhir import authors, text, written
from pgo.fhir.authors import Said
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.oneself import kind_of
from pgo.projection import ours
from pgo.world import SUBJECT

_NAMING: Final = frozenset({"id", "reference", "type", "display"})
ANOTHER: Final = "write in your own name or the client's, by a plain reference and no other name"
_LOST: Final = "an author of the version before may not be left out"
_ACCOUNT: Final = "this address is that of somebody's account"
ORDER: Final = (
    "only a professional stores an order for a medicine; what is used is a MedicationStatement"
)
_PEOPLE: Final = frozenset({"Practitioner", "Person"})
_NO_ORDER: Final = frozenset({"proposal", "plan"})
_ENDED: Final = frozenset({"cancelled", "completed", "stopped", "entered-in-error"})

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Writer:
    """A person who writes: `names` are the references he may name, each with what it is called.

    `known` are the account ids of who ever wrote in this dossier.
    """

    caller: Caller
    names: Mapping[str, str]
    known: frozenset[str]

    def is_self(self, value: Any) -> bool:
        """Whether this names him or the client: by a plain reference, under no other name."""
        if type(value) is str:
            return value == self.caller.name
        if type(value) is not dict or not value.keys() <= _NAMING:
            return False
        reference = value.get("reference")
        if type(reference) is not str or reference not in self.names:
            return False
        kind, name = reference.partition("/")[0], self.names[reference]
        return bool(value.get("type", kind) == kind and value.get("display", name) == name)


def writer(image: Image, rel: Release, caller: Caller, patient: str) -> Writer:
    """Whom a person may name; `patient` is the id of the dossier's own Patient."""
    own = {f"{kind_of(caller.kind)}/{caller.person}": caller.name}
    for id_, relation in image.rules("relation").items():
        if relation.get("person") == caller.person:
            own[f"RelatedPerson/{consent_id(id_)}"] = caller.name
    if caller.org:
        own[f"Organization/{caller.org}"] = caller.org_name
    names = {one: name for one, name in own.items() if _means_him(image, rel, one, caller)}
    subject = image.rule("subject", SUBJECT) or {}
    names[f"Patient/{patient}"] = str(subject.get("name", ""))
    return Writer(caller, names, frozenset(one.author for one in image.facets.values()))


def _means_him(image: Image, rel: Release, reference: str, caller: Caller) -> bool:
    """Nothing else is stored under this address, which would then be what is read."""
    type_, _, id_ = reference.partition("/")
    row = image.get(rel, type_, id_)
    if row is None or not row.live or ours(image, row):
        return True
    return type_ == "Organization" and image.facets[row.facet].org == caller.org


def check(who: Writer, rel: Release, op: Op, tree: Tree, before: Tree | None, *, his: bool) -> None:
    """Does nothing when the resource, as it will be, says only what this person may say.

    Args:
        who: the person who writes.
        rel: the release of both trees.
        op: for the place of the entry.
        tree: as it will be, references resolved, those to our own address relative.
        before: the live version it replaces; None when it is new.
        his: whether he made the resource: who did takes back what he said there.

    Raises:
        Unprocessable: it names somebody else, leaves an author out, is an order for a medicine of
            somebody who is no professional, or takes the address of somebody's account.
    """
    at = f"{op.place}.resource" if op.place else op.type
    if before is None and op.type in _PEOPLE and op.id in who.known | {who.caller.person}:
        raise Unprocessable(_ACCOUNT, place=f"{at}.id")
    _no_order(who.caller, op.type, tree, at, made=before is None)
    old = list(_others(who, rel, before)) if before is not None else []
    left = Counter(one.same for one in old)
    for one in _others(who, rel, tree):
        left[one.same] -= 1
        if left[one.same] < 0:
            raise Unprocessable(ANOTHER, place=f"{at}{one.place.removeprefix(op.type)}")
    for one in old if not his else ():
        if left[one.same] > 0 and not one.place.rpartition(".")[0].startswith(f"{op.type}.note"):
            raise Unprocessable(_LOST, place=f"{at}{one.place.removeprefix(op.type)}")


def _others(who: Writer, rel: Release, tree: Tree) -> Iterator[Said]:
    return (one for one in authors.said(rel, tree) if not who.is_self(one.value))


def _no_order(caller: Caller, type_: str, tree: Tree, at: str, *, made: bool) -> None:
    """A medicine that somebody reports is no prescription; R4 can say so, else it is a Statement.

    What was stored before may be ended.
    """
    if type_ != "MedicationRequest" or caller.kind == "zorgverlener":
        return
    reported = tree.get("reportedBoolean") is True or "reportedReference" in tree
    ends = not made and tree.get("status") in _ENDED
    if not (reported or ends or tree.get("intent") in _NO_ORDER):
        raise Unprocessable(ORDER, place=f"{at}.intent")


def source(caller: Caller, rel: Release, facet: Facet, tree: dict[str, Any], *, kept: bool) -> str:
    """Who brought a version, for meta.source; `kept`: an import, which keeps what it says.

    A system's is its organisation's (`urn:pgo:bron:…`). A person's says whose account it was, for
    which organisation if any, and in which app: `urn:pgo:persoon:…:app:…`. STU3's meta has no place
    for it; a person's goes into the extension by which FHIR says so, a system's is not told there.
    """
    if kept and not facet.org:
        return written.said_source(rel, tree)
    if kept or caller.kind == "systeem":
        org = facet.org or caller.org
        return f"urn:pgo:bron:{org}" if org and rel == "r4" else ""
    told = (("bron", facet.org), ("persoon", caller.person), ("app", caller.app))
    return ":".join(["urn:pgo", *(f"{name}:{quote(one, safe='')}" for name, one in told if one)])


@dataclass(slots=True)
class Authorship:
    """What holds for the changes of one request; `free`: an import, which says what it says."""

    dossier: Dossier
    rel: Release
    caller: Caller
    free: bool
    _former: dict[int, Tree] = field(default_factory=dict)
    _writer: Writer | None = None

    def __post_init__(self) -> None:
        self.free = self.free or self.caller.kind == "systeem"

    async def look_up(self, ops: Sequence[Op]) -> None:
        """Read what a person's updates would replace."""
        for op in () if self.free else ops:
            row = self.dossier.image.get(self.rel, op.type, op.id) if op.method == "PUT" else None
            if op.fault is None and row is not None and row.live:
                [raw] = await self.dossier.texts([row])
                self._former[op.index] = self.dossier.own.meant(self.rel, text.reread(raw))

    def check(self, op: Op, tree: dict[str, Any], before: Row | None, patient: str) -> None:
        """Does nothing when the caller may say what this resource will say; see `check`."""
        if self.free:
            return
        image = self.dossier.image
        if self._writer is None:
            self._writer = writer(image, self.rel, self.caller, patient)
        his = before is not None and image.facets[before.facet].author == self.caller.person
        meant = self.dossier.own.meant(self.rel, tree)
        check(self._writer, self.rel, op, meant, self._former.get(op.index), his=his)
