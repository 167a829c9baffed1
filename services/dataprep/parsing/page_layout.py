"""A page's pieces of text in the order in which people read them: lines, columns, tables without lines. Pure.

Pieces on one height are a row. Rows that leave the same strips of the page free, each with text on both sides
of it, hang together: as columns of running text, which are read one after the other, or as a table, whose
cells are told by the strip that they stand behind, so that an empty one stays empty. y grows upwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

Table = list[list[str]]
Part = str | Table

_SAME_ROW = 0.5
"""Pieces that share so much of the lower one's height stand in one row."""

_BESIDE = 0.3
"""A piece that shares so much of a height with the row above stands beside it, not below."""

STRIP = 0.5
"""A free strip is at least so wide, in heights of a line (a height is some 1.15 of the font's size)."""

_COLUMN_ROWS = 3
"""Columns of running text have as many lines each."""

_COLUMN_WORDS = 3.5
"""As many words a line, on average, make running text of a column."""

_TABLE_ROWS = 3
_TABLE_SHARE = 0.6
"""In a table, so many of the rows have more than one cell."""

_NEXT_ROW, _NEXT_LINE = 1.6, 0.8
"""In distances of a table's rows: what is further below is no row; what is closer goes on with one."""

_DEPTH = 4
_MARKER = re.compile(r"(?:[•‣▪●○◦·*–—-]|\(?(?:\d{1,2}(?:\.\d+)*|[A-Za-z]|[ivx]+)[.)]?)$")  # noqa: RUF001
"""What stands before an item of a list."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A text without a wide gap in it, or a table, in its box."""

    left: float
    bottom: float
    right: float
    top: float
    text: str = ""
    table: Table | None = None

    @property
    def height(self) -> float:
        return self.top - self.bottom


Strip = tuple[float, float]


@dataclass(slots=True)
class _Row:
    pieces: list[Piece] = field(default_factory=list)

    @property
    def top(self) -> float:
        return max(piece.top for piece in self.pieces)

    @property
    def bottom(self) -> float:
        return min(piece.bottom for piece in self.pieces)


@dataclass(slots=True)
class _Run:
    """Rows that hang together, and the strips that all of them leave free, also at the sides of the page."""

    rows: list[_Row] = field(default_factory=list)
    free: list[Strip] = field(default_factory=lambda: [(-math.inf, math.inf)])
    left: float = math.inf
    right: float = -math.inf

    def add(self, row: _Row, width: float) -> None:
        self.rows.append(row)
        self.free = _intersect(self.free, _find_free(row), width)
        self.left = min(self.left, row.pieces[0].left)
        self.right = max(self.right, *(piece.right for piece in row.pieces))

    @property
    def strips(self) -> list[Strip]:
        """The free strips with text on both sides."""
        return [strip for strip in self.free if strip[0] >= self.left and strip[1] <= self.right]


def arrange(pieces: Sequence[Piece]) -> list[Part]:
    """Bring a page's pieces into order: texts, whose lines end in a line break, and tables."""
    parts: list[Part] = []
    for part in _arrange(pieces, _DEPTH):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += "\n" + part
        else:
            parts.append(part)
    return parts


def _arrange(pieces: Sequence[Piece], depth: int) -> Iterable[Part]:
    if not pieces:
        return
    height = median(piece.height for piece in pieces)
    for run in _find_runs(_find_rows(pieces), STRIP * height):
        cells = [[_cell_of(row, run.strips, at) for at in range(len(run.strips) + 1)] for row in run.rows]
        if not run.strips or not depth:
            yield from _write_lines(run.rows)
        elif _is_running_text(cells):
            for at in range(len(run.strips) + 1):
                column = [piece for row in cells for piece in row[at]]
                yield from _arrange(column, depth - 1)
        elif _is_table(cells):
            yield from _write_table(run, cells)
        else:
            yield from _write_lines(run.rows)


def _find_rows(pieces: Sequence[Piece]) -> list[_Row]:
    """Group the pieces by height, from the top; a table is a row of its own."""
    rows: list[_Row] = []
    for piece in sorted(pieces, key=lambda piece: (-(piece.top + piece.bottom), piece.left)):
        for row in rows[-2:]:
            first = row.pieces[0]
            shared = min(first.top, piece.top) - max(first.bottom, piece.bottom)
            if (
                piece.table is None
                and first.table is None
                and shared > _SAME_ROW * min(first.height, piece.height)
            ):
                row.pieces.append(piece)
                break
        else:
            rows.append(_Row([piece]))
    for row in rows:
        row.pieces.sort(key=lambda piece: piece.left)
    return sorted(rows, key=lambda row: -row.top)


def _find_runs(rows: Sequence[_Row], width: float) -> list[_Run]:
    """Group rows that keep each other's strips free; `width` is the least of a strip."""
    runs: list[_Run] = []
    for row in rows:
        run = runs[-1] if runs else None
        if run is not None and _joins(run, row, width):
            run.add(row, width)
            continue
        started = _Run()
        if run is not None and len(run.rows) > 1 and _stands_beside(run.rows[-1], row):
            above = run.rows[-1]
            runs[-1] = _Run()
            for kept in run.rows[:-1]:
                runs[-1].add(kept, width)
            started.add(above, width)
            if not _joins(started, row, width):
                runs.append(started)
                started = _Run()
        started.add(row, width)
        runs.append(started)
    return runs


