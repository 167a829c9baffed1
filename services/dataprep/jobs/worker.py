"""The worker: takes files from the job store and ingests them, several at a time, each failing for itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.core.context import request_id
from services.core.errors import RaglineError
from services.core.retry import ToldWaiting
from services.core.tracing import join_trace
from services.dataprep.jobs.ingest import Ingestor
from services.dataprep.jobs.metrics import JobMetrics
from services.dataprep.jobs.progress import Progress
from services.dataprep.jobs.reasons import cancellation
from services.dataprep.jobs.retry import ServiceRetries, call_store
from services.dataprep.jobs.store import JobStore, StoreUnavailable, Ticket

DISCARD_SECONDS = 10.0
GAUGE_SECONDS = 2.0
FAILURE_SECONDS = 10.0
"""After a mistake of ours a worker pauses for so long: it would make the same one again."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Workers:
    """Files at a time, and how long a file waits for a service that cannot answer."""

    count: int
    retry_seconds: float


class Runner:
    """`run` works until it is cancelled; what it has in hand then goes back to the store."""

    def __init__(self, store: JobStore, ingestor: Ingestor, metrics: JobMetrics, workers: Workers) -> None:
        self._store = store
        self._ingestor = ingestor
        self._metrics = metrics
        self._workers = workers

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gauge())
            for _ in range(self._workers.count):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            ticket = await call_store(self._store.take)
            request_id.set(ticket.job)
            try:
                with self._counted(), join_trace(self._metrics.tracer, "ingest", ticket.order.trace):
                    await self._process(ticket)
            except asyncio.CancelledError:
                with suppress(RaglineError):  # else it is found by the lease that is not renewed
                    await self._store.release(ticket)
                raise
            except Exception as error:
                log.error("a file goes back to the queue", index=ticket.index, exc_info=error)
                await asyncio.sleep(FAILURE_SECONDS)
                await call_store(lambda: self._store.release(ticket))  # noqa: B023 - awaited here

    async def _process(self, ticket: Ticket) -> None:
        begun = time.perf_counter()
        progress = Progress(self._store, ticket)
        end = await self._until_lost(ticket, progress)
        if end is None:
            log.warning("another worker has taken the file", index=ticket.index)
            return
        file = progress.file.model_copy(update={**end, "reason": "", "finished_at": datetime.now(UTC)})
        job = await call_store(lambda: self._store.finish(ticket, file))
        if job is not None:
            self._metrics.finished(file, job, time.perf_counter() - begun)
            code = file.error.code if file.error else ""
            log.info("file finished", index=ticket.index, status=file.status, code=code)

    async def _until_lost(self, ticket: Ticket, progress: Progress) -> dict[str, object] | None:
        """How the file ended, as fields of `JobFile`; None where another worker has it."""
        work = asyncio.ensure_future(self._ended(ticket, progress))
        hold = asyncio.ensure_future(self._store.hold(ticket))
        try:
            await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if hold.result() == "cancelled" and progress.publishing:
                return await work
            work.cancel()
            await asyncio.wait({work})
            return await self._cleared(ticket, progress) if hold.result() == "cancelled" else None
        finally:
            for task in (work, hold):
                task.cancel()
            await asyncio.gather(work, hold, return_exceptions=True)

    async def _ended(self, ticket: Ticket, progress: Progress) -> dict[str, object]:
        if ticket.cancelled:
            return await self._cleared(ticket, progress)
        retries = ServiceRetries(
            self._workers.retry_seconds if ticket.order.patient else 0, self._tell_waiting(progress)
        )
        try:
            async with self._store.bytes_of(ticket) as path:
                outcome = await self._ingestor.ingest(ticket, path, progress, retries)
            return {"status": "done", "outcome": outcome}
        except StoreUnavailable:
            raise
        except RaglineError as error:
            failure = error
        except Exception as error:
            log.error("ingestion failed", index=ticket.index, exc_info=error)
            failure = RaglineError("dataprep failed: see its log for this job's id")
        if not progress.publishing and await self._discarded(ticket, progress):
            return {"status": "done", "outcome": "ingested"}
        detail = failure.body(service="dataprep", request_id=ticket.job).error
        return {"status": "failed", "error": detail}

    async def _cleared(self, ticket: Ticket, progress: Progress) -> dict[str, object]:
        """The end of a cancelled file, unless it was too late for that."""
        if await self._discarded(ticket, progress):
            return {"status": "done", "outcome": "ingested"}
        error = progress.file.error or cancellation("the job was cancelled, or the document deleted")
        return {"status": "cancelled", "error": error}

    async def _discarded(self, ticket: Ticket, progress: Progress) -> bool:
        """Delete what is stored and not visible; whether it is visible."""
        if not progress.wrote:
            return False
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                return await self._ingestor.discard(ticket)
        except (RaglineError, TimeoutError) as error:
            log.warning("hidden passages remain", index=ticket.index, reason=str(error))
            return False

    def _tell_waiting(self, progress: Progress) -> ToldWaiting:
        async def tell(error: Exception | None) -> None:
            if isinstance(error, RaglineError):
                self._metrics.retry(error.service)
            await progress.waits(error)

        return tell

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._metrics.running(1)
        try:
            yield
        finally:
            self._metrics.running(-1)

    async def _gauge(self) -> None:
        while True:
            self._metrics.waiting(await call_store(self._store.waiting))
            await asyncio.sleep(GAUGE_SECONDS)
