"""Real sockets, a real server: slow and long heads, endless bodies, slow readers (V22)."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress

import pytest

from pgo.connection import Connection
from pgo.edge import wrap
from pgo.metrics import make_metrics
from pgo.settings import Settings
from pgo.web import Answer, read_body, send_answer


class Hasty(Connection):
    head_seconds = 0.4
    linger_seconds = 0.2
    write_seconds = 0.3


async def app(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(0.8)
    if scope["path"] == "/large":
        await send_answer(send, Answer(200, [], bytes(50_000_000)))
        return
    names = b",".join(n for n, _ in scope["headers"])
    body = await read_body(receive)
    await send_answer(send, Answer(200, [], b"%d %s" % (len(body), names)))


@pytest.fixture
async def port(serving, lines):
    async with serving(wrap(app, Settings(), make_metrics()), http=Hasty) as number:
        yield number


async def talk(port, *parts, pause=0.0):
    """Send parts, then read until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def closed_after(reader):
    """Seconds until the other side hangs up, politely or not; fails when it does not."""
    started = time.perf_counter()
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 20)
    return time.perf_counter() - started


CLOSE = b"host: x\r\nconnection: close\r\n\r\n"


async def test_a_plain_request_works(port):
    answer = await talk(port, b"GET /x HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"server:" not in answer.lower()
    assert b"x-request-id: " in answer


async def test_two_hundred_slow_sockets_do_not_stay(port):
    """Each sends a byte now and then and never finishes its head."""
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]

    async def drip(writer):
        for byte in b"GET /x HTTP/1.1\r\nx: " + b"a" * 1_000:  # for longer than we wait
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dripping = [asyncio.ensure_future(drip(writer)) for _, writer in pairs]
    await asyncio.sleep(0.1)
    assert (await talk(port, b"GET /x HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 200 ")
    await asyncio.gather(*(closed_after(reader) for reader, _ in pairs))
    for task in dripping:
        task.cancel()
    await asyncio.gather(*dripping, return_exceptions=True)
    for _, writer in pairs:
        writer.close()


async def test_uvicorn_by_itself_lets_them_stay(serving, lines):
    """The test above can fail: without our protocol nobody is sent away."""
    async with serving(app, http="httptools") as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(b"GET /x HTTP/1.1\r\nx: ")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 1.0)
        writer.close()


