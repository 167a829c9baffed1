"""A parsed document: its text, and where its sections and pages begin. No dependencies: parsers run alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TITLE_LENGTH = 120
"""A heading is cut to this in section paths, which are embedded with every passage below it."""

Reason = Literal["invalid", "unsupported", "too_large"]


class Unparsable(Exception):
    """The file is at fault; `message` completes a sentence that begins with its name."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost: pages or slides, characters of extracted text, passages, what it unpacks to.

    `members`, `member_bytes` (each), `expanded_bytes` (together) and `ratio` (expanded to packed, above a
    first megabyte) bound archives; the last two bound office files too, which are ZIP archives.
    `block` is not a limit but the size of a chunk: tables and records are laid out in blocks that fit it.
    """

    pages: int = 2000
    characters: int = 32 * 1024 * 1024
    passages: int = 100_000
    members: int = 1000
    member_bytes: int = 32 * 1024 * 1024
    expanded_bytes: int = 256 * 1024 * 1024
    ratio: int = 200
    block: int = 700


@dataclass(frozen=True, slots=True)
class Section:
    """A heading at `start`, the text below it from `body`; `path` are the titles from the outermost in."""

    start: int
    body: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """`sections` in order of `start`; `pages[n - 1]` is where page n begins, empty without pages."""

    text: str
    sections: tuple[Section, ...] = ()
    pages: tuple[int, ...] = ()


def shortened(title: str) -> str:
    """The title on one line, cut to `TITLE_LENGTH`."""
    title = " ".join(title.split())
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"


class Outline:
    """Collects headings in document order and works out each one's path from its level."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self._sections: list[Section] = []

    def add(self, level: int, title: str, *, start: int, body: int) -> None:
        """A heading of `level` (1 is the outermost); one without a title marks nothing."""
        title = shortened(title)
        if not title:
            return
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._open.append((level, title))
        self._sections.append(Section(start, body, tuple(name for _, name in self._open)))

    @property
    def path(self) -> tuple[str, ...]:
        """The path of the last heading."""
        return self._sections[-1].path if self._sections else ()

    @property
    def sections(self) -> tuple[Section, ...]:
        return tuple(self._sections)
