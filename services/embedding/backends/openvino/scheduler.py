"""Which texts of which requests go into the engine's next pass, and the arrays of a pass.

Plain functions and a plain data structure: no clock, no thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LENGTH_STEP = 8
"""Passes are padded to a multiple of this: the engine prepares itself once per shape it sees."""

PASS_TOKENS = 24
"""What a pass costs besides its tokens, as tokens: joining two passes saves it."""

LOOKED_AT = 64
"""How many waiting requests are looked at to fill a pass up."""


def pad_length(length: int) -> int:
    """Compute the number of tokens that a text of `length` tokens takes in a pass of its own."""
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def fill_arrays(texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Make the token ids and the mask of a pass, of shape (texts, padded length), zeros on the right."""
    shape = len(texts), pad_length(max(len(text) for text in texts))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


@dataclass(eq=False, slots=True)
class QueuedTexts:
    """The texts of one request, by their lengths in tokens; `waiting` are the positions not yet in a pass."""

    lengths: Sequence[int]
    waiting: list[int] = field(init=False)
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
        self.tokens = sum(pad_length(length) for length in self.lengths)

    def next_width(self) -> int:
        """Compute the padded length of the longest text that waits."""
        return pad_length(self.lengths[self.waiting[-1]])


PassPart = tuple[QueuedTexts, list[int]]
"""A request, and which of its texts are in the pass."""


@dataclass(slots=True)
class _Pass:
    """A pass while it is put together: its texts are as wide as the longest of them."""

    limit: int
    count: int = 0
    width: int = 0
    parts: list[PassPart] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return self.count * self.width

    def take(self, queued: QueuedTexts) -> None:
        """Take as many texts, longest first, as fit and would cost more in a pass of their own."""
        taken: list[int] = []
        while queued.waiting:
            own = queued.next_width()
            width = max(own, self.width)
            joint = (self.count + 1) * width
            if self.count and (joint > self.limit or joint > self.tokens + own + PASS_TOKENS):
                break
            position = queued.waiting.pop()
            taken.append(position)
            queued.tokens -= own
            self.count, self.width = self.count + 1, width
        if taken:
            self.parts.append((queued, taken))


class Scheduler:
    """The requests that wait. `limit`: tokens of a pass, padding included; a longer text goes alone.

    A request that fits into one pass (a query) goes before those that do not (an ingestion), so it waits for
    at most the pass in progress. So that a stream of small requests starves nobody, a large one has its turn
    after every pass's worth of them. Large requests take turns.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._small: deque[QueuedTexts] = deque()
        self._large: deque[QueuedTexts] = deque()
        self._ahead = 0

    @property
    def tokens(self) -> int:
        """How many tokens wait."""
        return sum(queued.tokens for queued in (*self._small, *self._large))

    @property
    def texts(self) -> int:
        """How many texts wait."""
        return sum(len(queued.waiting) for queued in (*self._small, *self._large))

    def add(self, queued: QueuedTexts) -> None:
        """Let these wait."""
        if queued.waiting:
            (self._small if queued.tokens <= self._limit else self._large).append(queued)

    def discard(self, queued: QueuedTexts) -> None:
        """Forget what still waits of this request."""
        queued.waiting.clear()
        queued.tokens = 0
        self._drop_empty([queued])

    def next(self) -> list[PassPart]:
        """Choose the next pass; empty where nothing waits."""
        if self._small and not (self._large and self._ahead >= self._limit):
            chosen = self._fill(self._small)
            self._ahead += chosen.tokens if self._large else 0
        else:
            chosen = self._fill(self._large)
            self._ahead = 0
            if chosen.parts and self._large and self._large[0] is chosen.parts[0][0]:
                self._large.rotate(-1)
        return chosen.parts

    def _fill(self, lane: deque[QueuedTexts]) -> _Pass:
        filling = _Pass(self._limit)
        for _, queued in zip(range(LOOKED_AT), lane, strict=False):
            filling.take(queued)
        self._drop_empty(queued for queued, _ in filling.parts)
        return filling

    def _drop_empty(self, requests: Iterable[QueuedTexts]) -> None:
        for queued in requests:
            for lane in (self._small, self._large):
                if not queued.waiting and queued in lane:
                    lane.remove(queued)
