"""Bodies part by part: an answer as it is made, and what is sent as it arrives; plain ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.types import Receive, Send

from pgo.web import ClientGone, Headers


async def send_parts(
    send: Send,
    start: tuple[int, Headers],
    parts: AsyncIterator[bytes],
    length: int | None,
    *,
    head: bool = False,
) -> None:
    """Send an answer part by part; `start` is its status and header fields, `length` its bytes.

    The first part is made before anything is sent, so that what is wrong from the beginning is
    still answered as an error; later on the connection is cut off, and the reader misses the end.
    """
    status, headers = start
    first = b"" if head else await anext(parts, b"")
    if length is not None:
        headers = [*headers, (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if not head:
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def arriving(receive: Receive) -> AsyncIterator[bytes]:
    """A body as it arrives, piece by piece; `pgo.limits` has bounded its size and time.

    Raises:
        ClientGone: the other side hung up.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        more = message.get("more_body", False)
        yield message.get("body", b"")
