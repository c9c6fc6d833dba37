"""The addresses of apps: par, token, revoke, introspect, userinfo, keys and discovery.

Pages are in `pgo.oauth.pages` and `pgo.oauth.mine`.

Every answer to a refused call is an RFC 6749 error, drawn by `pgo.web`. Exactly one line is
written per call, before the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from pgo.errors import InvalidClient, InvalidGrant, Missing, PgoError, ScopeTooSmall
from pgo.oauth import mine, pages
from pgo.oauth.assertion import unproved
from pgo.oauth.clients import App, Provider
from pgo.oauth.forms import form_of
from pgo.oauth.grants import Server
from pgo.oauth.guard import SYSTEM, Guard, still_holds
from pgo.oauth.issue import Issue, token_type
from pgo.oauth.metadata import authorization_server
from pgo.oauth.network import network_of
from pgo.oauth.par import pushed
from pgo.oauth.parts import Parts
from pgo.oauth.possession import possession_of
from pgo.oauth.spent import Reused, Whose
from pgo.oauth.tokens import Grant, generation_of

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
KEYS_KEPT = {"Cache-Control": "public, max-age=300"}
Form = dict[str, str]
Work = Callable[[Form, Request], Awaitable[Response]]


def router(parts: Parts) -> APIRouter:
    """All routes of the authorization server."""
    routes = APIRouter(tags=["oauth"])
    server = Server(Issue(parts))
    _add_par(routes, parts, server)
    _add_token(routes, parts, server)
    _add_revoke(routes, parts, server)
    _add_introspect(routes, parts, server)
    _add_userinfo(routes, parts)

    @routes.get("/.well-known/oauth-authorization-server", summary="Metadata (RFC 8414)")
    @routes.get("/.well-known/openid-configuration", summary="Metadata (OpenID Connect Discovery)")
    async def metadata() -> dict[str, Any]:
        """Addresses and capabilities of this authorization server."""
        return authorization_server(parts.issuer)

    @routes.get("/oauth/jwks", summary="Keys that id_tokens are signed with (RFC 7517)")
    async def keys() -> Response:
        """Keys in use, and those replaced a short while ago."""
        return JSONResponse(await parts.signing.published(), headers=KEYS_KEPT)

    routes.include_router(pages.router(parts))
    routes.include_router(mine.router(parts))
    return routes


def _add_par(routes: APIRouter, parts: Parts, server: Server) -> None:
    async def work(form: Form, request: Request) -> Response:
        client = await server.client(form)
        kept = await pushed(parts, request, client, form)
        await parts.note("oauth.par", app=client.client_id)
        return JSONResponse(kept, 201, headers=NO_STORE)

    @routes.post(
        "/oauth/par", summary="Push a request (RFC 9126)", openapi_extra=_form("client_id")
    )
    async def par(request: Request) -> Response:
        """Push an authorization request; `request_uri` in the answer is good once, for a minute."""
        return await _written(parts, "oauth.par", request, work)


def _add_token(routes: APIRouter, parts: Parts, server: Server) -> None:
    async def work(form: Form, request: Request) -> Response:
        bound = await possession_of(parts, request)
        return JSONResponse(await server.token(form, bound), headers=NO_STORE)

    @routes.post("/oauth/token", summary="Tokens (RFC 6749)", openapi_extra=_form("grant_type"))
    async def token(request: Request) -> Response:
        """Exchange a code, a refresh token or a system's assertion for an access token."""
        return await _written(parts, "oauth.token", request, work)


def _add_userinfo(routes: APIRouter, parts: Parts) -> None:
    guard = Guard(parts.registry, parts.tokens, parts.proofs)

    async def told(request: Request) -> Response:
        caller = await guard.caller_of(request.scope)
        if "openid" not in caller.scope:
            raise ScopeTooSmall("The scope of this token does not reach this.", place="openid")
        said = {"sub": await parts.signing.subject(caller.app, caller.person)}
        if "fhirUser" in caller.scope:
            user = await parts.fhir_user_of(caller.person, caller.dossier)
            said |= {"fhirUser": user} if user else {}
        await parts.note("oauth.userinfo", person=caller.person, app=caller.app)
        return JSONResponse(said, headers=NO_STORE)

    @routes.get("/oauth/userinfo", summary="Who signed in (OpenID Connect)")
    @routes.post("/oauth/userinfo", include_in_schema=False)
    async def userinfo(request: Request) -> Response:
        """A pseudonym of the person for this app, and the address of his own resource."""
        try:
            return await told(request)
        except Exception as refused:
            detail = refused.oauth if isinstance(refused, PgoError) else "server_error"
            await parts.note("oauth.userinfo", outcome="refused", detail=detail)
            raise


