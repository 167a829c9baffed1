"""The protocol of an embedding backend.

A backend is one file in `backends/` that exports `async def create() -> EmbeddingBackend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.core.backends import Backend
from services.core.wire.embedding import EmbeddingInfo

PACKAGE = "services.embedding.backends"


@dataclass(frozen=True, slots=True)
class Encoded:
    """`vectors`: float32, shape (n, dim). `tokens`: per text, L2-normalised float32 (tokens, dim), without
    [CLS] and [SEP]; None unless asked for. `token_counts`: input tokens per text, special ones included."""

    vectors: NDArray[np.float32]
    token_counts: list[int]
    tokens: list[NDArray[np.float32]] | None = None


class EmbeddingBackend(Backend, Protocol):
    """Turns texts into vectors. Safe to call concurrently; never blocks the event loop for long."""

    async def info(self) -> EmbeddingInfo:
        """Model id, dimension, longest input, and whether token vectors are to be had."""

    async def encode(
        self, texts: Sequence[str], *, normalize: bool, truncate: bool, token_vectors: bool = False
    ) -> Encoded:
        """One vector per text, in order.

        Raises `PayloadTooLarge` where a text is longer than the model's limit and `truncate` is off, and
        `InvalidRequest` where token vectors are asked of a model that has none.
        """
