"""Tables as text: pure. Markdown rows, in blocks of whole rows with the header row on top of each.

A block is at most as long as a chunk, so that every row stays with its column names. A row that is too long
for that is written as a line `name: value` for each of its cells, in several blocks where it must be, each
with the column's name and what the row is called. Headers of two levels are joined into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from services.dataprep.parsing.document import Unparsable

COLUMNS = 16_384
"""As many columns as a spreadsheet can have."""

PEEK = 20
"""Rows that are looked at to find the header among them."""

LEFT = "\ufdd0"
"""Stands in a row where the cell on its left goes on (a code point that no text holds)."""

_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"(?!(?:19|20)\d\d$)[-+(]?[$€£]?\s?\d[\d.,'\s]*(?:[eE][-+]?\d+)?\s?[%)€$£]?$")
"""A number that is no year: years are column names as often as not."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first` to `last`, counted from 1 with the blank ones; `text[:head]` is the header above them."""

    first: int
    last: int
    text: str
    head: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: list[str]

    @property
    def text(self) -> str:
        cells = ("" if cell == LEFT else cell.replace("|", "\\|") for cell in self.cells)
        return "| " + " | ".join(cells) + " |"

    def to_records(self, names: Sequence[str], size: int) -> Iterator[str]:
        """Write a line `name: value` for each cell that is not empty, in texts of up to `size` characters.

        A value that is longer is cut at words. Each further text begins with the first line, which says what
        the row is of, where it is short.
        """
        lines = [
            (f"{names[index] if index < len(names) and names[index] else f'column {index + 1}'}: ", cell)
            for index, cell in enumerate(self.cells)
            if cell and cell != LEFT
        ]
        label = "".join(lines[0]) if lines and len("".join(lines[0])) <= size // 3 else ""
        held: list[str] = []
        for name, value in lines:
            room = max(size // 3, size - len(name) - len(label) - 1)
            for piece in _cut_at_words(value, room):
                line = name + piece
                if held and sum(map(len, held)) + len(held) + len(line) > size:
                    yield "\n".join(held)
                    held = [label] if label else []
                held.append(line)
        if held:
            yield "\n".join(held)


def _cut_at_words(text: str, size: int) -> Iterator[str]:
    while len(text) > size:
        at = text.rfind(" ", size // 2, size + 1)
        at = at if at > 0 else size
        yield text[:at]
        text = text[at:].lstrip()
    yield text


def split_table(
    rows: Iterable[Sequence[str]], size: int, *, lead: int = 0, headers: int = 0
) -> Iterator[Block]:
    """Cut a table into blocks, without its blank rows.

    Args:
        rows: The cells of each row; `LEFT` where one goes on.
        size: The most characters of a block.
        lead: So much shorter is the first block.
        headers: How many of the first rows are the header; 0: that is to be found out.

    Raises:
        Unparsable: It has more than `COLUMNS` columns.
    """
    cleaned = _clean_rows(rows)
    peeked = list(islice(cleaned, PEEK))
    at, after = (0, min(headers, len(peeked))) if headers else _find_header(peeked)
    header = _join_header(peeked[at:after]) if after else None
    top = "" if header is None else header.text + "\n|" + "---|" * len(header.cells)
    names = header.cells if header else []
    for row in peeked[:at]:  # a caption above the header
        yield Block(row.number, row.number, " ".join(cell for cell in row.cells if cell and cell != LEFT))
    held: list[_Row] = []
    length = 0
    for row in chain(peeked[after:], cleaned):
        room = size - len(top) - lead
        amount = len(row.text) + 1
        if held and length + amount > room:
            yield _build_block(top, held)
            held, length, lead = [], 0, 0
            room = size - len(top)
        if amount > room:
            for text in row.to_records(names, size) if names else [row.text]:
                yield Block(row.number, row.number, text)
            continue
        held.append(row)
        length += amount
    if held:
        yield _build_block(top, held)


def _build_block(top: str, rows: Sequence[_Row]) -> Block:
    text = "\n".join([*([top] if top else []), *(row.text for row in rows)])
    return Block(rows[0].number, rows[-1].number, text, len(top) + 1 if top else 0)


def _clean_rows(rows: Iterable[Sequence[str]]) -> Iterator[_Row]:
    for number, row in enumerate(rows, start=1):
        if len(row) > COLUMNS:
            raise Unparsable("too_large", f"has {len(row)} columns in row {number}, more than {COLUMNS}")
        cells = [_SPACE.sub(" ", cell).strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield _Row(number, cells)


def _find_header(rows: Sequence[_Row]) -> tuple[int, int]:
    """Find the rows that name the columns: where they begin and end; both 0 where there are none.

    It is the first row that spans most of the columns, unless it holds numbers, and the next one too where
    that names what one cell of the first spans.
    """
    width = max((sum(map(bool, row.cells)) for row in rows), default=0)
    at = next((index for index, row in enumerate(rows) if _spans_table(row, width)), None)
    if at is None or at + 1 >= len(rows) or width < 2 or _holds_numbers(rows[at]):
        return 0, 0
    after = at + 1
    while LEFT in rows[after - 1].cells and after + 1 < len(rows) and not _holds_numbers(rows[after]):
        after += 1
    return at, after


def _holds_numbers(row: _Row) -> bool:
    return any(_NUMBER.match(cell) for cell in row.cells)


def _join_header(rows: Sequence[_Row]) -> _Row:
    """Join the levels of a header, so that each column has its whole name."""
    levels = [_fill_spans(row.cells) for row in rows]
    width = max(map(len, levels))
    columns = zip(*([*level, *[""] * (width - len(level))] for level in levels), strict=True)
    return _Row(rows[0].number, [" ".join(dict.fromkeys(filter(None, names))) for names in columns])


def _fill_spans(cells: Sequence[str]) -> list[str]:
    filled: list[str] = []
    for cell in cells:
        filled.append(filled[-1] if cell == LEFT and filled else "" if cell == LEFT else cell)
    return filled


def _spans_table(row: _Row, width: int) -> bool:
    """Whether it is not just a caption, a cell over all columns; the corner of a table may be empty."""
    own = sum(cell not in {"", LEFT} for cell in row.cells)
    return (
        len(row.cells) * 2 > width
        and sum(map(bool, row.cells)) * 2 >= width
        and (own > 1 or LEFT not in row.cells)
    )
