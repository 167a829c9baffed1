"""How far a fetch of a model is, and what can go wrong with it.

NotFound
  UnknownModel          404  unknown_model      no such name in the catalogue
ServiceUnavailable
  ModelUnavailable      503  model_unavailable  every source failed; each is named with its reason
RaglineError
  NotEnoughDisk         507  not_enough_disk
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import NotFound, RaglineError, ServiceUnavailable


class UnknownModel(NotFound):
    code = "unknown_model"


class ModelUnavailable(ServiceUnavailable):
    code = "model_unavailable"


class NotEnoughDisk(RaglineError):
    status, code = 507, "not_enough_disk"


class SourceFailed(Exception):
    """One source did not give its file; the next one is tried. `str()` says why."""


POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` bytes of the whole model; `note` says what is happening now."""

    model: str
    file: str
    done: int
    total: int
    note: str


ProgressCallback = Callable[[Progress], None]
BytesCallback = Callable[[int, str], None]
"""Told how many bytes of the current file are here, and what is happening."""


def folder_size(folder: Path) -> int:
    """Bytes of the files below; a file or a folder that vanishes meanwhile counts nothing."""
    total = 0
    for inside, _, files in os.walk(folder):  # it passes over folders that it cannot enter, as rglob does not
        for name in files:
            with suppress(FileNotFoundError):
                total += (Path(inside) / name).stat().st_size
    return total


@contextmanager
def watch(folder: Path, report: Callable[[int], None]) -> Iterator[None]:
    """Report the folder's growth while a download fills it: neither pip nor the hub's client calls back."""
    start = folder_size(folder)
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(POLL_SECONDS):
            report(max(0, folder_size(folder) - start))

    thread = threading.Thread(target=poll, name="fetch-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
