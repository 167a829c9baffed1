"""Unpacking, the service's side: writes what a parser process reads out of an archive into a folder."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from services.core.errors import InvalidRequest, PayloadTooLarge, RaglineError, UnsupportedMedia
from services.dataprep.parsing.document import Limits, Reason
from services.dataprep.parsing.protocol import Piece

_ERRORS: dict[Reason, type[RaglineError]] = {
    "invalid": InvalidRequest,
    "unsupported": UnsupportedMedia,
    "too_large": PayloadTooLarge,
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive. Its `name`, `archive.zip/inner/path.md`, is the document's and still to be
    checked as any name that is offered; `path` is a file of a number as its name. Where `error` is set the
    file cannot be ingested, and what is at `path` means nothing.
    """

    name: str
    path: Path
    size: int
    sha256: str
    error: RaglineError | None = None


class Unpacking:
    """Takes the frames of one expand job in order, until `take` returns True."""

    def __init__(self, name: str, folder: Path, limits: Limits) -> None:
        self.members: list[Member] = []
        self._name = name
        self._folder = folder
        self._limits = limits
        self._left = limits.expanded_bytes
        self._open: _Writing | None = None

    async def take(self, frame: bytes) -> bool:
        """Whether this was the last. Raises the archive's error, or `EOFError` for what is no such frame."""
        kind, body = frame[:1], frame[1:]
        if kind == Piece.MEMBER:
            self._finish()
            if len(self.members) >= self._limits.members:
                raise EOFError  # the process counts too: one that goes on is not to be trusted
            path = self._folder / str(len(self.members))
            self._open = _Writing(f"{self._name}/{body.decode()}", path, path.open("xb"))
        elif kind == Piece.DATA and self._open is not None:
            self._left -= len(body)
            if self._left < 0:
                raise EOFError
            await asyncio.to_thread(self._open.write, body)
        elif kind == Piece.PROBLEM and self._open is not None:
            self._open.error = failure(self._open.name, body)
        elif kind == Piece.FAILED:
            raise failure(self._name, body)
        elif kind == Piece.END:
            self._finish()
            return True
        else:
            raise EOFError
        return False

    def close(self) -> None:
        self._finish()

    def _finish(self) -> None:
        if self._open is not None:
            self.members.append(self._open.finish())
            self._open = None


class _Writing:
    def __init__(self, name: str, path: Path, out: BinaryIO) -> None:
        self.name = name
        self.error: RaglineError | None = None
        self._path = path
        self._out = out
        self._size = 0
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        try:
            self._out.write(data)
        except OSError as error:  # the service's disk, not the archive
            raise RaglineError(f"{self.name} cannot be unpacked: {error}") from None
        self._hash.update(data)
        self._size += len(data)

    def finish(self) -> Member:
        self._out.close()
        return Member(self.name, self._path, self._size, self._hash.hexdigest(), self.error)


def failure(name: str, body: bytes) -> RaglineError:
    """The error that a parser process's failure, as JSON, stands for."""
    answer = orjson.loads(body)
    reason: Reason = answer["reason"]
    return _ERRORS[reason](f"{name} {answer['message']}")
