"""When what came of a generation, in seconds from its start."""

from __future__ import annotations

import time

from services.generation.backend import Delta


class Clock:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._first_reasoning: float | None = None
        self._first_output: float | None = None
        self.first_token: float | None = None

    def see(self, delta: Delta) -> None:
        """A delta has come."""
        if not delta.content and not delta.reasoning:
            return
        now = time.perf_counter() - self._start
        if self.first_token is None:
            self.first_token = now
        if delta.reasoning and self._first_reasoning is None:
            self._first_reasoning = now
        if delta.content and self._first_output is None:
            self._first_output = now

    def spans(self, tokens: int | None) -> dict[str, float]:
        """Of a generation that ends now with so many tokens: e2el, and what there was of ttft, ttfo, think
        and tpot."""
        whole = time.perf_counter() - self._start
        spans = {"e2el": whole}
        if self.first_token is not None:
            spans["ttft"] = self.first_token
            if tokens is not None and tokens > 1:
                spans["tpot"] = (whole - self.first_token) / (tokens - 1)
        if self._first_output is not None:
            spans["ttfo"] = self._first_output
            if self._first_reasoning is not None:
                spans["think"] = self._first_output - self._first_reasoning
        return spans