@pytest.mark.parametrize("start", [b"", b"G", b"\r\n", b"GET /x HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_that_is_not_complete_in_time_is_not_waited_for(start, port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    assert await closed_after(reader) > 0.2
    writer.close()


async def test_empty_lines_between_requests_do_not_keep_a_connection(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"host")

    async def lines():
        for _ in range(400):  # for longer than we wait
            writer.write(b"\r\n")
            await asyncio.sleep(0.1)

    sending = asyncio.ensure_future(lines())
    await closed_after(reader)
    assert not sending.done()
    sending.cancel()
    writer.close()


async def test_a_slow_answer_is_not_a_slow_head(port):
    answer = await talk(port, b"GET /slow HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_one_connection_serves_many_requests(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):
        writer.write(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readuntil(b"0 host")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.15)  # together longer than a head may take
    writer.close()


async def test_pipelined_requests_are_answered_in_order(port):
    parts = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\nPOST /x HTTP/1.1\r\nContent-Length: 3\r\n"
    answer = await talk(port, parts, CLOSE, b"abc", pause=0.05)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.endswith(b"3 content-length,host,connection")


async def test_an_endless_head_is_answered_431_and_closed(port):
    fields = [b"x: " + b"a" * 20_000 + b"\r\n"] * 3
    answer = await talk(port, b"GET /x HTTP/1.1\r\n", *fields, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_large_head_that_comes_at_once_is_refused_too(port):
    head = b"GET /x HTTP/1.1\r\nx: " + b"a" * 33_000 + b"\r\n" + CLOSE
    assert (await talk(port, head)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("path", "people"),
    [
        (b"/mijn", True), (b"/oauth/sign-in?flow=x", True), (b"/oauth/" + b"x" * 8_000, True),
        (b"/oauth/token", False), (b"/fhir/r4/Patient", False),
    ],
    ids=lambda one: str(one)[:20],
)  # fmt: skip
async def test_where_people_look_that_answer_is_a_page_which_repeats_nothing(port, path, people):
    fields = [b"cookie: GEHEIM" + b"a" * 20_000 + b"\r\n"] * 3
    answer = await talk(port, b"GET " + path + b" HTTP/1.1\r\n", *fields, pause=0.05)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.search(rb"^HTTP/1.1 431 ", head)
    assert (b"<h1>" in body) is people
    assert (b"content-type: text/html" in head) is people
    assert not people or b"content-length: %d" % len(body) in head
    assert not people or "Wis de cookies" in body.decode()
    assert b"GEHEIM" not in answer
    assert b"xxx" not in body


@pytest.mark.parametrize("noise", [b"\r\n" * 30_000, b"\0" * 60_000, b"a" * 60_000])
async def test_a_flood_that_is_no_request_at_all_ends_without_an_error_of_ours(port, noise, lines):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(noise)
    await closed_after(reader)
    writer.close()
    assert [one for one in lines() if one["level"] == "error"] == []


async def test_trailers_do_not_become_header_fields(port):
    request = (
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"3\r\nabc\r\n0\r\n"
        b"Authorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    )
    answer = await talk(port, request)
    assert answer.endswith(b"3 transfer-encoding,host,connection")


async def test_an_announced_giant_is_refused_before_it_is_sent(port):
    head = (
        b"POST /x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 200000000\r\n\r\n"
    )
    answer = await talk(port, head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


async def test_who_goes_on_sending_after_the_refusal_is_cut_off(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /oauth/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    async def send():
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0.01)

    sending = asyncio.ensure_future(send())
    status = await reader.readline()
    assert status.startswith(b"HTTP/1.1 413 ")  # what follows differs since Python 3.13
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(sending, 5)
    writer.close()


async def test_a_body_that_stops_coming_is_answered_408_and_closed(serving, lines):
    short = wrap(app, Settings(), make_metrics(), body_seconds=0.2)
    async with serving(short, http=Hasty) as number:
        answer = await talk(number, b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_reader_who_takes_nothing_is_cut_off(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
    writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.sleep(1.0)
    taken = 0
    try:
        while piece := await asyncio.wait_for(reader.read(1_000_000), 5):
            taken += len(piece)
    except ConnectionError:
        pass
    assert taken < 50_000_000
    writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /\xc3\xa9 HTTP/1.1\r\n",
        b"GET /a%0ab HTTP/1.1\r\n",
        b"GET /a%00 HTTP/1.1\r\n",
        b"GET /%ff HTTP/1.1\r\n",
        b"GET /a%2fb HTTP/1.1\r\n",
        b"GET /a/%2e%2e/b HTTP/1.1\r\n",
        b"GET /x HTTP/1.1\r\nhost: y\r\n",
        b"GET /x HTTP/1.1\r\nauthorization: a\r\nauthorization: a\r\n",
        b"POST /x HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n",
        b"POST /x HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n",
        b"GET http://[ HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n",
    ],
)
async def test_malformed_requests_are_answered_400(request_, port):
    assert (await talk(port, request_ + CLOSE)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("method", [b"TRACE", b"PROPFIND"])
async def test_a_method_nobody_offers_is_answered_405(method, port):
    answer = await talk(port, method + b" /x HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 405 ")


async def test_connect_and_upgrades_lead_nowhere(port):
    assert b" 200 " not in await talk(port, b"CONNECT h:443 HTTP/1.1\r\n" + CLOSE)
    upgrade = (
        b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
    )
    assert b" 101 " not in await talk(port, upgrade)


@pytest.mark.long
async def test_with_the_real_times_two_hundred_slow_sockets_are_gone_in_eleven_seconds(
    serving, lines
):
    async with serving(wrap(app, Settings(), make_metrics())) as number:
        pairs = [await asyncio.open_connection("127.0.0.1", number) for _ in range(200)]
        for _, writer in pairs:
            writer.write(b"GET /x HTTP/1.1\r\nx: ")
        took = await asyncio.gather(*(closed_after(reader) for reader, _ in pairs))
        assert 9 < max(took) < 11
        for _, writer in pairs:
            writer.close()
