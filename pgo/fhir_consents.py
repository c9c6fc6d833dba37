"""Grants written as FHIR Consent: the ordinary way of regie, with the same checks (consent.md §7).

What a Consent says is computed first; what cannot be computed changes nothing. The Consent that is
answered is the projection of the grant as it is now kept, never the text that was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pgo.call import Call
from pgo.consent import reading, sound
from pgo.consent.fhir_actors import Actors
from pgo.consent.fhir_in import grant_in
from pgo.consent.fhir_out import consent_id
from pgo.consent.model import Grant
from pgo.dossier.image import Row
from pgo.dossier.log import Rule
from pgo.errors import (
    BadValue,
    Forbidden,
    NotFound,
    PgoError,
    Unavailable,
    Unprocessable,
    VersionMismatch,
)
from pgo.fhir import text
from pgo.fhir.bundle import Op
from pgo.fhir.incoming import patched
from pgo.fhir.patch import Patch
from pgo.house import House
from pgo.moment import instant
from pgo.projection import RELEASE, rule_behind
from pgo.regie import Regie
from pgo.shared import patient_id
from pgo.shown import Found, Outcome
from pgo.vault import Vault
from pgo.world import Rules, rules_of

_TRIES: Final = 20
_ENDED: Final = frozenset({"inactive", "rejected", "entered-in-error"})
_OURS: Final = ("id", "client", "by", "made")
_CONTENT: Final = (
    *("effect", "to_who", "actions", "categories", "types", "labels", "purposes", "author"),
    *("instances", "data_from", "data_to", "from", "to", "weekly", "status", "parent", "depth"),
    "own",
)
_FIXED: Final = {
    "effect": "provision.type",
    "to_who": "provision.actor",
    "parent": "sourceReference",
    "own": "provision.modifierExtension",
    "by_court": "extension",
}
# Where a Consent says what a grant calls so.
_ELEMENTS: Final = _FIXED | {
    "status": "status",
    "depth": "extension",
    "from": "provision.period.start",
    "to": "provision.period.end",
    "data_to": "provision.dataPeriod.end",
    "actions": "provision.action",
    "categories": "provision.code",
    "types": "provision.class",
    "purposes": "provision.purpose",
    "labels": "provision.securityLabel",
    "instances": "provision.data",
    "weekly": "provision.modifierExtension",
}
Tree = Mapping[str, Any]


class Consents(Regie):
    """One caller and the grants of one dossier, as FHIR says them."""

    async def stands_for(self, id_: str) -> bool:
        """Whether the Consent with this id is a grant; says nothing about who may see it."""
        if self.caller.dossier not in {"", self.client}:
            return False
        try:
            dossier = await self._parts.dossiers.open(self.client)
        except NotFound:
            return False
        return bool(rule_behind(dossier.image, RELEASE, "Consent", id_))

    async def create(self, tree: Tree) -> Outcome:
        """Make the grant a Consent says.

        Raises:
            Unprocessable: with the element; Forbidden: the caller may not make it.
        """
        deny = _effect(tree) == "deny"
        async with self.call("deny" if deny else "grant", release=RELEASE, type_="Consent") as call:
            await self._enter(call, "c")
            self._parts.count("writes", self.client)
            sent = self._sent(tree, {self.caller.person})
            try:
                grant, made = self._drafted(call, sent)
            except BadValue as fault:
                raise _placed(fault) from fault

            def build(rules: Rules) -> tuple[Rule, ...]:
                return (self._new(call, rules, grant, made),)

            rule = (await self._change(call, build, grant.to_who))[0]
            found = await self._found(rule.id)
        return Outcome(Op("POST", "Consent"), 201, found.row, found.text)

    async def update(self, id_: str, tree: Tree, if_match: int | None) -> Outcome:
        """Change or end the grant behind a Consent; who it is to, stays.

        Raises:
            NotFound, Forbidden, Unprocessable; VersionMismatch: it has another version now.
        """
        async with self.call("grant-change", release=RELEASE, type_="Consent") as call:
            row = await self._known_row(call, id_)
            return await self._updated(call, row, tree, if_match)

    async def patch(self, id_: str, patch: Patch, if_match: int | None) -> Outcome:
        """Change or end the grant with what a patch makes of its Consent: the way of `update`."""
        async with self.call("grant-change", release=RELEASE, type_="Consent") as call:
            for _ in range(_TRIES):
                row = await self._known_row(call, id_)
                raw = await self.dossier.texts([row])
                made = patched(RELEASE, patch, text.reread(raw[0]))
                wanted = row.ver if if_match is None else if_match
                try:
                    return await self._updated(call, row, made, wanted)
                except VersionMismatch:
                    if if_match is not None:
                        raise
                    await self.dossier.refresh()
                    self.renew()
            raise Unavailable("this grant changes all the time; nothing was changed")
        raise AssertionError("a call either answers or raises")

    async def end(self, id_: str, if_match: int | None) -> Outcome:
        """Revoke the grant behind a Consent, which stays to be read as inactive."""
        async with self.call("revoke", release=RELEASE, type_="Consent") as call:
            row = await self._known_row(call, id_)
            found = await self._ended(call, row, "inactive", if_match)
        return Outcome(Op("DELETE", "Consent"), 200, found.row, found.text)

    # --- what is meant -------------------------------------------------------------------------

    async def _known_row(self, call: Call, id_: str) -> Row:
        """The Consent of a grant that the caller may see."""
        await self._enter(call, "u")
        row = self.dossier.image.get(RELEASE, "Consent", id_)
        behind = rule_behind(self.dossier.image, RELEASE, "Consent", id_)
        if row is None or not behind or not (await self.verdict()).sees(row):
            raise NotFound("not found")
        call.touch([row], self.dossier.image.facets)
        return row

    def _sent(self, tree: Tree, givers: set[str]) -> dict[str, Any]:
        """What a Consent says, in the form grants are sent in.

        Raises:
            Unprocessable: with the element that is not computed, or not for the caller to say.
        """
        image = self.dossier.image
        said = grant_in(text.plain(tree), self._actors())
        if said.get("by", self.caller.person) not in givers:
            raise Unprocessable("only who gives it himself", place="Consent.performer[0]")
        if "parent" in said:
            behind = rule_behind(image, RELEASE, "Consent", said["parent"])
            said["parent"] = behind or said["parent"]
        return {name: value for name, value in said.items() if name not in _OURS}

    def _actors(self) -> Actors:
        image, rules = self.dossier.image, rules_of(self.dossier, self._parts.policy)
        related = {
            consent_id(id_): str(value.get("person", ""))
            for id_, value in image.rules("relation").items()
        }
        stored = image.select(
            "SELECT type || '/' || id, type, id FROM res WHERE rel=? AND live AND type IN"
            " ('RelatedPerson','Practitioner','Organization','CareTeam')",
            (RELEASE,),
        )
        known = frozenset(
            name for name, type_, id_ in stored if type_ != "RelatedPerson" or id_ not in related
        )
        patient = patient_id(self.dossier, RELEASE)
        return Actors(rules.subject.id, patient, related, known)

    # --- changing ------------------------------------------------------------------------------

    async def _updated(self, call: Call, row: Row, tree: Tree, if_match: int | None) -> Outcome:
        id_ = rule_behind(self.dossier.image, RELEASE, "Consent", row.id)
        kept = self._kept(id_)
        old = reading.stored_grant(kept)
        sent = self._sent(tree, {self.caller.person, old.by})
        new = self._read(kept, sent, call)
        _same_where_fixed(old, new)
        if new.status in _ENDED and old.status not in _ENDED:
            _only_the_status(old, new)
            found = await self._ended(call, row, new.status, if_match)
        elif _alike(old, new):
            self._matches(row.id, if_match)
            found = await self._found(id_)
        else:
            found = await self._changed(call, row, sent, if_match)
        return Outcome(Op("PUT", "Consent", row.id), 200, found.row, found.text)

    def _kept(self, id_: str) -> dict[str, Any]:
        kept = dict(self.dossier.image.rule("grant", id_) or {})
        kept.pop("order", None)
        return kept

    def _read(self, kept: Tree, sent: Tree, call: Call) -> Grant:
        try:
            return reading.grant(self._drawn(kept, sent, call), "grant", stored=True)
        except BadValue as fault:
            raise _placed(fault) from fault

    def _drawn(self, kept: Tree, sent: Tree, call: Call) -> dict[str, Any]:
        """What the rule becomes: the caller's own word, as of now."""
        rest = {name: value for name, value in kept.items() if name not in _CONTENT}
        for name in ("preset", "revoked", "given", "decided"):
            rest.pop(name, None)
        whose = {"by": self.caller.person, "made": instant(call.at)}
        return {**rest, **sent, "id": kept["id"], "client": kept["client"], **whose}

    async def _changed(self, call: Call, row: Row, sent: Tree, if_match: int | None) -> Found:
        id_ = rule_behind(self.dossier.image, RELEASE, "Consent", row.id)

        def build(rules: Rules) -> tuple[Rule, ...]:
            self._matches(row.id, if_match)
            kept = self._kept(id_)
            old, new = reading.stored_grant(kept), self._read(kept, sent, call)
            _same_where_fixed(old, new)
            self._may_change(call, rules, kept, old, new)
            order = (self.dossier.image.rule("grant", id_) or {})["order"]
            return (Rule("grant", id_, {**self._drawn(kept, sent, call), "order": order}),)

        await self._change(call, build, str(self._kept(id_).get("to_who", "")))
        return await self._found(id_)

    def _may_change(self, call: Call, rules: Rules, kept: Tree, old: Grant, new: Grant) -> None:
        """Whether the caller may make of the old grant the new one; it counts as giving it."""
        if kept.get("waits"):
            raise Unprocessable("this waits for somebody's consent", place="Consent.status")
        if old.by_court or old.unreadable:
            raise Forbidden("this grant can only be ended")
        if old.parent and old.by != self.caller.person:
            raise Forbidden("only who passed it on may change it")
        if old.effect == "deny":
            self._alone(call, rules, old.to_who, old.id)
        elif waits := self._may_make(call, rules, new):
            raise Forbidden(f"you may not change this alone; it needs {waits}: propose a new one")
        if new.revoked is not None:
            raise Unprocessable("a grant that goes on is not revoked", place="Consent.extension")
        try:
            sound.new({}, new, self._parts.clock())
        except BadValue as fault:
            raise _placed(fault) from fault

    def _alone(self, call: Call, rules: Rules, to: str, id_: str) -> None:
        """The caller may end or change this deny himself; through FHIR nothing is asked.

        Raises:
            Forbidden: not, or not alone.
        """
        if waits := self._opens(call, rules, "deny", to, id_):
            raise Forbidden(f"you may not do this alone; it needs {waits}: end it by its id")

    async def _ended(self, call: Call, row: Row, status: str, if_match: int | None) -> Found:
        id_ = rule_behind(self.dossier.image, RELEASE, "Consent", row.id)
        await self._meet(str(self._kept(id_).get("to_who", "")))

        def build(rules: Rules) -> tuple[Rule, ...]:
            self._matches(row.id, if_match)
            kept = self.dossier.image.rule("grant", id_) or {}
            to = str(kept.get("to_who", ""))
            if kept["effect"] == "deny":
                self._alone(call, rules, to, id_)
            elif not (kept.get("parent") and kept["by"] == self.caller.person):
                self._beheren(call, target="grant", restrictive=True, grant_to=to, id_=id_)
            over = kept.get("status") in _ENDED
            now = {} if over else {"status": status, "revoked_by": self.caller.person}
            ended = {"revoked": instant(call.at)} | kept | now
            return (Rule("grant", id_, ended),)

        await self._change(call, build)
        return await self._found(id_)

    def _matches(self, id_: str, if_match: int | None) -> None:
        row = self.dossier.image.get(RELEASE, "Consent", id_)
        if if_match is not None and (row is None or row.ver != if_match):
            raise VersionMismatch("the resource has another version now")

    async def _found(self, id_: str) -> Found:
        row = self.dossier.image.get(RELEASE, "Consent", consent_id(id_))
        if row is None:
            raise NotFound("not found")
        return Found(row, (await self.dossier.texts([row]))[0])


