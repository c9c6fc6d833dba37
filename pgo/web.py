"""What every answer has in common: how an error is drawn, request ids, safe headers; no routes.

Everything here is plain ASGI. `pgo.edge.wrap` puts the layers in order:

* `Front` gives a request its id and an answer its safe headers, and turns whatever is raised into
  an answer, drawn in the form of the address that was asked: OperationOutcome under FHIR, RFC 6749
  under `/oauth`, problem+json (RFC 9457) elsewhere.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgo.challenge import challenge
from pgo.errors import Incident, PgoError
from pgo.fhir.elements import Release
from pgo.fhir.formats import JSON, Format, lenient_format
from pgo.log import report, scrub
from pgo.settings import Settings

Kind = Literal["fhir", "oauth", "problem"]
Headers = list[tuple[bytes, bytes]]

_LETTERS: Final = bytes(b"abcdefghijklmnopqrstuvwxyzABCDEF"[n % 32] for n in range(256))
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
GONE: Final = 499
"""Status, for log and metrics, of a request that got no answer: nobody waited for it."""
_MADE_ID: Final = 18
_AT_ONCE: Final = 64
_MADE: Final[deque[str]] = deque()
_NOT_QUOTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_YOUNGER_CODES: Final = {"deleted": "not-found", "multiple-matches": "duplicate"}
"""Issue codes that FHIR got after STU3, with what STU3 calls them."""

_SAFE: Final[Headers] = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"
_PAGE: Final = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)
_OWN: Final = frozenset(
    {b"x-request-id", b"content-security-policy", b"strict-transport-security"}
    | {name for name, _ in _SAFE}
)


class ClientGone(Exception):
    """The other side hung up before its request was complete; there is nobody to answer."""


class Answer(NamedTuple):
    """A complete answer: status, header fields with lower-case names, body."""

    status: int
    headers: Headers
    body: bytes


async def send_answer(send: Send, answer: Answer, *, head: bool = False) -> None:
    """Send a complete answer; for HEAD the length is told and the body kept back."""
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [*answer.headers, length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


async def read_body(receive: Receive) -> bytes:
    """The whole body; `pgo.limits` has already bounded its size and time.

    Raises:
        ClientGone: the other side hung up.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def kind_of(path: str) -> Kind:
    """The form in which an error at this address is drawn."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first in {"fhir", "medmij"}:
        return "fhir"
    if first == "dossiers" and rest.partition("/")[2].split("/", 1)[0] == "fhir":
        return "fhir"
    return "oauth" if first == "oauth" else "problem"


def render(
    error: PgoError,
    kind: Kind,
    *,
    language: str = "nl",
    request_id: str = "",
    sent: str = "",
    release: Release = "r4",
    form: Format = JSON,
) -> Answer:
    """Draw an error. Only the error's own row, `detail` and places are shown, never its cause.

    Args:
        error: what went wrong.
        kind: the form; see `kind_of`.
        language: of the text for people: "nl", or anything else for English.
        request_id: shown with our own faults, so that people can mention it.
        sent: scheme of the Authorization header that came along, in lower case, or "".
        release: FHIR release of the address; STU3 knows fewer issue codes.
        form: JSON or XML, for a FHIR address.
    """
    text = error.dutch if language == "nl" else error.detail
    ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and request_id
    note = f" (request {request_id})" if ours else ""
    media, body = {
        "fhir": lambda: _outcome(error, text, note, release, form),
        "oauth": lambda: _oauth(error, note),
        "problem": lambda: _problem(error, text, request_id),
    }[kind]()
    headers: Headers = [(b"content-type", media)]
    headers += challenge(error, sent, oauth=kind == "oauth")
    for name, value in error.headers.items():
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    return Answer(error.status, headers, body)


def _outcome(
    error: PgoError, text: str, note: str, release: Release, form: Format
) -> tuple[bytes, bytes]:
    """OperationOutcome: `diagnostics` for whoever builds the app, `details.text` for people."""
    issues = []
    for issue in error.issues:
        code = _YOUNGER_CODES.get(issue.code, issue.code) if release == "stu3" else issue.code
        one: dict[str, Any] = {"severity": issue.severity, "code": code, "details": {"text": text}}
        one["diagnostics"] = issue.detail + note
        if issue.place:
            one["expression"] = [issue.place]
        issues.append(one)
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})
    try:
        return form.media, form.body(body, release)
    except PgoError:  # a place may name a parameter that no XML can hold
        return JSON.media, body


def _oauth(error: PgoError, note: str) -> tuple[bytes, bytes]:
    """RFC 6749 5.2; the description may not hold quotes or backslashes."""
    description = _NOT_QUOTABLE.sub(" ", error.detail + note)
    body = {"error": error.oauth, "error_description": description}
    return b"application/json", orjson.dumps(body)


def _problem(error: PgoError, text: str, request_id: str) -> tuple[bytes, bytes]:
    """RFC 9457, with every issue in `errors`."""
    body = {
        "type": f"urn:pgo:error:{error.issue}",
        "title": text,
        "status": error.status,
        "detail": error.detail,
        "errors": [{"code": i.code, "place": i.place, "detail": i.detail} for i in error.issues],
        "request_id": request_id,
    }
    return b"application/problem+json", orjson.dumps(body)


def answer_for(error: PgoError, scope: Scope) -> Answer:
    """Draw an error for the request it happened in."""
    kind = kind_of(scope["path"])
    form, release = form_of(scope) if kind == "fhir" else (JSON, "r4")
    return render(
        error,
        kind,
        language=_language(scope),
        request_id=request_id(scope),
        sent=_scheme(scope),
        release=release,
        form=form,
    )


def name_form(scope: Scope, form: Format, release: Release) -> None:
    """Say in what form and release this request is answered, also when it ends in an error."""
    scope["state"]["form"] = (form, release)


def form_of(scope: Scope) -> tuple[Format, Release]:
    """In what form and release a FHIR request is answered: as named, or as it asks for itself."""
    named: tuple[Format, Release] | None = scope.get("state", {}).get("form")
    if named is not None:
        return named
    release: Release = "stu3" if "/stu3" in scope["path"] else "r4"
    try:
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=100)
    except ValueError:
        pairs = []
    accept = _header(scope, b"accept").decode("latin-1")
    return lenient_format(accept, pairs, release), release


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


def _scheme(scope: Scope) -> str:
    return _header(scope, b"authorization").partition(b" ")[0].lower().decode("latin-1")


def _language(scope: Scope) -> str:
    """Dutch, unless the first language asked for is English."""
    return "en" if _header(scope, b"accept-language")[:2].lower() == b"en" else "nl"


def new_id() -> str:
    """A request id of letters only, so that it can never look like somebody's number."""
    if not _MADE:
        letters = os.urandom(_MADE_ID * _AT_ONCE).translate(_LETTERS).decode()
        _MADE.extend(letters[at : at + _MADE_ID] for at in range(0, len(letters), _MADE_ID))
    return _MADE.popleft()


