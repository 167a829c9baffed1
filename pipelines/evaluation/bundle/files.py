"""Records as lines of files that survive a kill: appended and synced one by one, read strictly."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel, ValidationError

from services.core.errors import InvalidRequest, NotFound
from services.core.files import replace_atomically, sync_folder

MANIFEST, QUESTIONS, CONTEXTS, ANSWERS = "manifest.json", "questions.jsonl", "contexts.jsonl", "answers.jsonl"
VERDICTS, RESULTS = "verdicts.jsonl", "results.json"

R = TypeVar("R", bound=BaseModel)


def encode_line(record: BaseModel) -> bytes:
    """A record as a line of JSON; what is None is left out."""
    return record.model_dump_json(exclude_none=True).encode() + b"\n"


def replace_lines(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records to a file in one step, in place of what was there."""
    replace_atomically(path, b"".join(map(encode_line, records)))


def read_lines(path: Path, kind: type[R], *, growing: bool = False) -> tuple[R, ...]:
    """Read the records of a file.

    Args:
        path: The file.
        kind: What each line is.
        growing: A run may be writing it: a last line without its end is left out.

    Raises:
        NotFound: There is no such file.
        InvalidRequest: A line is not a record, which is named, or the last line was cut.
    """
    content = _read(path)
    if growing:
        content = content[: content.rfind(b"\n") + 1]
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
    """Read one record; InvalidRequest names its place and the first thing that is wrong with it."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"{place}: {where + ': ' if where else ''}{first['msg']}") from None


class Journal:
    """A file that records are appended to: each one is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self._file = path.open("ab")
        if new:
            sync_folder(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, record: BaseModel) -> None:
        """Write a record and return when it is on the disk."""
        self._file.write(encode_line(record))
        self._file.flush()
        os.fsync(self._file.fileno())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"no file {path}: a bundle has one") from None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
