"""`qdrant://host:6333`: a Qdrant server, by HTTP or (`?grpc_port=6334`) gRPC; `qdrants://` for TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from pydantic import Field, SecretStr
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from services.core.context import within_deadline
from services.core.errors import Conflict, InvalidRequest, NotFound
from services.core.settings import Settings as BaseSettings
from services.core.wire.base import Filter
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage
from services.retrieval.documents import MENTION_FIELDS, list_documents
from services.retrieval.filters import clauses, impossible
from services.retrieval.payload import (
    DENSE,
    DOCUMENT_ID,
    FIELDS,
    REVISION,
    SPARSE,
    TERMS,
    Payload,
    Point,
    from_payload,
    point_id,
    query_vector,
    to_points,
)
from services.retrieval.qdrant_errors import QDRANT_ERRORS, translate
from services.retrieval.schema import Schema, unknown
from services.retrieval.url import StoreUrl

TOKEN_VECTORS = "token_vectors"  # noqa: S105 - a payload key
MODEL = "ragline_embedding_model"
"""Key of the collection's own metadata, which a server keeps since Qdrant 1.16."""
BATCH = 64
SCROLL_PAGE = 1000


class Settings(BaseSettings):
    """The Qdrant server."""

    api_key: SecretStr = Field(
        SecretStr(""), validation_alias="QDRANT_API_KEY", description="API key of the Qdrant server"
    )


