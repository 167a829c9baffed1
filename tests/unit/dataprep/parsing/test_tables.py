"""Tables keep their header through every cut, from every format."""

from __future__ import annotations

import re

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import OxmlElement

from services.dataprep.parsing.chunking import Chunking, chunk
from services.dataprep.parsing.document import Limits
from services.dataprep.parsing.number_formats import format_number
from services.dataprep.parsing.registry import parse
from services.dataprep.parsing.tables import LEFT, split_table
from tests import samples

COLUMNS = ["Part no", "Name", "Torque (Nm)", "Supplier"]
ROWS = [[f"PPR-{9000 + n}", f"Bracket {n}", str(10 + n), "Aster"] for n in range(60)]
HEADER = "| Part no | Name | Torque (Nm) | Supplier |\n|---|---|---|---|\n"


def markdown(rows: list[list[str]], end: str = "\n") -> bytes:
    lines = [f"| {' | '.join(row)} |" for row in [COLUMNS, *rows]]
    lines.insert(1, "|---|---|---|---|")
    text = [
        "# Parts list",
        "",
        "All brackets.",
        "",
        *lines,
        "",
        "After the table.",
        "",
        "## Next",
        "",
        "More.",
    ]
    return end.join(text).encode()


def html(rows: list[list[str]]) -> bytes:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f"<html><body><h1>Parts list</h1><p>All brackets.</p><table><thead>{line(COLUMNS, 'th')}</thead>"
        f"<tbody>{body}</tbody></table><p>After the table.</p><h2>Next</h2><p>More.</p></body></html>"
    ).encode()


def word(rows: list[list[str]]) -> bytes:
    document = docx.Document()
    document.add_heading("Parts list", 1)
    document.add_paragraph("All brackets.")
    table = document.add_table(rows=0, cols=4)
    for row in [COLUMNS, *rows]:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_paragraph("After the table.")
    document.add_heading("Next", 2)
    document.add_paragraph("More.")
    return samples._saved(document)


def rst_grid(rows: list[list[str]]) -> bytes:
    widths = [max(len(row[column]) for row in [COLUMNS, *rows]) + 2 for column in range(4)]
    rule = "+" + "+".join("-" * width for width in widths) + "+"
    lines = [rule]
    for number, row in enumerate([COLUMNS, *rows]):
        lines.append(
            "|" + "|".join(f" {cell}".ljust(width) for cell, width in zip(row, widths, strict=True)) + "|"
        )
        lines.append(rule.replace("-", "=") if number == 0 else rule)
    return rst(lines)


def rst_simple(rows: list[list[str]]) -> bytes:
    widths = [max(len(row[column]) for row in [COLUMNS, *rows]) for column in range(4)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [COLUMNS, *rows]
    ]
    return rst([rule, lines[0], rule, *lines[1:], rule])


def rst(table: list[str]) -> bytes:
    text = ["Parts list", "==========", "", "All brackets.", "", *table, "", "After the table."]
    return "\n".join([*text, "", "Next", "----", "", "More."]).encode()


def csv(rows: list[list[str]]) -> bytes:
    return "\n".join(",".join(row) for row in [COLUMNS, *rows]).encode()


FILES = {
    "a.md": markdown(ROWS),
    "crlf.md": markdown(ROWS, "\r\n"),
    "a.html": html(ROWS),
    "a.docx": word(ROWS),
    "grid.rst": rst_grid(ROWS),
    "simple.rst": rst_simple(ROWS),
    "a.csv": csv(ROWS),
    "a.xlsx": samples.make_xlsx({"Parts": [COLUMNS, *ROWS]}),
}


