"""List the model catalogue, or fetch models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import Output
from services.cli.local.models import fetch_models, format_size
from services.cli.settings import Settings
from services.core.models.catalogue import CATALOGUE, entry
from services.core.models.fetch import Fetcher

PANEL = "Look after"

command = typer.Typer(rich_markup_mode=None)


@command.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@command.command("list")
def list_models() -> None:
    """The models that Ragline knows, and which are on this machine."""
    show_catalogue(Settings.load().root, Output.standard())


@command.command("fetch")
def fetch(names: Annotated[list[str], typer.Argument(help="Names from 'ragline models'.")]) -> None:
    """Fetch models into RAGLINE_HOME/models; an interrupted fetch continues."""
    output = Output.standard()
    fetch_models([entry(name).name for name in names], Settings.load().root, output)
    output.line("all here")


def show_catalogue(home: Path, output: Output) -> None:
    """Print the catalogue, and which models are already here."""
    fetcher = Fetcher(home)
    rows = [["name", "kind", "size", "licence", "here", "description"]]
    for model in CATALOGUE.values():
        here = "yes" if fetcher.present(model.name) else "no"
        rows.append([model.name, model.kind, format_size(model.size), model.licence, here, model.description])
    output.table(rows)
