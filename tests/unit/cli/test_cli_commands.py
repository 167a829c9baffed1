"""A command is a file of `services/cli/commands`: it is found there, and imported only when it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import commands
from services.cli.main import app

NEW = '''"""Say hello.

To somebody, or to everybody.
"""

import numpy
import typer

PANEL = "Measure"

def command(name: str = "everybody") -> None:
    typer.echo(f"hello {name}")
'''
WITH_OWN_COMMANDS = '''"""Say many things."""

import typer

PANEL = "Look after"

command = typer.Typer()

@command.command()
def loudly() -> None:
    """Shout."""
    typer.echo("HELLO")

@command.command()
def softly() -> None:
    """Whisper."""
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second folder of commands, beside the real one."""
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    commands.outlines.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    commands.outlines.cache_clear()
    for name in ("hello", "say"):
        sys.modules.pop(f"services.cli.commands.{name}", None)


def ragline(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_new_file_is_a_new_command(folder: Path) -> None:
    (folder / "hello.py").write_text(NEW)
    listed = ragline("--help")
    assert "hello        Say hello." in listed.split("Measure:")[1].split("Look after:")[0]
    assert "services.cli.commands.hello" not in sys.modules
    assert ragline("hello") == "hello everybody\n"
    assert "To somebody, or to everybody." in ragline("hello", "--help")


def test_a_command_may_have_commands_of_its_own(folder: Path) -> None:
    (folder / "say.py").write_text(WITH_OWN_COMMANDS)
    assert "say          Say many things." in ragline("--help")
    assert ragline("say", "loudly") == "HELLO\n"
    assert "softly  Whisper." in ragline("say", "--help")


def test_a_file_without_a_panel_is_refused(folder: Path) -> None:
    (folder / "hello.py").write_text(NEW.replace('"Measure"', '"Elsewhere"'))
    with pytest.raises(
        TypeError, match=r"hello\.py has no PANEL that is one of Run, Ask, Measure, Look after"
    ):
        commands.outlines()


def test_the_commands_are_grouped_and_their_first_lines_are_whole() -> None:
    listed = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    places = [listed.index(f"\n{panel}:\n") for panel in commands.PANELS]
    assert places == sorted(places)
    assert "..." not in listed[places[0] :]


@pytest.mark.parametrize("name", sorted(commands.outlines()))
def test_the_outline_says_what_the_command_says(name: str) -> None:
    outline, command = commands.outlines()[name], commands.load_command(name)
    assert command.name == name
    assert (outline.help or "").strip() == (command.help or "").strip() != ""


def test_the_version_is_printed() -> None:
    assert ragline("--version") == f"ragline {version('ragline')}\n"


def test_a_shell_completes_commands_and_options() -> None:
    def complete(words: str) -> str:
        """What bash would be offered after these words."""
        code = "from services.cli.main import main; import sys; sys.argv = ['ragline']; main()"
        env = {
            "_RAGLINE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        return subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
        ).stdout

    assert complete("ragline re").split() == ["reindex", "replay", "report", "restart"]
    assert complete("ragline restart --ti").split() == ["--timeout"]


def test_the_script_for_a_shell_is_shown() -> None:
    """The shell is the one that the command was typed in, so the test types it in one."""
    ragline = Path(sys.executable).with_name("ragline")
    done = subprocess.run(
        ["bash", "-c", f"'{ragline}' --show-completion; true"], capture_output=True, text=True, check=True
    )
    assert "_RAGLINE_COMPLETE" in done.stdout, done.stderr
