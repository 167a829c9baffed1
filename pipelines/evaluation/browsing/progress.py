"""Counts the answers of a run while they come, reading each line of the file once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from pipelines.evaluation.browsing.records import ArmProgress
from services.core.errors import InvalidRequest
from services.core.wire.compare import ArmStatus


class _Times(BaseModel):
    e2el: float


class _Reply(BaseModel):
    status: ArmStatus
    timings: _Times | None = None


class _Line(BaseModel):
    """What is counted of a line; the rest is not looked at."""

    question: str
    arm: str
    reply: _Reply


_READ = TypeAdapter(_Line)


class AnswerTally:
    """What has come of the requests of one run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._inode, self._offset, self._lines = 0, 0, 0
        self._statuses: Counter[tuple[str, ArmStatus]] = Counter()
        self._times: dict[str, list[float]] = {}

    def read_on(self) -> None:
        """Read what was written since the last time; a last line without its end waits for it.

        Raises:
            InvalidRequest: A line is no answer.
        """
        try:
            with self._path.open("rb") as file:
                state = self._path.stat()
                if state.st_ino != self._inode or state.st_size < self._offset:
                    self._forget()  # a run that ends writes the file anew, in order
                    self._inode = state.st_ino
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise InvalidRequest(f"{self._path} cannot be read: {error.strerror}") from None
        whole = content[: content.rfind(b"\n") + 1]
        for text in whole.splitlines():
            self._add(text)
        self._offset += len(whole)

    def _add(self, text: bytes) -> None:
        self._lines += 1
        if not text.strip():
            return
        try:
            line = _READ.validate_python(orjson.loads(text))
        except (orjson.JSONDecodeError, ValidationError):
            number = self._lines
            self._forget()
            raise InvalidRequest(f"{self._path}, line {number} is no answer: the file was changed") from None
        self._statuses[line.arm, line.reply.status] += 1
        if line.reply.status == "answered" and line.reply.timings is not None:
            self._times.setdefault(line.arm, []).append(line.reply.timings.e2el)

    def describe(self, arm: str) -> ArmProgress:
        """Say how far an arm is."""
        times = self._times.get(arm)
        return ArmProgress(
            arm=arm,
            answered=self._statuses[arm, "answered"],
            abstained=self._statuses[arm, "abstained"],
            reasoning_truncated=self._statuses[arm, "reasoning_truncated"],
            failed=self._statuses[arm, "failed"],
            e2el=median(times) if times else None,
        )
