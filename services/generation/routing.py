"""One request's way to an entry that can answer: the one it names, or one of that one's fallbacks."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Literal, TypeVar

import structlog

from services.core.context import seconds_left
from services.core.errors import Busy, InvalidRequest, RaglineError, RateLimited
from services.generation.entries import ModelEntry
from services.generation.task import NoAnswer


class Health:
    """Remembers which entries failed. One is down for `seconds` from its last failure.

    Args:
        seconds: How long a failed entry is passed over.
        now: A monotonic clock in seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._until: dict[str, float] = {}

    def is_down(self, name: str) -> bool:
        """Tell whether the entry failed and its time is not over."""
        return self._until.get(name, 0.0) > self._now()

    def claim(self, name: str) -> bool:
        """Tell whether the caller should try the entry: it is up, or its time is over and nobody else tries
        it."""
        if self.is_down(name):
            return False
        if name in self._until:
            self.fail(name)  # for the others, until this try has ended
        return True

    def fail(self, name: str, retry_after: float | None = None) -> None:
        """Note that the entry could not answer; `retry_after` is when it says that it can, where that is
        sooner."""
        seconds = self._seconds if retry_after is None else min(self._seconds, retry_after)
        self._until[name] = self._now() + seconds

    def succeed(self, name: str) -> None:
        """Note that the entry has answered."""
        self._until.pop(name, None)


T = TypeVar("T")

Reason = Literal["unavailable", "unanswered"]
"""Why an entry was passed over: it failed or is down; it thought and gave no answer."""

log = structlog.get_logger(__name__)


class Route:
    """Tries the entries of `chain` (the wanted one, then its fallbacks) until one answers; `used` is the one
    in use now."""

    def __init__(self, chain: Sequence[ModelEntry], health: Health) -> None:
        self._chain = chain
        self._health = health
        self._unanswered: set[str] = set()
        self.used = chain[0]

    @property
    def passed_over(self) -> dict[str, Reason]:
        """The entries that had to answer before `used`, the wanted one first, and why they did not."""
        names = [entry.name for entry in self._chain]
        before = names[: names.index(self.used.name)]
        return {name: "unanswered" if name in self._unanswered else "unavailable" for name in before}

    @property
    def has_next(self) -> bool:
        """Whether another entry is left that could answer where `used` does not."""
        return self.used is not self._chain[-1]

    async def stream(
        self,
        attempt: Callable[[ModelEntry], AsyncGenerator[T]],
        *,
        unanswered: Callable[[T], bool] = lambda _: False,
        answers: Callable[[T], bool] = lambda _: True,
    ) -> AsyncGenerator[T]:
        """Yield the items of the first attempt that answers; what fails later is raised.

        An entry that is down, late, or fails before its answer begins, is passed over for the next one and
        remembered, unless it is only busy, or its server has too many requests; the caller's own mistakes and
        a full queue here are not. One that gives
        no answer is passed over and not remembered.

        An attempt whose last item is `unanswered` is followed by the next in the chain, after the items
        that it gave; that last one comes only where no other begins.

        Args:
            attempt: Asks one entry.
            unanswered: Tells whether an item says that there is no answer.
            answers: Tells whether an item is part of the answer: no other entry can answer after it.

        Raises:
            RaglineError: No entry answers; the first failure.
        """
        failures: list[tuple[ModelEntry, RaglineError]] = []
        held: tuple[ModelEntry, T] | None = None
        for entry in self._candidates():
            if held is not None and not self._follows(entry, held[0]):
                continue
            begun = committed = False
            self.used = entry
            try:
                async with aclosing(attempt(entry)) as items:
                    async for item in items:
                        if not begun:
                            begun = True
                            self._health.succeed(entry.name)
                        committed = committed or answers(item)
                        if unanswered(item):
                            held = (entry, item)
                            break
                        yield item
                    else:
                        return
                self._unanswered.add(entry.name)
                log.warning("model entry gave no answer", model=entry.name)
            except RaglineError as error:
                passes = self._can_pass_over(error)
                if committed or not (passes or held is not None):
                    raise
                if isinstance(error, NoAnswer):
                    self._unanswered.add(entry.name)
                    self._health.succeed(entry.name)  # it can be reached
                elif passes and not isinstance(error, Busy | RateLimited):
                    self._health.fail(entry.name, error.retry_after)
                failures.append((entry, error))
                log.warning("model entry cannot answer", model=entry.name, reason=error.message)
            if held is not None and seconds_left(1.0) == 0:
                break
        if held is None:
            raise _summarize(failures)
        self.used, item = held
        yield item

    def _follows(self, entry: ModelEntry, other: ModelEntry) -> bool:
        """Tell whether `entry` comes after `other` in the chain."""
        return self._chain.index(entry) > self._chain.index(other)

    def _candidates(self) -> Iterator[ModelEntry]:
        """List the entries that are up in their order; then, because nothing else is left, the others."""
        if len(self._chain) == 1:
            yield self._chain[0]
            return
        left = []
        for entry in self._chain:
            if self._health.claim(entry.name):
                yield entry
            else:
                left.append(entry)
        yield from left

    def _can_pass_over(self, error: RaglineError) -> bool:
        is_theirs = isinstance(error, RateLimited) and error.service not in {"", "generation"}
        is_callers = isinstance(error, InvalidRequest) and not is_theirs
        return len(self._chain) > 1 and not is_callers and seconds_left(1.0) != 0


def _summarize(failures: Sequence[tuple[ModelEntry, RaglineError]]) -> RaglineError:
    """Make one error of all: the first failure, with what the others failed with."""
    first = failures[0][1]
    others = "; ".join(f"{entry.name}: {error.message}" for entry, error in failures[1:])
    message = f"{first.message} (no fallback answers either: {others})"
    return type(first)(message, service=first.service, retry_after=first.retry_after)
