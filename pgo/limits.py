"""What may come in: which requests, how large, how slowly; refuses before it reads.

`Limits` is plain ASGI and only raises; `pgo.web.Front` around it draws the answer. The limits on
the connection itself (slow heads, slow readers) are in `pgo.connection`, because no ASGI
application ever sees a request whose head is not complete.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Awaitable
from itertools import chain
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgo.errors import (
    AddressTooLong,
    BadRequest,
    HeadTooLarge,
    NoSuchInteraction,
    PgoError,
    TooLarge,
    TooSlow,
    UnsupportedMedia,
)
from pgo.fhir import media
from pgo.settings import Settings

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ADDRESS_BYTES: Final = 8_192
HEAD_BYTES: Final = 32_768
HEAD_FIELDS: Final = 64
BODY_BYTES: Final = 2_000_000
BUNDLE_BYTES: Final = 5_000_000
OAUTH_BYTES: Final = 64_000
BODY_SECONDS: Final = 30.0
RATIO: Final = 100
"""A compressed body may grow at most this many times."""

_PIECE: Final = 65_536
_PATH: Final = re.compile(r"/[ !-\[\]-~]*")
"""Printable ASCII without the backslash; every address of this server is made of it."""
_BASES: Final = ("/fhir", "/fhir/r4", "/fhir/stu3")
_DOCUMENT: Final = re.compile(
    r"(?:/dossiers/[a-z0-9-]{1,64})?/fhir/(?:r4|stu3)/Binary(?:/[A-Za-z0-9\-.]{1,64})?/?"
)
_SLOWEST: Final = 200_000
"""Bytes per second at which a document of the largest size still arrives in time."""
_ONCE: Final = frozenset(
    {
        b"host",
        b"authorization",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"transfer-encoding",
        b"if-match",
        b"if-none-match",
        b"if-none-exist",
    }
)
"""Header fields that say one thing; twice means two readers could see two things."""
_GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_COMPRESSED: Final = b"content-encoding"


def body_limit(method: str, path: str, document: int = 0) -> int:
    """Most bytes a body at this address may have, also after it is unpacked.

    `document` is that limit for a document that is sent as its bytes; 0 when this is none.
    """
    if path.startswith("/oauth/"):
        return OAUTH_BYTES
    if document and method in {"POST", "PUT"} and _DOCUMENT.fullmatch(path):
        return document
    bundle = method == "POST" and path.rstrip("/").endswith(_BASES)
    return BUNDLE_BYTES if bundle else BODY_BYTES


class Limits:
    """Lets in what keeps to the limits.

    Raises:
        NoSuchInteraction: a method nobody offers (TRACE, CONNECT, invented ones).
        AddressTooLong, HeadTooLarge: more than 8 kB of address, 32 kB or 64 header fields.
        BadRequest: repeated or contradicting header fields, a path with strange characters,
            fewer or more bytes than announced, a body that cannot be unpacked.
        TooLarge: a body over its limit, as soon as that is known.
        UnsupportedMedia: a content encoding other than gzip.
        TooSlow: a body that did not arrive in `body_seconds`; a large document gets more.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, *, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._document = settings.binary_bytes
        self._seconds = body_seconds

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request; anything but HTTP and lifespan is closed."""
        if scope["type"] != "http":
            return (self._app if scope["type"] == "lifespan" else _refuse)(scope, receive, send)
        fields = _checked(scope)
        if not _has_body(scope, fields):
            return self._app(scope, receive, send)
        return self._with_body(fields, scope, receive, send)

    async def _with_body(
        self, fields: dict[bytes, bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        kind = fields.get(b"content-type", b"").decode("latin-1")
        document = self._document if media.named(kind) is not None else 0
        limit = body_limit(scope["method"], scope["path"], document)
        seconds = self._seconds + (limit / _SLOWEST if limit == document else 0.0)
        body = _Body(scope, fields, receive, send, (limit, seconds))
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if body.breach is None or body.answered:
                raise
        if body.breach is not None and not body.answered:
            raise body.breach


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "websocket.close", "code": 1008})


def _checked(scope: Scope) -> dict[bytes, bytes]:
    """Check the head; its fields by name."""
    if scope["method"] not in METHODS:
        allow = {"Allow": ", ".join(sorted(METHODS))}
        raise NoSuchInteraction("This method is not offered here.", headers=allow)
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    if max(len(raw), len(path)) + len(scope["query_string"]) > ADDRESS_BYTES:
        raise AddressTooLong(f"The address may have at most {ADDRESS_BYTES} bytes.")
    if not _PATH.fullmatch(path) or (b"%" in raw and _hides(raw)):
        raise BadRequest("The path holds characters that are not allowed.", place="path")
    if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
        raise BadRequest("The path may not hold dot segments.", place="path")
    return _once(scope["headers"])


def _has_body(scope: Scope, fields: dict[bytes, bytes]) -> bool:
    """HTTP/1 announces a body; later versions need not."""
    if b"content-length" in fields or b"transfer-encoding" in fields:
        return True
    return not str(scope.get("http_version", "1.1")).startswith("1")


def _hides(raw: bytes) -> bool:
    """Whether the path holds an encoded slash or backslash: proxies and routers differ on them."""
    small = raw.lower()
    return b"%2f" in small or b"%5c" in small


def _once(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The fields by name, checked for size, and for those that may not be repeated."""
    if len(headers) > HEAD_FIELDS:
        raise HeadTooLarge(f"At most {HEAD_FIELDS} header fields are allowed.")
    found = dict(headers)
    if len(found) < len(headers):
        _not_twice([name for name, _ in headers])
    if sum(map(len, chain.from_iterable(headers))) > HEAD_BYTES:
        raise HeadTooLarge(f"The header fields may have at most {HEAD_BYTES} bytes.")
    return found


