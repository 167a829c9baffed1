"""Token vectors of passages in memory, bounded in bytes, the least recently used leaving first."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, str]
"""Collection and passage id. An id contains its document's revision, so an entry never goes stale."""

ENTRY_BYTES = 400
"""What an entry costs besides its vectors: the array's and the key's own objects."""


class TokenVectorCache:
    """int8 arrays of shape (tokens, dim); for one event loop, so without a lock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Key, NDArray[np.int8]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> NDArray[np.int8] | None:
        vectors = self._entries.get(key)
        if vectors is not None:
            self._entries.move_to_end(key)
        return vectors

    def put(self, key: Key, vectors: NDArray[np.int8]) -> None:
        """Keep these; what is larger than the whole cache is not kept."""
        size = vectors.nbytes + ENTRY_BYTES
        if size > self._limit:
            return
        previous = self._entries.pop(key, None)
        if previous is not None:
            self.bytes -= previous.nbytes + ENTRY_BYTES
        self._entries[key] = vectors
        self.bytes += size
        while self.bytes > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.nbytes + ENTRY_BYTES

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0
