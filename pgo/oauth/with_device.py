"""Signing in with a passkey, a recovery code or an operator's code."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request, Response

from pgo.errors import Forbidden, NotFound
from pgo.oauth.arriving import CODE, PASSKEY, RECOVERY, Arrival, Arriving
from pgo.oauth.browser import own_form
from pgo.oauth.flow import Step
from pgo.oauth.forms import query_of
from pgo.oauth.network import network_of
from pgo.oauth.news import ENTRY
from pgo.oauth.passkeys import Passkeys
from pgo.oauth.recovery import PART, looks_like_entry, spend, spend_entry_code, tidy
from pgo.oauth.tokens import digest


class WithDevice:
    """The handlers of signing in without a provider."""

    def __init__(self, arriving: Arriving, passkeys: Passkeys) -> None:
        self._on, self._passkeys = arriving, passkeys

    async def passkey(self, request: Request) -> Response:
        """The page that asks a device for proof."""
        step = await self._on.browser.step(request, dict(query_of(request)).get("flow", ""))
        self._on.parts.count("sign-in-begun", network_of(request))
        return await self._passkey_page(request, step)

    async def proved(self, request: Request) -> Response:
        """Take a device's proof."""
        form = await own_form(request)
        step = await self._on.checked(request, form)
        sent = form.get("credential", "")
        self._on.count(request, f"passkey|{_id_in(sent)}")
        try:
            proved = await self._passkeys.prove(step.id, sent)
            account = await self._on.account(proved.person)
        except Forbidden:
            await self._on.note("", step.flow, outcome="refused", detail=PASSKEY)
            return await self._passkey_page(request, step, warning=True)
        now = self._on.parts.tokens.now()
        return await self._on.arrived(
            request, step, Arrival(account.id, proved.level, PASSKEY, now)
        )

    async def _passkey_page(
        self, request: Request, step: Step, *, warning: bool = False
    ) -> Response:
        if not self._on.parts.ways.passkey_level:
            raise NotFound("Passkeys are not offered here.")
        return self._on.look.page(
            "passkey.html", request=request, here=f"passkey?flow={step.id}", step=step,
            script=True, status=403 if warning else 200, warning=warning,
            options=await self._passkeys.ask(step.id),
        )  # fmt: skip

    async def recover(self, request: Request) -> Response:
        """The page that asks for a recovery code, or an operator's code."""
        step = await self._on.browser.step(request, dict(query_of(request)).get("flow", ""))
        return self._recover_page(request, step)

    async def recovered(self, request: Request) -> Response:
        """Take such a code; both lead to the page where a new passkey is made."""
        form = await own_form(request)
        step = await self._on.checked(request, form)
        code, parts = form.get("code", ""), self._on.parts
        self._on.count(request, f"code|{digest(tidy(code)[:PART])}")
        now = parts.tokens.now()
        try:
            if looks_like_entry(code):
                person = await spend_entry_code(parts.store, parts.box, code, now)
                await self._on.means.change(person, lambda mine: mine.telling(ENTRY, now))
                arrival = Arrival(person, parts.ways.passkey_level, CODE, now)
            else:
                arrival = Arrival(await spend(self._on.means, code, now), "laag", RECOVERY, now)
        except Forbidden:
            await self._on.note("", step.flow, outcome="refused", detail=RECOVERY)
            return self._recover_page(request, step, "recover.wrong")
        return await self._on.arrived(request, step, arrival)

    def _recover_page(self, request: Request, step: Step, warning: str = "") -> Response:
        if not self._on.parts.ways.passkey_level:
            raise NotFound("Passkeys are not offered here.")
        return self._on.look.page(
            "recover.html", request=request, here=f"recover?flow={step.id}", step=step,
            status=400 if warning else 200, warning=warning,
        )  # fmt: skip


def _id_in(sent: str) -> str:
    """What limits of a passkey are counted under, whether it is known or not."""
    try:
        found: Any = orjson.loads(sent)
    except ValueError:
        return ""
    return digest(str(found.get("id", ""))) if isinstance(found, dict) else ""
