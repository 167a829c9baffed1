"""`memory://`: everything in this process, nothing on disk. For tests and for trying things out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from services.core.addresses import StoreAddress
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Candidates, Page, Query, Vector
from services.retrieval.collections import Names, Schema, unknown_collection
from services.retrieval.filters import TermFilter, parse_filter
from services.retrieval.points import (
    INDEX,
    TERMS,
    Payload,
    Point,
    check_query_vector,
    list_documents,
    make_points,
    point_id,
    read_passage,
    to_unit_length,
)
from services.retrieval.revisions import (
    HiddenRevisions,
    RevisionKey,
    require_own_ids,
    require_passages,
    revision_key,
    select_revisions,
)
from services.retrieval.sparse import weigh_query


@dataclass(frozen=True)
class _Row:
    """A stored passage."""

    payload: Payload
    terms: frozenset[str]
    unit: Vector
    sparse: dict[int, float]
    token_vectors: TokenVectors | None

    @classmethod
    def of(cls, point: Point) -> _Row:
        terms = frozenset(str(term) for term in cast(list[object], point.payload[TERMS]))
        return cls(point.payload, terms, to_unit_length(point.vector), point.sparse, point.token_vectors)

    @property
    def id(self) -> str:
        """The passage's own id."""
        return str(self.payload["id"])

    @property
    def revision(self) -> RevisionKey:
        return revision_key(self.payload)

    def matches(self, where: TermFilter) -> bool:
        return self.terms.isdisjoint(where.none_of) and all(
            not self.terms.isdisjoint(terms) for terms in where.all_of
        )


@dataclass
class _Collection:
    """The rows of a collection, by point id, and which revisions of them are hidden.

    No method of the store awaits anything between reading and writing: every change is one step.
    """

    schema: Schema
    rows: dict[str, _Row] = field(default_factory=dict)
    hidden: HiddenRevisions = field(default_factory=HiddenRevisions)

    def visible(self) -> dict[str, _Row]:
        if not self.hidden:
            return self.rows
        return {id_: row for id_, row in self.rows.items() if row.revision not in self.hidden}

    def revisions_of(self, document_id: str) -> list[RevisionKey]:
        """List the revision of each passage of a document."""
        return [row.revision for row in self.rows.values() if row.revision[0] == document_id]

    def remove(self, revisions: set[RevisionKey]) -> int:
        doomed = [id_ for id_, row in self.rows.items() if row.revision in revisions]
        for id_ in doomed:
            del self.rows[id_]
        self.hidden = self.hidden.forget(revisions)
        return len(doomed)


def _best_positions(scores: Sequence[float], k: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda at: -scores[at])[:k]


def _score_terms(text: str, rows: Sequence[_Row], collection: _Collection) -> list[float]:
    """Score by the rows' weights and Qdrant's IDF over all rows of the collection."""
    total = len(collection.rows)
    idf = {}
    for term, times in weigh_query(text).items():
        having = sum(term in row.sparse for row in collection.rows.values())
        idf[term] = times * math.log((total - having + 0.5) / (having + 0.5) + 1)
    return [sum(row.sparse.get(term, 0.0) * weight for term, weight in idf.items()) for row in rows]