class QdrantStore:
    """`where` is how errors name the server."""

    def __init__(self, client: AsyncQdrantClient, where: str) -> None:
        self._client = client
        self._where = where
        self._schemas: dict[str, Schema] = {}

    async def search(
        self,
        collection: str,
        vector: Sequence[float],
        *,
        k: int,
        where: Filter | None = None,
        threshold: float | None = None,
    ) -> list[Passage]:
        schema = self._schemas.get(collection) or await self._describe(collection)
        if schema is None:
            raise unknown(collection)
        query = query_vector(vector, collection, schema.dim)
        wanted = clauses(where)
        if impossible(wanted):
            return []
        conditions = [q.FieldCondition(key=TERMS, match=q.MatchAny(any=clause)) for clause in wanted]
        async with self._call("search", collection):
            reply = await self._client.query_points(
                collection,
                query=query.tolist(),
                using=DENSE,
                limit=k,
                query_filter=q.Filter(must=[*conditions]) if conditions else None,
                search_params=q.SearchParams(acorn=q.AcornSearchParams(enable=bool(conditions))),
                score_threshold=threshold,
                with_payload=FIELDS,
            )
        return [from_payload(point.payload or {}, point.score) for point in reply.points]

    async def token_vectors(self, collection: str, ids: Sequence[str]) -> dict[str, TokenVectors]:
        if await self._describe(collection) is None:
            return {}
        async with self._call("fetch token vectors", collection):
            records = await self._client.retrieve(
                collection, [point_id(id_) for id_ in ids], with_payload=["id", TOKEN_VECTORS]
            )
        return {
            str(record.payload["id"]): TokenVectors.model_validate(record.payload[TOKEN_VECTORS])
            for record in records
            if record.payload and record.payload.get(TOKEN_VECTORS)
        }

    async def documents(self, collection: str) -> list[DocumentInfo]:
        if await self._describe(collection) is None:
            return []
        async with self._call("list documents", collection):
            return list_documents([payload async for payload in self._mentions(collection)])

    async def _mentions(self, collection: str) -> AsyncIterator[Payload]:
        offset = None
        while True:
            records, offset = await self._client.scroll(
                collection, limit=SCROLL_PAGE, offset=offset, with_payload=MENTION_FIELDS
            )
            for record in records:
                yield record.payload or {}
            if offset is None:
                return

    async def collections(self) -> list[CollectionInfo]:
        """Those that Ragline made; a server may hold others."""
        async with self._call("list collections"):
            listed = (await self._client.get_collections()).collections
        infos = []
        for name in sorted(found.name for found in listed):
            try:
                schema = await self._describe(name)
            except Conflict:
                continue
            if schema is not None:
                async with self._call("count passages", name):
                    count = (await self._client.count(name, exact=True)).count
                infos.append(CollectionInfo(name=name, model=schema.model, dim=schema.dim, passages=count))
        return infos

    async def upsert(self, collection: str, model: str, passages: Sequence[StoredPassage]) -> None:
        points = await asyncio.to_thread(to_points, passages)
        offered = Schema(model, len(points[0].vector))
        present = await self._describe(collection) or await self._create(collection, offered)
        present.require(collection, offered)
        for start in range(0, len(points), BATCH):
            async with self._call("store passages", collection):
                batch = [_record(point) for point in points[start : start + BATCH]]
                await self._client.upsert(collection, batch, wait=True)

    async def delete(self, collection: str, document_id: str, *, keep_revision: str | None = None) -> int:
        if await self._describe(collection) is None:
            return 0
        doomed = q.Filter(
            must=[_is(DOCUMENT_ID, document_id)],
            must_not=[] if keep_revision is None else [_is(REVISION, keep_revision)],
        )
        async with self._call("delete passages", collection):
            count = (await self._client.count(collection, count_filter=doomed, exact=True)).count
            await self._client.delete(collection, q.FilterSelector(filter=doomed), wait=True)
        return count

    async def drop(self, collection: str) -> None:
        if await self._describe(collection) is None:
            raise unknown(collection)
        async with self._call("delete the collection", collection):
            await self._client.delete_collection(collection)
        self._schemas.pop(collection, None)

    async def ready(self) -> None:
        async with self._call("answer"):
            await self._client.get_collections()

    async def close(self) -> None:
        await self._client.close()

    async def _describe(self, collection: str) -> Schema | None:
        """The collection as the server has it now; None where there is none."""
        async with self._call("describe the collection", collection):
            self._schemas.pop(collection, None)
            if not await self._client.collection_exists(collection):
                return None
            config = (await self._client.get_collection(collection)).config
        model, vectors = (config.metadata or {}).get(MODEL), config.params.vectors
        dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
        if model is None or dense is None:
            raise Conflict(
                f"collection {collection!r} on {self._where} has no record of its embedding model: it was "
                "not made by Ragline, or by a Qdrant older than 1.16; use another collection name"
            )
        schema = self._schemas[collection] = Schema(str(model), dense.size)
        return schema

    async def _create(self, collection: str, schema: Schema) -> Schema:
        """Make the collection, unless another process just did; the schema that it has."""
        with suppress(Conflict):
            async with self._call("create the collection", collection):
                await self._client.create_collection(
                    collection,
                    vectors_config={DENSE: q.VectorParams(size=schema.dim, distance=q.Distance.COSINE)},
                    sparse_vectors_config={SPARSE: q.SparseVectorParams(modifier=q.Modifier.IDF)},
                    metadata={MODEL: schema.model},
                )
        async with self._call("index the collection", collection):
            for key in (DOCUMENT_ID, TERMS):
                await self._client.create_payload_index(collection, key, q.PayloadSchemaType.KEYWORD)
        return await self._describe(collection) or schema

    @asynccontextmanager
    async def _call(self, what: str, collection: str = "") -> AsyncIterator[None]:
        """Calls of the server, within the request's deadline, their failures as our errors."""
        try:
            async with within_deadline(f"Qdrant's reply ({what})", service="retrieval"):
                yield
        except QDRANT_ERRORS as error:
            raised = translate(error, what=what, where=self._where, collection=collection)
            if isinstance(raised, NotFound):
                self._schemas.pop(collection, None)
            raise raised from error


def _is(key: str, value: str) -> q.FieldCondition:
    return q.FieldCondition(key=key, match=q.MatchValue(value=value))


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
    client = AsyncQdrantClient(
        host=url.host,
        port=port,
        grpc_port=int(grpc_port or 6334),
        prefer_grpc=bool(grpc_port),
        https=url.tls,
        api_key=Settings.load().api_key.get_secret_value() or None,
        prefix=url.path.strip("/") or None,
        timeout=60,
        check_compatibility=False,
    )
    return QdrantStore(client, f"{url.host}:{port}")
