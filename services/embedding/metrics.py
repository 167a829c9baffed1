"""The embedding service's own metrics: its queue, its passes, its cache."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge

from services.core.metrics import Metrics
from services.embedding.backend import HasQueue, QueueLoad


class EmbeddingMetrics:
    """Counts in the registry of `metrics`; `watch` connects the gauges once there is something to watch."""

    def __init__(self, metrics: Metrics) -> None:
        self._service = metrics.service

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"ragline_embedding_{name}", text, ["service"], registry=metrics.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ragline_embedding_{name}", text, ["service", *labels], registry=metrics.registry)

        self._waiting_texts = gauge("queue_texts", "Texts that wait for a pass")
        self._waiting_tokens = gauge("queue_tokens", "Tokens that wait for a pass, padding included")
        self._passes = counter("passes", "Passes of the engine")
        self._texts = counter("pass_texts", "Texts in passes of the engine")
        self._tokens = counter("pass_tokens", "Tokens in passes of the engine, padding included")
        self._lookups = counter("cache_lookups", "Texts looked up, by cache and result", "cache", "result")
        self._cache_bytes = gauge("cache_bytes", "Memory that the cache takes")
        self._seen = QueueLoad()

    def watch(self, backend: object, cache_bytes: Callable[[], float]) -> None:
        """Show the queue of a backend that has one, and the size of the cache, whenever they are read."""
        self._cache_bytes.labels(self._service).set_function(cache_bytes)
        if isinstance(backend, HasQueue):
            self._waiting_texts.labels(self._service).set_function(lambda: backend.load().waiting_texts)
            self._waiting_tokens.labels(self._service).set_function(lambda: backend.load().waiting_tokens)

    def count_lookups(self, cache: str, result: str, count: int) -> None:
        """Count texts that were looked up; see `cache.CountLookups`."""
        self._lookups.labels(self._service, cache, result).inc(count)

    def count_passes(self, backend: object) -> None:
        """Count the passes since the last call."""
        if isinstance(backend, HasQueue):
            now, before = backend.load(), self._seen
            self._seen = now
            self._passes.labels(self._service).inc(now.passes - before.passes)
            self._texts.labels(self._service).inc(now.texts - before.texts)
            self._tokens.labels(self._service).inc(now.tokens - before.tokens)
