"""`/v1/jobs`: submit, look, follow, cancel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from services.core.context import request_id, start_request
from services.core.replies import ClientGone, EventStream, JsonReply
from services.core.sse import KEEP_ALIVE, format_event
from services.core.tracing import current_traceparent
from services.core.wire.dataprep import FileChange, Job, JobFile, JobsReply, Status
from services.dataprep.jobs.store import JobStore, NamesFilter
from services.dataprep.settings import SERVICE, Settings
from services.dataprep.upload.batch import Batch
from services.dataprep.upload.multipart import INGEST_BODY, Form, UploadLimits, receive

WATCH_SECONDS = 24 * 3600.0
"""Longest that one connection follows a job."""

routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])


def store_of(request: Request) -> JobStore:
    store: JobStore = request.app.state.jobs
    return store


async def submit_form(request: Request, *, patient: bool) -> Job:
    """Read the request's form to its end, and return its job, which is durable."""
    settings: Settings = request.app.state.settings
    store = store_of(request)
    async with store.incoming() as folder:
        form = await _receive_form(request, folder, settings)
        batch = Batch.of(form, settings, patient=patient, trace=current_traceparent())
        files = await batch.receive(folder, request.app.state.sandbox, request.app.state.fetcher)
        return await store.submit(batch.order, files)


async def _receive_form(request: Request, folder: Path, settings: Settings) -> Form:
    limits = UploadLimits(
        settings.max_file_bytes, settings.max_files, settings.max_upload_bytes, request.app.state.least_free
    )
    try:
        return await receive(request.stream(), request.headers.get("content-type", ""), folder, limits)
    except ClientDisconnect:
        raise ClientGone from None


@routes.post(
    "",
    status_code=202,
    response_model=Job,
    openapi_extra=INGEST_BODY,
    summary="Accept files: once answered they will be ingested, whatever process dies meanwhile",
)
async def submit(request: Request) -> Response:
    job = await submit_form(request, patient=True)
    return JsonReply(job.model_dump(mode="json"), status_code=202, headers={"location": f"/v1/jobs/{job.id}"})


# the name is part of the operation ids, which generated clients call
@routes.get("", response_model=JobsReply, summary="The jobs, the newest first", name="listed")
async def list_jobs(
    request: Request,
    status: Annotated[Status | None, Query(description="only these")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    prefix: Annotated[str, Query(max_length=64, description="only of collections that begin so")] = "",
    without: Annotated[
        str, Query(max_length=64, description="only of collections that do not hold this")
    ] = "",
) -> Response:
    found = await store_of(request).jobs(status, limit, NamesFilter(prefix, without))
    return JsonReply(JobsReply(jobs=found).model_dump(mode="json"))


@routes.get("/{id}", response_model=Job, summary="A job: its status, and each file's")
async def get(request: Request, id: str) -> Response:  # noqa: A002 - the path's own name
    return JsonReply((await store_of(request).get(id)).model_dump(mode="json"))


@routes.delete("/{id}", response_model=Job, summary="Cancel what of a job has not finished")
async def cancel(request: Request, id: str) -> Response:  # noqa: A002
    return JsonReply((await store_of(request).cancel(id)).model_dump(mode="json"))


@routes.get("/{id}/events", summary="A job as it is, then its changes, as server-sent events")
async def events(request: Request, id: str) -> Response:  # noqa: A002
    """`job` with the whole of it, `file` for each change of a file, at the end `done` with the whole."""
    start_request(request_id.get(), WATCH_SECONDS)
    return await EventStream.open(request, _events(store_of(request).changes(id)), service=SERVICE)


async def _events(changes: AsyncIterator[Job]) -> AsyncGenerator[bytes]:
    before: list[JobFile] | None = None
    async for job in changes:
        if before is None:
            yield format_event(job.model_dump_json().encode(), "job")
        elif job.files == before:
            yield KEEP_ALIVE
        for index, (was, now) in enumerate(zip(before or job.files, job.files, strict=True)):
            if was != now:
                change = FileChange(index=index, file=now).model_dump(mode="json")
                yield format_event(orjson.dumps(change), "file")
        before = job.files
        if job.finished:
            yield format_event(job.model_dump_json().encode(), "done")
