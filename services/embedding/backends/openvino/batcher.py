"""The queue before the engine: texts of all requests, pass by pass, each stream on a thread of its own.

While passes run, what arrives waits, and so becomes the next ones. Choosing and starting a pass needs no turn
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
from services.embedding.backends.openvino.scheduler import Scheduler, Ticket
from services.embedding.batching import fill

Array = NDArray[np.float32]
Pool = Callable[[Array], Array]
"""The states of a text's tokens, shape (tokens, dim), as its vector."""

CLOSING = "the embedding service is shutting down"
SMOOTHING = 0.1
"""How much the last pass counts in the speed that `Retry-After` is computed from."""

log = structlog.get_logger(__name__)


class Stream(Protocol):
    """One of the passes that the engine can run at a time; used by one thread."""

    def run(self, ids: NDArray[np.int64], mask: Array) -> Array:
        """The last hidden states, (texts, tokens, dim), valid until the next call; blocks.

        Raises whatever the engine raises.
        """


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


Asked = tuple[_Request, int]
"""A text in a pass: whose, and which of theirs."""


class Batcher:
    """Runs texts through the engine, those of several requests together where that pays."""

    def __init__(self, streams: Sequence[Stream], pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._scheduler = Scheduler(limits.batch_tokens)
        self._requests: dict[Ticket, _Request] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._speed = 0.0
        self._texts = self._tokens = self._passes = 0
        self._threads = [
            threading.Thread(target=self._work, args=(stream,), name=f"embedding-{number}", daemon=True)
            for number, stream in enumerate(streams)
        ]
        for thread in self._threads:
            thread.start()

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
            self._changed.notify_all()
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
        """Finish the passes in progress and stop; blocks. Who still waits gets an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for request in list(self._requests.values()):
            self._tell(request, request.fail, ServiceUnavailable(CLOSING))

    def _admit(self, ticket: Ticket) -> None:
        """A queue that is empty takes any request, however large."""
        waiting = self._scheduler.tokens
        if self._closed:
            raise ServiceUnavailable(CLOSING)
        if waiting and waiting + ticket.tokens > self._limits.queue_tokens:
            seconds = waiting / (self._speed * len(self._threads)) if self._speed else 1.0
            raise RateLimited(
                f"model is overloaded: {waiting} tokens wait, and EMBEDDING_QUEUE_TOKENS is "
                f"{self._limits.queue_tokens}: try again later",
                retry_after=max(1.0, float(np.ceil(seconds))),
            )

    def _work(self, stream: Stream) -> None:
        while texts := self._wait_for_pass():
            ids, mask = fill([request.texts[position] for request, position in texts])
            began = time.perf_counter()
            try:
                output = stream.run(ids, mask)
            except Exception as error:  # whatever it raises, the thread must go on
                log.error("the engine failed", exc_info=error)
                self._fail(texts, ServiceError(f"the embedding engine failed: {error}"))
            else:
                self._count(len(texts), ids.size, time.perf_counter() - began)
                self._hand_out(texts, output)

    def _wait_for_pass(self) -> list[Asked]:
        """The texts of the next pass once there are any; empty where it is time to stop."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._scheduler.texts)
                if self._limits.wait:
                    self._changed.wait_for(self._is_full, self._limits.wait)
                if self._closed:
                    return []
                parts = self._scheduler.next()
                if parts:  # another stream may have taken it meanwhile, or its request was cancelled
                    return [
                        (self._requests[ticket], position)
                        for ticket, positions in parts
                        for position in positions
                    ]

    def _is_full(self) -> bool:
        return self._closed or self._scheduler.tokens >= self._limits.batch_tokens

    def _count(self, texts: int, tokens: int, seconds: float) -> None:
        with self._changed:
            self._passes += 1
            self._texts += texts
            self._tokens += tokens
            speed = tokens / max(seconds, 1e-6)
            self._speed += (speed - self._speed) * (SMOOTHING if self._speed else 1)

    def _hand_out(self, texts: Sequence[Asked], output: Array) -> None:
        for row, (request, position) in enumerate(texts):
            states = output[row, : len(request.texts[position])]
            if request.keep_states:
                request.states[position] = states.copy()
            request.vectors[position] = self._pool(states)  # last: when all of these are there, all is
        for request in {id(request): request for request, _ in texts}.values():
            self._tell(request, request.deliver)

    def _fail(self, texts: Sequence[Asked], error: ServiceError) -> None:
        for request in {id(request): request for request, _ in texts}.values():
            self._tell(request, request.fail, error)

    def _tell(self, request: _Request, call: Callable[..., None], *arguments: object) -> None:
        if not request.loop.is_closed():
            request.loop.call_soon_threadsafe(call, *arguments)
