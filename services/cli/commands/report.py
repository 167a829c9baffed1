"""Write a run's report into its folder.

The report is report.html, report.md and report.json. The HTML is one file that loads nothing from anywhere:
open it, send it, print it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.evaluation.bundle.recorded import read_results
from services.cli.console import Output
from services.core.errors import NotSupported

PANEL = "Measure"


def command(bundle: Annotated[Path, typer.Argument(help="The folder of a run.")]) -> None:
    report(bundle, Output.standard())


def report(folder: Path, output: Output, *, say_verdict: bool = True) -> None:
    """Write the three files, and print the verdicts and their paths.

    Raises `NotSupported` where the extra `report` is not installed.
    """
    try:
        from pipelines.evaluation.report.writing import write_report  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise NotSupported(f"a report needs {error.name}: install the extra 'report'") from None
    with output.spinner("drawing the report"):
        paths = write_report(folder)
    if say_verdict:
        for swap in read_results(folder).swaps:
            output.line(swap.sentence, style="bold")
    for path in paths:
        output.line(str(path))
