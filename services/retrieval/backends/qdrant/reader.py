"""Reading from a Qdrant server: searches, listings, what stands around a passage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import numpy as np
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from services.core.errors import NotFound
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.retrieval.backend import Candidates, Page, Query, Vector
from services.retrieval.backends.qdrant.collections import Collections
from services.retrieval.backends.qdrant.connection import Connection
from services.retrieval.backends.qdrant.revisions import (
    IS_RECORD,
    Purger,
    RevisionRecords,
    equals,
    hidden_conditions,
    revisions_filter,
)
from services.retrieval.filters import TermFilter, parse_filter
from services.retrieval.points import (
    DENSE,
    DOCUMENT_FIELDS,
    DOCUMENT_ID,
    INDEX,
    PASSAGE_FIELDS,
    REVISION,
    SPARSE,
    TERMS,
    Payload,
    check_query_vector,
    list_documents,
    point_id,
    read_passage,
)
from services.retrieval.revisions import DocumentLocks, RevisionKey, revision_key
from services.retrieval.sparse import weigh_query

TOKEN_VECTORS = "token_vectors"  # noqa: S105 - a payload key
SCROLL_PAGE = 1000

ScoredPoints = Sequence[q.ScoredPoint]


class QdrantReader:
    """The half of the store that reads."""

    def __init__(self, client: AsyncQdrantClient, where: str, grace_seconds: float = 0) -> None:
        self._connection = Connection(client, where)
        self._client = client
        self._collections = Collections(self._connection)
        self._records = RevisionRecords(self._connection)
        self._locks = DocumentLocks()
        self._purger = Purger(self._connection, self._records, self._locks, grace_seconds)

    async def search(self, collection: str, query: Query) -> Candidates:
        """Read the hidden revisions first: what is published after that was not deleted before."""
        schema = await self._collections.require(collection)
        vector = None if query.vector is None else check_query_vector(query.vector, collection, schema.dim)
        where = parse_filter(query.where)
        if where.impossible:
            return Candidates()
        try:
            batch = SearchBatch(query, vector, where, await self._hidden(collection))
            async with self._connection.call("search", collection):
                replies = await self._client.query_batch_points(collection, batch.requests())
        except NotFound:
            self._collections.forget(collection)
            raise
        return batch.read([reply.points for reply in replies])

    async def _hidden(self, collection: str) -> list[q.Condition]:
        """List what every read must not match. Doomed revisions that nobody purges are purged from here."""
        hidden = await self._records.read(collection)
        self._purger.begin(collection, hidden.doomed)
        return hidden_conditions(hidden)

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        if await self._collections.describe(collection) is None:
            return {}
        hidden = await self._records.read(collection)
        found: dict[str, list[Passage]] = {}
        for payload in await self._payloads(collection, ids, ["id", DOCUMENT_ID, REVISION, INDEX]):
            key, index = revision_key(payload), payload[INDEX]
            if key not in hidden and isinstance(index, int):
                around = q.Range(gte=index - before, lte=index + after)
                where = revisions_filter(key[0], [key[1]])
                where = q.Filter(must=[where, q.FieldCondition(key=INDEX, range=around)])
                payloads = self._scroll(collection, PASSAGE_FIELDS, where)
                passages = [read_passage(neighbour) async for neighbour in payloads]
                found[str(payload["id"])] = sorted(passages, key=lambda passage: passage.index)
        return found

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        await self._collections.require(collection)
        where = q.Filter(must_not=[IS_RECORD, *await self._hidden(collection)])
        async with self._connection.call("list passages", collection):
            records, offset = await self._client.scroll(
                collection, where, limit=limit, offset=after, with_payload=PASSAGE_FIELDS
            )
        passages = [read_passage(record.payload or {}) for record in records]
        return Page(passages, None if offset is None else str(offset))

    async def _scroll(self, collection: str, keys: list[str], where: q.Filter) -> AsyncIterator[Payload]:
        offset = None
        while True:
            async with self._connection.call("list passages", collection):
                records, offset = await self._client.scroll(
                    collection, where, limit=SCROLL_PAGE, offset=offset, with_payload=keys
                )
            for record in records:
                yield record.payload or {}
            if offset is None:
                return

    async def _payloads(self, collection: str, ids: Sequence[str], keys: list[str]) -> list[Payload]:
        async with self._connection.call("fetch passages", collection):
            points = [point_id(id_) for id_ in ids]
            records = await self._client.retrieve(collection, points, with_payload=keys)
        return [record.payload or {} for record in records]

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        if await self._collections.describe(collection) is None:
            return {}
        payloads = await self._payloads(collection, ids, ["id", TOKEN_VECTORS])
        return {
            str(payload["id"]): TokenVectors.model_validate(payload[TOKEN_VECTORS])
            for payload in payloads
            if payload.get(TOKEN_VECTORS)
        }

    async def documents(self, collection: str) -> list[DocumentInfo]:
        if await self._collections.describe(collection) is None:
            return []
        where = q.Filter(must_not=[IS_RECORD, *await self._hidden(collection)])
        return list_documents([payload async for payload in self._scroll(collection, DOCUMENT_FIELDS, where)])

    async def _count(self, collection: str, where: q.Filter) -> int:
        async with self._connection.call("count passages", collection):
            return (await self._client.count(collection, count_filter=where, exact=True)).count

    async def _stored_revisions(self, collection: str, document_id: str) -> list[RevisionKey]:
        """List the revision of each passage of the document."""
        where = q.Filter(must=[equals(DOCUMENT_ID, document_id)])
        payloads = self._scroll(collection, [DOCUMENT_ID, REVISION], where)
        return [revision_key(payload) async for payload in payloads]


class SearchBatch:
    """One search as the requests of one batch, and its candidates out of the replies.

    There are up to three requests: the dense side, the sparse side, and the sparse side's best once more by
    their cosine.
    """

    def __init__(
        self, query: Query, vector: Vector | None, where: TermFilter, hidden: list[q.Condition]
    ) -> None:
        self._query = query
        self._vector = None if vector is None else vector.tolist()
        weights = weigh_query(query.text)
        self._sparse = q.SparseVector(indices=[*weights], values=[*weights.values()]) if weights else None
        has = [_has_any(terms) for terms in where.all_of]
        has_not = [_has_any(where.none_of)] if where.none_of else []
        self._filter = q.Filter(must=[*has], must_not=[*has_not, *hidden])
        self._params = q.SearchParams(acorn=q.AcornSearchParams(enable=bool(where)))

    @property
    def _dense_side(self) -> bool:
        return self._vector is not None and self._query.dense

    def requests(self) -> list[q.QueryRequest]:
        """Build the requests."""
        requests = []
        if self._dense_side:
            requests.append(self._request(DENSE, query=self._vector, params=self._params))
        if self._sparse is not None:
            requests.append(self._request(SPARSE, query=self._sparse))
            if self._vector is not None:
                side = q.Prefetch(query=self._sparse, using=SPARSE, limit=self._query.k, filter=self._filter)
                requests.append(
                    q.QueryRequest(
                        prefetch=[side],
                        query=self._vector,
                        using=DENSE,
                        limit=self._query.k,
                        with_payload=False,
                    )
                )
        return requests

    def _request(
        self, using: str, *, query: q.SparseVector | list[float] | None, params: q.SearchParams | None = None
    ) -> q.QueryRequest:
        return q.QueryRequest(
            query=query,
            using=using,
            limit=self._query.k,
            filter=self._filter,
            params=params,
            with_payload=PASSAGE_FIELDS,
            with_vector=[DENSE] if self._query.with_vectors else False,
        )

    def read(self, replies: Sequence[ScoredPoints]) -> Candidates:
        """Read the replies to `requests`, in their order."""
        sides = list(replies)
        dense = sides.pop(0) if self._dense_side else []
        sparse = sides.pop(0) if self._sparse is not None else []
        cosines = {point.id: point.score for side in sides for point in side}
        return Candidates(
            [read_passage(point.payload or {}, point.score) for point in dense],
            [
                read_passage(point.payload or {}, cosines.get(point.id), sparse_score=point.score)
                for point in sparse
            ],
            _read_vectors([*dense, *sparse]),
        )


def _has_any(terms: list[str]) -> q.FieldCondition:
    return q.FieldCondition(key=TERMS, match=q.MatchAny(any=terms))


def _read_vectors(points: ScoredPoints) -> dict[str, Vector]:
    """Read, by passage id, the vectors of points that came with one; the server keeps them at length one."""
    return {
        str(point.payload["id"]): np.asarray(point.vector[DENSE], np.float32)
        for point in points
        if point.payload and isinstance(point.vector, dict)
    }
