"""The characters of a PDF page as pieces of text, with their boxes; those within ruling lines as tables.

pdfium gives characters in the order in which they are drawn. A page that is drawn as it is read, one line
below the other, is taken as pdfium writes it; of any other the pieces are put into order (`page_layout`).
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Sequence
from contextlib import closing

import pypdfium2 as pdfium
from pypdfium2 import raw

from services.dataprep.parsing.page_layout import STRIP, Part, Piece, Table, arrange
from services.dataprep.parsing.pdf_forms import Field, place_fields, read_annotations
from services.dataprep.parsing.pdf_tables import Grid, PageLines, find_grids

_HYPHEN = re.compile(r"[\x02\ufffe\u00ad](?:\r\n|\r|\n| )?")
"""How pdfium shows a hyphen that only breaks the line: the word goes on behind it."""

_UNWANTED = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\ufffe\uffff]|\r(?=\n)")
_ALIGNED_BY_SPACES = re.compile(r"\S {3,}\S")
_ALIGNED_LINES = 3
_WORD = re.compile(r"[^\s\0\x02\ufffe\u00ad]+[\x02\ufffe\u00ad]?|[\x02\ufffe\u00ad]")
_CHARACTER = re.compile(r"[^\s\0]")

_BEHIND = 0.4
"""A word that begins further left than so many heights behind the last one begins a new piece."""

_UPRIGHT = 0.02
"""Radians by which text may lean and still count as upright, or as turned by a right angle."""

Box = tuple[float, float, float, float]


def read_page(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> list[Part]:
    """Read a page's text, tables, form values and notes in order. Raises `PdfiumError`."""
    found = read_annotations(document, page)
    parts = _read_printed(page, found.fields)
    return [*parts, *found.notes]


def _read_printed(page: pdfium.PdfPage, fields: Sequence[Field]) -> list[Part]:
    with closing(page.get_textpage()) as text:
        lines = PageLines(page)
        grids = find_grids(lines.across, lines.down)
        if not grids and not fields and _is_drawn_as_read(text):
            plain = text.get_text_bounded()
            if len(_ALIGNED_BY_SPACES.findall(plain)) < _ALIGNED_LINES:
                return [_clean(plain)]
        return _order_page(text, grids, fields)


def _order_page(text: pdfium.PdfTextPage, grids: Sequence[Grid], fields: Sequence[Field]) -> list[Part]:
    tables = [_FilledGrid(grid) for grid in grids]
    reader = _PieceReader(text, tables)
    good = [table.grid for table in tables if table.is_table]
    if len(good) < len(tables):
        return _order_page(text, good, fields)
    printed = reader.pieces.setdefault(0, [])
    printed += place_fields(fields, printed)
    printed += [table.to_piece() for table in tables]
    parts: list[Part] = []
    for pieces in sorted(reader.pieces.values(), key=_count_characters, reverse=True):
        parts += arrange(pieces)
    if reader.slanted:
        parts.append("".join(reader.slanted))
    return [
        _clean(part) if isinstance(part, str) else [[_clean(cell) for cell in row] for row in part]
        for part in parts
    ]


def _count_characters(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces)


def _is_drawn_as_read(text: pdfium.PdfTextPage) -> bool:
    """Whether each stretch of text stands below the one before, or close behind it on the same line."""
    if text.count_chars() and _find_way(raw.FPDFText_GetCharAngle(text, 0)) != 0:
        return False
    bottom = right = top = 0.0
    for index in range(text.count_rects()):
        next_left, next_bottom, next_right, next_top = text.get_rect(index)
        if next_top - next_bottom > next_right - next_left and text.count_chars() > 1:
            return False  # turned, or a letter of its own: the characters tell
        if index:
            height = min(top - bottom, next_top - next_bottom)
            same_line = min(top, next_top) - max(bottom, next_bottom) > height / 2
            if same_line and not -height < next_left - right < STRIP * height:
                return False
            if not same_line and next_top > top:
                return False
        bottom, right, top = next_bottom, next_right, next_top
    return True


