"""`ragline ingest`: upload files and folders as jobs, follow them, and say what became of each file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from services.cli.console import Output
from services.cli.files import Upload
from services.cli.uploading import Jobs, batches
from services.core.client import HttpClient
from services.core.errors import RaglineError, ServiceUnavailable
from services.core.wire.jobs import Job, JobFile

PARALLEL = 4
"""Jobs that are sent and followed at a time."""


async def ingest(
    uploads: Sequence[Upload], client: HttpClient, collection: str, output: Output, *, wait: bool = True
) -> int:
    """How many files failed. Without `wait` the jobs' ids are printed as soon as they are accepted.

    Raises `ServiceUnavailable` where the gateway is down. Ending it leaves the accepted jobs to go on.
    """
    run = Ingest(client, collection, output)
    try:
        if not wait:
            return await run.submitted(uploads)
        await run.files(uploads)
    except asyncio.CancelledError:
        output.line("what was accepted goes on: 'ragline jobs' shows it")
        raise
    output.line(f"{len(uploads) - len(run.failed)} of {len(uploads)} files are in collection {collection}")
    return len(run.failed)


class Ingest:
    """What became of each file, by its name: `done` and `failed`."""

    def __init__(self, client: HttpClient, collection: str, output: Output) -> None:
        self._client = client
        self._jobs = Jobs(client)
        self._collection = collection
        self._output = output
        self.done: dict[str, JobFile] = {}
        self.failed: dict[str, str] = {}

    async def submitted(self, uploads: Sequence[Upload]) -> int:
        """Send all and print the jobs' ids; how many files were refused."""
        for batch in batches(self._readable(uploads)):
            for job in await self._accepted(batch):
                self._output.line(job.id)
        return len(self.failed)

    async def files(self, uploads: Sequence[Upload]) -> None:
        """Send all, and follow until each file has its end."""
        slots = asyncio.Semaphore(PARALLEL)
        with _bars(self._output) as bars:

            async def batch_done(batch: list[Upload]) -> None:
                async with slots:
                    for job in await self._accepted(batch):
                        await self._followed(job, bars)

            try:
                async with asyncio.TaskGroup() as group:
                    for batch in batches(self._readable(uploads)):
                        group.create_task(batch_done(batch))
            except* RaglineError as failures:
                raise _first(failures) from None

    async def _accepted(self, batch: Sequence[Upload]) -> list[Job]:
        """The jobs of a batch: one, or where it is refused as a whole, one for each file that is not."""
        try:
            return [await self._jobs.submit(batch, self._collection)]
        except ServiceUnavailable as error:
            if error.service == self._client.service:  # every other file would fail the same way
                raise
            refusal: RaglineError = error
        except RaglineError as error:
            refusal = error
        if len(batch) == 1:
            self._fail(batch[0].name, refusal.message)
            return []
        return [job for upload in batch for job in await self._accepted([upload])]

    async def _followed(self, job: Job, bars: _Bars) -> None:
        with bars.of(job) as show:
            told: set[int] = set()
            self._tell(job, told)
            async for now in self._jobs.follow(job):
                show(now)
                self._tell(now, told)

    def _tell(self, job: Job, told: set[int]) -> None:
        for index, file in enumerate(job.files):
            if not file.finished or index in told:
                continue
            told.add(index)
            if file.status == "done":
                self.done[file.name] = file
                self._output.line(f"{'ok' if file.outcome == 'ingested' else 'same':<8}{file.name}")
            else:
                self._fail(file.name, file.error.message if file.error else file.status)

    def _readable(self, uploads: Sequence[Upload]) -> list[Upload]:
        readable = [upload for upload in uploads if os.access(upload.path, os.R_OK)]
        for upload in uploads:
            if upload not in readable:
                self._fail(upload.name, "it cannot be read")
        return readable

    def _fail(self, name: str, message: str) -> None:
        self.failed[name] = message
        self._output.line(f"failed  {name}: {message}", style="red")


def _first(failures: BaseExceptionGroup[RaglineError]) -> RaglineError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


class _Bars:
    """One bar for each job under way: files and passages done, and how long it may still take."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    @contextmanager
    def of(self, job: Job) -> Iterator[_Show]:
        if self._progress is None:
            yield _Show(None, None)
            return
        more = f" and {len(job.files) - 1} more" if len(job.files) > 1 else ""
        task = self._progress.add_task(f"{job.files[0].name}{more}", total=len(job.files), counts="")
        try:
            yield _Show(self._progress, task)
        finally:
            self._progress.remove_task(task)


class _Show:
    def __init__(self, progress: Progress | None, task: TaskID | None) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, job: Job) -> None:
        if self._progress is None or self._task is None:
            return
        finished = sum(file.finished for file in job.files)
        waiting = next((file.reason for file in job.files if file.reason), "")
        counts = f"{finished}/{len(job.files)} files, {sum(file.stored for file in job.files)} passages"
        self._progress.update(
            self._task,
            completed=sum(map(_share, job.files)),
            counts=(waiting and f"waits: {waiting}") or counts,
        )


def _share(file: JobFile) -> float:
    """How much of a file is done, from 0 to 1."""
    return 1.0 if file.finished else file.stored / (file.passages or 1)


@contextmanager
def _bars(output: Output) -> Iterator[_Bars]:
    if not output.out.is_terminal:
        yield _Bars(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"))
    with Progress(*columns, TimeRemainingColumn(), console=output.out, transient=True) as progress:
        yield _Bars(progress)
