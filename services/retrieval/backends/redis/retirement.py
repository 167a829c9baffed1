"""Deleting what nobody sees any more, bit by bit, so that the server answers others in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

import structlog

from services.core.context import start_request
from services.core.errors import RaglineError
from services.retrieval.backends.redis.server import Argument, Server

LIMIT = 32
"""Passages per step."""
SECONDS = 60.0
log = structlog.get_logger(__name__)


class Retirement:
    """Reads are single steps, so what is hidden has no readers left and can be deleted at once.

    What a crash, a failure or `close` leaves is found again by `resume`, in this process or another.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tasks: dict[tuple[str, ...], asyncio.Task[None]] = {}

    async def purge(self, uid: str, pair: str) -> None:
        """Delete a doomed revision's points; nothing where it is not doomed."""
        await self._all("purge", uid, pair)

    def begin(self, uid: str, pairs: Iterable[str]) -> None:
        for pair in pairs:
            self._begin("purge", uid, pair)

    def sweep(self, uid: str) -> None:
        """Begin to delete the keys of a dropped collection."""
        self._begin("sweep", uid)

    async def resume(self) -> None:
        """Begin whatever should be deleted and is not being."""
        doomed, dropped = await self._server.run("leftovers", what="list what is to be deleted")
        for uid, *pairs in doomed:
            self.begin(uid.decode(), (pair.decode() for pair in pairs))
        for uid in dropped:
            self.sweep(uid.decode())

    def _begin(self, *key: str) -> None:
        if key not in self._tasks:
            task = self._tasks[key] = asyncio.ensure_future(self._later(*key))
            task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: tuple[str, ...], _: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)

    async def _later(self, script: str, *arguments: Argument) -> None:
        try:
            await self._all(script, *arguments)
        except RaglineError as error:
            log.warning("hidden passages are not deleted yet", reason=error.message)

    async def _all(self, script: str, *arguments: Argument) -> None:
        more: object = 1
        while more:
            if asyncio.current_task() in self._tasks.values():
                start_request("", SECONDS)
            more = await self._server.run(script, *arguments, LIMIT, what="delete passages")

    async def settled(self) -> None:
        """Return when everything that was begun is done, or has failed."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
