"""Accepted files on disk, each until it has been ingested. Blocking.

<folder>/.incoming-<hex>/      an upload that is being received
<folder>/<job>/<index>         an accepted file
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from services.core.files import sync_file, sync_folder

INCOMING = ".incoming-"


class Spool:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder to receive into, on the same disk; it is removed at the end with what is left in it."""
        folder = self.folder / f"{INCOMING}{uuid.uuid4().hex}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def adopt(self, job: str, files: Mapping[int, Path]) -> None:
        """Move these files in, by their index; they survive a power failure when this returns."""
        folder = self.folder / job
        folder.mkdir()
        for index, path in files.items():
            sync_file(path)
            path.rename(folder / str(index))
        sync_folder(folder)
        sync_folder(self.folder)

    def path(self, job: str, index: int) -> Path:
        return self.folder / job / str(index)

    def remove(self, job: str, index: int) -> None:
        path = self.path(job, index)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # others are left in it
            path.parent.rmdir()

    def sweep(self, accepted: Collection[tuple[str, int]]) -> None:
        """Remove all but these: what a process that was killed had received and not accepted, or finished."""
        named = {self.path(job, index) for job, index in accepted}
        folders = {path.parent for path in named}
        for folder in self.folder.iterdir():
            if folder not in folders:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for path in folder.iterdir():
                if path not in named:
                    path.unlink()
