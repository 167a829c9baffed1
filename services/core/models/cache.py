"""What is known of the model files on disk: which are verified, and what the first fetch of others found."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from services.core.files import publish, replace_atomically
from services.core.models.files import CatalogueEntry, ModelFile, Source, UnknownModel


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelCache:
    """One model's folder. A file whose size and mtime are those of its stamp is not hashed again."""

    def __init__(self, entry: CatalogueEntry, folder: Path) -> None:
        self._entry = entry
        self._folder = folder
        self._stamp = folder / ".verified.json"

    def find_missing(self) -> list[ModelFile]:
        """Find the files that are absent or not the catalogue's bytes; hashes what has no valid stamp."""
        stamps = self._read_stamps()
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
            if file.sha256 and stamps.get(file.path) == stamp:
                continue
            if stat.st_size != file.size or sha256(path) != file.sha256:
                missing.append(file)
                continue
            stamps[file.path] = stamp
            fresh = True
        if fresh:
            self._write_stamps(stamps)
        return missing

    def enter(self, file: ModelFile, staged: Path) -> None:
        """Move a verified file into the cache, atomically, and on the disk before its stamp says so."""
        path = self._folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(staged, path)
        stat = path.stat()
        stamp = f"{file.sha256} {stat.st_size} {stat.st_mtime_ns}"
        self._write_stamps({**self._read_stamps(), file.path: stamp})

    def _read_stamps(self) -> dict[str, str]:
        try:
            raw = json.loads(self._stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(stamp) for name, stamp in raw.items()} if isinstance(raw, dict) else {}

    def _write_stamps(self, stamps: dict[str, str]) -> None:
        with contextlib.suppress(OSError):  # a read-only cache works; it is only hashed at every start
            replace_atomically(self._stamp, json.dumps(stamps, indent=1))


class Pin(BaseModel):
    """What the first fetch of a file found; the model's other files have none."""

    sha256: str
    size: int
    source: str


@dataclass(frozen=True, slots=True)
class Pins:
    """The recorded hashes of models that the catalogue does not pin, a file for each in `folder`."""

    folder: Path

    def apply(self, model: CatalogueEntry) -> CatalogueEntry:
        """Return the model with its recorded hash, where it needs one and there is one."""
        if all(file.sha256 for file in model.files):
            return model
        path = self._path(model)
        try:
            pin = Pin.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return model
        except ValidationError as error:
            raise UnknownModel(f"{path} is no record of a model's hash: restore it, or delete it") from error
        said = f"its first fetch recorded (delete {path} to take other bytes)"
        file = replace(model.files[0], sha256=pin.sha256, size=pin.size, pin=said)
        return replace(model, files=(file,))

    def record(self, model: CatalogueEntry, sha256: str, size: int, source: Source) -> None:
        """Record what was fetched; from now on it is the pin."""
        self.folder.mkdir(parents=True, exist_ok=True)
        pin = Pin(sha256=sha256, size=size, source=str(source))
        replace_atomically(self._path(model), pin.model_dump_json(indent=1))

    def _path(self, model: CatalogueEntry) -> Path:
        return self.folder / f"{model.name}.json"
