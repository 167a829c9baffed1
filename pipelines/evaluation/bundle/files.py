"""Lines on disk that survive a kill: appended and synced one by one, rewritten in one step, read strictly."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel, ValidationError

from services.core.errors import InvalidRequest, NotFound

R = TypeVar("R", bound=BaseModel)


def encode_line(record: BaseModel) -> bytes:
    """A record as a line of JSON; what is None is left out."""
    return record.model_dump_json(exclude_none=True).encode() + b"\n"


def replace(path: Path, content: bytes) -> None:
    """Write a file in one step: whoever reads it, or comes after a kill, finds the old or the new one."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def replace_lines(path: Path, records: Iterable[BaseModel]) -> None:
    replace(path, b"".join(map(encode_line, records)))


def read_lines(path: Path, kind: type[R]) -> tuple[R, ...]:
    """The records of a file. NotFound where there is none; InvalidRequest names a line that is not one,
    and a last line that was cut."""
    content = _content(path)
    if content and not content.endswith(b"\n"):
        raise InvalidRequest(f"{path} ends in the middle of a line: the run that wrote it was stopped")
    return tuple(
        parse_record(kind, text, f"{path}, line {number}")
        for number, text in enumerate(content.split(b"\n"), start=1)
        if text.strip()
    )


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end, which a kill left behind; fine where there is no file."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())


def parse_record(kind: type[R], text: bytes, place: str) -> R:
    """One record; InvalidRequest names its place and the first thing that is wrong with it."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"{place}: {where + ': ' if where else ''}{first['msg']}") from None


class Journal:
    """Records appended to a file: each one is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self._file = path.open("ab")
        if new:
            _sync_folder(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, record: BaseModel) -> None:
        self._file.write(encode_line(record))
        self._file.flush()
        os.fsync(self._file.fileno())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"no file {path}: a bundle has one") from None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    """So that a new name survives a power cut. No-op where folders cannot be opened (Windows)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
