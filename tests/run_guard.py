"""Ends what a test run started and did not end: also where the run itself was killed.

Every process of a run carries the run's mark in its environment, services and their children too. A guard, a
process of its own, holds one end of a pipe whose other end only pytest holds: when pytest is gone, however it
ended, the pipe is closed and the guard kills every process with the mark. A run that ends by itself looks for
what is left and fails where it finds something.

    python tests/run_guard.py MARK
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

VARIABLE = "RAGLINE_TEST_RUN"
"""Holds the marks of the run and, where a test runs pytest, of the runs around it, with slashes between."""

GRACE_SECONDS = 5.0
"""For processes that are told to end just when the run does."""


def bare_environment() -> dict[str, str]:
    """Return an environment without the machine's settings, in which what a test starts still carries the mark."""
    return {name: os.environ[name] for name in ("PATH", VARIABLE) if name in os.environ}


def carries(process: psutil.Process, mark: str) -> bool:
    """Whether the process was started by the run with this mark, or by one that was."""
    try:
        return (
            mark in process.environ().get(VARIABLE, "").split("/")
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def survivors(mark: str) -> list[psutil.Process]:
    """Every process of the run that is alive, and all of their children, whatever their environment holds."""
    marked = [process for process in psutil.process_iter() if carries(process, mark)]
    found = {process.pid: process for process in marked}
    for process in marked:
        try:
            found |= {child.pid: child for child in process.children(recursive=True)}
        except psutil.Error:
            continue
    found.pop(os.getpid(), None)
    return list(found.values())


def kill_all(mark: str) -> None:
    """Kill the run's processes until none is left: one may have started another a moment ago."""
    while left := survivors(mark):
        for process in left:
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(left, timeout=1)


def describe(process: psutil.Process) -> str:
    try:
        return f"pid {process.pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"pid {process.pid}"


@dataclass(frozen=True)
class Guard:
    """A started guard, seen from the run."""

    mark: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls) -> Guard:
        """Mark this process's environment, so that all that it starts from now on carries the mark."""
        around = os.environ.get(VARIABLE, "")
        mark = uuid4().hex
        command = [sys.executable, str(Path(__file__).resolve()), mark]
        # of a session of its own: Ctrl-C must not reach it
        process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        os.environ[VARIABLE] = f"{around}/{mark}" if around else mark
        return cls(mark, process)

    def leftovers(self) -> list[str]:
        """Descriptions of the run's processes that do not end by themselves within a moment."""
        end = time.monotonic() + GRACE_SECONDS
        while (left := survivors(self.mark)) and time.monotonic() < end:
            time.sleep(0.1)
        return [describe(process) for process in left]

    def stop(self) -> None:
        """Let the guard kill what is left, and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill_all(sys.argv[1])


if __name__ == "__main__":
    main()
