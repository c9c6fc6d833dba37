"""HEAD and OPTIONS on one connection with a real server, which stays open."""

from __future__ import annotations

import socket

import pytest

pytestmark = pytest.mark.long
PATHS = (
    "/mijn",
    "/oauth/error?soort=stale",
    "/oauth/sign-in?next=x",
    "/mijn/x",
    "/oauth/style.css",
)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_many_requests_without_bodies_go_over_one_connection(running, method):
    host, _, port = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as one:
        for path in (path for path in PATHS * 4 if method == "HEAD" or path != "/mijn/x"):
            ask = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
            one.sendall(ask.encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                part = one.recv(65_536)
                assert part, f"closed after {path}"
                head += part
            assert b"connection: close" not in head.lower()
            assert head.count(b"HTTP/1.1") == 1
