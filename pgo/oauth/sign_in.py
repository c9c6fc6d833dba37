"""The choice how to sign in, and as what; for the ways see `at_provider` and `with_device`."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response

from pgo.errors import Forbidden, NotFound, Unavailable
from pgo.oauth.arriving import DEVELOPMENT, GOALS, NOT_HERE, Arrival, Arriving, enough
from pgo.oauth.browser import own_form
from pgo.oauth.flow import Flow, flow_to
from pgo.oauth.forms import query_of
from pgo.oauth.levels import LEVELS, USUAL, Wanted, highest
from pgo.oauth.network import network_of
from pgo.oauth.roles import demo_roles, roles_of
from pgo.oauth.sessions import Session

FRESH: Final = 900
"""Whoever changes the keys of an account signed in so many seconds ago at most."""


class SignIn:
    """The handlers of the choice."""

    def __init__(self, arriving: Arriving) -> None:
        self._on = arriving

    @property
    def offered(self) -> bool:
        """Whether there is any way to sign in."""
        return self._on.parts.ways.any or self._on.parts.development_login

    async def start(self, request: Request, flow: Flow, ui_locales: str = "") -> Response:
        """Begin: with the session of this browser when that is enough, else with the choice.

        Raises:
            errors.TooMany: too many were begun from this network.
        """
        self._on.parts.count("sign-in-begun", network_of(request))
        session = await self._on.sessions.current(request)
        if session is not None and enough(session, flow):
            account = await self._on.account(session.person)
            arrival = _arrival(session)
            return await self._on.go_on(flow, account, arrival)
        step = await self._on.flows.keep(flow)
        page = await self._on.choice(request, step, ui_locales=ui_locales)
        self._on.browser.remember(page, step)
        return page

    async def choose(self, request: Request) -> Response:
        """The choice again, or the way to a page of our own."""
        query = dict(query_of(request))
        if "flow" in query:
            return await self._on.choice(
                request, await self._on.browser.step(request, query["flow"])
            )
        if not self.offered:
            raise Unavailable("Nobody can sign in here.")
        goal = query.get("next", "sessions")
        if goal not in GOALS:
            raise NotFound("There is no such page.")
        since = self._on.parts.tokens.now() - FRESH if goal == "passkeys" else 0
        return await self.start(request, flow_to(goal, Wanted(since=since)))

    async def chosen(self, request: Request) -> Response:
        """Go on as who is signed in, or (development) as a demo person."""
        form = await own_form(request)
        step = await self._on.checked(request, form)
        if form.get("verder"):
            session = await self._on.sessions.current(request)
            if session is None or not enough(session, step.flow):
                return await self._on.choice(request, step, higher=True)
            account = await self._on.account(session.person)
            flow = await self._on.flows.end(step)
            arrival = _arrival(session)
            return await self._on.go_on(flow, account, arrival)
        roles = (
            await demo_roles(self._on.parts.registry) if self._on.parts.development_login else []
        )
        role = next((one for one in roles if one.value == form.get("persoon")), None)
        if role is None:
            raise Forbidden(NOT_HERE)
        now, usual = self._on.parts.tokens.now(), highest(USUAL, step.flow.least)
        level = form.get("niveau", usual)
        if level not in LEVELS:
            raise Forbidden(NOT_HERE)
        arrival = Arrival(role.account.id, level, DEVELOPMENT, now)
        return await self._on.arrived(request, step, arrival, org=role.org)

    async def role(self, request: Request) -> Response:
        """The page where somebody says for which organisation."""
        step = await self._on.browser.step(request, dict(query_of(request)).get("flow", ""))
        account = await self._on.account(step.flow.who)
        return self._on.look.page(
            "role.html", request=request, here=f"role?flow={step.id}", step=step,
            roles=await roles_of(self._on.parts.registry, account),
        )  # fmt: skip

    async def role_chosen(self, request: Request) -> Response:
        """Take the organisation."""
        form = await own_form(request)
        step = await self._on.checked(request, form)
        account = await self._on.account(step.flow.who)
        flow = await self._on.flows.end(step)
        arrival = Arrival(account.id, flow.loa, flow.way, flow.signed_in, flow.session)
        return await self._on.go_on(flow, account, arrival, org=form.get("org", ""))


def _arrival(session: Session) -> Arrival:
    """A session that is good enough, as the sign-in it was."""
    return Arrival(session.person, session.level, session.way, session.at, session.id)
