"""A supervisor without a terminal: what `ragline up --detach` leaves behind, to start again what dies.

The command divides: one half goes on as the supervisor, in a session of its own; the other one shows what it
writes until the services are ready, and returns.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

from services.cli.local import process
from services.cli.local.process import ServiceRecord, StateFile

LOOK_SECONDS = 0.1
ENDED_SECONDS = 100.0
"""How long a supervisor may take to stop its services: the gateway's streams first, then the others."""
READY = b"1"


class Handover:
    """One division of the command; the supervisor's half calls `tell_ready`."""

    def __init__(self, log: Path) -> None:
        """Prepare it; `log` is where the supervisor writes. Its last one is kept as `.1`."""
        self._log = log
        self._pipe = -1
        self._child = 0

    def divide(self) -> int | None:
        """Divide this process, which must have no threads.

        Returns:
            None in the supervisor. In the command: 0 once the services are ready, else the supervisor's exit
            code, after its last words were shown.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        written = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        listens, self._pipe = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._child = os.fork()
        if self._child == 0:
            os.close(listens)
            self._leave_terminal(written)
            return None
        os.close(self._pipe)
        os.close(written)
        return self._follow(listens)

    def tell_ready(self) -> None:
        """Let the command return."""
        os.write(self._pipe, READY)
        os.close(self._pipe)

    def _leave_terminal(self, written: int) -> None:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source, target)
        os.close(nothing)
        os.close(written)

    def _follow(self, listens: int) -> int:
        """Show what the supervisor writes until it is ready or has ended; Ctrl-C ends it."""
        with self._log.open(encoding="utf-8", errors="replace") as lines:
            said: bytes | None = None
            while said is None:
                try:
                    if select.select([listens], [], [], LOOK_SECONDS)[0]:
                        said = os.read(listens, 1)
                except KeyboardInterrupt:
                    os.kill(self._child, signal.SIGTERM)
                sys.stdout.write(lines.read())
                sys.stdout.flush()
            os.close(listens)
            if said == READY:
                return 0
            _, status = os.waitpid(self._child, 0)
            sys.stdout.write(lines.read())
            sys.stdout.flush()
        return os.waitstatus_to_exitcode(status)


def note_supervisor(state_file: StateFile) -> None:
    """Write down that this process supervises services of the stack."""
    with state_file.change() as state:
        own = ServiceRecord(pid=os.getpid(), started=process.started_at(os.getpid()), port=0)
        state.supervisors = [*(one for one in state.supervisors if one.alive), own]


def stop_supervisors(state_file: StateFile) -> None:
    """End the supervisors of the stack, which stop their services; no service is started again meanwhile."""
    supervisors = state_file.read().supervisors
    for one in supervisors:
        process.terminate(one.pid, one.started)
    for one in supervisors:
        if not process.wait_gone(one.pid, one.started, ENDED_SECONDS):
            process.kill(one.pid, one.started)
