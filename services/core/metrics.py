"""Prometheus metrics of one service, and the stage timer that also opens a trace span."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from opentelemetry.trace import SpanKind, Tracer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.core.opea import Latencies

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
"""Histogram buckets: a reranking takes milliseconds, a reasoning trace on a CPU takes minutes."""

_OPERATIONS = {
    "embedding": {"gen_ai.operation.name": "embeddings"},
    "retrieval": {"gen_ai.operation.name": "retrieval"},
    "reranking": {"gen_ai.operation.name": "rerank"},
}
"""The stages that ask another service, by their names in OpenTelemetry's GenAI conventions, which have
none for reranking."""


class Metrics:
    """One registry per application, so that several can live in one process."""

    def __init__(self, service: str, tracer: Tracer | None = None) -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self.tracer = tracer
        self.latencies = Latencies()
        self._requests = Histogram(
            "ragline_request_duration_seconds",
            "Request in to last byte out",
            ["service", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "ragline_stage_duration_seconds",
            "One stage of the chain",
            ["service", "stage", "model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._degraded = Counter(
            "ragline_degraded",
            "Answers given without this stage; generation: by a fallback of the model asked for",
            ["service", "stage"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "ragline_requests_in_flight", "Requests being served", ["service"], registry=self.registry
        ).labels(service)
        self._request_children: dict[tuple[str, int], Histogram] = {}
        self._stage_children: dict[tuple[str, str], Histogram] = {}

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request and its seconds, in to last byte out."""
        child = self._request_children.get((route, status))
        if child is None:
            child = self._request_children[route, status] = self._requests.labels(
                self.service, route, str(status)
            )
        child.observe(seconds)

    def observe_stage(self, stage: str, seconds: float, model: str = "") -> None:
        """Count the seconds of a stage, and the model that it ran on."""
        child = self._stage_children.get((stage, model))
        if child is None:
            child = self._stage_children[stage, model] = self._stages.labels(self.service, stage, model)
        child.observe(seconds)

    @contextmanager
    def stage(self, stage: str, model: str = "") -> Iterator[None]:
        """Time the body in seconds, also when it raises; a span of the same name where tracing is on, which
        is current in the body: that must not be left and entered again, as by an async generator's yield."""
        operation = _OPERATIONS.get(stage)
        kind = SpanKind.CLIENT if operation else SpanKind.INTERNAL
        span = (
            self.tracer.start_as_current_span(stage, kind=kind, attributes=operation)
            if self.tracer
            else nullcontext()
        )
        start = time.perf_counter()
        with span:
            try:
                yield
            finally:
                self.observe_stage(stage, time.perf_counter() - start, model)

    def count_degraded(self, stage: str) -> None:
        """Count an answer that had to do without a stage."""
        self._degraded.labels(self.service, stage).inc()

    def render(self) -> tuple[bytes, str]:
        """Write the exposition. Returns it with its content type."""
        body: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return body, CONTENT_TYPE_LATEST
