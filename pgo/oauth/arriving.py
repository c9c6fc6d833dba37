"""Somebody proved who he is, in whatever way: what every sign-in ends in, in one place.

The account is looked at, the line is written, the browser gets a new session, and the person goes
on with the very request that was waiting; nobody is sent anywhere a request names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from fastapi import Request, Response

from pgo.errors import Forbidden
from pgo.oauth.browser import Browser
from pgo.oauth.flow import Flow, Flows, Step, check
from pgo.oauth.levels import LEVELS, lowest, rank
from pgo.oauth.look import Look
from pgo.oauth.means import AllMeans
from pgo.oauth.network import network_of
from pgo.oauth.parts import Parts
from pgo.oauth.providers import providers_of
from pgo.oauth.roles import demo_roles, roles_of
from pgo.oauth.sessions import Session, Sessions
from pgo.registry import Account, App

GOALS: Final = {
    "sessions": "sessions",
    "passkeys": "passkeys",
    "apps": "../mijn/apps",
    "home": "../mijn",
}
"""Pages of our own that a sign-in may lead to, by name."""
DEVELOPMENT, PASSKEY, RECOVERY, CODE = "development", "passkey", "recovery", "code"
NOT_HERE: Final = "This person cannot sign in here."


@dataclass(frozen=True, slots=True)
class Arrival:
    """A sign-in that succeeded: the most its `way` gives, when it was, and its `session`."""

    person: str
    level: str
    way: str
    at: int
    session: str = ""


class Arriving:
    """What all ways to sign in share, over `parts`."""

    def __init__(self, parts: Parts, flows: Flows, look: Look) -> None:
        self.parts, self.flows, self.look = parts, flows, look
        self.browser = Browser(flows, secure=parts.secure)
        self.means = AllMeans(parts.store, parts.box)
        self.sessions = Sessions(parts, self.means)
        self.providers = providers_of(parts.ways.providers, parts.issuer, parts.tokens.now)

    async def arrived(
        self, request: Request, step: Step, arrival: Arrival, org: str | None = None
    ) -> Response:
        """Somebody proved who he is: a new session, and on with what was waiting."""
        account = await self.account(arrival.person)
        level, session = lowest(arrival.level, account.loa), self.sessions.new_id()
        arrival = replace(arrival, level=level, session=session)
        await self.note(account.id, step.flow, detail=arrival.way)
        enough = rank(arrival.level) >= rank(step.flow.least)
        if arrival.way in (RECOVERY, CODE) and step.flow.goal != "passkeys":
            answer = self.look.onward(f"passkeys?flow={step.id}")
        elif not enough:
            answer = await self.choice(request, step, higher=True)
        else:
            flow = await self.flows.end(step)
            answer = await self.go_on(flow, account, arrival, org)
        await self.sessions.begin(
            request, answer, account, level=level, way=arrival.way, at=arrival.at, id_=session
        )
        return answer

    async def go_on(
        self, flow: Flow, account: Account, arrival: Arrival, org: str | None = None
    ) -> Response:
        """On to the page of our own, the choice of a role, or the decision about an app."""
        if not flow.client_id:
            return self.look.onward(GOALS[flow.goal])
        app = await self.app(flow)
        roles = await roles_of(self.parts.registry, account)
        known = replace(
            flow, loa=arrival.level, signed_in=arrival.at, way=arrival.way, unlinked="",
            session=arrival.session,
        )  # fmt: skip
        if len(roles) > 1 and org is None:
            return await self.onward("role", replace(known, who=account.id))
        role = next((one for one in roles if org in (None, one.org)), None)
        if role is None or app is None:
            raise Forbidden(NOT_HERE)
        step = await self.flows.signed_in(known, account, app, kind=role.kind, org=role.org)
        onward = self.look.onward(f"consent?flow={step.id}")
        self.browser.remember(onward, step)
        return onward

    async def onward(self, page: str, flow: Flow) -> Response:
        """On to a page of this sign-in, under a new step."""
        step = await self.flows.keep(flow)
        onward = self.look.onward(f"{page}?flow={step.id}")
        self.browser.remember(onward, step)
        return onward

    async def checked(self, request: Request, form: Mapping[str, str]) -> Step:
        """The step a form belongs to, before it is decided; somebody signed in has no such step."""
        step = await self.browser.step(request, form.get("flow", ""))
        if step.flow.person:
            raise Forbidden(NOT_HERE)
        check(step, form.get("form", ""))
        return step

    def count(self, request: Request, who: str) -> None:
        """Count a try to sign in: of one network, of one account or key, and of all together.

        Raises:
            errors.TooMany: too often; says when to come back, whether or not it is right.
        """
        self.parts.count("sign-in-network", network_of(request))
        self.parts.count("sign-in", who)
        self.parts.count("sign-in-all", "")

    async def account(self, person: str) -> Account:
        """The account of somebody who may be here.

        Raises:
            errors.Forbidden: there is none, or it is disabled.
        """
        account = await self.parts.registry.account(person) if person else None
        if account is None or account.disabled:
            raise Forbidden(NOT_HERE)
        return account

    async def app(self, flow: Flow) -> App | None:
        """The app that waits; None for a page of our own."""
        if not flow.client_id:
            return None
        app = await self.parts.registry.app(flow.client_id)
        if app is None or app.disabled:
            raise Forbidden("This app may not be used any more.")
        return app

    async def note(self, person: str, flow: Flow, **said: str) -> None:
        """Write down a sign-in, or that one was refused."""
        await self.parts.note("oauth.sign-in", person=person, app=flow.client_id, **said)

    async def choice(
        self, request: Request, step: Step, *, higher: bool = False, ui_locales: str = ""
    ) -> Response:
        """The page to choose on; `higher`: what somebody came with is not enough."""
        session = await self.sessions.current(request)
        good = session is not None and enough(session, step.flow)
        account = await self.parts.registry.account(session.person) if session and good else None
        least, ways = rank(step.flow.least), self.parts.ways
        providers = [
            (one.name, one.label)
            for one in ways.providers
            if any(rank(level) >= least for level in one.levels.values())
        ]
        development = self.parts.development_login
        return self.look.page(
            "sign_in.html", request=request, here=f"sign-in?flow={step.id}",
            ui_locales=ui_locales, step=step, app=await self.app(step.flow),
            status=403 if higher else 200, higher=higher, providers=providers,
            passkeys=rank(ways.passkey_level) >= least, development=development,
            roles=await demo_roles(self.parts.registry) if development else [],
            levels=LEVELS,
            person="" if account is None else account.name,
        )  # fmt: skip

    async def signed_out(self, request: Request, way: str) -> Response:
        """That somebody is out here, with the way out at his provider when it offers one."""
        provider, way_out = self.providers.get(way), ""
        if provider is not None:
            way_out = await provider.way_out(f"{self.parts.issuer}/oauth/out-{way}")
        label = provider.set_up.label if provider and way_out else ""
        return self.look.page(
            "signed_out.html", request=request, provider=label, way_out=way_out,
            here=f"signed-out?bij={way}" if label else "signed-out",
        )  # fmt: skip


def enough(session: Session, flow: Flow) -> bool:
    """Whether a session is good for what waits; the development page always asks who."""
    level = rank(session.level) >= rank(flow.least)
    return level and session.at >= flow.since and session.way != DEVELOPMENT
