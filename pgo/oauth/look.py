"""How the pages of sign-in look: templates, the stylesheet and the headers every page has."""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from pgo.errors import PgoError

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


class Look:
    """Draws pages; reads its files once."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("pgo.oauth"), autoescape=True, undefined=StrictUndefined
        )
        self._style = files("pgo.oauth").joinpath("templates/style.css").read_bytes()

    def page(self, name: str, *, status: int = 200, goes_to: str = "", **values: Any) -> Response:
        """A page; `goes_to` is where its form may end up after our own answer."""
        text = self._templates.get_template(name).render(values)
        policy = f"{_POLICY} {source_of(goes_to)}".rstrip()
        return HTMLResponse(text, status, {**_HEADERS, "Content-Security-Policy": policy})

    def error(self, error: PgoError) -> Response:
        """A page for a person whose way ends here."""
        return self.page("error.html", status=error.status, text=error.dutch, detail=error.detail)

    def onward(self, address: str) -> Response:
        """A redirect that sends no referrer and is kept by nobody (303, RFC 9700 4.12)."""
        headers = {"Location": address, **_HEADERS, "Content-Security-Policy": _POLICY}
        return Response(status_code=303, headers=headers)

    def stylesheet(self) -> Response:
        """The one stylesheet; it may be kept for an hour."""
        headers = {**_HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(self._style, media_type="text/css", headers=headers)


def source_of(address: str) -> str:
    """The source expression (CSP 3) of a redirect address; browsers check it after a form too."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https") and "[" not in parts.netloc:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""
