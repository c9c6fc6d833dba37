"""The link between a provider's system and a dossier: a family's single-use code, no BSN.

Of a child of 12-15 a link waits until child and parent have both agreed, as any grant does.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

import orjson

from pgo.audit.entry import REFUSED
from pgo.call import Call
from pgo.caller import Caller
from pgo.consent import reading, sound
from pgo.dossier.log import Rule
from pgo.errors import Forbidden, InvalidGrant, NotFound, PgoError
from pgo.house import House
from pgo.moment import instant
from pgo.regie import FROZEN, Regie
from pgo.shared import caller_of_account
from pgo.standing import gives, may_propose
from pgo.store.contract import Store
from pgo.world import Rules, rules_of

CODE_SECONDS: Final = 7 * 86_400
_SPACE: Final = "koppelcode"
_NOT_GOOD: Final = "this code is not good, or not any more"


class Links(Regie):
    """One caller and the link of a provider with one dossier."""

    async def code(self) -> str:
        """A single-use code with which one provider may link itself to this dossier; 7 days."""
        code = "-".join(secrets.token_hex(3) for _ in range(4))
        async with self.call("link-code") as call:
            await self._enter(call, "c")
            waits = self._widened(call, "org:")
            client = rules_of(self.dossier, self._parts.policy).subject
            me, now = self.caller.person, self._parts.clock()
            if not waits and not gives(self.held_verdict.world, client, me, now):
                raise Forbidden("only the client, or who represents him with beheren, gives this")
            self._parts.count("invite", me)
            kept = {"client": self.client, "by": me, "made": instant(call.at)}
            expires = call.at // 1_000_000 + CODE_SECONDS
            store = self._parts.dossiers.store
            await store.put(_SPACE, _hashed(code), orjson.dumps(kept), expires)
        return code

    async def link(self, by: str, made: str) -> str:
        """Link the calling system's organisation, on the family's word given with the code.

        Returns:
            What the link waits for before it gives anything; "" for nothing.

        Raises:
            InvalidGrant: who gave the code may not give this any more.
        """
        org = self.caller.org
        async with self.call("link") as call:
            await self.verdict()

            def build(rules: Rules) -> tuple[Rule, ...]:
                return (self._linked(call, rules, by, made),)

            rule = (await self._change(call, build, f"org:{org}"))[0]
        return str((rule.value or {}).get("waits", ""))

    def _linked(self, call: Call, rules: Rules, by: str, made: str) -> Rule:
        org = self.caller.org
        id_, waits = f"koppeling-{org}", self._still_given(call, rules, by)
        kept = self.dossier.image.rule("grant", id_) or {}
        if waits and kept and kept.get("status", "active") == "active":
            return Rule("grant", id_, kept)
        value: dict[str, Any] = {
            "id": id_,
            "client": rules.subject.id,
            "by": by,
            "effect": "permit",
            "to_who": f"org:{org}",
            "actions": ["lezen", "toevoegen", "wijzigen"],
            "own": True,
            "made": made,
        }
        if waits:
            value |= {"status": "proposed", "waits": waits, "proposed_by": by}
        reading.grant(value, "grant", stored=True)
        return Rule("grant", id_, {**value, "order": self.dossier.image.n + 1})

    def _still_given(self, call: Call, rules: Rules, by: str) -> str:
        """Whether who gave the code may still give this; what it waits for, or ""."""
        world, now, to = self.held_verdict.world, self._parts.clock(), f"org:{self.caller.org}"
        alone = may_propose(world, rules.subject, by, to, now, co_consent=False)
        call.because(alone)
        if self.dossier.image.rule(*FROZEN):
            raise InvalidGrant(_NOT_GOOD, place="code")
        if alone.permit and gives(world, rules.subject, by, now):
            return ""
        if may_propose(world, rules.subject, by, to, now).permit:
            return sound.CO_CONSENT
        raise InvalidGrant(_NOT_GOOD, place="code")


async def make_code(house: House, client: str, person: str) -> str:
    """A code for a provider, asked by (or on behalf of) who holds the reins.

    Raises:
        NotFound: no such person; Forbidden: he does not hold the reins of this dossier.
    """
    account = await house.registry.account(person)
    if account is None or account.disabled:
        raise NotFound("there is no such person", place="person")
    caller = replace(caller_of_account(account), scope=("user/*.cruds",))
    return await Links(house.parts, caller, client).code()


async def link(house: House, caller: Caller, code: str, request: str = "") -> tuple[str, str]:
    """Link a provider system with a family's code; the dossier's id, and what it waits for.

    Raises:
        Forbidden: not a provider system; InvalidGrant: the code is not good.
    """
    try:
        if caller.kind != "systeem" or not caller.org:
            raise Forbidden("only the system of a provider can use this code")
        now = int(house.clock().timestamp())
        kept = await _taken(house.store, code, now)
    except PgoError as error:
        await house.note(
            "request",
            outcome=REFUSED,
            status=error.status,
            person=caller.person,
            app=caller.app,
            request=request,
        )
        raise
    client = kept["client"]
    waits = await Links(house.parts, caller, client, request=request).link(kept["by"], kept["made"])
    return client, waits


async def _taken(store: Store, code: str, now: int) -> dict[str, str]:
    """What a family's code stands for; it is over once taken.

    Raises:
        InvalidGrant: unknown, used or expired.
    """
    kept = await store.take(_SPACE, _hashed(code.strip().lower()), now)
    if kept is None:
        raise InvalidGrant(_NOT_GOOD, place="code")
    found: dict[str, str] = orjson.loads(kept)
    return found


def _hashed(code: str) -> str:
    return sha256(code.encode()).hexdigest()
