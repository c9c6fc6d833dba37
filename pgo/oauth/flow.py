"""One person on the way from an app's question to a code: sign in, choose, decide.

A flow is kept sealed under the hash of its id, for half an hour. It is bound to one browser by a
cookie, and its form token follows from both. A step is taken, so that it happens once; what comes
after signing in lives under a new id, a new cookie and so a new form token.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from hmac import compare_digest

import orjson

from pgo.errors import Forbidden, Incident
from pgo.oauth.authorize import Asked
from pgo.oauth.levels import Wanted
from pgo.oauth.parts import Parts
from pgo.oauth.scopes import cap_of
from pgo.oauth.tokens import Grant, digest, generation_of
from pgo.registry import Account, App

LIVES = 1800
"""Seconds for a page: enough to read it slowly, or to ask somebody to look along."""
_SPACE = "flow"
_STALE = "This page is too old, or was opened elsewhere. Start again in the app."


class Stale(Forbidden):
    """A page of a sign-in that is over, was decided, or belongs to another browser."""

    fault = "stale"


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known so far; `person` is "" until somebody signed in and said in which role.

    Attributes:
        browser: the hash of the cookie.
        goal: page of our own this leads to, when no app asked (`client_id` is "").
        least, since: level the sign-in must have, and the moment it may not be before.
        who: account that signed in and has yet to choose a role.
        unlinked: signpost of a provider's pseudonym that is of nobody yet.
        way: how somebody signed in.
        session: what that sign-in is on the person's list; signing out ends the flow as well.
    """

    client_id: str
    redirect_uri: str
    state: str
    challenge: str
    scope: tuple[str, ...]
    only: str
    nonce: str
    bound: str
    browser: str
    person: str = ""
    kind: str = ""
    org: str = ""
    loa: str = ""
    signed_in: int = 0
    generation: int = 0
    goal: str = ""
    least: str = "laag"
    since: int = 0
    who: str = ""
    unlinked: str = ""
    way: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A flow with what its page needs: `id` for the form, `cookie` for the browser."""

    id: str
    cookie: str
    flow: Flow

    @property
    def form_token(self) -> str:
        """Stands in the forms of this step; nobody can make it without the cookie."""
        return digest(f"form|{self.id}|{self.cookie}")


def cookie_name(id_: str, *, secure: bool) -> str:
    """The cookie of a flow: one per flow, so that two apps may ask at the same time."""
    return f"{'__Host-' if secure else ''}pgo-{digest(id_)[:12]}"


class Flows:
    """Begins, moves on and ends flows, in the store of `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def look(self, id_: str, cookie: str) -> Step:
        """The flow, for whoever has its cookie.

        Raises:
            errors.Forbidden: there is none, or this is another browser.
        """
        name, tokens = digest(id_), self._parts.tokens
        sealed = await self._parts.store.peek(_SPACE, name, tokens.now())
        flow = None if sealed is None else self._opened(name, sealed)
        if flow is None or not compare_digest(flow.browser, digest(cookie)):
            raise Stale(_STALE)
        return Step(id_, cookie, flow)

    async def end(self, step: Step) -> Flow:
        """End a step whose form was checked, or that came back from a provider; once.

        Raises:
            errors.Forbidden: it was ended before.
        """
        taken = await self._parts.store.take(_SPACE, digest(step.id), self._parts.tokens.now())
        if taken is None:
            raise Stale(_STALE)
        return step.flow

    async def signed_in(
        self, flow: Flow, account: Account, app: App, *, kind: str, org: str
    ) -> Step:
        """The flow of a person who proved who he is, under a new id and cookie.

        `kind` and `org` say in which role the person acts; level and moment stand in the flow.
        """
        found = replace(
            flow, person=account.id, kind=kind, org=org, who="", loa=flow.loa or account.loa,
            signed_in=flow.signed_in or self._parts.tokens.now(),
            generation=generation_of(app, account),
        )  # fmt: skip
        return await self.keep(found)

    async def keep(self, flow: Flow) -> Step:
        """A new step for a flow, under a new id, cookie and form token."""
        tokens = self._parts.tokens
        id_, cookie = tokens.secret(), tokens.secret()
        flow = replace(flow, browser=digest(cookie))
        name = digest(id_)
        sealed = self._parts.box.seal(_place(name), orjson.dumps(asdict(flow)))
        await self._parts.store.put(_SPACE, name, sealed, tokens.now() + LIVES, fresh=True)
        return Step(id_, cookie, flow)

    def _opened(self, name: str, sealed: bytes) -> Flow | None:
        try:
            raw = orjson.loads(self._parts.box.open(_place(name), sealed))
        except (Incident, ValueError):
            return None
        if raw.keys() != {one.name for one in fields(Flow)}:
            return None
        return Flow(**{**raw, "scope": tuple(raw["scope"])})


def flow_of(asked: Asked, wanted: Wanted) -> Flow:
    """The flow of a sound request, before anybody signed in."""
    return Flow(
        client_id=asked.app.client_id, redirect_uri=asked.redirect_uri, state=asked.state,
        challenge=asked.challenge, scope=asked.cap.texts(), only=asked.only, nonce=asked.nonce,
        bound=asked.bound, browser="", least=wanted.level, since=wanted.since,
    )  # fmt: skip


def flow_to(goal: str, wanted: Wanted) -> Flow:
    """The flow to a page of our own."""
    return Flow(
        client_id="", redirect_uri="", state="", challenge="", scope=(), only="", nonce="",
        bound="", browser="", goal=goal, least=wanted.level, since=wanted.since,
    )  # fmt: skip


def check(step: Step, form: str) -> None:
    """Whether a form token is that of this step.

    Raises:
        errors.Forbidden: it is not.
    """
    if not compare_digest(step.form_token.encode(), form.encode()):
        raise Stale(_STALE)


def grant_of(flow: Flow, scope: tuple[str, ...], dossier: str) -> Grant:
    """What the person gives the app: what was ticked, for one dossier when that is needed."""
    cap_of(scope)
    return Grant(
        person=flow.person, kind=flow.kind, org=flow.org, app=flow.client_id, dossier=dossier,
        scope=scope, service="", loa=flow.loa, family="", generation=flow.generation,
        issued=0, expires=0, until=0, bound=flow.bound, signed_in=flow.signed_in,
        redirect_uri=flow.redirect_uri, challenge=flow.challenge, nonce=flow.nonce,
    )  # fmt: skip


def _place(name: str) -> bytes:
    return f"oauth|{_SPACE}|{name}".encode()
