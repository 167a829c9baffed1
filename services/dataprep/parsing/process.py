"""A parser process: reads jobs on stdin, parses and chunks or expands, writes the results to stdout.

It imports the parsers and nothing of the service, holds no secrets and limits itself: memory for good,
processor time and wall time for every file. It writes an empty frame when it is ready. Results are JSON, so
that the parent reads nothing but data from a process that a hostile file may have taken over. It ends when
stdin does.

Run as `python -m services.dataprep.parsing.process MEMORY_BYTES`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import langchain_text_splitters  # noqa: F401 - `chunk` needs it, and no document's clock is to pay for it

from services.dataprep.parsing import archives
from services.dataprep.parsing import formats as parsers
from services.dataprep.parsing.chunking import chunk
from services.dataprep.parsing.document import Unparsable
from services.dataprep.parsing.protocol import HEADER, Job, Piece, frame
from services.dataprep.parsing.rlimits import Memory, limit_process, start_clocks, stop_clocks

TOO_DEEP = "nests its parts too deeply to be read: simplify it"
NO_MEMORY = "needs more memory to parse than DATAPREP_PARSE_BYTES allows: split it"


def main(memory_bytes: int) -> None:
    sys.dont_write_bytecode = True
    limit_process(memory_bytes)
    memory = Memory()
    with os.fdopen(os.dup(0), "rb") as jobs, os.fdopen(os.dup(1), "wb") as results:
        os.dup2(2, 1)  # a library that prints must not break a frame
        results.write(frame(b""))  # ready: what comes now is the file's own time
        results.flush()
        while (job := _read(jobs)) is not None:
            start_clocks(job.seconds)
            for answer in _expanded(job) if job.kind == "expand" else [_answer(job)]:
                results.write(frame(answer))
            stop_clocks()
            results.flush()
            memory.release()


def _read(jobs: BinaryIO) -> Job | None:
    header = jobs.read(HEADER.size)
    return Job.decode(jobs.read(HEADER.unpack(header)[0])) if len(header) == HEADER.size else None


def _answer(job: Job) -> bytes:
    try:
        return _encoded(_prepared(job))
    except Exception as error:  # noqa: BLE001 - a parser's bug is this file's failure, not the service's
        return _failure(error)


def _expanded(job: Job) -> Iterator[bytes]:
    try:
        for member in archives.expand(Path(job.path), job.name, job.limits):
            # a name that is not UTF-8 comes out with U+FFFD in it, which no document may have
            yield (
                Piece.MEMBER
                + member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
            )
            try:
                for piece in member.pieces:
                    yield Piece.DATA + piece
            except archives.Exhausted:
                raise
            except Unparsable as problem:
                yield Piece.PROBLEM + _failure(problem)
    except Exception as error:  # noqa: BLE001 - as above
        yield Piece.FAILED + _failure(error)
        return
    yield Piece.END


def _failure(error: Exception) -> bytes:
    if isinstance(error, Unparsable):
        return _encoded({"reason": error.reason, "message": error.message})
    if isinstance(error, MemoryError | RecursionError):
        message = TOO_DEEP if isinstance(error, RecursionError) else NO_MEMORY
        return _encoded({"reason": "too_large", "message": message})
    return _encoded(
        {"reason": "invalid", "message": f"cannot be parsed ({type(error).__name__}): is it damaged?"}
    )


def _encoded(answer: dict[str, object]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")


def _prepared(job: Job) -> dict[str, object]:
    limits = replace(job.limits, block=job.chunking.size)
    document = parsers.parse(job.name, Path(job.path).read_bytes(), limits)
    chunks = chunk(document, job.chunking)
    if len(chunks) > limits.passages:
        raise Unparsable("too_large", f"makes {len(chunks)} passages, more than {limits.passages}: split it")
    return {
        "text": document.text,
        "chunks": [[each.start, each.end, each.section, each.page] for each in chunks],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
