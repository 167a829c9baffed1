"""DOCX: headings, paragraphs, lists and tables in document order; text boxes behind their paragraph.

Insertions that are still marked count, deletions do not. Headers, footers, notes and comments are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
)
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import blame_file, open_package
from services.dataprep.parsing.tables import COLUMNS, LEFT

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table, _Cell
    from docx.text.paragraph import Paragraph
    from lxml import etree

FORMAT = Format(
    title="DOCX",
    position=60,
    suffixes=(".docx",),
    content_types={"application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx"},
    package_part="word/",
    called="a DOCX",
    read_with="python-docx",
    sections="headings; lists and tables where they stand",
    left_out="headers, footers, notes, comments, equations, charts, which the result names; deleted text",
)

_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TRANSPARENT = [_WORD + name for name in ("ins", "moveTo", "smartTag", "customXml")]
_SPANS = [_WORD + name for name in ("gridSpan", "gridBefore", "gridAfter")]
_PARTS = {
    "header": "headers",
    "footer": "footers",
    "footnotes": "footnotes",
    "endnotes": "endnotes",
    "comments": "comments",
}
"""Parts of the package by the beginning of their names, without number and suffix."""

_ELEMENTS = {
    "equations": "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath",
    "charts": "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart",
    "diagrams": "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds",
}
_TAG = re.compile(rb"<[^>]*>")
_WORDS = re.compile(rb"[^\s]")
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the body's blocks in order."""
    import docx

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    with blame_file(FORMAT.title):
        document = docx.Document(package)
        _check_spans(document.element.body)
        if left_out := _find_left_out(document):
            layout.warn(ParseWarning("left_out", f"left out: {list_places(left_out)}"))
        _unwrap(document.element.body)
        _write(document, layout)
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


def _unwrap(body: etree._Element) -> None:
    """Bring to the surface what python-docx does not look into: content controls, insertions, text boxes."""
    for fallback in list(body.iter(_FALLBACK)):  # the same content again, for old readers
        _parent_of(fallback).remove(fallback)
    for box in reversed(list(body.iter(_WORD + "txbxContent"))):
        host = next(box.iterancestors(_WORD + "p"), None)
        for part in reversed(list(box)):
            if host is not None:
                host.addnext(part)
    for control in list(body.iter(_WORD + "sdt")):
        content = control.find(_WORD + "sdtContent")
        _replace(control, [] if content is None else list(content))
    for wrapper in list(body.iter(*_TRANSPARENT)):
        _replace(wrapper, list(wrapper))


def _replace(element: etree._Element, by: list[etree._Element]) -> None:
    parent = _parent_of(element)
    at = parent.index(element)
    parent[at : at + 1] = by


def _parent_of(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    if parent is None:
        raise ValueError("the body has no parent to put its content into")
    return parent


def _check_spans(body: etree._Element) -> None:
    """Refuse a cell that says to span very many columns, since it becomes as many cells."""
    for span in body.iter(*_SPANS):
        columns = int(span.get(_WORD + "val", "1"))
        if columns > COLUMNS:
            raise Unparsable("too_large", f"has a cell that spans {columns} columns, more than {COLUMNS}")


def _write(document: Document, layout: Layout) -> None:
    from docx.table import Table

    styles: dict[str | None, _Style] = {}  # python-docx searches for one anew every time
    in_list = False
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            layout.add_table(_write_rows(block), headers=_count_headers(block))
            in_list = False
            continue
        text = block.text
        style_id = block._p.style
        if style_id not in styles:
            styles[style_id] = _find_style(block)
        style = styles[style_id]
        if style.level is not None:
            layout.add_heading(style.level, text)
            in_list = False
        elif text.strip() and (style.is_list or _is_numbered(block)):
            (layout.add_line if in_list else layout.add_paragraph)(f"- {text.strip()}")
            in_list = True
        elif text.strip():
            layout.add_paragraph(text)
            in_list = False


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


def _write_rows(table: Table) -> Iterator[list[str]]:
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
                text = _write_cell(_Cell(cell, table))
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


def _write_cell(cell: _Cell) -> str:
    """Write all that is in a cell, tables within it too, on one line."""
    from docx.table import Table

    parts = []
    for block in cell.iter_inner_content():
        if isinstance(block, Table):
            parts += [part for row in _write_rows(block) for part in row]
        else:
            parts.append(block.text)
    return " ".join(part for part in parts if part)
