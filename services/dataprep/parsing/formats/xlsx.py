"""XLSX: a section for every sheet that a reader sees, its rows as a table of the values last computed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from io import BytesIO

from services.dataprep.parsing.document import (
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    list_places,
    shorten,
)
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import blame_file, open_package

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
_TEXT_RESULT = b't="str"'


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the visible sheets."""
    from openpyxl import load_workbook

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    with blame_file(FORMAT.title):
        workbook = load_workbook(package, read_only=True, data_only=True, keep_links=False)
        hidden = [shorten(sheet.title) for sheet in workbook.worksheets if sheet.sheet_state != "visible"]
        if hidden:
            layout.warn(ParseWarning("hidden_content", f"hidden sheets are left out: {list_places(hidden)}"))
        empty: list[str] = []
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                part = getattr(sheet, "_worksheet_path", "")
                empty += [f"{shorten(sheet.title)}!{cell}" for cell in _find_empty_formulas(package, part)]
                sheet.reset_dimensions()  # what the file claims may be a million empty rows
                layout.start_section((shorten(sheet.title),))
                layout.add_table(_write_rows(sheet.iter_rows(values_only=True)), numbered=True)
    if empty:
        layout.warn(
            ParseWarning(
                "formulas_without_values",
                f"formulas without a value, which are read as empty: {list_places(empty)}; open it in a "
                "spreadsheet program and save it again",
            )
        )
    return layout.finish()


def _find_empty_formulas(package: BytesIO, part: str) -> Iterator[str]:
    """Find the addresses of a sheet's formulas that no program has computed."""
    with zipfile.ZipFile(package) as archive:
        try:
            sheet = archive.read(part.lstrip("/"))
        except KeyError:
            return
    if not _FORMULA.search(sheet):
        return
    starts = [match.start() for match in _CELL.finditer(sheet)]
    for start, end in zip(starts, [*starts[1:], len(sheet)], strict=True):
        cell = sheet[start:end]
        address = _ADDRESS.search(cell)
        is_empty = _FORMULA.search(cell) and not _VALUE.search(cell) and _TEXT_RESULT not in cell
        if address and is_empty:
            yield address[1].decode()


def _write_rows(rows: Iterator[tuple[object, ...]]) -> Iterator[list[str]]:
    for row in rows:
        yield [_write_value(value) for value in row]


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
