"""The clock of one answer: when each thing happened, and the timings that follow from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.core.metrics import Metrics
from services.core.wire.answer import SEARCH_STAGES, Timings


class AnswerClock:
    """The clock starts when it is made. `now` gives seconds on a monotonic clock."""

    def __init__(self, metrics: Metrics | None = None, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._metrics = metrics
        self._start = now()
        self._stages: dict[str, float] = {}
        self._asked: float | None = None
        self._first_token: float | None = None
        self._first_reasoning: float | None = None
        self._first_answer: float | None = None
        self._last_token: float | None = None

    def elapsed(self) -> float:
        """Measure the seconds since the start."""
        return self._now() - self._start

    def resume(self, elapsed: float) -> AnswerClock:
        """Make a clock of its own that has seen the same stages and shows `elapsed` seconds now."""
        twin = AnswerClock(self._metrics, self._now)
        twin._start -= elapsed
        twin._stages = dict(self._stages)
        return twin

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage before generation; it is counted also where it fails."""
        start = self._now()
        try:
            if self._metrics is None:
                yield
            else:
                with self._metrics.stage(name):
                    yield
        finally:
            self._stages[name] = self._now() - start

    def mark_asked(self) -> None:
        """Note that the request goes to the engine now."""
        self._asked = self._now()

    def mark_token(self, *, reasoning: bool) -> None:
        """Note that a piece of output of this kind arrived now."""
        at = self._now()
        if self._first_token is None:
            self._first_token = at
        if reasoning:
            if self._first_reasoning is None:
                self._first_reasoning = at
        elif self._first_answer is None:
            self._first_answer = at
        self._last_token = at

    def timings(self, output_tokens: int = 0, held_back: float | None = None) -> Timings:
        """Sum up everything so far, in ms; `e2el` runs to now. There is no `tpot` of a text that was
        held back: it came at once."""
        e2el = self._now() - self._start
        ttft = _since(self._start, self._first_token)
        return Timings(
            **{stage: _ms(self._stages.get(stage)) for stage in SEARCH_STAGES},
            ttft=_ms(ttft),
            ttfo=_ms(_since(self._start, self._first_answer)),
            think=_ms(_since(self._first_reasoning, self._first_answer)),
            generation=_ms(_since(self._asked, self._last_token)),
            tpot=_ms((e2el - ttft) / (output_tokens - 1))
            if ttft is not None and output_tokens > 1 and held_back is None
            else None,
            held_back=held_back,
            e2el=round(e2el * 1e3, 3),
        )


def _since(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)


def server_timing(timings: Timings, *, whole: bool = True) -> str:
    """Write the standard `Server-Timing` header: `name;dur=ms` of every stage that happened.

    Not `whole`: the answer goes on, so that there is no `e2el` yet.
    """
    known = timings.model_dump(exclude_none=True, exclude=None if whole else {"e2el"})
    return ", ".join(f"{name};dur={value:.1f}" for name, value in known.items())
