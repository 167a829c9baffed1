"""XLSX: a section for every sheet that a reader sees, its rows as a table of the values last computed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time

from openpyxl import load_workbook

from services.dataprep.parsing.document import Limits, ParsedDocument, shortened
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import opened, reading

KIND = "XLSX"


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    package = opened(data, limits, KIND)
    layout = Layout(limits)
    with reading(KIND):
        workbook = load_workbook(package, read_only=True, data_only=True, keep_links=False)
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                sheet.reset_dimensions()  # what the file claims may be a million empty rows
                layout.section((shortened(sheet.title),))
                layout.table(_rows(sheet.iter_rows(values_only=True)), numbered=True)
    return layout.document()


def _rows(rows: Iterator[tuple[object, ...]]) -> Iterator[list[str]]:
    for row in rows:
        yield [_shown(value) for value in row]


def _shown(value: object) -> str:
    """The value as a reader would write it: whole numbers without a fraction, days without a time."""
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
