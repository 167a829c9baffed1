"""`ragline report`: a bundle as something to read."""

from __future__ import annotations

from pathlib import Path

from services.cli.console import Output
from services.core.errors import NotSupported


def report(folder: Path, output: Output) -> None:
    """Write the three files and name them. NotSupported where the extra `report` is not installed."""
    try:
        from pipelines.evaluation.report.writing import write_report  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise NotSupported(f"a report needs {error.name}: install the extra 'report'") from None
    with output.spinner("drawing the report"):
        paths = write_report(folder)
    for path in paths:
        output.line(str(path))
