"""Reads while sign-ins hang: a provider that takes every code and never answers (safety 4, D12)."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from pgo.bench.rows import Row, alternating
from pgo.bench.stand import Server, Stand
from pgo.errors import Unavailable

_HANGING: Final = 50
_BAR: Final = 1.5
_PATIENCE: Final = 3.0
_READER, _FAMILY = "p-marjan", "fenna"
_SEARCH: Final = "/fhir/r4/Observation?category=laboratory&_count=1"


class _Silent(ThreadingHTTPServer):
    """The provider: `waiting` counts questions without answer, `release` lets go of them."""

    daemon_threads, request_queue_size = True, 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.released, self.waiting = threading.Event(), 0

    def release(self) -> None:
        """Hang up on everybody who waits."""
        self.released.set()
        self.released, self.waiting = threading.Event(), 0


class _Handler(BaseHTTPRequestHandler):
    server: _Silent

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """What a provider publishes."""
        base = self.server.issuer
        about = {
            "issuer": base, "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token", "jwks_uri": f"{base}/jwks",
        }  # fmt: skip
        body = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Take a code, and never answer."""
        self.server.waiting += 1
        self.server.released.wait(60)


def hanging(stand: Stand) -> list[Row]:
    """The slowest reads with and without fifty sign-ins that hang."""
    token = stand.token(_READER, _FAMILY)
    with _provider() as silent:
        told = {
            "label": "Stil", "issuer": silent.issuer, "client_id": "pgo", "secret": "x",
            "acr": {"x": "laag"}, "private": True,
        }  # fmt: skip
        server = stand.server(PROVIDERS=json.dumps({"stil": told}))
        found = orjson.loads(server.get(_SEARCH, token))
        path = f"/fhir/r4/Observation/{found['entry'][0]['resource']['id']}"
        stand.tell("sign-ins: hanging and none in turns")
        reads = partial(stand.drive, server, path, token)
        reads()

        def stuck() -> float:
            with _stuck(server, silent):
                return reads()["p99"]

        quiet, busy = alternating([lambda: reads()["p99"], stuck], stand.runs)
    return [
        Row("99 of 100 reads, 50 sign-ins hanging / none", busy / quiet, "ratio", most=_BAR),
        Row("read beside 50 hanging sign-ins, 99 of 100 within", busy, "ms"),
    ]


@contextmanager
def _provider() -> Iterator[_Silent]:
    with _Silent() as silent:
        thread = threading.Thread(target=silent.serve_forever, daemon=True)
        thread.start()
        try:
            yield silent
        finally:
            silent.release()
            silent.shutdown()


@contextmanager
def _stuck(server: Server, silent: _Silent) -> Iterator[None]:
    """Fifty people come back from the provider, whose codes it does not redeem."""
    lines = [_come_back(server, silent, n) for n in range(_HANGING)]
    until = time.monotonic() + _PATIENCE
    while silent.waiting < _HANGING and time.monotonic() < until:
        time.sleep(0.01)
    try:
        if silent.waiting < _HANGING:
            raise Unavailable(f"only {silent.waiting} sign-ins hang")
        yield
    finally:
        silent.release()
        for line in lines:
            line.close()


def _come_back(server: Server, silent: _Silent, n: int) -> socket.socket:
    """One person as far as the answer of the provider; each comes from a network of his own."""
    forwarded = {"X-Forwarded-For": f"10.0.{n}.1"}
    page, cookie = _get(server, "/oauth/sign-in?next=sessions", forwarded)
    flow = _one(r"flow=([\w-]+)", page)
    there, _ = _get(server, f"/oauth/to-stil?flow={flow}", forwarded | {"Cookie": cookie})
    state = parse_qs(urlsplit(there).query)["state"][0]
    query = f"code=x&state={state}&iss={quote(silent.issuer, safe='')}"
    line = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    fields = (f"GET /oauth/back-stil?{query} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {cookie}")
    line.sendall("\r\n".join([*fields, "", ""]).encode())
    return line


def _get(server: Server, path: str, fields: dict[str, str]) -> tuple[str, str]:
    """The address redirected to, or the page; and the cookie."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path, headers=fields)
        answer = connection.getresponse()
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        return answer.getheader("location") or answer.read().decode(), cookie
    finally:
        connection.close()


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise Unavailable("the page to sign in at is not what the bench expects")
    return found[1]
