"""Evidence at the operator's desk: who represents a client in law, a death, a succession.

An operator checks a document and writes down its reference, never its content. Each act needs a
reason and, under `strict`, a second operator; the client is told in the same commit.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from pgo.call import Call
from pgo.consent import moments, reading
from pgo.consent.emergency import LONG_ENOUGH, visible
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Conflict, Missing, NotFound, Unavailable
from pgo.moment import instant, micros
from pgo.office import Office
from pgo.regie import FROZEN
from pgo.standing import holds_reins, sent_relation
from pgo.store.contract import NotNext
from pgo.wishes import NAMED, fallen
from pgo.world import SUBJECT, rules_of

_RACES: Final = 1000
_PAUSE: Final = 0.002
_LONGEST: Final = 100
OPEN: Final = "te-controleren"
Build = Callable[[], "list[Rule]"]


class Evidence(Office):
    """An operator with a document in his hand, at one dossier."""

    async def claims(self) -> list[dict[str, str]]:
        """What waits for a check: who says he represents the client, as what."""
        async with self.call("dossier-show"):
            found = self.dossier.image.rules("claim")
        return [
            {
                "claim": id_,
                "person": str(kept["person"]),
                "kind": str(kept["relation"]["kind"]),
                "made": str(kept["made"]),
                "status": str(kept["status"]),
            }
            for id_, kept in found.items()
        ]

    async def verify(
        self, claim: str, document: str, reason: str, approved: dict[str, str] | None
    ) -> str:
        """The evidence is good: the relation holds from now on; gives its id.

        Raises:
            NotFound: no such claim; Conflict: checked before; BadValue, Missing: with the place.
        """
        self._said(document, reason)
        id_ = f"r-{secrets.token_hex(8)}"
        async with self.call("verify", note=reason) as call:
            person = str(self._claim(claim)["person"])
            await self._house.store.link(person, self.client)

            def build() -> list[Rule]:
                kept = self._claim(claim)
                checked = {"document": document, "verified_by": self.caller.person}
                value = {**kept["relation"], **checked}
                _in_time(reading.relation(value), self._parts.clock())
                done = kept | {"status": "geverifieerd", "relation_id": id_}
                return [Rule("relation", id_, value), Rule("claim", claim, done)]

            await self._settled(call, "relation", reason, approved, build)
        return id_

    async def reject(
        self, claim: str, document: str, reason: str, approved: dict[str, str] | None
    ) -> None:
        """The evidence is not good: the claim gives no right, now or later."""
        self._said(document, reason)
        async with self.call("verify", note=reason) as call:

            def build() -> list[Rule]:
                return [Rule("claim", claim, self._claim(claim) | {"status": "afgewezen"})]

            await self._settled(call, "relation", reason, approved, build)

    async def died(
        self, on: str, document: str, reason: str, approved: dict[str, str] | None
    ) -> None:
        """Write down that the client died (a day or a moment); rights follow at once (consent 2).

        Raises:
            BadValue: no such moment, or one to come; Conflict: it was written down before.
        """
        self._said(document, reason)
        moment = moments.moment(on, "--on")
        if moment > self._parts.clock():
            raise BadValue("a moment that is still to come", place="--on")
        async with self.call("death", note=reason) as call:

            def build() -> list[Rule]:
                facts = dict(self.dossier.image.rule("subject", SUBJECT) or {})
                if facts.get("deceased"):
                    raise Conflict("a death was written down before")
                facts |= {"deceased": instant(micros(moment)), "deceased_document": document}
                return [Rule("subject", SUBJECT, facts)]

            await self._settled(call, "death", reason, approved, build)

    async def succeed(
        self,
        relation: dict[str, Any],
        document: str,
        reason: str,
        approved: dict[str, str] | None,
        ends: str = "",
    ) -> str:
        """The named successor takes the reins; `ends` is the relation of who held them.

        Nothing changes unless the successor really holds the reins afterwards.

        Raises:
            NotFound: nobody was named, or no such relation; Conflict: contested; BadValue.
        """
        self._said(document, reason)
        id_ = f"r-{secrets.token_hex(8)}"
        async with self.call("settle", note=reason) as call:
            named = str(self._named()["person"])
            await self._house.store.link(named, self.client)

            def build() -> list[Rule]:
                if self.dossier.image.rule(*FROZEN):
                    raise Conflict("the reins are contested; settle that first")
                rules = [self._successor(relation, document, id_, str(self._named()["person"]))]
                if ends:
                    rules.append(self._ended(ends, call.at))
                self._must_hold(rules, named)
                return [*rules, *self._asked_by(rules[1:], call.at), Rule(*NAMED, None)]

            await self._settled(call, "succession", reason, approved, build)
        return id_

    async def thaw(self, document: str, reason: str, approved: dict[str, str] | None) -> None:
        """The contest is settled: things can be opened again."""
        self._said(document, reason)
        async with self.call("settle", note=reason) as call:

            def build() -> list[Rule]:
                if self.dossier.image.rule(*FROZEN) is None:
                    raise NotFound("nothing is contested here")
                return [Rule(*FROZEN, None)]

            await self._settled(call, "succession", reason, approved, build)

    async def programme_over(self, members: frozenset[str], on: str) -> int:
        """End the personal grants of these people at `on` at the latest; how many there were.

        It only closes, so one operator does it; the family keeps everything.
        """
        end, count = moments.moment(on, "--on"), 0
        async with self.call("revoke", note="programma") as call:

            def build() -> list[Rule]:
                nonlocal count
                found = self._ending(members, end)
                count = len(found)
                return found

            if self._ending(members, end):
                await self._settled(call, "programma", "einde van het programma", None, build)
        return count

    def _ending(self, members: frozenset[str], end: datetime) -> list[Rule]:
        said = {"to": instant(micros(end)), "reason": "programma"}
        now, kept = self._parts.clock(), self.dossier.image.rules("grant")
        return [
            Rule("grant", grant.id, kept[grant.id] | said)
            for grant in rules_of(self.dossier, self._parts.policy).grants
            if grant.to_who in members
            and (grant.effect, grant.revoked, grant.unreadable) == ("permit", None, "")
            and grant.status in {"active", "waakvlam", "proposed"}
            and (grant.to is None or max(end, now) < grant.to)
        ]

    # --- with care -----------------------------------------------------------------------------

    def _named(self) -> dict[str, Any]:
        kept = self.dossier.image.rule(*NAMED)
        if kept is None:
            raise NotFound("no successor was named")
        return kept

    def _successor(self, sent: dict[str, Any], document: str, id_: str, person: str) -> Rule:
        client = rules_of(self.dossier, self._parts.policy).subject.id
        relation, made = sent_relation({**sent, "person": person}, client)
        _in_time(relation, self._parts.clock())
        checked = {"document": document, "verified_by": self.caller.person}
        return Rule("relation", id_, {**made, **checked})

    def _ended(self, id_: str, at: int) -> Rule:
        kept = self.dossier.image.rule("relation", id_)
        if kept is None:
            raise NotFound("there is no such relation", place="--ends")
        return Rule("relation", id_, kept | {"to": instant(at)})

    def _asked_by(self, ended: Sequence[Rule], at: int) -> list[Rule]:
        """What those whose relation has ended had asked: it ends with it."""
        image, now = self.dossier.image, rules_of(self.dossier, self._parts.policy)
        return [
            over
            for one in ended
            for over in fallen(image, now.world, now.subject, one, self.caller.person, at)
        ]

    def _must_hold(self, rules: Sequence[Rule], person: str) -> None:
        """After these rules this person holds the reins."""
        now = rules_of(self.dossier, self._parts.policy)
        changed = {rule.id: rule.value for rule in rules}
        kept = {**self.dossier.image.rules("relation"), **changed}
        relations = tuple(reading.relation(value) for value in kept.values() if value)
        if not holds_reins(now.world, now.subject, relations, person, self._parts.clock()):
            raise BadValue("with this the successor would not hold the reins", place="--kind")

    def _claim(self, id_: str) -> dict[str, Any]:
        kept = self.dossier.image.rule("claim", id_)
        if kept is None:
            raise NotFound("there is no such claim", place="--claim")
        if kept["status"] != OPEN:
            raise Conflict("this was checked before", place="--claim")
        return kept

    def _said(self, document: str, reason: str) -> None:
        if not document.strip() or len(document) > _LONGEST:
            raise Missing(
                "name the document by its reference, at most 100 long", place="--document"
            )
        if visible(reason) < LONG_ENOUGH:
            raise BadValue("give a reason of at least 10 characters", place="--reason")

    async def _settled(
        self, call: Call, what: str, reason: str, approved: dict[str, str] | None, build: Build
    ) -> None:
        """Commit what `build` finds in the dossier's own turn, and the notice to the client."""
        who = approved or {"first": self.caller.person}
        notice = {"kind": "beheer", "what": what, "at": call.at, **who, "reason": reason}
        told = Rule("notice", f"beheer-{secrets.token_hex(8)}", notice)
        for _ in range(_RACES):
            with suppress(NotNext):
                async with self.dossier.turn():
                    await self.commit(call, (), (*build(), told), {})
                    return
            await asyncio.sleep(_PAUSE)
        raise Unavailable("this dossier is very busy; nothing was changed")


def _in_time(relation: Any, now: datetime) -> None:
    if relation.to is not None and relation.to <= now:
        raise BadValue("a period that is over", place="relation.to")
    if relation.from_ and relation.to and relation.to <= relation.from_:
        raise BadValue("ends before it begins", place="relation.to")
