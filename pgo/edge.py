"""The edge of the server: every layer between the socket and the application, in order.

From the outside in::

    Front    request id, safe headers, whatever is raised is answered  (pgo.web)
    pages    for people, what is refused is a page                     (pgo.oauth.refused)
    Limits   what may come in, how much, how slowly                    (pgo.limits)
    app

`Limits` stands inside `Front`, so that what it refuses has an id, a log line and the form of its
address as well; it still stands before any byte of a body is read. Each request leaves one log
line and one observation: that it happened, not what was in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Scope

from pgo.limits import BODY_SECONDS, METHODS, Limits
from pgo.log import access_log
from pgo.metrics import Metrics
from pgo.settings import Settings
from pgo.web import Front, new_id, route_of

_NOTHING: Final[dict[str, str]] = {}


def wrap(
    app: ASGIApp,
    settings: Settings,
    metrics: Metrics,
    *,
    ids: Callable[[], str] = new_id,
    body_seconds: float = BODY_SECONDS,
    pages: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> ASGIApp:
    """The application behind all layers. Call `pgo.log.configure` first.

    Args:
        app: the application (FastAPI, or any ASGI application).
        settings: of the deployment.
        metrics: what requests are counted in.
        ids: makes request ids.
        body_seconds: how long a body may take to arrive.
        pages: draws what the limits refuse, where people look.
    """
    log, observe = access_log(), metrics.answers.observe

    def ended(scope: Scope, status: int, seconds: float) -> None:
        route, method = route_of(scope), scope["method"]
        observe(route, status, seconds)
        said = (method if method in METHODS else "OTHER", route, status)
        state = scope["state"]
        log(said, seconds, state["request_id"], state.get("exchange", _NOTHING))

    limited = pages(Limits(app, settings, body_seconds=body_seconds))
    return Front(limited, settings, ids, ended)
