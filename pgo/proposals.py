"""Grants between first word and last: proposals, co-consent, substitutes, dormant and back.

A proposal (status `proposed`) opens nothing. Who agrees, agrees to exactly what is proposed: he
sends back its fingerprint. Each step is one call through the door, in one commit.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from pgo.call import Call
from pgo.consent import ages, reading, sound
from pgo.consent.model import Grant, Person
from pgo.consent.representation import CHILD, SIXTEEN
from pgo.consent.words import summary
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Conflict, Forbidden, Missing, NotFound
from pgo.moment import instant
from pgo.regie import Regie
from pgo.standing import agrees_as_parent, may_propose, within_bounds
from pgo.world import Rules, rules_of

LONGEST: Final = timedelta(days=92)
"""How long somebody stands in for a copiloot at most."""
_DONE_BY_A_SUBSTITUTE: Final = ("lezen", "toevoegen", "wijzigen")
_AWAY: Final = frozenset({"revoked", "approved_by", "parent"})


class Proposals(Regie):
    """One caller and what is proposed in one dossier."""

    async def waiting(self) -> list[dict[str, Any]]:
        """The proposals this caller may say yes or no to, in plain words, with fingerprints."""
        async with self.call("overview") as call:
            await self._party(call, "r")
            rules = rules_of(self.dossier, self._parts.policy)
            mine = [
                grant
                for grant in rules.grants
                if grant.status == "proposed"
                and self._concerned(rules, grant, self._kept(grant.id))
            ]
            names = await self._parts.people.names({each.grantee.id for each in mine})
            return [self._told(grant, summary(grant, names)) for grant in mine]

    def _told(self, grant: Grant, words: str) -> dict[str, Any]:
        kept = self._kept(grant.id)
        said = {name: kept.get(name, "") for name in ("to_who", "waits", "proposed_by", "to")}
        return {
            "id": grant.id,
            "samenvatting": words,
            "precies": sound.fingerprint(kept),
            **{name: each for name, each in said.items() if each},
        }

    async def agree(self, id_: str, exactly: str) -> dict[str, Any]:
        """Say yes to exactly this proposal: it is active, or waits for child or parent next.

        Raises:
            NotFound: no such proposal; Conflict: it says something else, or was settled already;
            Forbidden: it is not for this caller to agree to.
        """
        async with self.call("agree") as call:
            await self._party(call, "u")
            await self._meet(str((self.dossier.image.rule("grant", id_) or {}).get("to_who", "")))

            def build(rules: Rules) -> tuple[Rule, ...]:
                kept = self._proposed(rules, id_)
                if sound.fingerprint(kept) != exactly:
                    raise Conflict("this is not what is proposed now", place="precies")
                sound.timely(reading.grant(_plain(kept)), self._parts.clock())
                return (Rule("grant", id_, kept | self._agreed(call, rules, kept)),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    def _agreed(self, call: Call, rules: Rules, kept: dict[str, Any]) -> dict[str, Any]:
        """What changes in a proposal when this caller agrees."""
        me, made = self.caller.person, {"made": instant(call.at), "approved_by": self.caller.person}
        if self._completes(call, rules, kept):
            return {**made, "status": "active", "waits": ""}
        waits = self._widened(call, str(kept["to_who"]), str(kept["id"]))
        mine = reading.grant(_plain(kept | {"by": me}))
        within_bounds(self.held_verdict.world, rules.subject, mine, self._parts.clock())
        if waits and me == kept.get("proposed_by"):
            raise Forbidden("the other party has to agree to this")
        if waits:
            return {"by": me, "made": instant(call.at), "waits": waits, "proposed_by": me}
        return {**made, "by": me, "status": "active", "waits": ""}

    def _completes(self, call: Call, rules: Rules, kept: dict[str, Any]) -> bool:
        """Whether this caller is the other party of a co-consent, so that both have agreed now."""
        if kept.get("waits") != sound.CO_CONSENT or not self._other_party(rules, kept):
            return False
        self._not_frozen()
        world, now = self.held_verdict.world, self._parts.clock()
        decision = may_propose(world, rules.subject, str(kept["by"]), str(kept["to_who"]), now)
        call.because(decision)
        if not decision.permit:
            raise Forbidden("who proposed this may not do so now: " + decision.reason)
        return True

    def _other_party(self, rules: Rules, kept: dict[str, Any]) -> bool:
        """Child or one parent with gezag, whoever did not propose it; never the grantee (§1)."""
        me, now, child = self.caller.person, self._parts.clock(), rules.subject
        if me in {kept.get("proposed_by"), kept["to_who"]} or not _between_12_and_16(child, now):
            return False
        if me == child.id:
            return True
        return kept.get("proposed_by") == child.id and self._a_parent(rules)

    def _a_parent(self, rules: Rules) -> bool:
        world = self.held_verdict.world
        return agrees_as_parent(world, rules.subject, self.caller.person, self._parts.clock())

    async def turn_down(self, id_: str) -> dict[str, Any]:
        """Say no to a proposal, or take back one's own; it never opens anything."""
        async with self.call("refuse") as call:
            await self._party(call, "u")

            def build(rules: Rules) -> tuple[Rule, ...]:
                kept = self._proposed(rules, id_)
                said = {"status": "rejected", "waits": "", "revoked_by": self.caller.person}
                return (Rule("grant", id_, kept | said | {"revoked": instant(call.at)}),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    # --- waakvlam ------------------------------------------------------------------------------

    async def sleep(self, id_: str) -> dict[str, Any]:
        """Put a grant on waakvlam: it opens nothing, and one call brings it back."""
        async with self.call("dormant") as call:
            await self._enter(call, "u")
            await self._meet(str((self.dossier.image.rule("grant", id_) or {}).get("to_who", "")))

            def build(_: Rules) -> tuple[Rule, ...]:
                kept = self._in_status(id_, "active")
                self._beheren(
                    call, target="grant", restrictive=True, grant_to=str(kept["to_who"]), id_=id_
                )
                return (Rule("grant", id_, kept | {"status": "waakvlam"}),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    async def wake(self, id_: str) -> dict[str, Any]:
        """Bring a grant back from waakvlam; of a child of 12-15, both parties agree again."""
        async with self.call("wake") as call:
            await self._enter(call, "u")
            await self._meet(str((self.dossier.image.rule("grant", id_) or {}).get("to_who", "")))

            def build(_: Rules) -> tuple[Rule, ...]:
                kept = self._in_status(id_, "waakvlam")
                sound.timely(reading.grant(_plain(kept)), self._parts.clock())
                waits = self._widened(call, str(kept["to_who"]), id_)
                woken: dict[str, Any] = {"status": "active"}
                if waits:
                    me = self.caller.person
                    woken = {"status": "proposed", "waits": waits, "proposed_by": me, "by": me}
                return (Rule("grant", id_, kept | woken),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    # --- waarneming ----------------------------------------------------------------------------

    async def substitute(self, to_who: str, start: str, end: str) -> list[dict[str, Any]]:
        """As a copiloot, propose a colleague for a while; the family decides.

        Raises:
            Forbidden: no copiloot, or nothing of his own here; BadValue: with the place.
        """
        async with self.call("propose") as call:
            await self._enter(call, "c")
            if self.caller.kind != "copiloot":
                raise Forbidden("only a copiloot proposes a substitute")
            colleague = await self._parts.people.person(to_who)
            if colleague is None or colleague.kind != "copiloot" or to_who == self.caller.person:
                raise BadValue("not a colleague who can stand in", place="to_who")

            def build(rules: Rules) -> tuple[Rule, ...]:
                own = self._own_grants(rules)
                if self._proposed_before(to_who):
                    raise Conflict("this colleague was proposed already", place="to_who")
                order = self.dossier.image.n + 1
                return tuple(
                    self._stand_in(call, each, to_who, (start, end), order + number)
                    for number, each in enumerate(own)
                )

            made = await self._change(call, build, to_who)
        return [{"id": rule.id, **(rule.value or {})} for rule in made]

    def _own_grants(self, rules: Rules) -> list[dict[str, Any]]:
        now = self._parts.clock()
        mine = [
            self._kept(grant.id)
            for grant in rules.grants
            if grant.to_who == self.caller.person
            and (grant.effect, grant.status, grant.parent) == ("permit", "active", "")
            and (grant.to is None or now < grant.to)
        ]
        own = [kept for kept in mine if kept.get("reason") != sound.SUBSTITUTE]
        if not own:
            raise Forbidden("you have no grant of your own here")
        return own

    def _proposed_before(self, to_who: str) -> bool:
        return any(
            (kept["to_who"], kept.get("proposed_by"), kept.get("status", "active"))
            == (to_who, self.caller.person, "proposed")
            for kept in self.dossier.image.rules("grant").values()
        )

    def _stand_in(
        self, call: Call, own: dict[str, Any], to_who: str, period: tuple[str, str], order: int
    ) -> Rule:
        """The colleague's grant: no more than the copiloot's own, and no longer."""
        me, id_ = self.caller.person, f"g-{secrets.token_hex(8)}"
        made = {name: each for name, each in own.items() if name not in _AWAY}
        actions = set(own.get("actions", ["lezen"]))
        made |= {
            "id": id_,
            "to_who": to_who,
            "from": period[0],
            "to": period[1],
            "by": me,
            "made": instant(call.at),
            "proposed_by": me,
            "depth": 0,
            "order": order,
            "status": "proposed",
            "waits": sound.SUBSTITUTE,
            "reason": sound.SUBSTITUTE,
            "actions": [name for name in _DONE_BY_A_SUBSTITUTE if name in actions],
        }
        read, now = reading.grant(_plain(made)), self._parts.clock()
        sound.timely(read, now)
        if read.from_ is None or read.to is None:
            raise Missing("a substitute has a first and a last day", place="grant.to")
        if read.to - max(read.from_, now) > LONGEST:
            raise BadValue("longer than somebody can stand in", place="grant.to")
        limit = reading.grant(_plain(own)).to
        if limit is not None and limit < read.to:
            made["to"] = own["to"]
            sound.timely(reading.grant(_plain(made)), now)
        return Rule("grant", id_, made)

    # --- a child and his parents ---------------------------------------------------------------

    async def confirm(self, id_: str) -> dict[str, Any]:
        """As a child of 12 or older, let a parent or voogd with gezag in again (consent 3)."""
        async with self.call("confirm") as call:
            await self._enter(call, "u")

            def build(rules: Rules) -> tuple[Rule, ...]:
                kept = self.dossier.image.rule("relation", id_)
                if kept is None or kept["kind"] not in {"ouder", "voogd"} or not kept.get("gezag"):
                    raise NotFound("there is no such relation")
                now, child = self._parts.clock(), rules.subject
                if self.caller.person != child.id or not _between_12_and_16(child, now):
                    raise Forbidden("only the child himself confirms this, from 12 to 15")
                self._beheren(
                    call, target="relation", grant_to=str(kept["person"]), co_consent=True
                )
                return (Rule("relation", id_, kept | {"child_confirmed": instant(call.at)}),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    # --- who, and which ------------------------------------------------------------------------

    async def _party(self, call: Call, letter: str) -> None:
        """Who may know of the dossier, or a parent the child of 12-15 has not confirmed (yet)."""
        await self.verdict()
        if not self._a_parent(rules_of(self.dossier, self._parts.policy)):
            await self.known(call)
        self.reach(letter, "Consent")

    def _kept(self, id_: str) -> dict[str, Any]:
        return self.dossier.image.rule("grant", id_) or {}

    def _proposed(self, rules: Rules, id_: str) -> dict[str, Any]:
        """The proposal, for who may say yes or no to it.

        Raises:
            NotFound: there is none for him; Conflict: it was settled already.
        """
        kept = self._kept(id_)
        grant = next((each for each in rules.grants if each.id == id_), None)
        if grant is None or not self._concerned(rules, grant, kept):
            raise NotFound("there is no such proposal")
        if kept.get("status", "active") != "proposed":
            raise Conflict("this was settled already")
        return kept

    def _concerned(self, rules: Rules, grant: Grant, kept: dict[str, Any]) -> bool:
        """Who proposed it, the other party, and whoever holds the reins."""
        if kept.get("proposed_by") == self.caller.person or self._other_party(rules, kept):
            return True
        return self._may_close(grant)

    def _may_close(self, grant: Grant) -> bool:
        asked = self._asked("beheren", grant.id, restrictive=True, target="grant")
        return asked.permit

    def _in_status(self, id_: str, status: str) -> dict[str, Any]:
        kept = self.dossier.image.rule("grant", id_)
        if kept is None or kept["effect"] != "permit":
            raise NotFound("there is no such grant")
        if kept.get("status", "active") != status:
            raise Conflict(f"the status of this grant is not {status}")
        return kept


def _between_12_and_16(child: Person, now: datetime) -> bool:
    return ages.reached(child, CHILD, now, latest=True) and not ages.reached(
        child, SIXTEEN, now, latest=True
    )


def _plain(kept: dict[str, Any]) -> dict[str, Any]:
    """A stored grant without the order we keep it in."""
    return {name: each for name, each in kept.items() if name != "order"}
