"""Asking for access, and saying whom one represents: from outside, without learning anything.

Whoever asks gets the same answer whether or not there is such a dossier. The family decides about
access; an operator decides about evidence (`pgo.evidence`).
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from pgo.call import Call
from pgo.consent import sound
from pgo.consent.model import PRIVATE_KINDS
from pgo.consent.presets import PRESETS
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Forbidden, NotFound
from pgo.moment import instant
from pgo.plain.clean import clean
from pgo.regie import Regie
from pgo.standing import claimed, sent_relation
from pgo.world import Rules

MOST: Final = 50
"""Open requests in one dossier; what comes on top is not kept."""
_NOTE: Final = 200
_OPEN: Final = "open"


class Access(Regie):
    """One caller and the requests for access to one dossier."""

    # --- from outside --------------------------------------------------------------------------

    async def ask(self, preset: str, note: str) -> None:
        """Ask the family for access; nothing is told back, and one who is kept out is not heard.

        Raises:
            BadValue: no such preset, or not for the caller; TooMany: over ten a day.
        """
        kind = "naaste" if self.caller.kind in PRIVATE_KINDS else self.caller.kind
        if preset not in PRESETS or kind not in PRESETS[preset].kinds:
            raise BadValue("choose a preset that is for you", place="preset")
        self._parts.count("invite", self.caller.person)
        with suppress(NotFound):
            async with self.call("ask-access") as call:
                said = {"person": self.caller.person, "name": clean(self.caller.name)}
                wanted = {"preset": preset, "note": clean(note, _NOTE), "status": _OPEN}
                value = {**said, **wanted, "kind": kind, "made": instant(call.at)}

                def build(rules: Rules) -> tuple[Rule, ...]:
                    self._heard(rules, "request")
                    return (Rule("request", self._own("v"), value),)

                await self._change(call, build)

    async def claim(self, sent: dict[str, Any]) -> None:
        """Say that one represents the client; no right until an operator verified the evidence.

        Raises:
            BadValue, Missing: with the place; TooMany: over ten a day.
        """
        if "person" in sent:
            raise BadValue("this is about yourself", place="relation.person")
        relation, _ = sent_relation({**sent, "person": self.caller.person}, "client")
        if relation.kind == "familie" or (
            relation.kind in {"ouder", "voogd"} and not relation.gezag
        ):
            raise BadValue("who holds the reins records this kind", place="relation.kind")
        self._parts.count("invite", self.caller.person)
        with suppress(NotFound):
            async with self.call("claim") as call:

                def build(rules: Rules) -> tuple[Rule, ...]:
                    self._heard(rules, "claim")
                    whole = {**sent, "person": self.caller.person}
                    read, made = sent_relation(whole, rules.subject.id)
                    new = claimed(read, made, self.caller.person, call.at)
                    return (Rule("claim", self._own("c"), new.value),)

                await self._change(call, build)

    def _own(self, letter: str) -> str:
        """One open request of each kind for each person."""
        return f"{letter}-{sha256(self.caller.person.encode()).hexdigest()[:16]}"

    def _heard(self, rules: Rules, kind: str) -> None:
        """Somebody the family did not shut out, who was not answered before, if there is room.

        Raises:
            NotFound: he is not heard.
        """
        me = self.caller.person
        kept_out = any(
            (each.effect, each.to_who, each.status) == ("deny", me, "active")
            for each in rules.grants
        )
        there = self.dossier.image.rules(kind)
        mine = there.pop(self._own("v" if kind == "request" else "c"), {})
        answered = mine.get("status") in {"afgewezen", "geverifieerd"}
        full = sum(each["status"] in {_OPEN, "te-controleren"} for each in there.values()) >= MOST
        if kept_out or answered or full or me == rules.subject.id:
            raise NotFound("not found")

    # --- the family ----------------------------------------------------------------------------

    async def listed(self) -> list[dict[str, Any]]:
        """Who asked for access, for who holds the reins."""
        async with self.call("overview") as call:
            await self._enter(call, "r")
            self._holds_reins(call)
            found = self.dossier.image.rules("request")
            return [{"id": id_, **kept} for id_, kept in found.items()]

    async def allow(self, id_: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Give what was asked, or what is `sent` instead (preset, from, to, weekly)."""
        async with self.call("grant") as call:
            await self._enter(call, "c")
            self._holds_reins(call)
            kept = self._open(id_)
            if {"to_who", "parent"} & sent.keys():
                raise BadValue("it is for who asked", place="grant.to_who")
            wanted = {"preset": kept["preset"], **sent, "to_who": kept["person"]}
            grant, made = self._drafted(call, wanted)

            def build(rules: Rules) -> tuple[Rule, ...]:
                request = self._open(id_) | {"status": "toegestaan"}
                rule = self._new(call, rules, grant, made)
                sound.fits(wanted, grant, self._met.get(grant.to_who))
                return (rule, Rule("request", id_, request))

            rule = (await self._change(call, build, grant.to_who))[0]
        return {"id": rule.id, **(rule.value or {})}

    async def deny(self, id_: str) -> dict[str, Any]:
        """Say no to a request; who asked is not told, and is not heard again."""
        async with self.call("refuse") as call:
            await self._enter(call, "u")
            self._holds_reins(call)

            def build(_: Rules) -> tuple[Rule, ...]:
                return (Rule("request", id_, self._open(id_) | {"status": "afgewezen"}),)

            rule = (await self._change(call, build))[0]
        return {"id": id_, **(rule.value or {})}

    def _open(self, id_: str) -> dict[str, Any]:
        kept = self.dossier.image.rule("request", id_)
        if kept is None or kept["status"] != _OPEN:
            raise NotFound("there is no such request")
        return kept

    def _holds_reins(self, call: Call) -> None:
        decision = self._asked("beheren", restrictive=True, target="grant")
        call.because(decision)
        if not decision.permit:
            raise Forbidden("only who holds the reins sees who asked")
