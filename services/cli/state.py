"""The state file of a running stack: which process serves what, for `down`, `status` and `restart`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.cli import process


class ServiceRecord(BaseModel):
    """One process that we started. `leaving`: it is being stopped on purpose, its end is no accident."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    port: int
    leaving: bool = False

    @property
    def alive(self) -> bool:
        return process.is_alive(self.pid, self.started)


class StackRecord(BaseModel):
    """`services` by name; `external`: the URLs of the services that are not ours to run."""

    services: dict[str, ServiceRecord] = Field(default_factory=dict)
    external: dict[str, str] = Field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return any(record.alive for record in self.services.values())


class StateFile:
    """`RAGLINE_HOME/run/stack.json`; removed when no service is left."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> StackRecord:
        """An empty record where there is no file, or none that can be read."""
        try:
            return StackRecord.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return StackRecord()

    @contextmanager
    def change(self) -> Iterator[StackRecord]:
        """The record to modify; written back at the end. One process at a time."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            record = self.read()
            yield record
            if not record.services:
                self._path.unlink(missing_ok=True)
                return
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text(record.model_dump_json(indent=1), "utf-8")
            temporary.replace(self._path)
