"""`ragline replay`: a bundle's results, computed again from its records, and held against those recorded."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.recorded import Change, list_changes, read_results, write_results
from pipelines.evaluation.bundle.store import RESULTS, read_bundle
from services.cli.console import Output
from services.cli.report import report
from services.core.errors import NotFound, NotSupported, RaglineError

SHOWN = 20
REPORT = "report.html"


def replay(folder: Path, output: Output, *, check: bool = False) -> bool:
    """Whether every figure is as it was recorded; without `check` the results are written anew, and the
    report where the folder has one.

    Raises what reading the bundle raises, and with `check` also where there are no results to check.
    """
    bundle = read_bundle(folder)
    with output.spinner(f"scoring {len(bundle.answers)} answers"):
        found = compute_results(bundle)
    failure: RaglineError | None = None
    recorded = None
    try:
        recorded = read_results(folder)
    except RaglineError as error:
        if check:
            raise
        failure = error
    if not check:
        write_results(folder, found)
        _report(folder, output)
    answers = f"{len(bundle.answers)} answers to {len(bundle.questions)} questions"
    if recorded is None:
        written = f"{folder / RESULTS} is written: {answers}, none recorded before to compare with"
        output.line(written)
        if failure is not None and not isinstance(failure, NotFound):
            output.problem(failure.message)
        return isinstance(failure, NotFound)
    differing = list_changes(recorded, found)
    if not differing:
        output.line(f"every figure is as it was recorded, bit for bit ({answers})")
        return True
    for each in differing[:SHOWN]:
        output.line(_line(each))
    if len(differing) > SHOWN:
        output.line(f"... and {len(differing) - SHOWN} more")
    then = "nothing was written" if check else f"{RESULTS} has the figures of this replay now"
    output.problem(f"{len(differing)} figures and sentences differ from those recorded: {then}")
    return False


def _report(folder: Path, output: Output) -> None:
    if not (folder / REPORT).exists():
        return
    try:
        report(folder, output)
    except NotSupported as error:
        output.problem(f"{folder / REPORT} is as it was: {error.message}")


def _line(change: Change) -> str:
    return f"{change.where}: {_value(change.recorded)} is now {_value(change.replayed)}"


def _value(value: object) -> str:
    return "nothing" if value is None else str(value)
