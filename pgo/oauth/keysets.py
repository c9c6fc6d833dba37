"""Public keys of clients that keep them at an address of their own (`jwks_uri`): fetched bounded.

https on port 443 only, no redirects, no address that is not public, 64 kB, three seconds in all.
The name is looked up once and the connection goes to the very address that was judged. A set is
kept for five minutes; a name of a key that is not in it leads to one more fetch a minute at most.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import anyio.to_thread
import orjson
from anyio import CapacityLimiter

from pgo.errors import BadValue
from pgo.oauth.clients import App, Provider, check_key_set, key_address_is_sound

MOST_BYTES, SECONDS, KEPT, AGAIN = 65_536, 3.0, 300, 60
_OK: Final = 200
_PORT: Final = 443
_CHUNK: Final = 8_192
_MOST_SETS: Final = 256

Judge = Callable[[str], bool]
Fetch = Callable[[str], Mapping[str, Any]]


@dataclass(slots=True)
class _Set:
    keys: Mapping[str, Any]
    tried: int


class KeySets:
    """The keys of clients, remembered by each worker for itself.

    Args:
        now: seconds since 1970.
        fetch: gets a set from its address; may block, raises `errors.BadValue` or OSError.
    """

    def __init__(self, now: Callable[[], int], fetch: Fetch | None = None) -> None:
        self._now, self._fetch = now, fetch or fetched
        self._sets: dict[str, _Set] = {}
        self._turn = asyncio.Lock()
        self._threads = CapacityLimiter(2)

    async def of(self, client: App | Provider, kid: str) -> Mapping[str, Any]:
        """The keys of a client, registered or fetched; none when they cannot be had."""
        if client.jwks is not None or not client.jwks_uri:
            return client.jwks or {}
        known = self._sets.get(client.jwks_uri)
        if known is not None and self._fits(known, kid):
            return known.keys
        async with self._turn:
            return await self._renewed(client.jwks_uri, kid)

    def _fits(self, known: _Set, kid: str) -> bool:
        """Whether a set is good enough: it has the key and is young, or was tried just now."""
        age = self._now() - known.tried
        has = any(key["kid"] == kid for key in known.keys.get("keys", ()))
        return age < (KEPT if has else AGAIN)

    async def _renewed(self, uri: str, kid: str) -> Mapping[str, Any]:
        known = self._sets.get(uri)
        if known is not None and self._fits(known, kid):
            return known.keys
        if len(self._sets) >= _MOST_SETS:
            self._sets.clear()
        try:
            keys = await anyio.to_thread.run_sync(self._fetch, uri, limiter=self._threads)
        except (BadValue, OSError, HTTPException):
            keys = {}
        self._sets[uri] = _Set(keys, self._now())
        return keys


def is_public(address: str) -> bool:
    """Whether this IP address is one of the open internet."""
    found = ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_global and not found.is_multicast and (mapped is None or mapped.is_global)


def fetched(
    uri: str,
    *,
    may_reach: Judge = is_public,
    trust: ssl.SSLContext | None = None,
    port: int = _PORT,
) -> Mapping[str, Any]:
    """The key set at an address.

    Raises:
        errors.BadValue: it may not be asked, or what it says is not a key set.
        OSError: it cannot be reached, in time.
    """
    if not key_address_is_sound(uri):
        raise BadValue("These keys cannot be fetched.", place="jwks_uri")
    parts = urlsplit(uri)
    host = parts.hostname or ""
    until = time.monotonic() + SECONDS
    address = _judged(host, may_reach)
    with (
        socket.create_connection((address, port), _left(until)) as bare,
        (trust or ssl.create_default_context()).wrap_socket(bare, server_hostname=host) as line,
    ):
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        line.sendall(f"{request}Connection: close\r\n\r\n".encode())
        return _read(line, until)


def _judged(host: str, may_reach: Judge) -> str:
    """The address of a host; refused when any of its addresses may not be reached."""
    found = [str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    if not found or not all(may_reach(address) for address in found):
        raise BadValue("These keys cannot be fetched.", place="jwks_uri")
    return found[0]


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _read(line: ssl.SSLSocket, until: float) -> Mapping[str, Any]:
    """The set in an answer 200 that is not too long, and does not take too long."""
    line.settimeout(_left(until))
    answer = HTTPResponse(line)
    answer.begin()
    if answer.status != _OK:
        raise BadValue("These keys cannot be fetched.", place="jwks_uri")
    body = b""
    while part := answer.read1(_CHUNK):
        body += part
        if len(body) > MOST_BYTES:
            raise BadValue("These keys cannot be fetched.", place="jwks_uri")
        line.settimeout(_left(until))
    return _sound(body)


def _sound(body: bytes) -> Mapping[str, Any]:
    try:
        keys = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise BadValue("These are no keys.", place="jwks_uri") from wrong
    if not isinstance(keys, dict):
        raise BadValue("These are no keys.", place="jwks_uri")
    check_key_set(keys)
    return keys
