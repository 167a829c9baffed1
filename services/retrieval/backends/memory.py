"""`memory://`: everything in this process's memory, searched exactly by numpy. For tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.documents import Mention, list_documents
from services.retrieval.filters import Clauses, clauses, passage_terms
from services.retrieval.payload import dense_matrix, query_vector
from services.retrieval.schema import Schema, unknown
from services.retrieval.url import StoreUrl


@dataclass(frozen=True)
class _Row:
    passage: Passage
    terms: frozenset[str]
    unit: NDArray[np.float32]
    token_vectors: TokenVectors | None

    def matches(self, wanted: Clauses) -> bool:
        return all(not self.terms.isdisjoint(clause) for clause in wanted)


@dataclass
class _Collection:
    schema: Schema
    rows: dict[str, _Row] = field(default_factory=dict)


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one; a zero vector stays zero and is similar to nothing."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = np.zeros_like(vectors)
    np.divide(vectors, lengths, out=unit, where=lengths > 0)
    return unit


class MemoryStore:
    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}

    async def search(
        self,
        collection: str,
        vector: Sequence[float],
        *,
        k: int,
        where: Filter | None = None,
        threshold: float | None = None,
    ) -> list[Passage]:
        held = self._require(collection)
        query = _normalised(query_vector(vector, collection, held.schema.dim))
        wanted = clauses(where)
        rows = [row for row in held.rows.values() if row.matches(wanted)]
        if not rows:
            return []
        scores = np.clip(np.stack([row.unit for row in rows]) @ query, -1, 1)
        best = np.argsort(-scores, kind="stable")[:k]
        return [
            rows[at].passage.model_copy(update={"score": float(scores[at])})
            for at in best
            if threshold is None or scores[at] >= threshold
        ]

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        held = self._collections.get(collection)
        rows = held.rows if held else {}
        found = {id_: rows[id_].token_vectors for id_ in ids if id_ in rows}
        return {id_: vectors for id_, vectors in found.items() if vectors is not None}

    async def documents(self, collection: str) -> list[DocumentInfo]:
        held = self._collections.get(collection)
        rows = held.rows.values() if held else ()
        return list_documents(Mention.model_validate(row.passage.model_dump()) for row in rows)

    async def collections(self) -> list[CollectionInfo]:
        return [
            CollectionInfo(name=name, model=held.schema.model, dim=held.schema.dim, passages=len(held.rows))
            for name, held in sorted(self._collections.items())
        ]

    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        matrix = dense_matrix(passages)
        schema = Schema(model, matrix.shape[1])
        rows = {
            stored.passage.id: _Row(
                stored.passage.model_copy(update={"score": None, "rerank_score": None}),
                frozenset(passage_terms(stored.passage)),
                unit,
                stored.token_vectors,
            )
            for stored, unit in zip(passages, _normalised(matrix), strict=True)
        }
        held = self._collections.setdefault(collection, _Collection(schema))
        held.schema.require(collection, schema)
        held.rows.update(rows)

    async def delete(self, collection: str, document_id: str, *, keep_revision: str | None = None) -> int:
        held = self._collections.get(collection)
        if held is None:
            return 0
        doomed = [
            id_
            for id_, row in held.rows.items()
            if row.passage.document_id == document_id
            and (keep_revision is None or row.passage.revision != keep_revision)
        ]
        for id_ in doomed:
            del held.rows[id_]
        return len(doomed)

    async def drop(self, collection: str) -> None:
        self._require(collection)
        del self._collections[collection]

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        self._collections.clear()

    def _require(self, collection: str) -> _Collection:
        held = self._collections.get(collection)
        if held is None:
            raise unknown(collection)
        return held


async def create(url: StoreUrl) -> MemoryStore:
    """An empty store; `url` says nothing more."""
    return MemoryStore()
