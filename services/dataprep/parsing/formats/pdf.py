"""PDF: the text of every page by pdfium; tables with ruling lines as rows, where their text begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from services.dataprep.parsing.document import (
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    Unparsable,
    list_places,
)
from services.dataprep.parsing.layout import Layout

if TYPE_CHECKING:
    import pypdfium2 as pdfium

    from services.dataprep.parsing.pdf_tables import Grid

FORMAT = Format(
    title="PDF",
    position=50,
    suffixes=(".pdf",),
    content_types={"application/pdf": ".pdf"},
    magic=b"%PDF-",
    called="a PDF",
    read_with="pypdfium2",
    sections="pages; tables with ruling lines as rows",
    left_out="scans (run OCR first); tables without lines between columns are plain text",
)

Table = list[list[str]]

_HEADER_WITHIN = 1024
"""Readers accept a PDF whose header comes within its first kilobyte."""

_END_MARKS = (b"%%EOF", b"startxref", b"trailer")
_END_WITHIN = 4096
"""Where none of them is near the end, pdfium would read what is there and say nothing of the rest."""

_HYPHEN = re.compile(r"[\x02\ufffe\u00ad](?:\r\n|\r|\n)?")
"""How pdfium shows a hyphen that only breaks the line: the word goes on behind it."""

_UNWANTED = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\ufffe\uffff]|\r(?=\n)")


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the pages in order."""
    if FORMAT.magic not in data[:_HEADER_WITHIN]:
        raise Unparsable("unsupported", "is not a PDF, though its name says so")
    if not any(mark in data[-_END_WITHIN:] for mark in _END_MARKS):
        raise Unparsable("invalid", "is a broken PDF: it lacks its end, as if it was cut off; send it again")
    layout = Layout(limits)
    textless: list[int] = []
    with closing(_open(data)) as document:
        count = len(document)
        if count > limits.pages:
            raise Unparsable("too_large", f"has {count} pages, more than {limits.pages}: split it")
        for number in range(count):
            layout.start_page()
            parts = _read_page(document, number)
            if not any(parts) and _has_objects(document, number):
                textless.append(number + 1)
            for part in parts:
                if isinstance(part, str):
                    layout.add_paragraph(part)
                else:
                    layout.add_table(part)
    if not layout.length:
        raise Unparsable("invalid", "is a PDF without text, scanned perhaps: run OCR on it first")
    if textless:
        layout.warn(
            ParseWarning(
                "pages_without_text",
                f"{_count_pages(textless)} no text, scanned perhaps: run OCR on it first",
            )
        )
    return layout.finish()


def _count_pages(numbers: Sequence[int]) -> str:
    return f"page {numbers[0]} has" if len(numbers) == 1 else f"pages {list_places(numbers)} have"


def _has_objects(document: pdfium.PdfDocument, number: int) -> bool:
    """Whether a page shows anything at all; one that is blank misses nothing."""
    with closing(document[number]) as page:
        return next(iter(page.get_objects()), None) is not None


def _open(data: bytes) -> pdfium.PdfDocument:
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            raise Unparsable("invalid", "is encrypted: save it without a password") from None
        raise Unparsable("invalid", "is a broken PDF: open it in a reader and save it again") from None


def _read_page(document: pdfium.PdfDocument, number: int) -> list[str | Table]:
    """Read the page's text and tables in the order of the text."""
    import pypdfium2 as pdfium

    from services.dataprep.parsing.pdf_tables import PageLines, find_grids

    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as text:
            lines = PageLines(page)
            grids = find_grids(lines.across, lines.down)
            parts = _place_characters(text, grids) if grids else []
            return parts or [_clean(text.get_text_bounded())]
    except pdfium.PdfiumError:
        raise Unparsable(
            "invalid", f"is a broken PDF: page {number + 1} cannot be read; save it again"
        ) from None


def _clean(text: str) -> str:
    return _UNWANTED.sub("", _HYPHEN.sub("", text)).strip()


def _place_characters(text: pdfium.PdfTextPage, grids: Sequence[Grid]) -> list[str | Table]:
    """Put each character into its cell or the text between; empty where the grids hold no table after all."""
    from pypdfium2 import raw

    tables = [_FilledGrid(grid) for grid in grids]
    parts: list[list[str] | _FilledGrid] = [[]]
    current: list[str] = []
    for index in range(text.count_chars()):
        character = chr(raw.FPDFText_GetUnicode(text, index))
        if not (character.isspace() or raw.FPDFText_IsGenerated(text, index)):
            left, bottom, right, top = text.get_charbox(index)
            x, y = (left + right) / 2, (bottom + top) / 2
            current = []
            for table in tables:
                if (cell := table.grid.cell_at(x, y)) is not None:
                    if table not in parts:
                        parts += [table, []]
                    current = table.cells.setdefault(cell, [])
                    break
            else:
                last = parts[-1]
                current = last if isinstance(last, list) else []
        current.append(character)
    good = [table.grid for table in tables if table.is_table]
    if len(good) < len(tables):
        return _place_characters(text, good) if good else []
    return [_clean(_join(part)) if isinstance(part, list) else part.to_rows() for part in parts]


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

    def to_rows(self) -> Table:
        """Write each field's text; a cell of several fields is written in its first one."""
        return [
            [
                _clean(_join(self.cells.get(cell, []))) if cell == (row, column) else ""
                for column, cell in enumerate(line)
            ]
            for row, line in enumerate(self.grid.cells)
        ]


def _join(characters: Sequence[str]) -> str:
    """Join pdfium's characters; it gives those beyond the first plane as two."""
    return "".join(characters).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
