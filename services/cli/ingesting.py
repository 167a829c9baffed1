"""Files are sent as jobs and followed, and what became of each file is printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from services.cli.console import Output, harmless
from services.cli.uploading import Jobs, Upload, split_into_jobs
from services.core.client import HttpClient
from services.core.errors import RaglineError, ServiceUnavailable
from services.core.wire.dataprep import Job, JobFile

PARALLEL = 4
"""Jobs that are sent and followed at a time."""


async def ingest(
    uploads: Sequence[Upload],
    client: HttpClient,
    collection: str,
    output: Output,
    *,
    wait: bool = True,
    jobs: Jobs | None = None,
) -> int:
    """Ingest these. Returns how many files failed. Without `wait`, only print the ids of accepted jobs.

    Raises `ServiceUnavailable` where the gateway is down. Ending it leaves the accepted jobs to go on.
    """
    run = Ingest(client, collection, output, jobs)
    try:
        if not wait:
            return await run.submit(uploads)
        await run.ingest(uploads)
    except asyncio.CancelledError:
        output.line("what was accepted goes on: 'ragline jobs' shows it")
        raise
    warned = f", {run.warned} with warnings" if run.warned else ""
    output.line(
        f"{len(uploads) - len(run.failed)} of {len(uploads)} files are in collection {collection}{warned}"
    )
    return len(run.failed)


class Ingest:
    """One ingestion. `done` and `failed` say what became of each file, by its name; `warned` counts files."""

    def __init__(self, client: HttpClient, collection: str, output: Output, jobs: Jobs | None = None) -> None:
        self._client = client
        self._jobs = jobs or Jobs(client)
        self._collection = collection
        self._output = output
        self.done: dict[str, JobFile] = {}
        self.failed: dict[str, str] = {}
        self.warned = 0

    async def submit(self, uploads: Sequence[Upload]) -> int:
        """Send all and print the jobs' ids; how many files were refused."""
        for batch in split_into_jobs(self._readable_files(uploads)):
            for job in await self._submit_batch(batch):
                self._output.line(job.id)
        return len(self.failed)

    async def ingest(self, uploads: Sequence[Upload]) -> None:
        """Send all, and follow until each file has its end."""
        slots = asyncio.Semaphore(PARALLEL)
        with _show_bars(self._output) as bars:

            async def batch_done(batch: list[Upload]) -> None:
                async with slots:
                    for job in await self._submit_batch(batch):
                        await self._follow_job(job, bars)

            try:
                async with asyncio.TaskGroup() as group:
                    for batch in split_into_jobs(self._readable_files(uploads)):
                        group.create_task(batch_done(batch))
            except* RaglineError as failures:
                raise _first_error(failures) from None

    async def _submit_batch(self, batch: Sequence[Upload]) -> list[Job]:
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
        return [job for upload in batch for job in await self._submit_batch([upload])]

    async def _follow_job(self, job: Job, bars: _Bars) -> None:
        with bars.follow(job) as update:
            told: set[int] = set()
            self._print_finished(job, told)
            async for now in self._jobs.follow(job):
                update(now)
                self._print_finished(now, told)

    def _print_finished(self, job: Job, told: set[int]) -> None:
        for index, file in enumerate(job.files):
            if not file.finished or index in told:
                continue
            told.add(index)
            if file.status == "done":
                self.done[file.name] = file
                replaced = f" (replaces {file.replaced} passages)" if file.replaced else ""
                self._output.line(f"{'ok' if file.outcome == 'ingested' else 'same':<8}{file.name}{replaced}")
                self.warned += bool(file.warnings)
                for warning in file.warnings:
                    self._output.line(f"warning {file.name}: {warning.message}", style="yellow")
            else:
                self._fail(file.name, file.error.message if file.error else file.status)

    def _readable_files(self, uploads: Sequence[Upload]) -> list[Upload]:
        readable = [upload for upload in uploads if os.access(upload.path, os.R_OK)]
        for upload in uploads:
            if upload not in readable:
                self._fail(upload.name, "it cannot be read")
        return readable

    def _fail(self, name: str, message: str) -> None:
        self.failed[name] = message
        self._output.line(f"failed  {name}: {message}", style="red")


def _first_error(failures: BaseExceptionGroup[RaglineError]) -> RaglineError:
    first = failures.exceptions[0]
    return _first_error(first) if isinstance(first, BaseExceptionGroup) else first


class _Bars:
    """One bar for each job under way: files and passages done, and how long it may still take."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    @contextmanager
    def follow(self, job: Job) -> Iterator[_Bar]:
        if self._progress is None:
            yield _Bar(None, None)
            return
        more = f" and {len(job.files) - 1} more" if len(job.files) > 1 else ""
        task = self._progress.add_task(
            harmless(f"{job.files[0].name}{more}"), total=len(job.files), counts=""
        )
        try:
            yield _Bar(self._progress, task)
        finally:
            self._progress.remove_task(task)


class _Bar:
    """The bar of one job; none where it is no terminal."""

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
            completed=sum(map(_share_done, job.files)),
            counts=harmless(f"waits: {waiting}" if waiting else counts),
        )


def _share_done(file: JobFile) -> float:
    """How much of a file is done, from 0 to 1."""
    return 1.0 if file.finished else file.stored / (file.passages or 1)


@contextmanager
def _show_bars(output: Output) -> Iterator[_Bars]:
    if not output.out.is_terminal:
        yield _Bars(None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
    )
    with Progress(*columns, TimeRemainingColumn(), console=output.out, transient=True) as progress:
        yield _Bars(progress)
