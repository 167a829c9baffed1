"""The queue before the engine: texts of all requests, pass by pass, on a thread of its own.

While a pass runs, what arrives waits, and so becomes the next one. Choosing and starting a pass needs no turn
of the event loop, so the engine is not idle while a large reply is written there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from services.core.errors import RateLimited, ServiceError, ServiceUnavailable
from services.embedding.backend import Load
from services.embedding.batching import fill
from services.embedding.scheduler import Part, Scheduler, Ticket

Array = NDArray[np.float32]
Pool = Callable[[Array], Array]
"""The states of a text's tokens, shape (tokens, dim), as its vector."""

CLOSING = "the embedding service is shutting down"
SMOOTHING = 0.1
"""How much the last pass counts in the speed that `Retry-After` is computed from."""

log = structlog.get_logger(__name__)


class Running(Protocol):
    """A pass that has been started."""

    def wait(self) -> Array:
        """Its last hidden states, (texts, tokens, dim); blocks. Valid until the next but one pass starts.

        Raises whatever the engine raises.
        """


class Engine(Protocol):
    def start(self, ids: NDArray[np.int64], mask: Array) -> Running:
        """Begin a pass; at most two are there at a time, of which the older has ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens of a pass, tokens that may wait, and for how many seconds a pass waits to become fuller."""

    batch_tokens: int
    queue_tokens: int
    wait: float


@dataclass(eq=False, slots=True)
class _Request:
    """A caller that waits: its texts, and what has come of them."""

    texts: Sequence[Sequence[int]]
    keep_states: bool
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]
    ticket: Ticket = field(init=False)
    vectors: dict[int, Array] = field(default_factory=dict)
    states: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ticket = Ticket([len(text) for text in self.texts])

    def deliver(self) -> None:
        """On the event loop: the caller goes on once all is there."""
        if len(self.vectors) == len(self.texts) and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Batcher:
    """Runs texts through the engine, those of several requests together where that pays."""

    def __init__(self, engine: Engine, pool: Pool, limits: Limits) -> None:
        self._engine = engine
        self._pool = pool
        self._limits = limits
        self._scheduler = Scheduler(limits.batch_tokens)
        self._requests: dict[Ticket, _Request] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._speed = 0.0
        self._texts = self._tokens = self._passes = 0
        self._thread = threading.Thread(target=self._work, name="embedding-passes", daemon=True)
        self._thread.start()

    async def run(self, texts: Sequence[Sequence[int]], *, keep_states: bool) -> tuple[Array, list[Array]]:
        """The vectors, shape (n, dim), and where `keep_states` each text's hidden states.

        There is at least one text, and each has at least one token. Cancelling takes what still waits out
        of the queue. Raises `RateLimited` where the queue is full, `ServiceError` where the engine fails.
        """
        loop = asyncio.get_running_loop()
        request = _Request(texts, keep_states, loop, loop.create_future())
        with self._changed:
            self._admit(request.ticket)
            self._requests[request.ticket] = request
            self._scheduler.add(request.ticket)
            self._changed.notify()
        try:
            await request.done
        finally:
            with self._changed:
                self._scheduler.discard(request.ticket)
                self._requests.pop(request.ticket, None)
        order = range(len(texts))
        vectors = np.stack([request.vectors[position] for position in order])
        return vectors, [request.states[position] for position in order] if keep_states else []

    def load(self) -> Load:
        with self._changed:
            waiting = self._scheduler.texts, self._scheduler.tokens
            return Load(self._texts, self._tokens, self._passes, *waiting)

    def close(self) -> None:
        """Finish the pass in progress and stop; blocks. Who still waits gets an error."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for request in list(self._requests.values()):
            self._tell(request, request.fail, ServiceUnavailable(CLOSING))

    def _admit(self, ticket: Ticket) -> None:
        """A queue that is empty takes any request, however large."""
        waiting = self._scheduler.tokens
        if self._closed:
            raise ServiceUnavailable(CLOSING)
        if waiting and waiting + ticket.tokens > self._limits.queue_tokens:
            seconds = waiting / self._speed if self._speed else 1.0
            raise RateLimited(
                f"model is overloaded: {waiting} tokens wait, and EMBEDDING_QUEUE_TOKENS is "
                f"{self._limits.queue_tokens}: try again later",
                retry_after=max(1.0, float(np.ceil(seconds))),
            )

    def _work(self) -> None:
        chosen = self._wait_for_pass()
        current = self._start(chosen) if chosen else None
        while current is not None:
            current.finish()
            with self._changed:
                chosen = [] if self._closed else self._scheduler.next()
            # the engine goes on at once; what the last pass gave is handed out meanwhile
            following = self._start(chosen) if chosen else None
            self._hand_out(current)
            if following is None:
                chosen = self._wait_for_pass()
                following = self._start(chosen) if chosen else None
            current = following

    def _wait_for_pass(self) -> list[Part]:
        """The next pass once there is something to do; empty where it is time to stop."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._scheduler.texts)
                if self._limits.wait:
                    self._changed.wait_for(self._is_full, self._limits.wait)
                if self._closed:
                    return []
                chosen = self._scheduler.next()
                if chosen:  # all of it may have been cancelled meanwhile
                    return chosen

    def _is_full(self) -> bool:
        return self._closed or self._scheduler.tokens >= self._limits.batch_tokens

    def _start(self, parts: list[Part]) -> _Started:
        with self._changed:
            asked = [
                (request, position)
                for ticket, positions in parts
                if (request := self._requests.get(ticket)) is not None
                for position in positions
            ]
        return _Started(self._engine, asked)

    def _hand_out(self, ended: _Started) -> None:
        self._passes += 1
        self._texts += len(ended.asked)
        self._tokens += ended.tokens
        if ended.seconds:
            speed = ended.tokens / ended.seconds
            self._speed += (speed - self._speed) * (SMOOTHING if self._speed else 1)
        requests = {id(request): request for request, _ in ended.asked}.values()
        if ended.error is not None:
            for request in requests:
                self._tell(request, request.fail, ended.error)
            return
        for row, (request, position) in enumerate(ended.asked):
            states = ended.output[row, : len(request.texts[position])]
            if request.keep_states:
                request.states[position] = states.copy()
            request.vectors[position] = self._pool(states)  # last: when all of these are there, all is
        for request in requests:
            self._tell(request, request.deliver)

    def _tell(self, request: _Request, call: Callable[..., None], *arguments: object) -> None:
        if not request.loop.is_closed():
            request.loop.call_soon_threadsafe(call, *arguments)


class _Started:
    """A pass in the engine, and whose texts it holds, row by row."""

    def __init__(self, engine: Engine, asked: list[tuple[_Request, int]]) -> None:
        self.asked = asked
        self.output: Array = np.empty((0, 0, 0), np.float32)
        self.error: ServiceError | None = None
        self.seconds = 0.0
        self.tokens = 0
        self._began = time.perf_counter()
        self._running: Running | None = None
        if asked:
            ids, mask = fill([request.texts[position] for request, position in asked])
            self.tokens = ids.size
            try:
                self._running = engine.start(ids, mask)
            except Exception as error:  # noqa: BLE001 - an engine may raise anything
                self._failed(error)

    def finish(self) -> None:
        """Wait for the engine; `output` or `error` is set then."""
        try:
            if self._running is not None:
                self.output = self._running.wait()
        except Exception as error:  # noqa: BLE001 - as above, and the thread must go on
            self._failed(error)
        self.seconds = time.perf_counter() - self._began

    def _failed(self, error: Exception) -> None:
        log.error("the engine failed", exc_info=error)
        self.error = ServiceError(f"the embedding engine failed: {error}")
