"""One Qdrant Edge shard, typed. The engine holds the GIL in its calls: a search 1 ms, a flush 5 and more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from qdrant_edge import (
    AcornSearchParams,
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    MatchAny,
    MatchValue,
    Modifier,
    PayloadSchemaType,
    Query,
    QueryRequest,
    RangeFloat,
    ScrollRequest,
    SearchParams,
    SparseVector,
    UpdateOperation,
)
from qdrant_edge import Point as EdgePoint

from services.retrieval.backend import Vector
from services.retrieval.backends.edge.files import WriteLog
from services.retrieval.filters import TermFilter
from services.retrieval.points import (
    DENSE,
    DOCUMENT_ID,
    INDEX,
    REVISION,
    SPARSE,
    TERMS,
    Payload,
    Point,
)
from services.retrieval.revisions import RevisionKey

SCROLL_PAGE = 512
NO_GRAPH_KB = 2**31
"""Size from which optimising builds a graph: never here, as that freezes the process for minutes."""
GRAPH_KB = 1
FLUSH_EVERY = 64
"""Writes between flushes: what was not flushed is written again, from the log, by the next `load`."""
EF = 128
"""Candidates of a search in a graph, or as many as are asked for."""


@dataclass(frozen=True)
class Hit:
    """A point that a search found."""

    id: str
    payload: Payload
    score: float


@dataclass(frozen=True)
class Stored:
    """A point that a listing found."""

    id: str
    payload: Payload


class Shard:
    """Updates and searches one shard.

    An update is safe from `kill -9` when it returns, from a power failure after the next `save`.
    """

    def __init__(self, shard: EdgeShard, path: Path, *, graph: bool) -> None:
        self._shard = shard
        self._log = WriteLog(path / "wal")
        self._saves = 0
        self.path = path
        self.graph = graph

    @classmethod
    def create(cls, path: Path, dim: int) -> Self:
        """Make an empty shard in a new folder."""
        path.mkdir(parents=True)
        shard = EdgeShard.create(str(path), _make_config(dim, NO_GRAPH_KB))
        for key in (DOCUMENT_ID, TERMS):
            shard.update(UpdateOperation.create_field_index(key, PayloadSchemaType.Keyword))
        shard.flush()
        return cls(shard, path, graph=False)

    @classmethod
    def load(cls, path: Path, *, graph: bool = False) -> Self:
        """Open, and give back the disk space of deleted points where a fifth or more are deleted.

        That takes about 0.7 s for 10,000 points that stay, survives a kill at any moment, and is done
        here because it would freeze a process that is serving. A graph of which so much is deleted does
        not survive it. `graph` tells that there is one.
        """
        shard = EdgeShard.load(str(path))
        if shard.optimize():
            shard.flush()
            graph = False
        return cls(shard, path, graph=graph)

    @staticmethod
    def build_graph(path: Path, dim: int) -> None:
        """Build a graph: it freezes the process for about 2 ms per passage. The shard must be closed."""
        shard = EdgeShard.load(str(path), _make_config(dim, GRAPH_KB))
        shard.optimize()
        shard.flush()
        shard.close()
        EdgeShard.load(str(path), _make_config(dim, NO_GRAPH_KB)).close()

    def upsert(self, points: Sequence[Point]) -> None:
        """Store all of them in one logged operation; their token vectors are not this class's concern."""
        self._shard.update(UpdateOperation.upsert_points([_make_record(point) for point in points]))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete all of them in one logged operation: a crash leaves all or none."""
        self._shard.update(UpdateOperation.delete_points(list(ids)))

    def save(self) -> None:
        """Make all updates so far safe from a power failure, mostly by the log alone.

        A flush goes through every file of the shard and holds the GIL for all of it; the log is one file,
        which other threads need not wait for.
        """
        self._saves += 1
        if self._saves >= FLUSH_EVERY or not self._log.sync():
            self.flush()

    def flush(self) -> None:
        """Bring everything to its place, so that the next `load` has nothing to write again."""
        self._shard.flush()
        self._log.hold()
        self._saves = 0

    def search(self, vector: Vector, *, k: int, where: TermFilter, keys: list[str]) -> list[Hit]:
        """Find the best `k` by cosine: exactly, or by the graph where there is one."""
        return self._query(Query.Nearest(vector.tolist(), using=DENSE), k, where, keys)

    def search_sparse(
        self, weights: dict[int, float], *, k: int, where: TermFilter, keys: list[str]
    ) -> list[Hit]:
        """Find the best `k` by their weights, the query's and the IDF; all of them share a term with it."""
        query = SparseVector(list(weights), list(weights.values()))
        return self._query(Query.Nearest(query, using=SPARSE), k, where, keys)

    def _query(self, query: Query, k: int, where: TermFilter, keys: list[str]) -> list[Hit]:
        request = QueryRequest(
            limit=k,
            query=query,
            filter=_make_filter(where) if where else None,
            with_payload=keys,
            params=self._params(k, filtered=bool(where)),
        )
        return [Hit(str(point.id), point.payload or {}, point.score) for point in self._shard.query(request)]

    def _params(self, k: int, *, filtered: bool) -> SearchParams:
        """Choose how to search: exactly where there is no graph.

        Without ACORN, a filter that keeps a fifth of the passages loses a third of the best ten.
        """
        if not self.graph:
            return SearchParams(exact=True)
        acorn = AcornSearchParams(enable=True) if filtered else None
        return SearchParams(hnsw_ef=max(EF, k), acorn=acorn)

    def copy_from(self, source: Shard, ids: Sequence[str]) -> None:
        """Make these points as they are in `source`, gone where they are gone there."""
        records = source._shard.retrieve(list(ids), with_payload=True, with_vector=True)
        points = [EdgePoint(record.id, record.vector or {}, record.payload) for record in records]
        if points:
            self._shard.update(UpdateOperation.upsert_points(points))
        if gone := set(ids) - {str(record.id) for record in records}:
            self.delete([*gone])

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Read vectors by point id, at length one; absent where there is no such point."""
        records = self._shard.retrieve(list(ids), with_payload=False, with_vector=[DENSE])
        return {
            str(record.id): np.asarray(record.vector[DENSE], np.float32)
            for record in records
            if isinstance(record.vector, dict)
        }

    def payloads(self, ids: Sequence[str], keys: list[str]) -> list[Payload]:
        """Read these keys of those points that exist, in no order."""
        records = self._shard.retrieve(list(ids), with_payload=keys, with_vector=False)
        return [record.payload or {} for record in records]

    def scroll(self, keys: list[str], where: Filter | None = None) -> Iterator[Stored]:
        """Read every point, or those that match, in small pages."""
        after: str | None = None
        while True:
            page, after = self.page(keys, after=after, limit=SCROLL_PAGE, where=where)
            yield from page
            if after is None:
                return

    def page(
        self, keys: list[str], *, after: str | None, limit: int, where: Filter | None = None
    ) -> tuple[list[Stored], str | None]:
        """Read the first `limit` points from `after` on, by id; and say where the next page begins."""
        request = ScrollRequest(offset=after, limit=limit, filter=where, with_payload=keys, with_vector=False)
        records, following = self._shard.scroll(request)
        page = [Stored(str(record.id), record.payload or {}) for record in records]
        return page, None if following is None else str(following)

    def size(self) -> int:
        """Say at once about how many points there are; `count` takes 8 ms for 50,000."""
        return int(self._shard.info().points_count)

    def count(self, where: Filter | None = None) -> int:
        """Count the points, or those that match."""
        return int(self._shard.count(CountRequest(filter=where)))

    def close(self) -> None:
        self._log.close()
        self._shard.close()


def _make_config(dim: int, graph_kb: int) -> EdgeConfig:
    return EdgeConfig(
        vectors={DENSE: EdgeVectorParams(size=dim, distance=Distance.Cosine)},
        sparse_vectors={SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf)},
        optimizers=EdgeOptimizersConfig(indexing_threshold=graph_kb),
    )


def _make_record(point: Point) -> EdgePoint:
    sparse = SparseVector(list(point.sparse), list(point.sparse.values()))
    return EdgePoint(point.id, {DENSE: point.vector, SPARSE: sparse}, point.payload)


def _make_filter(where: TermFilter) -> Filter:
    return Filter(
        must=[FieldCondition(TERMS, match=MatchAny(terms)) for terms in where.all_of],
        must_not=[FieldCondition(TERMS, match=MatchAny(where.none_of))] if where.none_of else [],
    )


def document_filter(document_id: str) -> Filter:
    """Match the passages of a document."""
    return Filter(must=[_equals(DOCUMENT_ID, document_id)])


def revision_filter(revision: RevisionKey) -> Filter:
    """Match the passages of a revision."""
    return Filter(must=[_equals(DOCUMENT_ID, revision[0]), _equals(REVISION, revision[1])])


def index_filter(revision: RevisionKey, first: int, last: int) -> Filter:
    """Match the passages of a revision from index `first` to index `last`."""
    position = FieldCondition(INDEX, range=RangeFloat(gte=first, lte=last))
    return Filter(must=[_equals(DOCUMENT_ID, revision[0]), _equals(REVISION, revision[1]), position])


def _equals(key: str, value: str) -> FieldCondition:
    return FieldCondition(key, match=MatchValue(value))
