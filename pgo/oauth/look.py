"""How the pages for people look: templates, stylesheet, pictograms, and the headers of every page.

What they say, and in which language, is in `pgo.oauth.texts`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from pgo.errors import PgoError
from pgo.oauth.texts import DUTCH, TONGUES, Tongue, spoken

TONGUE, COOKIE = "taal", "pgo-taal"
_YEAR, _SIGN_IN, _OURS = 365 * 86400, 600, 500
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_SCRIPT = "; script-src 'self'"
_SHEET = {
    "style.css": "text/css",
    "pictograms.svg": "image/svg+xml",
    "passkey.js": "text/javascript",
}
FAULTS = {
    401: "signed_out", 403: "forbidden", 404: "missing", 405: "missing", 408: "slow", 409: "busy",
    413: "large", 414: "long", 429: "often", 431: "cookies",
}  # fmt: skip
"""Which text of the catalogue's `fault` tells of a status; 500 and up is ours, all else is bad."""
_OF_APP = {"client_id": "app", "redirect_uri": "address"}
"""The same, of what is wrong with a question of an app, by its place."""
SHOWN = frozenset({*FAULTS.values(), *_OF_APP.values(), "ours", "bad", "odd", "stale"})
"""All texts that tell of a fault; an error may name its own as `fault`."""
PLACES = ("app", "between", "own")
"""Where somebody was: with the question of an app, maybe, or on a page of one's own."""
_QUESTIONS = frozenset({"/oauth/authorize", "/oauth/consent"})
_BETWEEN = frozenset(f"/oauth/{name}" for name in ("sign-in", "role", "passkey", "recover", "link"))
_MINUTE = 60
_DEEPEST = 4


