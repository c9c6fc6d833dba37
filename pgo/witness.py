"""Requests whose parameters or body do not fit their route: written down like any other call.

FastAPI reads a body before it asks who is calling; here the caller is asked first after all, so
that nobody learns what a route wants of a dossier that is not there for him.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from pgo.audit.entry import FAILED
from pgo.caller import Caller
from pgo.errors import PgoError
from pgo.framework import unfit
from pgo.house import House
from pgo.web import request_id

Handler = Callable[[Request], Awaitable[Response]]


def witnessed(
    house: House,
    caller_of: Callable[[Request], Awaitable[Caller]],
    events: Mapping[str, str],
) -> type[APIRoute]:
    """A class of routes; `events` names the audit event by the last part of a route's path."""

    async def write_down(request: Request, path: str, fault: RequestValidationError) -> None:
        """Raises what is wrong, after its line is written."""
        caller, wrong = await caller_of(request), unfit(fault)
        name, event = request_id(request.scope), events.get(path.rpartition("/")[2], "")
        if event and not _in_address(fault):
            await house.regie(caller, request.path_params["client"], name).turn_away(event, wrong)
        said = {"status": wrong.status, "person": caller.person, "app": caller.app}
        await house.note("request", outcome=FAILED, request=name, **said)
        raise wrong

    class Witnessed(APIRoute):
        """A route that leaves an audit line also when a request does not fit it."""

        def get_route_handler(self) -> Any:
            handler: Handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handler(request)
                except RequestValidationError as fault:
                    await write_down(request, self.path, fault)
                    raise

            return answer

    return Witnessed


def asked_by(
    caller_of: Callable[[Scope], Awaitable[Caller]],
    refused: Callable[[Scope, PgoError], Awaitable[None]],
) -> Callable[[Request], Awaitable[Caller]]:
    """Who is calling; who may not call at all is written down here."""

    async def calling(request: Request) -> Caller:
        try:
            return await caller_of(request.scope)
        except PgoError as error:
            await refused(request.scope, error)
            raise

    return calling


def _in_address(fault: RequestValidationError) -> bool:
    return any(one["loc"][:1] == ("path",) for one in fault.errors())
