"""A parser process: reads jobs on stdin, parses and chunks, writes the results to stdout.

It imports the parsers and nothing of the service, holds no secrets and limits itself: memory for good,
processor time and wall time for every file. It writes an empty frame when it is ready. Results are JSON, so
that the parent reads nothing but data from a process that a hostile file may have taken over. It ends when
stdin does.

Run as `python -m services.dataprep.worker MEMORY_BYTES`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

from services.dataprep import parsers
from services.dataprep.chunking import Chunking, chunk
from services.dataprep.document import Limits, Unparsable
from services.dataprep.job import HEADER, Job, frame
from services.dataprep.limits import limit_process, start_clocks, stop_clocks

NO_MEMORY = "needs more memory to parse than DATAPREP_PARSE_BYTES allows: split it"


def main(memory_bytes: int) -> None:
    sys.dont_write_bytecode = True
    limit_process(memory_bytes)
    with os.fdopen(os.dup(0), "rb") as jobs, os.fdopen(os.dup(1), "wb") as results:
        os.dup2(2, 1)  # a library that prints must not break a frame
        results.write(frame(b""))  # ready: what comes now is the file's own time
        results.flush()
        while (job := _read(jobs)) is not None:
            start_clocks(job.seconds)
            reply = json.dumps(_answer(job), ensure_ascii=False).encode("utf-8", "replace")
            stop_clocks()
            results.write(frame(reply))
            results.flush()


def _read(jobs: BinaryIO) -> Job | None:
    header = jobs.read(HEADER.size)
    return Job.decode(jobs.read(HEADER.unpack(header)[0])) if len(header) == HEADER.size else None


def _answer(job: Job) -> dict[str, object]:
    try:
        return _prepared(job)
    except Unparsable as error:
        return {"reason": error.reason, "message": error.message}
    except (MemoryError, RecursionError):
        return {"reason": "too_large", "message": NO_MEMORY}
    except Exception as error:  # noqa: BLE001 - a parser's bug is this file's failure, not the service's
        return {"reason": "invalid", "message": f"cannot be parsed ({type(error).__name__}): is it damaged?"}


def _prepared(job: Job) -> dict[str, object]:
    document = parsers.parse(job.name, Path(job.path).read_bytes(), Limits(job.pages, job.characters))
    chunks = chunk(document, Chunking(job.size, job.overlap))
    return {
        "text": document.text,
        "chunks": [[each.start, each.end, each.section, each.page] for each in chunks],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
