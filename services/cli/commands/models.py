"""List the model catalogue, or fetch models."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.split import describe_split, read_split
from services.cli.console import Output
from services.cli.gateway import call_gateway
from services.cli.local.models import fetch_models, format_size
from services.cli.settings import Settings
from services.core.errors import RaglineError
from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import Fetcher
from services.core.models.memory import estimate_memory, read_memory_limit
from services.core.models.references import find_catalogue_name

PANEL = "Look after"

CONTEXT = 8192
"""Tokens of the cache in the table's memory, which is a lower bound; LLM_MAX_CONTEXT has this default."""

command = typer.Typer(rich_markup_mode=None)


@command.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@command.command("list")
def list_models() -> None:
    """The models that Ragline knows, which are on this machine, and the split of the gateway that runs."""
    output = Output.standard()
    show_catalogue(Settings.load().root, output)
    with suppress(RaglineError):  # no gateway runs, or this key may not ask it
        for line in describe_split(call_gateway(read_split)):
            output.line(line)


@command.command("fetch")
def fetch(names: Annotated[list[str], typer.Argument(help="Names from 'ragline models'.")]) -> None:
    """Fetch models into RAGLINE_HOME/models; an interrupted fetch continues. Hub ids and URLs work too."""
    output = Output.standard()
    fetch_models([find_catalogue_name(name) for name in names], Settings.load().root, output)
    output.line("all here")


def show_catalogue(home: Path, output: Output) -> None:
    """Print the catalogue, which models are already here, and which cannot run here for lack of memory."""
    fetcher = Fetcher(home)
    limit = read_memory_limit()
    rows = [["name", "kind", "size", "memory", "licence", "here", "description"]]
    for model in CATALOGUE.values():
        here = "yes" if fetcher.present(model.name) else "no"
        memory = estimate_memory(model.size, model.kv_bytes, CONTEXT)
        needed = f"{memory / 1e9:.1f} GB" + ", too much" * (0 < limit < memory)
        rows.append(
            [
                model.name,
                model.kind,
                format_size(model.size),
                needed if model.kind == "llm" else "",
                model.licence,
                here,
                model.description,
            ]
        )
    output.table(rows)
