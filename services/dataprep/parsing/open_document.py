"""The content of an OpenDocument file (ODF 1.3, part 3): paragraphs, lists, tables, sheets, slides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lxml import etree

from services.dataprep.parsing.document import TITLE_LENGTH, Unparsable, shorten
from services.dataprep.parsing.layout import BULLET, Layout
from services.dataprep.parsing.reading_order import Box, sort_boxes
from services.dataprep.parsing.tables import COLUMNS, LEFT

_BASE = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, DRAW, STYLE, PRESENTATION = (
    f"{{{_BASE}{name}:1.0}}" for name in ("office", "text", "table", "drawing", "style", "presentation")
)
_SVG = f"{{{_BASE}svg-compatible:1.0}}"
_SKIPPED = {TEXT + "tracked-changes", OFFICE + "forms", TEXT + "sequence-decls", TEXT + "variable-decls"}
_CELLS = {TABLE + "table-cell", TABLE + "covered-table-cell"}
_ROWS = 1_048_576
_LENGTH = re.compile(r"(-?[\d.]+)(cm|mm|in|pt|px)?$")
_POINTS = {"cm": 28.35, "mm": 2.835, "in": 72.0, "pt": 1.0, "px": 0.75, None: 1.0}
_DEPTH = 50


class Reader:
    """Writes what `content.xml` holds; `hidden` names sheets or slides, `left_out` counts other parts."""

    def __init__(self, content: etree._Element, styles: etree._Element | None, layout: Layout) -> None:
        self.hidden: list[str | int] = []
        self.hidden_kind = ""
        self.left_out: Counter[str] = Counter()
        self._layout = layout
        self._notes = 0
        roots = [content] if styles is None else [styles, content]
        self._styles = {
            style.get(STYLE + "name"): style for root in roots for style in root.iter(STYLE + "style")
        }
        self._lists = {
            style.get(STYLE + "name"): style for root in roots for style in root.iter(TEXT + "list-style")
        }
        self._margins = [] if styles is None else list(styles.iter(STYLE + "header", STYLE + "footer"))

    def write(self, part: etree._Element) -> None:
        """Write the body's part: a text, a spreadsheet or a presentation."""
        if part.tag == OFFICE + "spreadsheet":
            self._write_sheets(part)
        elif part.tag == OFFICE + "presentation":
            self._write_slides(part)
        else:
            self._write_blocks(part)
            self._write_margins()

    def _write_blocks(self, parent: etree._Element, depth: int = 0) -> None:
        if depth > _DEPTH:
            raise Unparsable("too_large", "nests its parts too deeply to be read: simplify it")
        for element in parent:
            if not isinstance(element.tag, str) or element.tag in _SKIPPED:
                continue
            if element.tag == TEXT + "h":
                level = element.get(TEXT + "outline-level") or "1"
                self._layout.add_heading(int(level) if level.isdecimal() else 1, self._read_text(element))
                self._write_notes(element)
            elif element.tag == TEXT + "p":
                self._layout.add_paragraph(self._read_text(element))
                self._write_notes(element)
            elif element.tag == TEXT + "list":
                self._write_list(element, element.get(TEXT + "style-name"), 1)
            elif element.tag == TABLE + "table":
                self._layout.add_table(self._read_rows(element), headers=_count_headers(element))
            else:
                self._write_blocks(element, depth + 1)

    def _write_list(self, element: etree._Element, style: str | None, level: int) -> None:
        count = 0
        for item in element.iter(TEXT + "list-item", TEXT + "list-header"):
            if next(item.iterancestors(TEXT + "list"), None) is not element or level > _DEPTH:
                continue
            is_first = True
            count += item.tag == TEXT + "list-item"
            for child in item:
                if child.tag == TEXT + "list":
                    self._write_list(child, child.get(TEXT + "style-name") or style, level + 1)
                elif isinstance(child.tag, str) and (text := self._read_text(child)):
                    mark = self._mark(style, level, count) if is_first else ""
                    self._layout.add_line(f"{mark} {text}".strip())
                    self._write_notes(child)
                    is_first = False

    def _mark(self, style: str | None, level: int, count: int) -> str:
        """Give what stands before an item: its number, where its style counts."""
        definition = self._lists.get(style)
        for kind in [] if definition is None else definition.findall(TEXT + "list-level-style-number"):
            if kind.get(TEXT + "level") == str(level):
                start = int(kind.get(TEXT + "start-value") or 1)
                before, after = kind.get(STYLE + "num-prefix") or "", kind.get(STYLE + "num-suffix") or ""
                letter = {"a": "a", "A": "A"}.get(kind.get(STYLE + "num-format") or "")
                at = start + count - 1
                number = chr(ord(letter) + at - 1) if letter and at <= 26 else str(at)
                return f"{before}{number}{after}"
        return BULLET

    def _read_text(self, element: etree._Element) -> str:
        """Read a paragraph's text, with its text boxes and without its notes and comments."""
        return "".join(self._read_parts(element)).strip()

    def _read_parts(self, element: etree._Element) -> Iterator[str]:
        yield element.text or ""
        for child in element:
            tag = child.tag if isinstance(child.tag, str) else ""
            if tag == TEXT + "s":
                yield " " * min(int(child.get(TEXT + "c") or 1), 100)
            elif tag == TEXT + "tab":
                yield "\t"
            elif tag == TEXT + "line-break":
                yield "\n"
            elif tag == OFFICE + "annotation":
                self.left_out["comments"] += 1
            elif tag == DRAW + "object":
                self.left_out["equations, charts or other objects"] += 1
            elif tag and tag not in {TEXT + "note", OFFICE + "annotation-end"} | _SKIPPED:
                is_block = tag in {TEXT + "p", TEXT + "h"}
                yield from ["\n"] if is_block else []
                yield from self._read_parts(child)
            yield child.tail or ""

    def _write_notes(self, element: etree._Element) -> None:
        for note in element.iter(TEXT + "note"):
            body = note.find(TEXT + "note-body")
            text = "" if body is None else " ".join(self._read_text(body).split())
            if text:
                self._notes += 1
                name = "Endnote" if note.get(TEXT + "note-class") == "endnote" else "Footnote"
                self._layout.add_line(f"{name} {self._notes}: {text}")

    def _write_margins(self) -> None:
        found: dict[str, None] = {}
        for margin in self._margins:
            for number in list(margin.iter(TEXT + "page-number", TEXT + "page-count")):
                number.text = ""
            text = " ".join(self._read_text(margin).split())
            if any(map(str.isalnum, text)):
                kind = "footer" if margin.tag == STYLE + "footer" else "header"
                found[f"Page {kind}: {text}"] = None
        if found:
            self._layout.start_section(())
        for text in found:
            self._layout.add_paragraph(text)

    def _write_sheets(self, book: etree._Element) -> None:
        self.hidden_kind = "sheets"
        for sheet in book.findall(TABLE + "table"):
            name = shorten(sheet.get(TABLE + "name") or "")
            if self._property(sheet.get(TABLE + "style-name"), TABLE + "display") == "false":
                self.hidden.append(name)
                continue
            self._layout.start_section((name,))
            self._layout.add_table(self._read_rows(sheet), numbered=True)

    def _property(self, style: str | None, name: str) -> str | None:
        element = self._styles.get(style)
        for properties in [] if element is None else list(element):
            if (value := properties.get(name)) is not None:
                return value
        return None

    def _read_rows(self, table: etree._Element) -> Iterator[list[str]]:
        """Read a table's rows, repeated ones as often; a cell over several of them as in other formats."""
        down: dict[int, tuple[int, str]] = {}
        number = 0
        for row in table.iter(TABLE + "table-row"):
            if next(row.iterancestors(TABLE + "table"), None) is not table:
                continue
            cells = self._read_cells(row, down)
            repeated = min(int(row.get(TABLE + "number-rows-repeated") or 1), _ROWS - number)
            number += repeated
            if not any(cells):
                yield from ([] for _ in range(min(repeated, _ROWS)) if number < _ROWS)
                continue
            for _ in range(repeated):
                yield list(cells)

    def _read_cells(self, row: etree._Element, down: dict[int, tuple[int, str]]) -> list[str]:
        cells: list[str] = []
        for cell in row:
            if cell.tag not in _CELLS:
                continue
            repeated = int(cell.get(TABLE + "number-columns-repeated") or 1)
            if cell.tag == TABLE + "covered-table-cell":
                for at in range(len(cells), min(len(cells) + repeated, COLUMNS)):
                    left, label = down.get(at, (0, LEFT))
                    down[at] = (left - 1, label)
                    cells.append(label if left > 0 else LEFT)
                continue
            text = " ".join(self._read_text(cell).split())
            across = int(cell.get(TABLE + "number-columns-spanned") or 1)
            height = int(cell.get(TABLE + "number-rows-spanned") or 1)
            for offset in range(min(across, COLUMNS)):
                label = LEFT if offset else text if len(text) <= TITLE_LENGTH else ""
                down[len(cells) + offset] = (height - (offset == 0), label)
            if not text and repeated > 1 and len(cells) + repeated >= COLUMNS // 2:
                break  # the empty rest of the row
            cells += [text] * min(repeated, COLUMNS - len(cells))
        return cells

    def _write_slides(self, presentation: etree._Element) -> None:
        self.hidden_kind = "slides"
        for number, slide in enumerate(presentation.findall(DRAW + "page"), start=1):
            self._layout.start_page()
            visibility = self._property(slide.get(DRAW + "style-name"), PRESENTATION + "visibility")
            if visibility == "hidden":
                self.hidden.append(number)
                continue
            frames = [part for part in slide if isinstance(part.tag, str) and part.tag.startswith(DRAW)]
            frames = [frames[at] for at in sort_boxes([_find_box(frame) for frame in frames])]
            titles = [frame for frame in frames if frame.get(PRESENTATION + "class") == "title"]
            title = " ".join(" ".join(self._read_text(frame) for frame in titles).split())
            if title:
                self._layout.add_heading(1, title)
            else:
                self._layout.start_section((f"Slide {number}",))
            for frame in frames:
                if frame not in titles:
                    self._write_blocks(frame)
            for notes in slide.findall(PRESENTATION + "notes"):
                text = " ".join(
                    filter(None, (self._read_text(frame) for frame in notes.iter(DRAW + "text-box")))
                )
                self._layout.add_paragraph(f"Notes: {text}" if text else "")


def _count_headers(table: etree._Element) -> int:
    header = table.find(TABLE + "table-header-rows")
    return 0 if header is None else len(header.findall(TABLE + "table-row"))


def _find_box(frame: etree._Element) -> Box:
    left, top, width, height = (
        _read_length(frame.get(_SVG + name)) for name in ("x", "y", "width", "height")
    )
    return Box(left, top, left + width, top + height)


def _read_length(text: str | None) -> float:
    match = _LENGTH.match(text or "")
    return float(match[1]) * _POINTS[match[2]] if match else 0.0
