"""How far a long run is: bars with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from pipelines.evaluation.runner import Count
from services.cli.console import Output, harmless

EVERY_SECONDS = 30.0
RECENT = 50
"""Steps that the time left is reckoned from."""


class Meter:
    """Shows how far a run is, as its `Watcher`. Each column of a stage has its bar, and its own pace."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bars: _Bars | None = None
        self._columns: dict[str, _Column] = {}
        self._title = ""
        self._told = 0.0
        self._noted = -EVERY_SECONDS

    def __enter__(self) -> Self:
        if self._output.out.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self._bars = _Bars(*columns, console=self._output.out)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        elif kind is None:
            self._print_line(final=True)

    def say(self, text: str) -> None:
        self._output.line(text)

    def note(self, text: str) -> None:
        """Show a line below the bars, in place of the one before; elsewhere print it now and then."""
        if self._bars is not None:
            self._bars.note = harmless(text)
        elif time.monotonic() - self._noted >= EVERY_SECONDS:
            self._noted = time.monotonic()
            self._output.line(text)

    def begin(self, title: str, columns: Mapping[str, Count]) -> None:
        if self._bars is None:
            self._print_line(final=True)
        self._title = title
        for column in self._columns.values():
            if self._bars is not None and column.task is not None:
                self._bars.update(column.task, visible=False)
        self._columns = {name: _Column(count) for name, count in columns.items()}
        self._told = time.monotonic()
        for name, column in self._columns.items():
            if self._bars is not None:
                label = title if name == title else f"{title} {name}"
                column.task = self._bars.add_task(label, total=column.total, completed=column.done, left="")

    def advance(self, column: str, *, failed: bool = False) -> None:
        counted = self._columns[column]
        counted.step(failed=failed)
        if self._bars is not None and counted.task is not None:
            self._bars.update(counted.task, completed=counted.done, left=counted.left)
        elif time.monotonic() - self._told >= EVERY_SECONDS:
            self._print_line()

    def _print_line(self, *, final: bool = False) -> None:
        """Print one line with all columns; the last one of a stage says no time."""
        self._told = time.monotonic()
        parts = []
        for name, column in self._columns.items():
            label = "" if name == self._title else f"{name} "
            left = "" if final or not column.left else f", {column.left}"
            parts.append(f"{label}{column.done}/{column.total}{left}")
        if parts:
            self._output.line(f"{self._title}: {'; '.join(parts)}")
            self._columns = {} if final else self._columns


class _Bars(Progress):
    """Bars with a line of text below them."""

    note = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.note:
            yield Text(self.note)


class _Column:
    """Counts, and the pace of the last steps."""

    def __init__(self, count: Count) -> None:
        self.done, self.total = count.done, count.total
        self.failed = 0
        self.task: TaskID | None = None
        self._times = [time.monotonic()]

    def step(self, *, failed: bool) -> None:
        self.done += 1
        self.failed += failed
        self._times = [*self._times[-RECENT:], time.monotonic()]

    @property
    def left(self) -> str:
        failures = f", {self.failed} failed" if self.failed else ""
        steps = len(self._times) - 1
        if not steps or self.done >= self.total:
            return failures.removeprefix(", ")
        pace = (self._times[-1] - self._times[0]) / steps
        return f"{_format_span(pace * (self.total - self.done))} left{failures}"


def _format_span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )
