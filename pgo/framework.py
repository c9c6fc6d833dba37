"""What FastAPI has to be told: errors in our form, and no telemetry of its own.

An app of this server is built as::

    app = Described(telemetry=TELEMETRY, max_body_size=None, docs_url=None, redoc_url=None)
    answer_errors(app)
    wrapped = wrap(Methods(app), settings, metrics)      # pgo.edge
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from pgo.errors import (
    BadRequest,
    Forbidden,
    Incident,
    Issue,
    Malformed,
    NoSuchInteraction,
    NotFound,
    PgoError,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)
from pgo.web import answer_for, drawn

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""All of FastAPI's own OpenTelemetry off.

Its spans hold `url.path` and `url.query`; in FHIR both are health data. `auto_configure` alone is
not enough: it only stops exporters named in the environment, and a tracer provider that some
library sets would still be used.
"""

_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
    "dpop": {
        "type": "http",
        "scheme": "dpop",
        "description": "An access token that is bound to a key, with a proof in DPoP (RFC 9449).",
    },
}
_BY_TOKEN: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"dpop": []}]
_WITHOUT: Final = ("/oauth/", "/.well-known/", "/health/", "/metrics")
"""Addresses that ask for no access token."""


def _plain(summary: str, what: str, media: str) -> dict[str, Any]:
    bad = {"503": {"description": "Not now."}} if "ready" in summary else {}
    good = {"200": {"description": what, "content": {media: {"schema": {}}}}}
    return {"get": {"summary": summary, "responses": good | bad}}


_BESIDE: Final = {
    "/health/live": _plain("Is the process alive", "It is.", "application/json"),
    "/health/ready": _plain("Is it ready to serve", "All its parts work.", "application/json"),
    "/metrics": _plain("Counts, without names", "For Prometheus.", "text/plain"),
}
"""What plain ASGI answers beside the app."""
_PLACE: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")
_ROWS: Final[dict[int, type[PgoError]]] = {
    400: BadRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: NoSuchInteraction,
    413: TooLarge,
    415: UnsupportedMedia,
}


class Described(FastAPI):
    """An app whose OpenAPI is about every address that is not FHIR nor a page, and its tokens."""

    def openapi(self) -> dict[str, Any]:
        """The description; made once."""
        if self.openapi_schema is None:
            said = super().openapi()
            said["paths"] |= _BESIDE
            said.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, methods in said["paths"].items():
                free = path.startswith(_WITHOUT) and path != "/oauth/userinfo"
                for one in methods.values():
                    one["security"] = [] if free else _BY_TOKEN
        return self.openapi_schema or {}


def answer_errors(
    app: FastAPI, page: Callable[[PgoError, Request], Response | None] = lambda *_: None
) -> None:
    """Have every error that FastAPI or a route raises drawn by `pgo.web`.

    Args:
        app: to be told so.
        page: draws an error for a person; None for whoever is none.
    """

    async def answered(request: Request, cause: Exception) -> Response:
        error = drawn(_ours(cause), request.scope)
        return page(error, request) or _response(request, error)

    app.add_exception_handler(PgoError, answered)
    app.add_exception_handler(HTTPException, answered)
    app.add_exception_handler(RequestValidationError, answered)
    app.add_exception_handler(Exception, _unexpected)


async def _unexpected(request: Request, cause: Exception) -> Response:
    """Draws only: the exception goes on to `pgo.web.Front`, which writes it down."""
    del cause
    return _response(request, Incident("Something went wrong on our side."))


def _response(request: Request, error: PgoError) -> Response:
    answer = answer_for(error, request.scope)
    response = Response(b"" if request.method == "HEAD" else answer.body, answer.status)
    response.raw_headers += answer.headers
    return response


def _ours(cause: Exception) -> Exception:
    if isinstance(cause, RequestValidationError):
        return unfit(cause)
    if isinstance(cause, HTTPException):
        row = _ROWS.get(cause.status_code, Incident if cause.status_code >= 500 else BadRequest)  # noqa: PLR2004 - the first status of the server's own faults
        return row(row.__doc__ or "", headers=dict(cause.headers or {}))
    return cause


def unfit(cause: RequestValidationError) -> BadRequest:
    """Place and kind of each fault; the value that was sent and pydantic's text stay here."""
    issues = tuple(_issue(one) for one in cause.errors()[:20])
    row = Malformed if any(issue.code == "structure" for issue in issues) else BadRequest
    return row("The request does not fit what is asked here.", issues=issues)


def _issue(one: dict[str, Any]) -> Issue:
    kind = str(one["type"])
    where = one["loc"][:-1] if kind in {"extra_forbidden", "json_invalid"} else one["loc"]
    place = ".".join(part for part in map(str, where) if part.isdigit() or _PLACE.fullmatch(part))
    code = {"missing": "required", "json_invalid": "structure"}.get(kind, "value")
    return Issue(code, f"This is not valid here: {kind.replace('_', ' ')}.", place)


class Methods:
    """Plain ASGI over an app: HEAD is GET without its body, OPTIONS tells what there is to do.

    FastAPI does neither, and of an address with more than one route it names the methods of one.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in ("HEAD", "OPTIONS"):
            await self._app(scope, receive, self._allowing(scope, send))
        elif scope["method"] == "HEAD":
            await self._headed(scope, receive, send)
        elif allowed := self._allowed(scope["path"]):
            headers = [(b"allow", allowed), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)

    async def _headed(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bare(message: Message) -> None:
            body = message["type"] == "http.response.body"
            await send({**message, "body": b""} if body else message)

        got = {**scope, "method": "GET"}  # the server's own scope still says that no body comes
        try:
            await self._app(got, receive, self._allowing(scope, bare))
        finally:
            scope["route"] = got.get("route")

    def _allowing(self, scope: Scope, send: Send) -> Send:
        """Sends, with all methods of the address in an answer 405."""

        async def told(message: Message) -> None:
            if message.get("status") == HTTPStatus.METHOD_NOT_ALLOWED:
                rest = [field for field in message["headers"] if field[0] != b"allow"]
                message["headers"] = [*rest, (b"allow", self._allowed(scope["path"]))]
            await send(message)

        return told

    def _allowed(self, path: str) -> bytes:
        """What may be done at an address, in the form of Allow (RFC 9110 10.2.1); b"" nowhere."""
        here = [route for route in _flat(self._app.routes) if route.path_regex.match(path)]
        found = {method for route in here for method in route.methods or ()}
        found |= {"OPTIONS"} | ({"HEAD"} if "GET" in found else set()) if found else set()
        return ", ".join(sorted(found)).encode()


def _flat(routes: Sequence[BaseRoute]) -> Iterator[Route]:
    """All routes with methods; those of routers that were included, too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _flat(inner.routes)
        elif isinstance(route, Route):
            yield route
