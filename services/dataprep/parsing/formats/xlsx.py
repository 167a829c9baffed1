"""XLSX: a section for every sheet that a reader sees, its rows as a table of the values last computed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time

from services.dataprep.parsing.document import Format, Limits, ParsedDocument, shorten
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
    left_out="hidden sheets; formulas never computed (the last value is read)",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the visible sheets."""
    from openpyxl import load_workbook

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    with blame_file(FORMAT.title):
        workbook = load_workbook(package, read_only=True, data_only=True, keep_links=False)
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                sheet.reset_dimensions()  # what the file claims may be a million empty rows
                layout.start_section((shorten(sheet.title),))
                layout.add_table(_write_rows(sheet.iter_rows(values_only=True)), numbered=True)
    return layout.finish()


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
