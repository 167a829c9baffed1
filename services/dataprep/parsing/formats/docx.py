"""DOCX: headings, paragraphs, lists and tables in document order; text boxes behind their paragraph.

Insertions that are still marked count, deletions do not. Headers, footers, notes and comments are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import docx
from docx.document import Document
from docx.oxml.ns import qn
from docx.oxml.simpletypes import ST_Merge
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph
from lxml import etree

from services.dataprep.parsing.document import Limits, ParsedDocument, Unparsable
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import opened, reading
from services.dataprep.parsing.tables import COLUMNS

KIND = "DOCX"
_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)
_TRANSPARENT = [qn(f"w:{name}") for name in ("ins", "moveTo", "smartTag", "customXml")]
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    package = opened(data, limits, KIND)
    layout = Layout(limits)
    with reading(KIND):
        document = docx.Document(package)
        _check(document.element.body)
        _unwrap(document.element.body)
        _write(document, layout)
    return layout.document()


def _unwrap(body: etree._Element) -> None:
    """Bring to the surface what python-docx does not look into: content controls, insertions, text boxes."""
    for fallback in list(body.iter(_FALLBACK)):  # the same content again, for old readers
        _parent(fallback).remove(fallback)
    for box in reversed(list(body.iter(qn("w:txbxContent")))):
        host = next(box.iterancestors(qn("w:p")), None)
        for part in reversed(list(box)):
            if host is not None:
                host.addnext(part)
    for control in list(body.iter(qn("w:sdt"))):
        content = control.find(qn("w:sdtContent"))
        _replace(control, [] if content is None else list(content))
    for wrapper in list(body.iter(*_TRANSPARENT)):
        _replace(wrapper, list(wrapper))


def _replace(element: etree._Element, by: list[etree._Element]) -> None:
    parent = _parent(element)
    at = parent.index(element)
    parent[at : at + 1] = by


def _parent(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    if parent is None:
        raise ValueError("the body has no parent to put its content into")
    return parent


def _check(body: etree._Element) -> None:
    """A cell becomes as many as it says to span."""
    for span in body.iter(qn("w:gridSpan"), qn("w:gridBefore"), qn("w:gridAfter")):
        columns = int(span.get(qn("w:val"), "1"))
        if columns > COLUMNS:
            raise Unparsable("too_large", f"has a cell that spans {columns} columns, more than {COLUMNS}")


def _write(document: Document, layout: Layout) -> None:
    styles: dict[str | None, _Style] = {}  # python-docx searches for one anew every time
    in_list = False
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            layout.table(_rows(block))
            in_list = False
            continue
        text = block.text
        style_id = block._p.style
        if style_id not in styles:
            styles[style_id] = _style(block)
        style = styles[style_id]
        if style.level is not None:
            layout.heading(style.level, text)
            in_list = False
        elif text.strip() and (style.is_list or _is_numbered(block)):
            (layout.line if in_list else layout.paragraph)(f"- {text.strip()}")
            in_list = True
        elif text.strip():
            layout.paragraph(text)
            in_list = False


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph of a style is: a heading of `level`, the title's being 0, a list item, or neither."""

    level: int | None = None
    is_list: bool = False


def _style(paragraph: Paragraph) -> _Style:
    """By the name of the style or of one that it is based on."""
    style = paragraph.style
    for _ in range(10):
        if style is None or style.name is None:
            break
        if style.name == "Title":
            return _Style(level=0)
        if found := _HEADING.match(style.name):
            return _Style(level=int(found[1]))
        if style.name.startswith("List"):
            return _Style(is_list=True)
        style = getattr(style, "base_style", None)
    return _Style()


def _is_numbered(paragraph: Paragraph) -> bool:
    properties = paragraph._p.pPr
    return properties is not None and properties.numPr is not None


def _rows(table: Table) -> Iterator[list[str]]:
    """A merged cell is written once, where it begins.

    Not by python-docx's `row.cells`, which climbs up to that for every row anew.
    """
    for row in table._tbl.tr_lst:
        cells = [""] * row.grid_before
        for cell in row.tc_lst:
            cells.append("" if cell.vMerge == ST_Merge.CONTINUE else _text(_Cell(cell, table)))
            cells += [""] * (cell.grid_span - 1)
        yield cells


def _text(cell: _Cell) -> str:
    """All that is in a cell, tables within it too, on one line."""
    parts = []
    for block in cell.iter_inner_content():
        if isinstance(block, Table):
            parts += [part for row in _rows(block) for part in row]
        else:
            parts.append(block.text)
    return " ".join(part for part in parts if part)
