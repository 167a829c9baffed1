"""The engine's process: one thread opens the model, adds requests, lets the engine step and reads what came.

So nothing is ever added while the engine works. The other thread only reads the service's frames. The process
ends when the service closes its pipe or is gone, and on the first step that fails, because nobody knows what
the engine is left with; the service starts it anew.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol

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

FAILED = 1
"""The status with which the process ends where a step failed."""


class Generation(Protocol):
    """A request inside the engine. Between two steps only."""

    def read(self) -> Delta | None:
        """Read what has come since the last call; None where nothing has.

        Returns:
            The delta; the last one has the finish reason.

        Raises:
            RaglineError: The engine gave the request up.
        """

    def cancel(self) -> None:
        """Stop it, before or after its end."""


class Model(Protocol):
    """An open model, used by one thread."""

    def start(self, prompt: Prompt) -> Generation:
        """Add a request, which costs no more than its tokens' counting.

        Raises:
            RaglineError: The prompt cannot be used.
        """

    def is_busy(self) -> bool:
        """Whether a step would do anything."""

    def step(self) -> None:
        """Compute a part of every request's prompt or its next token; raises whatever the engine raises."""


OpenModel = Callable[[Opening], Model]
"""Opens a model; blocks for as long as that takes. Raises whatever the engine raises."""


def serve(open_model: OpenModel) -> None:
    """Run the process on its standard input and output, to its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # a terminal sends these to the service too, which ends its streams first and then this process
        signal.signal(number, signal.SIG_IGN)
    commands = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not be in a frame
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_read_frames, args=(commands, inbox.put), name="reader", daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        status = _run(open_model, inbox, answers)
        sys.stderr.flush()
        os._exit(status)  # the engine's own threads and destructors must not hold it up
    os._exit(0)


def _run(open_model: OpenModel, inbox: queue.SimpleQueue[Message], answers: BinaryIO) -> int:
    def send(messages: Iterable[Message]) -> None:
        frames = b"".join(encode_frame(message) for message in messages)
        while frames:
            frames = frames[answers.write(frames) :]

    opening = inbox.get()
    if not isinstance(opening, Opening):
        raise TypeError("the first frame says which model to open")
    try:
        model = open_model(opening)
    except Exception as error:  # noqa: BLE001 - the service tells it
        send([Failure.of(None, error)])
        return FAILED
    send([Opened()])
    worker = Worker(model, send)
    try:
        while True:
            worker.take(_wait_for_messages(inbox, blocking=not worker.is_busy()))
            worker.advance()
    except EngineFailure:
        return FAILED


def _wait_for_messages(inbox: queue.SimpleQueue[Message], *, blocking: bool) -> list[Message]:
    """Take all that is there, and where `blocking` at least one."""
    messages = [inbox.get()] if blocking else []
    with contextlib.suppress(queue.Empty):
        while True:
            messages.append(inbox.get_nowait())
    return messages


class EngineFailure(Exception):
    """A step failed, and every request has been told."""


class Worker:
    """The requests of one model, between its steps.

    Args:
        model: The open model.
        send: Sends messages to the service.
    """

    def __init__(self, model: Model, send: Callable[[Iterable[Message]], None]) -> None:
        self._model = model
        self._send = send
        self._running: dict[int, Generation] = {}
        self._cancelled: list[int] = []

    def is_busy(self) -> bool:
        """Whether there is something to compute or to read."""
        return bool(self._running or self._cancelled) or self._model.is_busy()

    def take(self, messages: Iterable[Message]) -> None:
        """Start and cancel requests."""
        for message in messages:
            match message:
                case Start(number, prompt):
                    self._start(number, prompt)
                case Cancel(number):
                    generation = self._running.pop(number, None)
                    if generation is not None:
                        generation.cancel()
                        self._cancelled.append(number)
                case _:
                    raise TypeError(f"{type(message).__name__} is no command")

    def advance(self) -> None:
        """Let the engine step, and send what came.

        Raises:
            EngineFailure: The step failed.
        """
        try:
            if self._model.is_busy():
                self._model.step()
        except Exception as error:
            self._send([Failure.of(number, error) for number in self._running])
            raise EngineFailure from error
        # the engine lets go of a request in its next step
        answers: list[Message] = [Cancelled(number) for number in self._cancelled]
        self._cancelled.clear()
        answers += [answer for number in list(self._running) if (answer := self._read(number))]
        if answers:
            self._send(answers)

    def _start(self, number: int, prompt: Prompt) -> None:
        try:
            self._running[number] = self._model.start(prompt)
        except Exception as error:  # noqa: BLE001 - this request's own, the others go on
            self._send([Failure.of(number, error)])

    def _read(self, number: int) -> Message | None:
        generation = self._running[number]
        try:
            delta = generation.read()
        except Exception as error:  # noqa: BLE001 - as above
            self._running.pop(number).cancel()
            return Failure.of(number, error)
        if delta is None:
            return None
        if delta.finish_reason is not None:
            self._running.pop(number).cancel()
        return Step(number, delta)


def _read_frames(commands: BinaryIO, put: Callable[[Message], None]) -> None:
    """Read frames until the service closes the pipe or is gone; that ends the process at once."""
    while len(header := commands.read(HEADER.size)) == HEADER.size:
        put(decode_body(commands.read(HEADER.unpack(header)[0])))
    os._exit(0)
