"""A collection's two threads: one that writes, so that another can search while the disk is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from services.core.errors import NotFound
from services.retrieval.backends.edge.catalogue import Entry
from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.backends.edge.joining import JoinedUpserts
from services.retrieval.revisions import Pair
from services.retrieval.schema import unknown

T = TypeVar("T")
BATCH = 64
"""Passages per write. The engine holds the GIL in its calls, about 6 ms for this many."""

Call = Callable[[EdgeCollection], T]
Hide = Call[tuple[set[Pair], int]]
"""Hides revisions; they, and how many passages that are."""


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
        """For short reads; raises `NotFound` after `close`."""
        return await self._submit(self._reader, call)

    async def write(self, call: Call[T]) -> T:
        """For writes, one after another, and for long reads; raises `NotFound` after `close`."""
        return await self._submit(self._writer, call)

    async def retire(self, hide: Hide) -> int:
        """Hide revisions, and delete them once nothing reads them; how many passages that were.

        Reads are one after another, so those that began before the hiding are over when a read that was
        submitted after it runs. What is hidden stays so where the collection is closed in between: the
        next opening deletes it.
        """
        pairs, count = await self.write(hide)
        if not pairs:
            return count
        try:
            await self.read(lambda _: None)
            await self.write(lambda on_disk: on_disk.purge(pairs))
        except NotFound:
            return count
        return count

    async def replace(self, copy: Path) -> None:
        """Let a copy of the shard take over, and delete the one before once no read uses it."""
        await self.write(lambda on_disk: on_disk.adopt(copy))
        await self.read(lambda _: None)
        await self.write(EdgeCollection.release)

    async def _submit(self, executor: ThreadPoolExecutor, call: Call[T]) -> T:
        if self._closed:
            raise unknown(self.entry.name)
        return await asyncio.get_running_loop().run_in_executor(executor, call, self._collection)

    async def close(self) -> None:
        """Wait for what was submitted, then close the files."""
        self._closed = True
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._reader.shutdown()
        self._writer.shutdown()
        self._collection.close()
