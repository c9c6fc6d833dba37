"""FastAPI inside our edge: errors in our form; no query in spans, lines or metrics (V23)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Annotated, Any, get_type_hints

import pytest
from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from pydantic import BaseModel

from pgo.edge import wrap
from pgo.errors import Conflict
from pgo.framework import TELEMETRY, Methods, answer_errors
from pgo.metrics import make_metrics
from pgo.settings import Settings

CANARY = "haloperidol-5mg"
JSON = [("Content-Type", "application/json")]


class Recorder(trace.TracerProvider, trace.Tracer):
    """A tracer provider that keeps everything it is told, as text."""

    def __init__(self):
        self.heard: list[str] = []

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return self

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> trace.Span:
        self.heard.append(f"{name} {args} {kwargs}")
        return trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any):  # type: ignore[override]
        yield self.start_span(name, *args, **kwargs)


class Order(BaseModel, extra="forbid"):
    amount: int
    tags: Sequence[str] = ()


def built(telemetry=TELEMETRY) -> FastAPI:
    app = FastAPI(telemetry=telemetry, docs_url=None, redoc_url=None)
    answer_errors(app)

    @app.get("/mijn/{name}")
    async def read(name: str, q: Annotated[str, Query(max_length=20)] = ""):
        return {"ok": len(name) + len(q)}

    @app.post("/oauth/order")
    @app.post("/fhir/r4/order")
    @app.post("/mijn/order")
    async def order(order: Order):
        return order

    @app.get("/mijn/fout/{kind}")
    async def wrong(kind: str):
        if kind == "conflict":
            raise Conflict("There is one already.", place="name")
        if kind == "teapot":
            raise HTTPException(418, CANARY)
        raise RuntimeError(CANARY)

    @app.get("/mijn/page/show")
    async def page():
        return HTMLResponse("<p>")

    @app.get("/mijn/stream/half")
    async def stream():
        async def parts():
            yield b"half"
            raise RuntimeError(CANARY)

        return StreamingResponse(parts())

    return app


@pytest.fixture
def app(lines):
    return wrap(built(), Settings(), make_metrics())


async def test_a_query_value_is_in_no_span_no_line_and_no_metric(ask, lines):
    recorder, metrics = Recorder(), make_metrics()
    quiet: TelemetryConfig = {**TELEMETRY, "tracer_provider": recorder}
    app = wrap(built(quiet), Settings(), metrics)
    for path in (f"/mijn/{CANARY}?q={CANARY}", f"/mijn/fout/{CANARY}?q={CANARY}", f"/x?q={CANARY}"):
        await ask(app, path, headers=[("traceparent", f"00-{CANARY}")])
    from prometheus_client import generate_latest

    assert recorder.heard == []
    assert len([line for line in lines() if line["event"] == "access"]) == 3
    assert CANARY not in str(lines())
    assert CANARY not in generate_latest(metrics.registry).decode()


async def test_the_canary_would_be_heard_if_only_the_exporters_were_off(ask, lines):
    """Shows that the test above can fail, and why `auto_configure` alone is not enough."""
    recorder = Recorder()
    await ask(built({"auto_configure": False, "tracer_provider": recorder}), f"/mijn/x?q={CANARY}")
    assert CANARY in "".join(recorder.heard)


def test_everything_fastapi_can_measure_is_off():
    switches = {n for n, kind in get_type_hints(TelemetryConfig).items() if kind is bool}
    assert switches == TELEMETRY.keys()
    assert not any(TELEMETRY.values())


async def test_routes_are_named_by_their_template(ask, app, lines):
    await ask(app, "/mijn/jan")
    await ask(app, "/mijn/fout/x")
    routes = [line["route"] for line in lines() if line["event"] == "access"]
    assert routes == ["/mijn/{name}", "/mijn/fout/{kind}"]


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/mijn/order", "application/problem+json"),
        ("/fhir/r4/order", "application/fhir+json; charset=utf-8"),
        ("/oauth/order", "application/json"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b'{"amount": "%s"}' % CANARY.encode(),
        b'{"amount": 1, "%s": 1}' % CANARY.encode(),
        b'{"amount": 1, "tags": {"%s": 1}}' % CANARY.encode(),
        b"{%s" % CANARY.encode(),
        b"",
    ],
    ids=["value", "name", "inner", "no json", "nothing"],
)
async def test_what_was_sent_is_not_repeated(path, media, body, ask, app):
    reply = await ask(app, path, "POST", headers=JSON, body=[body])
    assert (reply.status, reply.header("content-type")) == (400, media)
    assert CANARY.encode() not in reply.body


async def test_a_fault_is_named_by_its_place(ask, app):
    reply = await ask(app, "/fhir/r4/order", "POST", headers=JSON, body=[b'{"amount": "x"}'])
    (issue,) = reply.json()["issue"]
    assert (issue["code"], issue["expression"]) == ("value", ["body.amount"])
    reply = await ask(app, "/fhir/r4/order", "POST", headers=JSON, body=[b"{}"])
    assert reply.json()["issue"][0]["code"] == "required"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/mijn/fout/conflict", "GET", 409),
        ("/mijn/fout/teapot", "GET", 400),
        ("/mijn/fout/other", "GET", 500),
        ("/nergens", "GET", 404),
        ("/mijn/order", "DELETE", 405),
        ("/mijn/jan?q=" + "x" * 21, "GET", 400),
    ],
)
async def test_every_error_of_fastapi_has_our_form(path, method, status, ask, app):
    reply = await ask(app, path, method)
    assert (reply.status, reply.json()["status"]) == (status, status)
    assert reply.header("content-type") == "application/problem+json"
    assert CANARY.encode() not in reply.body


async def test_an_incident_is_written_down_once(ask, app, lines):
    await ask(app, "/mijn/fout/other")
    incidents = [line for line in lines() if line["event"] == "incident"]
    assert [one["cause"] for one in incidents] == ["RuntimeError"]
    assert incidents[0]["route"] == "/mijn/fout/{kind}"


async def test_a_stream_that_breaks_is_left_unfinished(ask, app, lines):
    reply = await ask(app, "/mijn/stream/half")
    assert reply.body == b"half"
    assert "incident" in [line["event"] for line in lines()]


async def test_pages_get_the_policy_of_pages(ask, app):
    policy = (await ask(app, "/mijn/page/show")).header("content-security-policy")
    assert "style-src 'self'" in policy


async def test_head_has_no_body_and_the_server_still_knows_that_it_was_head():
    scope = {
        "type": "http", "method": "HEAD", "path": "/mijn/page/show", "raw_path": b"/mijn/page/show",
        "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http",
        "server": ("pgo.example", 80), "client": None, "root_path": "", "state": {},
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append((scope["method"], message))

    await Methods(built())(scope, None, send)
    assert {method for method, _ in sent} == {"HEAD"}
    start, *bodies = [message for _, message in sent]
    assert start["status"] == 200
    assert (b"content-length", b"3") in start["headers"]
    assert b"".join(one["body"] for one in bodies) == b""
    assert scope["route"].path_format == "/mijn/page/show"
