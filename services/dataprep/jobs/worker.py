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
from services.dataprep.jobs.retry import ServiceRetries, call_store
from services.dataprep.jobs.store import ClaimedFile, JobStore, Progress, StoreUnavailable, cancellation_error

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
            claimed = await call_store(self._store.take)
            request_id.set(claimed.job)
            try:
                with self._count_running(), join_trace(self._metrics.tracer, "ingest", claimed.order.trace):
                    await self._process(claimed)
            except asyncio.CancelledError:
                with suppress(RaglineError):  # else it is found by the lease that is not renewed
                    await self._store.release(claimed)
                raise
            except Exception as error:
                log.error("a file goes back to the queue", index=claimed.index, exc_info=error)
                await asyncio.sleep(FAILURE_SECONDS)
                await call_store(lambda: self._store.release(claimed))  # noqa: B023 - awaited here

    async def _process(self, claimed: ClaimedFile) -> None:
        begun = time.perf_counter()
        progress = Progress(self._store, claimed)
        end = await self._until_lost(claimed, progress)
        if end is None:
            log.warning("another worker has taken the file", index=claimed.index)
            return
        file = progress.file.model_copy(update={**end, "reason": "", "finished_at": datetime.now(UTC)})
        job = await call_store(lambda: self._store.finish(claimed, file))
        if job is not None:
            self._metrics.count_finished(file, job, time.perf_counter() - begun)
            code = file.error.code if file.error else ""
            log.info("file finished", index=claimed.index, status=file.status, code=code)

    async def _until_lost(self, claimed: ClaimedFile, progress: Progress) -> dict[str, object] | None:
        """How the file ended, as fields of `JobFile`; None where another worker has it."""
        work = asyncio.ensure_future(self._ingest(claimed, progress))
        hold = asyncio.ensure_future(self._store.hold(claimed))
        try:
            await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if hold.result() == "cancelled" and progress.publishing:
                return await work
            work.cancel()
            await asyncio.wait({work})
            return await self._clear_cancelled(claimed, progress) if hold.result() == "cancelled" else None
        finally:
            for task in (work, hold):
                task.cancel()
            await asyncio.gather(work, hold, return_exceptions=True)

    async def _ingest(self, claimed: ClaimedFile, progress: Progress) -> dict[str, object]:
        if claimed.cancelled:
            return await self._clear_cancelled(claimed, progress)
        retries = ServiceRetries(
            self._workers.retry_seconds if claimed.order.patient else 0, self._tell_waiting(progress)
        )
        try:
            async with self._store.bytes_of(claimed) as path:
                outcome = await self._ingestor.ingest(claimed, path, progress, retries)
            return {"status": "done", "outcome": outcome}
        except StoreUnavailable:
            raise
        except RaglineError as error:
            failure = error
        except Exception as error:
            log.error("ingestion failed", index=claimed.index, exc_info=error)
            failure = RaglineError("dataprep failed: see its log for this job's id")
        if not progress.publishing and await self._discard_hidden(claimed, progress):
            return {"status": "done", "outcome": "ingested"}
        detail = failure.body(service="dataprep", request_id=claimed.job).error
        return {"status": "failed", "error": detail}

    async def _clear_cancelled(self, claimed: ClaimedFile, progress: Progress) -> dict[str, object]:
        """The end of a cancelled file, unless it was too late for that."""
        if await self._discard_hidden(claimed, progress):
            return {"status": "done", "outcome": "ingested"}
        error = progress.file.error or cancellation_error("the job was cancelled, or the document deleted")
        return {"status": "cancelled", "error": error}

    async def _discard_hidden(self, claimed: ClaimedFile, progress: Progress) -> bool:
        """Delete what is stored and not visible; whether it is visible."""
        if not progress.wrote:
            return False
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                return await self._ingestor.discard(claimed)
        except (RaglineError, TimeoutError) as error:
            log.warning("hidden passages remain", index=claimed.index, reason=str(error))
            return False

    def _tell_waiting(self, progress: Progress) -> ToldWaiting:
        async def tell(error: Exception | None) -> None:
            if isinstance(error, RaglineError):
                self._metrics.retry(error.service)
            await progress.report_waiting(error)

        return tell

    @contextmanager
    def _count_running(self) -> Iterator[None]:
        self._metrics.running(1)
        try:
            yield
        finally:
            self._metrics.running(-1)

    async def _gauge(self) -> None:
        while True:
            self._metrics.waiting(await call_store(self._store.waiting))
            await asyncio.sleep(GAUGE_SECONDS)
