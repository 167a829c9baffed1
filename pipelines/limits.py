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
    stage = "generation, first token"
    current_stage.set(stage)
    now = asyncio.get_running_loop().time
    async with aclosing(deltas):
        while True:
            limit = limits.between_tokens if is_begun else limits.first_token
            bound, is_own = _bound(limit - silent)
            start = now()
            try:
                async with asyncio.timeout(bound):
                    delta = await anext(deltas, None)
            except TimeoutError:
                setting = "BETWEEN_TOKENS_SECONDS" if is_begun else "FIRST_TOKEN_SECONDS"
                raise _no_answer(stage, "generation", limit if is_own else None, setting) from None
            if delta is None:
                current_stage.set("")
                return
            silent += now() - start
            if _has_output(delta):
                if not is_begun:
                    stage = "generation, between tokens"
                    current_stage.set(stage)
                is_begun, silent = True, 0.0
            yield delta


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
