"""The protocol of an embedding backend.

A backend is one place in `backends/`, a module or a package, that exports
`async def create() -> EmbeddingBackend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.core.backends import Backend
from services.core.wire.embedding import Direction, EmbeddingInfo, Token

PACKAGE = "services.embedding.backends"


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """What a backend makes of some texts.

    `vectors`: float32, shape (n, dim), L2-normalised where that was asked for. `tokens`: input tokens per
    text, special ones included, by the model's own tokenizer. `states`: per text the last hidden states,
    float32 (tokens, dim), not normalised, of which the first and the last row are the special tokens'; None
    unless asked for.
    """

    vectors: NDArray[np.float32]
    tokens: list[int]
    states: list[NDArray[np.float32]] | None = None

    @property
    def prompt_tokens(self) -> int:
        return sum(self.tokens)


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What a backend's queue has done since it began, and what waits there now."""

    texts: int = 0
    tokens: int = 0
    passes: int = 0
    waiting_texts: int = 0
    waiting_tokens: int = 0


@runtime_checkable
class HasQueue(Protocol):
    """A backend with a queue of its own."""

    def load(self) -> QueueLoad:
        """Read the queue's counters."""


@runtime_checkable
class HasDecoder(Protocol):
    """A backend that can turn token ids back into text."""

    async def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        """Turn the token ids of texts into these texts, in order.

        Args:
            ids: Ids of the model's own tokenizer.
            skip_special_tokens: Whether to leave out the tokens that the model puts at either end.

        Raises:
            InvalidRequest: An id is not one of the model's.
        """


class EmbeddingBackend(Backend, Protocol):
    """Turns texts into vectors. It is safe to call concurrently, and never blocks the event loop for long."""

    async def info(self) -> EmbeddingInfo:
        """Describe the model: its id, dimension, longest input, and whether token vectors are to be had.

        Raises:
            ServiceError: A server behind the backend did not answer, or not as it should.
        """

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        """Turn texts into vectors, in order.

        Args:
            texts: At least one.
            normalize: Whether the vectors have length one.
            truncate: Whether a text that is too long is cut.
            direction: The end at which it is cut.
            token_vectors: Whether to give the hidden states too, which are from the same pass.

        Returns:
            One vector per text.

        Raises:
            PayloadTooLarge: A text is longer than the model's limit, and `truncate` is off.
            InvalidRequest: Token vectors are asked of a model that has none.
            RateLimited: Too much waits already.
            ServiceError: The model, or a server behind the backend, failed.
        """

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        """Split texts into the model's own tokens, never truncated.

        Args:
            add_special_tokens: Whether to add those that the model puts at either end.

        Returns:
            The tokens of each text, in order; offsets are in characters.

        Raises:
            NotSupported: The backend has no tokenizer to ask.
        """


class CreateBackend(Protocol):
    """What a backend exports as `create`."""

    async def __call__(self) -> EmbeddingBackend:
        """Load the model, or connect with its server.

        Raises:
            ServiceUnavailable: The model's files are missing or damaged.
        """


def normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
