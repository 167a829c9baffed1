"""Calling a service or the job store again where it cannot answer just now.

A call of a service may take `DEFAULT_SECONDS`, and twice as long each time that this was not enough: a slow
processor embeds its batch in the end, a connection that hangs is made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

import structlog

from services.core.connections import DEFAULT_SECONDS
from services.core.context import request_id, start_request
from services.core.errors import DeadlineExceeded, RaglineError, RateLimited, ServiceUnavailable
from services.core.retry import RetryPolicy, ToldWaiting

T = TypeVar("T")

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0
ANSWERED_ATTEMPTS = 8
"""A service that is up and answers the same request with an error so many times does not like the request:
about half a minute with the delays between."""

log = structlog.get_logger(__name__)


class ServiceRetries:
    """Makes a file's calls of services again, for up to `seconds` from a call's first failure; 0: never.

    `told` is told the error before each pause, and None when the call has succeeded after all.
    """

    def __init__(self, seconds: float, told: ToldWaiting) -> None:
        def give_up(error: Exception, answers: int) -> Exception:
            tried = (
                f"{answers} times in a row"
                if answers >= ANSWERED_ATTEMPTS
                else f"for {seconds:g} s (DATAPREP_RETRY_SECONDS)"
            )
            if not isinstance(error, RaglineError):
                return error
            return type(error)(f"{error.message}; tried {tried}", service=error.service)

        self._told = told
        self._policy = RetryPolicy(
            deadline=seconds,
            attempts=ANSWERED_ATTEMPTS,
            first=FIRST_SECONDS,
            longest=LONGEST_SECONDS,
            jitter=0.5,
            counts=_is_answer,
            give_up=give_up,
        )

    async def call(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return what `work` returns. Raises its error where that is the caller's fault or lasts too long."""
        seconds = DEFAULT_SECONDS

        async def attempt() -> T:
            start_request(request_id.get(), seconds)
            return await work()

        async def attempt_longer() -> T:
            nonlocal seconds
            try:
                return await asyncio.create_task(attempt())  # so that the deadline is this attempt's alone
            except DeadlineExceeded:
                seconds *= 2
                raise

        return await self._policy.call(attempt_longer, self._told)


async def call_store(work: Callable[[], Awaitable[T]]) -> T:
    """Call the job store until it succeeds: nothing can go on without it."""
    policy = RetryPolicy(first=FIRST_SECONDS, longest=LONGEST_SECONDS, retries=_is_ours)
    return await policy.call(work, _warn)


def _is_answer(error: Exception) -> bool:
    """Whether the service was there, and failed."""
    return not isinstance(error, ServiceUnavailable | DeadlineExceeded | RateLimited)


def _is_ours(error: Exception) -> bool:
    return isinstance(error, RaglineError)


async def _warn(error: Exception | None) -> None:
    if error is not None:
        log.warning("the job store does not answer", reason=str(error))
