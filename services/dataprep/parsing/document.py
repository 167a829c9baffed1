"""A parsed document and the format it came in. Nothing is imported here: parser processes read it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

PROPERTY_LENGTH = 500
TITLE_LENGTH = 120
"""A heading is cut to this in section paths, which are embedded with every passage below it."""

Properties = Mapping[str, str | list[str]]
Reason = Literal["invalid", "unsupported", "too_large"]
WarningKind = Literal[
    "pages_without_text",
    "encoding_guessed",
    "formulas_without_values",
    "hidden_content",
    "left_out",
    "text_recognised",
]
PLACES = 20
"""A warning names as many places, and counts the rest."""


@dataclass(frozen=True, slots=True)
class ParseWarning:
    """What of a file did not become text, or may be wrong; `message` speaks of the file."""

    kind: WarningKind
    message: str


def list_places(places: Sequence[object]) -> str:
    """Name the first places, and say how many more there are."""
    more = len(places) - PLACES
    return ", ".join(map(str, places[:PLACES])) + (f" and {more} more" if more > 0 else "")


class Unparsable(Exception):
    """The file is at fault; `message` completes a sentence that begins with its name.

    `needs_ocr` says that what it holds are pictures of text.
    """

    def __init__(self, reason: Reason, message: str, *, needs_ocr: bool = False) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.needs_ocr = needs_ocr
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost: pages or slides, characters of extracted text, passages, what it unpacks to.

    `members`, `member_bytes` (each), `expanded_bytes` (together) and `ratio` (expanded to packed, above a
    first megabyte) bound archives; the last two bound office files too, which are ZIP archives.
    `block` is not a limit but the size of a chunk: tables and records are laid out in blocks that fit it. Nor
    is `encoding`, which the upload names for its text files, or `ocr`: pictures of text are to be read.
    """

    pages: int = 2000
    characters: int = 32 * 1024 * 1024
    passages: int = 100_000
    members: int = 1000
    member_bytes: int = 32 * 1024 * 1024
    expanded_bytes: int = 256 * 1024 * 1024
    ratio: int = 200
    block: int = 700
    encoding: str = ""
    ocr: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading at `start`, the text below it from `body`; `path` holds the titles from the outermost in."""

    start: int
    body: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableSpan:
    """Rows at `text[body:end]` with their header above them, from `start` on."""

    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class TextBox:
    """Where `text[start:end]` stands on a page: shares of it, from its upper left corner."""

    start: int
    end: int
    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A file's text, and what is missing from it or may be wrong.

    `sections` are in order of `start`; page n begins at `pages[n - 1]`, if it has pages. `tables` are those
    with a header, in order; `boxes` are those of lines that were read from a picture. `metadata` is what
    the file says of itself, such as its author.
    """

    text: str
    sections: tuple[Section, ...] = ()
    pages: tuple[int, ...] = ()
    warnings: tuple[ParseWarning, ...] = ()
    tables: tuple[TableSpan, ...] = ()
    boxes: tuple[TextBox, ...] = ()
    metadata: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How files of a format are recognised, and what the documentation says of it.

    `suffixes` end its files' names, in lower case. `content_types` says which of them a file gets that a web
    server sends under such a type. `magic` begins its files. `package_part` is for a format whose files are
    ZIP archives: a name in them that begins so is in no other format's. `called` is what errors call a file
    that one of the two gives away ("a PDF"); `takes` are files that errors call so and its parser reads
    too. `position` orders formats where people read them.

    For the documentation: `title` is the format's name; it is `read_with` a library; `sections` tells what
    becomes a section or a page, `left_out` what is not read.
    """

    title: str
    position: int = 1000
    suffixes: tuple[str, ...]
    content_types: Mapping[str, str] = field(default_factory=dict)
    magic: bytes = b""
    package_part: str = ""
    takes: tuple[str, ...] = ()
    called: str = ""
    read_with: str = ""
    sections: str = ""
    left_out: str = ""


class FormatModule(Protocol):
    """What a module of `formats/` exports."""

    FORMAT: Format

    def parse(self, data: bytes, limits: Limits, suffix: str, /) -> ParsedDocument:
        """Read a file.

        A library is imported in here, not at the top: the service lists the formats and needs none of them.

        Args:
            data: the file, which is not empty.
            limits: what it may cost.
            suffix: the one of `FORMAT.suffixes` that the file's name ends in.

        Returns:
            The text and where its sections and pages begin.

        Raises:
            Unparsable: the file is broken, encrypted, too large or not of this format.
            ModuleNotFoundError: the format's library is not installed.
        """


def clean_properties(properties: Mapping[str, object]) -> dict[str, str | list[str]]:
    """Keep texts, lists of texts and dates that are not empty, cut to `PROPERTY_LENGTH`."""
    found: dict[str, str | list[str]] = {}
    for name, value in properties.items():
        if isinstance(value, list | tuple):
            listed = [text for item in value if (text := " ".join(str(item).split())[:PROPERTY_LENGTH])]
            if listed:
                found[name] = listed[:PLACES]
        elif value is not None:
            written = value.isoformat() if isinstance(value, date) else str(value)
            if text := " ".join(written.split())[:PROPERTY_LENGTH]:
                found[name] = text
    return found


def shorten(title: str) -> str:
    """Put a title on one line and cut it to `TITLE_LENGTH`."""
    title = " ".join(title.split())
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"


class Outline:
    """Collects headings in document order and works out each one's path from its level."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self._sections: list[Section] = []

    def add(self, level: int, title: str, *, start: int, body: int) -> None:
        """Add a heading of `level` (1 is the outermost); one without a title marks nothing."""
        title = shorten(title)
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
