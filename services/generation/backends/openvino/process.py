"""The service's end of the engine's process: it starts it, passes requests on, and sees it end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextvars import Context

import structlog

from services.core.children import build_command
from services.core.errors import ServiceError, ServiceUnavailable
from services.generation.backend import Delta, Prompt
from services.generation.backends.openvino.protocol import (
    HEADER,
    Cancel,
    Cancelled,
    Failure,
    Message,
    Opened,
    Opening,
    Start,
    Step,
    decode_body,
    encode_frame,
)

MODULE = "services.generation.backends.openvino.model"

CLOSE_SECONDS = 2.0
"""How long a process that has closed its pipe, or whose pipe we closed, may take to end: a step or so."""

STUCK_SECONDS = 120.0
"""A process that has not let go of a cancelled request for so long, which is a step's work, is stuck."""

LAST_LINES = 20
LINE_BYTES = 4096

log = structlog.get_logger(__name__)


class EngineProcess:
    """A running engine process with an open model. `open` makes one; event loop only."""

    def __init__(self, process: Process, on_end: Callable[[str], None]) -> None:
        self._process = process
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._requests: dict[int, asyncio.Queue[Step | Failure | None]] = {}
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._closed = False
        self._death = ""
        self._logging = asyncio.create_task(self._read_log(), context=Context())
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, opening: Opening, on_end: Callable[[str], None], module: str = MODULE
    ) -> EngineProcess:
        """Start the process and open the model in it, however long that takes.

        Args:
            opening: Which model to open, and how.
            on_end: Is told how the process ended, where that was not asked for.
            module: What runs in it.

        Raises:
            ServiceError: The model cannot be opened; the message is the engine's own, or the last thing that
                the process wrote.
        """
        command = build_command(module)
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        opened = cls(process, on_end)
        try:
            await opened._open(opening)
        except BaseException:
            opened._closed = True
            opened._kill()
            await opened._end()
            raise
        return opened

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Whether the engine computes nothing."""
        return not self._requests

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        """Pass a request on and yield what comes; see `backend.Engine`."""
        if self._death or self._closed:
            raise self._make_death_error()
        number = next(self._numbers)
        answers: asyncio.Queue[Step | Failure | None] = asyncio.Queue()
        self._requests[number] = answers
        self._send(Start(number, prompt))
        over = False
        try:
            while not over:
                answer = await answers.get()
                if answer is None:
                    raise self._make_death_error()
                over = isinstance(answer, Failure) or answer.delta.finish_reason is not None
                if isinstance(answer, Failure):
                    raise answer.to_error()
                yield answer.delta
        finally:
            if number in self._requests:  # until the process says that it is over
                self._send(Cancel(number))
                asyncio.get_running_loop().call_later(STUCK_SECONDS, self._kill_if_stuck, number)

    async def close(self) -> None:
        """End the process; whoever still has a request gets an error."""
        self._closed = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._end()

    async def _open(self, opening: Opening) -> None:
        self._send(opening)
        try:
            answer = await self._receive()
        except (EOFError, OSError):
            message = f"openvino's engine process {await self._describe_end()} while it opened the model"
            raise ServiceError(message, service="openvino") from None
        if isinstance(answer, Failure):
            raise answer.to_error()
        if not isinstance(answer, Opened):
            raise TypeError(f"{type(answer).__name__} before the model is open")
        self._reading = asyncio.create_task(self._read(), context=Context())

    async def _read(self) -> None:
        """Hand out what the process says, to its end."""
        try:
            with contextlib.suppress(EOFError, OSError):
                while True:
                    self._hand_out(await self._receive())
        except Exception as error:
            log.error("the engine process wrote what is no frame", exc_info=error)
        if self._death or self._closed:
            self._fail_requests()
            return
        self._death = await self._describe_end()
        self._fail_requests()
        log.error("the engine process ended", pid=self.pid, how=self._death)
        self._on_end(self._death)

    def _hand_out(self, answer: Message) -> None:
        match answer:
            case Step(number, delta):
                over = delta.finish_reason is not None
            case Failure(int(number)):
                over = True
            case Cancelled(number):
                self._requests.pop(number, None)
                return
            case _:
                raise ValueError(f"{type(answer).__name__} is no answer to a request")
        answers = self._requests.pop(number, None) if over else self._requests.get(number)
        if answers is not None:
            answers.put_nowait(answer)

    def _kill_if_stuck(self, number: int) -> None:
        """End a process that still works on a request which was cancelled long ago; it is started again."""
        if number in self._requests and self._process.returncode is None:
            log.error("the engine process is stuck", pid=self.pid, seconds=STUCK_SECONDS)
            self._kill()

    def _fail_requests(self) -> None:
        for answers in self._requests.values():
            answers.put_nowait(None)
        self._requests.clear()

    def _make_death_error(self) -> ServiceUnavailable:
        if self._closed:
            return ServiceUnavailable("openvino is being unloaded: try again", service="openvino")
        return ServiceUnavailable(
            f"openvino's engine process {self._death}; it is started again: try again", service="openvino"
        )

    def _send(self, message: Message) -> None:
        """Send a message without waiting; one to a process that is gone is lost with it."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(encode_frame(message))

    async def _receive(self) -> Message:
        """Receive a message. Raises `EOFError` or `OSError` where the process is gone."""
        if self._process.stdout is None:
            raise EOFError
        (length,) = HEADER.unpack(await self._process.stdout.readexactly(HEADER.size))
        return decode_body(await self._process.stdout.readexactly(length))

    async def _read_log(self) -> None:
        """Log what the engine and its libraries print, and keep the last lines."""
        if self._process.stderr is None:
            return
        rest = b""
        while block := await self._process.stderr.read(LINE_BYTES):
            *lines, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
            if len(rest) > LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._log_line(line)
        self._log_line(rest)

    def _log_line(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").strip()
        if line:
            self._lines.append(line)
            log.info("the engine printed", line=line)

    async def _describe_end(self) -> str:
        """Wait for the process, and say how it ended and what it wrote last."""
        code = await self._end()
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"{how} ({self._lines[-1]})" if self._lines else how

    async def _end(self) -> int:
        """Wait for the process and for what it wrote; kill it where it does not end by itself."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            self._kill()
            code = await self._process.wait()
        await self._logging
        if self._reading is not None and self._reading is not asyncio.current_task():
            await self._reading
        return code

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
