"""Cutting a document into chunks, at sections and pages, then paragraphs, lines, sentences, words. Pure.

A chunk is a span of the document's text. Together the chunks cover all of it but white space, none is
blank, and none is longer than `Chunking.size`. A chunk lies within one section and on one page; a heading
belongs to the text below it, and one with nothing but a deeper heading below it to that one's chunk.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from services.dataprep.parsing.document import ParsedDocument, Section, TableSpan

_SEPARATORS = [
    r"(?:\r?\n[ \t]*){2,}",  # paragraphs
    r"\r\n|\r|\n",  # lines
    r"(?<=[.!?…])\s+|(?<=[。！？])",  # sentences  # noqa: RUF001
    r"\s+",  # words
    "",  # characters
]
_SENTENCE_START = re.compile(r"(?<=[.!?…])\s+|[\r\n]+|(?<=[。！？])")  # noqa: RUF001
_WORD_START = re.compile(r"\s+")

PATH = " > "
PATH_LENGTH = 240
"""A longer path loses its middle: it is embedded with every chunk below it."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How to cut a document.

    `size` is the most characters of a chunk; `overlap` the most that it repeats of the one before, up to a
    half. `tokens` is the most tokens with its header, 0 for the embedding model's window; see
    `jobs/tokens.py`.
    """

    size: int = 700
    overlap: int = 100
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text[start:end]` of the document; `section` is its heading path, `page` counts from 1.

    `tables` are those with a header that it holds.
    """

    start: int
    end: int
    section: str = ""
    page: int | None = None
    tables: tuple[TableSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of one section, on one page; its heading ends at `body`."""

    start: int
    body: int
    end: int
    path: tuple[str, ...] = ()


def chunk(document: ParsedDocument, chunking: Chunking) -> list[Chunk]:
    """Cut the document into its chunks, in order."""
    tables = _Tables(document.tables)
    splitter = _Splitter(document.text, chunking, tables)
    return [
        Chunk(start, end, _join_path(span.path), _page_at(document.pages, start), tables.within(start, end))
        for span in _find_spans(document)
        for start, end in splitter.split(span)
    ]


def _join_path(path: tuple[str, ...]) -> str:
    whole = PATH.join(path)
    if len(whole) <= PATH_LENGTH:
        return whole
    return whole[: PATH_LENGTH // 3] + "…" + whole[PATH_LENGTH // 3 + 1 - PATH_LENGTH :]


def _page_at(pages: tuple[int, ...], position: int) -> int | None:
    return max(1, bisect_right(pages, position)) if pages else None


def _find_spans(document: ParsedDocument) -> Iterator[_Span]:
    """Cut the document at its sections and pages; a heading alone goes to a deeper one right below it."""
    pages = frozenset(document.pages)
    carried: _Span | None = None
    for span in _cut_at_boundaries(document):
        if carried is not None and _is_below(carried, span) and span.start not in pages:
            span = _Span(carried.start, span.body, span.end, span.path)  # noqa: PLW2901
        elif carried is not None:
            yield carried
        carried = None if document.text[span.body : span.end].strip() else span
        if carried is None:
            yield span
    if carried is not None:
        yield carried


def _is_below(outer: _Span, inner: _Span) -> bool:
    """Whether `inner` is of a deeper section, or goes on with the same one without a heading of its own."""
    if not outer.path or inner.path[: len(outer.path)] != outer.path:
        return False
    return len(inner.path) > len(outer.path) or inner.start == inner.body


def _cut_at_boundaries(document: ParsedDocument) -> Iterator[_Span]:
    length = len(document.text)
    headings: dict[int, Section] = {section.start: section for section in document.sections}
    cuts = sorted({0, *headings, *document.pages} - {length})
    path: tuple[str, ...] = ()
    for start, end in pairwise([*cuts, length]):
        heading = headings.get(start)
        if heading is not None:
            path = heading.path
        yield _Span(start, min(heading.body, end) if heading else start, end, path)


class _Tables:
    """The tables of a document, in order."""

    def __init__(self, tables: tuple[TableSpan, ...]) -> None:
        self._tables = tables
        self._starts = [table.start for table in tables]

    def within(self, start: int, end: int) -> tuple[TableSpan, ...]:
        """Return the tables that lie in this span."""
        if not self._tables:
            return ()
        first, after = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return tuple(table for table in self._tables[first:after] if table.end <= end)

    def end_at(self, place: int) -> int | None:
        """Return where the table ends in whose midst a place is; None where it is in none."""
        at = bisect_right(self._starts, place) - 1
        is_within = at >= 0 and self._tables[at].start < place < self._tables[at].end
        return self._tables[at].end if is_within else None


class _Splitter:
    """Cuts spans of one text."""

    def __init__(self, text: str, chunking: Chunking, tables: _Tables) -> None:
        self._text = text
        self._tables = tables
        self._size = chunking.size
        self._overlap = min(chunking.overlap, chunking.size // 2)

    def split(self, span: _Span) -> Iterator[tuple[int, int]]:
        """Yield start and end of each chunk, without the white space around it."""
        start, end = self._strip_space(span.start, span.end)
        if start >= end:  # blank
            return
        if end - start <= self._size:
            yield start, end
            return
        body, room = self._find_room(start, span.body)
        before: int | None = None
        for at, until in self._merge(self._split_text(body, end, room), room):
            yield self._strip_space(start if before is None else self._find_overlap(before, at), until)
            before = self._strip_space(at, until)[0]

    def _find_room(self, start: int, body: int) -> tuple[int, int]:
        """Tell where to cut from and how long the pieces may be, so that heading or overlap fit in front.

        A heading of more than half a chunk is cut as if it were text.
        """
        heading = body - start
        if heading > self._size // 2:
            return start, self._size - self._overlap
        return max(start, body), self._size - max(self._overlap, heading)

    def _split_text(self, start: int, end: int, room: int) -> Iterator[tuple[int, int]]:
        # slow to import, and the service itself never splits: its parsers' processes do
        from langchain_text_splitters import RecursiveCharacterTextSplitter  # noqa: PLC0415

        splitter = RecursiveCharacterTextSplitter(
            separators=_SEPARATORS,
            is_separator_regex=True,
            keep_separator="end",
            strip_whitespace=False,
            chunk_size=room,
            chunk_overlap=0,
        )
        at = start  # the pieces joined are the text again, so each begins where the one before ends
        for piece in splitter.split_text(self._text[start:end]):
            yield at, at + len(piece)
            at += len(piece)

    def _merge(self, pieces: Iterator[tuple[int, int]], room: int) -> Iterator[tuple[int, int]]:
        """Merge neighbours where they fit: the splitter leaves a short line before a long one alone."""
        held: tuple[int, int] | None = None
        for start, end in pieces:
            if held is not None and (end - held[0] <= room or not self._text[start:end].strip()):
                held = held[0], end
                continue
            if held is not None:
                yield held
            held = start, end
        if held is not None and self._text[held[0] : held[1]].strip():
            yield held

    def _find_overlap(self, before: int, at: int) -> int:
        """Find where to begin, up to `overlap` characters before `at`: at a sentence there, else at a word.

        Nothing is repeated where that were all of the piece before, which begins at `before`.
        """
        earliest = at - self._overlap
        if earliest <= before:
            return at
        if (end := self._tables.end_at(earliest)) is not None:  # rows without their header are of no use
            earliest = min(end, at)
        for boundary in (_SENTENCE_START, _WORD_START):
            match = boundary.search(self._text, earliest, at)
            if match is not None and match.end() < at and self._tables.end_at(match.end()) is None:
                return match.end()
        return earliest if self._tables.end_at(earliest) is None else at

    def _strip_space(self, start: int, end: int) -> tuple[int, int]:
        part = self._text[start:end]
        return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
