"""Tables as text: pure. Markdown rows, in blocks of whole rows with the header row on top of each.

A block is at most as long as a chunk, so that every row stays with its column names. A row that is too long
for that is written as a line `name: value` for each of its cells.
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

_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"(?!(?:19|20)\d\d$)[-+(]?[$€£]?\s?\d[\d.,'\s]*(?:[eE][-+]?\d+)?\s?[%)€$£]?$")
"""A number that is no year: years are column names as often as not."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first` to `last`, counted from 1 with the blank ones."""

    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: list[str]

    @property
    def text(self) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in self.cells) + " |"

    def to_record(self, names: Sequence[str]) -> str:
        """Write a line `name: value` for each cell that is not empty."""
        return "\n".join(
            f"{names[index] if index < len(names) and names[index] else f'column {index + 1}'}: {cell}"
            for index, cell in enumerate(self.cells)
            if cell
        )


def split_table(rows: Iterable[Sequence[str]], size: int, *, lead: int = 0) -> Iterator[Block]:
    """Cut the table into blocks of up to `size` characters, the first shorter by `lead`.

    Blank rows are left out. Raises `Unparsable` for a table with more than `COLUMNS` columns.
    """
    cleaned = _clean_rows(rows)
    peeked = list(islice(cleaned, PEEK))
    at = _find_header(peeked)
    header = None if at is None else peeked[at]
    top = "" if header is None else header.text + "\n|" + "---|" * len(header.cells)
    names = header.cells if header else []
    for row in peeked[: at or 0]:  # a caption above the header
        yield Block(row.number, row.number, " ".join(cell for cell in row.cells if cell))
    held: list[_Row] = []
    length = 0
    for row in chain(peeked[0 if at is None else at + 1 :], cleaned):
        room = size - len(top) - lead
        amount = len(row.text) + 1
        if held and length + amount > room:
            yield _build_block(top, held)
            held, length, lead = [], 0, 0
            room = size - len(top)
        if amount > room:
            yield Block(row.number, row.number, row.to_record(names) if names else row.text)
            continue
        held.append(row)
        length += amount
    if held:
        yield _build_block(top, held)


def _build_block(top: str, rows: Sequence[_Row]) -> Block:
    return Block(
        rows[0].number, rows[-1].number, "\n".join([*([top] if top else []), *(row.text for row in rows)])
    )


def _clean_rows(rows: Iterable[Sequence[str]]) -> Iterator[_Row]:
    for number, row in enumerate(rows, start=1):
        if len(row) > COLUMNS:
            raise Unparsable("too_large", f"has {len(row)} columns in row {number}, more than {COLUMNS}")
        cells = [_SPACE.sub(" ", cell).strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield _Row(number, cells)


def _find_header(rows: Sequence[_Row]) -> int | None:
    """Find the row that names the columns: the first that spans most of them, unless it holds numbers."""
    width = max((sum(map(bool, row.cells)) for row in rows), default=0)
    at = next((index for index, row in enumerate(rows) if _spans_table(row, width)), None)
    if at is None or at + 1 >= len(rows) or width < 2:
        return None
    return None if any(_NUMBER.match(cell) for cell in rows[at].cells) else at


def _spans_table(row: _Row, width: int) -> bool:
    """Whether it is not just a caption; the corner of a table may be empty."""
    return len(row.cells) * 2 > width and sum(map(bool, row.cells)) * 2 >= width
