"""The door to one dossier: one call, one verdict, one durable audit line.

A call ends with exactly one line, also when it is refused or crashes; if the line cannot be
written, nothing is answered (architecture 2). A change carries its line in its commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NoReturn

from pgo.audit.chain import LOG, SYSTEM
from pgo.audit.entry import packed
from pgo.audit.trail import Trail
from pgo.call import Call
from pgo.caller import Caller, Emergency
from pgo.consent.model import Policy
from pgo.dossier.log import Change, Delta, Facet, Rule
from pgo.dossier.open import Dossier, Dossiers
from pgo.errors import NotFound, ScopeTooSmall, Unavailable
from pgo.fhir.profiles import Profiles, ours
from pgo.moment import micros, moment
from pgo.oauth.scopes import cap_of
from pgo.projection import projected
from pgo.store.contract import Line, NotNext
from pgo.verdict import Verdict
from pgo.world import People, verdict_again, verdict_of

PATIENT: Final = Facet("Patient")
_OUTSIDE: Final = ("at", "outcome", "status", "request", "person", "app", "token", "address")
_RACES: Final = 100
_IN_EMERGENCY: Final = Facet("MedicationRequest", ("medicatie",))


@dataclass(frozen=True, slots=True)
class Parts:
    """What every vault is made of; `count` takes one from a named limit, or raises TooMany."""

    dossiers: Dossiers
    trail: Trail
    people: People
    clock: Callable[[], datetime]
    policy: Policy
    count: Callable[[str, str], None] = lambda _limit, _who: None
    profiles: Profiles = field(default_factory=ours)


class Calling:
    """The block in which a door answers one call; a generator takes thrice as long."""

    __slots__ = ("_call", "_door")

    def __init__(self, door: Door, call: Call) -> None:
        self._door, self._call = door, call

    async def __aenter__(self) -> Call:
        try:
            await self._door.open(self._call)
        except BaseException as fault:
            await self._failed(fault)
            raise
        return self._call

    async def __aexit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if fault is not None:
            await self._failed(fault)
        elif not self._call.written:
            if self._call.emergency:
                await self._told()
            if not self._call.written:
                await self._door.write(self._call.line())

    async def _told(self) -> None:
        try:
            await self._door.tell(self._call)
        except BaseException as fault:
            await self._failed(fault)
            raise

    async def _failed(self, fault: BaseException) -> None:
        if not self._call.written:
            await asyncio.shield(self._door.write(self._call.failed(fault)))


class Door:
    """One caller at one dossier; `request` is the request id, for the audit line."""

    def __init__(self, parts: Parts, caller: Caller, client: str, *, request: str = "") -> None:
        self.caller = caller
        self.client = client
        self._parts = parts
        self._request = request
        self.cap = cap_of(caller.scope)
        self.called = False
        self._dossier: Dossier | None = None
        self._verdict: Verdict | None = None
        self._in_turn = False

    @property
    def profiles(self) -> Profiles:
        """The profiles that are here."""
        return self._parts.profiles

    # --- one call, one line --------------------------------------------------------------------

    def call(self, interaction: str, **said: Any) -> Calling:
        """Answer one call inside this block; its line is durable when the block has ended."""
        self.called = True
        at = micros(self._parts.clock())
        return Calling(self, Call(at, interaction, self.caller, {"request": self._request, **said}))

    async def turn_away(self, interaction: str, fault: Exception, **said: Any) -> NoReturn:
        """A call that is wrong in itself: written down like any other.

        What is wrong is told only to who may know of the dossier; for others it is not there.

        Raises:
            NotFound: the dossier is not for this caller; otherwise `fault`.
        """
        async with self.call(interaction, **said) as call:
            await self.known(call)
            raise fault
        raise AssertionError("a call either answers or raises")

    async def open(self, call: Call) -> None:
        """Open the dossier for a call."""
        if self.caller.dossier not in {"", self.client} or self.client == SYSTEM:
            raise NotFound("not found")
        try:
            self._dossier = await self._parts.dossiers.open(self.client)
        except NotFound:
            if self.caller.emergency is not None:
                self._parts.count("emergency", self.caller.person)
            raise
        self._verdict = None
        call.said["n"] = self._dossier.image.n
        if self.caller.emergency is not None:
            self._declare(call, self.caller.emergency)

    def _declare(self, call: Call, emergency: Emergency) -> None:
        """Go on with this person's emergency for this reason, or open one as of now."""
        kept = self.dossier.image.rule("emergency", self.caller.person) or {}
        if kept.get("reason") != emergency.reason:
            self._parts.count("emergency", self.caller.person)
            kept = {"opened": call.at}
        opened = replace(emergency, opened=moment(int(kept["opened"])))
        self.caller = replace(self.caller, emergency=opened)

    async def write(self, said: dict[str, Any]) -> None:
        """Into the dossier's trail; a call about a dossier that is not there, into the system's."""
        trail, at = self._parts.trail, said["at"]
        try:
            await trail.keep(self.client, at, packed(said))
        except NotFound:
            outside: dict[str, Any] = {name: said[name] for name in _OUTSIDE if name in said}
            await trail.keep(SYSTEM, at, packed({**outside, "interaction": "request"}))

    async def tell(self, call: Call) -> None:
        """Noodtoegang: the notice to the client is committed with the line, before any answer."""
        emergency = self.caller.emergency
        if emergency is None or emergency.opened is None:
            raise NotFound("not found")
        declared = {
            "person": self.caller.person,
            "name": self.caller.name,
            "org": self.caller.org,
            "code": emergency.code,
            "reason": emergency.reason,
            "opened": micros(emergency.opened),
        }
        notice = {"kind": "noodtoegang", "at": call.at, "review": "open", **declared}
        rules = (
            Rule("emergency", self.caller.person, declared),
            Rule("notice", f"nood-{call.at}-{self.caller.person}", notice),
        )
        for _ in range(_RACES):
            try:
                async with self.dossier.turn():
                    await self.commit(call, (), rules, {})
                    return
            except NotNext:
                await asyncio.sleep(0.002)
        raise Unavailable("this dossier is very busy; nothing was shown")

    @property
    def dossier(self) -> Dossier:
        """The open dossier, inside a call."""
        if self._dossier is None:
            raise NotFound("not found")
        return self._dossier

    @property
    def held_verdict(self) -> Verdict:
        """The verdict that was made in this turn."""
        if self._verdict is None:
            raise NotFound("not found")
        return self._verdict

    async def verdict(self) -> Verdict:
        """What the caller may do here now; made anew for each call."""
        if self._verdict is None:
            made = verdict_of if self._in_turn else verdict_again
            self._verdict = await made(
                self.dossier,
                self.caller,
                self._parts.people,
                self._parts.policy,
                self._parts.clock(),
                self.cap,
            )
        return self._verdict

    def renew(self) -> None:
        """Forget the verdict: the dossier may have changed while waiting for its turn."""
        self._verdict = None
        self._in_turn = True

    async def known(self, call: Call) -> Verdict:
        """The verdict, for a caller who may know that this dossier is there.

        Raises:
            NotFound: he has nothing here, so for him it does not exist.
        """
        verdict = await self.verdict()
        probe = PATIENT if self.caller.emergency is None else _IN_EMERGENCY
        decision = verdict.knows(probe)
        if not decision.permit:
            call.because(decision)
            raise NotFound("not found")
        return verdict

    def reach(self, letter: str, type_: str) -> None:
        """The token's scope reaches this type for c, r, u, d or s.

        Raises:
            ScopeTooSmall: it does not.
        """
        if not self.cap.allows(letter, type_):
            raise ScopeTooSmall("the scope of this token does not reach this", place=type_)

    async def commit(
        self,
        call: Call,
        changes: Sequence[Change],
        rules: Sequence[Rule],
        bodies: dict[bytes, bytes],
        answers: Sequence[tuple[str, str]] = (),
        status: int = 200,
    ) -> None:
        """One commit with its line, inside the dossier's turn; durable when it returns.

        Raises:
            NotNext: another process was first; nothing was stored.
        """
        dossier, caller = self.dossier, self.caller
        call.said["n"] = dossier.image.n + 1
        who = {"person": caller.person, "kind": caller.kind, "org": caller.org, "app": caller.app}
        people, policy = self._parts.people, self._parts.policy.version
        shown, texts = await projected(
            dossier, rules, changes, people, policy, caller.person, call.at
        )
        delta = Delta(
            dossier.image.n + 1, call.at, who, (*changes, *shown), tuple(rules), tuple(answers)
        )
        pen = await self._parts.trail.pen(self.client)
        plain = packed(call.line(status=status))

        def line(n: int, prev: bytes) -> Line:
            return pen.line(LOG, n, prev, call.at, plain)

        self._parts.trail.committed(await dossier.commit(delta, bodies | texts, line))
        call.written = True
        self._parts.dossiers.settle(dossier)
