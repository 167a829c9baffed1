"""Late interaction with the embedding model's own token vectors, blended with the dense score."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient, Prompt
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import NotFound, ServiceError, ServiceUnavailable
from services.core.health import Check
from services.core.settings import Settings as BaseSettings
from services.core.wire.embedding import EncodeReply
from services.core.wire.passages import Passage, TokenVectors
from services.reranking.cache import Key, TokenVectorCache
from services.reranking.scoring import Part, Weighting, blend, maxsim

ENCODE_BATCH = 64
LOOKUP_BATCH = 1000
BY_TEXT = ""
"""Stands for the collection in the keys of texts that were encoded here; no collection is named so."""

Vectors = NDArray[np.int8]


class Settings(BaseSettings):
    embedding_url: str = Field(
        "http://127.0.0.1:6000",
        validation_alias="EMBEDDING_URL",
        description="base URL of the embedding service",
    )
    retrieval_url: str = Field(
        "http://127.0.0.1:7000",
        validation_alias="RETRIEVAL_URL",
        description="base URL of the retrieval service",
    )
    cache_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        validation_alias="RERANKING_CACHE_BYTES",
        description="late_interaction: memory for passages' token vectors (about 50 kB each)",
    )
    dense_weight: float = Field(
        1.5,
        ge=0,
        validation_alias="RERANKING_DENSE_WEIGHT",
        description="late_interaction: weight of the dense score beside MaxSim's, which is 1",
    )
    sparse_weight: float = Field(
        1.0,
        ge=0,
        validation_alias="RERANKING_SPARSE_WEIGHT",
        description="late_interaction: weight of the sparse (BM25) score beside MaxSim's, which is 1",
    )
    token_weights: Weighting = Field(
        "uniform",
        validation_alias="RERANKING_TOKEN_WEIGHTS",
        description="late_interaction: uniform, or idf (what fewer passages have counts more)",
    )


class LateInteraction:
    """Token vectors come from this cache, else the store, else the embedding service.

    The score is z(MaxSim) + weight * z(dense) + weight * z(sparse), without the parts that a passage lacks.
    """

    def __init__(self, settings: Settings, embedding: HttpClient, retrieval: HttpClient) -> None:
        self._http = embedding, retrieval
        self._embedding = EmbeddingClient(embedding)
        self._retrieval = RetrievalClient(retrieval)
        self._settings = settings
        self._cache = TokenVectorCache(settings.cache_bytes)
        self._encoder = ""
        # BLAS threads that wait for a core spin: on a busy machine 1 ms of work took 8 ms
        self._limits = threadpool_limits(1, user_api="blas")

    @property
    def model(self) -> str:
        return f"late-interaction {self._encoder}".strip()

    def dependencies(self) -> Mapping[str, Check]:
        return {"embedding": self._embedding.ready, "retrieval": self._retrieval.ready}

    async def score(
        self, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool = True
    ) -> list[float]:
        keys = [_key(passage, collection) for passage in passages]
        reply, found = await asyncio.gather(
            self._encode([query], truncate=truncate, prompt="query"), self._known(keys)
        )
        if self._encoder not in {"", reply.model}:
            # vectors of two models cannot be compared, and ids do not tell them apart
            self._cache.clear()
            found = await self._known(keys)
        self._encoder = reply.model
        wanted = _arrays(reply)[0]
        vectors = [found.get(key) for key in keys]
        missing = [
            position
            for position, known in enumerate(vectors)
            if known is None or known.shape[1] != wanted.shape[1]
        ]
        texts = [passages[position].embedded_text for position in missing]
        for position, fresh in zip(missing, await self._encoded(texts, truncate=truncate), strict=True):
            vectors[position] = fresh
        complete = [one for one in vectors if one is not None]
        late = await asyncio.to_thread(maxsim, wanted, complete, self._settings.token_weights)
        dense = Part([passage.score for passage in passages], self._settings.dense_weight)
        # a passage that the sparse search did not find shares no word with the query, or next to none
        sparse = Part([passage.sparse_score for passage in passages], self._settings.sparse_weight, absent=0)
        scores: list[float] = blend(late, dense, sparse).tolist()
        return scores

    async def ready(self) -> None:
        await asyncio.gather(*(check() for check in self.dependencies().values()))

    async def close(self) -> None:
        self._limits.restore_original_limits()
        for http in self._http:
            await http.aclose()

    async def _known(self, keys: Sequence[Key]) -> dict[Key, Vectors]:
        """What the cache has, then what the store has; absent where neither has it."""
        found: dict[Key, Vectors] = {}
        asked: list[Key] = []
        for key in dict.fromkeys(keys):
            cached = self._cache.get(key)
            if cached is not None:
                found[key] = cached
            elif key[0] != BY_TEXT:
                asked.append(key)
        for start in range(0, len(asked), LOOKUP_BATCH):
            found.update(await self._stored(asked[start : start + LOOKUP_BATCH]))
        return found

    async def _stored(self, keys: Sequence[Key]) -> dict[Key, Vectors]:
        """From the retrieval service; nothing for a collection that it does not know."""
        collection = keys[0][0]
        try:
            reply = await self._retrieval.token_vectors(collection, [identifier for _, identifier in keys])
        except NotFound:
            return {}
        stored = {(collection, identifier): _array(packed) for identifier, packed in reply.items()}
        for key, vectors in stored.items():
            self._cache.put(key, vectors)
        return stored

    async def _encoded(self, texts: Sequence[str], *, truncate: bool) -> list[Vectors]:
        """From the cache by the text itself, else from the embedding service."""
        keys = [_text_key(text) for text in texts]
        found = {key: vectors for key in keys if (vectors := self._cache.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        names, bodies = list(missing), list(missing.values())
        for start in range(0, len(names), ENCODE_BATCH):
            reply = await self._encode(
                bodies[start : start + ENCODE_BATCH], truncate=truncate, prompt="passage"
            )
            for key, vectors in zip(names[start:], _arrays(reply), strict=False):
                found[key] = vectors
                self._cache.put(key, vectors)
        return [found[key] for key in keys]

    async def _encode(self, texts: Sequence[str], *, truncate: bool, prompt: Prompt) -> EncodeReply:
        reply = await self._embedding.encode(texts, token_vectors=True, truncate=truncate, prompt=prompt)
        if reply.token_vectors is None:
            raise ServiceUnavailable(
                f"the embedding service at EMBEDDING_URL ({reply.model}) gives no token vectors, which late "
                "interaction needs: set RERANKING_BACKEND to tei or none",
                service="embedding",
            )
        return reply


def _key(passage: Passage, collection: str | None) -> Key:
    return _text_key(passage.embedded_text) if collection is None else (collection, passage.id)


def _text_key(text: str) -> Key:
    return BY_TEXT, blake2b(text.encode(), digest_size=16).hexdigest()


def _arrays(reply: EncodeReply) -> list[Vectors]:
    return [_array(packed) for packed in reply.token_vectors or []]


def _array(packed: TokenVectors) -> Vectors:
    raw = np.frombuffer(packed.data, np.int8)
    if raw.size != packed.tokens * packed.dim:
        raise ServiceError(
            f"token vectors of {packed.tokens} x {packed.dim} came with {raw.size} bytes: ingest again"
        )
    return raw.reshape(packed.tokens, packed.dim)


async def create() -> LateInteraction:
    settings = Settings.load()
    return LateInteraction(
        settings,
        HttpClient("embedding", settings.embedding_url),
        HttpClient("retrieval", settings.retrieval_url),
    )