def _add_revoke(routes: APIRouter, parts: Parts, server: Server) -> None:
    async def work(form: Form, _: Request) -> Response:
        client, text = await server.client(form), _token(form)
        space, grant = await parts.tokens.find(text) or ("", None)
        if grant is None or grant.app != client.client_id:
            await parts.note("oauth.revoke", app=client.client_id, detail="nothing")
            return Response(headers=NO_STORE)
        await parts.tokens.revoke(space, text, grant)
        await parts.note(
            "oauth.revoke", person=grant.person, app=grant.app, client=grant.dossier, detail=space
        )
        return Response(headers=NO_STORE)

    @routes.post("/oauth/revoke", summary="End a token (RFC 7009)", openapi_extra=_form("token"))
    async def revoke(request: Request) -> Response:
        """End a token of the app that asks; any other token is left alone, with the same answer."""
        return await _written(parts, "oauth.revoke", request, work)


def _add_introspect(routes: APIRouter, parts: Parts, server: Server) -> None:
    async def work(form: Form, _: Request) -> Response:
        client = await server.client(form)
        if not client.confidential:
            raise unproved()
        told = await _told(parts, client, _token(form))
        detail = "active" if told["active"] else "inactive"
        await parts.note("oauth.introspect", app=client.client_id, detail=detail)
        return JSONResponse(told, headers=NO_STORE)

    @routes.post(
        "/oauth/introspect", summary="About a token (RFC 7662)", openapi_extra=_form("token")
    )
    async def introspect(request: Request) -> Response:
        """What a token is good for: resource servers may ask about all, others about their own."""
        return await _written(parts, "oauth.introspect", request, work)


async def _written(parts: Parts, event: str, request: Request, work: Work) -> Response:
    """The answer to a form; a refusal, or a crash, is written down before it is given."""
    form: Form = {}
    try:
        try:
            form = await form_of(request)
            return await work(form, request)
        except Reused as twice:
            await _stopped(parts, event, twice.whose)
            raise
        except (InvalidClient, InvalidGrant):
            parts.count("failed", network_of(request))
            raise
    except Reused:
        raise
    except Exception as refused:
        app = await parts.registry.client(form.get("client_id", ""))
        name = "" if app is None else app.client_id
        detail = refused.oauth if isinstance(refused, PgoError) else "server_error"
        await parts.note(event, app=name, outcome="refused", detail=detail)
        raise


async def _stopped(parts: Parts, event: str, whose: Whose) -> None:
    """A refresh token came twice: all the app has of the person ends, and the person is told."""
    person, app, dossier = whose.person, whose.app, whose.dossier
    if await parts.registry.account(person) is not None:
        await parts.registry.end_tokens_of_person(person, app)
    said = {"person": person, "app": app, "client": dossier}
    await parts.note(event, outcome="refused", detail="reuse", **said)
    await parts.warn(person, app, dossier, whose.family)


async def _told(parts: Parts, client: App | Provider, text: str) -> dict[str, Any]:
    found = await parts.tokens.find(text)
    if found is None:
        return {"active": False}
    space, grant = found
    everything = isinstance(client, App) and client.introspects
    if not (everything or grant.app == client.client_id) or not await _holds(parts, grant):
        return {"active": False}
    told: dict[str, Any] = {
        "active": True,
        "iss": parts.issuer,
        "client_id": grant.app,
        "sub": await _subject(parts, grant),
        "scope": " ".join(grant.scope),
        "iat": grant.issued,
        "exp": grant.expires,
    }
    if space == "access":
        told |= {"token_type": token_type(grant)}
    if grant.bound:
        kind, _, thumbprint = grant.bound.partition(":")
        told["cnf"] = {"jkt" if kind == "jkt" else "x5t#S256": thumbprint}
    if grant.dossier:
        told["patient"] = await parts.patient_of(grant.dossier)
    user = await parts.fhir_user_of(grant.person, grant.dossier) if _names(grant) else ""
    return told | ({"fhirUser": user} if user else {})


def _names(grant: Grant) -> bool:
    """Whether the app of a token was told who uses it."""
    return "fhirUser" in grant.scope


async def _subject(parts: Parts, grant: Grant) -> str:
    """A system's name, and of a person what the app of the token knows him by."""
    if grant.kind == SYSTEM:
        return grant.person
    return await parts.signing.subject(grant.app, grant.person)


async def _holds(parts: Parts, grant: Grant) -> bool:
    if grant.kind == SYSTEM:
        provider = await parts.registry.provider(grant.app)
        fresh = provider is not None and grant.generation == generation_of(provider, None)
        return fresh and provider is not None and not provider.disabled
    account = await parts.registry.account(grant.person)
    app = await parts.registry.app(grant.app)
    return account is not None and still_holds(grant, account, app)


def _token(form: Form) -> str:
    if "token" not in form:
        raise Missing("The token is missing.", place="token")
    return form["token"]


def _form(*required: str) -> dict[str, Any]:
    """OpenAPI's description of a form body."""
    properties = {name: {"type": "string"} for name in (*required, "client_id", "client_assertion")}
    schema = {"type": "object", "required": list(required), "properties": properties}
    media = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": media}}