@pytest.mark.parametrize("size", [300, 700, 1500])
@pytest.mark.parametrize("name", FILES)
def test_no_row_stands_without_its_header(name: str, size: int) -> None:
    document = parse(name, FILES[name], Limits(block=size))
    passages = chunk(document, Chunking(size, 100))
    texts = [document.text[part.start : part.end] for part in passages]
    assert all(len(text) <= size for text in texts)
    assert all(HEADER in text.partition("PPR-")[0] for text in texts if "PPR-" in text)
    assert re.findall(r"PPR-\d+", "".join(texts)) == [row[0] for row in ROWS], "each once"
    assert all(part.tables for part, text in zip(passages, texts, strict=True) if "PPR-" in text)
    if name not in {"a.csv", "a.xlsx"}:
        assert {part.section for part, text in zip(passages, texts, strict=True) if "PPR-" in text} == {
            "Parts list"
        }
        assert texts[-1].endswith("More.")
        assert passages[-1].section == "Parts list > Next"
        assert "After the table." in "".join(texts)


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.docx", "a.csv"])
def test_a_row_longer_than_a_passage_keeps_its_names_and_what_it_is_of(name: str) -> None:
    long = [["PPR-1", "word " * 300, "17", "Aster"]]
    make = {"a.md": markdown, "a.html": html, "a.docx": word, "a.csv": csv}[name]
    document = parse(name, make(long), Limits(block=400))
    texts = [document.text[part.start : part.end] for part in chunk(document, Chunking(400, 50))]
    rows = [text for text in texts if "word" in text]
    assert len(rows) > 3
    assert all("Part no: PPR-1\nName: word" in text for text in rows)
    assert "".join(rows).count("word") == 300
    assert any("Torque (Nm): 17" in text for text in texts)


def test_a_short_table_is_the_files_own_text_and_no_overlap_begins_within_it() -> None:
    before, after = "Some words before it. " * 12, "Some words behind it. " * 30
    source = f"# Parts\n\n{before}\n\n| Part no | Nm |\n|---|---|\n| PPR-1 | 5 |\n| PPR-2 | 6 |\n\n{after}\n"
    document = parse("a.md", source.encode(), Limits(block=400))
    assert document.text == source
    for part in chunk(document, Chunking(400, 200)):
        text = document.text[part.start : part.end]
        assert "PPR-" not in text or "| Part no | Nm |" in text.partition("PPR-")[0]


def test_text_around_tables_is_the_files_own() -> None:
    source = markdown(ROWS).decode()
    text = parse("a.md", source.encode(), Limits(block=700)).text
    assert text.startswith("# Parts list\n\nAll brackets.\n\n" + HEADER)
    assert text.endswith("| PPR-9059 | Bracket 59 | 69 | Aster |\n\nAfter the table.\n\n## Next\n\nMore.")


def test_headers_of_two_levels_are_joined_and_labels_repeated() -> None:
    rows = [
        ["Region", "Revenue", LEFT, "Cost", LEFT],
        ["Region", "2025 H1", "2025 H2", "2025 H1", "2025 H2"],
        ["North", "10", "11", "5", "6"],
    ]
    [block] = split_table(rows, 700)
    assert block.text.splitlines()[0] == (
        "| Region | Revenue 2025 H1 | Revenue 2025 H2 | Cost 2025 H1 | Cost 2025 H2 |"
    )
    assert block.text[block.head :] == "| North | 10 | 11 | 5 | 6 |"


def test_a_caption_over_all_columns_is_no_header() -> None:
    blocks = list(
        split_table([["Prices of 2025", LEFT, LEFT], ["Part", "Net", "Gross"], ["Bolt", "1", "2"]], 700)
    )
    assert [block.text for block in blocks] == [
        "Prices of 2025",
        "| Part | Net | Gross |\n|---|---|---|\n| Bolt | 1 | 2 |",
    ]


