"""One connection, with limits to its patience: no slow heads, endless bodies or slow readers.

uvicorn has no time limit and no size limit for the head of a request. This protocol adds them:

* a head that is not complete within `head_seconds` closes the connection, also later ones;
* a head over `head_bytes` is answered 431, where people look with a page;
* trailers after a chunked body are dropped: they would count as header fields of the request;
* once an answer is out, what is left of the body gets `linger_seconds` and is thrown away;
* a reader who takes nothing for `write_seconds` is cut off.

A client's certificate is believed of a trusted proxy only: see `believe`.

A request whose head comes in one piece, which is nearly every request, sets no timer at all.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pgo.oauth.certificate import HEADER as CERTIFICATE
from pgo.oauth.cors import is_page
from pgo.oauth.look import Look

_STATUS: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_CLOSED: Final = b"connection: close\r\n\r\n"
_TOO_LARGE: Final = _STATUS + b"content-length: 0\r\ncache-control: no-store\r\n" + _CLOSED


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits; the class attributes are seconds and bytes."""

    head_seconds = 10.0
    head_bytes = 49_152
    linger_seconds = 2.0
    write_seconds = 30.0
    certificate = b""
    url = b""
    proxies: ProxyHeadersMiddleware | None = None

    _in_head = True
    _seen = 0
    _arriving: asyncio.TimerHandle | None = None
    _leaving: asyncio.TimerHandle | None = None

    @classmethod
    def believe(cls, header: str, proxies: str) -> None:
        """Pass on the certificate in this header when one of these proxies sends it.

        The application gets it under a name that nobody can send; from others it is dropped.
        """
        cls.certificate = header.lower().encode()
        cls.proxies = ProxyHeadersMiddleware(_nothing, proxies)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing has as much time as one that speaks slowly."""
        super().connection_made(transport)
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; watch the clock and the size while a head is incomplete."""
        if self._in_head:
            self._seen += len(data)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._watch_head()

    def _watch_head(self) -> None:
        if self._seen > self.head_bytes:
            people = is_page(self.url.partition(b"?")[0].decode("latin-1"))
            self.transport.write(_page() if people else _TOO_LARGE)
            self.transport.close()
        elif self._arriving is None and (self.cycle is None or self.cycle.response_complete):
            self._wait(self.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field of the head; drop a trailer."""
        if not self._in_head:
            return
        if self.certificate and name.lower() == self.certificate:
            if self._from_proxy():
                super().on_header(CERTIFICATE, value)
            return
        super().on_header(name, value)

    def _from_proxy(self) -> bool:
        if self.proxies is None or self.client is None:
            return False
        return self.client[0] in self.proxies.trusted_hosts

    def on_headers_complete(self) -> None:
        """The head is in."""
        self._in_head = False
        self._seen = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is in; what follows is the head of the next one."""
        super().on_message_complete()
        self._in_head = True
        self._stop_waiting()

    def on_response_complete(self) -> None:
        """The answer is out; if the body is not yet in, wait for it a little and drop it."""
        super().on_response_complete()
        if not self._in_head and self.cycle.response_complete:
            self._wait(self.linger_seconds)

    def pause_writing(self) -> None:
        """The other side does not read what we send."""
        super().pause_writing()
        if self._leaving is None:
            self._leaving = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The other side reads again."""
        super().resume_writing()
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._arriving = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None


@cache
def _page() -> bytes:
    """The same answer for people: in Dutch, since no field of the head was looked at."""
    page = Look().fault("cookies", None, status=431)
    fields = b"".join(b"%s: %s\r\n" % field for field in page.raw_headers)
    return _STATUS + fields + _CLOSED + bytes(page.body)


async def _nothing(*_: object) -> None:
    """In place of an application, where only the reading of a list of proxies is wanted."""
