"""Which texts of which requests go into the engine's next pass. A plain data structure: no clock, no thread.

A request that fits into one pass (a query) goes before those that do not (an ingestion), so it waits for
at most the pass in progress. So that a stream of small requests starves nobody, a large one has its turn
after every pass's worth of them. Large requests take turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.embedding.batching import padded

PASS_TOKENS = 24
"""What a pass costs besides its tokens, as tokens: joining two passes saves it."""

LOOKED_AT = 64
"""How many waiting requests are looked at to fill a pass up."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One request: its texts' lengths in tokens; `waiting` are the positions not yet in a pass."""

    lengths: Sequence[int]
    waiting: list[int] = field(init=False)
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
        self.tokens = sum(padded(length) for length in self.lengths)

    def next_width(self) -> int:
        return padded(self.lengths[self.waiting[-1]])


Part = tuple[Ticket, list[int]]
"""A request, and which of its texts are in the pass."""


@dataclass(slots=True)
class _Pass:
    """A pass while it is put together: its texts are as wide as the longest of them."""

    limit: int
    count: int = 0
    width: int = 0
    parts: list[Part] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return self.count * self.width

    def take(self, ticket: Ticket) -> None:
        """As many of its texts, longest first, as fit and would cost more in a pass of their own."""
        taken: list[int] = []
        while ticket.waiting:
            own = ticket.next_width()
            width = max(own, self.width)
            joint = (self.count + 1) * width
            if self.count and (joint > self.limit or joint > self.tokens + own + PASS_TOKENS):
                break
            position = ticket.waiting.pop()
            taken.append(position)
            ticket.tokens -= own
            self.count, self.width = self.count + 1, width
        if taken:
            self.parts.append((ticket, taken))


class Scheduler:
    """The requests that wait. `limit`: tokens of a pass, padding included; a longer text goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._small: deque[Ticket] = deque()
        self._large: deque[Ticket] = deque()
        self._ahead = 0

    @property
    def tokens(self) -> int:
        """How much waits."""
        return sum(ticket.tokens for ticket in (*self._small, *self._large))

    @property
    def texts(self) -> int:
        return sum(len(ticket.waiting) for ticket in (*self._small, *self._large))

    def add(self, ticket: Ticket) -> None:
        if ticket.waiting:
            (self._small if ticket.tokens <= self._limit else self._large).append(ticket)

    def discard(self, ticket: Ticket) -> None:
        """Forget what still waits of this request."""
        ticket.waiting.clear()
        ticket.tokens = 0
        self._drop_empty([ticket])

    def next(self) -> list[Part]:
        """The next pass; empty where nothing waits."""
        if self._small and not (self._large and self._ahead >= self._limit):
            chosen = self._fill(self._small)
            self._ahead += chosen.tokens if self._large else 0
        else:
            chosen = self._fill(self._large)
            self._ahead = 0
            if chosen.parts and self._large and self._large[0] is chosen.parts[0][0]:
                self._large.rotate(-1)
        return chosen.parts

    def _fill(self, lane: deque[Ticket]) -> _Pass:
        filling = _Pass(self._limit)
        for _, ticket in zip(range(LOOKED_AT), lane, strict=False):
            filling.take(ticket)
        self._drop_empty(ticket for ticket, _ in filling.parts)
        return filling

    def _drop_empty(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            for lane in (self._small, self._large):
                if not ticket.waiting and ticket in lane:
                    lane.remove(ticket)
