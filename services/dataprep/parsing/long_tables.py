"""Long tables within a text: cut into blocks of whole rows, each with the header on top. Pure.

For formats whose text is the file's own, or is written as it comes: their other text stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.dataprep.parsing.document import ParsedDocument, Section, TableSpan
from services.dataprep.parsing.tables import split_table


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table at `text[start:end]`; its rows begin at `body`, which is `start` where it has no header.

    `headers` is how many of `rows` are its header; 0 where that is to be found.
    """

    start: int
    body: int
    end: int
    rows: Sequence[Sequence[str]]
    headers: int = 0


def cut_long_tables(document: ParsedDocument, tables: Sequence[SourceTable], block: int) -> ParsedDocument:
    """Replace each table of more than half a block by its blocks, each a section of its own."""
    text, sections, spans = _Text(document), _Sections(document.sections), list(document.tables)
    for table in tables:
        if table.end - table.start <= block // 2:
            start = text.copy_until(table.start)
            text.copy_until(table.end)
            if table.body > table.start:
                spans.append(
                    TableSpan(start, start + table.body - table.start, start + table.end - table.start)
                )
            continue
        lead = sections.lead(document.text, table.start)
        text.copy_until(table.start)
        text.end_paragraph()
        path = sections.path_at(table.start)
        parts = split_table(table.rows, block, lead=lead if lead <= block // 2 else 0, headers=table.headers)
        for number, part in enumerate(parts):
            start = text.add("\n\n" * (number > 0), part.text)
            text.sections.append(Section(start, start, path))
            if part.head:
                spans.append(TableSpan(start, start + part.head, start + len(part.text)))
        text.skip_until(table.end)
        after = sections.next_start(table.end)
        if document.text[table.end : after].strip():
            text.sections.append(Section(text.length, text.length, path))
    text.copy_until(len(document.text))
    return replace(
        document,
        text="".join(text.parts),
        sections=tuple(sorted(text.sections, key=lambda section: section.start)),
        tables=tuple(spans),
    )


class _Text:
    """The new text; a section comes with the text that it begins with."""

    def __init__(self, document: ParsedDocument) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.sections: list[Section] = []
        self._document = document
        self._waiting = list(reversed(document.sections))
        self._at = 0

    def copy_until(self, end: int) -> int:
        """Copy the old text up to `end`, and return where the new one ends then."""
        shift = self.length - self._at
        while self._waiting and self._waiting[-1].start < end:
            section = self._waiting.pop()
            self.sections.append(Section(section.start + shift, section.body + shift, section.path))
        self.add(self._document.text[self._at : end])
        self._at = max(self._at, end)
        return self.length

    def skip_until(self, end: int) -> None:
        self._at = end

    def end_paragraph(self) -> None:
        """Have a blank line before what comes next."""
        tail = "".join(self.parts[-2:])[-2:]
        if self.length and tail != "\n\n":
            self.add("\n" if tail.endswith("\n") else "\n\n")

    def add(self, *parts: str) -> int:
        """Add the parts, and return where the last one begins."""
        self.parts += parts
        self.length += sum(map(len, parts))
        return self.length - len(parts[-1])


class _Sections:
    """The old sections, by place."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = sections
        self._starts = [section.start for section in sections]

    def path_at(self, place: int) -> tuple[str, ...]:
        at = bisect_right(self._starts, place) - 1
        return self._sections[at].path if at >= 0 else ()

    def next_start(self, place: int) -> int | None:
        """Where the next section begins; None where none does."""
        at = bisect_right(self._starts, place - 1)
        return self._starts[at] if at < len(self._starts) else None

    def lead(self, text: str, place: int) -> int:
        """Count the characters of the headings right before a place, which go with what follows them."""
        first = place
        for section in reversed(self._sections[: bisect_right(self._starts, place)]):
            if text[section.body : first].strip():
                break
            first = section.start
        return place - first
