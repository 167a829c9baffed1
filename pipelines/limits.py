"""How long each stage of the chain may take: a service that hangs is not waited for until the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from services.core.clients.generation import ChatDelta
from services.core.context import seconds_left
from services.core.context import stage as current_stage
from services.core.errors import DeadlineExceeded

MARGIN = 0.05
"""Seconds before the request's deadline at which a stage ends, so that the error can name it."""


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Seconds. `first_token` counts from the request to the model to its first output of any kind,
    `between_tokens` from one piece of output to the next."""

    embedding: float = 15.0
    retrieval: float = 15.0
    first_token: float = 90.0
    between_tokens: float = 90.0

    def share_deadline(self, count: int) -> StageLimits:
        """Leave the others of `count` answers, which come one after another, their part of the deadline."""
        left = seconds_left()
        if left is None:
            return self
        part = left / count
        return replace(
            self,
            first_token=min(self.first_token, part),
            between_tokens=min(self.between_tokens, part),
        )


@asynccontextmanager
async def within_limit(stage: str, seconds: float, setting: str) -> AsyncIterator[None]:
    """Cut the body at the stage's limit, or just before the request's deadline where that is sooner.

    Args:
        stage: The stage, which is also the name of the service that it asks.
        seconds: Its limit.
        setting: The name of the setting with that limit.

    Raises:
        DeadlineExceeded: The time was over; it names the stage.
    """
    bound, is_own = _bound(seconds)
    current_stage.set(stage)
    try:
        async with asyncio.timeout(bound):
            yield
    except TimeoutError:
        raise _no_answer(stage, stage, seconds if is_own else None, setting) from None
    except DeadlineExceeded as error:
        raise DeadlineExceeded(f"the stage {stage}: {error.message}", service=error.service) from error
    current_stage.set("")


async def limit_waits(deltas: AsyncGenerator[ChatDelta], limits: StageLimits) -> AsyncGenerator[ChatDelta]:
    """Yield a generation's deltas, none of which is waited for longer than its limit.

    What a slow reader takes does not count, and what has no output does not reset the time.

    Raises:
        DeadlineExceeded: The first token or the next one did not come in time; it says which.
    """
    is_begun = False
    silent = 0.0
    stage, limit, setting = "generation, first token", limits.first_token, "FIRST_TOKEN_SECONDS"
    current_stage.set(stage)
    watch = _Watch()
    try:
        async with aclosing(deltas):
            while True:
                bound, is_own = _bound(limit - silent)
                start = watch.begin(bound)
                try:
                    delta = await anext(deltas, None)
                except asyncio.CancelledError:
                    if watch.has_struck():
                        raise _no_answer(stage, "generation", limit if is_own else None, setting) from None
                    raise
                silent += watch.end() - start
                if delta is None:
                    current_stage.set("")
                    return
                if _has_output(delta):
                    silent = 0.0
                    if not is_begun:
                        is_begun = True
                        stage, limit = "generation, between tokens", limits.between_tokens
                        setting = "BETWEEN_TOKENS_SECONDS"
                        current_stage.set(stage)
                yield delta
    finally:
        watch.close()


class _Watch:
    """Cancels a task that waits too long, as `asyncio.timeout` does, with one timer for thousands of waits.

    An answer has a wait for each token: a timer for each would be a third of what the gateway does with it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._cancellations = 0
        self._is_struck = False

    def begin(self, seconds: float) -> float:
        """Begin a wait that may take so long; returns the time."""
        now = self._loop.time()
        self._until = now + seconds
        self._task = task = asyncio.current_task()
        self._cancellations = task.cancelling() if task else 0
        if self._timer is None or self._timer.when() > self._until:
            self._set_timer()
        return now

    def end(self) -> float:
        """End the wait; returns the time."""
        self._task = None
        return self._loop.time()

    def has_struck(self) -> bool:
        """Whether the cancellation that has just come is this one's, and no other has come too."""
        return self._is_struck and self._task is not None and self._task.uncancel() <= self._cancellations

    def close(self) -> None:
        """Give the timer up."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return  # nobody waits; the next wait sets a timer
        if self._loop.time() < self._until:
            self._set_timer()
        else:
            self._is_struck = True
            self._task.cancel()


def _has_output(delta: ChatDelta) -> bool:
    """Whether a delta says anything but who is at work."""
    return delta != ChatDelta(model=delta.model, degraded=delta.degraded)


def _bound(seconds: float) -> tuple[float, bool]:
    """Return how long to wait, and whether it is the stage's own limit that ends the wait."""
    left = seconds_left()
    if left is None or seconds < left - MARGIN:
        return max(0.0, seconds), True
    return max(0.0, left - MARGIN), False


def _no_answer(stage: str, service: str, seconds: float | None, setting: str) -> DeadlineExceeded:
    reason = (
        "did not finish before the request's deadline"
        if seconds is None
        else f"had no answer within {seconds:g} s ({setting})"
    )
    return DeadlineExceeded(f"the stage {stage} {reason}", service=service)
