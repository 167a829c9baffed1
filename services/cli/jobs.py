"""`ragline jobs`: what is being ingested, and what became of it."""

from __future__ import annotations

from services.cli.console import Output
from services.cli.uploading import Jobs
from services.core.client import HttpClient
from services.core.wire.jobs import Job, JobFile


async def listed(client: HttpClient, output: Output, limit: int) -> None:
    """The newest jobs, a line each."""
    jobs = await Jobs(client).list(None, limit)
    if not jobs:
        output.line("no jobs: 'ragline ingest' makes some")
        return
    rows = [("job", "status", "files", "collection", "since", "reason")]
    for job in jobs:
        files = f"{sum(file.finished for file in job.files)}/{len(job.files)}"
        since = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
        rows.append((job.id, job.status, files, job.collection, since, job.reason))
    output.table(rows)


async def shown(client: HttpClient, output: Output, id_: str, *, follow: bool, cancel: bool) -> bool:
    """One job with its files, cancelled first or followed to its end where asked; whether it did not fail."""
    jobs = Jobs(client)
    job = await (jobs.cancel(id_) if cancel else jobs.get(id_))
    if follow:
        async for now in jobs.follow(job):
            job = now
    _show(job, output)
    return job.status not in {"failed", "cancelled"} or cancel


def _show(job: Job, output: Output) -> None:
    output.line(f"{job.id}  {job.status}, collection {job.collection}", style="bold")
    output.table([("status", "passages", "file", ""), *(_row(file) for file in job.files)])


def _row(file: JobFile) -> tuple[str, str, str, str]:
    status = file.outcome or file.status
    count = f"{file.stored}/{file.passages}" if file.passages else ""
    return status, count, file.name, file.error.message if file.error else file.reason
