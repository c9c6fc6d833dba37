"""Request ids and the headers every answer has."""

from __future__ import annotations

import pytest

from pgo.edge import wrap
from pgo.metrics import make_metrics
from pgo.settings import Settings
from pgo.web import Answer, Front, new_id, request_id, send_answer


def answering(*headers):
    async def app(scope, receive, send):
        app.seen = request_id(scope)
        await send_answer(send, Answer(200, list(headers), b"x"))

    return app


async def test_a_request_id_is_kept_echoed_and_known_inside(ask):
    app = answering()
    sent = [("X-Request-ID", "abc-1.2_3")]
    reply = await ask(Front(app, Settings()), headers=sent)
    assert reply.header("x-request-id") == "abc-1.2_3" == app.seen


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a" * 65,
        "a b",
        "a\r\nset-cookie: x=1",
        "é",
        "<script>",
        "111222333",  # fits the check sum of a BSN
        "patient-111222333",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x",
        "Ab1" * 20,
    ],
)
async def test_a_request_id_of_another_form_is_replaced(ask, bad):
    reply = await ask(
        Front(answering(), Settings(), ids=lambda: "made"), headers=[("X-Request-ID", bad)]
    )
    assert reply.header("x-request-id") == "made"


def test_made_ids_differ_and_hold_letters_only():
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(one.isalpha() and one.isascii() for one in made)


async def test_every_answer_has_safe_headers(ask, lines):
    async def app(scope, receive, send):
        raise RuntimeError

    for inner in (answering(), app):
        reply = await ask(wrap(inner, Settings(), make_metrics()))
        assert reply.header("cache-control") == "no-store"
        assert reply.header("x-content-type-options") == "nosniff"
        assert reply.header("referrer-policy") == "no-referrer"
        assert reply.header("content-security-policy").startswith("default-src 'none'")
        assert reply.header("strict-transport-security") == ""


async def test_https_is_remembered_when_the_issuer_has_it(ask):
    reply = await ask(Front(answering(), Settings(issuer="https://pgo.example")))
    assert reply.header("strict-transport-security") == "max-age=31536000"


async def test_a_page_may_load_its_own_style_and_nothing_else(ask):
    page = answering((b"content-type", b"text/html; charset=utf-8"))
    policy = (await ask(Front(page, Settings()))).header("content-security-policy")
    assert "style-src 'self'" in policy
    assert "script-src" not in policy


async def test_what_the_application_said_itself_stays_and_is_not_said_twice(ask):
    own = [(b"cache-control", b"max-age=60"), (b"content-security-policy", b"x")]
    reply = await ask(Front(answering(*own), Settings()))
    assert reply.header("cache-control") == "max-age=60"
    assert reply.header("content-security-policy") == "x"
    assert reply.header("referrer-policy") == "no-referrer"
