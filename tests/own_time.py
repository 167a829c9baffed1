"""A clock that leaves out what the processors did for others, so that a bound means the same beside another worker."""

from __future__ import annotations

import os
import time

import psutil


class OwnTime:
    """Seconds since it was made, less those in which the machine's processors worked for other processes.

    On an idle machine these are wall seconds. An engine that waits for nothing is not excused: time in which the
    processors rest counts in full.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._others = _seconds_of_others()

    def seconds(self) -> float:
        processors = os.cpu_count() or 1
        passed = time.monotonic() - self._began
        return passed - max(0.0, _seconds_of_others() - self._others) / processors


def _seconds_of_others() -> float:
    """Processor seconds of all processes but this one and its children, and of other machines on this host."""
    machine = psutil.cpu_times()
    resting = machine.idle + getattr(machine, "iowait", 0.0)
    inside = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)  # in user and nice already
    process = psutil.Process()
    own = sum(map(_seconds_of, (process, *process.children(recursive=True))))
    return sum(machine) - resting - inside - own


def _seconds_of(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:2])
    except psutil.NoSuchProcess:  # it has ended since it was listed
        return 0.0
