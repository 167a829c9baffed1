"""Tables of HTML as rows of cells: what spans several rows or columns is laid out in each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.dataprep.parsing.document import TITLE_LENGTH
from services.dataprep.parsing.tables import COLUMNS, LEFT

if TYPE_CHECKING:
    from lxml import etree

_NO_DATA = ("table", "h1", "h2", "h3", "h4", "h5", "h6")
"""A table with one of these in it lays out a page."""

_LEAST = 2
"""Rows and columns of a table."""

_LINES = frozenset({"br", "p", "li", "div"})
_INVISIBLE = frozenset({"script", "style", "template"})
_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """`headers` is how many of the rows are said to be the header; 0 where it is not said."""

    rows: Sequence[Sequence[str]]
    headers: int
    caption: str
    has_spans: bool

    def is_laid_out(self, block: int) -> bool:
        """Whether it is written as a table: it is long, or has cells over several rows or columns."""
        return self.has_spans or sum(len(cell) + 3 for row in self.rows for cell in row) > block // 2


def is_hidden(element: etree._Element) -> bool:
    """Whether the element itself says that it is not shown."""
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or _HIDING.search(element.get("style") or "") is not None
    )


def read_table(table: etree._Element) -> HtmlTable | None:
    """Read the rows of a table; None where it is none of data."""
    if any(table.find(f".//{tag}") is not None for tag in _NO_DATA):
        return None
    lines = [row for row in table.iter("tr") if not is_hidden(row)]
    rows: list[list[str]] = []
    down: dict[int, tuple[int, str]] = {}
    headers, is_head, has_spans = 0, True, False
    for line in lines:
        cells = [cell for cell in line if cell.tag in {"td", "th"} and not is_hidden(cell)]
        row: list[str] = []
        for cell in cells:
            _continue_down(row, down)
            text = _read_cell(cell)
            across, height = _read_span(cell, "colspan"), _read_span(cell, "rowspan")
            has_spans = has_spans or across > 1 or height > 1
            label = text if len(text) <= TITLE_LENGTH else ""
            for offset in range(min(across, COLUMNS - len(row))):
                if height > 1:
                    down[len(row)] = (min(height, len(lines)) - 1, LEFT if offset else label)
                row.append(LEFT if offset else text)
        _continue_down(row, down)
        parent = line.getparent()
        in_head = parent is not None and parent.tag == "thead"
        is_head = is_head and bool(cells) and (in_head or all(cell.tag == "th" for cell in cells))
        headers += is_head
        rows.append(row)
    if len(rows) < _LEAST or max(map(len, rows)) < _LEAST:
        return None
    caption = table.find("caption")
    return HtmlTable(
        rows, headers if headers < len(rows) else 0, "" if caption is None else _read_cell(caption), has_spans
    )


def _continue_down(row: list[str], down: dict[int, tuple[int, str]]) -> None:
    """Add the cells of earlier rows that reach into this one, up to the next free column."""
    while (above := down.pop(len(row), None)) is not None:
        left, text = above
        if left > 1:
            down[len(row)] = (left - 1, text)
        row.append(text)


def _read_cell(cell: etree._Element) -> str:
    return " ".join("".join(_read_parts(cell)).split())


def _read_parts(element: etree._Element) -> Iterator[str]:
    """Read what an element shows; what of it begins a line begins a word."""
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str) and child.tag not in _INVISIBLE and not is_hidden(child):
            if child.tag in _LINES:
                yield " "
            yield from _read_parts(child)
        yield child.tail or ""


def _read_span(cell: etree._Element, name: str) -> int:
    text = (cell.get(name) or "").strip()
    return max(1, int(text)) if text.isdecimal() and len(text) < 6 else 1
