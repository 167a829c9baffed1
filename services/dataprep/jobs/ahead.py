"""Work that runs ahead of its consumer, so that neither waits for the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def ahead(
    items: Iterable[A], work: Callable[[A], Coroutine[object, object, B]], limit: int
) -> AsyncGenerator[tuple[A, B]]:
    """Each item with the result of its work, in order; up to `limit` are worked on at a time.

    They go on while the consumer is busy. At an error, or when the generator is closed, the others are
    cancelled.
    """
    running: deque[tuple[A, asyncio.Task[B]]] = deque()
    try:
        for item in items:
            ready = None
            if len(running) == limit:
                first, task = running.popleft()
                ready = (first, await task)
            running.append((item, asyncio.ensure_future(work(item))))
            if ready is not None:
                yield ready
        while running:
            first, task = running.popleft()
            yield first, await task
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
