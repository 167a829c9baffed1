"""Counters of what was used: in this process, or in a Redis that several gateways share.

Where the Redis does not answer, this gateway counts by itself until it does. So a limit goes on holding for
each gateway alone: nobody is shut out because a counter is down, and nobody has more than the gateways are
many.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.core.addresses import RedisAddress
from services.core.errors import ServiceUnavailable
from services.core.redis import connect

ANSWER_SECONDS = 0.5
"""Longest wait for the Redis: a request must not wait long for being counted."""
PAUSE_SECONDS = 5.0
"""How long the Redis is left alone after it has not answered."""
TIDY_SECONDS = 60.0
_PREFIX = "ragline:used:"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Change(NamedTuple):
    """Adds to a counter, or reads it where the amount is 0; it is forgotten some seconds after its first
    one."""

    name: str
    amount: int
    seconds: int


class SharedStore:
    """A Redis that several gateways count in; it is left alone for a while where it does not answer."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._silent_until = 0.0

    async def call(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        """Do something in the Redis, in one round trip. Returns None where it is silent, or was just now."""
        if self._clock() < self._silent_until:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await work(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._silent_until = self._clock() + PAUSE_SECONDS
            log.warning("the Redis of limits does not answer: counting here", reason=repr(error))
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class Counters:
    """Numbers by name."""

    def __init__(
        self, shared: SharedStore | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make the counters; they are in this Redis, or in this process where there is none."""
        self._here: dict[str, tuple[int, float]] = {}
        self._clock = clock
        self._tidied = clock()
        self.shared = shared

    async def close(self) -> None:
        """Close the connections."""
        if self.shared is not None:
            await self.shared.close()

    async def change(self, changes: Sequence[Change]) -> list[int]:
        """Make some changes at once. Returns the counters' values after them."""
        if self.shared is not None and changes:
            values = await self.shared.call(lambda redis: _change_there(redis, changes))
            if values is not None:
                return values
        return self._change_here(changes)

    async def check(self) -> None:
        """Raise `ServiceUnavailable` where the Redis does not answer."""
        look = [Change("check", 0, 0)]
        if self.shared is not None and not await self.shared.call(lambda redis: _change_there(redis, look)):
            raise ServiceUnavailable("the Redis of LIMITS_URL is silent: each gateway counts by itself")

    def _change_here(self, changes: Sequence[Change]) -> list[int]:
        now = self._clock()
        if now - self._tidied > TIDY_SECONDS:
            self._tidied = now
            self._here = {name: kept for name, kept in self._here.items() if kept[1] > now}
        values = []
        for name, amount, seconds in changes:
            value, until = self._here.get(name, (0, now + seconds))
            if amount:
                self._here[name] = value + amount, until
            values.append(value + amount)
        return values


async def _change_there(redis: Redis, changes: Sequence[Change]) -> list[int]:
    """Change the counters of the Redis."""
    pipeline = redis.pipeline(transaction=False)
    for name, amount, seconds in changes:
        if amount:
            pipeline.incrby(_PREFIX + name, amount)
            pipeline.expire(_PREFIX + name, seconds)
        else:
            pipeline.get(_PREFIX + name)
    replies = iter(await pipeline.execute())
    values = []
    for _, amount, _ in changes:
        values.append(int(next(replies) or 0))
        if amount:
            next(replies)
    return values


def open_counters(url: str) -> Counters:
    """Make the counters that `LIMITS_URL` names.

    Raises:
        InvalidRequest: It is no address of a Redis.
    """
    if not url:
        return Counters()
    address = RedisAddress.parse("LIMITS_URL", "the counters of limits", url)
    return Counters(SharedStore(connect(address, connect_seconds=ANSWER_SECONDS, retries=0)))
