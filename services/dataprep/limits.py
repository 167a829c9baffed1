"""Limits that a parser process puts on itself, as far as its system has them."""

from __future__ import annotations

import contextlib
import math
import signal
import sys


def limit_process(memory_bytes: int) -> None:
    """Address space for good; no files to write, no core dumps; Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        for kind, amount in (
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (amount, amount))


def start_clocks(seconds: float) -> None:
    """Should the parent be gone or late, the kernel ends a file that takes too long."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        whole = math.ceil(seconds) + 1
        signal.alarm(whole)
        used = resource.getrusage(resource.RUSAGE_SELF)
        with contextlib.suppress(ValueError, OSError):
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + whole, hard))


def stop_clocks() -> None:
    """Waiting for the next job costs nothing."""
    if sys.platform != "win32":
        signal.alarm(0)
