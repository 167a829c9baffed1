"""DOCX: headings, paragraphs, lists and tables in document order; text boxes behind their paragraph.

Insertions that are still marked count, deletions do not. Footnotes and endnotes come behind the paragraph
that refers to them, page headers and footers once, at the end. Comments, charts, diagrams are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.dataprep.parsing.document import (
    TITLE_LENGTH,
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    Unparsable,
    list_places,
    shorten,
)
from services.dataprep.parsing.layout import BULLET, Layout
from services.dataprep.parsing.office import blame_file, open_package
from services.dataprep.parsing.tables import COLUMNS, LEFT

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table, _Cell
    from docx.text.paragraph import Paragraph
    from lxml import etree

    from services.dataprep.parsing.word_lists import ListNumbers
    from services.dataprep.parsing.word_text import Notes

FORMAT = Format(
    title="DOCX",
    position=60,
    suffixes=(".docx",),
    content_types={"application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx"},
    package_part="word/",
    called="a DOCX",
    read_with="python-docx",
    sections="headings; numbered lists, tables, equations and notes where they stand; page headers and "
    "footers once, at the end",
    left_out="comments, charts, diagrams, which the result names; deleted text",
)

_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SPANS = [_WORD + name for name in ("gridSpan", "gridBefore", "gridAfter")]
_PARTS = {"comments": "comments"}
"""Parts of the package by the beginning of their names, without number and suffix."""

_ELEMENTS = {
    "charts": "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart",
    "diagrams": "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds",
}
_TAG = re.compile(rb"<[^>]*>")
_WORDS = re.compile(rb"[^\s]")


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the body's blocks in order."""
    import docx

    from services.dataprep.parsing.word_text import Notes, read_margins, surface_text

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    with blame_file(FORMAT.title):
        document = docx.Document(package)
        _check_spans(document.element.body)
        own = document.core_properties
        layout.describe(
            document_title=own.title,
            author=own.author,
            subject=own.subject,
            keywords=own.keywords,
            created=own.created,
        )
        left_out = _find_left_out(document)
        margins, notes = read_margins(document), Notes(document)
        unknown = dict.fromkeys([*surface_text(document.element.body), *notes.unknown_fonts])
        left_out += [f"symbols of the font {shorten(font)}" for font in unknown]
        if left_out:
            layout.warn(ParseWarning("left_out", f"left out: {list_places(left_out)}"))
        _write(document, layout, notes)
        _write_margins(margins, layout)
    return layout.finish()


def _find_left_out(document: Document) -> list[str]:
    """Name what of the file does not become text, as far as it holds any."""
    found: list[str] = []
    for part in document.part.package.iter_parts():
        name = _PARTS.get(str(part.partname).rsplit("/", 1)[-1].rstrip("0123456789.xml"))
        if name is not None and name not in found and _WORDS.search(_TAG.sub(b"", part.blob)):
            found.append(name)
    body = document.element.body
    counts = {name: sum(1 for _ in body.iter(tag)) for name, tag in _ELEMENTS.items()}
    return [*found, *(f"{count} {name}" for name, count in counts.items() if count)]


def _check_spans(body: etree._Element) -> None:
    """Refuse a cell that says to span very many columns, since it becomes as many cells."""
    for span in body.iter(*_SPANS):
        columns = int(span.get(_WORD + "val", "1"))
        if columns > COLUMNS:
            raise Unparsable("too_large", f"has a cell that spans {columns} columns, more than {COLUMNS}")


def _write(document: Document, layout: Layout, notes: Notes) -> None:
    from docx.table import Table

    from services.dataprep.parsing.word_lists import ListNumbers

    styles: dict[str | None, _Style] = {}  # python-docx searches for one anew every time
    numbers = ListNumbers(document)
    in_list = False
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            layout.add_table(_write_rows(block, numbers), headers=_count_headers(block))
            in_list = _write_notes(notes, block._tbl, layout)
            continue
        text = block.text
        style_id = block._p.style
        if style_id not in styles:
            styles[style_id] = _find_style(block)
        style = styles[style_id]
        number = numbers.next_number(block) if text.strip() else None
        if style.level is not None:
            layout.add_heading(style.level, f"{number} {text}" if number and number != BULLET else text)
            in_list = False
        elif text.strip() and (number or style.is_list or _is_numbered(block)):
            (layout.add_line if in_list else layout.add_paragraph)(f"{number or BULLET} {text.strip()}")
            in_list = True
        elif text.strip():
            layout.add_paragraph(text)
            in_list = False
        in_list = _write_notes(notes, block._p, layout) or in_list


def _write_notes(notes: Notes, element: etree._Element, layout: Layout) -> bool:
    """Write the notes that a block refers to, on lines below it; never within a list."""
    for note in notes.below(element):
        layout.add_line(note)
    return False


def _write_margins(margins: Mapping[str, Sequence[str]], layout: Layout) -> None:
    """Write page headers and footers as a section of their own, which is named for the first of them."""
    if any(margins.values()):
        layout.start_section(())
    for kind, texts in margins.items():
        for text in texts:
            layout.add_paragraph(f"Page {kind}: {text}")


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph of a style is: a heading of `level`, the title's being 0, a list item, or neither."""

    level: int | None = None
    is_list: bool = False


def _find_style(paragraph: Paragraph) -> _Style:
    """Tell the style by its name or the name of one that it is based on."""
    style = paragraph.style
    for _ in range(10):
        if style is None or style.name is None:
            break
        if style.name == "Title":
            return _Style(level=0)
        if match := _HEADING.match(style.name):
            return _Style(level=int(match[1]))
        if style.name.startswith("List"):
            return _Style(is_list=True)
        style = getattr(style, "base_style", None)
    return _Style()


def _is_numbered(paragraph: Paragraph) -> bool:
    properties = paragraph._p.pPr
    return properties is not None and properties.numPr is not None


def _write_rows(table: Table, numbers: ListNumbers) -> Iterator[list[str]]:
    """Write each row's cells; one that is merged over rows is written in each, where it is a short label.

    Not by python-docx's `row.cells`, which climbs up to that for every row anew.
    """
    from docx.oxml.simpletypes import ST_Merge
    from docx.table import _Cell

    labels: dict[int, str] = {}
    for row in table._tbl.tr_lst:
        cells = [""] * row.grid_before
        for cell in row.tc_lst:
            column = len(cells)
            if cell.vMerge == ST_Merge.CONTINUE:
                cells.append(labels.get(column, ""))
            else:
                text = _write_cell(_Cell(cell, table), numbers)
                labels[column] = text if len(text) <= TITLE_LENGTH else ""
                cells.append(text)
            cells += [LEFT] * (cell.grid_span - 1)
        yield cells


def _count_headers(table: Table) -> int:
    """Count the first rows that are to be repeated on every page; 0 where all of them are."""
    rows = table._tbl.tr_lst
    count = 0
    while count < len(rows) and rows[count].find(f"{_WORD}trPr/{_WORD}tblHeader") is not None:
        count += 1
    return count if count < len(rows) else 0


def _write_cell(cell: _Cell, numbers: ListNumbers) -> str:
    """Write all that is in a cell, tables within it too, on one line."""
    from docx.table import Table

    parts = []
    for block in cell.iter_inner_content():
        if isinstance(block, Table):
            parts += [part for row in _write_rows(block, numbers) for part in row]
        elif text := block.text:
            number = numbers.next_number(block)
            parts.append(f"{number} {text}" if number and number != BULLET else text)
    return " ".join(part for part in parts if part)
