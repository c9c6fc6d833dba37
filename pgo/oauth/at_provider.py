"""Signing in at an OpenID Connect provider: the way there, the way back, and whose pseudonym it is.

Who is who at a provider is only ever said by a code or an operator, never by a name or an address.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

import orjson
from fastapi import Request, Response

from pgo.errors import BadRequest, Forbidden, Incident, NotFound, Unavailable
from pgo.oauth.arriving import NOT_HERE, Arrival, Arriving
from pgo.oauth.browser import own_form
from pgo.oauth.flow import LIVES, Step
from pgo.oauth.forms import query_of
from pgo.oauth.id_token import Identity, Refused
from pgo.oauth.means import link
from pgo.oauth.network import network_of
from pgo.oauth.providers import Errand
from pgo.oauth.recovery import spend_entry_code
from pgo.oauth.tokens import digest

_ERRAND: Final = "errand"
_STOPPED: Final = ("stopped.title", "stopped.text")
_LATER: Final = ("later.title", "later.text")


class AtProvider:
    """The handlers of signing in at a provider."""

    def __init__(self, arriving: Arriving) -> None:
        self._on, self._providers = arriving, arriving.providers

    async def away(self, request: Request, name: str) -> Response:
        """Send a person to a provider; what must come back is kept, bound to this browser."""
        step = await self._on.browser.step(request, dict(query_of(request)).get("flow", ""))
        provider = self._providers.get(name)
        if provider is None:
            raise NotFound("There is no such provider.")
        self._on.parts.count("sign-in-network", network_of(request))
        tokens = self._on.parts.tokens
        now, since = tokens.now(), step.flow.since
        errand = Errand(
            provider=name, flow=step.id, state=tokens.secret(), nonce=tokens.secret(),
            verifier=tokens.secret(), least=step.flow.least, begun=now,
            since=now if self._on.sessions.was_left(request) else since,
        )  # fmt: skip
        try:
            address = await provider.way_there(errand)
        except Unavailable:
            return await self._later(request, step, name)
        kept = digest(errand.state)
        sealed = self._on.parts.box.seal(_place(kept), orjson.dumps(asdict(errand)))
        await self._on.parts.store.put(_ERRAND, kept, sealed, tokens.now() + LIVES, fresh=True)
        return self._on.look.onward(address)

    async def back(self, request: Request, name: str) -> Response:
        """A person comes back from a provider; the answer must be to what this browser asked."""
        query = _single(query_of(request))
        errand = await self._errand(query.get("state", ""))
        step = await self._on.browser.step(request, errand.flow if errand else "")
        provider = self._providers.get(name)
        if errand is None or provider is None or errand.provider != name:
            raise Forbidden("This answer is not to a question of ours.")
        try:
            identity = await provider.came_back(query, errand)
        except Refused as refused:
            await self._on.note("", step.flow, outcome="refused", detail=f"{name}:{refused.code}")
            return self._ended(request, step, *_STOPPED, status=403)
        except Unavailable:
            return await self._later(request, step, name)
        return await self._known(request, step, name, identity)

    async def _known(self, request: Request, step: Step, name: str, identity: Identity) -> Response:
        """Whose pseudonym this is; when it is nobody's, a code must say so."""
        issuer = self._providers[name].set_up.issuer
        post = await self._on.parts.signing.subject(f"provider {issuer}", identity.subject)
        person = await self._on.means.pointed("provider", post)
        if person:
            arrival = Arrival(person, identity.level, name, identity.at)
            return await self._on.arrived(request, step, arrival)
        flow = replace(
            await self._on.flows.end(step), unlinked=post, loa=identity.level, way=name,
            signed_in=identity.at,
        )  # fmt: skip
        await self._on.note("", flow, outcome="refused", detail=f"{name}:unknown")
        return await self._on.onward("link", flow)

    async def out(self, request: Request, name: str) -> Response:
        """Where people come back after signing out there; shows only that they are out here."""
        if name not in self._providers:
            raise NotFound("There is no such provider.")
        if await self._on.sessions.current(request) is not None:
            return self._on.look.onward("sessions")
        return self._on.look.page("signed_out.html", request=request, provider="", way_out="")

    async def _errand(self, state: str) -> Errand | None:
        kept = digest(state)
        sealed = await self._on.parts.store.take(_ERRAND, kept, self._on.parts.tokens.now())
        try:
            return None if sealed is None else Errand(**orjson.loads(self._opened(kept, sealed)))
        except (Incident, ValueError, TypeError):
            return None

    def _opened(self, kept: str, sealed: bytes) -> bytes:
        return self._on.parts.box.open(_place(kept), sealed)

    async def _later(self, request: Request, step: Step, name: str) -> Response:
        await self._on.note("", step.flow, outcome="refused", detail=f"{name}:down")
        return self._ended(request, step, *_LATER, status=503)

    def _ended(
        self, request: Request, step: Step, title: str, text: str, *, status: int
    ) -> Response:
        return self._on.look.page(
            "later.html", request=request, here=f"sign-in?flow={step.id}", status=status,
            title=title, text=text, flow=step.id,
        )  # fmt: skip

    # --- an account for a pseudonym ------------------------------------------------------------

    async def link(self, request: Request) -> Response:
        """The page that asks for the code that says who somebody is."""
        step = await self._on.browser.step(request, dict(query_of(request)).get("flow", ""))
        return self._link_page(request, step)

    async def linked(self, request: Request) -> Response:
        """Take the code: from now on this pseudonym is of that account."""
        form = await own_form(request)
        step = await self._on.checked(request, form)
        post, way, parts = step.flow.unlinked, step.flow.way, self._on.parts
        code = form.get("code", "")
        if not post:
            raise Forbidden(NOT_HERE)
        self._on.count(request, f"link|{post}")
        try:
            person = await spend_entry_code(parts.store, parts.box, code, parts.tokens.now())
        except Forbidden:
            await self._on.note("", step.flow, outcome="refused", detail="code")
            return self._link_page(request, step, "link.wrong")
        await link(self._on.means, person, way, post, parts.tokens.now())
        await self._on.parts.note("oauth.means", person=person, detail=f"link:{way}")
        arrival = Arrival(person, step.flow.loa, way, step.flow.signed_in)
        return await self._on.arrived(request, step, arrival)

    def _link_page(self, request: Request, step: Step, warning: str = "") -> Response:
        if not step.flow.unlinked:
            raise Forbidden(NOT_HERE)
        return self._on.look.page(
            "link.html", request=request, here=f"link?flow={step.id}", step=step,
            status=400 if warning else 200, warning=warning,
        )  # fmt: skip


def _single(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Parameters that stand there once.

    Raises:
        errors.BadRequest: one stands there twice.
    """
    if len(dict(pairs)) < len(pairs):
        raise BadRequest("A parameter stands there more than once.")
    return dict(pairs)


def _place(kept: str) -> bytes:
    return f"oauth|{_ERRAND}|{kept}".encode()
