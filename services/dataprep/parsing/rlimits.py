"""Limits that a parser process puts on itself, as far as its system has them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import mmap
import signal
import sys
from pathlib import Path

KEPT_BYTES = 64 * 1024 * 1024
"""So much more than at its start, for the parsers' libraries, a process may keep between two files."""


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


class Memory:
    """Gives back what large files took, which the C library would keep for as long as the process lives."""

    def __init__(self) -> None:
        self._few = _resident() + KEPT_BYTES

    def release(self) -> None:
        """Where it is much; looking costs microseconds, giving back tens of milliseconds."""
        if _resident() > self._few:
            gc.collect()
            with contextlib.suppress(OSError, AttributeError):  # only glibc has it
                ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    """Resident bytes of this process; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * mmap.PAGESIZE
