"""What may come in: D01, D07, D08, D09, V21."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import zlib
from typing import Annotated

import pytest
import uvicorn
from fastapi import Body, FastAPI, Request

from pgo.edge import wrap
from pgo.framework import TELEMETRY, answer_errors
from pgo.limits import (
    ADDRESS_BYTES,
    BODY_BYTES,
    BUNDLE_BYTES,
    HEAD_FIELDS,
    METHODS,
    OAUTH_BYTES,
    body_limit,
    serve_options,
)
from pgo.metrics import make_metrics
from pgo.settings import Settings
from pgo.web import Answer, read_body, send_answer

PIECE = 65_536
GZIP = ("Content-Encoding", "gzip")


async def echo(scope, receive, send):
    """Answer the length and the last bytes of the body, and whether it was still marked packed."""
    body = await read_body(receive)
    packed = b"packed" if any(n == b"content-encoding" for n, _ in scope["headers"]) else b"plain"
    await send_answer(send, Answer(200, [], b"%d %s %s" % (len(body), body[-3:], packed)))


def limited(app=echo, **chosen):
    return wrap(app, Settings(), make_metrics(), **chosen)


def in_pieces(size):
    return [b"x" * min(PIECE, size - at) for at in range(0, size, PIECE)]


def packed_in_pieces(body, size=PIECE):
    packed = gzip.compress(body)
    return [packed[at : at + size] for at in range(0, len(packed), size)]


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/fhir/r4", BUNDLE_BYTES),
        ("POST", "/fhir/stu3/", BUNDLE_BYTES),
        ("POST", "/dossiers/abc/fhir/r4", BUNDLE_BYTES),
        ("POST", "/medmij/48/fhir", BUNDLE_BYTES),
        ("PUT", "/fhir/r4", BODY_BYTES),
        ("POST", "/fhir/r4/Observation", BODY_BYTES),
        ("POST", "/oauth/token", OAUTH_BYTES),
        ("POST", "/oauth/fhir", OAUTH_BYTES),
        ("POST", "/mijn/delen", BODY_BYTES),
    ],
)
def test_each_address_has_its_own_limit(method, path, limit):
    assert body_limit(method, path) == limit


@pytest.mark.parametrize("path", ["/oauth/token", "/fhir/r4/Observation", "/fhir/r4"])
async def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(path, ask, lines):
    limit = body_limit("POST", path)
    reply = await ask(limited(), path, "POST", body=in_pieces(limit))
    assert reply.body.startswith(b"%d " % limit)
    assert (await ask(limited(), path, "POST", body=in_pieces(limit + 1))).status == 413


async def test_an_announced_body_that_is_too_large_is_refused_unread(ask, lines):
    sent = [("Content-Length", str(BODY_BYTES + 1))]
    reply = await ask(limited(), "/fhir/r4/Patient", "POST", headers=sent, body=[b"x"])
    assert (reply.status, reply.pulled) == (413, 0)
    assert reply.json()["issue"][0]["code"] == "too-long"


async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(ask, lines):
    reply = await ask(limited(), "/fhir/r4/Patient", "POST", body=in_pieces(200_000_000 // 10))
    assert reply.status == 413
    assert reply.pulled == BODY_BYTES // PIECE + 1


@pytest.mark.parametrize(("announced", "actual"), [(10, 11), (10, 9)])
async def test_a_lie_about_the_length_is_noticed(announced, actual, ask, lines):
    sent = [("Content-Length", str(announced))]
    reply = await ask(limited(), "/fhir/r4/Patient", "POST", headers=sent, body=[b"x" * actual])
    assert reply.status == 400


@pytest.mark.parametrize("length", ["-1", "1e3", "1_0", "", "9" * 16, "1, 1"])
async def test_a_length_that_is_no_number_is_refused(length, ask, lines):
    sent = [("Content-Length", length)]
    assert (await ask(limited(), "/x", "POST", headers=sent, body=[b"x"])).status == 400


async def test_a_body_with_a_length_and_in_chunks_is_refused(ask, lines):
    sent = [("Content-Length", "1"), ("Transfer-Encoding", "chunked")]
    reply = await ask(limited(), "/x", "POST", headers=sent, body=[b"x"])
    assert reply.status == 400


async def test_a_later_http_version_that_announces_nothing_is_counted_too(ask, lines):
    reply = await ask(
        limited(),
        "/oauth/token",
        "POST",
        body=in_pieces(OAUTH_BYTES + 1),
        announce=False,
        http_version="2",
    )
    assert reply.status == 413


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7, 1_900_000])
@pytest.mark.parametrize("piece", [7_000, PIECE])
async def test_a_packed_body_is_unpacked_whole(size, piece, ask, lines):
    body = os.urandom(size // 2).hex().encode() + b"z" * (size % 2)
    pieces = packed_in_pieces(body, piece)
    reply = await ask(limited(), "/fhir/r4/Patient", "POST", headers=[GZIP], body=pieces)
    assert reply.body == b"%d %s plain" % (size, body[-3:])


async def test_a_long_repetition_just_under_the_ratio_is_unpacked_whole(ask, lines):
    body = b"".join(bytes([byte]) * 180 for byte in random.Random(1).randbytes(8_000))
    assert 70 < len(body) / len(gzip.compress(body)) < 99
    reply = await ask(
        limited(), "/fhir/r4/Patient", "POST", headers=[GZIP], body=packed_in_pieces(body, 500)
    )
    assert reply.body.startswith(b"%d " % len(body))


async def test_a_packed_body_that_unpacks_beyond_the_limit_is_refused(ask, lines):
    pieces = packed_in_pieces(os.urandom(BODY_BYTES).hex().encode())
    reply = await ask(limited(), "/fhir/r4/Patient", "POST", headers=[GZIP], body=pieces)
    assert reply.status == 413


async def test_a_bomb_is_refused_before_it_goes_off(ask, lines):
    taken = []

    async def counting(scope, receive, send):
        while (message := await receive()).get("more_body"):
            taken.append(len(message["body"]))

    bomb = packed_in_pieces(bytes(1_900_000))
    assert sum(map(len, bomb)) < 3_000
    reply = await ask(limited(counting), "/fhir/r4/Patient", "POST", headers=[GZIP], body=bomb)
    assert reply.status == 413
    assert sum(taken) <= 300_000


@pytest.mark.parametrize(
    "body",
    [
        b"not gzip at all",
        gzip.compress(b"cut off" * 100)[:-9],
        gzip.compress(b"one") + gzip.compress(b"two"),
        gzip.compress(b"one") + b"behind",
        zlib.compress(b"zlib"),
        gzip.compress(b"damaged" * 99)[:-6] + b"\0\0\0\0\0\0",
    ],
    ids=["plain", "cut", "two members", "tail", "zlib", "checksum"],
)
async def test_a_packed_body_that_is_not_one_sound_gzip_member_is_refused(body, ask, lines):
    for pieces in ([body], [body[:5], body[5:]]):
        reply = await ask(limited(), "/fhir/r4/Patient", "POST", headers=[GZIP], body=pieces)
        assert reply.status == 400


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "compress"])
async def test_other_encodings_are_refused(coding, ask, lines):
    sent = [("Content-Encoding", coding)]
    reply = await ask(limited(), "/fhir/r4/Patient", "POST", headers=sent, body=[b"x"])
    assert (reply.status, reply.header("accept-encoding"), reply.pulled) == (415, "gzip", 0)


async def test_a_body_that_does_not_come_is_not_waited_for(ask, lines):
    reply = await ask(
        limited(body_seconds=0.05), "/fhir/r4/Patient", "POST", body=[b"x", None, b"x"]
    )
    assert reply.status == 408
    assert reply.json()["issue"][0]["code"] == "timeout"


async def test_a_slow_trickle_gets_no_more_time_than_one_pause(ask, lines):
    app = limited(body_seconds=0.1)

    async def slow(scope, receive, send):
        async def trickle():
            await asyncio.sleep(0.03)
            return {"type": "http.request", "body": b"x", "more_body": True}

        await app(scope, trickle, send)

    async with asyncio.timeout(2):
        assert (await ask(slow, "/x", "POST", body=[b"x"])).status == 408


async def test_fastapi_cannot_turn_a_refusal_into_another_answer(ask, lines):
    """FastAPI answers 400 to whatever goes wrong while it reads a body."""
    app = FastAPI(telemetry=TELEMETRY)
    answer_errors(app)

    @app.post("/json")
    async def json(body: Annotated[dict[str, str], Body()]):
        return body

    @app.post("/raw")
    async def raw(request: Request):
        return len(await request.body())

    kind = [("Content-Type", "application/json")]
    for path in ("/json", "/raw"):
        reply = await ask(limited(app), path, "POST", headers=kind, body=in_pieces(BODY_BYTES + 1))
        assert (reply.status, reply.header("content-type")) == (413, "application/problem+json")


async def test_an_application_that_swallows_the_refusal_is_overruled(ask, lines):
    async def careless(scope, receive, send):
        try:
            await read_body(receive)
        except Exception:  # noqa: BLE001 - what a careless application does
            await send_answer(send, Answer(200, [], b"fine"))

    reply = await ask(limited(careless), "/x", "POST", body=in_pieces(BODY_BYTES + 1))
    assert (reply.status, b"fine" in reply.body) == (413, False)


async def test_an_address_of_eight_kilobytes_passes_and_more_does_not(ask, lines):
    fits = "/x?" + "a" * (ADDRESS_BYTES - 2)
    assert (await ask(limited(), fits)).status == 200
    assert (await ask(limited(), fits + "a")).status == 414
    assert (await ask(limited(), "/" + "a" * ADDRESS_BYTES)).status == 414


async def test_header_fields_are_counted_and_measured(ask, lines):
    many = [(f"x-{n}", "1") for n in range(HEAD_FIELDS)]
    assert (await ask(limited(), headers=many)).status == 200
    assert (await ask(limited(), headers=[*many, ("x", "1")])).status == 431
    assert (await ask(limited(), headers=[("x", "a" * 32_767)])).status == 200
    assert (await ask(limited(), headers=[("x", "a" * 32_768)])).status == 431


@pytest.mark.parametrize("name", ["Host", "Authorization", "Content-Type", "If-Match"])
async def test_a_field_that_says_one_thing_may_come_once(name, ask, lines):
    twice = [(name, "a"), (name, "a")]
    assert (await ask(limited(), headers=twice[:1])).status == 200
    assert (await ask(limited(), headers=twice)).status == 400


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "GE T", "M-SEARCH"])
async def test_a_method_nobody_offers_is_refused(method, ask, lines):
    reply = await ask(limited(), "/fhir/r4/Patient", method)
    assert reply.status == 405
    assert set(reply.header("allow").split(", ")) == METHODS
    assert lines()[-1]["method"] in {"OTHER", *METHODS}


@pytest.mark.parametrize(
    "path",
    ["/a\nb", "/a\0", "/é", "/a\x7f", "/\ufffd", "/a\\b", "/../x", "/a/./b", "/a/..", "", "a"],
)
async def test_a_strange_path_is_refused(path, ask, lines):
    assert (await ask(limited(), path, raw_path=b"/x")).status == 400


@pytest.mark.parametrize("raw", [b"/fhir%2fr4", b"/fhir%2Fr4", b"/a%5cb"])
async def test_a_hidden_slash_is_refused(raw, ask, lines):
    assert (await ask(limited(), "/fhir/r4", raw_path=raw)).status == 400


async def test_dots_inside_names_are_fine(ask, lines):
    for path in ("/.well-known/x", "/a/b.c", "/a/..b", "/fhir/r4/Patient/a-1.B"):
        assert (await ask(limited(), path)).status == 200


async def test_websockets_are_closed_and_lifespan_passes():
    sent, seen = [], []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message["type"])

    for type_ in ("websocket", "lifespan"):
        await limited(app)({"type": type_}, None, send)
    assert (sent, seen) == (["websocket.close"], ["lifespan"])


def test_a_worker_that_starts_slowly_is_not_taken_for_a_hung_one_nor_a_dead_one_waited_for_long():
    config = uvicorn.Config("pgo.app:from_environment", **serve_options(Settings()))
    assert config.timeout_worker_healthcheck == 10
