"""`/v1/documents`, OPEA's `/v1/dataprep/*` and `/v1/jobs`: the gateway passes them on as the caller's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from services.core.client import HttpClient
from services.core.context import request_id, start_request
from services.core.errors import RaglineError, UnsupportedMedia
from services.core.replies import EventStream, JsonReply, until_disconnected
from services.core.sse import format_event
from services.core.wire.dataprep import (
    ALL,
    DeleteFileReply,
    DeleteFileRequest,
    IngestReply,
    Job,
    JobsReply,
    ListedFile,
    ListRequest,
    Status,
)
from services.core.wire.encoding import decode
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.gateway.access.caller import current_caller
from services.gateway.access.forms import URLENCODED, TenantFields, TenantForm
from services.gateway.access.ledger import note_bytes
from services.gateway.access.tenants import jobs_query, own_job, own_name, own_names, stored_name
from services.gateway.settings import Settings

UPLOAD_PATHS = ("/v1/documents", "/v1/jobs", "/v1/dataprep/ingest")
"""The routes that pass a form with files on, which dataprep bounds."""

WATCH_SECONDS = 24 * 3600.0
"""Longest that one connection follows a job."""

_FILES = TypeAdapter(list[ListedFile])
_JOB = TypeAdapter(Job)
_JOBS = TypeAdapter(JobsReply)
_NAMES = TypeAdapter(list[str])

router = APIRouter(prefix="/v1/documents", tags=["documents"])
opea_router = APIRouter(prefix="/v1/dataprep", tags=["opea"])
jobs_router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Collection = Annotated[CollectionName, Query(description="the collection")]


def _dataprep(request: Request) -> HttpClient:
    client: HttpClient = request.app.state.dataprep
    return client


class Upload:
    """A form with files on its way to dataprep; it may take longer than an answer may.

    Where there are keys, its collection becomes the caller's own on the way.
    """

    def __init__(self, request: Request, *, links_alone: bool = False) -> None:
        """Begin an upload.

        Args:
            request: The upload.
            links_alone: Whether it may be an urlencoded form, which has links and no files.

        Raises:
            UnsupportedMedia: The body is no form with files.
        """
        content_type = request.headers.get("content-type", "")
        is_urlencoded = content_type.startswith(URLENCODED)
        if not ((links_alone and is_urlencoded) or content_type.startswith("multipart/form-data")):
            raise UnsupportedMedia("upload files as multipart/form-data, in fields named `files`")
        settings: Settings = request.app.state.settings
        start_request(request_id.get(), settings.upload_seconds)
        self._dataprep: HttpClient = request.app.state.uploads
        self._body = request.stream()
        self._form: TenantForm | TenantFields | None = None
        if not current_caller().is_anyone:
            self._form = TenantFields(self._body) if is_urlencoded else TenantForm(self._body, content_type)
        self._headers = {"content-type": self._form.content_type if self._form else content_type}
        if not self._form and (length := request.headers.get("content-length")):
            self._headers["content-length"] = length

    async def send(self, path: str) -> bytes:
        """Send it to a route of dataprep, and return the reply."""
        with self._own_error():
            return await self._dataprep.post(path, self._outgoing(), headers=self._headers)

    async def follow(self, path: str) -> AsyncGenerator[bytes]:
        """Send it, and stream the progress; the first event comes after the whole body: only then can a
        hang-up be seen."""
        with self._own_error():
            async for event in self._dataprep.stream(path, self._outgoing(), headers=self._headers):
                yield format_event(event.data, None if event.event == "message" else event.event)

    def _outgoing(self) -> AsyncGenerator[bytes]:
        return self._form.write() if self._form else self._body

    @contextmanager
    def _own_error(self) -> Iterator[None]:
        """Raise what was wrong with the form itself, in place of what came of it at dataprep."""
        try:
            yield
        except RaglineError:
            if self._form and self._form.error:
                raise self._form.error from None
            raise
        finally:
            if self._form:
                note_bytes(self._form.received)


@router.post("", summary="Upload files (multipart field `files`); they are parsed, embedded and stored")
async def upload(request: Request, stream: bool = False) -> Response:
    """`collection`, `chunk_size`, `chunk_overlap`, `encoding` and `strict` may be form fields; `?stream=true`
    reports progress."""
    form = Upload(request)
    if not stream:
        return Response(await form.send("/v1/dataprep/ingest"), media_type="application/json")
    events = form.follow("/v1/dataprep/ingest?stream=true")
    first = await anext(events, b"")
    return EventStream(events, service="gateway", first=first)


@router.get("", summary="The documents of a collection")
async def documents(request: Request, collection: Collection = DEFAULT_COLLECTION) -> Response:
    body = await _dataprep(request).get(f"/v1/documents?collection={quote(stored_name(collection))}")
    return Response(body, media_type="application/json")


@router.delete("/{document_id}", summary="Delete a document and its passages")
async def delete(request: Request, document_id: str, collection: Collection = DEFAULT_COLLECTION) -> Response:
    path = f"/v1/documents/{quote(document_id, safe='')}?collection={quote(stored_name(collection))}"
    body = await until_disconnected(request, _dataprep(request).delete(path))
    return Response(body, media_type="application/json")


@opea_router.post("/ingest", response_model=IngestReply, summary="OPEA: as POST /v1/documents")
async def ingest(request: Request) -> Response:
    """OPEA's fields are read: `link_list`, `index_name`, `process_table`, `table_strategy` and the rest."""
    reply = await Upload(request, links_alone=True).send("/v1/dataprep/ingest")
    return Response(reply, media_type="application/json")


