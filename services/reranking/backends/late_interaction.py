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
from services.core.lru import ByteLru
from services.core.settings import PeerSettings
from services.core.settings import Settings as BaseSettings
from services.core.text import locate_normalised, normalise
from services.core.wire.embedding import EncodeReply
from services.core.wire.passages import Passage, TokenVectors
from services.reranking.scoring import Part, Weighting, blend, maxsim, span_cosines

ENCODE_BATCH = 64
LOOKUP_BATCH = 1000
BY_TEXT = ""
"""Stands for the collection in the keys of texts that were encoded here; no collection is named so."""

Vectors = NDArray[np.int8]
"""The token vectors of one text: int8, shape (tokens, dim)."""

Key = tuple[str, str]
"""Collection and passage id. An id contains its document's revision, so an entry never goes stale."""

ENTRY_BYTES = 400
"""What a cached entry costs besides its vectors: the array's and the key's own objects."""


class Settings(BaseSettings):
    """Where token vectors come from, and what each score counts."""

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


class TokenVectorCache(ByteLru[Key, Vectors]):
    """Keeps passages' token vectors in at most `limit` bytes of memory."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, lambda vectors: vectors.nbytes + ENTRY_BYTES)


class LateInteraction:
    """Scores passages by their token vectors: from its cache, else the store, else the embedding service.

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
        keys = [_make_key(passage, collection) for passage in passages]
        reply, found = await asyncio.gather(
            self._encode([query], truncate=truncate, prompt="query"), self._find_vectors(keys)
        )
        if self._encoder not in {"", reply.model}:
            # vectors of two models cannot be compared, and ids do not tell them apart
            self._cache.clear()
            found = await self._find_vectors(keys)
        self._encoder = reply.model
        wanted = _read_all_vectors(reply)[0]
        vectors = [found.get(key) for key in keys]
        missing = [
            position
            for position, known in enumerate(vectors)
            if known is None or known.shape[1] != wanted.shape[1]
        ]
        texts = [passages[position].embedded_text for position in missing]
        encoded = await self._encode_passages(texts, truncate=truncate)
        for position, fresh in zip(missing, encoded, strict=True):
            vectors[position] = fresh
        complete = [array for array in vectors if array is not None]
        late = await asyncio.to_thread(maxsim, wanted, complete, self._settings.token_weights)
        dense = Part([passage.score for passage in passages], self._settings.dense_weight)
        # a passage that the sparse search did not find shares no word with the query, or next to none
        sparse = Part([passage.sparse_score for passage in passages], self._settings.sparse_weight, absent=0)
        scores: list[float] = blend(late, dense, sparse).tolist()
        return scores

    async def sentence_cosines(
        self,
        query: str,
        passages: Sequence[Passage],
        spans: Sequence[Sequence[tuple[int, int]]],
        *,
        collection: str | None,
    ) -> list[list[float | None]]:
        keys = [_make_key(passage, collection) for passage in passages]
        texts = [normalise(passage.embedded_text) for passage in passages]
        reply, tokens, found = await asyncio.gather(
            self._encode([query], truncate=True, prompt="query"),
            self._embedding.tokenize(texts),
            self._find_vectors(keys),
        )
        wanted = np.asarray(reply.embeddings[0], np.float32)
        cosines: list[list[float | None]] = []
        for passage, units, key, split in zip(passages, spans, keys, tokens, strict=True):
            vectors = found.get(key)
            if vectors is None or vectors.shape[1] != len(wanted):
                cosines.append([None] * len(units))
                continue
            places = locate_normalised(passage.embedded_text)
            before = len(passage.embedded_text) - len(passage.text)
            starts = [places[token.start or 0] - before for token in split[: len(vectors)]]
            cosines.append(span_cosines(wanted, vectors, starts, units))
        return cosines

    async def ready(self) -> None:
        await asyncio.gather(*(check() for check in self.dependencies().values()))

    async def close(self) -> None:
        self._limits.restore_original_limits()
        for http in self._http:
            await http.aclose()

    async def _find_vectors(self, keys: Sequence[Key]) -> dict[Key, Vectors]:
        """Look passages up in the cache, then in the store; a passage that neither has is left out."""
        found: dict[Key, Vectors] = {}
        asked: list[Key] = []
        for key in dict.fromkeys(keys):
            cached = self._cache.get(key)
            if cached is not None:
                found[key] = cached
            elif key[0] != BY_TEXT:
                asked.append(key)
        for start in range(0, len(asked), LOOKUP_BATCH):
            found.update(await self._fetch_stored(asked[start : start + LOOKUP_BATCH]))
        return found

    async def _fetch_stored(self, keys: Sequence[Key]) -> dict[Key, Vectors]:
        """Ask the retrieval service; it gives nothing for a collection that it does not know."""
        collection = keys[0][0]
        try:
            reply = await self._retrieval.token_vectors(collection, [identifier for _, identifier in keys])
        except NotFound:
            return {}
        stored = {(collection, identifier): _read_vectors(packed) for identifier, packed in reply.items()}
        for key, vectors in stored.items():
            self._cache.put(key, vectors)
        return stored

    async def _encode_passages(self, texts: Sequence[str], *, truncate: bool) -> list[Vectors]:
        """Look texts up in the cache by themselves, else let the embedding service encode them."""
        keys = [_make_text_key(text) for text in texts]
        found = {key: vectors for key in keys if (vectors := self._cache.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        names, bodies = list(missing), list(missing.values())
        for start in range(0, len(names), ENCODE_BATCH):
            reply = await self._encode(
                bodies[start : start + ENCODE_BATCH], truncate=truncate, prompt="passage"
            )
            for key, vectors in zip(names[start:], _read_all_vectors(reply), strict=False):
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


def _make_key(passage: Passage, collection: str | None) -> Key:
    return _make_text_key(passage.embedded_text) if collection is None else (collection, passage.id)


def _make_text_key(text: str) -> Key:
    return BY_TEXT, blake2b(text.encode(), digest_size=16).hexdigest()


def _read_all_vectors(reply: EncodeReply) -> list[Vectors]:
    return [_read_vectors(packed) for packed in reply.token_vectors or []]


def _read_vectors(packed: TokenVectors) -> Vectors:
    raw = np.frombuffer(packed.data, np.int8)
    if raw.size != packed.tokens * packed.dim:
        raise ServiceError(
            f"token vectors of {packed.tokens} x {packed.dim} came with {raw.size} bytes: ingest again"
        )
    return raw.reshape(packed.tokens, packed.dim)


async def create() -> LateInteraction:
    settings, headers = Settings.load(), PeerSettings.load().peer_headers
    return LateInteraction(
        settings,
        HttpClient("embedding", settings.embedding_url, headers=headers),
        HttpClient("retrieval", settings.retrieval_url, headers=headers),
    )
