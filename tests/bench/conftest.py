"""A server that answers whatever a test wants, piece by piece."""

from __future__ import annotations

import asyncio
import contextlib

import pytest


@pytest.fixture
async def answering():
    """Start a server that answers each request with these pieces; None hangs up."""
    servers, open_ = [], set()

    async def start(*pieces):
        async def serve(reader, writer):
            open_.add(asyncio.current_task())
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000) and None not in pieces:
                    for piece in pieces:
                        writer.write(piece)
                        await asyncio.sleep(0.01)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        return servers[-1].sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()
    await asyncio.wait_for(asyncio.gather(*open_), 5)
