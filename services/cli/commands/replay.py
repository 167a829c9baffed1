"""Score a run's recorded answers again, without any model.

It needs no service and no network. It writes results.json anew, and the report where the run has one, and
says whether every figure is as it was recorded. The exit code is 1 where one is not; with --check also where
the report was changed after it was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.files import RESULTS
from pipelines.evaluation.bundle.recorded import Change, list_changes, read_results, write_results
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.report.seal import SEAL, find_changes
from services.cli.commands.report import report
from services.cli.console import Output
from services.core.errors import NotFound, NotSupported, RaglineError

PANEL = "Measure"
SHOWN = 20
REPORT = "report.html"


def command(
    bundle: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare only; write nothing.")] = False,
) -> None:
    raise typer.Exit(0 if replay(bundle, Output.standard(), check=check) else 1)


def replay(folder: Path, output: Output, *, check: bool = False) -> bool:
    """Return whether every figure is as it was recorded; without `check` the results are written anew, and
    the report where the folder has one.

    Raises what reading the bundle raises, and with `check` also where there are no results to check.
    """
    bundle = read_bundle(folder)
    with output.spinner(f"scoring {len(bundle.answers)} answers"):
        replayed = compute_results(bundle)
    failure: RaglineError | None = None
    recorded = None
    try:
        recorded = read_results(folder)
    except RaglineError as error:
        if check:
            raise
        failure = error
    if not check:
        write_results(folder, replayed)
        _renew_report(folder, output)
    answers = f"{len(bundle.answers)} answers to {len(bundle.questions)} questions"
    if recorded is None:
        written = f"{folder / RESULTS} is written: {answers}, none recorded before to compare with"
        output.line(written)
        if failure is not None and not isinstance(failure, NotFound):
            output.problem(failure.message)
        return isinstance(failure, NotFound)
    differing = list_changes(recorded, replayed)
    tampered = _check_report(folder, replayed.bundle, output) if check and not differing else []
    for problem in tampered:
        output.problem(problem)
    if tampered:
        return False
    if not differing:
        output.line(f"every figure is as it was recorded, bit for bit ({answers})")
        return True
    for change in differing[:SHOWN]:
        output.line(_change_line(change))
    if len(differing) > SHOWN:
        output.line(f"... and {len(differing) - SHOWN} more")
    then = "nothing was written" if check else f"{RESULTS} has the figures of this replay now"
    output.problem(f"{len(differing)} figures and sentences differ from those recorded: {then}")
    return False


def _renew_report(folder: Path, output: Output) -> None:
    if not (folder / REPORT).exists():
        return
    try:
        report(folder, output)
    except NotSupported as error:
        output.problem(f"{folder / REPORT} is as it was: {error.message}")


def _check_report(folder: Path, bundle: str, output: Output) -> list[str]:
    """List what was changed in the report; without the extra that draws it, by its seal alone."""
    if (folder / REPORT).exists() and not (folder / SEAL).exists():
        output.problem(
            f"{folder / REPORT} has no seal: an earlier version wrote it, or the seal was taken away"
        )
    try:
        from pipelines.evaluation.report.writing import find_report_changes  # noqa: PLC0415 - an extra, and slow
    except ModuleNotFoundError:
        return find_changes(folder, bundle)
    with output.spinner("comparing the report"):
        return find_report_changes(folder, bundle)


def _change_line(change: Change) -> str:
    return f"{change.where}: {_format_value(change.recorded)} is now {_format_value(change.replayed)}"


def _format_value(value: object) -> str:
    return "nothing" if value is None else str(value)