@opea_router.post("/get", response_model=list[ListedFile], summary="OPEA: the documents")
async def list_files(request: Request, wanted: ListRequest | None = None) -> Response:
    asked = wanted or ListRequest()
    names = await _list_own(request) if asked.index_name == ALL else [asked.wanted]
    files = [file for name in names for file in await _list_files(request, name)]
    if asked.index_name is None:
        files = [file.model_copy(update={"index_name": None}) for file in files]
    return JsonReply([file.model_dump(exclude_none=True) for file in files])


async def _list_files(request: Request, name: str) -> list[ListedFile]:
    body = orjson.dumps({"index_name": stored_name(name)})
    reply = await _dataprep(request).post("/v1/dataprep/get", body, idempotent=True)
    return [file.model_copy(update={"index_name": name}) for file in decode(_FILES, reply, "dataprep")]


async def _list_own(request: Request) -> list[str]:
    reply = await _dataprep(request).post("/v1/dataprep/indices", b"", idempotent=True)
    names = decode(_NAMES, reply, "dataprep")
    return own_names(names)


@opea_router.post(
    "/delete",
    response_model=DeleteFileReply,
    summary="OPEA: delete a document by id or name, a folder, or all",
)
async def delete_file(request: Request, doomed: DeleteFileRequest) -> Response:
    body = orjson.dumps({"file_path": doomed.file_path, "collection": stored_name(doomed.wanted)})
    reply = await until_disconnected(request, _dataprep(request).post("/v1/dataprep/delete", body))
    return Response(reply, media_type="application/json")


@opea_router.post("/indices", response_model=list[str], summary="OPEA: the names of the collections")
async def list_indices(request: Request) -> Response:
    return JsonReply(await _list_own(request))


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
    job = _read_job(await Upload(request).send("/v1/jobs"))
    return _write_job(job, status=202, headers={"location": _job_path(job.id)})


def _write_job(job: Job, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(job.model_dump_json(), status, headers, media_type="application/json")


@jobs_router.get("", response_model=JobsReply, summary="The jobs, the newest first")
async def jobs(
    request: Request,
    status: Annotated[Status | None, Query(description="only these")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    query = f"limit={limit}{jobs_query()}" + (f"&status={status}" if status else "")
    found = decode(_JOBS, await _dataprep(request).get(f"/v1/jobs?{query}"), "dataprep")
    own = [own_job(job) for job in found.jobs if own_name(job.collection) is not None]
    return Response(JobsReply(jobs=own).model_dump_json(), media_type="application/json")


async def _get_job(request: Request, job: str) -> Job:
    """Ask for a job of the caller's. Raises `NotFound` for one that is not."""
    return _read_job(await _dataprep(request).get(_job_path(job)))


def _read_job(body: bytes) -> Job:
    return own_job(decode(_JOB, body, "dataprep"))


@jobs_router.get("/{job}", response_model=Job, summary="A job: its status, and each file's")
async def get(request: Request, job: str) -> Response:
    return _write_job(await _get_job(request, job))


@jobs_router.delete("/{job}", response_model=Job, summary="Cancel what of a job has not finished")
async def cancel(request: Request, job: str) -> Response:
    await _get_job(request, job)
    return _write_job(_read_job(await _dataprep(request).delete(_job_path(job))))


@jobs_router.get("/{job}/events", summary="A job as it is, then its changes, as server-sent events")
async def events(request: Request, job: str) -> Response:
    """`job` with the whole of it, `file` for each change of a file, at the end `done` with the whole."""
    start_request(request_id.get(), WATCH_SECONDS)
    return await EventStream.open(request, _follow_job(_dataprep(request), job), service="gateway")


async def _follow_job(dataprep: HttpClient, job: str) -> AsyncGenerator[bytes]:
    async for event in dataprep.stream(f"{_job_path(job)}/events", None):
        data = event.data
        if event.event in {"job", "done"}:
            data = _read_job(data).model_dump_json().encode()
        yield format_event(data, event.event)
