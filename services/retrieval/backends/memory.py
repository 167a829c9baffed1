"""`memory://`: everything in this process, nothing on disk. For tests and for trying things out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from services.core.addresses import StoreAddress
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Page
from services.retrieval.candidates import Candidates, Query, Vector
from services.retrieval.documents import list_documents
from services.retrieval.filters import Wanted, wanted
from services.retrieval.payload import (
    INDEX,
    TERMS,
    Payload,
    Point,
    from_payload,
    point_id,
    query_vector,
    to_points,
)
from services.retrieval.revisions import Hidden, Pair, pair_of, require_own_ids, require_passages, selected
from services.retrieval.schema import Schema, aliased, is_alias, taken, unknown, unknown_alias
from services.retrieval.sparse import query_weights


@dataclass(frozen=True)
class _Row:
    payload: Payload
    terms: frozenset[str]
    unit: Vector
    sparse: dict[int, float]
    token_vectors: TokenVectors | None

    @property
    def pair(self) -> Pair:
        return pair_of(self.payload)

    def matches(self, todo: Wanted) -> bool:
        return self.terms.isdisjoint(todo.none_of) and all(
            not self.terms.isdisjoint(terms) for terms in todo.all_of
        )


@dataclass
class _Collection:
    """No method of the store awaits anything between reading and writing: every change is one step."""

    schema: Schema
    rows: dict[str, _Row] = field(default_factory=dict)
    hidden: Hidden = field(default_factory=Hidden)

    def seen(self) -> dict[str, _Row]:
        if not self.hidden:
            return self.rows
        return {id_: row for id_, row in self.rows.items() if row.pair not in self.hidden}

    def of(self, document_id: str) -> dict[str, _Row]:
        return {id_: row for id_, row in self.rows.items() if row.pair[0] == document_id}

    def remove(self, pairs: set[Pair]) -> int:
        doomed = [id_ for id_, row in self.rows.items() if row.pair in pairs]
        for id_ in doomed:
            del self.rows[id_]
        self.hidden = self.hidden.forget(pairs)
        return len(doomed)


def _unit(vector: NDArray[np.float32]) -> Vector:
    """At length one; a zero vector stays zero and is similar to nothing."""
    return vector / np.float32(np.linalg.norm(vector) or 1)


def _row(point: Point) -> _Row:
    terms = frozenset(str(term) for term in cast(list[object], point.payload[TERMS]))
    unit = _unit(np.asarray(point.vector, np.float32))
    return _Row(point.payload, terms, unit, point.sparse, point.token_vectors)


def _best(scores: Sequence[float], k: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda at: -scores[at])[:k]


def _sparse_scores(text: str, rows: Sequence[_Row], held: _Collection) -> list[float]:
    """By the rows' weights and Qdrant's IDF over all rows of the collection."""
    total = len(held.rows)
    idf = {}
    for term, times in query_weights(text).items():
        having = sum(term in row.sparse for row in held.rows.values())
        idf[term] = times * math.log((total - having + 0.5) / (having + 0.5) + 1)
    return [sum(row.sparse.get(term, 0.0) * weight for term, weight in idf.items()) for row in rows]


class MemoryStore:
    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}
        self._aliases: dict[str, str] = {}

    async def search(self, collection: str, query: Query) -> Candidates:
        held = self._require(collection)
        todo = wanted(query.where)
        rows = [row for row in held.seen().values() if row.matches(todo)]
        cosines: list[float | None] = [None] * len(rows)
        dense: list[Passage] = []
        if query.vector is not None:
            unit = _unit(query_vector(query.vector, collection, held.schema.dim))
            cosines = [float(row.unit @ unit) for row in rows]
            if query.dense:
                best = _best([cosine or 0.0 for cosine in cosines], query.k)
                dense = [from_payload(rows[at].payload, cosines[at]) for at in best]
        scores = _sparse_scores(query.text, rows, held)
        found = [at for at in _best(scores, query.k) if scores[at] > 0]
        sparse = [from_payload(rows[at].payload, cosines[at], sparse_score=scores[at]) for at in found]
        ids = {passage.id for passage in (*dense, *sparse)} if query.with_vectors else set()
        vectors = {str(row.payload["id"]): row.unit for row in rows if row.payload["id"] in ids}
        return Candidates(dense, sparse, vectors)

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        held = self._find(collection)
        rows = held.seen() if held else {}
        found = {}
        for id_ in ids:
            if row := rows.get(point_id(id_)):
                at = cast(int, row.payload[INDEX])
                around = (each for each in rows.values() if each.pair == row.pair)
                passages = sorted((from_payload(each.payload) for each in around), key=lambda p: p.index)
                found[id_] = [each for each in passages if at - before <= each.index <= at + after]
        return found

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        rows = sorted(self._require(collection).seen().items())
        page = [each for each in rows if after is None or each[0] > after][: limit + 1]
        passages = [from_payload(row.payload) for _, row in page[:limit]]
        return Page(passages, page[limit - 1][0] if len(page) > limit else None)

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        held = self._find(collection)
        rows = held.rows if held else {}
        found = {id_: rows[point_id(id_)].token_vectors for id_ in ids if point_id(id_) in rows}
        return {id_: vectors for id_, vectors in found.items() if vectors is not None}

    async def documents(self, collection: str) -> list[DocumentInfo]:
        held = self._find(collection)
        rows = held.seen().values() if held else ()
        return list_documents(row.payload for row in rows)

    async def collections(self) -> list[CollectionInfo]:
        return [
            CollectionInfo(
                name=name,
                model=held.schema.model,
                dim=held.schema.dim,
                passages=len(held.seen()),
                aliases=self._aliases_of(name),
            )
            for name, held in sorted(self._collections.items())
        ]

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        points = to_points(passages)
        schema = Schema(model, len(points[0].vector))
        rows = {point.id: _row(point) for point in points}
        name = self._aliases.get(collection, collection)
        held = self._collections.setdefault(name, _Collection(schema))
        held.schema.require(collection, schema)
        if staged:
            present = (held.rows[id_].payload for id_ in rows if id_ in held.rows)
            require_own_ids(present, {str(row.payload["id"]): row.pair for row in rows.values()})
            seen = {row.pair for row in held.seen().values()}
            held.hidden = held.hidden.stage({row.pair for row in rows.values()} - seen)
        held.rows.update(rows)

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        held = self._require(collection)
        pair = (document_id, revision)
        pairs = [row.pair for row in held.of(document_id).values()]
        require_passages(pair, pairs.count(pair), passages)
        others = set(pairs) - {pair} - held.hidden.staged
        held.hidden = held.hidden.publish(pair, ())
        return held.remove(others)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        held = self._find(collection)
        if held is None:
            return 0
        pairs = (row.pair for row in held.of(document_id).values())
        return held.remove(selected(pairs, keep=keep_revision, only=revision))

    async def drop(self, collection: str) -> None:
        if collection in self._aliases:
            raise is_alias(collection, self._aliases[collection])
        self._require(collection)
        if aliases := self._aliases_of(collection):
            raise aliased(collection, aliases)
        del self._collections[collection]

    async def aliases(self) -> dict[str, str]:
        return dict(self._aliases)

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        name = self._aliases.get(collection, collection)
        self._require(name)
        if alias in self._collections:
            if not replace_collection or alias == name:
                raise taken(alias)
            if aliases := self._aliases_of(alias):
                raise aliased(alias, aliases)
            del self._collections[alias]
        self._aliases[alias] = name

    async def delete_alias(self, alias: str) -> None:
        if self._aliases.pop(alias, None) is None:
            raise unknown_alias(alias)

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        self._collections.clear()

    def _aliases_of(self, name: str) -> list[str]:
        return sorted(alias for alias, meant in self._aliases.items() if meant == name)

    def _find(self, collection: str) -> _Collection | None:
        return self._collections.get(self._aliases.get(collection, collection))

    def _require(self, collection: str) -> _Collection:
        held = self._find(collection)
        if held is None:
            raise unknown(collection)
        return held


async def create(url: StoreAddress) -> MemoryStore:
    """An empty store; `url` says nothing more."""
    return MemoryStore()
