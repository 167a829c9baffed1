"""One change of a document at a time, within this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class DocumentLocks:
    """A publish is several steps: hide, wait for readers, delete. Nothing may be staged in between.

    Documents of the same id in two collections share a lock: a collection may have two names.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, documents: Iterable[str]) -> AsyncIterator[None]:
        """In sorted order, so that two callers never wait for each other."""
        async with AsyncExitStack() as stack:
            for document in sorted(set(documents)):
                lock = self._locks.setdefault(document, asyncio.Lock())
                await stack.enter_async_context(lock)
            yield