class MemoryStore:
    """Keeps everything in dictionaries, and compares a query with every passage."""

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}
        self._aliases: dict[str, str] = {}
        self._names = Names(self._collections, self._aliases)

    async def search(self, collection: str, query: Query) -> Candidates:
        stored = self._require(collection)
        where = parse_filter(query.where)
        rows = [row for row in stored.visible().values() if row.matches(where)]
        cosines: list[float | None] = [None] * len(rows)
        dense: list[Passage] = []
        if query.vector is not None:
            unit = to_unit_length(check_query_vector(query.vector, collection, stored.schema.dim))
            cosines = [float(row.unit @ unit) for row in rows]
            if query.dense:
                best = _best_positions([cosine or 0.0 for cosine in cosines], query.k)
                dense = [read_passage(rows[at].payload, cosines[at]) for at in best]
        scores = _score_terms(query.text, rows, stored)
        best = [at for at in _best_positions(scores, query.k) if scores[at] > 0]
        sparse = [read_passage(rows[at].payload, cosines[at], sparse_score=scores[at]) for at in best]
        ids = {passage.id for passage in (*dense, *sparse)} if query.with_vectors else set()
        return Candidates(dense, sparse, {row.id: row.unit for row in rows if row.id in ids})

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        stored = self._find(collection)
        rows = stored.visible() if stored else {}
        found = {}
        for id_ in ids:
            if row := rows.get(point_id(id_)):
                at = cast(int, row.payload[INDEX])
                beside = (other for other in rows.values() if other.revision == row.revision)
                passages = sorted((read_passage(other.payload) for other in beside), key=lambda p: p.index)
                found[id_] = [passage for passage in passages if at - before <= passage.index <= at + after]
        return found

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        rows = sorted(self._require(collection).visible().items())
        page = [(id_, row) for id_, row in rows if after is None or id_ > after][: limit + 1]
        passages = [read_passage(row.payload) for _, row in page[:limit]]
        return Page(passages, page[limit - 1][0] if len(page) > limit else None)

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        stored = self._find(collection)
        rows = stored.rows if stored else {}
        found = {id_: rows[point_id(id_)].token_vectors for id_ in ids if point_id(id_) in rows}
        return {id_: vectors for id_, vectors in found.items() if vectors is not None}

    async def documents(self, collection: str) -> list[DocumentInfo]:
        stored = self._find(collection)
        rows = stored.visible().values() if stored else ()
        return list_documents(row.payload for row in rows)

    async def collections(self) -> list[CollectionInfo]:
        return [
            CollectionInfo(
                name=name,
                model=collection.schema.model,
                dim=collection.schema.dim,
                passages=len(collection.visible()),
                aliases=self._names.aliases_of(name),
            )
            for name, collection in sorted(self._collections.items())
        ]

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        points = make_points(passages)
        schema = Schema(model, len(points[0].vector))
        rows = {point.id: _Row.of(point) for point in points}
        stored = self._collections.setdefault(self._names.resolve(collection), _Collection(schema))
        stored.schema.require(collection, schema)
        if staged:
            present = (stored.rows[id_].payload for id_ in rows if id_ in stored.rows)
            require_own_ids(present, {row.id: row.revision for row in rows.values()})
            visible = {row.revision for row in stored.visible().values()}
            stored.hidden = stored.hidden.stage({row.revision for row in rows.values()} - visible)
        stored.rows.update(rows)

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        stored = self._require(collection)
        key = (document_id, revision)
        revisions = stored.revisions_of(document_id)
        require_passages(key, revisions.count(key), passages)
        others = set(revisions) - {key} - stored.hidden.staged
        stored.hidden = stored.hidden.publish(key, ())
        return stored.remove(others)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        stored = self._find(collection)
        if stored is None:
            return 0
        revisions = stored.revisions_of(document_id)
        return stored.remove(select_revisions(revisions, keep=keep_revision, only=revision))

    async def drop(self, collection: str) -> None:
        self._names.check_drop(collection)
        del self._collections[collection]

    async def aliases(self) -> dict[str, str]:
        return dict(self._aliases)

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        name = self._names.check_alias(alias, collection, replace=replace_collection)
        self._collections.pop(alias, None)
        self._aliases[alias] = name

    async def delete_alias(self, alias: str) -> None:
        self._names.check_alias_known(alias)
        del self._aliases[alias]

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        self._collections.clear()

    def _find(self, collection: str) -> _Collection | None:
        return self._collections.get(self._names.resolve(collection))

    def _require(self, collection: str) -> _Collection:
        stored = self._find(collection)
        if stored is None:
            raise unknown_collection(collection)
        return stored


async def create(url: StoreAddress) -> MemoryStore:
    """Open an empty store; `url` says nothing more."""
    return MemoryStore()
