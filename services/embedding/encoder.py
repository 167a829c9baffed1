"""From texts to vectors: the prefix before them, the cache, and the model for what it does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from services.core.wire.embedding import Direction, EmbeddingInfo
from services.embedding.backend import EmbeddingBackend, EncodedTexts, normalise
from services.embedding.cache import CachedText, EmbeddingCache
from services.embedding.prompts import PASSAGE, QUERY, choose_prompts, name_model

INT8_SCALE = 127
SPECIAL = 1
"""Special tokens at either end of a text's states."""


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How texts are embedded, as TEI's requests say it."""

    normalize: bool = True
    truncate: bool = False
    direction: Direction = "right"
    prompt: str | None = None
    token_vectors: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Vectors of texts.

    `vectors` float32 (n, dim); `prompt_tokens` of all; `token_vectors` int8 by text, where asked for.
    """

    vectors: NDArray[np.float32]
    prompt_tokens: int
    token_vectors: list[NDArray[np.int8]] | None


class Encoder:
    """Embeds texts; `query` and `passage` are the prefixes of the settings, None for the model's own."""

    def __init__(
        self, backend: EmbeddingBackend, cache: EmbeddingCache | None, query: str | None, passage: str | None
    ) -> None:
        self._backend = backend
        self._cache = cache
        self._prefix_settings = query, passage
        self._prefix_tokens: dict[str, int] = {"": 0}

    async def info(self) -> EmbeddingInfo:
        """Describe the backend's model, under the id that collections remember, with the prefixes."""
        info = await self._backend.info()
        prompts = choose_prompts(info.model_id, *self._prefix_settings)
        return info.model_copy(
            update={
                "model_id": name_model(info.model_id, prompts),
                "prompts": {QUERY: prompts.query, PASSAGE: prompts.passage},
            }
        )

    async def add_prefix(self, texts: Sequence[str], prompt: str | None) -> list[str]:
        """Put a prompt's prefix before texts. Raises `InvalidRequest` for a prompt that is not known."""
        prefix = await self._find_prefix(prompt)
        return [prefix + text for text in texts]

    async def encode(self, texts: Sequence[str], options: EmbedOptions) -> EmbeddedTexts:
        """Embed texts. Raises what the backend raises, and `InvalidRequest` for an unknown prompt."""
        info = await self._backend.info()
        prefix = await self._find_prefix(options.prompt)
        keys = [self._make_key(info, options, prefix, text) for text in texts]
        known = await self._look_up(keys, options)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            computed = await self._compute([prefix + text for text in missing.values()], prefix, options)
            fresh = dict(zip(missing, computed, strict=True))
            known.update(fresh)
            if self._cache is not None:
                self._cache.put(fresh)
        return _join([known[key] for key in keys], options)

    async def states(self, texts: Sequence[str], options: EmbedOptions) -> EncodedTexts:
        """Embed texts with the last hidden states of every token, which are not kept."""
        return await self._backend.encode(
            await self.add_prefix(texts, options.prompt),
            normalize=options.normalize,
            truncate=options.truncate,
            direction=options.direction,
            token_vectors=True,
        )

    async def _find_prefix(self, prompt: str | None) -> str:
        info = await self._backend.info()
        return choose_prompts(info.model_id, *self._prefix_settings).of(prompt)

    def _make_key(self, info: EmbeddingInfo, options: EmbedOptions, prefix: str, text: str) -> bytes:
        truncation = options.direction if options.truncate else "refused"
        shape = f"{info.model_type} {info.max_input_length} {info.dim}"
        model = info.model_id, info.model_sha or "", info.model_dtype
        return hash_key(*model, shape, truncation, prefix, text)

    async def _look_up(self, keys: Sequence[bytes], options: EmbedOptions) -> dict[bytes, CachedText]:
        if self._cache is None:
            return {}
        return await self._cache.get(keys, token_vectors=options.token_vectors)

    async def _compute(self, texts: Sequence[str], prefix: str, options: EmbedOptions) -> list[CachedText]:
        encoded = await self._backend.encode(
            texts,
            normalize=False,
            truncate=options.truncate,
            direction=options.direction,
            token_vectors=options.token_vectors,
        )
        packed: Sequence[NDArray[np.int8] | None] = [None] * len(texts)
        if encoded.states is not None:
            states, skipped = encoded.states, await self._count_prefix_tokens(prefix)
            packed = await asyncio.to_thread(lambda: [quantise_states(rows, skipped) for rows in states])
        # copies: a row kept of an array keeps all of it
        return [
            CachedText(vector.copy(), tokens, rows)
            for vector, tokens, rows in zip(encoded.vectors, encoded.tokens, packed, strict=True)
        ]

    async def _count_prefix_tokens(self, prefix: str) -> int:
        """Count the tokens of a text's prefix; a word of it and one of the text are never one token."""
        if prefix not in self._prefix_tokens:
            tokens = await self._backend.tokenize([prefix], add_special_tokens=False)
            self._prefix_tokens[prefix] = len(tokens[0])
        return self._prefix_tokens[prefix]


def _join(texts: Sequence[CachedText], options: EmbedOptions) -> EmbeddedTexts:
    vectors = np.stack([text.vector for text in texts])
    packed = [text.token_vectors for text in texts if text.token_vectors is not None]
    return EmbeddedTexts(
        normalise(vectors) if options.normalize else vectors,
        sum(text.tokens for text in texts),
        packed if options.token_vectors else None,
    )


def quantise_states(states: NDArray[np.float32], prefix: int = 0) -> NDArray[np.int8]:
    """Turn a text's hidden states (tokens, dim) into the int8 unit vectors of its own tokens.

    The special ones and those of the `prefix` tokens before it are left out.
    """
    own = states[SPECIAL + prefix : -SPECIAL]
    lengths = np.maximum(np.linalg.norm(own, axis=-1, keepdims=True), np.float32(1e-12))
    rows: NDArray[np.int8] = np.rint(own * (np.float32(INT8_SCALE) / lengths)).astype(np.int8)
    return rows


def hash_key(*parts: str) -> bytes:
    """Hash all that decides what a text is embedded to."""
    digest = blake2b(digest_size=20)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()
