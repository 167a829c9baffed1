"""The commands that bring documents in: `ragline ingest`, `ragline jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import files, ingest, jobs, watch
from services.cli.console import Output
from services.cli.reach import with_gateway
from services.cli.settings import Settings
from services.core.wire.passages import DEFAULT_COLLECTION

commands = typer.Typer(rich_markup_mode=None)


@commands.command("ingest")
def ingest_(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; folders are searched through.")],
    *,
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the jobs' ids when they are accepted.")
    ] = False,
    watching: Annotated[
        bool, typer.Option("--watch", help="Keep a folder in sync until Ctrl-C: new, changed, deleted files.")
    ] = False,
) -> None:
    """Ingest files and folders of documents, as jobs.

    The exit code is 1 where a file failed. A document is named by its path from the given folder's own name
    on, so that ingesting the same folder again replaces its documents. Hidden files are left out. Ctrl-C ends
    the waiting; what was accepted goes on ('ragline jobs').
    """
    output = Output.standard()
    if watching:
        folder = watch.folder_of(paths)
        records = Settings.load().data / "watch"
        with_gateway(lambda client: watch.watch(folder, client, collection, output, records))
        return
    uploads = files.collect(paths)
    failed = with_gateway(lambda client: ingest.ingest(uploads, client, collection, output, wait=not no_wait))
    raise typer.Exit(1 if failed else 0)


@commands.command("jobs")
def jobs_(
    job: Annotated[str, typer.Argument(help="A job's id; left out: the newest jobs.")] = "",
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Wait until it has finished.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel what of it has not finished.")] = False,
    limit: Annotated[int, typer.Option(help="How many jobs.", min=1, max=1000)] = 20,
) -> None:
    """Show ingestion jobs, or one job with its files.

    The exit code is 1 where that job failed.
    """
    output = Output.standard()
    if not job:
        with_gateway(lambda client: jobs.listed(client, output, limit))
        return
    well = with_gateway(lambda client: jobs.shown(client, output, job, follow=follow, cancel=cancel))
    raise typer.Exit(0 if well else 1)
