"""Rules as FHIR: each grant a Consent, each relation a RelatedPerson, written in the same commit.

For others to read and to search; no decision is ever made of them (consent.md §2, §7). R4 only:
the table of §7 is R4's. They are written by the door whenever a rule changes, so they cannot lag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final

import orjson

from pgo.consent import moments, reading
from pgo.consent.categories import is_directive
from pgo.consent.fhir_out import (
    Named,
    Tree,
    consent_id,
    consent_of,
    ending_of,
    related_person_of,
)
from pgo.consent.fhir_systems import ENDINGS
from pgo.consent.model import Grant, Level
from pgo.consent.words import summary
from pgo.dossier.image import Image, Row
from pgo.dossier.log import SHOWS_A_RULE, Change, Facet, Rule
from pgo.dossier.open import Dossier
from pgo.errors import PgoError, Unprocessable
from pgo.fhir import index, text, written
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.moment import instant, micros
from pgo.world import SUBJECT, People

RELEASE: Final[Release] = "r4"
TYPES: Final = {"grant": "Consent", "relation": "RelatedPerson"}
_END: Final = "einde."
_KINDS: Final = {"Consent": "grant", "RelatedPerson": "relation"}
_CATEGORIES: Final = {
    "Consent": ("toestemmingen",),
    "RelatedPerson": ("contactpersonen", "toestemmingen"),
    "Provenance": ("toestemmingen",),
}
Made = tuple[list[Change], dict[bytes, bytes]]


def rule_behind(image: Image, rel: str, type_: str, id_: str) -> str:
    """The id of the grant or relation that this resource stands for; "" when it is none."""
    kind = _KINDS.get(type_, "")
    if not kind or rel != RELEASE:
        return ""
    if image.rule(kind, id_) is not None:
        return id_
    return next((one for one in image.rules(kind) if consent_id(one) == id_), "")


def ours(image: Image, row: Row) -> bool:
    """Whether this resource was written here to show a rule."""
    known = image.facets[row.facet].categories
    return row.rel == RELEASE and known == _CATEGORIES.get(row.type) and row.digest == SHOWS_A_RULE


def keep_out(
    image: Image, rel: Release, op: Op, *, sees: Callable[[Row], bool], all_: bool
) -> None:
    """Refuse what would change or imitate a rule by an ordinary change of a resource.

    `all_`: for an operator, who brings in Consents as the records they are, without effect.

    Raises:
        Unprocessable: a rule is changed at its own address, one by one.
    """
    if op.type not in _CATEGORIES:
        return
    place = f"{op.place}.resource" if op.place else op.type
    before = image.get(rel, op.type, op.id) if op.id else None
    if before is not None and ours(image, before) and (all_ or sees(before)):
        where = "a Consent by itself" if op.type == "Consent" else "the relations of the dossier"
        raise Unprocessable(f"this shows a rule; change it by {where}", place=place)
    if op.type == "Provenance" and op.id.startswith(_END) and not all_:
        raise Unprocessable("this id is for the end of a grant", place=f"{place}.id")
    sent = op.type == "Consent" and op.tree is not None and not all_
    if sent and not is_directive(rel, op.tree or {}):
        raise Unprocessable("a grant is sent as a Consent in R4, by itself", place=place)


def unshown(image: Image) -> list[Rule]:
    """The rules that no resource shows yet: those of a dossier from before."""
    return [
        Rule(kind, id_, value)
        for kind, type_ in TYPES.items()
        for id_, value in image.rules(kind).items()
        if image.get(RELEASE, type_, consent_id(id_)) is None
    ]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the rules will be once a commit has been made."""

    subject: dict[str, Any]
    patient: str
    changed: dict[tuple[str, str], dict[str, Any] | None]


async def projected(
    dossier: Dossier,
    rules: Sequence[Rule],
    changes: Sequence[Change],
    people: People,
    policy: str,
    by: str,
    at: int,
) -> Made:
    """The changes that show these rules, made by a person (`by`) at `at` µs; their sealed texts.

    All are shown anew with the first Patient, who gives his id to what refers to him, and those
    that are not shown yet come along. A grant that ends gets a Provenance: by whom, and when.
    """
    if not any(rule.kind in {*TYPES, "subject"} for rule in rules) and not _first(dossier, changes):
        return [], {}
    found = _after(dossier.image, rules, changes)
    renewed = _first(dossier, changes) or any(rule.kind == "subject" for rule in rules)
    wanted = {
        (kind, id_): value
        for (kind, id_), value in found.changed.items()
        if renewed or _stale(dossier.image, rules, kind, id_)
    }
    known = await _named(wanted, found, people, policy, by)
    made: Made = ([], {})
    for (kind, id_), value in wanted.items():
        shown = _Shown(kind, consent_id(id_), _tree(kind, id_, value, known), value or {})
        _write(dossier, made, TYPES[kind], shown, at)
    for rule in rules:
        if rule.kind == "grant" and _ends(dossier.image, rule):
            _write(dossier, made, "Provenance", _ending(dossier, rule, by, at, known), at)
    return made


@dataclass(frozen=True, slots=True)
class _Shown:
    """One resource to write: of which kind of rule, its id, its tree (None: it goes), the rule."""

    kind: str
    name: str
    tree: Tree | None
    value: dict[str, Any]


