"""How many requests an engine works on at once, and how many may wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.core.errors import RateLimited

SMOOTHING = 0.2
LONGEST_RETRY = 60.0


class Queue:
    """The waiting room that all entries share: `limit` requests in all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting = 0


class Admission:
    """One entry's `slots`; first come, first served."""

    def __init__(self, slots: int, queue: Queue) -> None:
        self._slots = slots
        self._free = asyncio.Semaphore(slots)
        self._queue = queue
        self._seconds = 1.0

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Hold a slot; waits for one. Raises `RateLimited` where too many wait already."""
        await self._enter()
        start = time.monotonic()
        try:
            yield
        finally:
            self._free.release()
            self._seconds += SMOOTHING * (time.monotonic() - start - self._seconds)

    async def _enter(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        queue = self._queue
        if queue.waiting >= queue.limit:
            wait = self._seconds * (queue.waiting + 1) / self._slots
            raise RateLimited(
                f"{queue.waiting} requests are waiting already (LLM_QUEUE): try again later",
                retry_after=min(LONGEST_RETRY, max(1.0, wait)),
            )
        queue.waiting += 1
        try:
            await self._free.acquire()
        finally:
            queue.waiting -= 1
