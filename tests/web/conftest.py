"""Asking an ASGI application directly, and through a real server on a free port."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import structlog
import uvicorn

from pgo import log
from pgo.limits import serve_options
from pgo.settings import Settings


@dataclass
class Reply:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    pulled: int = 0

    def header(self, name: str) -> str:
        return ", ".join(v.decode() for n, v in self.headers if n == name.encode())

    def json(self) -> Any:
        return orjson.loads(self.body)


Ask = Callable[..., Awaitable[Reply]]


async def _ask(
    app: Any,
    path: str = "/",
    method: str = "GET",
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: Iterable[bytes] = (),
    announce: bool = True,
    **more: Any,
) -> Reply:
    """One request; `body` is given piece by piece and `pulled` counts the pieces taken."""
    pieces = list(body)
    address, _, query = path.partition("?")
    fields = [(n.lower().encode(), v.encode("latin-1")) for n, v in headers]
    if pieces and announce and not any(n == b"content-length" for n, _ in fields):
        fields.append((b"transfer-encoding", b"chunked"))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": address,
        "raw_path": address.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": fields,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    } | more
    reply = Reply()

    complete = False

    async def receive() -> dict[str, Any]:
        nonlocal complete
        piece = pieces.pop(0) if pieces else b""
        if piece is None or complete:
            await asyncio.sleep(3600)
        reply.pulled += 1
        complete = not pieces
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert reply.status == 0, "two answers to one request"
            reply.status, reply.headers = message["status"], list(message["headers"])
        else:
            reply.body += message.get("body", b"")

    try:
        await app(scope, receive, send)
    finally:
        await asyncio.sleep(0)  # log lines are written at the end of the round
    return reply


@pytest.fixture
def ask() -> Ask:
    return _ask


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Everything that is logged during the test, line by line."""
    stream = io.BytesIO()
    root, level = logging.getLogger(), logging.getLogger().level
    log.configure(Settings(), stream)

    def read() -> list[dict[str, Any]]:
        raw = stream.getvalue()
        assert raw.isascii()
        return [orjson.loads(line) for line in raw.splitlines()]

    read.raw = stream.getvalue  # type: ignore[attr-defined]
    yield read
    root.setLevel(level)
    for handler in [h for h in root.handlers if isinstance(h, log._Library)]:
        root.removeHandler(handler)
    structlog.reset_defaults()


@asynccontextmanager
async def _serving(app: Any, **chosen: Any) -> AsyncIterator[int]:
    """A real server in this event loop, on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    options = serve_options(Settings()) | {"lifespan": "off", "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(app, **(options | chosen)))
    running = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn only has a flag
        await asyncio.sleep(0.005)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


@pytest.fixture
def serving() -> Any:
    return _serving
