"""Encoders for the scorer: the embedding service, whose token vectors come as int8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.evaluation.grounding.evidence import Floats
from pipelines.evaluation.grounding.scorer import Encoded
from services.core.clients.embedding import EmbeddingClient
from services.core.wire.passages import TokenVectors

BATCH = 128
"""Texts in one request."""


class ServiceEncoder:
    """The embedding service, or a TEI server in its place, which gives no token vectors."""

    def __init__(self, client: EmbeddingClient) -> None:
        self._client = client

    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        vectors: list[list[float]] = []
        packed: list[TokenVectors] = []
        for start in range(0, len(texts), BATCH):
            reply = await self._client.encode(texts[start : start + BATCH], token_vectors=tokens)
            vectors += reply.embeddings
            packed += reply.token_vectors or []
        whole = np.array(vectors, np.float32)
        return Encoded(whole, [unit(each) for each in packed] if len(packed) == len(texts) else None)


def unit(packed: TokenVectors) -> Floats:
    """Rows of unit length, shape (tokens, dim)."""
    rows = np.frombuffer(packed.data, np.int8).reshape(packed.tokens, packed.dim).astype(np.float32)
    units: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return units
