"""Which documents came from a watched folder: a small file that outlives the watching."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """The document of a file, its revision when it came from here, and the SHA-256 of the file then.

    An empty `revision`: it was sent, and never heard to be ingested.
    """

    document_id: str
    revision: str = ""
    digest: str = ""


class Watched:
    """By name; `save` makes changes durable."""

    def __init__(self, path: Path, files: dict[str, WatchedFile]) -> None:
        self._path = path
        self._files = files

    @classmethod
    def load(cls, records: Path, folder: Path, collection: str, gateway: str) -> Watched:
        """What is known of this folder in this collection of this gateway."""
        name = hashlib.sha256(f"{folder}\n{collection}\n{gateway}".encode()).hexdigest()[:16]
        path = records / f"{name}.json"
        try:
            stored = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            stored = {}
        return cls(path, {name: WatchedFile(**file) for name, file in stored.items()})

    @property
    def names(self) -> set[str]:
        return set(self._files)

    def get(self, name: str) -> WatchedFile:
        return self._files[name]

    def digest(self, name: str) -> str:
        """Of the file as it was last ingested; empty where it was not."""
        file = self._files.get(name)
        return file.digest if file else ""

    def begin(self, name: str, document: str) -> None:
        """It is about to be sent; what it was stays known until it has been ingested."""
        before = self._files.get(name, WatchedFile(document))
        self._files[name] = replace(before, digest="")

    def put(self, name: str, file: WatchedFile) -> None:
        self._files[name] = file

    def remove(self, name: str) -> None:
        self._files.pop(name, None)

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(orjson.dumps({name: asdict(each) for name, each in self._files.items()}))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
