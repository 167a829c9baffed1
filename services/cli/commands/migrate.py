"""Write values or an .env from those of OPEA's ChatQnA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.migration.environment import convert_variables, read_variables
from services.cli.migration.values import convert_values, merge_values
from services.core.files import replace_atomically
from services.core.wire.features import JsonObject

PANEL = "Look after"
VALUES, ENVIRONMENT = "ragline-values.yaml", "ragline.env"
HEAD = "# written by 'ragline migrate opea' from {}; what it could not take over was printed\n"

command = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@command.callback()
def migrate() -> None:
    """Write Ragline's values or .env from those of another deployment."""


@command.command("opea")
def opea(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Values of OPEA's chatqna chart (.yaml, in helm's order), or its .env or set_env.sh."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help=f"The file to write; by default {VALUES} or {ENVIRONMENT} in this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it is there.")] = False,
) -> None:
    """Write values.yaml or .env for a deployment of OPEA's ChatQnA."""
    are_values = [file.suffix in {".yaml", ".yml"} for file in files]
    if any(are_values) and not all(are_values):
        raise UsageError("give either values (.yaml) or files of variables, not both at once")
    path = out or Path(VALUES if all(are_values) else ENVIRONMENT)
    if path.exists() and not force:
        raise UsageError(f"{path} is there already: give another name with --out, or --force")
    names = ", ".join(file.name for file in files)
    if all(are_values):
        migration = convert_values(merge_values([read_values(file) for file in files]))
        text, notes = yaml.safe_dump(migration.values, sort_keys=False, width=120), migration.notes
    else:
        migrated = convert_variables(read_variables("\n".join(_read(file) for file in files)))
        text, notes = migrated.render(), migrated.notes
    replace_atomically(path, HEAD.format(names) + text)
    path.chmod(0o600)  # it may hold a token
    output = Output.standard()
    output.line(f"{path} is written")
    for note in notes:
        output.line(f"  {note}")


def read_values(path: Path) -> JsonObject:
    """Read a file of values. Raises `UsageError` where it is none."""
    try:
        read = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(read or {}, dict):
        raise UsageError(f"{path} holds no values: a chart's values are a mapping")
    return read or {}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
