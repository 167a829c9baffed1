"""The queue before the engine: texts of all requests, pass by pass, every stream on a thread of its own.

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
from services.embedding.backend import QueueLoad
from services.embedding.backends.openvino.scheduler import QueuedTexts, Scheduler, fill_arrays

Array = NDArray[np.float32]
Pooling = Callable[[Array], Array]
"""Makes a text's vector of the states of its tokens, which are of shape (tokens, dim)."""

CLOSING = "the embedding service is shutting down"
SMOOTHING = 0.1
"""How much the last pass counts in the speed that `Retry-After` is computed from."""

log = structlog.get_logger(__name__)


class Stream(Protocol):
    """One of the passes that the engine can run at a time; used by one thread."""

    def run(self, ids: NDArray[np.int64], mask: Array) -> Array:
        """Run one pass; blocks. Raises whatever the engine raises.

        Args:
            ids: Token ids, (texts, tokens).
            mask: 1 for a token, 0 for padding; of the same shape.

        Returns:
            The last hidden states, (texts, tokens, dim), valid until the next call.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds: tokens of a pass, tokens that may wait, and seconds that a pass waits to become fuller."""

    batch_tokens: int
    queue_tokens: int
    wait: float


@dataclass(eq=False, slots=True)
class _Request:
    """A caller that waits: its texts, and what has been made of them."""

    texts: Sequence[Sequence[int]]
    keep_states: bool
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]
    queued: QueuedTexts = field(init=False)
    vectors: dict[int, Array] = field(default_factory=dict)
    states: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queued = QueuedTexts([len(text) for text in self.texts])

    def deliver(self) -> None:
        """Let the caller go on once all is there; on the event loop."""
        if len(self.vectors) == len(self.texts) and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Let the caller go on with an error; on the event loop."""
        if not self.done.done():
            self.done.set_exception(error)


PassText = tuple[_Request, int]
"""A text in a pass: the request, and the position in it."""


class Batcher:
    """Runs texts through the engine, those of several requests together where that pays."""

    def __init__(self, streams: Sequence[Stream], pool: Pooling, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._scheduler = Scheduler(limits.batch_tokens)
        self._requests: dict[QueuedTexts, _Request] = {}
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
        """Run texts through the engine. Cancelling takes what still waits out of the queue.

        Args:
            texts: At least one; every one has at least one token.
            keep_states: Whether to give the hidden states too.

        Returns:
            The vectors, shape (n, dim), and where `keep_states` the hidden states of every text.

        Raises:
            RateLimited: The queue is full.
            ServiceError: The engine failed.
            ServiceUnavailable: The service is shutting down.
        """
        loop = asyncio.get_running_loop()
        request = _Request(texts, keep_states, loop, loop.create_future())
        with self._changed:
            self._admit(request.queued)
            self._requests[request.queued] = request
            self._scheduler.add(request.queued)
            self._changed.notify_all()
        try:
            await request.done
        finally:
            with self._changed:
                self._scheduler.discard(request.queued)
                self._requests.pop(request.queued, None)
        order = range(len(texts))
        vectors = np.stack([request.vectors[position] for position in order])
        return vectors, [request.states[position] for position in order] if keep_states else []

    def load(self) -> QueueLoad:
        """Read the queue's counters."""
        with self._changed:
            waiting = self._scheduler.texts, self._scheduler.tokens
            return QueueLoad(self._texts, self._tokens, self._passes, *waiting)

    def close(self) -> None:
        """Finish the passes in progress and stop; blocks. A caller that still waits gets an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for request in list(self._requests.values()):
            self._call_soon(request, request.fail, ServiceUnavailable(CLOSING))

    def _admit(self, queued: QueuedTexts) -> None:
        """Refuse what is too much; a queue that is empty takes any request, however large."""
        waiting = self._scheduler.tokens
        if self._closed:
            raise ServiceUnavailable(CLOSING)
        if waiting and waiting + queued.tokens > self._limits.queue_tokens:
            seconds = waiting / (self._speed * len(self._threads)) if self._speed else 1.0
            raise RateLimited(
                f"model is overloaded: {waiting} tokens wait, and EMBEDDING_QUEUE_TOKENS is "
                f"{self._limits.queue_tokens}: try again later",
                retry_after=max(1.0, float(np.ceil(seconds))),
            )

    def _work(self, stream: Stream) -> None:
        while texts := self._wait_for_pass():
            ids, mask = fill_arrays([request.texts[position] for request, position in texts])
            began = time.perf_counter()
            try:
                output = stream.run(ids, mask)
            except Exception as error:  # whatever it raises, the thread must go on
                log.error("the engine failed", exc_info=error)
                self._fail(texts, ServiceError(f"the embedding engine failed: {error}"))
            else:
                self._count(len(texts), ids.size, time.perf_counter() - began)
                self._hand_out(texts, output)

    def _wait_for_pass(self) -> list[PassText]:
        """Wait for texts, and choose the next pass; empty where it is time to stop."""
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
                        (self._requests[queued], position)
                        for queued, positions in parts
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

    def _hand_out(self, texts: Sequence[PassText], output: Array) -> None:
        for row, (request, position) in enumerate(texts):
            states = output[row, : len(request.texts[position])]
            if request.keep_states:
                request.states[position] = states.copy()
            request.vectors[position] = self._pool(states)  # last: when all of these are there, all is
        for request in {id(request): request for request, _ in texts}.values():
            self._call_soon(request, request.deliver)

    def _fail(self, texts: Sequence[PassText], error: ServiceError) -> None:
        for request in {id(request): request for request, _ in texts}.values():
            self._call_soon(request, request.fail, error)

    def _call_soon(self, request: _Request, call: Callable[..., None], *arguments: object) -> None:
        if not request.loop.is_closed():
            request.loop.call_soon_threadsafe(call, *arguments)
