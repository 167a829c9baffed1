"""Show ingestion jobs, or one job with its files.

The exit code is 1 where that job failed.
"""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.console import Output
from services.cli.gateway import call_gateway
from services.cli.uploading import Jobs
from services.core.client import HttpClient
from services.core.wire.dataprep import Job, JobFile

PANEL = "Ask"


def command(
    job: Annotated[str, typer.Argument(help="A job's id; left out: the newest jobs.")] = "",
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Wait until the job has finished.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the files that have not finished.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many jobs.", min=1, max=1000)] = 20,
) -> None:
    output = Output.standard()
    if not job:
        call_gateway(lambda client: list_jobs(client, output, limit))
        return
    well = call_gateway(lambda client: show_job(client, output, job, follow=follow, cancel=cancel))
    raise typer.Exit(0 if well else 1)


async def list_jobs(client: HttpClient, output: Output, limit: int) -> None:
    """Print the newest jobs, a line for each."""
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


async def show_job(client: HttpClient, output: Output, id_: str, *, follow: bool, cancel: bool) -> bool:
    """Print one job with its files; first cancel it, or follow it to its end. Returns whether it is well."""
    jobs = Jobs(client)
    job = await (jobs.cancel(id_) if cancel else jobs.get(id_))
    if follow:
        async for now in jobs.follow(job):
            job = now
    _print_job(job, output)
    return job.status not in {"failed", "cancelled"} or cancel


def _print_job(job: Job, output: Output) -> None:
    output.line(f"{job.id}  {job.status}, collection {job.collection}", style="bold")
    output.table([("status", "passages", "file", ""), *(_file_row(file) for file in job.files)])


def _file_row(file: JobFile) -> tuple[str, str, str, str]:
    status = file.outcome or file.status
    count = f"{file.stored}/{file.passages}" if file.passages else ""
    warnings = "; ".join(warning.message for warning in file.warnings)
    return status, count, file.name, (file.error.message if file.error else file.reason) or warnings
