"""Regie: grants, relations and seals of one dossier, changed only through `beheren`.

Each method is one call through the door, with its audit line in the commit that changes the rules.
A revocation holds for every request that starts after the answer (consent 6).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from pgo import wishes
from pgo.agreement import both_needed, opens_less
from pgo.call import Call
from pgo.caller import Caller
from pgo.consent import reading, sound
from pgo.consent.decide import decide
from pgo.consent.model import SEALS, Decision, Grant, Level, Person, Resource
from pgo.consent.words import sentences
from pgo.door import Door, Parts
from pgo.dossier.log import Facet, Rule
from pgo.errors import BadValue, Forbidden, NotFound, Unavailable
from pgo.moment import instant
from pgo.standing import claimed, gives, may_end, sent_relation, within_bounds
from pgo.store.contract import NotNext
from pgo.world import Rules, rules_of

_RACES: Final = 1000
FROZEN: Final = ("state", "regie")
"""Where a dossier keeps that the reins are contested, until an operator has settled it."""
_CONSENTS: Final = Facet("Consent", ("toestemmingen",))
_LISTED: Final = ("grant", "relation", "seal", "claim")
Build = Callable[[Rules], "tuple[Rule, ...]"]


class Regie(Door):
    """One caller and the rules of one dossier."""

    def __init__(self, parts: Parts, caller: Caller, client: str, *, request: str = "") -> None:
        super().__init__(parts, caller, client, request=request)
        self._met: dict[str, Person] = {}

    # --- what there is -------------------------------------------------------------------------

    async def rules(self) -> dict[str, list[dict[str, Any]]]:
        """All grants, relations and seals, for who may see them; grants with plain words."""
        async with self.call("overview") as call:
            await self._may_read(call, _CONSENTS)
            image, rules = self.dossier.image, rules_of(self.dossier, self._parts.policy)
            found = {kind: _listed(image.rules(kind)) for kind in _LISTED}
            found["seal"] = [one for one in found["seal"] if self._shows(one["id"])]
            found[wishes.KIND] = [one.listed() for one in wishes.every(image)]
            for easy, name in ((False, "samenvatting"), (True, "eenvoudig")):
                words = await self._words(rules, easy=easy)
                for grant in found["grant"]:
                    grant[name] = " ".join(words.get(grant["id"], ()))
            found["notice"] = _listed(image.rules("notice"))
        return found

    def _shows(self, sealed: str) -> bool:
        """Whether the caller may know of what this seal lies on."""
        row = self.dossier.image.get(*sealed.split("/"))
        return row is None or self.held_verdict.sees(row)

    async def _words(self, rules: Rules, *, easy: bool = False) -> dict[str, list[str]]:
        """Each grant in plain Dutch, with names and kinds people know; `easy`: easier still.

        For who is not the client himself, it is about the client by his first name.
        """
        ids = {grant.grantee.id for grant in rules.grants}
        names, kinds = await self._parts.people.names(ids), {}
        for id_ in {one.to_who for one in rules.grants if one.grantee.level == Level.PERSON}:
            found = await self._parts.people.person(id_)
            kinds[id_] = found.kind if found is not None else ""
        subject = self.dossier.image.rule("subject", "client") or {}
        owner = "" if rules.subject.id == self.caller.person else str(subject.get("name", ""))
        return {
            one.id: sentences(
                one, names, kinds.get(one.to_who, ""), easy=easy, owner=owner.split(" ")[0]
            )
            for one in rules.grants
        }

    async def _may_read(self, call: Call, facet: Facet) -> None:
        await self.known(call)
        self.reach("r", facet.type)
        decision = (await self.verdict()).decide("lezen", facet)
        call.because(decision)
        if not decision.permit:
            raise Forbidden("you may not see this part of the dossier")

    async def _sealed(self) -> dict[str, tuple[str, ...]]:
        """What is sealed for this reader, as Type/id@version with the categories it counts in."""
        verdict, image = await self.verdict(), self.dossier.image
        found: dict[str, tuple[str, ...]] = {}
        for id_ in image.rules("seal"):
            row = image.get(*id_.split("/"))
            if row is not None and not verdict.sees(row):
                for one in image.versions(row):
                    kinds = image.facets[one.facet].categories or (one.type,)
                    found[f"{one.type}/{one.id}@{one.ver}"] = kinds
        return found

    # --- grants --------------------------------------------------------------------------------

    async def grant(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Make a permit or a deny (consent 8); `parent` passes on part of an own grant.

        A `preset` fills in what it stands for. What needs the consent of child and parent both, or
        comes from who holds the reins by a grant alone, is kept as a proposal, which opens nothing
        until the other party or the family agrees.

        Raises:
            BadValue: with the place; Forbidden: you may not make it.
        """
        async with self.call("deny" if sent.get("effect") == "deny" else "grant") as call:
            await self._enter(call, "c")
            grant, made = self._drafted(call, sent)

            def build(rules: Rules) -> tuple[Rule, ...]:
                rule = self._new(call, rules, grant, made)
                sound.fits(sent, grant, self._met.get(grant.to_who))
                return (rule,)

            rule = (await self._change(call, build, grant.to_who))[0]
        return _one(rule)

    def _drafted(self, call: Call, sent: dict[str, Any]) -> tuple[Grant, dict[str, Any]]:
        """A grant that was sent, read, and the form it would be stored in."""
        filled = sound.expanded(sent)
        client = rules_of(self.dossier, self._parts.policy).subject.id
        ours = {"id": f"g-{secrets.token_hex(8)}", "client": client, "by": self.caller.person}
        made = {"status": "active", **filled, **ours, "made": instant(call.at)}
        read = reading.grant(made, "grant", stored=True)
        return sound.new(sent, read, self._parts.clock()), made

    def _new(self, call: Call, rules: Rules, grant: Grant, made: dict[str, Any]) -> Rule:
        """The rule of a new grant, if the caller may make it; a proposal if he may not alone."""
        waits = self._may_make(call, rules, grant)
        made_ = "deny" if grant.effect == "deny" else "grant"
        call.interaction = "propose" if waits else made_
        if waits:
            waiting = {"status": "proposed", "waits": waits, "proposed_by": self.caller.person}
            made = {**made, **waiting}
        return Rule("grant", grant.id, {**made, "order": self.dossier.image.n + 1})

    def _may_make(self, call: Call, rules: Rules, grant: Grant) -> str:
        """What the grant still waits for; "" for nothing."""
        if grant.parent:
            parent = sound.passed_on(grant, rules.grants, self.caller.person)
            for category in sorted(grant.contained & parent.contained) or ["overig"]:
                resource = Resource(frozenset({category}))
                self._decided(call, "delen", resource, grant_to=grant.to_who)
            return ""
        if grant.effect == "permit":
            waits = self._widened(call, grant.to_who)
            world, now = self.held_verdict.world, self._parts.clock()
            if not waits and not gives(world, rules.subject, grant.by, now):
                return sound.FAMILY
            within_bounds(world, rules.subject, grant, now)
            return waits
        self._beheren(call, target="deny", restrictive=True, grant_to=grant.to_who)
        return ""

    def _widened(self, call: Call, grant_to: str, id_: str = "", *, target: str = "grant") -> str:
        """The caller may open something to somebody: "", or what that waits for."""
        self._not_frozen()
        decision = self._asked("beheren", id_, target=target, grant_to=grant_to)
        call.because(decision)
        if decision.permit:
            return ""
        if decision.reason == "WACHT_OP_MEDETOESTEMMING":
            return sound.CO_CONSENT
        raise Forbidden("you may not do this: " + decision.reason)

    def _opens(
        self, call: Call, rules: Rules, target: str, grant_to: str = "", id_: str = ""
    ) -> str:
        """What opening this waits for; between 12 and 15 nobody opens anything alone.

        Who then holds the reins by a grant alone has nothing to give: the family decides.
        """
        waits = self._widened(call, grant_to, id_, target=target)
        world, now, me = self.held_verdict.world, self._parts.clock(), self.caller.person
        if not waits and both_needed(rules.subject, now):
            return "" if gives(world, rules.subject, me, now) else sound.FAMILY
        return waits

    def _asks(
        self, call: Call, what: str, wants: dict[str, Any], to: str, waits: str
    ) -> tuple[Rule, ...]:
        """Ask the other for what the caller may not do alone; nothing holds yet."""
        call.interaction = "propose"
        me = self.caller.person
        return (wishes.asked(self.dossier.image, what, wants, to, by=me, at=call.at, waits=waits),)

    async def revoke(self, id_: str) -> dict[str, Any]:
        """End a grant. Never answered with a conflict: it waits for its turn."""
        async with self.call("revoke") as call:
            await self._enter(call, "u")
            await self._meet(str((self.dossier.image.rule("grant", id_) or {}).get("to_who", "")))

            def build(rules: Rules) -> tuple[Rule, ...]:
                call.interaction = "revoke"
                kept = self.dossier.image.rule("grant", id_)
                if kept is None:
                    raise NotFound("there is no such grant")
                to = str(kept.get("to_who", ""))
                made_by_me = kept.get("parent") and kept["by"] == self.caller.person
                if kept["effect"] == "deny":
                    waits = self._opens(call, rules, "deny", to, id_)
                    if waits and kept.get("status", "active") == "active":
                        return self._asks(call, wishes.ADMIT, {"grant": id_}, to, waits)
                elif not made_by_me:
                    self._beheren(call, target="grant", restrictive=True, grant_to=to, id_=id_)
                return (wishes.admitted(id_, kept, self.caller.person, call.at),)

            rule = (await self._change(call, build))[0]
        return wishes.said_of(rule)

    # --- relations and seals -------------------------------------------------------------------

    async def relate(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Record who represents the client; `beheren`, and evidence where the law asks it.

        What rests on evidence is a claim that gives no right until an operator has verified it.
        Of a child of 12-15 it waits until the other party has agreed.
        """
        async with self.call("relate") as call:
            await self._enter(call, "c")
            client = rules_of(self.dossier, self._parts.policy).subject.id
            relation, made = sent_relation(sent, client)
            new = claimed(relation, made, self.caller.person, call.at)

            def build(rules: Rules) -> tuple[Rule, ...]:
                call.interaction = "relate"
                waits = self._opens(call, rules, "relation", relation.person)
                if waits:
                    return self._asks(call, wishes.RELATION, made, relation.person, waits)
                return (new,)

            rule = (await self._change(call, build, relation.person))[0]
        return wishes.said_of(rule)

    async def end_relation(self, id_: str) -> dict[str, Any]:
        """End a relation now; what it allowed before stays on record."""
        async with self.call("unrelate") as call:
            await self._enter(call, "u")

            def build(rules: Rules) -> tuple[Rule, ...]:
                kept = self.dossier.image.rule("relation", id_)
                if kept is None:
                    raise NotFound("there is no such relation")
                self._beheren(call, target="relation", restrictive=True)
                world, now = self.held_verdict.world, self._parts.clock()
                relation = reading.relation(kept)
                may_end(world, rules.subject, relation, self.caller.person, now)
                over = relation.to is not None and relation.to <= now
                new = kept if over else kept | {"to": instant(call.at)}
                ended, me, image = (
                    Rule("relation", id_, new),
                    self.caller.person,
                    self.dossier.image,
                )
                return (ended, *wishes.fallen(image, world, rules.subject, ended, me, call.at))

            rule = (await self._change(call, build))[0]
        return _one(rule)

    async def seal(self, rel: str, type_: str, id_: str, label: str) -> dict[str, Any]:
        """Put a zegel on one resource the caller can see, or take it off (label "").

        A lighter seal in place of another opens something, as taking it off does: of a child of
        12-15 that waits until the other party has agreed.
        """
        name = f"{rel}/{type_}/{id_}"
        async with self.call("seal" if label else "unseal", release=rel, type_=type_) as call:
            await self._enter(call, "c" if label else "u")
            if label and label not in SEALS:
                raise BadValue("not a seal", place="label")
            row = self.dossier.image.get(rel, type_, id_)
            if row is None or not (await self.verdict()).sees(row):
                raise NotFound("not found")
            call.touch([row], self.dossier.image.facets)

            def build(rules: Rules) -> tuple[Rule, ...]:
                call.interaction = "seal" if label else "unseal"
                before = str((self.dossier.image.rule("seal", name) or {}).get("label", ""))
                if opens_less(before, label):
                    self._beheren(call, target="seal", restrictive=True, id_=id_)
                elif waits := self._opens(call, rules, "seal", "", id_):
                    wants = {"name": name, "label": before, "becomes": label}
                    return self._asks(call, wishes.UNSEAL, wants, "", waits)
                return (wishes.unsealed(name, label),)

            rule = (await self._change(call, build))[0]
        return wishes.said_of(rule)

    # --- doing it ------------------------------------------------------------------------------

    async def _enter(self, call: Call, letter: str) -> None:
        """Somebody who may know of the dossier, with a token that reaches its rules."""
        await self.known(call)
        self.reach(letter, "Consent")

    async def _meet(self, grantee: str) -> None:
        """Know the kind of the person a change is about: some leave each other's grants alone."""
        found = await self._parts.people.person(grantee)
        if found is not None:
            self._met[grantee] = found

    def _beheren(self, call: Call, *, id_: str = "", **more: Any) -> None:
        """`target`, `restrictive`, `grant_to` and `co_consent` as in a decision's request."""
        if not more.get("restrictive"):
            self._not_frozen()
        resource = Resource(frozenset({"toestemmingen"}), "Consent", id_)
        self._decided(call, "beheren", resource, **more)

    def _not_frozen(self) -> None:
        if self.dossier.image.rule(*FROZEN):
            raise Forbidden("the reins of this dossier are contested: nothing can be opened now")

    def _decided(self, call: Call, action: str, resource: Resource, **more: Any) -> None:
        decision = self._judged(action, resource, **more)
        call.because(decision)
        if not decision.permit:
            raise Forbidden("you may not do this: " + decision.reason)

    def _asked(self, action: str, id_: str = "", **more: Any) -> Decision:
        """What a decision about the rules themselves says, with nothing written down."""
        resource = Resource(frozenset({"toestemmingen"}), "Consent", id_)
        return self._judged(action, resource, **more)

    def _judged(self, action: str, resource: Resource, **more: Any) -> Decision:
        verdict = self.held_verdict
        asked = replace(verdict.ask(action, resource), **more)
        world = replace(verdict.world, persons={**self._met, **verdict.world.persons})
        return decide(world, asked)

    async def _change(self, call: Call, build: Build, grantee: str = "") -> tuple[Rule, ...]:
        """Commit rules, if any; waits for its turn, again when another process was first."""
        if grantee:
            await self._meet(grantee)
            await self._parts.dossiers.store.link(grantee, self.client)
        for _ in range(_RACES):
            try:
                async with self.dossier.turn():
                    self.renew()
                    await self.verdict()
                    rules = build(rules_of(self.dossier, self._parts.policy))
                    if rules:
                        await self.commit(call, (), rules, {})
                    return rules
            except NotNext:
                await asyncio.sleep(0.002)
        raise Unavailable("this dossier is very busy; nothing was changed")


def _listed(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": id_, **value} for id_, value in found.items()]


def _one(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, **(rule.value or {})}
