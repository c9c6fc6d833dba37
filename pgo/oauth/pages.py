"""The pages between an app's question and its code: decide, once somebody signed in.

No JavaScript, one stylesheet, forms of our own only. While anything about the app or its redirect
address is wrong, people see a page and nobody is redirected. How pages look is in `pgo.oauth.look`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from pgo.errors import BadRequest, Forbidden, NotFound, PgoError
from pgo.oauth import wording
from pgo.oauth.arriving import Arriving
from pgo.oauth.authorize import ToApp, answered, asked, client_id_of, where
from pgo.oauth.browser import own_form
from pgo.oauth.choices import labels
from pgo.oauth.cors import is_page
from pgo.oauth.flow import Flow, Flows, Stale, Step, check, flow_of, grant_of
from pgo.oauth.forms import query_of
from pgo.oauth.levels import wanted
from pgo.oauth.look import PLACES, SHOWN, Look
from pgo.oauth.par import must_push, pulled
from pgo.oauth.parts import Parts
from pgo.oauth.scopes import cap_of
from pgo.oauth.sign_in import SignIn
from pgo.oauth.sign_in_routes import add_sign_in
from pgo.oauth.silent import Silent, is_silent
from pgo.oauth.texts import Tongue
from pgo.registry import App
from pgo.web import drawn

_STALE = "This page is too old, or was opened elsewhere. Start again in the app."
_UI_LOCALES = "ui_locales"


class Pages:
    """The handlers of the pages, over `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._flows = Flows(parts)
        self._look = Look(secure=parts.secure)
        self.arriving = Arriving(parts, self._flows, self._look)
        self._browser = self.arriving.browser
        self._sign_in, self._silent = SignIn(self.arriving), Silent(self.arriving)

    def file(self, name: str) -> Response:
        """The stylesheet, or the pictograms."""
        return self._look.file(name)

    def fault(self, request: Request) -> Response:
        """The page of an error again, for another language; it says nothing about anybody."""
        query = dict(_pairs(request))
        asked, place = query.get("soort", ""), query.get("van", "own")
        if asked not in SHOWN or place not in PLACES:
            return self._look.error(NotFound("There is no such page."), request)
        return self._look.fault(asked, request, place)

    async def authorize(self, request: Request) -> Response:
        """Check what an app asks, and show who may sign in."""
        query = query_of(request)
        app = await self._parts.registry.app(client_id_of(query))
        pairs = await pulled(self._parts, query, app)
        redirect_uri = where(pairs, app)
        if app is None:
            raise BadRequest("This app is not known here.", place="client_id")
        sound = asked(pairs, app, redirect_uri, self._parts.issuer, self._parts.known)
        if must_push(query, app):
            detail = "This app must push its requests."
            raise ToApp("invalid_request", detail, redirect_uri, sound.state)
        if not self._sign_in.offered:
            detail = "Nobody can sign in here yet."
            raise ToApp("temporarily_unavailable", detail, redirect_uri, sound.state)
        params, now = dict(pairs), self._parts.tokens.now()
        need = wanted(params, sound.cap, self._parts.ways, now)
        if is_silent(params):
            code = await self._silent.code(request, sound, need, params.get("id_token_hint", ""))
            return self._back(redirect_uri, code=code, state=sound.state)
        return await self._sign_in.start(request, flow_of(sound, need), params.get(_UI_LOCALES, ""))

    async def consent(self, request: Request) -> Response:
        """Show who asks, what, for which dossier and how long; first which dossier, if need be."""
        query = dict(query_of(request))
        step = await self._step(request, query.get("flow", ""))
        flow = step.flow
        choices = await self._choices(flow, self._look.tongue(request))
        if not needs_dossier(flow):
            return await self._consent_page(request, step, None)
        chosen = [choice for choice in choices if choice[0] == query.get("dossier")]
        if not chosen:
            return await self._dossier_page(request, step, choices)
        return await self._consent_page(request, step, chosen[0])

    async def decide(self, request: Request) -> Response:
        """Take the decision, and send the app a code or a refusal."""
        form = await own_form(request)
        step = await self._step(request, form.get("flow", ""))
        flow, app = step.flow, await self._app(step.flow)
        if form.get("besluit") != "ja":
            return await self._denied(await self._take(request, form))
        given = wording.left_standing(cap_of(flow.scope), form)
        needed = given.one_dossier or wording.LAUNCH in flow.scope
        choices = await self._choices(flow, self._look.tongue(request))
        chosen = [one for one in choices if one[0] == form.get("dossier")]
        nothing = not given.reaches and "openid" not in given.context
        if nothing or (needed and not chosen):
            dossier = chosen[0] if chosen else None
            return await self._consent_page(request, step, dossier, form=form)
        await self._take(request, form)
        grant = grant_of(flow, given.texts(), chosen[0][0] if needed else "")
        await self._parts.note(
            "oauth.consent", person=flow.person, app=app.client_id, client=grant.dossier
        )
        code = await self._parts.tokens.code(grant)
        return self._back(flow.redirect_uri, code=code, state=flow.state)

    async def _denied(self, flow: Flow) -> Response:
        await self._parts.note(
            "oauth.consent",
            person=flow.person,
            app=flow.client_id,
            outcome="refused",
            detail="access_denied",
        )
        fields = {"error": "access_denied", "error_description": "The person said no."}
        return self._back(flow.redirect_uri, **fields, state=flow.state)

    async def answer(
        self, event: str, request: Request, work: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The answer of a handler; what is refused is written down, then shown or told."""
        try:
            return await work(request)
        except ToApp as refused:
            answer = self._back(
                refused.redirect_uri,
                error=refused.oauth,
                error_description=refused.detail,
                state=refused.state,
            )
            return await self._refused(event, request, refused, answer)
        except Exception as cause:  # noqa: BLE001 - whatever it is, a person gets a page
            error = drawn(cause, request.scope)
            page = self._look.error(error, request)
            return await self._refused(event, request, error, page)

    async def _refused(
        self, event: str, request: Request, why: PgoError, answer: Response
    ) -> Response:
        """The answer, once the refusal is written down."""
        try:
            app = await self._parts.registry.app(client_id_of(_pairs(request)))
            name = "" if app is None else app.client_id
            await self._parts.note(event, app=name, outcome="refused", detail=why.oauth)
        except Exception as lost:  # noqa: BLE001 - the same when that is what fails
            return self._look.error(drawn(lost, request.scope), request)
        return answer

    async def _dossier_page(
        self, request: Request, step: Step, choices: Sequence[tuple[str, str]]
    ) -> Response:
        """The choice; without any, the way back to the app.

        That is a link: after a form of ours, browsers stop a redirect to elsewhere.
        """
        flow, denied = step.flow, {"error": "access_denied"}
        denied |= {"error_description": "There is no dossier.", "state": flow.state}
        if not choices:
            await self._parts.note(
                "oauth.consent", person=flow.person, app=flow.client_id, outcome="refused",
                detail="no-dossier",
            )  # fmt: skip
        return self._look.page(
            "dossier.html",
            request=request,
            back=answered(flow.redirect_uri, self._parts.issuer, **denied),
            app=await self._app(step.flow),
            person=await self._name(step.flow),
            choices=[(_consent(step, client), label) for client, label in choices],
        )

    async def _consent_page(
        self,
        request: Request,
        step: Step,
        dossier: tuple[str, str] | None,
        form: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """The page to decide on; with `form` because something in it was missing."""
        flow, needs = step.flow, needs_dossier(step.flow)
        words = self._look.tongue(request)
        missing = "choose_dossier" if needs and dossier is None else "tick_one"
        return self._look.page(
            "consent.html",
            request=request,
            here=_consent(step, dossier[0] if dossier else ""),
            status=400 if form else 200,
            goes_to=flow.redirect_uri,
            step=step,
            app=await self._app(flow),
            person=await self._name(flow),
            place=wording.place_of(flow.redirect_uri),
            needs_dossier=needs,
            dossier=dossier,
            another=_consent(step, ""),
            groups=wording.grouped(wording.lines(cap_of(flow.scope), words)),
            ticked=form,
            missing=missing if form else "",
        )

    async def _name(self, flow: Flow) -> str:
        account = await self._parts.registry.account(flow.person)
        return "" if account is None else account.name

    async def _choices(self, flow: Flow, words: Tongue) -> Sequence[tuple[str, str]]:
        """What this person may choose from, and what it is called; only what the app named."""
        all_ = labels(await self._parts.dossiers_of(flow.person), words)
        return [choice for choice in all_.items() if flow.only in ("", choice[0])]

    async def _app(self, flow: Flow) -> App:
        app = await self._parts.registry.app(flow.client_id)
        if app is None or app.disabled:
            raise Forbidden("This app may not be used any more.")
        return app

    async def _step(self, request: Request, id_: str) -> Step:
        """A page to decide on, while its person did not sign out."""
        step = await self._browser.step(request, id_)
        flow, sessions = step.flow, self.arriving.sessions
        if not flow.person or not await sessions.is_listed(flow.person, flow.session):
            raise Stale(_STALE)
        return step

    async def _take(self, request: Request, form: dict[str, str]) -> Flow:
        step = await self._step(request, form.get("flow", ""))
        check(step, form.get("form", ""))
        return await self._flows.end(step)

    def _back(self, redirect_uri: str, **fields: str) -> Response:
        address = answered(redirect_uri, self._parts.issuer, **fields)
        return self._look.onward(address)


def needs_dossier(flow: Flow) -> bool:
    """Whether one dossier is to be chosen before anything is decided."""
    return cap_of(flow.scope).one_dossier


def _consent(step: Step, dossier: str) -> str:
    """The address of the page to decide on; without a dossier, of the page to choose one."""
    return f"consent?{urlencode({'flow': step.id} | ({'dossier': dossier} if dossier else {}))}"


def page_of_error(*, secure: bool) -> Callable[[PgoError, Request], Response | None]:
    """Draws what is wrong outside any page, for browsers that ask for a page where people look."""
    look = Look(secure=secure)

    def drawn_for(error: PgoError, request: Request) -> Response | None:
        path, accepted = request.scope["path"], request.headers.get("accept", "")
        people = path == "/" or path.startswith("/mijn/") or is_page(path)
        return look.error(error, request) if people and "text/html" in accepted else None

    return drawn_for


def router(parts: Parts) -> APIRouter:
    """The routes of the pages."""
    routes, pages = APIRouter(), Pages(parts)

    @routes.get("/oauth/authorize", summary="An app asks for access (RFC 6749, PKCE S256)")
    async def authorize(request: Request) -> Response:
        """For a browser: ends at the app's redirect address with `code`, `state` and `iss`."""
        return await pages.answer("oauth.authorize", request, pages.authorize)

    @routes.get("/oauth/consent", include_in_schema=False)
    async def consent(request: Request) -> Response:
        return await pages.answer("oauth.consent", request, pages.consent)

    @routes.post("/oauth/consent", include_in_schema=False)
    async def decide(request: Request) -> Response:
        return await pages.answer("oauth.consent", request, pages.decide)

    @routes.get("/oauth/style.css", include_in_schema=False)
    async def style() -> Response:
        return pages.file("style.css")

    @routes.get("/oauth/pictograms.svg", include_in_schema=False)
    async def pictograms() -> Response:
        return pages.file("pictograms.svg")

    @routes.get("/oauth/passkey.js", include_in_schema=False)
    async def script() -> Response:
        return pages.file("passkey.js")

    @routes.get("/oauth/error", include_in_schema=False)
    async def fault(request: Request) -> Response:
        return pages.fault(request)

    add_sign_in(routes, pages.arriving, pages.answer)
    return routes


def _pairs(request: Request) -> list[tuple[str, str]]:
    try:
        return query_of(request)
    except PgoError:
        return []
