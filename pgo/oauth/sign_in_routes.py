"""The addresses of signing in and of one's own keys and sessions; no logic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from pgo.oauth.arriving import Arriving
from pgo.oauth.at_provider import AtProvider
from pgo.oauth.own_pages import OwnPages
from pgo.oauth.passkeys import Passkeys
from pgo.oauth.sign_in import SignIn
from pgo.oauth.with_device import WithDevice

Work = Callable[[Request], Awaitable[Response]]
Answer = Callable[[str, Request, Work], Awaitable[Response]]


def add_sign_in(routes: APIRouter, arriving: Arriving, answer: Answer) -> None:
    """All of them; `answer` draws and writes down what is refused."""
    passkeys = Passkeys(arriving.parts, arriving.means)
    sign_in, device = SignIn(arriving), WithDevice(arriving, passkeys)
    own = OwnPages(arriving, passkeys)
    rows: tuple[tuple[str, str, str, Work], ...] = (
        ("GET", "sign-in", "oauth.sign-in", sign_in.choose),
        ("POST", "sign-in", "oauth.sign-in", sign_in.chosen),
        ("GET", "role", "oauth.sign-in", sign_in.role),
        ("POST", "role", "oauth.sign-in", sign_in.role_chosen),
        ("GET", "passkey", "oauth.sign-in", device.passkey),
        ("POST", "passkey", "oauth.sign-in", device.proved),
        ("GET", "recover", "oauth.sign-in", device.recover),
        ("POST", "recover", "oauth.sign-in", device.recovered),
        ("GET", "passkeys", "oauth.means", own.passkeys),
        ("POST", "passkeys", "oauth.means", own.add_passkey),
        ("POST", "passkeys-remove", "oauth.means", own.remove_passkey),
        ("POST", "recovery", "oauth.means", own.recovery),
        ("GET", "sessions", "oauth.means", own.sessions),
        ("POST", "sessions", "oauth.sign-out", own.end_session),
        ("POST", "sign-out", "oauth.sign-out", own.sign_out),
        ("GET", "signed-out", "oauth.sign-out", own.signed_out),
    )
    for method, path, event, work in rows:
        routes.add_api_route(
            f"/oauth/{path}",
            _handler(answer, event, work),
            methods=[method],
            include_in_schema=False,
            name=f"{method} {path}",
        )
    _add_provider(routes, AtProvider(arriving), answer)


def _handler(answer: Answer, event: str, work: Work) -> Work:
    async def handle(request: Request) -> Response:
        return await answer(event, request, work)

    return handle


def _add_provider(routes: APIRouter, provider: AtProvider, answer: Answer) -> None:
    @routes.get("/oauth/to-{provider_name}", include_in_schema=False)
    async def to_provider(request: Request, provider_name: str) -> Response:
        return await answer(
            "oauth.sign-in", request, lambda asked: provider.away(asked, provider_name)
        )

    @routes.get("/oauth/back-{provider_name}", include_in_schema=False)
    async def back(request: Request, provider_name: str) -> Response:
        return await answer(
            "oauth.sign-in", request, lambda asked: provider.back(asked, provider_name)
        )

    @routes.get("/oauth/out-{provider_name}", include_in_schema=False)
    async def out(request: Request, provider_name: str) -> Response:
        return await answer(
            "oauth.sign-out", request, lambda asked: provider.out(asked, provider_name)
        )

    @routes.get("/oauth/link", include_in_schema=False)
    async def link(request: Request) -> Response:
        return await answer("oauth.sign-in", request, provider.link)

    @routes.post("/oauth/link", include_in_schema=False)
    async def linked(request: Request) -> Response:
        return await answer("oauth.sign-in", request, provider.linked)
