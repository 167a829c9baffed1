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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.context import seconds_left
from services.core.errors import RateLimited
from services.core.metrics import Metrics
from services.core.places import Line, LineFullError, Places

SMOOTHING = 0.1
SILENCE_SECONDS = 0.05
SLOW_BYTES = 16_384
"""An upload may wait for its client for a moment, and a second more for every so many bytes; beyond that its
place is another's whenever it waits."""


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
        self._line = Line(queue)
        self._places = Places(places, self._line, smoothing=SMOOTHING)
        self._longest_wait = seconds
        self._setting = setting

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return self._line.waiting

    @asynccontextmanager
    async def take_place(self) -> AsyncIterator[Place]:
        """Hold a place, and wait for one where all are taken.

        Raises:
            RateLimited: Too many wait already, or none was free in time; it says when to come again.
        """
        place = Place(self)
        await place.take()
        start = time.monotonic()
        try:
            yield place
        finally:
            place.give_back()
            self._places.learn(time.monotonic() - start)

    def leave(self) -> None:
        """Let the next one in."""
        self._places.leave()

    async def enter(self, *, again: bool = False) -> None:
        """Come in, as the next one that may; `again`: for as long as it takes. Raises as `take_place`."""
        known = [
            seconds
            for seconds in (None if again else self._longest_wait, seconds_left())
            if seconds is not None
        ]
        seconds = min(known, default=None)
        try:
            await self._places.enter(seconds, is_bound=not again)
        except LineFullError:
            raise self._refuse(f"and {self.waiting} requests wait for one (GATEWAY_QUEUE)") from None
        except TimeoutError:
            raise self._refuse(f"and none was free within {seconds:.3g} s (GATEWAY_QUEUE_SECONDS)") from None

    def _refuse(self, reason: str) -> RateLimited:
        """Make the refusal; the wait it asks for is what those before it will take."""
        return RateLimited(
            f"all {self._places.count} places for {self.what} are taken ({self._setting}) {reason}: "
            "try later",
            retry_after=self._places.retry_after,
        )


class Place:
    """One request's place at a gate, which it may give back and take again."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held = self._was_held = False

    async def take(self) -> None:
        """Hold the place. Raises as `Gate.take_place`."""
        if not self._held:
            await self._gate.enter(again=self._was_held)
            self._held = self._was_held = True

    def give_back(self) -> None:
        """Hold it no more."""
        if self._held:
            self._held = False
            self._gate.leave()


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

    def __init__(self, app: ASGIApp, answers: Gate, uploads: Gate, upload_paths: frozenset[str]) -> None:
        self.app = app
        self.answers = answers
        self.uploads = uploads
        self.upload_paths = upload_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
        elif scope["path"] in self.upload_paths:
            async with self.uploads.take_place() as place:
                await self.app(scope, partial(_receive_at_place, _Body(receive), place), send)
        else:
            async with self.answers.take_place():
                await self.app(scope, receive, send)


class _Body:
    """A request's body as it comes, how much of it there is, and how long it was waited for."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.is_whole = False
        self._received = 0
        self._waited = 0.0

    @property
    def patience(self) -> float:
        """Seconds for which it may be waited for at its place."""
        return max(0.0, SILENCE_SECONDS + self._received / SLOW_BYTES - self._waited)

    def count(self, message: Message, seconds: float) -> None:
        """Count a message that came after so many seconds."""
        self._waited += seconds
        self._received += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)


async def _receive_at_place(body: _Body, place: Place) -> Message:
    """Receive the next message; while an unfinished body is silent its place is another's."""
    if body.is_whole:
        return await body.receive()
    start = time.monotonic()
    coming = asyncio.ensure_future(body.receive())
    try:
        if not (await asyncio.wait({coming}, timeout=body.patience))[0]:
            place.give_back()
        message = await coming
    finally:
        coming.cancel()
    body.count(message, time.monotonic() - start)
    if message["type"] == "http.request":
        await place.take()
    return message
