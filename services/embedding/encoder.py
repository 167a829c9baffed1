"""From texts to vectors: the prefix before them, what is known already, the model for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from services.core.wire.embedding import Direction, EmbeddingInfo
from services.embedding.backend import EmbeddingBackend, Encoded, normalized
from services.embedding.cache import EmbeddingCache, Entry
from services.embedding.prompts import PASSAGE, QUERY, chosen, identity

INT8_SCALE = 127
SPECIAL = 1
"""Special tokens at either end of a text's states."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How texts are embedded, as TEI's requests say it."""

    normalize: bool = True
    truncate: bool = False
    direction: Direction = "right"
    prompt: str | None = None
    token_vectors: bool = False


@dataclass(frozen=True, slots=True)
class Embedded:
    """`vectors` float32 (n, dim); `prompt_tokens` of all; `token_vectors` int8 by text, where wanted."""

    vectors: NDArray[np.float32]
    prompt_tokens: int
    token_vectors: list[NDArray[np.int8]] | None


class Encoder:
    """One for a service; `query` and `passage` are the prefixes of its settings, None for the model's own."""

    def __init__(
        self, backend: EmbeddingBackend, cache: EmbeddingCache | None, query: str | None, passage: str | None
    ) -> None:
        self._backend = backend
        self._cache = cache
        self._given = query, passage
        self._prefix_tokens: dict[str, int] = {"": 0}

    async def info(self) -> EmbeddingInfo:
        """The backend's, under the id that collections remember, with the prefixes."""
        info = await self._backend.info()
        prompts = chosen(info.model_id, *self._given)
        return info.model_copy(
            update={
                "model_id": identity(info.model_id, prompts),
                "prompts": {QUERY: prompts.query, PASSAGE: prompts.passage},
            }
        )

    async def prefixed(self, texts: Sequence[str], prompt: str | None) -> list[str]:
        """Raises `InvalidRequest` for a prompt that is not known."""
        prefix = await self._prefix(prompt)
        return [prefix + text for text in texts]

    async def encode(self, texts: Sequence[str], wanted: Wanted) -> Embedded:
        """Raises what the backend raises, and `InvalidRequest` for a prompt that is not known."""
        info = await self._backend.info()
        prefix = await self._prefix(wanted.prompt)
        keys = [self._key(info, wanted, prefix, text) for text in texts]
        known = await self._known(keys, wanted)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            computed = await self._computed([prefix + text for text in missing.values()], prefix, wanted)
            fresh = dict(zip(missing, computed, strict=True))
            known.update(fresh)
            if self._cache is not None:
                self._cache.put(fresh)
        return _joined([known[key] for key in keys], wanted)

    async def states(self, texts: Sequence[str], wanted: Wanted) -> Encoded:
        """With the last hidden states of every token, which are not kept."""
        return await self._backend.encode(
            await self.prefixed(texts, wanted.prompt),
            normalize=wanted.normalize,
            truncate=wanted.truncate,
            direction=wanted.direction,
            token_vectors=True,
        )

    async def _prefix(self, prompt: str | None) -> str:
        info = await self._backend.info()
        return chosen(info.model_id, *self._given).of(prompt)

    def _key(self, info: EmbeddingInfo, wanted: Wanted, prefix: str, text: str) -> bytes:
        truncation = wanted.direction if wanted.truncate else "refused"
        shape = f"{info.model_type} {info.max_input_length} {info.dim}"
        return key_of(info.model_id, info.model_sha or "", info.model_dtype, shape, truncation, prefix, text)

    async def _known(self, keys: Sequence[bytes], wanted: Wanted) -> dict[bytes, Entry]:
        if self._cache is None:
            return {}
        return await self._cache.get(keys, token_vectors=wanted.token_vectors)

    async def _computed(self, texts: Sequence[str], prefix: str, wanted: Wanted) -> list[Entry]:
        encoded = await self._backend.encode(
            texts,
            normalize=False,
            truncate=wanted.truncate,
            direction=wanted.direction,
            token_vectors=wanted.token_vectors,
        )
        packed: Sequence[NDArray[np.int8] | None] = [None] * len(texts)
        if encoded.states is not None:
            states, skipped = encoded.states, await self._tokens_of(prefix)
            packed = await asyncio.to_thread(lambda: [int8_rows(one, skipped) for one in states])
        # copies: a row kept of an array keeps all of it
        return [
            Entry(vector.copy(), tokens, rows)
            for vector, tokens, rows in zip(encoded.vectors, encoded.tokens, packed, strict=True)
        ]

    async def _tokens_of(self, prefix: str) -> int:
        """How many tokens a text's prefix is; a word of it and one of the text are never one token."""
        if prefix not in self._prefix_tokens:
            tokens = await self._backend.tokenize([prefix], add_special_tokens=False)
            self._prefix_tokens[prefix] = len(tokens[0])
        return self._prefix_tokens[prefix]


def _joined(entries: Sequence[Entry], wanted: Wanted) -> Embedded:
    vectors = np.stack([entry.vector for entry in entries])
    packed = [entry.token_vectors for entry in entries if entry.token_vectors is not None]
    return Embedded(
        normalized(vectors) if wanted.normalize else vectors,
        sum(entry.tokens for entry in entries),
        packed if wanted.token_vectors else None,
    )


def int8_rows(states: NDArray[np.float32], prefix: int = 0) -> NDArray[np.int8]:
    """A text's hidden states (tokens, dim) as the int8 unit vectors of its own tokens: without the special
    ones and those of the `prefix` tokens before it."""
    own = states[SPECIAL + prefix : -SPECIAL]
    lengths = np.maximum(np.linalg.norm(own, axis=-1, keepdims=True), np.float32(1e-12))
    rows: NDArray[np.int8] = np.rint(own * (np.float32(INT8_SCALE) / lengths)).astype(np.int8)
    return rows


def key_of(*parts: str) -> bytes:
    """The hash of all that decides what a text is embedded to."""
    digest = blake2b(digest_size=20)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()
