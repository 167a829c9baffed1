"""`memory://`: everything in this process's memory, searched exactly by numpy. For tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.documents import list_documents
from services.retrieval.filters import Clauses, clauses
from services.retrieval.payload import (
    DOCUMENT_ID,
    REVISION,
    TERMS,
    Payload,
    Point,
    from_payload,
    point_id,
    query_vector,
    to_points,
)
from services.retrieval.schema import Schema, unknown
from services.retrieval.url import StoreUrl


@dataclass(frozen=True)
class _Row:
    payload: Payload
    terms: frozenset[str]
    unit: NDArray[np.float32]
    token_vectors: TokenVectors | None

    def matches(self, wanted: Clauses) -> bool:
        return all(not self.terms.isdisjoint(clause) for clause in wanted)


@dataclass
class _Collection:
    schema: Schema
    rows: dict[str, _Row] = field(default_factory=dict)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """At length one; a zero vector stays zero and is similar to nothing."""
    return vector / np.float32(np.linalg.norm(vector) or 1)


def _row(point: Point) -> _Row:
    terms = frozenset(str(term) for term in cast(list[object], point.payload[TERMS]))
    return _Row(point.payload, terms, _unit(np.asarray(point.vector, np.float32)), point.token_vectors)


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
        query = _unit(query_vector(vector, collection, held.schema.dim))
        wanted = clauses(where)
        rows = [row for row in held.rows.values() if row.matches(wanted)]
        if not rows:
            return []
        scores = np.stack([row.unit for row in rows]) @ query
        best = np.argsort(-scores, kind="stable")[:k]
        return [
            from_payload(rows[at].payload, float(scores[at]))
            for at in best
            if threshold is None or scores[at] >= threshold
        ]

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        held = self._collections.get(collection)
        rows = held.rows if held else {}
        found = {id_: rows[point_id(id_)].token_vectors for id_ in ids if point_id(id_) in rows}
        return {id_: vectors for id_, vectors in found.items() if vectors is not None}

    async def documents(self, collection: str) -> list[DocumentInfo]:
        held = self._collections.get(collection)
        rows = held.rows.values() if held else ()
        return list_documents(row.payload for row in rows)

    async def collections(self) -> list[CollectionInfo]:
        return [
            CollectionInfo(name=name, model=held.schema.model, dim=held.schema.dim, passages=len(held.rows))
            for name, held in sorted(self._collections.items())
        ]

    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        points = to_points(passages)
        schema = Schema(model, len(points[0].vector))
        rows = {point.id: _row(point) for point in points}
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
            if row.payload[DOCUMENT_ID] == document_id
            and (keep_revision is None or row.payload[REVISION] != keep_revision)
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
