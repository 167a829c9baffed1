"""Parsing in processes apart: a parser that hangs, crashes or takes all memory fails one file only."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import structlog

from services.core.children import build_command
from services.core.errors import InvalidRequest, ServiceUnavailable
from services.core.settings import copy_environment
from services.dataprep.parsing.chunking import Chunk, Chunking
from services.dataprep.parsing.document import Limits, ParseWarning, Properties, TableSpan, TextBox
from services.dataprep.parsing.isolation import PROTECTIONS
from services.dataprep.parsing.members import ArchiveReceiver, UnpackedFile, decode_failure
from services.dataprep.parsing.protocol import HEADER, Task, frame

log = structlog.get_logger(__name__)

PROCESS_MODULE = "services.dataprep.parsing.process"
FILES_PER_PROCESS = 200
"""A parser process is replaced after so many files, whatever a native library has leaked."""

START_SECONDS = 30.0
"""A parser process may take so long to start, or as long as a file may take to parse if that is longer."""

END_SECONDS = 2.0

_INHERITED = frozenset(
    {"PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "TEMP"}
)
"""All that a parser process sees of the environment: no keys, no tokens."""


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document's text, the chunks to make passages of, and what is missing or may be wrong."""

    text: str
    chunks: list[Chunk]
    warnings: tuple[ParseWarning, ...] = ()
    boxes: tuple[TextBox, ...] = ()
    metadata: Properties = field(default_factory=dict)


class Sandbox:
    """Up to `processes` parser processes, started when first needed; `close` ends them.

    They read files of the folder `readable` alone, or of any where it is None. `notices` says what of their
    isolation this system does not have, once one of them has started. What holds pictures of text is read
    again by `ocr`, processes with limits of their own, where there are any.
    """

    def __init__(
        self,
        *,
        processes: int,
        seconds: float,
        memory_bytes: int,
        limits: Limits,
        readable: Path | None = None,
        module: str = PROCESS_MODULE,
        ocr: Sandbox | None = None,
    ) -> None:
        self._ocr = ocr
        self._readable = readable
        self.notices: list[str] = []
        self._seconds = seconds
        self._memory = memory_bytes
        self.limits = limits
        self._module = module
        self._slots = asyncio.Semaphore(processes)
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    async def parse(self, path: Path, name: str, chunking: Chunking, encoding: str = "") -> ChunkedDocument:
        """Parse and chunk the file at `path`; `name` says its format and appears in errors.

        `encoding` is the one that the upload names, if any.

        Raises `InvalidRequest`, `UnsupportedMedia` or `PayloadTooLarge` where the file is at fault, which a
        parser that dies or runs out of time over it counts as; `ServiceUnavailable` where no parser starts.
        """
        task = Task(str(path), name, self._seconds, chunking=chunking, limits=self.limits, encoding=encoding)
        async with self._use_child(name) as child:
            reply = await child.ask(task)
        if self._ocr is not None and _needs_ocr(reply):
            return await self._ocr.parse(path, name, chunking, encoding)
        return _decode_document(name, reply)

    async def unpack(self, path: Path, name: str, folder: Path) -> list[UnpackedFile]:
        """Unpack the archive at `path`, called `name`, into `folder`, an empty one of the caller's.

        Raises as `parse` does where the archive as a whole is at fault; the caller removes the folder.
        """
        task = Task(str(path), name, self._seconds, kind="unpack", limits=self.limits)
        receiver = ArchiveReceiver(name, folder, self.limits)
        try:
            async with self._use_child(name) as child:
                frame = await child.ask(task)
                while not await receiver.take(frame):
                    frame = await child.receive()
        finally:
            receiver.close()
        return receiver.files

    @asynccontextmanager
    async def _use_child(self, name: str) -> AsyncIterator[_Child]:
        """Use a child for one task; where it dies or is late that is the fault of the file."""
        async with self._slots, self._borrow_child() as child:
            try:
                async with asyncio.timeout(self._seconds):
                    yield child
            except TimeoutError:
                raise InvalidRequest(
                    f"{name} takes longer than {self._seconds:g} s to parse: split it, or raise "
                    "DATAPREP_PARSE_SECONDS"
                ) from None
            except (EOFError, OSError):
                raise InvalidRequest(
                    f"{name} cannot be parsed: the parser {await child.end()} over it; is it damaged?"
                ) from None

    @asynccontextmanager
    async def _borrow_child(self) -> AsyncIterator[_Child]:
        """Lend an idle or a new child; it is kept for the next file only where the body went well."""
        child = self._idle.pop() if self._idle else await self._start_child()
        try:
            yield child
        except BaseException:
            child.kill()
            raise
        if child.files < FILES_PER_PROCESS:
            self._idle.append(child)
        else:
            child.kill()

    async def _start_child(self) -> _Child:
        readable = [] if self._readable is None else [str(self._readable)]
        environment = {key: value for key, value in copy_environment().items() if key in _INHERITED}
        process = await asyncio.create_subprocess_exec(
            *build_command(self._module, str(self._memory), *readable),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environment,
        )
        child = _Child(process)
        self._all = {other for other in self._all if other.is_alive} | {child}
        try:
            async with asyncio.timeout(max(START_SECONDS, self._seconds)):
                self._note_isolation(await child.receive())
        except (EOFError, OSError, TimeoutError):
            child.kill()
            raise ServiceUnavailable(
                f"the parser process does not start: run python -m {self._module} {self._memory} to see why"
            ) from None
        except BaseException:
            child.kill()
            raise
        return child

    def _note_isolation(self, ready: bytes) -> None:
        """Read what a process says of its protections, and tell once what is missing."""
        if self.notices or not ready:
            return
        missing = [name for name in PROTECTIONS if name not in orjson.loads(ready)["in_force"]]
        if missing:
            self.notices.append(
                f"parsers are not kept from {' and '.join(missing)}: this kernel has no seccomp or Landlock"
            )
            log.warning("parsers are not fully isolated", missing=missing)

    async def close(self) -> None:
        """End all parser processes."""
        if self._ocr is not None:
            await self._ocr.close()
        for child in self._all:
            child.kill()
        await asyncio.gather(*(child.end() for child in self._all))
        self._all.clear()
        self._idle.clear()


