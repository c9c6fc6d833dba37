"""Browsers of registered apps may call from their own origins: exact ones, never with cookies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgo.registry import Registry

Origins = Callable[[], Awaitable[Collection[str]]]
_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_REQUEST = (
    b"authorization, content-type, accept, prefer, if-match, if-none-match, if-none-exist, "
    b"if-modified-since, x-request-id, x-noodtoegang, dpop"
)
_ANSWER = (
    b"etag, last-modified, location, content-location, retry-after, www-authenticate, "
    b"x-request-id, dpop-nonce"
)
_FOR_APPS = frozenset(
    f"/oauth/{name}" for name in ("token", "par", "revoke", "introspect", "userinfo", "jwks")
)


def registered_origins(registry: Registry) -> Origins:
    """The origins of all apps that may be used now."""

    async def origins() -> frozenset[str]:
        apps = await registry.apps()
        return frozenset(origin for app in apps if not app.disabled for origin in app.origins)

    return origins


class Cors:
    """Plain ASGI: adds what the Fetch standard asks for, for these origins, and answers preflights.

    Pages for people are left out: no other origin has any business there.
    """

    def __init__(self, app: ASGIApp, origins_of: Origins) -> None:
        self._app = app
        self._origins_of = origins_of

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        origin = _header(scope, b"origin") if scope["type"] == "http" else b""
        if not origin or is_page(scope["path"]):
            return self._app(scope, receive, send)
        return self._from(origin, scope, receive, send)

    async def _from(self, origin: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        known = origin.decode("latin-1") in await self._origins_of()
        if scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method"):
            await _preflight(send, origin if known else b"")
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    *_fields(origin if known else b""),
                ]
            await send(message)

        await self._app(scope, receive, told)


def is_page(path: str) -> bool:
    """Whether people look at this address themselves: all of /oauth that is not for apps, too."""
    own = path == "/mijn" or path.startswith("/mijn/apps")
    return own or (path.startswith("/oauth/") and path not in _FOR_APPS)


def _fields(origin: bytes) -> list[tuple[bytes, bytes]]:
    vary = [(b"vary", b"Origin")]
    if not origin:
        return vary
    return [
        *vary,
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _ANSWER),
    ]


async def _preflight(send: Send, origin: bytes) -> None:
    headers = [*_fields(origin), (b"content-length", b"0")]
    if origin:
        headers += [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST),
            (b"access-control-max-age", b"600"),
        ]
    status = 204 if origin else 403
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""