def request_id(scope: Scope) -> str:
    """The id of this request, as `Front` gave it; "" outside `Front`."""
    return str(scope.get("state", {}).get("request_id", ""))


def name_route(scope: Scope, template: str) -> None:
    """Say which route this is, for log and metrics: `/fhir/{release}/{type}/{id}`, without ids.

    FastAPI routes name themselves. The template comes from the code, never from the request.
    """
    scope["state"]["route"] = template


def echo(scope: Scope, fields: Mapping[str, str]) -> None:
    """Header fields that every answer to this request repeats, also an error."""
    scope["state"]["echo"] = [(name.encode(), value.encode()) for name, value in fields.items()]


def name_exchange(scope: Scope, request: str, correlation: str) -> None:
    """Say which ids of an exchange this request has, for its log line."""
    ids = {"medmij_request": scrub(request), "correlation": scrub(correlation)}
    scope["state"]["exchange"] = {name: value for name, value in ids.items() if value}


def route_of(scope: Scope) -> str:
    """The route's template; for requests that reached no route, the first part of the address."""
    named = scope["state"].get("route")
    if named is not None:
        return str(named)
    template = getattr(scope.get("route"), "path_format", None)
    if template is not None:
        return str(template)
    first = scope["path"].removeprefix("/").partition("/")[0]
    return f"/{first}/*" if first in _PARTS else "none"


_PARTS: Final = frozenset(
    {"fhir", "dossiers", "medmij", "oauth", ".well-known", "mijn", "metrics", "health"}
)


class Front:
    """The outermost layer: gives each request an id, each answer its safe headers, errors a form.

    An `X-Request-ID` is kept when it has the right form and does not look like a BSN or a secret.
    Header fields the application set itself stay as they are.

    Nothing that is raised further in gets out but the row of its error. An exception that is not
    ours becomes an `Incident`: its cause goes to the log only. When the answer was already under
    way it is left unfinished, which makes the server close the connection.

    Args:
        app: what is inside.
        settings: of the deployment.
        ids: makes request ids.
        ended: is told how each request ended: its scope, status (`GONE`: no answer), seconds.
        clock: seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        ids: Callable[[], str] = new_id,
        ended: Callable[[Scope, int, float], None] = lambda *_: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app, self._ids, self._ended, self._clock = app, ids, ended, clock
        strict = (b"strict-transport-security", b"max-age=31536000")
        always = [*_SAFE, *([strict] if settings.issuer.startswith("https://") else [])]
        self._plain: Headers = [*always, (b"content-security-policy", _NOTHING)]
        self._page: Headers = [*always, (b"content-security-policy", _PAGE)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state, given, status = scope.setdefault("state", {}), self._given(scope), GONE
        state["request_id"] = given
        started = self._clock()

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*message.get("headers", ()), *state.get("echo", ())]
                message["headers"] = self._dressed(own, (b"x-request-id", given.encode()))
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except ClientGone:
            return
        except Exception as cause:  # noqa: BLE001 - the last net: whatever it is, it is answered
            error = drawn(cause, scope)
            if status == GONE:
                answer = answer_for(error, scope)
                await send_answer(dressed, answer, head=scope["method"] == "HEAD")
        finally:
            self._ended(scope, status, self._clock() - started)

    def _given(self, scope: Scope) -> str:
        sent = _header(scope, b"x-request-id")
        if not sent or not _REQUEST_ID.fullmatch(sent):
            return self._ids()
        text = sent.decode()
        return text if scrub(text) == text else self._ids()

    def _dressed(self, own: Headers, told: tuple[bytes, bytes]) -> Headers:
        ours, said = self._plain, False
        for name, value in own:
            said = said or name in _OWN
            if name == b"content-type" and value.startswith(b"text/html"):
                ours = self._page
        if not said:
            return [*own, told, *ours]
        kept = {name for name, _ in own}
        return [*own, *(field for field in (told, *ours) if field[0] not in kept)]


def drawn(cause: Exception, scope: Scope) -> PgoError:
    """The error to show for an exception; our own faults are written down here."""
    error = cause if isinstance(cause, PgoError) else Incident("Something went wrong on our side.")
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        report(cause, request_id=request_id(scope), route=route_of(scope))
    return error
