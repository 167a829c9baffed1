"""Waiting for a service that cannot answer just now, and knowing when to give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.core.errors import DeadlineExceeded, RaglineError, RateLimited, ServiceError, ServiceUnavailable

T = TypeVar("T")

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0
ANSWERED_ATTEMPTS = 8
"""A service that is up and answers the same request with an error so many times does not like the request:
about half a minute with the delays between."""

Waiting = Callable[[RaglineError | None], Awaitable[None]]
"""Told what is being waited for, and None when it goes on."""


def transient(error: RaglineError) -> bool:
    """Whether the same request may succeed later: the service is at fault, not what it was sent."""
    return isinstance(error, ServiceError | RateLimited) or error.status >= 500


def _answered(error: RaglineError) -> bool:
    """Whether the service was there, and failed."""
    return not isinstance(error, ServiceUnavailable | DeadlineExceeded | RateLimited)


class Patience:
    """Makes calls again, ever more slowly, for up to `seconds` from a call's first failure; 0: never."""

    def __init__(self, seconds: float, waiting: Waiting) -> None:
        self._seconds = seconds
        self._waiting = waiting

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`. Raises its error where that is the caller's fault, or goes on too long."""
        try:
            return await work()
        except RaglineError as error:
            if not transient(error) or not self._seconds:
                raise
            return await self._again(work, error)

    async def _again(self, work: Callable[[], Awaitable[T]], error: RaglineError) -> T:
        clock = asyncio.get_running_loop().time
        end = clock() + self._seconds
        answers = 0
        delay = FIRST_SECONDS
        while True:
            answers = answers + 1 if _answered(error) else 0
            if answers >= ANSWERED_ATTEMPTS or clock() >= end:
                raise _given_up(error, self._seconds, answers)
            await self._waiting(error)
            pause = max(delay * random.uniform(0.5, 1), error.retry_after or 0)
            await asyncio.sleep(min(pause, max(0.0, end - clock())))
            delay = min(2 * delay, LONGEST_SECONDS)
            try:
                result = await work()
            except RaglineError as again:
                if not transient(again):
                    raise
                error = again
            else:
                await self._waiting(None)
                return result


def _given_up(error: RaglineError, seconds: float, answers: int) -> RaglineError:
    """The last error, and how long it was waited for."""
    tried = (
        f"{answers} times in a row"
        if answers >= ANSWERED_ATTEMPTS
        else f"for {seconds:g} s (DATAPREP_RETRY_SECONDS)"
    )
    return type(error)(f"{error.message}; tried {tried}", service=error.service)
