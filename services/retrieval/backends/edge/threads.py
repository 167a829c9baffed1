"""An open collection's two threads, and the upserts of several requests that are written as one.

One thread writes, so that another can search while the disk is waited for. What makes a write durable costs
the same for one passage as for 64, so the upserts that wait meanwhile become one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from services.core.errors import NotFound
from services.retrieval.backends.edge.catalogue import Entry
from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.collections import unknown_collection
from services.retrieval.points import Point
from services.retrieval.revisions import RevisionKey

T = TypeVar("T")
BATCH = 64
"""Passages per write. The engine holds the GIL in its calls, about 6 ms for this many."""

Call = Callable[[EdgeCollection], T]
Hide = Call[tuple[set[RevisionKey], int]]
"""Hides revisions; returns them, and how many passages that are."""
Write = Callable[[Callable[[EdgeCollection], int]], Awaitable[int]]
"""`CollectionThreads.write`."""


class CollectionThreads:
    """An open collection, called from the event loop. A call that began is finished, even if cancelled."""

    def __init__(self, entry: Entry, collection: EdgeCollection) -> None:
        self.entry = entry
        self._collection = collection
        self._reader = ThreadPoolExecutor(1, f"{entry.name}-read")
        self._writer = ThreadPoolExecutor(1, f"{entry.name}-write")
        self._closed = False
        self.upserts = JoinedUpserts(self.write, BATCH)

    async def read(self, call: Call[T]) -> T:
        """Run a short read. Raises `NotFound` after `close`."""
        return await self._submit(self._reader, call)

    async def write(self, call: Call[T]) -> T:
        """Run a write, or a long read; one after another. Raises `NotFound` after `close`."""
        return await self._submit(self._writer, call)

    async def retire(self, hide: Hide) -> int:
        """Hide revisions, and delete them once nothing reads them.

        Reads are one after another, so those that began before the hiding are over when a read that was
        submitted after it runs. What is hidden stays so where the collection is closed in between: the
        next opening deletes it.

        Returns:
            How many passages were hidden.
        """
        revisions, count = await self.write(hide)
        if not revisions:
            return count
        try:
            await self.read(lambda _: None)
            await self.write(lambda on_disk: on_disk.purge(revisions))
        except NotFound:
            return count
        return count

    async def replace(self, copy: Path) -> None:
        """Let a copy of the shard take over, and delete the one before once no read uses it."""
        await self.write(lambda on_disk: on_disk.shards.adopt(copy))
        await self.read(lambda _: None)
        await self.write(lambda on_disk: on_disk.shards.release())

    async def _submit(self, executor: ThreadPoolExecutor, call: Call[T]) -> T:
        if self._closed:
            raise unknown_collection(self.entry.name)
        return await asyncio.get_running_loop().run_in_executor(executor, call, self._collection)

    async def close(self) -> None:
        """Wait for what was submitted, then close the files."""
        self._closed = True
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._reader.shutdown()
        self._writer.shutdown()
        self._collection.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """An upsert that waits for its turn."""

    points: Sequence[Point]
    staged: bool
    done: asyncio.Future[int]

    @property
    def ids(self) -> set[str]:
        return {point.id for point in self.points}

    def settle(self, result: int | Exception) -> None:
        """Tell the caller, unless it was cancelled."""
        if self.done.done():
            return
        if isinstance(result, Exception):
            self.done.set_exception(result)
        else:
            self.done.set_result(result)


class JoinedUpserts:
    """Writes at most `most` points together: those that were asked for while the write before was under way.

    Each request has its own result: where a joint write fails, every request of it is written alone.
    """

    def __init__(self, write: Write, most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: deque[_Request] = deque()
        self._working: asyncio.Task[None] | None = None

    async def add(self, points: Sequence[Point], *, staged: bool) -> int:
        """Write these, durably on return. Raises what `EdgeCollection.upsert` does.

        A caller that is cancelled before its write began has written nothing.

        Returns:
            How many passages of the collection are in no graph now.
        """
        request = _Request(points, staged, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._working is None or self._working.done():
            self._working = asyncio.ensure_future(self._work())
        return await request.done

    async def _work(self) -> None:
        while group := self._next_group():
            if not await self._write_group(group):
                for request in group:
                    await self._write_group([request])

    def _next_group(self) -> list[_Request]:
        """Take requests of one kind, each id once: a passage that comes again is written after that."""
        group: list[_Request] = []
        ids: set[str] = set()
        while self._waiting:
            request = self._waiting[0]
            if request.done.cancelled():
                self._waiting.popleft()
                continue
            if group and (
                request.staged != group[0].staged
                or len(ids) + len(request.points) > self._most
                or ids & request.ids
            ):
                break
            group.append(self._waiting.popleft())
            ids |= request.ids
        return group

    async def _write_group(self, group: Sequence[_Request]) -> bool:
        """Write and settle a group; False where it failed and its requests are to be written one by one."""
        points = [point for request in group for point in request.points]
        staged = group[0].staged

        def upsert(on_disk: EdgeCollection) -> int:
            on_disk.upsert(points, staged=staged)
            return on_disk.shards.count_unindexed()

        try:
            result: int | Exception = await self._write(upsert)
        except Exception as error:  # noqa: BLE001 - the engine raises plain Exception, and each caller gets it
            if len(group) > 1:
                return False
            result = error
        for request in group:
            request.settle(result)
        return True
