"""A client's certificate in a header: believed of a trusted proxy, dropped from anybody else."""

from __future__ import annotations

import asyncio

import pytest

from pgo.connection import Connection
from pgo.oauth.certificate import HEADER


async def told(scope, receive, send):
    """Answers the header fields it got."""
    del receive
    body = b"\n".join(name + b"=" + value for name, value in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def sent(serving, header, proxies, *lines):
    class Here(Connection):
        """As in `pgo serve`, with settings of this test."""

    Here.believe(header, proxies)
    async with serving(told, http=Here) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\r\n".join([b"GET / HTTP/1.1", b"host: x", *lines, b"", b""]))
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    return answer


@pytest.mark.parametrize("name", [b"X-Client-Cert", b"x-client-cert", b"X-CLIENT-CERT"])
async def test_o20_from_a_trusted_proxy_it_is_passed_on(serving, name):
    answer = await sent(serving, "X-Client-Cert", "127.0.0.1", name + b": :AAAA:")
    assert HEADER + b"=:AAAA:" in answer
    assert b"x-client-cert" not in answer


@pytest.mark.parametrize("proxies", ["10.0.0.1", "192.0.2.0/24"])
async def test_o20_from_the_internet_it_is_dropped(serving, proxies):
    lines = (b"X-Client-Cert: :AAAA:", b"X-Forwarded-For: 10.0.0.1")
    answer = await sent(serving, "X-Client-Cert", proxies, *lines)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"AAAA" not in answer


async def test_o20_without_a_setting_no_header_is_a_certificate(serving):
    answer = await sent(serving, "", "127.0.0.1", b"X-Client-Cert: :AAAA:")
    assert HEADER not in answer


async def test_o20_nobody_can_send_the_name_it_gets(serving):
    answer = await sent(serving, "X-Client-Cert", "127.0.0.1", HEADER + b": :AAAA:")
    assert answer.startswith(b"HTTP/1.1 400")
