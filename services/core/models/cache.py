"""The verified cache: a model's folder and the stamp that says which of its files were hashed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from services.core.models.catalogue import CatalogueEntry, ModelFile

CHUNK_BYTES = 1 << 20


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelCache:
    """One model's folder. A file whose size and mtime are those of its stamp is not hashed again."""

    def __init__(self, entry: CatalogueEntry, folder: Path) -> None:
        self._entry = entry
        self._folder = folder
        self._stamp = folder / ".verified.json"

    def missing(self) -> list[ModelFile]:
        """The files that are absent or not the catalogue's bytes; hashes what has no valid stamp."""
        stamps = self._read()
        missing: list[ModelFile] = []
        fresh = False
        for file in self._entry.files:
            path = self._folder / file.path
            try:
                stat = path.stat()
            except FileNotFoundError:
                missing.append(file)
                continue
            stamp = f"{file.sha256} {stat.st_size} {stat.st_mtime_ns}"
            if stamps.get(file.path) == stamp:
                continue
            if stat.st_size != file.size or sha256(path) != file.sha256:
                missing.append(file)
                continue
            stamps[file.path] = stamp
            fresh = True
        if fresh:
            self._write(stamps)
        return missing

    def enter(self, file: ModelFile, staged: Path) -> None:
        """Move a verified file into the cache, atomically."""
        path = self._folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(path)
        stat = path.stat()
        self._write({**self._read(), file.path: f"{file.sha256} {stat.st_size} {stat.st_mtime_ns}"})

    def _read(self) -> dict[str, str]:
        try:
            raw = json.loads(self._stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(stamp) for name, stamp in raw.items()} if isinstance(raw, dict) else {}

    def _write(self, stamps: dict[str, str]) -> None:
        temporary = self._stamp.with_suffix(".tmp")
        with contextlib.suppress(OSError):  # a read-only cache works; it is only hashed at every start
            temporary.write_text(json.dumps(stamps, indent=1), "utf-8")
            temporary.replace(self._stamp)
