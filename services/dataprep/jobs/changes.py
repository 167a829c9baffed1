"""Who watches which job in this process, and waking them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from services.core.wire.dataprep import Job

QUIET_SECONDS = 5.0
"""After so long without a change a job is read again: a change that was told to nobody costs no more."""

SETTLE_SECONDS, SETTLE_SECONDS_PER_FILE, SETTLE_SECONDS_MOST = 0.1, 0.02, 1.0
"""Changes that follow each other faster are read as one, but the last: a job of many files changes all the
time, and reading it is reading all of its files."""


def ended_key(job: str) -> str:
    """The key that is told that a job has finished, by a store that knows."""
    return f"{job} ended"


class Changes:
    """Watchers by a key; telling is cheap where nobody watches."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, key: str) -> None:
        for watcher in self._watchers.get(key, ()):
            watcher.set()

    @contextmanager
    def watching(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set at each `tell`; the watcher clears it."""
        watcher = asyncio.Event()
        self._watchers[key].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[key].discard(watcher)
            if not self._watchers[key]:
                del self._watchers[key]


async def wait(changed: asyncio.Event, seconds: float) -> None:
    """Return at a change, or after `seconds`; the event is clear then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()
    changed.clear()


async def follow(get: Callable[[str], Awaitable[Job]], changes: Changes, job: str) -> AsyncGenerator[Job]:
    """What `JobReader.changes` yields, from a store's `get`."""
    with changes.watching(job) as changed, changes.watching(ended_key(job)) as over:
        while True:
            now = await get(job)
            yield now
            if now.finished:
                return
            settling = max(SETTLE_SECONDS, SETTLE_SECONDS_PER_FILE * len(now.files))
            await wait(over, min(settling, SETTLE_SECONDS_MOST))
            await wait(changed, QUIET_SECONDS)
