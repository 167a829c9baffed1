"""Calling again what cannot answer just now, and knowing when to give up.

A `RetryPolicy` says how long, how often and after which errors. tenacity runs it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from services.core.errors import RaglineError, RateLimited, ServiceError

T = TypeVar("T")

ToldWaiting = Callable[[Exception | None], Awaitable[None]]
"""Is told the error before each pause, and None when the call has succeeded after all."""

Sleep = Callable[[float], Awaitable[None]]


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed later: the service is at fault, not what it was sent."""
    return isinstance(error, RaglineError) and (
        isinstance(error, ServiceError | RateLimited) or error.status >= 500
    )


def _always(_: Exception) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call that failed is made again, and for how long.

    The pause before the n-th retry is `first` * 2^(n-1) seconds and at most `longest`; `jitter` is the share
    of it that is left to chance. Where the error says `retry_after`, the pause is at least that long.

    There are three bounds, each None where it does not apply. `deadline` is in seconds since the first
    failure; `pausing` is in seconds of all pauses together, however long the calls took; `attempts` is the
    number of errors in a row. With a `deadline` or `pausing` of 0 the call is made once.
    """

    deadline: float | None = None
    pausing: float | None = None
    attempts: int | None = None
    first: float = 0.1
    longest: float = 10.0
    jitter: float = 0.0
    longest_retry_after: float | None = None
    """The longest pause that an error may ask for; None: any."""
    spread: float = 0.0
    """A pause that an error asks for is longer by a random share of at most this, so that clients which were
    told the same do not come back together."""
    last_try: bool = True
    """Whether a pause that would end after `deadline` is cut for one more try; else it is not begun."""
    retries: Callable[[Exception], bool] = is_transient
    """Which errors are worth another call; any other is raised at once."""
    counts: Callable[[Exception], bool] = _always
    """Which errors count for `attempts`; one that does not begins a new row."""
    give_up: Callable[[Exception, int], Exception] | None = None
    """Makes the error that ends it, of the last one and the length of its row; None: the last one itself."""
    sleep: Sleep = asyncio.sleep

    async def call(self, work: Callable[[], Awaitable[T]], told: ToldWaiting | None = None) -> T:
        """Make a call until it succeeds or the policy gives up.

        Args:
            work: Makes the call; it is called again for each try.
            told: Is told what is waited for; see `ToldWaiting`.

        Returns:
            What `work` returned.

        Raises:
            Exception: An error of `work` that is not worth another call, or at the end its last one, or what
                `give_up` made of that.
        """
        if self.deadline == 0 or self.pausing == 0:
            return await work()
        return await _Run(self, told).call(work)


class _Run:
    """One call by a policy: what it has counted so far, in tenacity's terms."""

    def __init__(self, policy: RetryPolicy, told: ToldWaiting | None) -> None:
        self._policy = policy
        self._told = told
        self._backoff = wait_exponential(multiplier=policy.first, max=policy.longest)
        self._pausing = float("inf") if policy.pausing is None else policy.pausing
        self._end: float | None = None
        self._row = 0
        self._is_over = False

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:  # tenacity awaits nothing but a coroutine function
            return await work()

        retrying = AsyncRetrying(
            retry=retry_if_exception(self._is_retried),
            wait=self._pause,
            stop=lambda _: self._is_over,
            before_sleep=self._tell,
            sleep=self._policy.sleep,
            retry_error_callback=self._give_up,
        )
        result: T = await retrying(attempt)
        if self._end is not None and self._told is not None:
            await self._told(None)
        return result

    def _is_retried(self, error: BaseException) -> bool:
        return isinstance(error, Exception) and self._policy.retries(error)

    def _pause(self, state: RetryCallState) -> float:
        """Count the failure, decide whether it is the last, and return the seconds until the next try.

        tenacity calls this once per failure, and only then `stop`.
        """
        policy, error = self._policy, _error_of(state)
        now = asyncio.get_running_loop().time()
        if self._end is None:
            self._end = float("inf") if policy.deadline is None else now + policy.deadline
        left = self._end - now
        self._row = self._row + 1 if policy.counts(error) else 0
        backoff = min(self._backoff(state), self._pausing)
        pause = max(backoff * random.uniform(1 - policy.jitter, 1), self._asked_for(error))
        self._is_over = (
            (policy.attempts is not None and self._row >= policy.attempts)
            or min(left, self._pausing) <= 0
            or (pause > left and not policy.last_try)
        )
        self._pausing -= backoff
        return min(pause, max(0.0, left))

    def _asked_for(self, error: Exception) -> float:
        """The seconds that the error says to wait; 0 where it does not say."""
        seconds = error.retry_after if isinstance(error, RaglineError) else None
        if seconds is None:
            return 0.0
        if self._policy.longest_retry_after is not None:
            seconds = min(seconds, self._policy.longest_retry_after)
        return seconds * random.uniform(1, 1 + self._policy.spread)

    async def _tell(self, state: RetryCallState) -> None:
        if self._told is not None:
            await self._told(_error_of(state))

    def _give_up(self, state: RetryCallState) -> NoReturn:
        error = _error_of(state)
        if self._policy.give_up is not None:
            raise self._policy.give_up(error, self._row) from error
        raise error


def _error_of(state: RetryCallState) -> Exception:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, Exception):
        raise TypeError("a policy is asked about failures only")
    return error
