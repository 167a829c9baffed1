"""Laying out what a parser finds: headings, paragraphs, pages and tables become one text with an outline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice

from services.dataprep.parsing.document import (
    Limits,
    Outline,
    ParsedDocument,
    ParseWarning,
    Section,
    TableSpan,
    TextBox,
    Unparsable,
    clean_properties,
    list_places,
)
from services.dataprep.parsing.tables import Block, split_table

BULLET = "-"
"""What stands before an item of a list without numbers."""


class Layout:
    """Takes the parts in document order. Raises `Unparsable` as soon as they exceed the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self.length = 0
        self._outline = Outline()
        self._sections: list[Section] = []
        self._pages: list[int] = []
        self._path: tuple[str, ...] = ()
        self._section_begins = False
        """Whether `_path` is a section's that begins with the next text."""
        self._new_pages = 0
        """Pages that begin with the next text."""
        self._warnings: list[ParseWarning] = []
        self._tables: list[TableSpan] = []
        self._boxes: list[TextBox] = []
        self._metadata: dict[str, str | list[str]] = {}
        self._lead: int | None = None
        """Where the headings begin that have nothing below them yet."""

    @property
    def block(self) -> int:
        """How long a text may be to make one chunk."""
        return self._limits.block

    def finish(self) -> ParsedDocument:
        """Give the document of all parts."""
        pages = [*self._pages, *[self.length] * self._new_pages]
        return ParsedDocument(
            "".join(self._parts),
            tuple(self._sections),
            tuple(pages),
            tuple(self._warnings),
            tuple(self._tables),
            tuple(self._boxes),
            self._metadata,
        )

    def warn(self, *warnings: ParseWarning) -> None:
        """Say what does not become text, or may be wrong."""
        self._warnings += warnings

    def describe(self, **properties: object) -> None:
        """Keep what the file says of itself; what is empty is left out, dates are written as ISO 8601."""
        self._metadata |= clean_properties(properties)

    def start_page(self) -> None:
        """Put what comes next on a new page."""
        self._new_pages += 1
        self._lead = None
        if len(self._pages) + self._new_pages > self._limits.pages:
            raise Unparsable("too_large", f"has more than {self._limits.pages} pages: split it")

    def add_heading(self, level: int, title: str) -> None:
        """Add a heading that is part of the text; one without a title is nothing."""
        title = " ".join(title.split())
        if title:
            self._section_begins = False
            start = self._add(title, "\n\n")
            self._outline.add(level, title, start=start, body=self.length)
            self._path = self._outline.path
            self._sections.append(Section(start, self.length, self._path))
            self._lead = start if self._lead is None else self._lead

    def start_section(self, path: tuple[str, ...]) -> None:
        """Put what comes next into this section, whose name is not part of the text."""
        self._path, self._section_begins, self._lead = path, True, None

    def add_paragraph(self, text: str) -> None:
        """Add a text of its own; a blank one is nothing."""
        if text := text.strip():
            self._add(text, "\n\n")
            self._lead = None

    def add_recognised(self, text: str, boxes: Iterable[TextBox]) -> None:
        """Add a text that was read from a picture, with the places of its lines, counted from its start."""
        if text.strip():
            start = self._add(text, "\n\n")
            self._boxes += [replace(box, start=box.start + start, end=box.end + start) for box in boxes]
            self._lead = None

    def warn_recognised(self, pages: Sequence[int], sure: float) -> None:
        """Say which pages were read from pictures; all where none is named."""
        which = f"pages {list_places(pages)} were" if len(pages) > 1 else "it was"
        which = f"page {pages[0]} was" if len(pages) == 1 else which
        message = f"{which} read by OCR, the least sure line with {sure:.0%}: numbers may be wrong"
        self.warn(ParseWarning("text_recognised", message))

    def add_line(self, text: str) -> None:
        """Add a line that goes with the one before, such as a list item."""
        if text := text.strip():
            self._add(text, "\n")
            self._lead = None

    def add_document(self, document: ParsedDocument) -> None:
        """Add a document that is a part of this one, with its sections and tables."""
        if not document.text.strip():
            return
        if document.sections and document.sections[0].start == 0:
            self._section_begins = False
        start = self._add(document.text, "\n\n")
        for section in document.sections:
            self._sections.append(Section(section.start + start, section.body + start, section.path))
        self._tables += [
            TableSpan(table.start + start, table.body + start, table.end + start) for table in document.tables
        ]
        self._warnings += document.warnings
        self._path, self._section_begins, self._lead = (), bool(document.sections), None

    def add_table(self, rows: Iterable[Sequence[str]], *, numbered: bool = False, headers: int = 0) -> None:
        """Add a table; where it is longer than half a chunk, each of its blocks is a section, and so a chunk.

        `numbered` puts the numbers of a block's rows, as a spreadsheet counts them, into its path. `headers`
        is how many of the rows are the header, where that is known.
        """
        size = self._limits.block
        lead = 0 if self._lead is None else self.length - self._lead + 2
        blocks = split_table(rows, size, lead=lead if lead <= size // 2 else 0, headers=headers)
        first = list(islice(blocks, 2))
        if not numbered and len(first) == 1 and len(first[0].text) <= size // 2:
            self._add_block(first[0])
            self._lead = None
            return
        path = self._path
        for block in chain(first, blocks):
            self._path, self._section_begins = (*path, _name_rows(block)) if numbered else path, True
            self._add_block(block)
        self._path, self._section_begins, self._lead = path, True, None

    def _add_block(self, block: Block) -> None:
        start = self._add(block.text, "\n\n")
        if block.head:
            self._tables.append(TableSpan(start, start + block.head, self.length))

    def _add(self, text: str, gap: str) -> int:
        """Add the text and tell where it begins."""
        gap = gap if self.length else ""
        start = self.length + len(gap)
        if self._section_begins:
            self._sections.append(Section(start, start, self._path))
            self._section_begins = False
        self._pages += [start] * self._new_pages
        self._new_pages = 0
        self._parts += [gap, text]
        self.length = start + len(text)
        if self.length > self._limits.characters:
            raise Unparsable(
                "too_large", f"holds more than {self._limits.characters} characters of text: split it"
            )
        return start


def _name_rows(block: Block) -> str:
    return f"row {block.first}" if block.first == block.last else f"rows {block.first}-{block.last}"
