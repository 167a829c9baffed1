"""What each test file costs in processor seconds, printed after every run: where the time of `make test` goes.

Processes that a file starts count where they end: one that several files share counts in the last of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

SHOWN = 20


def used_seconds() -> float:
    """Return what this process and those of its children that have ended have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class ProcessorTime:
    """Measures in each worker; the reports carry it to the process that prints."""

    def __init__(self) -> None:
        self._last = used_seconds()
        self._seconds: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        now = used_seconds()
        report.processor_seconds, self._last = now - self._last, now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid.split("::")[0]] += getattr(report, "processor_seconds", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"processor seconds of tests: {self._seconds.total():.0f}")
        for file, seconds in self._seconds.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:7.1f} {file}")