class Look:
    """Draws pages; reads its files once. `secure`: people reach us over TLS."""

    def __init__(self, *, secure: bool = False) -> None:
        self._templates = _templates()
        folder = files("pgo.oauth").joinpath("templates")
        self._files = {name: folder.joinpath(name).read_bytes() for name in _SHEET}
        self._cookie = f"__Host-{COOKIE}" if secure else COOKIE
        self._secure = secure

    def page(
        self,
        name: str,
        *,
        request: Request | None = None,
        here: str = "",
        ui_locales: str = "",
        status: int = 200,
        goes_to: str = "",
        script: bool = False,
        **values: Any,
    ) -> Response:
        """A page, in the language of whoever sent `request`; templates find texts in `words`.

        Args:
            name: the template.
            request: what is answered; without it the page is Dutch.
            here: address that shows this page again, for the links to other languages; needed for
                what answers a POST without a `step`, and for addresses that work once.
            ui_locales: languages an app asked for.
            status: HTTP status.
            goes_to: where its form may end up after our own answer.
            script: whether the page has a script of ours.
            values: what the template asks for.
        """
        words = self.tongue(request, ui_locales)
        values |= {"pages": _others(request, here, values), "page": name.removesuffix(".html")}
        values |= {"words": words, "root": _root(request)}
        text = self._templates.get_template(name).render(values)
        policy = f"{_POLICY} {source_of(goes_to)}".rstrip() + (_SCRIPT if script else "")
        headers = {**_HEADERS, "Content-Security-Policy": policy}
        answer = HTMLResponse(text, status, {**headers, "Content-Language": words.language})
        self._remember(answer, request, words, ui_locales)
        return answer

    def tongue(self, request: Request | None, ui_locales: str = "") -> Tongue:
        """The language of a person: chosen by a link, by a cookie, by the app or by the browser."""
        if request is None:
            return DUTCH
        asked = request.query_params.get(TONGUE, "")
        chosen = asked if asked in TONGUES else request.cookies.get(self._cookie, "")
        accepted = request.headers.get("accept-language", "")
        return spoken(chosen=chosen, ui_locales=ui_locales, accepted=accepted)

    def error(self, error: PgoError, request: Request | None = None) -> Response:
        """A page for a person whose way ends here; what is for developers is told as a code."""
        place = _place_of(request)
        usual = FAULTS.get(error.status, "bad" if place == "app" else "odd")
        fault = "ours" if error.status >= _OURS else _OF_APP.get(error.place, usual)
        fault = getattr(error, "fault", fault)
        code = " ".join(filter(None, (error.oauth, error.place)))
        wait = error.headers.get("Retry-After", "")
        answer = self.fault(fault, request, place, status=error.status, code=code, wait=wait)
        answer.headers.update(error.headers)
        return answer

    def fault(
        self, fault: str, request: Request | None, place: str = "own", *, status: int = 200,
        code: str = "", wait: str = "",
    ) -> Response:  # fmt: skip
        """The page that tells of a fault, by its name in the catalogue.

        Args:
            fault: one of `SHOWN`.
            request: what is answered.
            place: one of `PLACES`, which says where to go on.
            status: HTTP status.
            code: what the maker of an app is told.
            wait: seconds after which it can be tried again.
        """
        query = urlencode({"soort": fault, "van": place})
        here, words = f"{_root(request)}oauth/error?{query}", self.tongue(request)
        minutes = -(-int(wait) // _MINUTE) if wait.isdecimal() else 0
        many = words.text("fault.minutes", count=str(minutes))
        return self.page(
            "error.html", request=request, here=here, status=status, fault=fault, place=place,
            code=code, wait=words["fault.minute"] if minutes == 1 else many if minutes else "",
        )  # fmt: skip

    def onward(self, address: str) -> Response:
        """A redirect that sends no referrer and is kept by nobody (303, RFC 9700 4.12)."""
        headers = {"Location": address, **_HEADERS, "Content-Security-Policy": _POLICY}
        return Response(status_code=303, headers=headers)

    def file(self, name: str) -> Response:
        """The stylesheet, the pictograms or the script; they may be kept for an hour."""
        headers = {**_HEADERS, "Cache-Control": "public, max-age=3600"}
        policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
        return Response(self._files[name], media_type=_SHEET[name], headers=headers | policy)

    def _remember(
        self, answer: Response, request: Request | None, words: Tongue, ui_locales: str
    ) -> None:
        """Keep the language somebody chose, and for this sign-in the one the app asked for."""
        if request is None:
            return
        chose = request.query_params.get(TONGUE) == words.name
        if not chose and (not ui_locales or self._cookie in request.cookies):
            return
        answer.set_cookie(
            self._cookie, words.name, max_age=_YEAR if chose else _SIGN_IN, path="/",
            secure=self._secure, httponly=True, samesite="lax",
        )  # fmt: skip


@cache
def _templates() -> Environment:
    """One for the process, so that each template is compiled once, not once for each `Look`."""
    return Environment(
        loader=PackageLoader("pgo.oauth"), autoescape=True, undefined=StrictUndefined
    )


def _place_of(request: Request | None) -> str:
    path = "" if request is None else request.scope["path"]
    if path in _QUESTIONS:
        return "app"
    between = path in _BETWEEN or path.startswith(("/oauth/to-", "/oauth/back-"))
    return "between" if between else "own"


def source_of(address: str) -> str:
    """The source expression (CSP 3) of a redirect address; browsers check it after a form too."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https") and "[" not in parts.netloc:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""


def _root(request: Request | None) -> str:
    """From the page to the top of the server; from deeper than any page of ours, by the host."""
    path = "/oauth/page" if request is None else request.scope["path"]
    depth = path.count("/") - 1
    return "../" * depth if depth <= _DEEPEST else "/"


def _others(request: Request | None, here: str, values: dict[str, Any]) -> dict[str, str]:
    """By name of a tongue: the address of this same page in it."""
    if not here and request is not None and request.method == "GET":
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        here = "?" + urlencode([(name, value) for name, value in pairs if name != TONGUE])
    elif not here and "step" in values:
        here = f"?{urlencode({'flow': values['step'].id})}"
    path, _, query = here.partition("?")
    kept = f"{query}&" if query else ""
    return {name: f"{path}?{kept}{TONGUE}={name}" for name in TONGUES}
