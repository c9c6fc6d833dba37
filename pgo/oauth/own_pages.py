"""Pages of somebody who is signed in: passkeys and recovery codes, and where one is signed in.

Every form holds the token of its session. Who changes what an account is signed in with must have
signed in a short while ago, and a new key never gives a higher level than that sign-in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from pgo.errors import Conflict, Forbidden, NotFound
from pgo.oauth.arriving import Arriving
from pgo.oauth.browser import own_form
from pgo.oauth.forms import query_of
from pgo.oauth.network import network_of
from pgo.oauth.news import SHOWN, sentence, since
from pgo.oauth.passkeys import MOST_NAME, Passkeys
from pgo.oauth.recovery import make_codes
from pgo.oauth.sessions import Session, check_form
from pgo.oauth.sign_in import FRESH

Shown = Callable[[Request, Session], Awaitable[Response]]
_SLACK = 120
"""Seconds a person may take between signing in and the page that needs a fresh sign-in."""


class OwnPages:
    """The handlers of these pages."""

    def __init__(self, arriving: Arriving, passkeys: Passkeys) -> None:
        self._on, self._keys = arriving, passkeys

    async def within(
        self, request: Request, goal: str, work: Shown, *, fresh: bool = False
    ) -> Response:
        """What `work` shows to whoever is signed in; others are sent to sign in, and back."""
        session = await self._on.sessions.current(request)
        oldest = self._on.parts.tokens.now() - FRESH - _SLACK if fresh else 0
        if session is None or session.at < oldest:
            return self._on.look.onward(f"sign-in?next={goal}")
        return await work(request, session)

    # --- passkeys ------------------------------------------------------------------------------

    async def passkeys(self, request: Request) -> Response:
        """The keys of an account."""
        flow = dict(query_of(request)).get("flow", "")
        if flow:
            await self._on.browser.step(request, flow)

        async def shown(_: Request, session: Session) -> Response:
            return await self._passkeys_page(request, session, flow=flow)

        return await self.within(request, "passkeys", shown, fresh=True)

    async def add_passkey(self, request: Request) -> Response:
        """Keep a new key."""

        async def added(_: Request, session: Session) -> Response:
            form = await self._form(request, session)
            words = self._on.look.tongue(request)
            unnamed = words.text("passkeys.unnamed", day=words.day(self._on.parts.tokens.now()))
            name = " ".join(form.get("naam", "").split())[:MOST_NAME] or unnamed
            if not name.isprintable():
                return await self._passkeys_page(request, session, warning="passkeys.wrong")
            sent = form.get("credential", "")
            try:
                await self._keys.add(session.id, session.person, session.level, name, sent)
            except Conflict:
                return await self._passkeys_page(request, session, warning="passkeys.full")
            except Forbidden:
                return await self._passkeys_page(request, session, warning="passkeys.wrong")
            await self._on.parts.note("oauth.means", person=session.person, detail="passkey")
            return self._on.look.onward("passkeys")

        return await self.within(request, "passkeys", added, fresh=True)

    async def remove_passkey(self, request: Request) -> Response:
        """Take a key away."""

        async def removed(_: Request, session: Session) -> Response:
            form = await self._form(request, session)
            await self._on.parts.note("oauth.means", person=session.person, detail="no-passkey")
            try:
                await self._keys.remove(session.person, form.get("sleutel", ""))
            except Conflict:
                return await self._passkeys_page(request, session, warning="passkeys.last")
            return self._on.look.onward("passkeys")

        return await self.within(request, "passkeys", removed, fresh=True)

    async def recovery(self, request: Request) -> Response:
        """Make recovery codes, and show them this once."""

        async def made(_: Request, session: Session) -> Response:
            await self._form(request, session)
            await self._on.parts.note("oauth.means", person=session.person, detail="codes")
            now = self._on.parts.tokens.now()
            codes = await make_codes(self._on.means, session.person, now)
            return self._on.look.page(
                "recovery.html", request=request, here="passkeys", codes=codes
            )

        return await self.within(request, "passkeys", made, fresh=True)

    async def _passkeys_page(
        self, request: Request, session: Session, *, warning: str = "", flow: str = ""
    ) -> Response:
        if not self._on.parts.ways.passkey_level:
            raise NotFound("Passkeys are not offered here.")
        account = await self._on.account(session.person)
        site = self._on.look.tongue(request)["site.name"]
        options = await self._keys.invite(session.id, session.person, account.name, site)
        means = await self._on.means.of(session.person)
        return self._on.look.page(
            "passkeys.html", request=request, here="passkeys", script=True,
            status=400 if warning else 200, warning=warning, passkeys=means.passkeys,
            codes_left=len(means.codes), options=options, form_token=session.form_token, flow=flow,
        )  # fmt: skip

    # --- sessions ------------------------------------------------------------------------------

    async def sessions(self, request: Request) -> Response:
        """Where somebody is signed in."""
        return await self.within(request, "sessions", self._sessions_page)

    async def end_session(self, request: Request) -> Response:
        """Sign out somewhere else."""

        async def ended(_: Request, session: Session) -> Response:
            form = await self._form(request, session)
            await self._on.sessions.end(session.person, form.get("sessie", ""))
            await self._on.parts.note("oauth.sign-out", person=session.person, detail="elsewhere")
            return self._on.look.onward("sessions")

        return await self.within(request, "sessions", ended)

    async def sign_out(self, request: Request) -> Response:
        """Sign out here, or everywhere."""

        async def out(_: Request, session: Session) -> Response:
            form = await self._form(request, session)
            everywhere = form.get("waar") == "overal"
            detail = "everywhere" if everywhere else "here"
            sessions = self._on.sessions
            await sessions.end(session.person, session.id)
            if everywhere:
                await sessions.end_all(session.person)
            await self._on.parts.note("oauth.sign-out", person=session.person, detail=detail)
            page = await self._on.signed_out(request, session.way)
            await sessions.end_here(request, page)
            sessions.leave(page)
            return page

        return await self.within(request, "sessions", out)

    async def signed_out(self, request: Request) -> Response:
        """The page after signing out once more, in another language; of nobody in particular."""
        if await self._on.sessions.current(request) is not None:
            return self._on.look.onward("sessions")
        self._on.parts.count("sign-in-begun", network_of(request))
        return await self._on.signed_out(request, dict(query_of(request)).get("bij", ""))

    async def _sessions_page(self, request: Request, session: Session) -> Response:
        labels = {one.name: one.label for one in self._on.parts.ways.providers}
        words = self._on.look.tongue(request)
        means = await self._on.means.of(session.person)
        fresh = since(means.news, at=self._on.parts.tokens.now() - SHOWN)
        news = [(words.moment(one.at), sentence(one, words, labels)) for one in fresh]
        listed = [
            {
                "id": one.id,
                "since": one.since,
                "way": labels.get(one.way) or words.any_of("ways", one.way),
            }
            for one in await self._on.sessions.listed(session.person)
        ]
        return self._on.look.page(
            "sessions.html", request=request, here="sessions", sessions=listed, mine=session.id,
            form_token=session.form_token, ends_apps=self._on.parts.ways.ends_apps,
            passkeys=self._on.parts.ways.passkey_level != "", news=news,
        )  # fmt: skip

    async def _form(self, request: Request, session: Session) -> dict[str, str]:
        form = await own_form(request)
        check_form(session, form)
        return form
