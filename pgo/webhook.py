"""One signed POST to an address an operator allowed: no redirects, no other hosts, no private nets.

The name is looked up once and exactly that address is called (safety V12, V14). The signature is
HMAC-SHA256 over `timestamp.body`, in `X-PGO-Signature: t=…,v1=…`. The answer is not read beyond its
status.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pgo.errors import BadValue, Unavailable

SECONDS: Final = 10.0
_LONGEST: Final = 500
_HEAD: Final = 4_096
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a webhook goes: parsed once, host in small letters."""

    host: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """Host, with its port when that is not the usual one."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"  # noqa: PLR2004 - https


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an operator allowed: names of hosts, private addresses or not, extra trusted roots."""

    hosts: frozenset[str] = frozenset()
    private: bool = False
    roots: Path | None = None


def place_of(url: str, allowed: Allowed) -> Place:
    """The parts of an address that may be called.

    Raises:
        BadValue: not https, with a name or password in it, or of a host nobody allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as fault:
        raise BadValue("not an address", place="webhook") from fault
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    plain = parts.scheme == "https" and "@" not in parts.netloc and not parts.fragment
    if not plain or not parts.hostname or len(url) > _LONGEST or not _PATH.fullmatch(path):
        raise BadValue("give an https address without user, password or fragment", place="webhook")
    place = Place(parts.hostname.lower(), port, path)
    if place.name not in allowed.hosts:
        raise BadValue("this host may not be told; ask the operator to allow it", place="webhook")
    return place


def signature(secret: str, at: int, body: bytes) -> str:
    """The header that shows a message is ours: `at` in seconds, the secret as the person got it."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    return f"t={at},v1={mac}"


async def post(place: Place, allowed: Allowed, body: bytes, signed: str) -> int:
    """Send one message; the status of the answer.

    Raises:
        Unavailable: it could not be delivered within ten seconds, or the address is a private one.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _post(place, allowed, body, signed)
    except (OSError, TimeoutError, ValueError) as fault:
        raise Unavailable("the webhook could not be reached") from fault


def delivered(status: int) -> bool:
    """Whether an answer says that the message arrived; a redirect does not."""
    return status in _SUCCESS


async def _post(place: Place, allowed: Allowed, body: bytes, signed: str) -> int:
    address = await _looked_up(place, allowed)
    context = ssl.create_default_context()
    if allowed.roots is not None:
        context.load_verify_locations(allowed.roots)
    reader, writer = await asyncio.open_connection(
        address, place.port, ssl=context, server_hostname=place.host, limit=_HEAD
    )
    try:
        head = (
            *(f"POST {place.path} HTTP/1.1", f"Host: {place.name}"),
            *("Content-Type: application/json", f"Content-Length: {len(body)}"),
            *(f"X-PGO-Signature: {signed}", "Connection: close", "", ""),
        )
        writer.write("\r\n".join(head).encode("ascii") + body)
        await writer.drain()
        found = _STATUS.match(await reader.readline())
        return int(found[1]) if found else 0
    finally:
        writer.transport.abort()


async def _looked_up(place: Place, allowed: Allowed) -> str:
    """The one address that is called; none of the name's addresses may be private."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    addresses = [str(row[4][0]) for row in found]
    if not addresses:
        raise OSError("no address")
    if not allowed.private and not all(_public(address) for address in addresses):
        raise OSError("a private address")
    return addresses[0]


def _public(address: str) -> bool:
    """Whether an address is on the public internet, also when it hides an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast
