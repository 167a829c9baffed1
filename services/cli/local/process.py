"""The processes of a stack, and the file that remembers which of them serves what.

A process is known by its pid and start time, so that a reused pid is never taken for one of ours.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.files import replace_atomically

SAME_START_SECONDS = 2.0
"""psutil derives start times from the boot time, which clock adjustments move a little."""

POLL_SECONDS = 0.05


def started_at(pid: int) -> float:
    """Start time in seconds since the epoch; 0 where the process is already gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def is_alive(pid: int, started: float) -> bool:
    """Whether the very process that had this pid at that start time still runs.

    A zombie does not, unless threads of it are left: an engine's outlive the first one by a moment, and hold
    its port and its files.
    """
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) <= SAME_START_SECONDS
        return same and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def terminate(pid: int, started: float) -> None:
    """Ask it to finish (SIGTERM); nothing happens where the pid is no longer that process."""
    if is_alive(pid, started):
        _send(pid, signal.SIGTERM)


def kill(pid: int, started: float) -> None:
    """End it and the processes of its session at once (SIGKILL); it was started as a session leader."""
    if not is_alive(pid, started):
        return
    try:
        leader = os.getpgid(pid) == pid
    except ProcessLookupError:
        return
    _send(-pid if leader else pid, signal.SIGKILL)


def wait_gone(pid: int, started: float, seconds: float) -> bool:
    """Wait until it has ended; False where it still runs after `seconds`."""
    end = time.monotonic() + seconds
    while is_alive(pid, started):
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Interrupts:
    """Signals that end the program, held back while a process starts: one that is not written down yet would
    be left behind."""

    def __init__(self) -> None:
        self._holds = self._has_come = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. Raises `KeyboardInterrupt`, at once or when nothing starts any more."""
        if not self._holds:
            raise KeyboardInterrupt
        self._has_come = True

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold signals back; their `KeyboardInterrupt` is raised at the end."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
        if self._has_come:
            self._has_come = False
            raise KeyboardInterrupt


class ServiceRecord(BaseModel):
    """One process that we started. `leaving`: it is being stopped on purpose, its end is no accident."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    port: int
    leaving: bool = False

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.started)


class StackRecord(BaseModel):
    """`services` by name; `external`: the URLs of the services that are not ours to run; `supervisors`: the
    processes without a terminal that start services again."""

    services: dict[str, ServiceRecord] = Field(default_factory=dict)
    external: dict[str, str] = Field(default_factory=dict)
    supervisors: list[ServiceRecord] = Field(default_factory=list)

    @property
    def alive(self) -> bool:
        return any(record.alive for record in self.services.values())


class StateFile:
    """`RAGLINE_HOME/run/stack.json`; removed when no service is left."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> StackRecord:
        """An empty record where there is no file, or none that can be read."""
        try:
            return StackRecord.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return StackRecord()

    @contextmanager
    def change(self) -> Iterator[StackRecord]:
        """The record to modify; written back at the end. One process at a time."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            record = self.read()
            yield record
            if not record.services:
                self._path.unlink(missing_ok=True)
                return
            replace_atomically(self._path, record.model_dump_json(indent=1))
