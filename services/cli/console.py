"""Output that reads the same on a terminal, in a pipe and without colour."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
from rich.console import Console
from rich.status import Status
from rich.text import Text

from services.core.errors import RaglineError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""A model or a document must not be able to steer the reader's terminal, or to show its text in another
order than it has."""


class Spinner:
    """The text of a status line."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    @property
    def shown(self) -> bool:
        return self._status is not None

    def say(self, text: str) -> None:
        if self._status is not None:
            self._status.update(_text(text, ""))


@dataclass(frozen=True, slots=True)
class Output:
    """Standard output and standard error. Lines are never cut or wrapped where it is not a terminal."""

    out: Console
    err: Console

    @classmethod
    def standard(cls) -> Output:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # what the terminal cannot show must not end a command
                stream.reconfigure(errors="replace")
        return cls(Console(highlight=False), Console(stderr=True, highlight=False))

    def line(self, text: str = "", style: str = "") -> None:
        self.out.print(_text(text, style), soft_wrap=True)

    def piece(self, text: str, style: str = "") -> None:
        """Text without a line end, shown at once."""
        self.out.print(_text(text, style), end="", soft_wrap=True)

    def json(self, value: object) -> None:
        """A value as JSON; control characters stand in it as escapes."""
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        self.line(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))

    def problem(self, text: str) -> None:
        self.err.print(_text(text, "yellow"), soft_wrap=True)

    def error(self, error: RaglineError | str) -> None:
        """An error with the service it came from."""
        if isinstance(error, RaglineError):
            named = not error.service or error.service in error.message.split(maxsplit=1)[:1]
            where = "" if named else f"{error.service}: "
            error = where + error.message
        self.err.print(_text(f"error: {error}", "bold red"), soft_wrap=True)

    def table(self, rows: Sequence[Sequence[str]], *, header: bool = True) -> None:
        """Columns as wide as their widest cell."""
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  ".join(cells).rstrip(), style="bold" if header and number == 0 else "")

    @contextmanager
    def spinner(self, text: str) -> Iterator[Spinner]:
        """A status line that changes in place on a terminal, and is silent elsewhere."""
        if not self.out.is_terminal:
            yield Spinner(None)
            return
        with self.out.status(_text(text, "")) as status:
            yield Spinner(status)


def harmless(text: str) -> str:
    """Leave out what would steer a terminal."""
    return _CONTROL.sub("", text)


def _text(text: str, style: str) -> Text:
    return Text(harmless(text), style=style)
