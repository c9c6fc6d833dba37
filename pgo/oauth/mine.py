"""The pages of a person who is signed in: the first page, and which apps may do what since when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from pgo.errors import NotFound, PgoError
from pgo.oauth import wording
from pgo.oauth.browser import own_form
from pgo.oauth.choices import labels
from pgo.oauth.flow import Stale
from pgo.oauth.look import Look
from pgo.oauth.means import AllMeans
from pgo.oauth.news import SHOWN, since
from pgo.oauth.parts import Parts
from pgo.oauth.permitted import Permission, Permitted
from pgo.oauth.scopes import cap_of
from pgo.oauth.sessions import Session, Sessions, check_form
from pgo.oauth.texts import Tongue
from pgo.web import drawn


@dataclass(frozen=True, slots=True)
class Let:
    """One thing an app was let into: days in words; `over` when the app can do nothing now."""

    dossier: str
    groups: Sequence[wording.Group]
    since: str
    used: str
    until: str
    over: bool


@dataclass(frozen=True, slots=True)
class LetIn:
    """An app, with all it was let into; `over` when all of that is."""

    client_id: str
    name: str
    lets: Sequence[Let]

    @property
    def over(self) -> bool:
        """Whether there is nothing to stop."""
        return all(one.over for one in self.lets)


class Mine:
    """The handlers, over `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._look = Look(secure=parts.secure)
        self._means = AllMeans(parts.store, parts.box)
        self._sessions = Sessions(parts, self._means)
        self._permitted = Permitted(parts)

    async def home(self, request: Request) -> Response:
        """Where everything of one's own begins."""
        session = await self._sessions.current(request)
        if session is None:
            return self._look.onward("oauth/sign-in?next=home")
        account = await self._parts.registry.account(session.person)
        name = "" if account is None else account.name
        news = (await self._means.of(session.person)).news
        return self._look.page(
            "home.html",
            request=request,
            person=name,
            passkeys=self._parts.ways.passkey_level != "",
            news=since(news, at=self._parts.tokens.now() - SHOWN),
            form_token=session.form_token,
        )

    async def apps(self, request: Request) -> Response:
        """Which apps may do what, since when; what just stopped is told when it is so."""
        session = await self._sessions.current(request)
        if session is None:
            return self._look.onward("../oauth/sign-in?next=apps")
        let_in = await self._let_in(session.person, self._look.tongue(request))
        stopped = await self._parts.registry.app(request.query_params.get("gestopt", ""))
        live = [one.client_id for one in let_in if not one.over]
        return self._look.page(
            "apps.html",
            request=request,
            apps=let_in,
            stopped=stopped.name if stopped and stopped.client_id not in live else "",
            form_token=session.form_token,
        )

    async def stop(self, request: Request) -> Response:
        """Take an app's access away; all its tokens of this person end at once."""
        form = await own_form(request)
        session = await self._session(request)
        check_form(session, form)
        app = form.get("app", "")
        if app not in {one.app for one in await self._permitted.of(session.person)}:
            raise NotFound("There is no such app.")
        await self._permitted.withdraw(session.person, app)
        await self._parts.note("oauth.revoke", person=session.person, app=app, detail="withdrawn")
        return self._look.onward(f"../apps?gestopt={app}")

    async def answer(
        self, request: Request, work: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The answer of a handler; what is refused is written down and shown."""
        try:
            return await work(request)
        except Exception as cause:  # noqa: BLE001 - whatever it is, a person gets a page
            refused = drawn(cause, request.scope)
            page = self._look.error(refused, request)
            try:
                await self._parts.note("oauth.revoke", outcome="refused", detail=refused.oauth)
            except PgoError as lost:
                return self._look.error(drawn(lost, request.scope), request)
            return page

    async def _session(self, request: Request) -> Session:
        session = await self._sessions.current(request)
        if session is None:
            raise Stale("Nobody is signed in in this browser.")
        return session

    async def _let_in(self, person: str, words: Tongue) -> list[LetIn]:
        called = labels(await self._parts.dossiers_of(person), words)
        by_app: dict[str, list[Let]] = {}
        for one in await self._permitted.of(person):
            over = not await self._permitted.holds(person, one)
            by_app.setdefault(one.app, []).append(_let(one, words, called, over=over))
        found = []
        for client_id, lets in by_app.items():
            app = await self._parts.registry.app(client_id)
            name = client_id if app is None else app.name
            found.append(LetIn(client_id, name, list(dict.fromkeys(lets))))
        return sorted(found, key=lambda one: (one.over, one.name))


def router(parts: Parts) -> APIRouter:
    """The routes of these pages."""
    routes, mine = APIRouter(), Mine(parts)

    @routes.get("/mijn", include_in_schema=False)
    async def home(request: Request) -> Response:
        return await mine.answer(request, mine.home)

    @routes.get("/mijn/apps", include_in_schema=False)
    async def apps(request: Request) -> Response:
        return await mine.answer(request, mine.apps)

    @routes.post("/mijn/apps/stoppen", include_in_schema=False)
    async def stop(request: Request) -> Response:
        return await mine.answer(request, mine.stop)

    return routes


def _let(one: Permission, words: Tongue, called: dict[str, str], *, over: bool) -> Let:
    dossier = called.get(one.dossier, words["apps.closed"]) if one.dossier else ""
    return Let(
        dossier=dossier,
        groups=tuple(wording.grouped(wording.lines(cap_of(one.scope), words))),
        since=words.day(one.since),
        used=words.day(one.used),
        until=words.moment(one.until),
        over=over,
    )
