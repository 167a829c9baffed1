"""The protocol of an embedding backend.

A backend is one file in `backends/` that exports `async def create() -> EmbeddingBackend`.
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
class Encoded:
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
class Load:
    """What a backend's queue has done since it began, and what waits there now."""

    texts: int = 0
    tokens: int = 0
    passes: int = 0
    waiting_texts: int = 0
    waiting_tokens: int = 0


@runtime_checkable
class Queued(Protocol):
    """A backend with a queue of its own."""

    def load(self) -> Load: ...


class EmbeddingBackend(Backend, Protocol):
    """Turns texts into vectors. Safe to call concurrently; never blocks the event loop for long."""

    async def info(self) -> EmbeddingInfo:
        """Model id, dimension, longest input, and whether token vectors are to be had."""

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> Encoded:
        """One vector per text, in order; with the hidden states, from the same pass, for `token_vectors`.

        `truncate` cuts a text that is too long at the end that `direction` names.
        Raises `PayloadTooLarge` where a text is longer than the model's limit and `truncate` is off, and
        `InvalidRequest` where token vectors are asked of a model that has none.
        """

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        """The model's own tokens of each text, in order and never truncated; offsets are in characters.

        Raises `NotSupported` where the backend has no tokenizer to ask.
        """


def normalized(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit
