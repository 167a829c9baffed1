"""Token vectors of passages in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.core.lru import ByteLru

Key = tuple[str, str]
"""Collection and passage id. An id contains its document's revision, so an entry never goes stale."""

ENTRY_BYTES = 400
"""What an entry costs besides its vectors: the array's and the key's own objects."""


class TokenVectorCache(ByteLru[Key, NDArray[np.int8]]):
    """int8 arrays of shape (tokens, dim)."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, lambda vectors: vectors.nbytes + ENTRY_BYTES)
