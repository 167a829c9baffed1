"""Blocking work in a thread of its own, for an event loop: one result, or a stream of items."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

T = TypeVar("T")

StreamingWork = Callable[[Callable[[T], None], threading.Event], None]
"""Blocks; calls its first argument with every item, and returns early once the event is set."""


async def run_in_thread(work: Callable[[], T], name: str) -> T:
    """Run blocking `work` in a daemon thread of its own, which never holds up an exit.

    Returns:
        What `work` returned.

    Raises:
        BaseException: What `work` raised.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(deliver: Callable[[], None]) -> None:
        if not future.done():
            deliver()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - the thread has nobody else to tell
            failure = error
            deliver: Callable[[], None] = lambda: future.set_exception(failure)  # noqa: E731
        else:
            deliver = lambda: future.set_result(result)  # noqa: E731
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, deliver)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future


class ThreadStream(Generic[T]):
    """Work in a thread that hands items to the event loop until it is told to stop.

    It starts when it is made. Iterate over the items once, as they come.

    Args:
        work: Blocks and gives the items, none of which is None.
        name: The thread's name.
        failure: Makes the error that the iteration raises of the one that `work` raised.
    """

    def __init__(
        self, work: StreamingWork[T], name: str, *, failure: Callable[[Exception], Exception]
    ) -> None:
        self._work = work
        self._describe_failure = failure
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._items: asyncio.Queue[T | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        """Set when the work has returned."""
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        """Ask the work to return early."""
        self._stopping.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        item = await self._items.get()
        if item is not None:
            return item
        if self._failure is not None:
            raise self._describe_failure(self._failure) from self._failure
        raise StopAsyncIteration

    def _run(self) -> None:
        try:
            self._work(self._put, self._stopping)
        except Exception as error:  # noqa: BLE001 - `__anext__` raises it
            self._failure = error
        finally:
            self._call_in_loop(self._end)

    def _put(self, item: T) -> None:
        self._call_in_loop(lambda: self._items.put_nowait(item))

    def _end(self) -> None:
        self._items.put_nowait(None)
        self.ended.set()

    def _call_in_loop(self, act: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)
