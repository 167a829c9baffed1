"""How much the gateway takes on at once: so many in work, so many waiting, and an honest 429 for the rest.

Answers and uploads have places of their own, and reading has none: files that are put in hold no question up,
and a full house can still be looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from prometheus_client import Gauge
from starlette.types import ASGIApp, Receive, Scope, Send

from services.core.context import seconds_left
from services.core.errors import RateLimited
from services.core.metrics import Metrics

SMOOTHING = 0.1
LONGEST_RETRY = 60.0


class Gate:
    """Places for requests of one kind, first come, first served."""

    def __init__(self, what: str, places: int, queue: int, seconds: float, setting: str) -> None:
        """Make a gate.

        Args:
            what: The requests, as in "all places for {what} are taken".
            places: How many are in work at once.
            queue: How many more wait for a place.
            seconds: The longest that one waits.
            setting: The name of the setting with `places`, for errors.
        """
        self.what = what
        self._places = places
        self._queue = queue
        self._longest_wait = seconds
        self._setting = setting
        self._free = asyncio.Semaphore(places)
        self._seconds = 1.0
        self.waiting = 0

    @asynccontextmanager
    async def take_place(self) -> AsyncIterator[None]:
        """Hold a place, and wait for one where all are taken.

        Raises:
            RateLimited: Too many wait already, or none was free in time; it says when to come again.
        """
        await self._enter()
        start = time.monotonic()
        try:
            yield
        finally:
            self._free.release()
            self._seconds += SMOOTHING * (time.monotonic() - start - self._seconds)

    async def _enter(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self.waiting >= self._queue:
            raise self._refuse(f"and {self.waiting} requests wait for one (GATEWAY_QUEUE)")
        seconds = self._longest_wait
        left = seconds_left()
        if left is not None:
            seconds = min(seconds, left)
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise self._refuse(f"and none was free within {seconds:.3g} s (GATEWAY_QUEUE_SECONDS)") from None
        finally:
            self.waiting -= 1

    def _refuse(self, reason: str) -> RateLimited:
        """Make the refusal; the wait it asks for is what those before it will take."""
        wait = self._seconds * (self.waiting + 1) / self._places
        return RateLimited(
            f"all {self._places} places for {self.what} are taken ({self._setting}) {reason}: try later",
            retry_after=min(LONGEST_RETRY, max(1.0, wait)),
        )


def watch_gates(metrics: Metrics, gates: Sequence[Gate]) -> None:
    """Count in the metrics how many requests wait at each gate."""
    waiting = Gauge(
        "ragline_requests_waiting",
        "Requests that wait for their turn, by kind: answers, uploads",
        ["service", "kind"],
        registry=metrics.registry,
    )
    for gate in gates:
        waiting.labels(metrics.service, gate.what).set_function(partial(_count_waiting, gate))


def _count_waiting(gate: Gate) -> float:
    return gate.waiting


class AdmissionMiddleware:
    """Lets a POST in by its gate: forms with files by that of uploads, all others by that of answers."""

    def __init__(self, app: ASGIApp, answers: Gate, uploads: Gate) -> None:
        self.app = app
        self.answers = answers
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        gate = self.uploads if content_type.startswith(b"multipart/form-data") else self.answers
        async with gate.take_place():
            await self.app(scope, receive, send)
