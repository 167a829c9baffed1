"""`ragline models`: the catalogue, and fetching with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from services.cli.console import Output
from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import Fetcher, location
from services.core.models.progress import Progress, ProgressCallback

STEP_PERCENT = 10


def show(home: Path, output: Output) -> None:
    """Print the catalogue, and which models are already here."""
    fetcher = Fetcher(home)
    rows = [["name", "kind", "size", "licence", "here", "description"]]
    for entry in CATALOGUE.values():
        here = "yes" if fetcher.present(entry.name) else "no"
        rows.append([entry.name, entry.kind, megabytes(entry.size), entry.licence, here, entry.description])
    output.table(rows)


def fetch(names: Sequence[str], home: Path, output: Output) -> None:
    """Fetch these models; those that are here cost nothing and are not mentioned."""
    fetcher = Fetcher(home)
    for name in names:
        if fetcher.present(name):
            continue
        output.line(f"fetching {name} ({megabytes(CATALOGUE[name].size)})")
        with _progress(output) as report:
            fetcher.fetch(name, progress=report)
        output.line(f"{name} is at {location(CATALOGUE[name], home)}")


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


@contextmanager
def _progress(output: Output) -> Iterator[ProgressCallback]:
    if not output.out.is_terminal:
        yield _Lines(output)
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=output.out, transient=True) as bars:
        task = bars.add_task("", total=None)

        def report(progress: Progress) -> None:
            bars.update(task, description=progress.note, completed=progress.done, total=progress.total)

        yield report


class _Lines:
    """Progress for a pipe: one line every ten percent, and for each new kind of wait."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said: tuple[int, str] = (-1, "")

    def __call__(self, progress: Progress) -> None:
        step = 100 * progress.done // max(1, progress.total) // STEP_PERCENT
        waiting = progress.note if progress.note.startswith("waiting") else ""
        if step > self._said[0] or waiting != self._said[1]:
            self._said = (max(step, self._said[0]), waiting)
            self._output.line(f"  {step * STEP_PERCENT:3d} %  {progress.note}")
