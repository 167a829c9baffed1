"""How long first tokens took of late, by model entry: kept in memory, for the list of models."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

from services.core.wire.base import Wire

WINDOW_SECONDS = 3600.0
KEPT = 2000
"""Answers that are kept of an entry: of more in an hour, the latest."""


class FirstTokenTimes(Wire):
    """Milliseconds from the request to the first token of any kind, search included, of the last hour's `n`
    answers."""

    n: int
    median: float
    slowest: float


class RecentTimes:
    """Remembers when answers came and how long their first tokens took."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[tuple[float, float]]] = {}

    def note(self, model: str, ttft: float | None) -> None:
        """Note an answer's time; None where no token came."""
        if ttft is not None:
            self._times.setdefault(model, deque(maxlen=KEPT)).append((self._clock(), ttft))

    def summarise(self) -> dict[str, FirstTokenTimes]:
        """Summarise the last hour, by entry; those without an answer in it are left out."""
        oldest = self._clock() - WINDOW_SECONDS
        found = {}
        for model, noted in self._times.items():
            while noted and noted[0][0] < oldest:
                noted.popleft()
            times = [took for _, took in noted]
            if times:
                found[model] = FirstTokenTimes(n=len(times), median=median(times), slowest=max(times))
        return found
