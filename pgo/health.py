"""Is the process alive, can it serve: two addresses for whoever keeps the server running.

`/health/live` says only that the process answers. `/health/ready` asks each part; it names parts
and nothing else, because anybody may ask.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from pgo.errors import NoSuchInteraction, NotFound
from pgo.log import told
from pgo.web import Answer, name_route, send_answer

Ready = Callable[[], Awaitable[Mapping[str, bool]]]
"""Gives for each part (store, keys, audit …) whether it can do its work."""

_JSON: Final = (b"content-type", b"application/json")


class Health:
    """Answers below `/health`; `ready` is asked at most once per `fresh` seconds, within `wait`."""

    def __init__(
        self,
        ready: Ready,
        *,
        wait: float = 2.0,
        fresh: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ready = ready
        self._wait = wait
        self._fresh = fresh
        self._clock = clock
        self._asking = asyncio.Lock()
        self._until = float("-inf")
        self._last: Mapping[str, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/health/live` and `/health/ready`, GET and HEAD."""
        del receive
        path = scope["path"]
        if path not in {"/health/live", "/health/ready"}:
            raise NotFound("There is no such address.")
        name_route(scope, path)
        if scope["method"] not in {"GET", "HEAD"}:
            raise NoSuchInteraction("Only GET is offered here.", headers={"Allow": "GET, HEAD"})
        parts = await self._parts() if path == "/health/ready" else {}
        well = all(parts.values())
        body = {"status": "pass" if well else "fail"}
        body |= {part: "pass" if good else "fail" for part, good in parts.items()}
        answer = Answer(200 if well else 503, [_JSON], orjson.dumps(body))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _parts(self) -> Mapping[str, bool]:
        async with self._asking:
            if self._clock() >= self._until:
                self._last = await self._ask()
                self._until = self._clock() + self._fresh
            return self._last

    async def _ask(self) -> Mapping[str, bool]:
        try:
            async with asyncio.timeout(self._wait):
                return await self._ready()
        except Exception as cause:  # noqa: BLE001 - whatever keeps it from serving: it is not ready
            structlog.get_logger().error("not-ready", part="all", cause=told(cause)["cause"])
            return {"server": False}
