"""/metrics and /health."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from pgo.edge import wrap
from pgo.errors import NoSuchInteraction, NotFound
from pgo.health import Health
from pgo.metrics import MOST_ROUTES, make_metrics
from pgo.settings import Settings
from pgo.web import Answer, name_route, send_answer


def app_of(metrics, health=None):
    async def app(scope, receive, send):
        if scope["path"] == "/metrics":
            await metrics(scope, receive, send)
        elif scope["path"].startswith("/health"):
            await health(scope, receive, send)
        elif scope["path"].startswith("/fhir"):
            name_route(scope, "/fhir/{release}/{type}/{id}")
            await send_answer(send, Answer(200, [], b"x"))
        else:
            raise NotFound("Not there.")

    return wrap(app, Settings(), metrics)


async def test_requests_are_counted_by_template_and_class(ask, lines):
    metrics = make_metrics(lambda: 3)
    metrics.audit_failures.inc()
    app = app_of(metrics)
    for path in ("/fhir/r4/Patient/geheim-1", "/fhir/r4/Patient/geheim-2?name=geheim-3", "/x"):
        await ask(app, path, headers=[("X-Request-ID", "geheim-4")])
    reply = await ask(app, "/metrics")
    text = reply.body.decode()
    route = "/fhir/{release}/{type}/{id}"
    assert f'pgo_requests_total{{route="{route}",status="2xx"}} 2.0' in text
    assert 'pgo_requests_total{route="none",status="4xx"} 1.0' in text
    assert f'pgo_request_seconds_count{{route="{route}"}} 2.0' in text
    assert "pgo_audit_failures_total 1.0" in text
    assert "pgo_open_dossiers 3.0" in text
    assert "geheim" not in text
    assert reply.header("content-type").startswith("text/plain")


async def test_two_servers_in_one_process_count_apart(ask, lines):
    one, two = make_metrics(), make_metrics()
    await ask(app_of(one), "/x")
    assert "pgo_requests_total{" not in (await ask(app_of(two), "/metrics")).body.decode()


async def test_the_number_of_labels_is_bounded(ask, lines):
    metrics = make_metrics()
    for n in range(MOST_ROUTES + 50):
        metrics.answers.observe(f"/{n}", 200, 0.1)
    text = (await ask(app_of(metrics), "/metrics")).body.decode()
    assert text.count("pgo_requests_total{") == MOST_ROUTES + 1
    assert 'pgo_requests_total{route="other",status="2xx"} 50.0' in text


@pytest.mark.parametrize("path", ["/metrics", "/health/live"])
async def test_only_reading_is_offered(path, ask, lines):
    app = app_of(make_metrics(), Health(dict))
    reply = await ask(app, path, "POST")
    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")
    assert (await ask(app, path, "HEAD")).body == b""
    assert NoSuchInteraction.status == 405


def test_workers_can_answer_with_the_sum_of_all(tmp_path):
    program = (
        "from pgo.metrics import make_metrics\n"
        "from prometheus_client import generate_latest\n"
        "m = make_metrics(lambda: 1)\n"
        "m.answers.observe('/x', 200, 0.1)\n"
        "print(generate_latest(m.registry).decode())\n"
    )
    shared = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for count in ("1.0", "2.0"):
        out = subprocess.run(
            [sys.executable, "-c", program], env=shared, capture_output=True, text=True, check=True
        )
        assert f'pgo_requests_total{{route="/x",status="2xx"}} {count}' in out.stdout


async def test_a_live_process_says_so_without_asking_its_parts(ask, lines):
    async def ready():
        raise AssertionError

    reply = await ask(app_of(make_metrics(), Health(ready)), "/health/live")
    assert (reply.status, reply.json()) == (200, {"status": "pass"})


async def test_ready_names_the_parts_that_do_not_work(ask, lines):
    async def ready():
        return {"store": True, "audit": False}

    reply = await ask(app_of(make_metrics(), Health(ready)), "/health/ready")
    assert reply.status == 503
    assert reply.json() == {"status": "fail", "store": "pass", "audit": "fail"}


async def test_a_part_that_breaks_or_hangs_is_not_ready_and_does_not_say_why(ask, lines):
    async def breaks():
        raise RuntimeError("mongodb://user:geheim@host")

    async def hangs():
        await asyncio.sleep(3600)

    for ready in (breaks, hangs):
        reply = await ask(app_of(make_metrics(), Health(ready, wait=0.05)), "/health/ready")
        assert (reply.status, reply.json()) == (503, {"status": "fail", "server": "fail"})
    causes = [line["cause"] for line in lines() if line["event"] == "not-ready"]
    assert causes == ["RuntimeError", "TimeoutError < CancelledError"]
    assert "geheim" not in str(lines())


async def test_asking_often_does_not_ask_the_store_often(ask, lines):
    asked, now = [], [0.0]

    async def ready():
        asked.append(1)
        await asyncio.sleep(0.01)
        return {"store": True}

    app = app_of(make_metrics(), Health(ready, clock=lambda: now[0]))
    await asyncio.gather(*(ask(app, "/health/ready") for _ in range(20)))
    assert len(asked) == 1
    now[0] = 1.5
    await ask(app, "/health/ready")
    assert len(asked) == 2


async def test_other_addresses_below_health_do_not_exist(ask, lines):
    assert (await ask(app_of(make_metrics(), Health(dict)), "/health/x")).status == 404
