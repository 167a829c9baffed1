"""The engine's log of writes, which it keeps in memory-mapped files, brought to the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class WriteLog:
    """The files of `folder`, held open between calls; one thread calls all of these."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def sync(self) -> bool:
        """Bring what was logged to the disk.

        False where there are other files than at the last `hold`, of which a power failure might leave
        no name; nothing is done then.
        """
        if not self._held or self._names() != self._held.keys():
            return False
        for descriptor in self._held.values():
            os.fdatasync(descriptor)
        return True

    def hold(self) -> None:
        """The files that are there now, their names on the disk."""
        self.close()
        for name in self._names():
            with suppress(FileNotFoundError):  # the engine gave it another name just now
                self._held[name] = os.open(self._folder / name, os.O_RDONLY)
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _names(self) -> set[str]:
        """Of the files that writes go to; `first-index` only tells where the log begins."""
        return {path.name for path in self._folder.glob("open-*")}

    def close(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])
