"""`/v1/jobs`: ingestion jobs, passed on to dataprep as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.core.client import HttpClient
from services.core.context import request_id, start_request
from services.core.replies import EventStream
from services.core.sse import format_event
from services.core.wire.dataprep import Job, JobsReply, Status
from services.gateway.documents import upload_headers

WATCH_SECONDS = 24 * 3600.0
"""Longest that one connection follows a job."""

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


def _dataprep(request: Request) -> HttpClient:
    client: HttpClient = request.app.state.dataprep
    return client


def _path(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"


@router.post(
    "",
    status_code=202,
    response_model=Job,
    summary="Accept files (multipart field `files`): once answered they will be ingested",
)
async def submit(request: Request) -> Response:
    """The fields are those of `POST /v1/documents`. `Location` is where the job is."""
    reply = await _dataprep(request).post("/v1/jobs", request.stream(), headers=upload_headers(request))
    location = _path(Job.model_validate_json(reply).id)
    return Response(reply, status_code=202, media_type="application/json", headers={"location": location})


@router.get("", response_model=JobsReply, summary="The jobs, the newest first")
async def jobs(
    request: Request,
    status: Annotated[Status | None, Query(description="only these")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    query = f"limit={limit}" + (f"&status={status}" if status else "")
    return Response(await _dataprep(request).get(f"/v1/jobs?{query}"), media_type="application/json")


@router.get("/{job}", response_model=Job, summary="A job: its status, and each file's")
async def get(request: Request, job: str) -> Response:
    return Response(await _dataprep(request).get(_path(job)), media_type="application/json")


@router.delete("/{job}", response_model=Job, summary="Cancel what of a job has not finished")
async def cancel(request: Request, job: str) -> Response:
    return Response(await _dataprep(request).delete(_path(job)), media_type="application/json")


@router.get("/{job}/events", summary="A job as it is, then its changes, as server-sent events")
async def events(request: Request, job: str) -> Response:
    """`job` with the whole of it, `file` for each change of a file, at the end `done` with the whole."""
    start_request(request_id.get(), WATCH_SECONDS)
    return await EventStream.open(request, _events(_dataprep(request), job), service="gateway")


async def _events(dataprep: HttpClient, job: str) -> AsyncGenerator[bytes]:
    async for event in dataprep.stream(f"{_path(job)}/events", None):
        yield format_event(event.data, event.event)