def _not_twice(names: list[bytes]) -> None:
    for name in names:
        if name in _ONCE and names.count(name) > 1:
            raise BadRequest("A header field is repeated.", place=name.decode())


class _Body:
    """The body of one request on its way in: counted, timed and unpacked piece by piece.

    A breach is raised to the application and kept, because frameworks turn what they meet while
    reading a body into answers of their own; `send` holds such an answer back.
    """

    def __init__(
        self,
        scope: Scope,
        fields: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        limits: tuple[int, float],
    ) -> None:
        self._receive = receive
        self._send = send
        self._limit, seconds = limits
        self._announced = _length(fields)
        if self._announced is not None and self._announced > self._limit:
            raise self._too_large()
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._unpack = _unpacker(scope, fields)
        self._arrived = self._given = 0
        self._packed = b""
        self._more = False
        self._last = False
        self.answered = False
        self.breach: PgoError | None = None

    async def send(self, message: Message) -> None:
        """Pass the answer on, unless a limit was broken before it began."""
        if self.breach is None or self.answered:
            self.answered = True
            await self._send(message)

    async def receive(self) -> Message:
        """The next piece of the body."""
        if self.breach is not None:
            raise self.breach
        try:
            return await self._next()
        except PgoError as breach:
            self.breach = breach
            raise

    async def _next(self) -> Message:
        if self._more:
            return self._unpacked()
        if self._last:
            return await self._receive()
        message = await self._in_time()
        if message["type"] != "http.request":
            return message
        self._last = not message.get("more_body", False)
        self._count(message.get("body", b""))
        if self._unpack is None:
            return message
        self._packed = message.get("body", b"")
        return self._unpacked()

    async def _in_time(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            raise TooSlow("The body took too long to arrive.") from None

    def _count(self, piece: bytes) -> None:
        self._arrived += len(piece)
        if self._arrived > self._limit:
            raise self._too_large()
        if self._announced is None:
            return
        if self._arrived > self._announced or (self._last and self._arrived < self._announced):
            raise BadRequest("The body is not as long as announced.", place="content-length")

    def _unpacked(self) -> Message:
        """One piece of at most 64 kB; what is left to unpack waits for the next call.

        A full piece may have left a little behind inside zlib even when all packed bytes are in.
        """
        unpack: Any = self._unpack
        try:
            piece = unpack.decompress(self._packed, _PIECE)
        except zlib.error:
            raise BadRequest("The body is not valid gzip.", place="content-encoding") from None
        self._packed = unpack.unconsumed_tail
        self._given += len(piece)
        if self._given > self._limit or self._given > max(_PIECE, self._arrived * RATIO):
            raise self._too_large()
        self._more = bool(self._packed) or (len(piece) == _PIECE and not unpack.eof)
        done = self._last and not self._more
        if unpack.unused_data or (done and not unpack.eof):
            raise BadRequest("The body is not one gzip member.", place="content-encoding")
        return {"type": "http.request", "body": piece, "more_body": not done}

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A body here may have at most {self._limit} bytes, also unpacked.")


def _length(fields: dict[bytes, bytes]) -> int | None:
    """The announced length; None for a body in chunks."""
    announced = fields.get(b"content-length")
    if announced is None:
        return None
    if b"transfer-encoding" in fields or not announced.isdigit() or len(announced) > 15:  # noqa: PLR2004 - a length of 16 digits is a number nobody sends
        raise BadRequest("The length of the body is not clear.", place="content-length")
    return int(announced)


def _unpacker(scope: Scope, fields: dict[bytes, bytes]) -> Any:
    """A gzip decompressor, or None for a plain body; the application then sees a plain body."""
    coding = fields.get(_COMPRESSED, b"identity").strip().lower()
    if coding == b"identity":
        return None
    if coding not in _GZIP:
        accepted = {"Accept-Encoding": "gzip"}
        raise UnsupportedMedia("Only gzip is unpacked.", place="content-encoding", headers=accepted)
    hidden = {_COMPRESSED, b"content-length"}
    scope["headers"] = [field for field in scope["headers"] if field[0] not in hidden]
    return zlib.decompressobj(wbits=31)


def serve_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn is started with: `uvicorn.run(app, **serve_options(settings))`.

    Log lines and their set-up are ours (`pgo.log`), so uvicorn's own are off. With more than one
    worker uvicorn wants the application as an import string with `factory=True`. A worker answers
    its parent after it is imported, which takes longer than uvicorn's own 5 seconds on a busy
    machine: it would be killed and started again for ever.
    """
    return {
        "host": settings.host,
        "port": settings.port,
        "workers": settings.workers,
        "http": "pgo.connection:Connection",
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.trusted_proxies,
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": 30,
        "timeout_worker_healthcheck": 10,
        "limit_concurrency": 1_000,
        "backlog": 1_024,
        "h11_max_incomplete_event_size": HEAD_BYTES + ADDRESS_BYTES,
    }
