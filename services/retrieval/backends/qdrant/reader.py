"""Reading from a Qdrant server: searches, listings, what stands around a passage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from services.core.errors import NotFound
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.retrieval.backend import Page
from services.retrieval.backends.qdrant.collections import Collections
from services.retrieval.backends.qdrant.connection import Connection
from services.retrieval.backends.qdrant.requests import Requests
from services.retrieval.backends.qdrant.retirement import Retirement
from services.retrieval.backends.qdrant.revisions import IS_RECORD, Records, equals, hiding, of_revisions
from services.retrieval.candidates import Candidates, Query
from services.retrieval.documents import MENTION_FIELDS, list_documents
from services.retrieval.filters import wanted
from services.retrieval.locks import DocumentLocks
from services.retrieval.payload import (
    DOCUMENT_ID,
    FIELDS,
    INDEX,
    REVISION,
    Payload,
    from_payload,
    point_id,
    query_vector,
)
from services.retrieval.revisions import Pair, pair_of

TOKEN_VECTORS = "token_vectors"  # noqa: S105 - a payload key
SCROLL_PAGE = 1000


class QdrantReader:
    """The half of the store that reads."""

    def __init__(self, client: AsyncQdrantClient, where: str, grace_seconds: float = 0) -> None:
        self._connection = Connection(client, where)
        self._client = client
        self._collections = Collections(self._connection)
        self._records = Records(self._connection)
        self._locks = DocumentLocks()
        self._retirement = Retirement(self._connection, self._records, self._locks, grace_seconds)

    async def search(self, collection: str, query: Query) -> Candidates:
        """The hidden revisions are read first: what is published after that was not deleted before."""
        schema = await self._collections.require(collection)
        vector = None if query.vector is None else query_vector(query.vector, collection, schema.dim)
        where = wanted(query.where)
        if where.impossible:
            return Candidates()
        try:
            requests = Requests(query, vector, where, await self._hidden(collection))
            async with self._connection.call("search", collection):
                replies = await self._client.query_batch_points(collection, requests.all())
        except NotFound as error:
            raise self._collections.vanished(collection, error) from error
        return requests.candidates([reply.points for reply in replies])

    async def _hidden(self, collection: str) -> list[q.Condition]:
        """What every read must not match. Doomed revisions that nobody purges are purged from here."""
        hidden = await self._records.read(collection)
        self._retirement.begin(collection, hidden.doomed)
        return hiding(hidden)

    async def neighbours(
        self, collection: str, ids: Sequence[str], *, before: int, after: int
    ) -> dict[str, list[Passage]]:
        if await self._collections.describe(collection) is None:
            return {}
        hidden = await self._records.read(collection)
        found: dict[str, list[Passage]] = {}
        for payload in await self._payloads(collection, ids, ["id", DOCUMENT_ID, REVISION, INDEX]):
            pair, index = pair_of(payload), payload[INDEX]
            if pair not in hidden and isinstance(index, int):
                around = q.Range(gte=index - before, lte=index + after)
                where = of_revisions(pair[0], [pair[1]])
                where = q.Filter(must=[where, q.FieldCondition(key=INDEX, range=around)])
                passages = [from_payload(each) async for each in self._scroll(collection, FIELDS, where)]
                found[str(payload["id"])] = sorted(passages, key=lambda passage: passage.index)
        return found

    async def scroll(self, collection: str, *, after: str | None, limit: int) -> Page:
        await self._collections.require(collection)
        where = q.Filter(must_not=[IS_RECORD, *await self._hidden(collection)])
        async with self._connection.call("list passages", collection):
            records, offset = await self._client.scroll(
                collection, where, limit=limit, offset=after, with_payload=FIELDS
            )
        passages = [from_payload(record.payload or {}) for record in records]
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
        return list_documents([payload async for payload in self._scroll(collection, MENTION_FIELDS, where)])

    async def _count(self, collection: str, where: q.Filter) -> int:
        async with self._connection.call("count passages", collection):
            return (await self._client.count(collection, count_filter=where, exact=True)).count

    async def _stored_pairs(self, collection: str, document_id: str) -> list[Pair]:
        """One of each passage of the document."""
        where = q.Filter(must=[equals(DOCUMENT_ID, document_id)])
        keys = [DOCUMENT_ID, REVISION]
        return [pair_of(payload) async for payload in self._scroll(collection, keys, where)]
