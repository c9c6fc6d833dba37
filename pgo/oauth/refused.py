"""Draws as a page what is refused before it reaches any page: an address, or a form too long.

Plain ASGI, between `pgo.web.Front` and `pgo.limits.Limits`; not for apps, who get what they read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgo.errors import PgoError
from pgo.oauth.cors import is_page

Draw = Callable[[PgoError, Request], Response | None]


class Refused:
    """An application whose refusals browsers get as pages; `draw` says None for whoever is none."""

    def __init__(self, app: ASGIApp, draw: Draw) -> None:
        self._app, self._draw = app, draw

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request; what is not for people goes by without another layer."""
        path = scope["path"] if scope["type"] == "http" else ""
        if not (is_page(path) or path == "/" or path.startswith("/mijn/")):
            return self._app(scope, receive, send)
        return self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except PgoError as error:
            ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            page = None if begun or ours else self._draw(error, Request(scope))
            if page is None:
                raise
            await _send(page, scope, send)


async def _send(page: Response, scope: Scope, send: Send) -> None:
    """The whole page; for HEAD its body is kept back."""
    body = b"" if scope["method"] == "HEAD" else bytes(page.body)
    await send(
        {"type": "http.response.start", "status": page.status_code, "headers": page.raw_headers}
    )
    await send({"type": "http.response.body", "body": body})