def consents_of(house: House, vault: Vault, request: str) -> Consents:
    """The grants of the dossier a vault is bound to, for the same caller."""
    return Consents(house.parts, vault.caller, vault.client, request=request)


def _effect(tree: Tree) -> str:
    """Permit or deny, as far as can be seen before anything is read."""
    provision = tree.get("provision")
    rule = provision if isinstance(provision, dict) else {}
    inner = rule.get("provision")
    if "type" not in rule and isinstance(inner, list) and inner and isinstance(inner[0], dict):
        rule = inner[0]
    return str(rule.get("type", ""))


def _alike(old: Grant, new: Grant) -> bool:
    return replace(new, by=old.by, made=old.made, revoked=old.revoked, by_court=old.by_court) == old


def _only_the_status(old: Grant, new: Grant) -> None:
    """Ending a grant changes nothing else of it.

    Raises:
        Unprocessable: it does.
    """
    if not _alike(old, replace(new, status=old.status)):
        raise Unprocessable("end a grant or change it, not both at once", place="Consent.status")


def _same_where_fixed(old: Grant, new: Grant) -> None:
    """To whom, permit or deny, and where it came from, stay as they are.

    Raises:
        Unprocessable: with the element that differs.
    """
    for name, element in _FIXED.items():
        if getattr(old, name) != getattr(new, name):
            raise Unprocessable(
                "this stays as it is; make another grant", place=f"Consent.{element}"
            )


def _placed(fault: PgoError) -> Unprocessable:
    """The same fault, by the element of the Consent that says it."""
    name = fault.place.removeprefix("grant").lstrip(".").partition("[")[0].partition(".")[0]
    element = _ELEMENTS.get(name, "")
    return Unprocessable(fault.detail, place=f"Consent.{element}" if element else "Consent")
