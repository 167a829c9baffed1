"""Laying out what a parser finds: headings, paragraphs, pages and tables become one text with an outline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice

from services.dataprep.parsing.document import Limits, Outline, ParsedDocument, Section, Unparsable
from services.dataprep.parsing.tables import Block, blocks


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
        self._begun = False
        """Whether `_path` is a section's that begins with the next text."""
        self._turned = 0
        """Pages that begin there."""
        self._lead: int | None = None
        """Where the headings begin that have nothing below them yet."""

    @property
    def block(self) -> int:
        """How long a text may be to make one chunk."""
        return self._limits.block

    def document(self) -> ParsedDocument:
        pages = [*self._pages, *[self.length] * self._turned]
        return ParsedDocument("".join(self._parts), tuple(self._sections), tuple(pages))

    def page(self) -> None:
        """What comes next is on a new page."""
        self._turned += 1
        self._lead = None
        if len(self._pages) + self._turned > self._limits.pages:
            raise Unparsable("too_large", f"has more than {self._limits.pages} pages: split it")

    def heading(self, level: int, title: str) -> None:
        """A heading that is part of the text; one without a title is nothing."""
        title = " ".join(title.split())
        if title:
            self._begun = False
            start = self._add(title, "\n\n")
            self._outline.add(level, title, start=start, body=self.length)
            self._path = self._outline.path
            self._sections.append(Section(start, self.length, self._path))
            self._lead = start if self._lead is None else self._lead

    def section(self, path: tuple[str, ...]) -> None:
        """What comes next is of this section, whose name is not part of the text."""
        self._path, self._begun, self._lead = path, True, None

    def paragraph(self, text: str) -> None:
        if text := text.strip():
            self._add(text, "\n\n")
            self._lead = None

    def line(self, text: str) -> None:
        """A line that goes with the one before, such as a list item."""
        if text := text.strip():
            self._add(text, "\n")
            self._lead = None

    def table(self, rows: Iterable[Sequence[str]], *, numbered: bool = False) -> None:
        """A table; where it is longer than half a chunk, each of its blocks is a section, and so a chunk.

        `numbered` puts the numbers of a block's rows, as a spreadsheet counts them, into its path.
        """
        size = self._limits.block
        lead = 0 if self._lead is None else self.length - self._lead + 2
        found = blocks(rows, size, lead=lead if lead <= size // 2 else 0)
        first = list(islice(found, 2))
        if not numbered and len(first) == 1 and len(first[0].text) <= size // 2:
            self.paragraph(first[0].text)
            return
        path = self._path
        for block in chain(first, found):
            self._path, self._begun = (*path, _where(block)) if numbered else path, True
            self._add(block.text, "\n\n")
        self._path, self._begun, self._lead = path, True, None

    def _add(self, text: str, gap: str) -> int:
        """Where the text begins."""
        gap = gap if self.length else ""
        start = self.length + len(gap)
        if self._begun:
            self._sections.append(Section(start, start, self._path))
            self._begun = False
        self._pages += [start] * self._turned
        self._turned = 0
        self._parts += [gap, text]
        self.length = start + len(text)
        if self.length > self._limits.characters:
            raise Unparsable(
                "too_large", f"holds more than {self._limits.characters} characters of text: split it"
            )
        return start


def _where(block: Block) -> str:
    return f"row {block.first}" if block.first == block.last else f"rows {block.first}-{block.last}"
