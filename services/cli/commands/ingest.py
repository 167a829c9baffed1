"""Ingest files and folders of documents, as jobs.

A document's name is its path from the given folder on, with that folder's name. So the same folder, ingested
again, replaces its documents. Hidden files are left out. Ctrl-C ends the waiting, not the ingestion: 'ragline
jobs' shows it. The exit code is 1 where a file failed.
What of a file did not become text, or may be wrong, is a warning; --strict makes it a failure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import Output
from services.cli.gateway import call_gateway
from services.cli.ingesting import ingest
from services.cli.settings import Settings
from services.cli.uploading import Jobs, collect_uploads, skipped_suffixes
from services.cli.watching import check_folder, watch
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Ask"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders with files in them.")],
    *,
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the jobs' ids when they are accepted.")
    ] = False,
    encoding: Annotated[
        str, typer.Option(help="The encoding of the text files, such as cp1252; empty: told or guessed.")
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="A file with warnings fails.")] = False,
    watching: Annotated[
        bool, typer.Option("--watch", help="Keep a folder in sync until Ctrl-C: new, changed, deleted files.")
    ] = False,
) -> None:
    output = Output.standard()
    fields = {
        name: value for name, value in (("encoding", encoding), ("strict", "true" if strict else "")) if value
    }
    if skipped := skipped_suffixes(paths):
        counts = ", ".join(f"{suffix} ({count})" for suffix, count in skipped.items())
        output.problem(f"not read, because of their suffix: {counts}")
    if watching:
        folder = check_folder(paths)
        records = Settings.load().data / "watch"
        call_gateway(lambda client: watch(folder, client, collection, output, records, fields=fields))
        return
    uploads = collect_uploads(paths)
    failed = call_gateway(
        lambda client: ingest(
            uploads, client, collection, output, wait=not no_wait, jobs=Jobs(client, fields=fields)
        )
    )
    raise typer.Exit(1 if failed else 0)
