"""The edge of the server: every layer between the socket and the application, in order.

From the outside in::

    Front    request id, safe headers          (pgo.web)
    Access   one log line, one observation
    Net      whatever is raised is answered     (pgo.web)
    Limits   what may come in, how much, how slowly (pgo.limits)
    app

`Limits` stands inside the net, so that what it refuses has an id, a log line and the form of its
address as well; it still stands before any byte of a body is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgo.limits import BODY_SECONDS, METHODS, Limits
from pgo.log import access_log
from pgo.metrics import Metrics
from pgo.settings import Settings
from pgo.web import Front, Net, new_id, request_id, route_of

_GONE: Final = 499
"""Status in log and metrics of a request nobody waited for."""


class Access:
    """Writes one line and one observation per request: that it happened, not what was in it."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._observe = metrics.observe
        self._clock = clock
        self._log = access_log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _GONE
        started = self._clock()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._told(scope, status, self._clock() - started)

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = route_of(scope), scope["method"]
        self._observe(route, status, seconds)
        self._log(
            method=method if method in METHODS else "OTHER",
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            request_id=request_id(scope),
            **scope["state"].get("exchange", {}),
        )


def wrap(
    app: ASGIApp,
    settings: Settings,
    metrics: Metrics,
    *,
    ids: Callable[[], str] = new_id,
    body_seconds: float = BODY_SECONDS,
) -> ASGIApp:
    """The application behind all layers. Call `pgo.log.configure` first.

    Args:
        app: the application (FastAPI, or any ASGI application).
        settings: of the deployment.
        metrics: what requests are counted in.
        ids: makes request ids.
        body_seconds: how long a body may take to arrive.
    """
    inner = Limits(app, settings, body_seconds=body_seconds)
    return Front(Access(Net(inner), metrics), settings, ids)
