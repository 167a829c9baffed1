"""Deleting what was hidden, after a grace period: other processes may still read what they found before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

import structlog
from qdrant_client import models as q

from services.core.context import start_request
from services.core.errors import NotFound, RaglineError
from services.retrieval.backends.qdrant.connection import Connection
from services.retrieval.backends.qdrant.revisions import Records, of_revisions
from services.retrieval.locks import DocumentLocks
from services.retrieval.revisions import Pair

SECONDS = 60.0
"""The longest that one deletion may take."""
log = structlog.get_logger(__name__)


class Retirement:
    """Purges doomed revisions in the background; what a crash or `close` leaves is doomed and found again."""

    def __init__(
        self, connection: Connection, records: Records, locks: DocumentLocks, grace_seconds: float
    ) -> None:
        self._connection = connection
        self._records = records
        self._locks = locks
        self._grace = grace_seconds
        self._tasks: dict[tuple[str, Pair], asyncio.Task[None]] = {}

    def begin(self, collection: str, pairs: Iterable[Pair]) -> None:
        """Purge these after the grace period, counted from the first call that names them."""
        for pair in pairs:
            key = (collection, pair)
            if key not in self._tasks:
                task = self._tasks[key] = asyncio.ensure_future(self._later(collection, pair))
                task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: tuple[str, Pair], _: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)

    async def _later(self, collection: str, pair: Pair) -> None:
        await asyncio.sleep(self._grace)
        start_request("", SECONDS)
        try:
            async with self._locks.hold([pair[0]]):
                await self.purge(collection, pair)
        except NotFound:
            return
        except RaglineError as error:
            log.warning("a hidden revision is not deleted yet", document_id=pair[0], reason=error.message)

    async def purge(self, collection: str, pair: Pair) -> None:
        """Delete the points of a doomed revision and forget it; nothing where it is not doomed any more."""
        hidden = await self._records.read(collection, pair[0])
        if pair not in hidden.doomed:
            return
        async with self._connection.call("delete passages", collection):
            selector = q.FilterSelector(filter=of_revisions(pair[0], [pair[1]]))
            await self._connection.client.delete(collection, selector, wait=True)
        await self._records.write(collection, pair[0], hidden.forget([pair]))

    async def settled(self) -> None:
        """Return when everything that was begun is purged, or has failed to be."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
