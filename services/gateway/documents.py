"""`/v1/documents`: upload, list, delete; passed on to dataprep as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.core.client import HttpClient
from services.core.context import request_id, start_request
from services.core.errors import UnsupportedMedia
from services.core.replies import EventStream, until_disconnected
from services.core.sse import format_event
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.gateway.settings import Settings

router = APIRouter(prefix="/v1/documents", tags=["documents"])

Collection = Annotated[CollectionName, Query(description="the collection")]


def _dataprep(request: Request) -> HttpClient:
    client: HttpClient = request.app.state.dataprep
    return client


def upload_headers(request: Request) -> dict[str, str]:
    """What dataprep must know of an upload that is passed on, which may take longer than an answer.

    Raises `UnsupportedMedia` where it is not one.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        raise UnsupportedMedia("upload files as multipart/form-data, in fields named `files`")
    settings: Settings = request.app.state.settings
    start_request(request_id.get(), settings.upload_seconds)
    headers = {"content-type": content_type}
    if length := request.headers.get("content-length"):
        headers["content-length"] = length
    return headers


@router.post("", summary="Upload files (multipart field `files`); they are parsed, embedded and stored")
async def upload(request: Request, stream: bool = False) -> Response:
    """`collection`, `chunk_size` and `chunk_overlap` may be form fields; `?stream=true` reports progress."""
    headers = upload_headers(request)
    if not stream:
        reply = await _dataprep(request).post("/v1/dataprep/ingest", request.stream(), headers=headers)
        return Response(reply, media_type="application/json")
    events = _progress(_dataprep(request), request.stream(), headers)
    first = await anext(events, b"")
    return EventStream(events, service="gateway", first=first)


async def _progress(
    dataprep: HttpClient, body: AsyncGenerator[bytes], headers: dict[str, str]
) -> AsyncGenerator[bytes]:
    """The first event comes after the whole body has gone, so that only then a hang-up is looked for."""
    async for event in dataprep.stream("/v1/dataprep/ingest?stream=true", body, headers=headers):
        yield format_event(event.data, None if event.event == "message" else event.event)


@router.get("", summary="The documents of a collection")
async def documents(request: Request, collection: Collection = DEFAULT_COLLECTION) -> Response:
    body = await _dataprep(request).get(f"/v1/documents?collection={quote(collection)}")
    return Response(body, media_type="application/json")


@router.delete("/{document_id}", summary="Delete a document and its passages")
async def delete(request: Request, document_id: str, collection: Collection = DEFAULT_COLLECTION) -> Response:
    path = f"/v1/documents/{quote(document_id, safe='')}?collection={quote(collection)}"
    body = await until_disconnected(request, _dataprep(request).delete(path))
    return Response(body, media_type="application/json")