class _Child:
    """A parser process; `files` counts the tasks that it was given."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.files = 0

    async def ask(self, task: Task) -> bytes:
        """Send a task and receive the first frame. Raises `EOFError` or `OSError` where the process died."""
        if self._process.stdin is None:
            raise EOFError
        self.files += 1
        self._process.stdin.write(frame(task.encode()))
        await self._process.stdin.drain()
        return await self.receive()

    async def receive(self) -> bytes:
        """Receive the next frame; the first says that the process is ready, and how it is isolated."""
        if self._process.stdout is None:
            raise EOFError
        (length,) = HEADER.unpack(await self._process.stdout.readexactly(HEADER.size))
        return await self._process.stdout.readexactly(length)

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> str:
        """Wait for the process, not for ever, and say how it ended."""
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _decode_chunk(
    start: int, end: int, section: str, page: int | None, tables: list[tuple[int, int, int]]
) -> Chunk:
    return Chunk(start, end, section, page, tuple(TableSpan(*table) for table in tables))


def _needs_ocr(reply: bytes) -> bool:
    """Whether pages, or all of it, have no text that can be read otherwise."""
    if b"needs_ocr" not in reply[:1000] and b"pages_without_text" not in reply[-10_000:]:
        return False
    answer = orjson.loads(reply)
    kinds = [kind for kind, _ in answer.get("warnings", [])]
    return bool(answer.get("needs_ocr")) or "pages_without_text" in kinds


def _decode_document(name: str, reply: bytes) -> ChunkedDocument:
    answer = orjson.loads(reply)
    if "reason" in answer:
        raise decode_failure(name, reply)
    warnings = tuple(ParseWarning(kind, message) for kind, message in answer["warnings"])
    chunks = [_decode_chunk(*span) for span in answer["chunks"]]
    return ChunkedDocument(
        answer["text"], chunks, warnings, tuple(TextBox(*box) for box in answer["boxes"]), answer["metadata"]
    )
