"""A parser process: reads tasks on stdin, parses and chunks or unpacks, writes the results to stdout.

It imports the parsers and nothing of the service, holds no secrets and limits itself: memory for good,
processor time and wall time for every file, and no network, no program and no other files, as far as its
system has such limits. It writes a frame that says which of the last are in force when it is ready. Results
are JSON, so that the parent reads nothing but data from a process that a hostile file may have taken over. It
ends when stdin does.

Run as `python -m services.dataprep.parsing.process MEMORY_BYTES [FOLDER]`; the folder is that of the files.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import math
import mmap
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import BinaryIO

import langchain_text_splitters  # noqa: F401 - `chunk` needs it, and no document's clock is to pay for it

from services.dataprep.parsing import archives, registry
from services.dataprep.parsing.chunking import chunk
from services.dataprep.parsing.document import Unparsable
from services.dataprep.parsing.isolation import isolate
from services.dataprep.parsing.protocol import HEADER, Piece, Task, frame

TOO_DEEP = "nests its parts too deeply to be read: simplify it"
NO_MEMORY = "needs more memory to parse than DATAPREP_PARSE_BYTES allows: split it"

KEPT_BYTES = 64 * 1024 * 1024
"""So much more than at its start, for the parsers' libraries, a process may keep between two files."""


def main(memory_bytes: int, readable: Path | None = None) -> None:
    """Do the tasks on stdin until it ends."""
    sys.dont_write_bytecode = True
    limit_process(memory_bytes)
    in_force = isolate(readable)
    memory = MemoryTrimmer()
    with os.fdopen(os.dup(0), "rb") as tasks, os.fdopen(os.dup(1), "wb") as results:
        os.dup2(2, 1)  # a library that prints must not break a frame
        results.write(frame(_encode({"in_force": in_force})))  # what comes now is the file's own time
        results.flush()
        while (task := _read_task(tasks)) is not None:
            start_clocks(task.seconds)
            for answer in _unpack(task) if task.kind == "unpack" else [_parse(task)]:
                results.write(frame(answer))
            stop_clocks()
            results.flush()
            memory.trim()


def _read_task(tasks: BinaryIO) -> Task | None:
    header = tasks.read(HEADER.size)
    return Task.decode(tasks.read(HEADER.unpack(header)[0])) if len(header) == HEADER.size else None


def _parse(task: Task) -> bytes:
    """Parse and chunk the file; the answer is the document's or the failure's JSON."""
    limits = replace(task.limits, block=task.chunking.size, encoding=task.encoding)
    try:
        document = registry.parse(task.name, Path(task.path).read_bytes(), limits)
        chunks = chunk(document, task.chunking)
        if len(chunks) > limits.passages:
            raise Unparsable(
                "too_large", f"makes {len(chunks)} passages, more than {limits.passages}: split it"
            )
        spans = [
            [chunk.start, chunk.end, chunk.section, chunk.page, list(map(astuple, chunk.tables))]
            for chunk in chunks
        ]
        warnings = [[warning.kind, warning.message] for warning in document.warnings]
        boxes = list(map(astuple, document.boxes))
        return _encode(
            {
                "text": document.text,
                "chunks": spans,
                "warnings": warnings,
                "boxes": boxes,
                "metadata": document.metadata,
            }
        )
    except Exception as error:  # noqa: BLE001 - a parser's bug is this file's failure, not the service's
        return _encode_failure(error)


def _unpack(task: Task) -> Iterator[bytes]:
    try:
        for member in archives.read_members(
            Path(task.path), task.name, task.limits, registry.supported_suffixes()
        ):
            # a name that is not UTF-8 comes out with U+FFFD in it, which no document may have
            yield (
                Piece.MEMBER
                + member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
            )
            try:
                for piece in member.pieces:
                    yield Piece.DATA + piece
            except archives.ArchiveRefused:
                raise
            except Unparsable as problem:
                yield Piece.PROBLEM + _encode_failure(problem)
    except Exception as error:  # noqa: BLE001 - as above
        yield Piece.FAILED + _encode_failure(error)
        return
    yield Piece.END


def _encode_failure(error: Exception) -> bytes:
    if isinstance(error, Unparsable):
        return _encode({"reason": error.reason, "message": error.message, "needs_ocr": error.needs_ocr})
    if isinstance(error, MemoryError | RecursionError):
        message = TOO_DEEP if isinstance(error, RecursionError) else NO_MEMORY
        return _encode({"reason": "too_large", "message": message})
    return _encode(
        {"reason": "invalid", "message": f"cannot be parsed ({type(error).__name__}): is it damaged?"}
    )


def _encode(answer: dict[str, object]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")


def limit_process(memory_bytes: int) -> None:
    """Limit the address space for good; no files to write, no core dumps; Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        for kind, amount in (
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (amount, amount))


def start_clocks(seconds: float) -> None:
    """Have the kernel end a file that takes too long, should the parent be gone or late."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        whole = math.ceil(seconds) + 1
        signal.alarm(whole)
        used = resource.getrusage(resource.RUSAGE_SELF)
        with contextlib.suppress(ValueError, OSError):
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + whole, hard))


def stop_clocks() -> None:
    """Let the process wait for its next task at no cost."""
    if sys.platform != "win32":
        signal.alarm(0)


class MemoryTrimmer:
    """Gives back what large files took, which the C library would keep for as long as the process lives."""

    def __init__(self) -> None:
        self._most = _read_resident_bytes() + KEPT_BYTES

    def trim(self) -> None:
        """Give it back where it is much; looking costs microseconds, giving back tens of milliseconds."""
        if _read_resident_bytes() > self._most:
            gc.collect()
            with contextlib.suppress(OSError, AttributeError):  # only glibc has it
                ctypes.CDLL(None).malloc_trim(0)


def _read_resident_bytes() -> int:
    """Tell this process's resident bytes; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * mmap.PAGESIZE


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:]))
