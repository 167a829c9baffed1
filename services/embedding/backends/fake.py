"""Deterministic vectors at no cost: texts that share words are similar. For load tests and unit tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from services.core.errors import PayloadTooLarge
from services.core.settings import Settings as BaseSettings
from services.core.wire.embedding import Direction, EmbeddingInfo, Token
from services.embedding.backend import EncodedTexts, normalise

MAX_WORDS = 512
SPECIAL = 2
COMPONENTS = 8
"""How many components of the vector a word sets; enough that two words hardly ever look alike."""

_WORD = re.compile(r"\w+")


class Settings(BaseSettings):
    """The fake model."""

    dim: int = Field(
        384, ge=8, validation_alias="FAKE_EMBEDDING_DIM", description="fake: dimension of the vectors"
    )


class FakeEmbedding:
    """Sums up the words of a text: a word is a sparse vector of ones and minus ones drawn from its hash."""

    def __init__(self, settings: Settings) -> None:
        self._dim = settings.dim

    async def info(self) -> EmbeddingInfo:
        return EmbeddingInfo(model_id="fake", max_input_length=MAX_WORDS, dim=self._dim, token_vectors=True)

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        states = [self._make_states(text, truncate=truncate, direction=direction) for text in texts]
        vectors = np.stack([rows.sum(axis=0) for rows in states])
        return EncodedTexts(
            vectors=normalise(vectors) if normalize else vectors,
            tokens=[len(rows) for rows in states],
            states=states if token_vectors else None,
        )

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        return [_split_tokens(text, add_special_tokens=add_special_tokens) for text in texts]

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return

    def _make_states(self, text: str, *, truncate: bool, direction: Direction) -> NDArray[np.float32]:
        words = _WORD.findall(text.lower())
        if len(words) > MAX_WORDS - SPECIAL and not truncate:
            raise PayloadTooLarge(
                f"`inputs` must have at most {MAX_WORDS} tokens, this one has {len(words) + SPECIAL}: "
                "shorten it or set `truncate`"
            )
        room = MAX_WORDS - SPECIAL
        words = words[-room:] if direction == "left" else words[:room]
        rows = np.zeros((len(words) + SPECIAL, self._dim), np.float32)
        for row, word in enumerate(words, start=1):
            drawn = np.frombuffer(blake2b(word.encode(), digest_size=2 * COMPONENTS).digest(), "<u2")
            rows[row, drawn % self._dim] = np.where(drawn & 0x8000, np.float32(1), np.float32(-1))
        # the special tokens: a text without words must have a direction too
        rows[0, 0] = rows[-1, 0] = np.float32(0.01)
        return rows


def _split_tokens(text: str, *, add_special_tokens: bool) -> list[Token]:
    """Split a text into words, which are the tokens; the id of one is drawn from the word's hash."""
    words = [
        Token(_token_id(word[0]), word[0], False, word.start(), word.end()) for word in _WORD.finditer(text)
    ]
    return [Token(0, "[CLS]", True), *words, Token(1, "[SEP]", True)] if add_special_tokens else words


def _token_id(word: str) -> int:
    return int.from_bytes(blake2b(word.lower().encode(), digest_size=3).digest(), "little") + SPECIAL


async def create() -> FakeEmbedding:
    """Make the fake model."""
    return FakeEmbedding(Settings.load())
