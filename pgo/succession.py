"""Who holds the reins next: a named successor, and a contest that freezes all opening up.

Naming gives no right. An operator activates it with evidence (`pgo.evidence`), and never so that
nobody is left who holds the reins.
"""

from __future__ import annotations

import secrets
from typing import Any

from pgo.consent import representation
from pgo.door import PATIENT
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Conflict, Forbidden, NotFound
from pgo.moment import instant
from pgo.plain.clean import clean
from pgo.regie import FROZEN, Regie
from pgo.wishes import KIND, NAMED, SUCCESSOR, named, said_of, succeeded
from pgo.world import Rules, rules_of

_LEAST, _MOST = 10, 500


class Succession(Regie):
    """One caller and the succession of one dossier."""

    async def name(self, person: str) -> dict[str, Any]:
        """Name who takes over; in place of who was named before.

        Of a child of 12-15 it waits until the other party has agreed.

        Raises:
            BadValue: nobody who can; Forbidden: you do not hold the reins.
        """
        async with self.call("successor") as call:
            await self._enter(call, "c")
            account = await self._parts.people.person(person)

            def build(rules: Rules) -> tuple[Rule, ...]:
                call.interaction = "successor"
                waits = self._opens(call, rules, "relation", person)
                if account is None or person == rules.subject.id:
                    raise BadValue("not somebody who can take over", place="person")
                if waits:
                    wants = {"person": person, "instead_of": named(self.dossier.image)}
                    return self._asks(call, SUCCESSOR, wants, person, waits)
                return (succeeded(person, self.caller.person, call.at),)

            rule = (await self._change(call, build))[0]
        return said_of(rule) if rule.kind == KIND else rule.value or {}

    async def contest(self, why: str) -> dict[str, Any]:
        """Say that the reins are not in the right hands: nothing is opened until that is settled.

        Everybody who represents the client is told. Closing still works, for everybody.

        Raises:
            NotFound: not the caller's to say; Conflict: contested already.
        """
        reason = clean(why, _MOST)
        async with self.call("contest") as call:
            await self._may_contest()
            if len(reason) < _LEAST:
                raise BadValue("say in at least 10 characters why", place="reden")
            state = {"by": self.caller.person, "made": instant(call.at), "reason": reason}
            notice = {"kind": "regie", "what": "betwist", "at": call.at, "by": self.caller.person}

            def build(_: Rules) -> tuple[Rule, ...]:
                if self.dossier.image.rule(*FROZEN):
                    raise Conflict("the reins are contested already")
                told = Rule("notice", f"regie-{secrets.token_hex(8)}", notice)
                return (Rule(*FROZEN, state), told)

            await self._change(call, build)
        return {"status": "bevroren", "sinds": state["made"]}

    async def _may_contest(self) -> None:
        """The client, who represents him now, and the named successor."""
        rules, now = rules_of(self.dossier, self._parts.policy), self._parts.clock()
        me = self.caller.person
        named = (self.dossier.image.rule(*NAMED) or {}).get("person")
        if me == named:
            return
        represents = bool(representation.bases(rules.world, rules.subject, me, now))
        if not represents and me != rules.subject.id:
            await self.verdict()
            if self.held_verdict.knows(PATIENT).permit:
                raise Forbidden("only the client, who represents him and the successor may")
            raise NotFound("not found")
