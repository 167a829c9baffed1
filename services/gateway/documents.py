"""`/v1/documents`, OPEA's `/v1/dataprep/*` and `/v1/jobs`: the gateway passes them on to dataprep."""

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
from services.core.wire.dataprep import (
    DeleteFileReply,
    DeleteFileRequest,
    IngestReply,
    Job,
    JobsReply,
    ListedFile,
    ListRequest,
    Status,
)
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.gateway.settings import Settings

UPLOAD_PATHS = ("/v1/documents", "/v1/jobs", "/v1/dataprep/ingest")
"""The routes that pass a form with files on, which dataprep bounds."""

WATCH_SECONDS = 24 * 3600.0
"""Longest that one connection follows a job."""

router = APIRouter(prefix="/v1/documents", tags=["documents"])
opea_router = APIRouter(prefix="/v1/dataprep", tags=["opea"])
jobs_router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Collection = Annotated[CollectionName, Query(description="the collection")]


def _dataprep(request: Request) -> HttpClient:
    client: HttpClient = request.app.state.dataprep
    return client


def _uploads(request: Request) -> HttpClient:
    client: HttpClient = request.app.state.uploads
    return client


def upload_headers(request: Request, *, links_alone: bool = False) -> dict[str, str]:
    """Make the headers that dataprep needs for an upload, and let it take longer than an answer may.

    Args:
        request: The upload.
        links_alone: Whether it may be an urlencoded form, which has links and no files.

    Returns:
        The headers of the request to dataprep.

    Raises:
        UnsupportedMedia: The body is no form with files.
    """
    content_type = request.headers.get("content-type", "")
    is_form = links_alone and content_type.startswith("application/x-www-form-urlencoded")
    if not (is_form or content_type.startswith("multipart/form-data")):
        raise UnsupportedMedia("upload files as multipart/form-data, in fields named `files`")
    settings: Settings = request.app.state.settings
    start_request(request_id.get(), settings.upload_seconds)
    headers = {"content-type": content_type}
    if length := request.headers.get("content-length"):
        headers["content-length"] = length
    return headers


@router.post("", summary="Upload files (multipart field `files`); they are parsed, embedded and stored")
async def upload(request: Request, stream: bool = False) -> Response:
    """`collection`, `chunk_size`, `chunk_overlap`, `encoding` and `strict` may be form fields; `?stream=true`
    reports progress."""
    headers = upload_headers(request)
    if not stream:
        reply = await _uploads(request).post("/v1/dataprep/ingest", request.stream(), headers=headers)
        return Response(reply, media_type="application/json")
    events = _follow_upload(_uploads(request), request.stream(), headers)
    first = await anext(events, b"")
    return EventStream(events, service="gateway", first=first)


async def _follow_upload(
    dataprep: HttpClient, body: AsyncGenerator[bytes], headers: dict[str, str]
) -> AsyncGenerator[bytes]:
    """Stream the progress. The first event comes after the whole body: only then can a hang-up be seen."""
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


@opea_router.post("/ingest", response_model=IngestReply, summary="OPEA: as POST /v1/documents")
async def ingest(request: Request) -> Response:
    """OPEA's fields are read: `link_list`, `index_name`, `process_table`, `table_strategy` and the rest."""
    headers = upload_headers(request, links_alone=True)
    reply = await _uploads(request).post("/v1/dataprep/ingest", request.stream(), headers=headers)
    return Response(reply, media_type="application/json")


@opea_router.post("/get", response_model=list[ListedFile], summary="OPEA: the documents")
async def list_files(request: Request, wanted: ListRequest | None = None) -> Response:
    body = (wanted or ListRequest()).model_dump_json(exclude_unset=True).encode()
    reply = await _dataprep(request).post("/v1/dataprep/get", body, idempotent=True)
    return Response(reply, media_type="application/json")


@opea_router.post(
    "/delete",
    response_model=DeleteFileReply,
    summary="OPEA: delete a document by id or name, a folder, or all",
)
async def delete_file(request: Request, doomed: DeleteFileRequest) -> Response:
    body = doomed.model_dump_json(exclude_unset=True).encode()
    reply = await until_disconnected(request, _dataprep(request).post("/v1/dataprep/delete", body))
    return Response(reply, media_type="application/json")


@opea_router.post("/indices", response_model=list[str], summary="OPEA: the names of the collections")
async def list_indices(request: Request) -> Response:
    reply = await _dataprep(request).post("/v1/dataprep/indices", b"", idempotent=True)
    return Response(reply, media_type="application/json")


def _job_path(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"


@jobs_router.post(
    "",
    status_code=202,
    response_model=Job,
    summary="Accept files (multipart field `files`): once answered they will be ingested",
)
async def submit(request: Request) -> Response:
    """The fields are those of `POST /v1/documents`. `Location` is where the job is."""
    reply = await _uploads(request).post("/v1/jobs", request.stream(), headers=upload_headers(request))
    location = _job_path(Job.model_validate_json(reply).id)
    return Response(reply, status_code=202, media_type="application/json", headers={"location": location})


@jobs_router.get("", response_model=JobsReply, summary="The jobs, the newest first")
async def jobs(
    request: Request,
    status: Annotated[Status | None, Query(description="only these")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    query = f"limit={limit}" + (f"&status={status}" if status else "")
    return Response(await _dataprep(request).get(f"/v1/jobs?{query}"), media_type="application/json")


@jobs_router.get("/{job}", response_model=Job, summary="A job: its status, and each file's")
async def get(request: Request, job: str) -> Response:
    return Response(await _dataprep(request).get(_job_path(job)), media_type="application/json")


@jobs_router.delete("/{job}", response_model=Job, summary="Cancel what of a job has not finished")
async def cancel(request: Request, job: str) -> Response:
    return Response(await _dataprep(request).delete(_job_path(job)), media_type="application/json")


@jobs_router.get("/{job}/events", summary="A job as it is, then its changes, as server-sent events")
async def events(request: Request, job: str) -> Response:
    """`job` with the whole of it, `file` for each change of a file, at the end `done` with the whole."""
    start_request(request_id.get(), WATCH_SECONDS)
    return await EventStream.open(request, _follow_job(_dataprep(request), job), service="gateway")


async def _follow_job(dataprep: HttpClient, job: str) -> AsyncGenerator[bytes]:
    async for event in dataprep.stream(f"{_job_path(job)}/events", None):
        yield format_event(event.data, event.event)
