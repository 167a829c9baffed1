"""Which entries have just failed, and when each is to be tried again."""

from __future__ import annotations

import time
from collections.abc import Callable


class Health:
    """By entry name. An entry is down for `seconds` from its last failure; `now` is a monotonic clock."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._until: dict[str, float] = {}

    def is_down(self, name: str) -> bool:
        """Whether it failed and its time is not over."""
        return self._until.get(name, 0.0) > self._now()

    def claim(self, name: str) -> bool:
        """Whether the caller should try it: it is up, or its time is over and nobody else tries it now."""
        if self.is_down(name):
            return False
        if name in self._until:
            self.fail(name)  # for the others, until this try has ended
        return True

    def fail(self, name: str, retry_after: float | None = None) -> None:
        """It could not answer; `retry_after` is when it says that it can, where that is sooner."""
        seconds = self._seconds if retry_after is None else min(self._seconds, retry_after)
        self._until[name] = self._now() + seconds

    def succeed(self, name: str) -> None:
        """It has answered."""
        self._until.pop(name, None)
