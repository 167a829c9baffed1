"""The `ragline` command: its commands are the files of `services/cli/commands`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands import CommandGroup

app = typer.Typer(
    cls=CommandGroup,
    name="ragline",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only this option needs it

        typer.echo(f"ragline {version('ragline')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    *,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file with the key for the gateway."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Ask your documents: six small services, and a model that one variable swaps."""
    if api_key_file is not None:
        from services.cli.settings import chosen_key_file  # noqa: PLC0415 - only this option needs it

        chosen = chosen_key_file.set(api_key_file)
        context.call_on_close(lambda: chosen_key_file.reset(chosen))


def main() -> None:
    """Run a command. A Ragline error is one line on standard error, and exit code 1."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from services.cli.errors import print_error  # noqa: PLC0415 - `ragline --help` has no error to read

        if not print_error(error):
            raise
        sys.exit(1)
