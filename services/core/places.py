"""Places for work that goes on at once: first come, first served, and a bounded line of those who wait."""

from __future__ import annotations

import asyncio

LONGEST_RETRY = 60.0


class Line:
    """Counts those who wait, for the places of one kind or of several: at most `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting = 0


class LineFullError(Exception):
    """As many wait as may."""


class Places:
    """Gives out `count` places; how long they are held says when to come again."""

    def __init__(self, count: int, line: Line, *, smoothing: float) -> None:
        """Make places.

        Args:
            count: How many there are.
            line: Where others wait.
            smoothing: What the last holding counts in the mean of all, above 0 and up to 1.
        """
        self.count = count
        self._line = line
        self._smoothing = smoothing
        self._free = asyncio.Semaphore(count)
        self._seconds = 1.0

    async def enter(self, seconds: float | None = None, *, is_bound: bool = True) -> None:
        """Take a place, and wait for one where all are taken.

        Args:
            seconds: The longest wait; None: as long as it takes.
            is_bound: Whether a full line turns this one away too.

        Raises:
            LineFullError: Too many wait already.
            TimeoutError: None was free in time.
        """
        if not self._free.locked():
            await self._free.acquire()
            return
        if is_bound and self._line.waiting >= self._line.limit:
            raise LineFullError
        self._line.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        finally:
            self._line.waiting -= 1

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()

    def learn(self, seconds: float) -> None:
        """Learn how long a place was needed."""
        self._seconds += self._smoothing * (seconds - self._seconds)

    @property
    def retry_after(self) -> float:
        """Seconds until those who wait now will have had their turn, 1 to `LONGEST_RETRY`."""
        wait = self._seconds * (self._line.waiting + 1) / self.count
        return min(LONGEST_RETRY, max(1.0, wait))
