"""One bounded question to a sign-in provider: only hosts an operator named, no redirects.

https, or http to this very machine when the provider is marked private; 64 kB, a few seconds.
The name is looked up once and the connection goes to the very address that was judged (safety V12,
V14). Waiting costs no thread, so that a silent provider holds nobody else up.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import anyio.to_thread
import httptools
import orjson
from anyio import CapacityLimiter

from pgo.errors import BadValue, Unavailable
from pgo.oauth.keysets import is_public

MOST_BYTES: Final = 65_536
_MOST_READ: Final = MOST_BYTES + 16_384
_CHUNK: Final = 8_192
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_USUAL: Final = {"https": 443, "http": 80}
_LOOKING_UP: Final = CapacityLimiter(4)
"""Threads that look up names; their own, since a name server may be slow as well."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be asked: `host` or `host:port` names, private addresses or not, extra roots."""

    hosts: frozenset[str]
    private: bool = False
    roots: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and whole body, in the form authlib's client reads."""

    status_code: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is not.
        """
        return orjson.loads(self.body)

    def raise_for_status(self) -> None:
        """Do nothing for a success.

        Raises:
            errors.Unavailable: another status.
        """
        if self.status_code != HTTPStatus.OK:
            raise Unavailable("The provider did not answer as it should.")


def place_of(url: str, reach: Reach) -> SplitResult:
    """The parts of an address that may be asked.

    Raises:
        errors.BadValue: another scheme, a name or password in it, or a host nobody named.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _USUAL.get(parts.scheme, 0)
    except ValueError as wrong:
        raise BadValue("This is not an address.", place="provider") from wrong
    host = parts.hostname or ""
    plain = parts.scheme == "http" and reach.private and host in _LOOPBACK
    named = not reach.hosts.isdisjoint({f"{host}:{port}"} | ({host} if port == 443 else set()))  # noqa: PLR2004 - https
    odd = "@" in parts.netloc or "#" in url or not url.isascii() or not url.isprintable()
    if not (parts.scheme == "https" or plain) or not named or odd or " " in url:
        raise BadValue("This address may not be asked.", place="provider")
    return parts


async def ask(
    url: str,
    reach: Reach,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float,
) -> Answer:
    """The answer to one GET, or POST when there is a body.

    Raises:
        errors.Unavailable: no whole answer in time, or one that is too long.
        errors.BadValue: an address that may not be asked.
    """
    parts = place_of(url, reach)
    try:
        async with asyncio.timeout(seconds):
            return await _asked(parts, reach, _request(parts, body, headers or {}))
    except (OSError, TimeoutError, ValueError, httptools.HttpParserError) as fault:
        raise Unavailable("The provider cannot be reached.") from fault


def _request(parts: SplitResult, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    fields = {"Host": parts.netloc, "Accept": "application/json", **headers, "Connection": "close"}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    if any("\r" in value or "\n" in value for value in fields.values()):
        raise BadValue("A header field may not have lines.", place="provider")
    head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


async def _asked(parts: SplitResult, reach: Reach, request: bytes) -> Answer:
    host, port = parts.hostname or "", parts.port or _USUAL[parts.scheme]
    address = await _address(host, reach)
    secure = _trust(reach) if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(
        address, port, ssl=secure, server_hostname=host if secure else None, limit=_MOST_READ
    )
    try:
        writer.write(request)
        await writer.drain()
        return await _read(reader)
    finally:
        writer.transport.abort()


def _trust(reach: Reach) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if reach.roots is not None:
        context.load_verify_locations(reach.roots)
    return context


async def _address(host: str, reach: Reach) -> str:
    """The one address that is asked; unless private ones are allowed, all must be public."""

    def look_up() -> list[str]:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [str(row[4][0]) for row in found]

    addresses = await anyio.to_thread.run_sync(look_up, limiter=_LOOKING_UP, abandon_on_cancel=True)
    if not addresses or not (reach.private or all(is_public(one) for one in addresses)):
        raise OSError("no address that may be asked")
    return addresses[0]


class _Reading:
    """What the parser tells while an answer comes in."""

    def __init__(self) -> None:
        self.body, self.whole, self.headed, self.measured = bytearray(), False, False, False

    def on_header(self, name: bytes, _: bytes) -> None:
        """Notice whether the answer says where it ends."""
        self.measured |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.headed = True

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        self.body += part

    def on_message_complete(self) -> None:
        """All of it is there."""
        self.whole = True


async def _read(reader: asyncio.StreamReader) -> Answer:
    seen, read = _Reading(), 0
    parser = httptools.HttpResponseParser(seen)
    while not seen.whole:
        part = await reader.read(_CHUNK)
        if not part:
            break
        read += len(part)
        if read > _MOST_READ or len(seen.body) > MOST_BYTES:
            raise ValueError("too long")
        parser.feed_data(part)
    if not seen.whole and (not seen.headed or seen.measured):
        raise ValueError("cut off")
    if len(seen.body) > MOST_BYTES:
        raise ValueError("too long")
    return Answer(parser.get_status_code(), bytes(seen.body))