def _ends(image: Image, rule: Rule) -> bool:
    """Whether this rule ends a grant that had not ended before."""
    before = image.rule("grant", rule.id)
    status = str((rule.value or {}).get("status", "active"))
    return before is not None and status in ENDINGS and before.get("status") not in ENDINGS


def _ending(dossier: Dossier, rule: Rule, by: str, at: int, known: Named) -> _Shown:
    row = dossier.image.get(RELEASE, "Consent", consent_id(rule.id))
    grant = _grant({"id": rule.id, **(rule.value or {})})
    tree = ending_of(grant, 1 if row is None else row.ver + 1, by, instant(at), known)
    return _Shown("ending", consent_id(f"{_END}{rule.id}"), tree, {"by": by})


def _first(dossier: Dossier, changes: Sequence[Change]) -> bool:
    """Whether these changes bring the dossier's first Patient."""
    brought = any(one.type == "Patient" and one.rel == RELEASE for one in changes)
    return brought and dossier.image.patient(RELEASE) is None


def _after(image: Image, rules: Sequence[Rule], changes: Sequence[Change]) -> _Rules:
    subject = image.rule("subject", SUBJECT) or {}
    values: dict[tuple[str, str], dict[str, Any] | None] = {
        (kind, id_): value for kind in TYPES for id_, value in image.rules(kind).items()
    }
    for rule in rules:
        if rule.kind in TYPES:
            values[rule.kind, rule.id] = rule.value
        if rule.kind == "subject":
            subject = rule.value or {}
    row = image.patient(RELEASE)
    brought = [one.id for one in changes if one.type == "Patient" and one.rel == RELEASE]
    patient = row.id if row is not None else next(iter(brought), str(subject.get("patient", "")))
    return _Rules(subject, patient, values)


def _stale(image: Image, rules: Sequence[Rule], kind: str, id_: str) -> bool:
    if any(rule.kind == kind and rule.id == id_ for rule in rules):
        return True
    return image.get(RELEASE, TYPES[kind], consent_id(id_)) is None


async def _named(
    wanted: dict[tuple[str, str], dict[str, Any] | None],
    found: _Rules,
    people: People,
    policy: str,
    by: str,
) -> Named:
    ids = {by}
    for (kind, _), value in wanted.items():
        ids |= set(_mentioned(kind, value or {}))
    kinds = {}
    for id_ in sorted(ids):
        person = await people.person(id_)
        if person is not None:
            kinds[id_] = person.kind
    client = str(found.subject.get("person", SUBJECT))
    return Named(client, found.patient, policy, kinds, await people.names(ids))


def _mentioned(kind: str, value: dict[str, Any]) -> Iterable[str]:
    if kind == "relation":
        yield str(value.get("person", ""))
        return
    grant = _grant(value)
    yield from (grant.by, grant.author, grant.grantee.id)


def _grant(value: dict[str, Any]) -> Grant:
    stored = {name: one for name, one in value.items() if name != "order"}
    return reading.stored_grant(stored)


def _tree(kind: str, id_: str, value: dict[str, Any] | None, known: Named) -> Tree | None:
    """What shows the rule; None when there is nothing (any more) to show."""
    if value is None:
        return None
    if kind == "relation":
        try:
            return related_person_of(id_, reading.relation(value), known)
        except PgoError:
            return None
    grant = _grant({"id": id_, **value})
    own = known.kinds.get(grant.grantee.id, "") if grant.grantee.level == Level.PERSON else ""
    said = escape(summary(grant, known.names, own), quote=False)
    return consent_of(
        grant, known, f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{said}</p></div>'
    )


def _write(dossier: Dossier, made: Made, type_: str, shown: _Shown, at: int) -> None:
    """One version, or a deletion, unless something else has this id."""
    tree, name, value = shown.tree, shown.name, shown.value
    before = dossier.image.get(RELEASE, type_, name)
    if before is not None and not ours(dossier.image, before) and before.live:
        return
    live = before is not None and before.live
    if tree is None and not live:
        return
    facet = Facet(type_, _CATEGORIES[type_], author=str(value.get("by", "")))
    ver = 1 if before is None else before.ver + 1
    if tree is None:
        made[0].append(Change(RELEASE, type_, name, ver, "DELETE", facet, digest=SHOWS_A_RULE))
        return
    final = text.parse(orjson.dumps(written.stamped(tree, name, ver, at, "")))
    searches = dossier.searches[RELEASE]
    change = Change(
        rel=RELEASE,
        type=type_,
        id=name,
        ver=ver,
        method="PUT" if live else "POST",
        facet=facet,
        day=_day(value) if shown.kind == "grant" else None,
        rows=index.rows(RELEASE, final, searches),
        digest=SHOWS_A_RULE,
        made=searches.mark,
    )
    body, sealed = dossier.seal_body(change, text.dump(final))
    made[0].append(replace(change, body=body))
    made[1][bytes.fromhex(body)] = sealed


def _day(value: dict[str, Any]) -> int | None:
    """The data date of a Consent is when it was made."""
    try:
        return micros(moments.moment(value.get("made")))
    except PgoError:
        return None
