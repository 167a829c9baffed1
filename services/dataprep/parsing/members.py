"""The files of an archive, as the service receives them from a parser process that reads the archive."""

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
class UnpackedFile:
    """A file of an archive.

    Its `name`, `archive.zip/inner/path.md`, is the document's and still to be checked as any name that is
    offered; `path` is a file with a number for its name. Where `error` is set the file cannot be ingested,
    and what is at `path` means nothing.
    """

    name: str
    path: Path
    size: int
    sha256: str
    error: RaglineError | None = None


class ArchiveReceiver:
    """Takes the frames of one unpack task in order, until `take` returns True, and writes files."""

    def __init__(self, name: str, folder: Path, limits: Limits) -> None:
        self.files: list[UnpackedFile] = []
        self._name = name
        self._folder = folder
        self._limits = limits
        self._left = limits.expanded_bytes
        self._open: _FileWriter | None = None

    async def take(self, frame: bytes) -> bool:
        """Tell whether this was the last. Raises the archive's error, or `EOFError` for no such frame."""
        kind, body = frame[:1], frame[1:]
        if kind == Piece.MEMBER:
            self._finish_file()
            if len(self.files) >= self._limits.members:
                raise EOFError  # the process counts too: one that goes on is not to be trusted
            path = self._folder / str(len(self.files))
            self._open = _FileWriter(f"{self._name}/{body.decode()}", path, path.open("xb"))
        elif kind == Piece.DATA and self._open is not None:
            self._left -= len(body)
            if self._left < 0:
                raise EOFError
            await asyncio.to_thread(self._open.write, body)
        elif kind == Piece.PROBLEM and self._open is not None:
            self._open.error = decode_failure(self._open.name, body)
        elif kind == Piece.FAILED:
            raise decode_failure(self._name, body)
        elif kind == Piece.END:
            self._finish_file()
            return True
        else:
            raise EOFError
        return False

    def close(self) -> None:
        """Close the file that was being written."""
        self._finish_file()

    def _finish_file(self) -> None:
        if self._open is not None:
            self.files.append(self._open.finish())
            self._open = None


class _FileWriter:
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

    def finish(self) -> UnpackedFile:
        self._out.close()
        return UnpackedFile(self.name, self._path, self._size, self._hash.hexdigest(), self.error)


def decode_failure(name: str, body: bytes) -> RaglineError:
    """Make the error that a parser process's failure, as JSON, stands for."""
    answer = orjson.loads(body)
    reason: Reason = answer["reason"]
    return _ERRORS[reason](f"{name} {answer['message']}")
