"""What a generation took, by model entry, in seconds and tokens.

TTFT counts reasoning, TTFO is the first token of the answer; TPOT is vLLM's (E2EL - TTFT) / (n - 1).
"""

from __future__ import annotations

import time

from prometheus_client import Counter, Histogram

from services.core.metrics import SECONDS, Metrics
from services.generation.backend import Delta, TokenCounts

TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)


class GenerationMetrics:
    """The service's own metrics, in the registry of `metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.service = metrics.service
        labels = ["service", "model"]

        def histogram(name: str, text: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(
                f"ragline_generation_{name}_seconds", text, labels, buckets=buckets, registry=metrics.registry
            )

        def counter(name: str, text: str, extra: tuple[str, ...] = ()) -> Counter:
            return Counter(f"ragline_generation_{name}", text, [*labels, *extra], registry=metrics.registry)

        self.first_token = histogram("time_to_first_token", "Request in to first token, reasoning included")
        self.first_output = histogram("time_to_first_output", "Request in to first token of the answer")
        self.latency = histogram("e2e_latency", "Request in to last token")
        self.per_token = histogram(
            "time_per_output_token", "(end-to-end - TTFT) / (output tokens - 1)", TOKEN_SECONDS
        )
        self.prompt_tokens = counter("prompt_tokens", "Tokens read")
        self.completion_tokens = counter("completion_tokens", "Tokens generated, reasoning included")
        self.reasoning_tokens = counter("reasoning_tokens", "Tokens generated as reasoning")
        self.ended = counter("requests", "Generations by how they ended", ("outcome",))


class Timing:
    """One generation's clock, started with its request."""

    def __init__(self, metrics: GenerationMetrics) -> None:
        self._metrics = metrics
        self._start = time.perf_counter()
        self._first_token: float | None = None
        self._first_output: float | None = None

    def see(self, delta: Delta) -> None:
        """A delta has come."""
        if not delta.content and not delta.reasoning:
            return
        now = time.perf_counter() - self._start
        if self._first_token is None:
            self._first_token = now
        if delta.content and self._first_output is None:
            self._first_output = now

    def finish(self, model: str, outcome: str, tokens: TokenCounts | None) -> None:
        """The generation by this entry has ended as `outcome`: a finish reason, `error` or `cancelled`.

        Latencies are those of whole answers; one that was broken off says nothing about speed.
        """
        metrics = self._metrics
        labels = (metrics.service, model)
        metrics.ended.labels(*labels, outcome).inc()
        if outcome in {"error", "cancelled"}:
            return
        whole = time.perf_counter() - self._start
        metrics.latency.labels(*labels).observe(whole)
        if self._first_token is not None:
            metrics.first_token.labels(*labels).observe(self._first_token)
        if self._first_output is not None:
            metrics.first_output.labels(*labels).observe(self._first_output)
        if tokens is None:
            return
        metrics.prompt_tokens.labels(*labels).inc(tokens.prompt)
        metrics.completion_tokens.labels(*labels).inc(tokens.completion)
        metrics.reasoning_tokens.labels(*labels).inc(tokens.reasoning)
        if self._first_token is not None and tokens.completion > 1:
            metrics.per_token.labels(*labels).observe((whole - self._first_token) / (tokens.completion - 1))
