"""Grants between first word and last: substitutes, dormant and back, given on, parents let in.

What is proposed opens nothing; who says yes or no to it is in `pgo.agreeing`. Each step is one
call through the door, in one commit.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from pgo.agreeing import Agreeing
from pgo.agreement import both_needed
from pgo.call import Call
from pgo.consent import reading, sound
from pgo.consent.life import to_confirm
from pgo.consent.model import Grant
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Conflict, Forbidden, Missing, NotFound
from pgo.moment import instant
from pgo.wishes import KEEP, given_on, said_of, to_keep
from pgo.world import Rules

LONGEST: Final = timedelta(days=92)
"""How long somebody stands in for a copiloot at most."""
_DONE_BY_A_SUBSTITUTE: Final = ("lezen", "toevoegen", "wijzigen")
_AWAY: Final = frozenset({"revoked", "approved_by", "parent"})


class Proposals(Agreeing):
    """One caller and what is proposed in one dossier."""

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

            def build(rules: Rules) -> tuple[Rule, ...]:
                kept = self._in_status(id_, "waakvlam")
                sound.timely(reading.grant(_plain(kept)), self._parts.clock())
                waits = self._opens(call, rules, "grant", str(kept["to_who"]), id_)
                woken: dict[str, Any] = {"status": "active"}
                if waits:
                    me = self.caller.person
                    woken = {"status": "proposed", "waits": waits, "proposed_by": me, "by": me}
                return (Rule("grant", id_, kept | woken),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    # --- looked at again -----------------------------------------------------------------------

    async def give_on(self, id_: str) -> dict[str, Any]:
        """Let a grant go on as one's own, when who gave it represents the client no longer.

        It says what it said, until when it said, and stays dormant when it was. Of a child of
        12-15 the other party agrees first, and until then it goes on as it is. Of a grant whose
        giver still represents the client nothing changes.

        Raises:
            NotFound: there is no such grant for him; Conflict: it has ended, or was passed on, or
            part of it never held; Forbidden: he could not give it now.
        """
        async with self.call("reaffirm") as call:
            await self._enter(call, "u")
            await self._meet(str(self._kept(id_).get("to_who", "")))

            def build(rules: Rules) -> tuple[Rule, ...]:
                call.begin_again()
                call.interaction = "reaffirm"
                return self._given_on(call, rules, self._live(rules, id_))

            changed = await self._change(call, build)
        return said_of(changed[0]) if changed else {"id": id_, **self._kept(id_)}

    def _given_on(self, call: Call, rules: Rules, grant: Grant) -> tuple[Rule, ...]:
        """The rules when this caller lets a grant go on; none when it needs nobody to."""
        me, kept = self.caller.person, self._kept(grant.id)
        waits = self._may_make(call, rules, replace(grant, by=me))
        if waits == sound.FAMILY:
            raise Forbidden("only the client, or who represents him with beheren, gives this")
        if grant.id not in to_confirm(rules.world, rules.subject, self._parts.clock()):
            return ()
        self._takes_over(rules, grant.id, me)
        if waits:
            return self._asks(call, KEEP, to_keep(grant.id, kept), grant.to_who, waits)
        return (given_on(grant.id, kept, me, call.at),)

    def _live(self, rules: Rules, id_: str) -> Grant:
        """A grant of the client's side that has not ended, for who may at least end it.

        Raises:
            NotFound: there is none for him; Conflict: there was, or it is another's to decide on.
        """
        grant = next((one for one in rules.grants if one.id == id_), None)
        if grant is None or grant.effect != "permit":
            raise NotFound("there is no such grant")
        asked = {"target": "grant", "restrictive": True, "grant_to": grant.to_who}
        if not self._asked("beheren", id_, **asked).permit:
            raise NotFound("there is no such grant")
        now = self._parts.clock()
        ends = (grant.revoked, grant.to)
        if any(end is not None and end <= now for end in ends) or grant.status not in {
            "active",
            "waakvlam",
        }:
            raise Conflict("this grant has ended, or waits for somebody's yes")
        if grant.parent or grant.own:
            raise Conflict("this grant goes on or ends with what it rests on")
        return grant

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
                if self.caller.person != child.id or not both_needed(child, now):
                    raise Forbidden("only the child himself confirms this, from 12 to 15")
                self._beheren(
                    call, target="relation", grant_to=str(kept["person"]), co_consent=True
                )
                return (Rule("relation", id_, kept | {"child_confirmed": instant(call.at)}),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    # --- who, and which ------------------------------------------------------------------------

    def _kept(self, id_: str) -> dict[str, Any]:
        return self.dossier.image.rule("grant", id_) or {}

    def _in_status(self, id_: str, status: str) -> dict[str, Any]:
        kept = self.dossier.image.rule("grant", id_)
        if kept is None or kept["effect"] != "permit":
            raise NotFound("there is no such grant")
        if kept.get("status", "active") != status:
            raise Conflict(f"the status of this grant is not {status}")
        return kept


def _plain(kept: dict[str, Any]) -> dict[str, Any]:
    """A stored grant without the order we keep it in."""
    return {name: each for name, each in kept.items() if name != "order"}
