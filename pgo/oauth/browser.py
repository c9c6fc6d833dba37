"""What pages need of a browser: the cookie of a step, and forms that came from our own pages."""

from __future__ import annotations

from fastapi import Request, Response

from pgo.errors import Forbidden
from pgo.oauth.flow import LIVES, Flows, Step, cookie_name
from pgo.oauth.forms import form_of


class Browser:
    """Reads and sets the cookies of steps; `secure` when people reach us over TLS."""

    def __init__(self, flows: Flows, *, secure: bool) -> None:
        self._flows, self._secure = flows, secure

    async def step(self, request: Request, id_: str) -> Step:
        """The step with this id, when this is its browser.

        Raises:
            errors.Forbidden: it is not, or the step is over.
        """
        name = cookie_name(id_, secure=self._secure)
        return await self._flows.look(id_, request.cookies.get(name, ""))

    def remember(self, response: Response, step: Step) -> None:
        """Let the browser keep the cookie of a step."""
        response.set_cookie(
            cookie_name(step.id, secure=self._secure), step.cookie,
            max_age=LIVES, path="/", secure=self._secure, httponly=True, samesite="lax",
        )  # fmt: skip


async def own_form(request: Request) -> dict[str, str]:
    """The form of a POST from a page of our own.

    Raises:
        errors.Forbidden: the browser says it was sent from elsewhere.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("This form was not sent from our own page.")
    return await form_of(request)
