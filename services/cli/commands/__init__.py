"""The commands of `ragline`: a file of this folder is a command, found by listing the folder.

Each file holds one command, its declaration and its rendering together:

- the file's name is the command's name;
- the file's docstring is the command's help;
- `PANEL` is the group of `ragline --help` that shows it, one of `PANELS`;
- `command` is a function as Typer wants it, or a `typer.Typer` that has commands of its own.

A file is imported only when its command is used: `ragline --help` reads its docstring and `PANEL` from the
source. So a file may import at its top whatever its command needs.
"""

from __future__ import annotations

import ast
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

PANELS = ("Run", "Ask", "Measure", "Look after")
NARROWEST = 24
"""Fewest characters of a line that a command's help gets."""


class CommandGroup(TyperGroup):
    """The commands of this folder. What is listed and completed are outlines; what is used is imported."""

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]
        self.commands = dict(outlines())

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Replace the outline of the command that was asked for by the command itself."""
        name, outline, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name and outline else None, rest

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the commands, panel by panel."""
        outlined = {name: cast(TyperCommand, command) for name, command in self.commands.items()}
        indent = max(map(len, outlined), default=0)
        room = max(NARROWEST, formatter.width - indent - 6)
        for panel in PANELS:
            rows = [
                (name.ljust(indent), command.get_short_help_str(room))
                for name, command in outlined.items()
                if command.rich_help_panel == panel
            ]
            with formatter.section(panel):
                formatter.write_dl(rows)


@cache
def outlines() -> dict[str, TyperCommand]:
    """The commands by name, each with its help and its panel alone; nothing of them is imported."""
    files = {
        module.name: Path(folder) / f"{module.name}.py"
        for folder in __path__
        for module in pkgutil.iter_modules([folder])
    }
    return {name: _outline(name, file) for name, file in sorted(files.items())}


def _outline(name: str, source: Path) -> TyperCommand:
    tree = ast.parse(source.read_text("utf-8"))
    constants = {
        target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    panel = constants.get("PANEL")
    if panel not in PANELS:
        raise TypeError(f"{source} has no PANEL that is one of {', '.join(PANELS)}")
    return TyperCommand(name, help=ast.get_docstring(tree), rich_help_panel=str(panel))


def load_command(name: str) -> Command:
    """Import the command of that name."""
    module = import_module(f"{__name__}.{name}")
    commands = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(module.command, typer.Typer):
        commands.add_typer(module.command, name=name, help=module.__doc__)
        group = typer.main.get_command(commands)
        return cast(TyperGroup, group).commands[name]
    commands.command(name, help=module.__doc__)(module.command)
    return typer.main.get_command(commands)
