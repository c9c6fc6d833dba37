"""Invitations: a single-use code with which somebody gets exactly one grant; not who he must be.

The code is kept as a hash only, and tells nothing before its holder has signed in. The dossier's
own commit ends the invitation, so of any number of takers at the same time exactly one gets in.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson

from pgo.audit.entry import REFUSED
from pgo.call import Call
from pgo.caller import Caller
from pgo.consent import reading, sound
from pgo.consent.model import PRIVATE_KINDS
from pgo.consent.presets import PRESETS
from pgo.consent.words import summary
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Forbidden, InvalidGrant, Missing, NotFound
from pgo.house import House
from pgo.moment import instant, micros
from pgo.regie import FROZEN, Regie
from pgo.shared import subject_name
from pgo.standing import may_propose, within_bounds
from pgo.world import Rules, rules_of

SECONDS: Final = 7 * 86_400
_SPACE: Final = "uitnodiging"
_KINDS: Final = frozenset({"naaste", "copiloot", "zorgverlener"})
_OPEN: Final = "open"
_GUEST: Final = "genodigde"
_NOT_GOOD: Final = "this code is not good, or not any more"


class Invites(Regie):
    """One caller and the invitations of one dossier."""

    def __init__(self, house: House, caller: Caller, client: str, *, request: str = "") -> None:
        super().__init__(house.parts, caller, client, request=request)
        self._house = house

    # --- the family ----------------------------------------------------------------------------

    async def invite(self, sent: dict[str, Any]) -> dict[str, Any]:
        """A code, good for one person and seven days; `sent` is a grant without `to_who`.

        `soort` says what kind of person it is for; a preset for one kind says so itself.

        Raises:
            BadValue: with the place; Forbidden: not yours to give; TooMany: over ten a day.
        """
        code, id_ = "-".join(secrets.token_hex(4) for _ in range(4)), f"u-{secrets.token_hex(8)}"
        async with self.call("invite") as call:
            await self._enter(call, "c")
            kept = self._template(call, sent)
            expires = micros(self._parts.clock()) // 1_000_000 + SECONDS
            value = {**kept, "status": _OPEN, "expires": instant(expires * 1_000_000)}

            def build(rules: Rules) -> tuple[Rule, ...]:
                self._widened(call, "")
                self._within(rules, value, self.caller.person)
                return (Rule("invite", id_, value),)

            self._parts.count("invite", self.caller.person)
            await self._change(call, build)
            sealed = self._house.registry_box.seal(
                _place(code), orjson.dumps({"client": self.client, "id": id_})
            )
            await self._house.store.put(_SPACE, _hashed(code), sealed, expires)
        return {"uitnodiging": id_, "code": code, "tot": value["expires"]}

    def _template(self, call: Call, sent: dict[str, Any]) -> dict[str, Any]:
        """The grant the invited person will get, all but his name."""
        wanted = {name: each for name, each in sent.items() if name != "soort"}
        if "to_who" in wanted or "parent" in wanted:
            raise BadValue("an invitation names nobody and passes nothing on", place="grant")
        grant, made = self._drafted(call, {**wanted, "to_who": _GUEST})
        if grant.effect == "deny":
            raise BadValue("nobody is invited to be kept out", place="grant.effect")
        kind = sent.get("soort") or _only_kind(wanted.get("preset"))
        if kind not in _KINDS:
            raise Missing("say for whom: naaste, copiloot or zorgverlener", place="soort")
        if "effect" not in wanted and kind not in PRESETS[str(wanted["preset"])].kinds:
            raise BadValue("this preset is for other people", place="grant.preset")
        grant_ = {name: each for name, each in made.items() if name not in _LATER}
        return {"by": self.caller.person, "made": instant(call.at), "kind": kind, "grant": grant_}

    async def listed(self) -> list[dict[str, Any]]:
        """The invitations of this dossier, for who holds the reins; without codes."""
        async with self.call("overview") as call:
            await self._enter(call, "r")
            self._holds_reins()
            now = self._parts.clock()
            return [_shown(id_, kept, now) for id_, kept in self._kept_ones().items()]

    async def withdraw(self, id_: str) -> dict[str, Any]:
        """End an invitation that nobody used yet."""
        async with self.call("refuse") as call:
            await self._enter(call, "u")
            self._holds_reins()
            said = {"status": "ingetrokken", "by_whom": self.caller.person}

            def build(_: Rules) -> tuple[Rule, ...]:
                return (Rule("invite", id_, self._still_open(id_, NotFound) | said),)

            rule = (await self._change(call, build))[0]
        return _shown(id_, rule.value or {}, self._parts.clock())

    def _holds_reins(self) -> None:
        if not self._asked("beheren", restrictive=True, target="grant").permit:
            raise Forbidden("only who holds the reins sees the invitations")

    def _kept_ones(self) -> dict[str, dict[str, Any]]:
        return self.dossier.image.rules("invite")

    # --- the invited person --------------------------------------------------------------------

    async def look(self, id_: str) -> dict[str, Any]:
        """What the invitation is about, for a person who has signed in and has the code."""
        async with self.call("invite-look") as call:
            kept = self._still_open(id_, InvalidGrant)
            self._fitting(rules_of(self.dossier, self._parts.policy), kept)
            grant = reading.grant({**kept["grant"], **self._filled(call, kept, "g-nieuw")})
            names = await self._parts.people.names({kept["by"], self.caller.person})
            return {
                "dossier_van": subject_name(self.dossier),
                "uitgenodigd_door": names.get(kept["by"], ""),
                "samenvatting": summary(grant, names),
                "tot": kept["expires"],
            }

    async def accept(self, id_: str) -> dict[str, Any]:
        """Take the grant: active at once, or when the other party of a child of 12-15 agrees.

        Raises:
            InvalidGrant: used, withdrawn, over, for another kind of person, or not (any more) his
            to give who gave it.
        """
        async with self.call("accept") as call:
            await self._meet(str((self.dossier.image.rule("invite", id_) or {}).get("by", "")))
            grant_id = f"g-{secrets.token_hex(8)}"

            def build(rules: Rules) -> tuple[Rule, ...]:
                kept = self._still_open(id_, InvalidGrant)
                self._fitting(rules, kept)
                waits = self._still_given(call, rules, kept)
                made = {**kept["grant"], **self._filled(call, kept, grant_id)}
                made["order"] = self.dossier.image.n + 1
                sound.timely(reading.grant({k: v for k, v in made.items() if k != "order"}),
                             self._parts.clock())  # fmt: skip
                if waits:
                    made |= {"status": "proposed", "waits": waits, "proposed_by": kept["by"]}
                used = {"status": "aangenomen", "by_whom": self.caller.person}
                return (Rule("grant", grant_id, made), Rule("invite", id_, kept | used))

            rule = (await self._change(call, build, self.caller.person))[0]
        value = rule.value or {}
        return {"dossier": self.client, "id": rule.id, "status": value["status"]}

    async def decline(self, id_: str) -> None:
        """Say no: the invitation is over, and the family sees that it was."""
        async with self.call("refuse") as call:
            said = {"status": "geweigerd", "by_whom": self.caller.person}

            def build(_: Rules) -> tuple[Rule, ...]:
                return (Rule("invite", id_, self._still_open(id_, InvalidGrant) | said),)

            await self._change(call, build)

    def _filled(self, call: Call, kept: dict[str, Any], id_: str) -> dict[str, Any]:
        client = rules_of(self.dossier, self._parts.policy).subject.id
        whose = {"id": id_, "client": client, "by": kept["by"], "to_who": self.caller.person}
        return {**whose, "made": instant(call.at)}

    def _still_open(self, id_: str, row: type[InvalidGrant | NotFound]) -> dict[str, Any]:
        kept = self.dossier.image.rule("invite", id_)
        now = instant(micros(self._parts.clock()))
        if kept is None or kept["status"] != _OPEN or kept["expires"] <= now:
            raise row(_NOT_GOOD, place="code")
        return kept

    def _fitting(self, rules: Rules, kept: dict[str, Any]) -> None:
        """For this kind of person; never the client, nor who invited himself."""
        caller = self.caller
        kind = "naaste" if caller.kind in PRIVATE_KINDS else caller.kind
        if kind != kept["kind"] or caller.person in {kept["by"], rules.subject.id}:
            raise InvalidGrant(_NOT_GOOD, place="code")

    def _within(self, rules: Rules, kept: dict[str, Any], who: str) -> None:
        whose = {"id": _GUEST, "client": rules.subject.id, "by": who, "to_who": _GUEST}
        grant = reading.grant({**kept["grant"], **whose})
        within_bounds(self.held_verdict.world, rules.subject, grant, self._parts.clock())

    def _still_given(self, call: Call, rules: Rules, kept: dict[str, Any]) -> str:
        """Whether who invited may still give this; what it waits for, or "" for nothing."""
        world = self.held_verdict.world
        world = replace(world, persons={**self._met, **world.persons})
        who, now, guest = str(kept["by"]), self._parts.clock(), self.caller.person
        alone = may_propose(world, rules.subject, who, guest, now, co_consent=False)
        call.because(alone)
        together = may_propose(world, rules.subject, who, guest, now)
        if self.dossier.image.rule(*FROZEN) or not (alone.permit or together.permit):
            raise InvalidGrant(_NOT_GOOD, place="code")
        self._within(rules, kept, who)
        return "" if alone.permit else sound.CO_CONSENT


_LATER: Final = frozenset({"id", "client", "by", "to_who", "made"})


async def opened(house: House, caller: Caller, code: str, request: str) -> tuple[Invites, str]:
    """The invitation this code is for, with the caller at its dossier.

    Raises:
        InvalidGrant: unknown or expired, written down; TooMany: too many tries; Forbidden: a
        system or an operator.
    """
    try:
        found = await _found(house, caller, code.strip().lower())
    except (Forbidden, InvalidGrant) as error:
        said = {"person": caller.person, "app": caller.app, "request": request}
        await house.note("request", outcome=REFUSED, status=error.status, **said)
        raise
    return Invites(house, replace(caller, dossier=""), found["client"], request=request), found[
        "id"
    ]


async def _found(house: House, caller: Caller, code: str) -> dict[str, str]:
    if caller.kind in {"systeem", "beheerder"}:
        raise Forbidden("only people are invited")
    house.parts.count("code", caller.person)
    kept = await house.store.peek(_SPACE, _hashed(code), int(house.clock().timestamp()))
    if kept is None:
        raise InvalidGrant(_NOT_GOOD, place="code")
    found: dict[str, str] = orjson.loads(house.registry_box.open(_place(code), kept))
    return found


def _only_kind(preset: Any) -> str:
    found = PRESETS.get(str(preset))
    return min(found.kinds) if found and len(found.kinds) == 1 else ""


def _shown(id_: str, kept: dict[str, Any], now: datetime) -> dict[str, Any]:
    over = kept["status"] == _OPEN and kept["expires"] <= instant(micros(now))
    said = {name: kept.get(name, "") for name in ("by", "made", "expires", "kind", "by_whom")}
    return {"id": id_, **said, "status": "verlopen" if over else kept["status"]}


def _hashed(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def _place(code: str) -> bytes:
    return f"pgo1|uitnodiging|{_hashed(code)}".encode()
