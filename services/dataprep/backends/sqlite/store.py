"""`sqlite:`: jobs in a SQLite file, their bytes on disk beside it. One dataprep process owns them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.core.addresses import StoreAddress
from services.core.disk import DiskGuard
from services.core.errors import ErrorDetail
from services.core.settings import HomeSettings
from services.core.wire.dataprep import Job, JobFile, Status
from services.dataprep.backends.sqlite.journal import Doomed, Journal, Key, full, job_of
from services.dataprep.backends.sqlite.spool import Spool
from services.dataprep.jobs.changes import Changes, ended_key, follow, wait
from services.dataprep.jobs.store import (
    ALL_NAMES,
    ClaimedFile,
    IngestOrder,
    JobLimits,
    Loss,
    NamesFilter,
    UploadedFile,
    cancellation_error,
)

T = TypeVar("T")

WORK = "work"
"""What `Changes` is told when there may be a file to take."""
IDLE_SECONDS = 5.0


@dataclass(slots=True)
class _Held:
    """A file that a worker has: how far it is, in memory alone, and whether it was cancelled."""

    file: JobFile
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class SqliteJobs:
    """All of SQLite and of the disk runs in one thread, in the order in which it was asked for."""

    def __init__(self, journal: Journal, spool: Spool, limits: JobLimits, disk: DiskGuard) -> None:
        self._disk = disk
        self._journal = journal
        self._spool = spool
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._changes = Changes()
        self._held: dict[Key, _Held] = {}

    @property
    def files(self) -> Path:
        return self._spool.folder

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Path]:
        self._disk.check()
        if await self._run(self._journal.open) >= self._limits.waiting:
            raise full(self._limits)
        with self._spool.incoming() as folder:
            yield folder

    async def submit(self, order: IngestOrder, files: Sequence[UploadedFile]) -> Job:
        job = uuid.uuid4().hex

        def accept() -> Job:
            opened = {at: received.path for at, received in enumerate(files) if not received.file.finished}
            if opened:
                self._spool.adopt(job, opened)
            try:
                return self._journal.add(job, order, files)
            except BaseException:
                for at in opened:
                    self._spool.remove(job, at)
                raise

        made = await _whole(self._run(accept))
        self._changes.tell(WORK)
        return made

    async def cancel(self, job: str) -> Job:
        await self.get(job)
        await self._cancel(job, "", None, cancellation_error("the job was cancelled"))
        return await self.get(job)

    async def cancel_documents(self, collection: str, document_id: str | None, why: str) -> int:
        doomed = await self._cancel(None, collection, document_id, cancellation_error(why))
        for entry in doomed:
            with self._changes.watching(entry.key[0]) as changed:
                while await self._run(partial(self._journal.is_open, entry.key)):
                    await wait(changed, IDLE_SECONDS)
        return len(doomed)

    async def _cancel(
        self, job: str | None, collection: str, document: str | None, why: ErrorDetail
    ) -> list[Doomed]:
        def cancel() -> list[Doomed]:
            doomed = self._journal.cancel(job, collection, document, held=self._held, why=why)
            for entry in doomed:
                if entry.closed:
                    self._spool.remove(*entry.key)
            return doomed

        doomed = await _whole(self._run(cancel))
        for entry in doomed:
            if entry.key in self._held:
                self._held[entry.key].lost.set()
            self._changes.tell(entry.key[0])
        self._changes.tell(WORK)
        return doomed

    async def get(self, job: str) -> Job:
        return self._now(await self._run(lambda: self._journal.get(job)))

    async def jobs(self, status: Status | None, limit: int, names: NamesFilter = ALL_NAMES) -> list[Job]:
        found = [self._now(job) for job in await self._run(lambda: self._journal.jobs(status, limit, names))]
        return [job for job in found if status in {None, job.status}]

    def changes(self, job: str) -> AsyncIterator[Job]:
        return follow(self.get, self._changes, job)

    async def waiting(self) -> int:
        return await self._run(self._journal.open) - len(self._held)

    async def take(self) -> ClaimedFile:
        with self._changes.watching(WORK) as changed:
            while True:
                claimed = await _whole(self._run(self._take))
                if claimed is not None:
                    self._changes.tell(claimed.job)
                    return claimed
                await wait(changed, IDLE_SECONDS)

    def _take(self) -> ClaimedFile | None:
        claimed = self._journal.take(self._held)
        if claimed is not None:  # in the thread, so that no other can take it meanwhile
            self._held[claimed.job, claimed.index] = _Held(claimed.file)
        return claimed

    @asynccontextmanager
    async def bytes_of(self, claimed: ClaimedFile) -> AsyncIterator[Path]:
        yield self._spool.path(claimed.job, claimed.index)

    async def report(self, claimed: ClaimedFile, file: JobFile) -> None:
        held = self._held.get((claimed.job, claimed.index))
        if held is not None:
            held.file = file
            self._changes.tell(claimed.job)

    async def hold(self, claimed: ClaimedFile) -> Loss:
        held = self._held.get((claimed.job, claimed.index))
        if held is None:
            return "taken"
        await held.lost.wait()
        return "cancelled"

    async def finish(self, claimed: ClaimedFile, file: JobFile) -> Job | None:
        def finish() -> Job | None:
            job = self._journal.finish(claimed.job, claimed.index, file)
            self._held.pop((claimed.job, claimed.index), None)
            self._spool.remove(claimed.job, claimed.index)
            if job is not None and job.finished:
                self._journal.sweep()
            return job

        job = await _whole(self._run(finish))
        self._changes.tell(claimed.job)
        if job is not None and job.finished:
            self._changes.tell(ended_key(claimed.job))
        self._changes.tell(WORK)  # the next file of the same document
        return None if job is None else self._now(job)

    async def release(self, claimed: ClaimedFile) -> None:
        self._held.pop((claimed.job, claimed.index), None)
        self._changes.tell(claimed.job)
        self._changes.tell(WORK)

    async def ready(self) -> None:
        """Owning the file is being ready: `create` refuses where it does not."""

    async def close(self) -> None:
        await self._run(self._journal.close)
        self._thread.shutdown()

    def _now(self, job: Job) -> Job:
        """The job with what is known in memory alone."""
        files = [
            self._held[job.id, at].file if (job.id, at) in self._held else file
            for at, file in enumerate(job.files)
        ]
        finished = job.finished_at.isoformat() if job.finished_at else None
        return job_of(job.id, job.collection, job.created_at.isoformat(), finished, files)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def _whole(work: Coroutine[object, object, T]) -> T:
    """Its result; a caller that is cancelled meanwhile is so when it has ended: nothing is left half done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def create(url: StoreAddress, limits: JobLimits) -> SqliteJobs:
    """Own the folder that `url` names, else `jobs` in the data folder of `RAGLINE_HOME`."""
    home = HomeSettings.load()
    folder = url.directory or home.data / "jobs"

    def start() -> tuple[Journal, Spool]:
        journal, spool = Journal(folder / "jobs.db", limits), Spool(folder / "spool")
        spool.sweep(journal.open_keys())
        return journal, spool

    return SqliteJobs(*await asyncio.to_thread(start), limits, DiskGuard(folder, home.disk_free_bytes))
