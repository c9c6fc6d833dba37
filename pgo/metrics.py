"""Numbers about the server for Prometheus: how many, how long, how often it failed; never who.

Labels are the method-free route template, the class of the status and nothing else, so that no
label can hold an id, and their number is bounded.

With several workers on one port a scrape reaches one of them, and its numbers are those of that
process. Either scrape each worker (one port or pod each), or set PROMETHEUS_MULTIPROC_DIR to an
empty directory before the server starts: then every worker answers with the sum of all.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from pgo.errors import NoSuchInteraction
from pgo.web import Answer, name_route, send_answer

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the latency classes, in seconds."""
MOST_ROUTES: Final = 300


_ANSWERED: Final = "Requests answered."
_TOOK: Final = "Time to answer."


class Answers(Protocol):
    """Where answered requests are counted."""

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is a template (see `pgo.web.route_of`)."""


@dataclass(slots=True)
class _Route:
    """Plain numbers of one route: by class of status, by latency class, seconds in all."""

    statuses: list[int] = field(default_factory=lambda: [0] * 10)
    classes: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class _OwnAnswers(Collector):
    """Those of this process: numbers that become samples when somebody scrapes.

    The library's counters lock and look up for each of three numbers, in four times the time.
    """

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        kept = self._routes.get(route) or self._learn(route)
        kept.statuses[status // 100] += 1
        kept.classes[bisect_left(BUCKETS, seconds)] += 1
        kept.seconds += seconds

    def _learn(self, route: str) -> _Route:
        route = route if len(self._routes) < MOST_ROUTES else "other"
        return self._routes.setdefault(route, _Route())

    def collect(self) -> Iterator[Metric]:
        """The samples, as Prometheus names them."""
        answered = CounterMetricFamily("pgo_requests", _ANSWERED, labels=("route", "status"))
        took = HistogramMetricFamily("pgo_request_seconds", _TOOK, labels=("route",))
        for route, kept in self._routes.items():
            for number, count in enumerate(kept.statuses):
                if count:
                    answered.add_metric((route, f"{number}xx"), count)
            below = [sum(kept.classes[: end + 1]) for end in range(len(kept.classes))]
            bounds = [*map(str, BUCKETS), "+Inf"]
            took.add_metric((route,), list(zip(bounds, below, strict=True)), kept.seconds)
        yield answered
        yield took


class _SharedAnswers:
    """Those of all workers, in the files of PROMETHEUS_MULTIPROC_DIR."""

    def __init__(self) -> None:
        self._requests = Counter(
            "pgo_requests_total", _ANSWERED, ("route", "status"), registry=None
        )
        self._seconds = Histogram(
            "pgo_request_seconds", _TOOK, ("route",), buckets=BUCKETS, registry=None
        )
        self._known: dict[tuple[str, int], tuple[Callable[..., None], Callable[..., None]]] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        key = (route, status // 100)
        answered, took = self._known.get(key) or self._learn(key)
        answered()
        took(seconds)

    def _learn(self, key: tuple[str, int]) -> tuple[Callable[..., None], Callable[..., None]]:
        route = key[0] if len(self._known) < MOST_ROUTES else "other"
        counter = self._requests.labels(route, f"{key[1]}xx")
        learned = (counter.inc, self._seconds.labels(route).observe)
        if route == key[0]:
            self._known[key] = learned
        return learned


class Metrics:
    """The registry of one process, and the collectors in it.

    Attributes:
        registry: of this instance only; nothing is registered globally.
        answers: requests answered.
        audit_failures: audit lines that could not be written.
        open_dossiers: dossiers open in memory now; give it `set_function`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        own = None if self._shared else self.registry
        if self._shared:
            MultiProcessCollector(self.registry, self._shared)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self.answers: Answers = _SharedAnswers() if self._shared else self._own_answers()
        self.audit_failures = Counter(
            "pgo_audit_failures_total", "Audit lines that could not be written.", registry=own
        )
        self.open_dossiers = Gauge(
            "pgo_open_dossiers",
            "Dossiers open in memory.",
            registry=own,
            multiprocess_mode="livesum",
        )

    def _own_answers(self) -> Answers:
        answers = _OwnAnswers()
        self.registry.register(answers)
        return answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/metrics`, GET and HEAD."""
        del receive
        name_route(scope, "/metrics")
        if scope["method"] not in {"GET", "HEAD"}:
            raise NoSuchInteraction("Only GET is offered here.", headers={"Allow": "GET, HEAD"})
        body = generate_latest(self.registry)
        kind = (b"content-type", CONTENT_TYPE_LATEST.encode())
        await send_answer(send, Answer(200, [kind], body), head=scope["method"] == "HEAD")


def make_metrics(open_dossiers: Callable[[], float] | None = None) -> Metrics:
    """A fresh registry; `open_dossiers` is asked at each scrape (not in shared mode: use `set`)."""
    metrics = Metrics()
    if open_dossiers is not None and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        metrics.open_dossiers.set_function(open_dossiers)
    return metrics
