"""Writes of several requests as one: what makes a write durable costs the same for one passage as for 64."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.payload import Point

Write = Callable[[Callable[[EdgeCollection], int]], Awaitable[int]]
"""`CollectionThreads.write`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    points: Sequence[Point]
    staged: bool
    done: asyncio.Future[int]

    @property
    def ids(self) -> set[str]:
        return {point.id for point in self.points}


class JoinedUpserts:
    """What is asked for while a write is under way is the next one, at most `most` points together.

    Each request has its own result: where a joint write fails, every request of it is written alone.
    """

    def __init__(self, write: Write, most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: deque[_Request] = deque()
        self._working: asyncio.Task[None] | None = None

    async def add(self, points: Sequence[Point], *, staged: bool) -> int:
        """Durable on return: how many passages are in no graph now. Raises what `EdgeCollection.upsert` does.

        A caller that is cancelled before its write began has written nothing.
        """
        request = _Request(points, staged, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._working is None or self._working.done():
            self._working = asyncio.ensure_future(self._work())
        return await request.done

    async def _work(self) -> None:
        while group := self._next():
            if not await self._written(group, alone=len(group) == 1):
                for request in group:
                    await self._written([request], alone=True)

    def _next(self) -> list[_Request]:
        """Of one kind, each id once: a passage that comes again is written after the one before."""
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

    async def _written(self, group: Sequence[_Request], *, alone: bool) -> bool:
        """Whether it is settled: an error is, where the request is `alone`."""
        points = [point for request in group for point in request.points]
        staged = group[0].staged

        def upsert(on_disk: EdgeCollection) -> int:
            on_disk.upsert(points, staged=staged)
            return on_disk.unindexed()

        try:
            unindexed = await self._write(upsert)
        except Exception as error:  # noqa: BLE001 - the engine raises plain Exception, and each caller gets it
            if alone:
                for request in group:
                    _settle(request, error)
            return alone
        for request in group:
            _settle(request, unindexed)
        return True


def _settle(request: _Request, result: int | Exception) -> None:
    if request.done.done():
        return
    if isinstance(result, Exception):
        request.done.set_exception(result)
    else:
        request.done.set_result(result)