def _joins(run: _Run, row: _Row, width: float) -> bool:
    """Whether a row keeps the strips of a run free, and the run those of the row."""
    free = _find_free(row)
    kept = _intersect(run.free, free, width)
    needed = [*run.strips, *(strip for strip in free[1:-1] if strip[1] - strip[0] >= width)]
    if not needed:
        left, right = min(run.left, row.pieces[0].left), max(run.right, row.pieces[-1].right)
        parted = any(strip[0] >= left and strip[1] <= right for strip in kept)
        return parted or not _stands_beside(run.rows[-1], row)
    return all(any(strip[0] < end and start < strip[1] for strip in kept) for start, end in needed)


def _stands_beside(above: _Row, row: _Row) -> bool:
    shared = min(above.top, row.top) - max(above.bottom, row.bottom)
    return shared > _BESIDE * min(above.top - above.bottom, row.top - row.bottom)


def _find_free(row: _Row) -> list[Strip]:
    """Find the strips beside and between a row's pieces."""
    free: list[Strip] = []
    at = -math.inf
    for piece in row.pieces:
        if piece.left > at:
            free.append((at, piece.left))
        at = max(at, piece.right)
    return [*free, (at, math.inf)]


def _intersect(one: Sequence[Strip], other: Sequence[Strip], width: float) -> list[Strip]:
    """Give the strips that are free in both, as far as they are wide enough."""
    found: list[Strip] = []
    first = second = 0
    while first < len(one) and second < len(other):
        start, end = max(one[first][0], other[second][0]), min(one[first][1], other[second][1])
        if end - start >= width:
            found.append((start, end))
        if one[first][1] < other[second][1]:
            first += 1
        else:
            second += 1
    return found


def _cell_of(row: _Row, strips: Sequence[Strip], at: int) -> list[Piece]:
    """Give the pieces of a row between two strips."""
    left = strips[at - 1][0] if at else -math.inf
    right = strips[at][1] if at < len(strips) else math.inf
    return [piece for piece in row.pieces if left <= piece.left and piece.right <= right]


def _join(pieces: Sequence[Piece]) -> str:
    return " ".join(piece.text.strip() for piece in pieces)


def _is_running_text(cells: Sequence[Sequence[Sequence[Piece]]]) -> bool:
    """Whether the columns are texts of their own: enough lines of enough words in each."""
    for at in range(len(cells[0])):
        column = [row[at] for row in cells if row[at]]
        if any(piece.table is not None for cell in column for piece in cell):
            continue
        words = [len(_join(cell).split()) for cell in column]
        if len(words) < _COLUMN_ROWS or sum(words) < _COLUMN_WORDS * len(words):
            return False
    return True


def _is_table(cells: Sequence[Sequence[Sequence[Piece]]]) -> bool:
    """Whether enough rows have several cells, and the first are no names of fields or marks of a list."""
    filled = [row for row in cells if sum(map(bool, row)) > 1]
    if len(filled) < (_TABLE_ROWS if len(cells[0]) == 2 else _TABLE_ROWS - 1):
        return False
    if any(piece.table is not None for row in cells for cell in row for piece in cell):
        return False
    first = [_join(row[0]) for row in filled if row[0]]
    if len(cells[0]) == 2 and first:
        fields = sum(text.endswith(":") or _MARKER.match(text) is not None for text in first)
        if fields * 2 >= len(first):
            return False
    return len(filled) >= _TABLE_SHARE * sum(1 for row in cells if any(row))


def _write_lines(rows: Sequence[_Row]) -> Iterable[Part]:
    lines: list[str] = []
    for row in rows:
        table = row.pieces[0].table
        if table is None:
            lines.append(_join(row.pieces))
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        yield table
    if lines:
        yield "\n".join(lines)


def _write_table(run: _Run, cells: Sequence[Sequence[Sequence[Piece]]]) -> Iterable[Part]:
    """Write the rows of a table; a line that stands alone above or below it is text."""
    alone = [sum(map(bool, row)) < 2 for row in cells]
    first = alone.index(False)
    last = len(cells) - alone[::-1].index(False)
    usual = median(_pitches(run.rows[first:last]) or [0.0])
    while last < len(cells) and len(_join(run.rows[last].pieces).split()) < _COLUMN_WORDS:
        if run.rows[last - 1].top - run.rows[last].top > _NEXT_ROW * usual:
            break
        last += 1
    yield from _write_lines(run.rows[:first])
    yield _join_continued(run.rows[first:last], [[_join(cell) for cell in row] for row in cells[first:last]])
    yield from _write_lines(run.rows[last:])


def _join_continued(rows: Sequence[_Row], cells: Table) -> Table:
    """Put a line whose first cell is empty into the row above, where rows stand further apart than lines."""
    pitches = _pitches(rows)
    begun = [pitch for pitch, row in zip(pitches, cells[1:], strict=True) if row[0]]
    joined = cells[:1]
    for pitch, row in zip(pitches, cells[1:], strict=True):
        if not row[0] and begun and pitch < _NEXT_LINE * median(begun):
            joined[-1] = [" ".join(filter(None, pair)) for pair in zip(joined[-1], row, strict=True)]
        else:
            joined.append(row)
    return joined


def _pitches(rows: Sequence[_Row]) -> list[float]:
    return [above.top - below.top for above, below in pairwise(rows)]
