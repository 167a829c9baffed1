"""A cache in memory, bounded in bytes, the least recently used leaving first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteLru(Generic[K, V]):
    """For one event loop, so without a lock. `size` tells the bytes of a value with all that it costs."""

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self._limit = limit
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep it; what is larger than the whole cache is not kept."""
        size = self._size(value)
        if size > self._limit:
            return
        previous = self._entries.pop(key, None)
        if previous is not None:
            self.bytes -= self._size(previous)
        self._entries[key] = value
        self.bytes += size
        while self.bytes > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= self._size(oldest)

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0
