"""Files that are replaced in one step, and are on the disk when the call returns."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def replace_atomically(path: Path, content: bytes | str, *, mode: int = 0o666) -> None:
    """Write a file in one step, so that a reader, also one after a power cut, finds the old or the new one.

    Args:
        path: The file. Its folder must exist.
        content: The whole of the new file; text is written as UTF-8.
        mode: Who may read and write it, from its first byte on; what the umask takes away is taken away.

    Raises:
        OSError: The file cannot be written. The old one is still there.
    """
    # a name of its own for each writer: two that shared one would publish each other's half
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def publish(part: Path, path: Path) -> None:
    """Give a file that has been written beside its place its name, in one step and durably.

    Args:
        part: The finished file, on the same file system.
        path: What it shall be called; a file of that name is replaced.

    Raises:
        OSError: It cannot be moved.
    """
    sync_file(part)
    part.replace(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Return when a file's content is on the disk. Raises `OSError`."""
    # Windows flushes only what is open for writing
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when a folder's names are on the disk; do nothing where folders cannot be opened (Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
