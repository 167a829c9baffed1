"""The formats beyond text: what becomes a section, a page, a table, and a chunk of its own."""

from __future__ import annotations

import json
import sys
import time

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.util import Inches

from services.dataprep.parsing.chunking import Chunking, chunk
from services.dataprep.parsing.document import Limits, ParsedDocument, Unparsable
from services.dataprep.parsing.registry import parse
from tests import samples

TABLE = "| Harbour | Tide | 2024 |\n|---|---|---|\n| Brest | 7.1 m | 12 |\n| Saint-Malo | 13.5 m | 8 |"


def chunks(name: str, data: bytes, size: int = 700) -> list[tuple[str, str]]:
    """Section and text of each."""
    document = parse(name, data, Limits(block=size))
    return [
        (each.section, document.text[each.start : each.end])
        for each in chunk(document, Chunking(size, size // 7))
    ]


@pytest.mark.parametrize("name", samples.valid())
def test_every_format_gives_text_within_its_sections_and_pages(name: str) -> None:
    document = parse(name, samples.valid()[name])
    assert document.text.strip()
    starts = [section.start for section in document.sections]
    assert starts == sorted(set(starts))
    assert all(0 <= section.start <= section.body <= len(document.text) for section in document.sections)
    assert list(document.pages) == sorted(document.pages)


def test_pdf_tables_come_where_they_stand() -> None:
    data = samples.pdf([["Before the table."], ["After it."]], ruled=samples.TABLE)
    document = parse("a.pdf", data)
    assert document.text == f"Before the table.\n\n{TABLE}\n\nAfter it."
    assert document.pages == (0, document.text.index("After"))


def test_a_long_pdf_table_repeats_its_header() -> None:
    rows = [["Name", "Number"], *([f"row {number}", number] for number in range(25))]
    texts = [text for _, text in chunks("a.pdf", samples.pdf([[]], ruled=rows), 120)]
    assert len(texts) > 2
    assert all(text.startswith("| Name | Number |\n|---|---|\n| row ") for text in texts)
    assert sum(text.count("| row ") for text in texts) == 25


def test_boxes_that_hold_no_table_leave_the_text_alone() -> None:
    data = samples.pdf([["one", "two"]], ruled=[["only box"]])
    assert parse("a.pdf", data).text == "one\ntwo\nonly box"
    grid = samples.pdf([["a chart with grid lines"]], ruled=[[""] * 5] * 5)
    assert parse("a.pdf", grid).text == "a chart with grid lines"


def test_docx_headings_lists_and_tables_in_order() -> None:
    assert chunks("a.docx", samples.make_docx()) == [
        ("Tides of Brittany", "Tides of Brittany\n\nThe moon pulls the water."),
        ("Tides of Brittany > Harbours", "Harbours\n\n- deep ones\n1. shallow ones"),
        ("Tides of Brittany > Harbours > By height", f"By height\n\n{TABLE}\n\nAfter the table."),
    ]


def test_a_long_docx_table_keeps_its_header_and_its_heading() -> None:
    rows = [["Name", "Number"], *([f"row {number}", number] for number in range(30))]
    found = chunks("a.docx", samples.make_docx(rows), 200)
    path = "Tides of Brittany > Harbours > By height"
    tables = [text for section, text in found if section == path and "| row" in text]
    assert tables[0].startswith("By height\n\n| Name | Number |\n|---|---|\n| row 0 | 0 |")
    assert all("| Name | Number |\n|---|---|" in text for text in tables)
    assert sum(text.count("| row ") for text in tables) == 30
    assert found[-1] == (path, "After the table.")


def test_docx_content_that_hides_in_wrappers_is_read_once() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Before ")
    word = nsdecls("w")
    paragraph._p.append(parse_xml(f"<w:ins {word}><w:r><w:t>inserted</w:t></w:r></w:ins>"))
    paragraph._p.append(parse_xml(f"<w:del {word}><w:r><w:delText>deleted</w:delText></w:r></w:del>"))
    control = "<w:sdt %s><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    paragraph._p.addnext(parse_xml(control % word))
    box = "<w:txbxContent><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    paragraph._p.append(
        parse_xml(
            f"<w:r {word} {mc}><mc:AlternateContent><mc:Choice Requires='wps'>{box % 'boxed'}</mc:Choice>"
            f"<mc:Fallback>{box % 'again'}</mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    text = parse("a.docx", samples._saved(document)).text
    assert text == "Before inserted\n\nboxed\n\ncontrolled"


def test_docx_merged_cells_are_repeated() -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=3)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"c{number}"
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(0, 2).merge(table.cell(1, 2))
    assert (
        parse("a.docx", samples._saved(document)).text
        == "| c0 c1 | c0 c1 | c2 c5 |\n|---|---|---|\n| c3 | c4 | c2 c5 |"
    )


def test_docx_cells_merged_over_many_rows_take_no_quadratic_time() -> None:
    document = docx.Document()
    table = document.add_table(rows=0, cols=2)
    for number in range(2000):
        first, second = table.add_row().cells
        first.text, second.text = ("top" if not number else ""), f"cell {number}"
        word = nsdecls("w")
        value = "" if number else ' w:val="restart"'
        first._tc.get_or_add_tcPr().append(parse_xml(f"<w:vMerge {word}{value}/>"))
    data = samples._saved(document)
    start = time.process_time()
    text = parse("a.docx", data, Limits(block=1_000_000)).text
    assert time.process_time() - start < 5
    assert (text.count("top"), text.count("cell ")) == (2000, 2000)


def test_a_slide_is_a_page_and_its_title_a_section() -> None:
    document = parse("a.pptx", samples.make_pptx())
    found = [
        (each.section, each.page, document.text[each.start : each.end])
        for each in chunk(document, Chunking())
    ]
    assert found == [
        ("Slide title 1", 1, "Slide title 1\n\nFirst point 1\nSecond point\n\nNotes: Say it slowly 1"),
        (
            "Slide title 2",
            2,
            f"Slide title 2\n\nFirst point 2\nSecond point\n\n{TABLE}\n\nNotes: Say it slowly 2",
        ),
        (
            "Slide 3",
            3,
            "Text without a title\n\n|  | metres |\n|---|---|\n| spring | 13.5 |\n| neap | 5 |",
        ),
    ]


def test_slides_count_as_pages_and_groups_are_opened() -> None:
    presentation = pptx.Presentation()
    for number in range(3):
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = f"grouped {number}"
    data = samples._saved(presentation)
    assert parse("a.pptx", data).text == "grouped 0\n\ngrouped 1\n\ngrouped 2"
    with pytest.raises(Unparsable, match="more than 2 pages"):
        parse("a.pptx", data, Limits(pages=2))


def test_a_sheet_is_a_section_and_every_block_has_the_header() -> None:
    rows = [["Stock list"], [], ["Name", "Price"], *([f"item {number}", number / 2] for number in range(40))]
    data = samples.make_xlsx({"Prices": rows, "Notes": [["just one cell"]]})
    found = chunks("a.xlsx", data, 200)
    assert found[0] == ("Prices > row 1", "Stock list")
    assert found[1] == (
        "Prices > rows 4-13",
        "| Name | Price |\n|---|---|\n"
        + "\n".join(f"| item {number} | {number / 2:g} |" for number in range(10)),
    )
    assert found[-1] == ("Notes > row 1", "| just one cell |")
    assert all(text.startswith("| Name | Price |") for section, text in found[1:-1])
    assert sum(text.count("| item ") for _, text in found) == 40


def test_cells_are_written_as_a_reader_would() -> None:
    from datetime import date, datetime  # noqa: PLC0415

    row = [1.0, 0.1, True, date(2024, 2, 29), datetime(2024, 2, 29, 8, 30), "a|b\nc", None, "end"]
    [(_, text)] = chunks("a.xlsx", samples.make_xlsx({"S": [row]}))
    assert text == "| 1 | 0.1 | TRUE | 2024-02-29 | 2024-02-29 08:30:00 | a\\|b c |  | end |"


def test_durations_are_hours_and_minutes() -> None:
    from datetime import timedelta  # noqa: PLC0415

    row = [timedelta(days=1, hours=2, minutes=5), timedelta(minutes=7, seconds=9), -timedelta(hours=3)]
    [(_, text)] = chunks("a.xlsx", samples.make_xlsx({"S": [row]}))
    assert text == "| 26:05 | 0:07:09 | -3:00 |"


def test_hidden_sheets_and_far_away_cells() -> None:
    workbook = openpyxl.Workbook()
    workbook.active["A1"] = "shown"
    workbook.active["XFD100000"] = "far away"
    hidden = workbook.create_sheet("Hidden")
    hidden["A1"], hidden.sheet_state = "hidden", "hidden"
    start = time.process_time()
    text = parse("a.xlsx", samples._saved(workbook)).text
    assert time.process_time() - start < 10
    assert "shown" in text
    assert "far away" in text
    assert "hidden" not in text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_in_any_dialect(delimiter: str) -> None:
    rows = ['name,"a ""quoted"", text"', 'x,"1', '2"', "", "y,3"]
    source = "\r\n".join(rows).replace(",", "\0", 1)
    source = "\r\n".join(row.replace(",", delimiter, 1) for row in rows)
    [(section, text)] = chunks("a.csv", source.encode())
    assert section == "rows 2-4"
    assert text == '| name | a "quoted", text |\n|---|---|\n| x | 1 2 |\n| y | 3 |'.replace(
        "|---|---|", "|---|---|"
    )


def test_a_row_that_fits_no_chunk_keeps_its_column_names() -> None:
    data = b"name,story,year\nshort,tale,1999\nlong," + b"word " * 60 + b",2001\n"
    document = parse("a.csv", data, Limits(block=150))
    assert document.text.startswith(
        "| name | story | year |\n|---|---|---|\n| short | tale | 1999 |\n\nname: long"
    )
    assert document.text.endswith("\nyear: 2001")


def test_numbers_are_no_header() -> None:
    assert chunks("a.csv", b"1,2\n3,4\n") == [("rows 1-2", "| 1 | 2 |\n| 3 | 4 |")]


def test_json_is_cut_where_it_does_not_fit() -> None:
    value = {
        "title": "Tides",
        "users": [{"name": f"user {n}", "address": {"street": "long " * 12}} for n in range(2)],
        "tags": ["a", "b"],
    }
    assert chunks("a.json", json.dumps(value).encode(), 100) == [
        ("", "title: Tides"),
        ("users[0]", "name: user 0\naddress:\n  street: " + ("long " * 12).strip()),
        ("users[1]", "name: user 1\naddress:\n  street: " + ("long " * 12).strip()),
        ("", "tags:\n  - a\n  - b"),
    ]


def test_a_record_of_jsonl_is_a_chunk_and_a_broken_one_is_named() -> None:
    lines = [json.dumps({"question": f"What is {number}?", "answer": number}) for number in range(3)]
    assert chunks("a.jsonl", "\n\n".join(lines).encode())[1] == ("line 3", "question: What is 1?\nanswer: 1")
    with pytest.raises(Unparsable, match="is not JSON: line 2 "):
        parse("a.jsonl", "\n".join([*lines[:1], '{"a": ', *lines[1:]]).encode())
    with pytest.raises(Unparsable, match="nests its values too deeply"):
        parse("a.json", b"[" * 100_000 + b"]" * 100_000)


def test_rst_sections_are_docutils_own_and_nothing_is_read_or_run() -> None:
    source = (
        "=====\nTitle\n=====\n\nText with a :ref:`role`.\n\nSub :doc:`x` and `y <http://z>`_\n"
        "--------------------------------\n\n.. include:: /etc/passwd\n\n.. raw:: html\n   :file: /etc/passwd\n\n"
        ".. toctree::\n\n   a\n\n::\n\n  Not a\n  =====\n\nDeep\n~~~~\n\nend\n"
    )
    document = parse("a.rst", source.encode())
    assert document.text == source
    assert [section.path for section in document.sections] == [
        ("Title",),
        ("Title", "Sub x and y"),
        ("Title", "Sub x and y", "Deep"),
    ]
    headings = [source[section.start : section.body].strip() for section in document.sections]
    assert [heading.split("\n")[0] for heading in headings] == [
        "=====",
        "Sub :doc:`x` and `y <http://z>`_",
        "Deep",
    ]


def test_a_long_line_of_rst_takes_no_time() -> None:
    start = time.process_time()
    parse("a.rst", b"`a_ *b " * 100_000)
    assert time.process_time() - start < 10


CODE = {
    "a.py": (
        b"import x\n\n# about\n@decorated\nclass A:\n    async def b(self): ...\n\ndef c(): ...\n",
        ["", "A > b", "c"],
    ),
    "a.ts": (
        b"export class A {\n  private async go(x: number): Promise<void> {\n    if (x) {\n    }\n  }\n}\n"
        b"export const f = async (x: string) => {\n}\n",
        ["A > go", "f"],
    ),
    "a.java": (b"class A {\n  @Override\n  public static void main(String[] a) {\n  }\n}\n", ["A > main"]),
    "a.go": (
        b"package x\n\n// Go goes\nfunc (s *T) Go() error {\n}\n\ntype T struct {\n}\n",
        ["", "Go", "T"],
    ),
    "a.rs": (
        b"#[derive(A)]\npub struct S<T> {}\nimpl<T> D for S<T> {\n  pub fn go(&self) {}\n}\n",
        ["S", "D for S<T> > go"],
    ),
    "a.cpp": (
        b"#include <x>\nint main(int c, char** v) {\n  return 0;\n}\nvoid S::go()\n{\n}\n",
        ["", "main", "S::go"],
    ),
    "a.sh": (b"set -e\n\ngo() {\n  x\n}\n", ["", "go"]),
    "a.sql": (b"-- c\ncreate table if not exists a.b (x int);\nCREATE VIEW v as select 1;\n", ["a.b", "v"]),
    "a.yaml": (b"services:\n  a: 1\nvolumes:\n  - y\n", ["services", "volumes"]),
    "a.toml": (b"x = 1\n\n[tool.a]\ny = 2\n\n[[b]]\nz = 3\n", ["", "tool.a", "b"]),
}


@pytest.mark.parametrize("name", CODE)
def test_code_is_the_file_itself_cut_at_its_symbols(name: str) -> None:
    source, sections = CODE[name]
    assert parse(name, source).text == source.decode()
    assert [section for section, _ in chunks(name, source)] == sections


def test_comments_and_decorators_go_with_what_is_below_them() -> None:
    [_, (_, text), _] = chunks("a.py", CODE["a.py"][0])
    assert text.startswith("# about\n@decorated\nclass A:")


@pytest.mark.parametrize("name", [*CODE, "a.c", "a.rb", "a.php", "a.swift", "a.lua", "a.proto", "a.xml"])
@pytest.mark.parametrize("unit", ["x ", "a(", "{ ", "x<", "public ", "@\n", "func f\n", "a:"])
def test_code_takes_no_quadratic_time(name: str, unit: str) -> None:
    start = time.process_time()
    parse(name, unit.encode() * (200_000 // len(unit)))
    assert time.process_time() - start < 5


def test_a_format_whose_library_is_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "services.dataprep.parsing.formats.docx", raising=False)
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(Unparsable, match=r"is docx, .*ragline\[dataprep-office\]") as caught:
        parse("a.docx", samples.make_docx())
    assert caught.value.reason == "unsupported"


def test_blocks_are_chunks_whatever_the_size() -> None:
    rows = [["Name", "Number"], *([f"row {number}", number] for number in range(100))]
    for size in (50, 97, 200, 701):
        document = parse("a.xlsx", samples.make_xlsx({"S": rows}), Limits(block=size))
        found = chunk(document, Chunking(size, size // 7))
        assert len(found) == len(document.sections)
        assert isinstance(document, ParsedDocument)
        assert all(document.text[each.start : each.end].startswith("| Name | Number |") for each in found)
