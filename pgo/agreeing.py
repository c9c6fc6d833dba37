"""Saying yes or no to what somebody asked: grants, and every other opening that needs two.

Who agrees, agrees to exactly what is asked: he sends back its fingerprint. Nothing holds before.
Each step is one call through the door, in one commit; of two who answer at once one is first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pgo.agreement import Yes, is_other_party, is_parent, stands, yes
from pgo.call import Call
from pgo.consent import reading, sound
from pgo.consent.model import Grant, Request, Resource, World
from pgo.consent.words import summary
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Conflict, Forbidden, NotFound
from pgo.plain.wishes import said
from pgo.regie import Regie
from pgo.shared import subject_name
from pgo.standing import gives_all, within_bounds
from pgo.wishes import GRANT, KEEP, KIND, RELATION, Wish, becomes, found, proposed, still_means
from pgo.world import Rules, rules_of

_RULES: Final = frozenset({"toestemmingen"})
_REFUSED: Final = {
    Yes.OWN: "the other party has to agree to this",
    Yes.NOTHING_TO_GIVE: "only the client, or who represents him with beheren, gives this",
    Yes.LAPSED: "who proposed this may not do so now: ",
    Yes.REFUSED: "you may not do this: ",
}


class Agreeing(Regie):
    """One caller and what waits for a yes or no in one dossier."""

    async def waiting(self) -> list[dict[str, Any]]:
        """What this caller may say yes or no to, in plain words, with fingerprints.

        What can no longer be agreed to is not in it.
        """
        async with self.call("overview") as call:
            await self._party(call, "r")
            rules = rules_of(self.dossier, self._parts.policy)
            mine = [
                one
                for one in proposed(self.dossier.image)
                if self._concerned(rules, one) and self._stands(rules, one)
            ]
            grants = {grant.id: grant for grant in rules.grants}
            mine = [one for one in mine if not one.grant or one.grant in grants]
            people = {grants[one.grant].grantee.id for one in mine if one.grant}
            for one in mine:
                people |= {one.asked.by, one.asked.to, str(one.wants.get("instead_of", ""))}
            names = await self._parts.people.names(people - {""})
            names.setdefault(rules.subject.id, subject_name(self.dossier))
            return [self._told(one, grants.get(one.grant), names) for one in mine]

    def _told(self, one: Wish, grant: Grant | None, names: dict[str, str]) -> dict[str, Any]:
        """One thing in words; what is sealed for the caller stays unnamed until he has agreed."""
        image, shown = self.dossier.image, one.shown()
        if grant is not None:
            words = {"samenvatting": summary(grant, names)}
            words["eenvoudig"] = summary(grant, names, easy=True)
            if one.what != KEEP:
                return {**shown, **words}
            asked = said(one.what, one.wants, (one.asked.by, grant.grantee.id), names)
            more = {way: f"{asked[way]} {text}" for way, text in words.items()}
            return {**shown, "toestemming": grant.id, **asked, **more}
        about: tuple[str, ...] = ()
        row, people = one.row(image), (one.asked.by, one.asked.to)
        if row is not None and self.held_verdict.sees(row):
            shown |= {"stuk": {"release": row.rel, "type": row.type, "id": row.id}}
            about = image.facets[row.facet].categories
        if one.what == RELATION:
            shown |= {"relatie": {name: v for name, v in one.wants.items() if name != "client"}}
        return {**shown, **said(one.what, one.wants, people, names, about)}

    async def agree(self, id_: str, exactly: str) -> dict[str, Any]:
        """Say yes to exactly this: it holds, or waits for child or parent next.

        Raises:
            NotFound: there is no such thing for him; Conflict: it says something else, or was
            settled already, or is about what has changed; Forbidden: not his to agree to.
        """
        async with self.call("agree") as call:
            await self._party(call, "u")
            asked = found(self.dossier.image, id_)
            await self._meet(asked.asked.to if asked else "")

            def build(rules: Rules) -> tuple[Rule, ...]:
                call.begin_again()
                one = self._proposed(rules, id_)
                if sound.fingerprint(one.kept) != exactly:
                    raise Conflict("this is not what is proposed now", place="precies")
                still_means(one, self.dossier.image, self._parts.clock())
                return self._agreed(call, rules, one)

            rule = (await self._change(call, build))[-1]
        return _answer(rule)

    def _agreed(self, call: Call, rules: Rules, one: Wish) -> tuple[Rule, ...]:
        """The rules when this caller agrees."""
        self._not_frozen()
        image, me = self.dossier.image, self.caller.person
        mine = self._mine(one.id)
        does, decision = yes(self._known_world(), rules.subject, one.asked, mine)
        call.because(decision)
        if one.rule == GRANT and does in {Yes.ALONE, Yes.FIRST, Yes.OWN}:
            given = {name: each for name, each in one.kept.items() if name != "order"}
            grant = reading.grant(given | {"by": me})
            within_bounds(self.held_verdict.world, rules.subject, grant, mine.at)
        if one.what == KEEP and does in {Yes.DONE, Yes.ALONE, Yes.FIRST}:
            self._takes_over(rules, one.grant, one.asked.by if does is Yes.DONE else me)
        row = one.row(image)
        if does is not Yes.DONE and row is not None and not self.held_verdict.sees(row):
            raise Forbidden("only who sees what is sealed takes off its seal by himself")
        if does is Yes.FIRST:
            return (one.handed_on(me, call.at, sound.CO_CONSENT),)
        if does not in {Yes.DONE, Yes.ALONE}:
            known = decision.reason if does in {Yes.LAPSED, Yes.REFUSED} else ""
            raise Forbidden(_REFUSED[does] + known)
        if row is not None:
            call.touch([row], image.facets)
        by = one.asked.by if does is Yes.DONE else me
        return becomes(one, image, by=by, yes_of=me, at=call.at)

    async def turn_down(self, id_: str) -> dict[str, Any]:
        """Say no to what was asked, or take back what one asked; it never opens anything."""
        async with self.call("refuse") as call:
            await self._party(call, "u")

            def build(rules: Rules) -> tuple[Rule, ...]:
                one = self._proposed(rules, id_)
                return (one.ended("rejected", self.caller.person, call.at),)

            rule = (await self._change(call, build))[0]
        return _answer(rule)

    # --- who, and which ------------------------------------------------------------------------

    async def _party(self, call: Call, letter: str) -> None:
        """Who may know of the dossier, or a parent the child of 12-15 has not confirmed (yet)."""
        verdict = await self.verdict()
        rules = rules_of(self.dossier, self._parts.policy)
        if not is_parent(verdict.world, rules.subject, self._mine("")):
            await self.known(call)
        self.reach(letter, "Consent")

    def _takes_over(self, rules: Rules, id_: str, by: str) -> None:
        """A grant that goes on says what it said: no more, and no less, when `by` gives it.

        Raises:
            NotFound: there is no such grant; Forbidden: he cannot give all of it; Conflict: who
            gave it could not, so part of it never held.
        """
        grant = next((one for one in rules.grants if one.id == id_), None)
        if grant is None or grant.effect != "permit" or grant.made is None:
            raise NotFound("there is no such grant")
        world, now = self.held_verdict.world, self._parts.clock()
        if grant.by_court or not gives_all(world, rules.subject, replace(grant, by=by), now):
            raise Forbidden("this is outside what you can give: end it, or propose another")
        if grant.by == grant.to_who or not gives_all(world, rules.subject, grant, grant.made):
            raise Conflict("who gave this could not give all of it: end it, and give it anew")

    def _mine(self, id_: str) -> Request:
        """A request to open something, by this caller, as he is signed in."""
        return self.held_verdict.ask("beheren", Resource(_RULES, "Consent", id_))

    def _known_world(self) -> World:
        """The rules, with the kinds of the people this call is about."""
        world = self.held_verdict.world
        return replace(world, persons={**self._met, **world.persons})

    def _proposed(self, rules: Rules, id_: str) -> Wish:
        """What was asked, for who may say yes or no to it.

        Raises:
            NotFound: there is none for him; Conflict: it was settled already.
        """
        one = found(self.dossier.image, id_)
        if one is None or not self._concerned(rules, one):
            raise NotFound("there is no such proposal")
        if not one.open:
            raise Conflict("this was settled already")
        return one

    def _concerned(self, rules: Rules, one: Wish) -> bool:
        """Who asked it, the other party, and whoever holds the reins."""
        if one.asked.by == self.caller.person:
            return True
        if is_other_party(self.held_verdict.world, rules.subject, one.asked, self._mine(one.id)):
            return True
        more = {"restrictive": True, "target": one.asked.target}
        return self._asked("beheren", one.id, **more).permit

    def _stands(self, rules: Rules, one: Wish) -> bool:
        """Whether it can still be agreed to."""
        now = self._parts.clock()
        try:
            still_means(one, self.dossier.image, now)
        except (BadValue, Conflict):
            return False
        return stands(self.held_verdict.world, rules.subject, one.asked, now)


def _answer(rule: Rule) -> dict[str, Any]:
    """What somebody gets back: the grant, or what came of the wish."""
    if rule.kind == KIND:
        return Wish(KIND, rule.id, rule.value or {}).listed()
    return {"id": rule.id, **(rule.value or {})}
