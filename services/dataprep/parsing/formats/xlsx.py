"""XLSX: a section for every sheet that a reader sees, its rows as a table of the values last computed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from services.dataprep.parsing.document import (
    TITLE_LENGTH,
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    list_places,
    shorten,
)
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.number_formats import format_number
from services.dataprep.parsing.office import blame_file, open_package
from services.dataprep.parsing.tables import COLUMNS, LEFT

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell, MergedCell

FORMAT = Format(
    title="XLSX",
    position=80,
    suffixes=(".xlsx", ".xlsm"),
    content_types={"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx"},
    package_part="xl/",
    called="an XLSX",
    read_with="openpyxl",
    sections="sheets, with the numbers of the rows",
    left_out="hidden sheets and formulas never computed are named in the result",
)


_CELL = re.compile(rb"<(?:\w+:)?c\b([^>]*)>")
_ADDRESS = re.compile(rb'\br="([A-Z]{1,3}\d{1,7})"')
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_VALUE = re.compile(rb"<(?:\w+:)?v[^>]*>[^<]|<(?:\w+:)?is>")
_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
_TEXT_RESULT = b't="str"'


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the visible sheets."""
    from openpyxl import load_workbook

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    with blame_file(FORMAT.title):
        workbook = load_workbook(package, read_only=True, data_only=True, keep_links=False)
        own = workbook.properties
        layout.describe(
            document_title=own.title,
            author=own.creator,
            subject=own.subject,
            keywords=own.keywords,
            created=own.created,
        )
        hidden = [shorten(sheet.title) for sheet in workbook.worksheets if sheet.sheet_state != "visible"]
        if hidden:
            layout.warn(ParseWarning("hidden_content", f"hidden sheets are left out: {list_places(hidden)}"))
        empty: list[str] = []
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                part = getattr(sheet, "_worksheet_path", "")
                xml = _read_part(package, part)
                empty += [f"{shorten(sheet.title)}!{cell}" for cell in _find_empty_formulas(xml)]
                sheet.reset_dimensions()  # what the file claims may be a million empty rows
                layout.start_section((shorten(sheet.title),))
                rows = _repeat_merged(_write_rows(sheet.iter_rows()), _find_merges(xml))
                layout.add_table(rows, numbered=True)
    if empty:
        layout.warn(
            ParseWarning(
                "formulas_without_values",
                f"formulas without a value, which are read as empty: {list_places(empty)}; open it in a "
                "spreadsheet program and save it again",
            )
        )
    return layout.finish()


def _read_part(package: BytesIO, part: str) -> bytes:
    """Read a sheet's own XML; empty where it is not to be found."""
    with zipfile.ZipFile(package) as archive:
        try:
            return archive.read(part.lstrip("/"))
        except KeyError:
            return b""


def _find_empty_formulas(sheet: bytes) -> Iterator[str]:
    """Find the addresses of a sheet's formulas that no program has computed."""
    if not _FORMULA.search(sheet):
        return
    starts = [match.start() for match in _CELL.finditer(sheet)]
    for start, end in zip(starts, [*starts[1:], len(sheet)], strict=True):
        cell = sheet[start:end]
        address = _ADDRESS.search(cell)
        is_empty = _FORMULA.search(cell) and not _VALUE.search(cell) and _TEXT_RESULT not in cell
        if address and is_empty:
            yield address[1].decode()


@dataclass(slots=True)
class _Merge:
    """A cell over several rows and columns; rows count from 1, columns from 0."""

    top: int
    bottom: int
    left: int
    right: int
    label: str = ""

    def fill(self, row: list[str], label: str) -> None:
        row += [""] * (self.right + 1 - len(row))
        row[self.left : self.right + 1] = [label, *[LEFT] * (self.right - self.left)]


def _find_merges(sheet: bytes) -> list[_Merge]:
    """Find a sheet's merged cells, the lowest first."""
    from openpyxl.utils import range_boundaries

    merges = []
    for match in _MERGE.finditer(sheet):
        left, top, right, bottom = range_boundaries(match[1].decode())
        if left and top and right and bottom and right <= COLUMNS:
            merges.append(_Merge(top, bottom, left - 1, right - 1))
    return sorted(merges, key=lambda merge: -merge.top)


def _repeat_merged(rows: Iterator[list[str]], waiting: list[_Merge]) -> Iterator[list[str]]:
    """Write the short label of a merged cell in each of its rows that holds anything else."""
    active: list[_Merge] = []
    for number, row in enumerate(rows, start=1):
        active = [merge for merge in active if merge.bottom >= number]
        if any(row):
            for merge in active:
                merge.fill(row, merge.label)
        while waiting and waiting[-1].top <= number:
            merge = waiting.pop()
            text = row[merge.left] if merge.left < len(row) else ""
            if text:
                merge.fill(row, text)
            if text and merge.bottom > merge.top and len(text) <= TITLE_LENGTH:
                merge.label = text
                active.append(merge)
        yield row


def _write_rows(rows: Iterable[tuple[Cell | MergedCell, ...]]) -> Iterator[list[str]]:
    for row in rows:
        yield [_write_cell(cell) for cell in row]


def _write_cell(cell: Cell | MergedCell) -> str:
    """Write a value as a reader sees it, a number in its format."""
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format_number(value, cell.number_format) or _write_value(value)
    if isinstance(value, timedelta):
        return _write_duration(value)
    return _write_value(value)


def _write_value(value: object) -> str:
    """Write a value as a reader would: whole numbers without a fraction, days without a time."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _write_duration(value: timedelta) -> str:
    """Write hours, however many, and minutes; seconds where there are any."""
    minutes, seconds = divmod(round(abs(value).total_seconds()), 60)
    text = f"{minutes // 60}:{minutes % 60:02d}" + (f":{seconds:02d}" if seconds else "")
    return f"-{text}" if value < timedelta() else text
