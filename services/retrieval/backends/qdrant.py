"""`qdrant://host:6333`: a Qdrant server, by HTTP or (`?grpc_port=6334`) gRPC; `qdrants://` for TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from pydantic import Field, SecretStr
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from services.core.errors import Conflict, InvalidRequest, NotFound
from services.core.settings import Settings as BaseSettings
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.backend import Page
from services.retrieval.candidates import Candidates, Query
from services.retrieval.documents import MENTION_FIELDS, list_documents
from services.retrieval.filters import clauses, impossible
from services.retrieval.locks import DocumentLocks
from services.retrieval.payload import (
    DENSE,
    DOCUMENT_ID,
    FIELDS,
    INDEX,
    REVISION,
    TERMS,
    Payload,
    Point,
    from_payload,
    point_id,
    query_vector,
    to_points,
)
from services.retrieval.qdrant.collections import Collections
from services.retrieval.qdrant.connection import Connection
from services.retrieval.qdrant.retirement import Retirement
from services.retrieval.qdrant.revisions import IS_RECORD, Records, equals, hiding, of_revisions
from services.retrieval.revisions import Pair, pair_of, require_own_ids, require_passages, selected
from services.retrieval.schema import Schema
from services.retrieval.url import StoreUrl

TOKEN_VECTORS = "token_vectors"  # noqa: S105 - a payload key
BATCH = 64
SCROLL_PAGE = 1000


class Settings(BaseSettings):
    """The Qdrant server."""

    api_key: SecretStr = Field(
        SecretStr(""), validation_alias="QDRANT_API_KEY", description="API key of the Qdrant server"
    )
    grace_seconds: float = Field(
        30,
        ge=0,
        validation_alias="QDRANT_GRACE_SECONDS",
        description="how long after a document's replacement or deletion its hidden passages stay on the "
        "Qdrant server, for searches that other replicas began before",
    )


class QdrantStore:
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
        wanted = clauses(query.where)
        if impossible(wanted) or vector is None:
            return Candidates()
        conditions = [q.FieldCondition(key=TERMS, match=q.MatchAny(any=clause)) for clause in wanted]
        try:
            hidden = await self._hidden(collection)
            async with self._connection.call("search", collection):
                reply = await self._client.query_points(
                    collection,
                    query=vector.tolist(),
                    using=DENSE,
                    limit=query.k,
                    query_filter=q.Filter(must=[*conditions], must_not=hidden),
                    search_params=q.SearchParams(acorn=q.AcornSearchParams(enable=bool(conditions))),
                    with_payload=FIELDS,
                )
        except NotFound as error:
            raise self._collections.vanished(collection, error) from error
        return Candidates([from_payload(point.payload or {}, point.score) for point in reply.points])

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

    async def collections(self) -> list[CollectionInfo]:
        """Those that Ragline made; a server may hold others."""
        aliases = await self._collections.aliases()
        infos = []
        for name in await self._collections.names():
            try:
                schema = await self._collections.describe(name)
            except Conflict:
                continue
            if schema is not None:
                where = q.Filter(must_not=[IS_RECORD, *await self._hidden(name)])
                named = sorted(alias for alias, meant in aliases.items() if meant == name)
                infos.append(
                    CollectionInfo(
                        name=name,
                        model=schema.model,
                        dim=schema.dim,
                        passages=await self._count(name, where),
                        aliases=named,
                    )
                )
        return infos

    async def _count(self, collection: str, where: q.Filter) -> int:
        async with self._connection.call("count passages", collection):
            return (await self._client.count(collection, count_filter=where, exact=True)).count

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        points = await asyncio.to_thread(to_points, passages)
        offered = Schema(model, len(points[0].vector))
        present = await self._collections.describe(collection)
        if present is None:
            present = await self._collections.create(collection, offered)
        present.require(collection, offered)
        await self._collections.index(collection)
        documents = {stored.passage.document_id for stored in passages}
        async with self._locks.hold(documents):
            for start in range(0, len(points), BATCH):
                batch = points[start : start + BATCH]
                await self._prepare(collection, batch, staged)
                async with self._connection.call("store passages", collection):
                    await self._client.upsert(collection, [_record(point) for point in batch], wait=True)

    async def _prepare(self, collection: str, batch: Sequence[Point], staged: bool) -> None:
        """Finish deleting what is stored again, and hide what is staged before it has points.

        Revisions that readers see already stay so.
        """
        offered = {str(point.payload["id"]): pair_of(point.payload) for point in batch}
        if staged:
            stored = await self._payloads(collection, [*offered], ["id", DOCUMENT_ID, REVISION])
            require_own_ids(stored, offered)
        hidden = await self._records.read(collection)
        for pair in sorted(set(offered.values())):
            if pair in hidden.doomed:
                await self._retirement.purge(collection, pair)
            elif not staged or pair in hidden or await self._stores(collection, pair):
                continue
            if staged:
                of_document = await self._records.read(collection, pair[0])
                await self._records.write(collection, pair[0], of_document.stage([pair]))

    async def _stores(self, collection: str, pair: Pair) -> bool:
        return await self._count(collection, of_revisions(pair[0], [pair[1]])) > 0

    async def publish(
        self, collection: str, document_id: str, revision: str, *, passages: int | None = None
    ) -> int:
        await self._collections.require(collection)
        pair = (document_id, revision)
        async with self._locks.hold([document_id]):
            hidden = await self._records.read(collection, document_id)
            pairs = await self._stored_pairs(collection, document_id)
            stored = 0 if pair in hidden.doomed else pairs.count(pair)
            require_passages(pair, stored, passages)
            others = set(pairs) - {pair} - hidden.staged - hidden.doomed
            if others or pair in hidden:
                await self._records.write(collection, document_id, hidden.publish(pair, others))
        self._retirement.begin(collection, others)
        return sum(pairs.count(each) for each in others)

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        if await self._collections.describe(collection) is None:
            return 0
        async with self._locks.hold([document_id]):
            hidden = await self._records.read(collection, document_id)
            stored = await self._stored_pairs(collection, document_id)
            pairs = selected({*stored, *hidden.staged, *hidden.doomed}, keep=keep_revision, only=revision)
            if pairs:
                await self._records.write(collection, document_id, hidden.doom(pairs))
        self._retirement.begin(collection, pairs)
        return sum(stored.count(each) for each in pairs - hidden.doomed)

    async def _stored_pairs(self, collection: str, document_id: str) -> list[Pair]:
        """One of each passage of the document."""
        where = q.Filter(must=[equals(DOCUMENT_ID, document_id)])
        keys = [DOCUMENT_ID, REVISION]
        return [pair_of(payload) async for payload in self._scroll(collection, keys, where)]

    async def drop(self, collection: str) -> None:
        await self._collections.drop(collection)

    async def aliases(self) -> dict[str, str]:
        return await self._collections.aliases()

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool = False) -> None:
        await self._collections.set_alias(alias, collection, replace_collection=replace_collection)

    async def delete_alias(self, alias: str) -> None:
        await self._collections.delete_alias(alias)

    async def ready(self) -> None:
        await self._collections.names()

    async def close(self) -> None:
        await self._retirement.close()
        await self._client.close()


def _record(point: Point) -> q.PointStruct:
    payload = point.payload
    if point.token_vectors is not None:
        payload = {**payload, TOKEN_VECTORS: point.token_vectors.model_dump()}
    return q.PointStruct(id=point.id, vector={DENSE: point.vector}, payload=payload)


async def create(url: StoreUrl) -> QdrantStore:
    """A client of the server that `url` names; it is first called at first use."""
    if not url.host:
        raise InvalidRequest("VECTOR_URL names no Qdrant server: write qdrant://host:6333")
    grpc_port = url.options.get("grpc_port", "")
    if grpc_port and not grpc_port.isdecimal():
        raise InvalidRequest(f"VECTOR_URL: grpc_port={grpc_port!r} is not a port number")
    port = url.port or 6333
    settings = Settings.load()
    client = AsyncQdrantClient(
        host=url.host,
        port=port,
        grpc_port=int(grpc_port or 6334),
        prefer_grpc=bool(grpc_port),
        https=url.tls,
        api_key=settings.api_key.get_secret_value() or None,
        prefix=url.path.strip("/") or None,
        timeout=60,
        check_compatibility=False,
    )
    return QdrantStore(client, f"{url.host}:{port}", settings.grace_seconds)
