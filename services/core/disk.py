"""The space that writes leave on a disk.

Stores that map files into memory die of SIGBUS on a full disk, and others stop in the middle of something. So
a write is refused before the store is touched, while there is still room for what goes on: the end of writes
under way, deletions, the store's own files.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from services.core.errors import DiskFull

SMALL = 4
"""What adds nothing for long, such as a deletion, may use the reserve down to one part in so many."""
RETRY_SECONDS = 30.0

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskGuard:
    """Watches the disk of a folder; `least` bytes of it stay free."""

    def __init__(self, folder: Path, least: int) -> None:
        self.folder = folder
        self.least = least

    def check(self, more: int = 0) -> None:
        """Raise `DiskFull` where `more` bytes would leave too little."""
        self._require(self.least + more)

    def check_small(self) -> None:
        """Raise `DiskFull` where there is no space even for what adds nothing for long."""
        self._require(self.least // SMALL)

    def has(self, more: int) -> bool:
        """Whether `more` bytes would leave enough."""
        return count_free(self.folder) >= self.least + more

    def _require(self, wanted: int) -> None:
        free = count_free(self.folder)
        if free < wanted:
            raise DiskFull(
                f"the disk of {self.folder} has {free / 1e6:,.0f} MB left, and {wanted / 1e6:,.0f} MB are "
                "needed (DISK_FREE_BYTES): free some; what is stored can be read",
                retry_after=RETRY_SECONDS,
            )


def count_free(folder: Path) -> int:
    """Count the bytes that this process may still write to a folder's disk."""
    if os.name == "nt":
        return shutil.disk_usage(folder).free
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def is_full(error: BaseException) -> bool:
    """Whether an error of the system or of SQLite says that the disk is full."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def explain_full(error: BaseException) -> DiskFull:
    """Make the error of a write that the system refused, as `is_full` finds it."""
    where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    return DiskFull(
        f"the disk is full{where}: free some; what is stored can be read", retry_after=RETRY_SECONDS
    )