class _PieceReader:
    """Reads characters into `tables`, and into `pieces` by the quarters of a circle that they are turned by.

    Turned text is laid out as if it stood upright. `slanted` holds characters turned by any other angle.
    """

    def __init__(self, text: pdfium.PdfTextPage, tables: Sequence[_FilledGrid]) -> None:
        self.pieces: dict[int, list[Piece]] = {}
        self.slanted: list[str] = []
        self._characters: list[str] = []
        self._box: Box = (0.0, 0.0, 0.0, 0.0)
        self._way: int | None = 0
        cell: list[str] | None = None
        whole = _read_codes(text)
        end = 0
        # pdfium puts a space wherever a gap is wide; letters without one may still be in two cells of a table
        for match in (_CHARACTER if tables else _WORD).finditer(whole):
            if match.start() > end:
                gap = "\n" if "\n" in whole[end : match.start()] else " "
                (self._characters if cell is None else cell).append(gap)
            end = match.end()
            box = _find_box(text, match.start(), end)
            cell = _find_cell(tables, box)
            if cell is None:
                self._take(text, match.start(), match[0], box)
            else:
                cell.append(match[0])
        self._finish()

    def _take(self, text: pdfium.PdfTextPage, index: int, word: str, box: Box) -> None:
        if self._characters and self._way is not None:
            turned = _turn(box, self._way)
            left, bottom, right, top = self._box
            height = min(top - bottom, turned[3] - turned[1])
            shared = min(top, turned[3]) - max(bottom, turned[1])
            gap = turned[0] - right
            # the same way on, unless a text that is turned otherwise begins right behind
            if shared > height / 2 and -_BEHIND * height < gap < STRIP * height and turned[2] > left:
                self._characters.append(word)
                self._box = (left, min(bottom, turned[1]), max(right, turned[2]), max(top, turned[3]))
                return
        self._finish()
        self._way = _find_way(-raw.FPDFText_GetCharAngle(text, index))
        if self._way is None:
            self.slanted.append(word)
            return
        self._characters, self._box = [word], _turn(box, self._way)

    def _finish(self) -> None:
        written = _join(self._characters).strip()
        if self._way is None:
            self.slanted += self._characters
        elif written:
            self.pieces.setdefault(self._way, []).append(Piece(*self._box, written))
        self._characters = []


def _read_codes(text: pdfium.PdfTextPage) -> str:
    """Read all characters, each at pdfium's own index; those beyond the first plane are two."""
    count = text.count_chars()
    buffer = ctypes.create_string_buffer(2 * count + 2)
    written = raw.FPDFText_GetText(text, 0, count, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)))
    if written == count + 1:
        return "".join(map(chr, memoryview(buffer.raw[: 2 * count]).cast("H")))
    return "".join(chr(raw.FPDFText_GetUnicode(text, index)) for index in range(count))


def _find_box(text: pdfium.PdfTextPage, start: int, end: int) -> Box:
    """Find the box around the characters from the first to the last of a word."""
    rectangle = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(text, start, rectangle)
    box = (rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
    if end - start == 1:
        return box
    raw.FPDFText_GetLooseCharBox(text, end - 1, rectangle)
    return (
        min(box[0], rectangle.left),
        min(box[1], rectangle.bottom),
        max(box[2], rectangle.right),
        max(box[3], rectangle.top),
    )


def _find_way(angle: float) -> int | None:
    """Tell by how many quarters of a circle a text is turned against the clock; None for anything between."""
    quarters = angle / (math.pi / 2)
    return round(quarters) % 4 if abs(quarters - round(quarters)) < _UPRIGHT else None


def _turn(box: Box, quarters: int) -> Box:
    """Turn a box so that a text in it, turned by so many quarters against the clock, stands upright."""
    left, bottom, right, top = box
    if quarters == 1:
        return bottom, -right, top, -left
    if quarters == 2:
        return -right, -top, -left, -bottom
    return (-top, left, -bottom, right) if quarters else box


def _find_cell(tables: Sequence[_FilledGrid], box: Box) -> list[str] | None:
    if not tables:
        return None
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    for table in tables:
        if (cell := table.grid.cell_at(x, y)) is not None:
            return table.cells.setdefault(cell, [])
    return None


class _FilledGrid:
    """A grid and the characters in its cells."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.cells: dict[tuple[int, int], list[str]] = {}

    @property
    def is_table(self) -> bool:
        """Whether enough of it is filled: a chart's grid lines hold next to nothing."""
        cells = {cell for row in self.grid.cells for cell in row}
        return len(self.cells) * 4 >= len(cells)

    def to_piece(self) -> Piece:
        """Write each field's text; a cell of several fields is written in its first one."""
        table: Table = [
            [
                _join(self.cells.get(cell, [])) if cell == (row, column) else ""
                for column, cell in enumerate(line)
            ]
            for row, line in enumerate(self.grid.cells)
        ]
        xs, ys = self.grid.xs, self.grid.ys
        return Piece(xs[0], ys[-1], xs[-1], ys[0], table=table)


def _join(characters: Sequence[str]) -> str:
    """Join pdfium's characters; it gives those beyond the first plane as two."""
    return "".join(characters).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _clean(text: str) -> str:
    return _UNWANTED.sub("", _HYPHEN.sub(lambda match: "" if match.end() < len(text) else "-", text)).strip()
