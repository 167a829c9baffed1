"""The dataprep service: takes documents, parses, chunks, embeds and stores them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from services.core.addresses import StoreAddress
from services.core.app import create_app
from services.core.backends import load, names
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.context import within_deadline
from services.core.errors import DeadlineExceeded, ServiceUnavailable
from services.core.guards.guard import guard_checks, open_guard
from services.core.health import Check
from services.core.replies import EventStream, JsonReply, until_disconnected
from services.core.settings import HomeSettings
from services.core.sse import format_event
from services.core.wire.dataprep import IngestProgress, IngestReply, Job
from services.dataprep import documents
from services.dataprep.documents import Documents
from services.dataprep.jobs import routes as jobs
from services.dataprep.jobs.ingest import Batching, Ingestor
from services.dataprep.jobs.metrics import JobMetrics
from services.dataprep.jobs.store import JOBS_URL, PACKAGE, CreateJobStore, JobLimits, JobStore
from services.dataprep.jobs.synchronous import progress_events
from services.dataprep.jobs.worker import Runner, Workers
from services.dataprep.parsing.sandbox import Sandbox
from services.dataprep.settings import SERVICE, Settings
from services.dataprep.upload.links import Fetcher, LinkLimits
from services.dataprep.upload.multipart import INGEST_BODY

UPLOAD_PATHS = ("/v1/dataprep/ingest", "/v1/jobs")

routes = APIRouter(tags=["dataprep"])


@routes.post(
    "/v1/dataprep/ingest",
    response_model=IngestReply,
    openapi_extra=INGEST_BODY,
    summary="Parse, embed and store files; `?stream=true` reports progress as events",
)
async def ingest(request: Request, stream: bool = False) -> Response:
    """A job that is waited for, and that does not wait for a service that is down: that is an error at once.

    A caller that hangs up once all of the body is there ends the waiting, not the job.
    """
    job = await jobs.submit_form(request, patient=False)
    events = progress_events(jobs.store_of(request).changes(job.id))
    if stream:
        return await EventStream.open(request, _encode_events(events), service=SERVICE)
    return JsonReply((await until_disconnected(request, _reply(events, job))).model_dump())


async def _reply(events: AsyncGenerator[IngestProgress | IngestReply], job: Job) -> IngestReply:
    try:
        async with within_deadline("the ingestion", service=SERVICE), aclosing(events):
            async for event in events:
                if isinstance(event, IngestReply):
                    return event
    except DeadlineExceeded as error:
        raise DeadlineExceeded(f"{error.message}; it goes on as job {job.id}", service=SERVICE) from None
    raise RuntimeError("a job ended without a reply")


async def _encode_events(events: AsyncGenerator[IngestProgress | IngestReply]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        async for event in events:
            name = event.stage if isinstance(event, IngestProgress) else "done"
            yield format_event(orjson.dumps(event.model_dump()), name)


async def _job_store(settings: Settings) -> JobStore:
    url = StoreAddress.parse(JOBS_URL, settings.jobs_url)
    backend = url.backend(names(PACKAGE))
    limits = JobLimits(settings.queue, settings.jobs_kept, settings.jobs_kept_days * 86400)
    return await cast(CreateJobStore, load(PACKAGE, backend).create)(url, limits)  # type: ignore[attr-defined]


def _ocr_sandbox(settings: Settings, readable: Path) -> Sandbox | None:
    """Make the process that reads pictures of text; None where that is not wanted or not installed."""
    if not settings.ocr or find_spec("rapidocr") is None:
        return None
    return Sandbox(
        processes=1,
        seconds=settings.ocr_seconds,
        memory_bytes=settings.ocr_bytes,
        limits=replace(settings.limits, ocr=True),
        readable=readable,
    )


def _alive(worker: asyncio.Task[None]) -> Check:
    async def check() -> None:
        if worker.done():
            raise ServiceUnavailable("the worker has ended: see the log, and restart dataprep")

    return check


@asynccontextmanager
async def _working(runner: Runner) -> AsyncIterator[asyncio.Task[None]]:
    """The runner at work; what it has in hand at the end goes back to the job store."""
    worker = asyncio.ensure_future(runner.run())
    try:
        yield worker
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def create(settings: Settings) -> FastAPI:
    """The service's app; its job store, worker, clients and parser processes live as long as it."""

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        async with AsyncExitStack() as stack:
            embedding = EmbeddingClient(
                await stack.enter_async_context(
                    HttpClient("embedding", settings.embedding_url, headers=settings.peer_headers)
                )
            )
            retrieval = RetrievalClient(
                await stack.enter_async_context(
                    HttpClient("retrieval", settings.retrieval_url, headers=settings.peer_headers)
                )
            )
            app.state.fetcher = Fetcher(
                LinkLimits(settings.max_file_bytes, settings.fetch_seconds, settings.link_ports),
                proxy=settings.fetch_proxy or None,
            )
            app.state.least_free = HomeSettings.load().disk_free_bytes
            store = app.state.jobs = await _job_store(settings)
            stack.push_async_callback(store.close)
            sandbox = Sandbox(
                processes=settings.parsers,
                seconds=settings.parse_seconds,
                memory_bytes=settings.parse_bytes,
                limits=settings.limits,
                readable=store.files,
                ocr=_ocr_sandbox(settings, store.files),
            )
            stack.push_async_callback(sandbox.close)
            app.state.sandbox = sandbox
            app.state.notices = sandbox.notices
            app.state.documents = Documents(retrieval, store)
            batching = Batching(settings.batch, settings.token_vectors, settings.batches_ahead)
            guard = await stack.enter_async_context(open_guard(settings, app.state.metrics))
            ingestor = Ingestor(embedding, retrieval, sandbox, app.state.metrics, batching, guard=guard)
            workers = Workers(settings.workers, settings.retry_seconds)
            runner = Runner(store, ingestor, JobMetrics(app.state.metrics), workers)
            worker = await stack.enter_async_context(_working(runner))
            yield {
                "embedding": embedding.ready,
                "retrieval": retrieval.ready,
                "job store": store.ready,
                "worker": _alive(worker),
                **guard_checks(guard),
            }

    router = APIRouter()
    router.include_router(routes)
    router.include_router(documents.routes)
    router.include_router(jobs.routes)
    return create_app(
        service=SERVICE,
        settings=settings,
        router=router,
        resources=resources,
        upload_routes=dict.fromkeys(UPLOAD_PATHS, settings.max_upload_bytes),
    )