def test_html_spans_are_laid_out_in_each_row_and_column() -> None:
    page = (
        "<table><tr><th rowspan=2>Region</th><th colspan=2>Revenue</th></tr><tr><th>2025 H1</th><th>2025 H2</th></tr>"
        "<tr><td rowspan=2>North</td><td>10</td><td>11</td></tr><tr><td>12</td><td>13</td></tr></table>"
    )
    assert parse("a.html", page.encode()).text == (
        "| Region | Revenue 2025 H1 | Revenue 2025 H2 |\n|---|---|---|\n| North | 10 | 11 |\n| North | 12 | 13 |"
    )


def test_docx_header_rows_and_merged_labels() -> None:
    document = docx.Document()
    table = document.add_table(rows=4, cols=3)
    texts = [["Region", "Revenue", ""], ["", "1", "2"], ["North", "10", "11"], ["", "12", "13"]]
    for row, cells in zip(table.rows, texts, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(2, 0).merge(table.cell(3, 0))
    for row in table.rows[:2]:
        row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    assert parse("a.docx", samples._saved(document)).text == (
        "| Region | Revenue 1 | Revenue 2 |\n|---|---|---|\n| North | 10 | 11 |\n| North | 12 | 13 |"
    )


@pytest.mark.parametrize(
    ("value", "pattern", "shown"),
    [
        (0.155, "0.0%", "15.5%"),
        (0.155, "0%", "16%"),
        (1234567.5, '#,##0.00 "EUR"', "1,234,567.50 EUR"),
        (1234567.5, "#,##0.00\\ [$€-407]", "1,234,567.50 €"),
        (1234567.5, "[$$-409]#,##0", "$1,234,568"),
        (12, "00000", "00012"),
        (-4.5, "0.00;[Red]-0.00", "-4.50"),
        (-0.001, "0.00", "0.00"),
        (2.5, "0.0##", "2.5"),
        (2, "#,##0.##", "2"),
        (7, "0_);(0)", "7"),
        (0.5, "#%", "50%"),
        (1, "General", None),
        (1, "@", None),
        (1.5, "# ?/?", None),
        (12345, "0.00E+00", None),
        (45000, "yyyy-mm-dd", None),
        (5000000, "#,##0,", None),
        (491701234, "0000-000", None),
    ],
)
def test_numbers_are_shown_in_their_format(value: float, pattern: str, shown: str | None) -> None:
    assert format_number(value, pattern) == shown


def test_a_sheet_is_written_as_a_person_sees_it() -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in (
        ["Budget 2026"],
        ["Region", "Quarter", "Share", "Cost", "Code"],
        ["North", "Q1", 0.155, 1234567.5, 12],
        [None, "Q2", 0.21, 99, 7],
        [None, None, None, None, None],
        ["South", "Q1", 0.3, 2500, 3],
    ):
        sheet.append(row)
    for row in range(3, 7):
        for column, pattern in zip("CDE", ("0.0%", '#,##0.00 "EUR"', "00000"), strict=True):
            sheet[f"{column}{row}"].number_format = pattern
    sheet.merge_cells("A1:E1")
    sheet.merge_cells("A3:A5")
    document = parse("a.xlsx", samples._saved(workbook))
    assert document.text == (
        "Budget 2026\n\n| Region | Quarter | Share | Cost | Code |\n|---|---|---|---|---|\n"
        "| North | Q1 | 15.5% | 1,234,567.50 EUR | 00012 |\n| North | Q2 | 21.0% | 99.00 EUR | 00007 |\n"
        "| South | Q1 | 30.0% | 2,500.00 EUR | 00003 |"
    )


def test_merged_cells_of_a_slide_are_repeated() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = slide.shapes.add_table(4, 3, 0, 0, 1000, 1000).table
    texts = [["Region", "Revenue", ""], ["", "H1", "H2"], ["North", "10", "11"], ["", "12", "13"]]
    for row, cells in enumerate(texts):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(2, 0).merge(table.cell(3, 0))
    assert parse("a.pptx", samples._saved(presentation)).text == (
        "| Region | Revenue H1 | Revenue H2 |\n|---|---|---|\n| North | 10 | 11 |\n| North | 12 | 13 |"
    )
