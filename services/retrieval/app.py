"""The retrieval service: the sole owner of the vector store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Protocol, cast

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.responses import Response

from services.core.addresses import StoreAddress
from services.core.app import create_app
from services.core.backends import load, names
from services.core.health import Check
from services.core.metrics import Metrics
from services.core.replies import (
    JsonReply,
    PackedReply,
    accepts_packed,
    describe_packed_body,
    require_json_or_packed,
)
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.core.wire.retrieval import (
    AliasesReply,
    AliasRequest,
    CollectionsReply,
    CountReply,
    DeleteRequest,
    DocumentsReply,
    NeighboursReply,
    NeighboursRequest,
    PassagesReply,
    PublishRequest,
    RetrievalReply,
    RetrievalRequest,
    TokenVectorsReply,
    TokenVectorsRequest,
    UpsertRequest,
)
from services.retrieval import language
from services.retrieval.backend import PACKAGE, CreateStore, VectorStore
from services.retrieval.ranking import plan_search, rank
from services.retrieval.settings import VECTOR_URL, Settings

SERVICE = "retrieval"
QUESTION_CHARACTERS = 20_000
"""Characters of a question that are searched for, as `initial_query` says; its vector has no more of it."""

routes = APIRouter(tags=["retrieval"])


# async: a plain function would be sent to a thread, for each of them at each request
async def _get_store(request: Request) -> VectorStore:
    return cast(VectorStore, request.app.state.store)


async def _get_metrics(request: Request) -> Metrics:
    return cast(Metrics, request.app.state.metrics)


async def _get_settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


class _BackendModule(Protocol):
    @property
    def create(self) -> CreateStore: ...


Store = Annotated[VectorStore, Depends(_get_store)]
ServiceMetrics = Annotated[Metrics, Depends(_get_metrics)]
ServiceSettings = Annotated[Settings, Depends(_get_settings)]


@routes.post("/v1/retrieval", response_model=RetrievalReply, summary="The passages that a question finds")
async def retrieval(
    body: RetrievalRequest, store: Store, settings: ServiceSettings, metrics: ServiceMetrics
) -> Response:
    if len(body.text) > QUESTION_CHARACTERS:
        body = body.model_copy(update={"text": body.text[:QUESTION_CHARACTERS]})
    if language.must_load(body.text, body.threshold_languages or ()):
        await asyncio.to_thread(language.load)
    plan = plan_search(body, settings)
    with metrics.stage("search"):
        found = await store.search(body.collection, plan.query)
        if plan.traits is None or language.is_loaded():
            ranked, relevance = rank(found, plan)
        else:
            ranked, relevance = await asyncio.to_thread(rank, found, plan)
    docs = [passage.model_dump() for passage in ranked]
    decided = relevance.model_dump() if relevance else None
    return JsonReply({"retrieved_docs": docs, "initial_query": body.text, "relevance": decided})


@routes.post(
    "/v1/passages",
    response_model=CountReply,
    summary="Store passages, durable when answered",
    dependencies=[Depends(require_json_or_packed)],
    openapi_extra=describe_packed_body("UpsertRequest"),
)
async def upsert(body: UpsertRequest, store: Store, metrics: ServiceMetrics) -> Response:
    with metrics.stage("upsert", body.model):
        await store.upsert(body.collection, body.model, body.passages, staged=body.staged)
    return JsonReply({"count": len(body.passages)})


@routes.post("/v1/passages/delete", response_model=CountReply, summary="Delete a document's passages")
async def delete(body: DeleteRequest, store: Store, metrics: ServiceMetrics) -> Response:
    with metrics.stage("delete"):
        count = await store.delete(
            body.collection, body.document_id, keep_revision=body.keep_revision, revision=body.revision
        )
    return JsonReply({"count": count})


@routes.post(
    "/v1/documents/publish", response_model=CountReply, summary="Show a staged revision in place of others"
)
async def publish(body: PublishRequest, store: Store, metrics: ServiceMetrics) -> Response:
    with metrics.stage("publish"):
        count = await store.publish(body.collection, body.document_id, body.revision, passages=body.passages)
    return JsonReply({"count": count})


@routes.post("/v1/passages/neighbours", response_model=NeighboursReply, summary="What stands around passages")
async def neighbours(body: NeighboursRequest, store: Store) -> Response:
    found = await store.neighbours(body.collection, body.ids, before=body.before, after=body.after)
    around = {id_: [passage.model_dump() for passage in passages] for id_, passages in found.items()}
    return JsonReply({"neighbours": around})


@routes.get("/v1/passages", response_model=PassagesReply, summary="All passages, page by page")
async def passages(
    store: Store,
    collection: Annotated[CollectionName, Query()] = DEFAULT_COLLECTION,
    after: Annotated[uuid.UUID | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 256,
) -> Response:
    page = await store.scroll(collection, after=str(after) if after else None, limit=limit)
    return JsonReply({"passages": [passage.model_dump() for passage in page.passages], "next": page.next})


@routes.post(
    "/v1/passages/token_vectors", response_model=TokenVectorsReply, summary="Token vectors of passages"
)
async def token_vectors(
    request: Request, body: TokenVectorsRequest, store: Store, metrics: ServiceMetrics
) -> Response:
    with metrics.stage("token_vectors"):
        vectors = await store.token_vectors(body.collection, body.ids)
    reply = TokenVectorsReply(token_vectors=vectors)
    if accepts_packed(request):
        return PackedReply(reply.model_dump())
    return Response(reply.model_dump_json(), media_type="application/json")


@routes.get("/v1/documents", response_model=DocumentsReply, summary="The documents of a collection")
async def documents(
    store: Store, collection: Annotated[CollectionName, Query()] = DEFAULT_COLLECTION
) -> Response:
    listed = await store.documents(collection)
    return JsonReply({"documents": [document.model_dump() for document in listed]})


@routes.get("/v1/collections", response_model=CollectionsReply, summary="The collections")
async def collections(store: Store) -> Response:
    listed = await store.collections()
    return JsonReply({"collections": [collection.model_dump() for collection in listed]})


@routes.delete("/v1/collections/{name}", status_code=204, summary="Delete a collection with all it holds")
async def drop(name: Annotated[CollectionName, Path()], store: Store) -> None:
    await store.drop(name)


@routes.get("/v1/aliases", response_model=AliasesReply, summary="The aliases of collections")
async def aliases(store: Store) -> Response:
    return JsonReply({"aliases": await store.aliases()})


@routes.put("/v1/aliases/{alias}", status_code=204, summary="Let an alias mean a collection from now on")
async def set_alias(alias: Annotated[CollectionName, Path()], body: AliasRequest, store: Store) -> None:
    await store.set_alias(alias, body.collection, replace_collection=body.replace_collection)


@routes.delete("/v1/aliases/{alias}", status_code=204, summary="Delete an alias, not its collection")
async def delete_alias(alias: Annotated[CollectionName, Path()], store: Store) -> None:
    await store.delete_alias(alias)


def create(settings: Settings) -> FastAPI:
    """Make the service's app; its store opens and closes with it, at `app.state.store`."""
    url = StoreAddress.parse(VECTOR_URL, settings.vector_url)
    backend = cast(_BackendModule, load(PACKAGE, url.backend(names(PACKAGE))))

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        store = await backend.create(url)
        app.state.store = store
        try:
            yield {"vector_store": store.ready}
        finally:
            await store.close()

    return create_app(service=SERVICE, settings=settings, router=routes, resources=resources)
