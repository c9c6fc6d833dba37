"""`prompt=none`: a code without any page, for what somebody decided before (OIDC Core 3.1.2.1).

Needed are a session that is good enough and a decision that still stands: about this app, this
dossier and at least these scopes, for when the person is not there (`offline_access`). What comes
of it joins the tokens of that decision, and ends with them. An app that anybody can pretend to be,
without keys and with a redirect address that is not https, always gets pages (RFC 8252 8.6); so do
professionals, who say for whom they act each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fastapi import Request

from pgo.errors import Forbidden
from pgo.oauth.arriving import Arriving, enough
from pgo.oauth.authorize import Asked, ToApp
from pgo.oauth.flow import flow_of, grant_of
from pgo.oauth.levels import Wanted, lowest
from pgo.oauth.permitted import Permission, Permitted
from pgo.oauth.roles import Role, roles_of
from pgo.oauth.scopes import cap_of
from pgo.oauth.sessions import Session
from pgo.oauth.tokens import generation_of

LASTING = "offline_access"


def is_silent(params: Mapping[str, str]) -> bool:
    """Whether an app asks for an answer without pages."""
    return params.get("prompt", "").split() == ["none"]


class Silent:
    """Answers such questions, with what all ways to sign in share."""

    def __init__(self, arriving: Arriving) -> None:
        self._on, self._parts = arriving, arriving.parts
        self._permitted = Permitted(arriving.parts)

    async def code(self, request: Request, asked: Asked, need: Wanted, hint: str = "") -> str:
        """A code for what stands; `hint` is the app's id_token_hint.

        Raises:
            ToApp: login_required, consent_required or interaction_required (OIDC Core 3.1.2.6).
        """
        session = await self._session(request, asked, need, hint)
        role = await self._role(asked, session)
        stands = await self._standing(asked, role.account.id)
        level = lowest(session.level, role.account.loa)
        known = replace(
            flow_of(asked, need), person=role.account.id, kind=role.kind, org=role.org, loa=level,
            signed_in=session.at, generation=generation_of(asked.app, role.account),
        )  # fmt: skip
        grant = grant_of(known, asked.cap.texts(), stands.dossier)
        grant = replace(grant, family=stands.family, until=stands.until)
        await self._parts.note(
            "oauth.consent", person=grant.person, app=grant.app, client=grant.dossier,
            detail="standing",
        )  # fmt: skip
        return await self._parts.tokens.code(grant)

    async def _session(self, request: Request, asked: Asked, need: Wanted, hint: str) -> Session:
        """The session of this browser, when it is of the person the app thinks it is."""
        session = await self._on.sessions.current(request)
        if session is None or not enough(session, flow_of(asked, need)):
            raise _told("login_required", "Nobody is signed in, or not well enough.", asked)
        if hint:
            said = await self._parts.signing.read(hint)
            mine = await self._parts.signing.subject(asked.app.client_id, session.person)
            if (said.get("sub"), said.get("aud")) != (mine, asked.app.client_id):
                raise _told("login_required", "Somebody else is signed in.", asked)
        return session

    async def _role(self, asked: Asked, session: Session) -> Role:
        """As what the person acts, when there is nothing to choose and the app is surely itself."""
        known = asked.app.confidential or asked.redirect_uri.startswith("https://")
        try:
            account = await self._on.account(session.person)
        except Forbidden as refused:
            raise _told("login_required", "Nobody is signed in.", asked) from refused
        roles = await roles_of(self._parts.registry, account)
        if not known or len(roles) > 1 or roles[0].org:
            raise _told("interaction_required", "A person must decide on a page.", asked)
        return roles[0]

    async def _standing(self, asked: Asked, person: str) -> Permission:
        """The decision that still stands for all of this, the one that lasts longest."""
        open_ = {choice[0] for choice in await self._parts.dossiers_of(person)}
        found = [
            one
            for one in await self._permitted.of(person)
            if _is_for(one, asked)
            and (not one.dossier or one.dossier in open_)
            and await self._permitted.holds(person, one)
        ]
        if not found:
            raise _told("consent_required", "Nobody decided on this before.", asked)
        if len({one.dossier for one in found}) > 1:
            raise _told("interaction_required", "There is more than one dossier.", asked)
        return max(found, key=lambda one: one.until)


def _is_for(one: Permission, asked: Asked) -> bool:
    """Whether somebody decided on all that is asked."""
    needed = asked.cap.one_dossier
    about = asked.only in ("", one.dossier) if needed else not one.dossier
    scope = cap_of(one.scope)
    mine = one.app == asked.app.client_id and bool(one.dossier) == needed and about
    return mine and LASTING in scope.context and scope.covers(asked.cap)


def _told(code: str, detail: str, asked: Asked) -> ToApp:
    return ToApp(code, detail, asked.redirect_uri, asked.state)
