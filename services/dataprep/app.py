"""The dataprep service: parses, chunks, embeds and stores documents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from services.core.app import create_app
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.context import within_deadline
from services.core.errors import NotFound
from services.core.health import Check
from services.core.replies import JsonReply
from services.core.sse import format_event
from services.core.streaming import ClientGone, EventStream, until_disconnected
from services.core.wire.dataprep import (
    DeletedDocument,
    DeleteFileReply,
    DeleteFileRequest,
    IngestProgress,
    IngestReply,
    ListedFile,
    ListRequest,
)
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.core.wire.retrieval import DocumentsReply
from services.dataprep.batch import Batch, run
from services.dataprep.identity import clean_name, document_id
from services.dataprep.ingest import Batching, Ingestor
from services.dataprep.openapi import INGEST_BODY
from services.dataprep.sandbox import Sandbox
from services.dataprep.settings import SERVICE, Settings
from services.dataprep.uploads import Form, UploadLimits, receive

ALL = "all"

routes = APIRouter(tags=["dataprep"])


def _ingestor(request: Request) -> Ingestor:
    ingestor: Ingestor = request.app.state.ingestor
    return ingestor


Ingestion = Annotated[Ingestor, Depends(_ingestor)]


@routes.post(
    "/v1/dataprep/ingest",
    response_model=IngestReply,
    openapi_extra=INGEST_BODY,
    summary="Parse, embed and store files; `?stream=true` reports progress as events",
)
async def ingest(request: Request, ingestor: Ingestion, stream: bool = False) -> Response:
    settings: Settings = request.app.state.settings
    folder = TemporaryDirectory(prefix="ragline-upload-")
    try:  # the whole body first: only behind it a hang-up can be told
        batch = Batch.of(await _received(request, Path(folder.name), settings), settings)
    except BaseException:
        folder.cleanup()
        raise
    events = _ingested(folder, batch, ingestor)
    if stream:
        return await EventStream.open(request, _encoded(events), service=SERVICE)
    return JsonReply((await until_disconnected(request, _reply(events))).model_dump())


async def _ingested(
    folder: TemporaryDirectory[str], batch: Batch, ingestor: Ingestor
) -> AsyncGenerator[IngestProgress | IngestReply]:
    """The batch's events; the folder with its files lasts as long as they do."""
    with folder:
        async with aclosing(run(batch, ingestor)) as events:
            async for event in events:
                yield event


async def _received(request: Request, folder: Path, settings: Settings) -> Form:
    limits = UploadLimits(settings.max_file_bytes, settings.max_files, settings.max_upload_bytes)
    try:
        return await receive(request.stream(), request.headers.get("content-type", ""), folder, limits)
    except ClientDisconnect:
        raise ClientGone from None


async def _reply(events: AsyncGenerator[IngestProgress | IngestReply]) -> IngestReply:
    async with within_deadline("the ingestion", service=SERVICE), aclosing(events):
        async for event in events:
            if isinstance(event, IngestReply):
                return event
    raise RuntimeError("an ingestion ended without a reply")


async def _encoded(events: AsyncGenerator[IngestProgress | IngestReply]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        async for event in events:
            name = event.stage if isinstance(event, IngestProgress) else "done"
            yield format_event(orjson.dumps(event.model_dump()), name)


@routes.post("/v1/dataprep/get", response_model=list[ListedFile], summary="OPEA: the documents")
async def listed(ingestor: Ingestion, wanted: ListRequest | None = None) -> Response:
    documents = await ingestor.documents((wanted or ListRequest()).collection)
    return JsonReply([ListedFile(name=each.name, id=each.id).model_dump() for each in documents])


@routes.post(
    "/v1/dataprep/delete", response_model=DeleteFileReply, summary="OPEA: delete a document by name, or all"
)
async def delete_file(doomed: DeleteFileRequest, ingestor: Ingestion) -> Response:
    if doomed.file_path == ALL:
        ids = [document.id for document in await ingestor.documents(doomed.collection)]
    else:
        ids = [document_id(clean_name(doomed.file_path))]
    counts = [await ingestor.delete(doomed.collection, id_) for id_ in ids]
    if doomed.file_path != ALL and not any(counts):
        raise NotFound(f"no document {doomed.file_path!r} in collection {doomed.collection!r}")
    return JsonReply(DeleteFileReply(documents=len(ids), passages=sum(counts)).model_dump())


@routes.get("/v1/documents", response_model=DocumentsReply, summary="The documents of a collection")
async def documents(ingestor: Ingestion, collection: CollectionName = DEFAULT_COLLECTION) -> Response:
    found = await ingestor.documents(collection)
    return JsonReply({"documents": [document.model_dump() for document in found]})


@routes.delete("/v1/documents/{id}", response_model=DeletedDocument, summary="Delete a document")
async def delete_document(
    id_: Annotated[str, PathParameter(alias="id")],
    ingestor: Ingestion,
    collection: CollectionName = DEFAULT_COLLECTION,
) -> Response:
    count = await ingestor.delete(collection, id_)
    if not count:
        raise NotFound(f"no document {id_!r} in collection {collection!r}")
    return JsonReply(DeletedDocument(id=id_, passages=count).model_dump())


def create(settings: Settings) -> FastAPI:
    """The service's app; its clients and parser processes live as long as it, at `app.state.ingestor`."""

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        async with AsyncExitStack() as stack:
            embedding = EmbeddingClient(
                await stack.enter_async_context(HttpClient("embedding", settings.embedding_url))
            )
            retrieval = RetrievalClient(
                await stack.enter_async_context(HttpClient("retrieval", settings.retrieval_url))
            )
            sandbox = Sandbox(
                processes=settings.parsers,
                seconds=settings.parse_seconds,
                memory_bytes=settings.parse_bytes,
                limits=settings.limits,
            )
            stack.push_async_callback(sandbox.close)
            batching = Batching(settings.batch, settings.token_vectors)
            app.state.ingestor = Ingestor(embedding, retrieval, sandbox, app.state.metrics, batching)
            yield {"embedding": embedding.ready, "retrieval": retrieval.ready}

    return create_app(service=SERVICE, settings=settings, router=routes, resources=resources)
