"""What of a file does not become text, or may be wrong, is said in its result."""

from __future__ import annotations

import io
import re
import zipfile
from typing import get_args

import docx
import openpyxl
import pptx
import pypdfium2 as pdfium
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from services.core.wire.dataprep import WarningKind as SentKind
from services.dataprep.parsing.document import WarningKind as ParsedKind
from services.dataprep.parsing.registry import parse
from tests import samples


def warnings_of(name: str, data: bytes) -> dict[str, str]:
    return {warning.kind: warning.message for warning in parse(name, data).warnings}


def make_pdf(*pages: str) -> bytes:
    """Pages with a text, with a drawing alone (`#`), or with nothing."""
    document = pdfium.PdfDocument.new()
    whole = pdfium.PdfDocument(samples.pdf([["Tides follow the moon."]]))
    for page in pages:
        if page == "text":
            document.import_pages(whole, [0])
        else:
            added = document.new_page(200, 200)
            if page == "#":
                path = pdfium.raw.FPDFPageObj_CreateNewRect(10, 10, 50, 50)
                pdfium.raw.FPDFPath_SetDrawMode(path, 1, True)
                pdfium.raw.FPDFPage_InsertObject(added.raw, path)
                pdfium.raw.FPDFPage_GenerateContent(added.raw)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_pages_without_text_are_named_but_blank_ones() -> None:
    found = warnings_of("a.pdf", make_pdf("text", "#", "", "#", "text"))
    assert found == {"pages_without_text": "pages 2, 4 have no text, scanned perhaps: run OCR on it first"}
    assert warnings_of("a.pdf", make_pdf("text", "")) == {}
    assert "page 1 has no text" in warnings_of("a.pdf", make_pdf("#", "text"))["pages_without_text"]


def saved_workbook(workbook: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def test_formulas_without_a_value_are_named_by_sheet_and_cell() -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "Prices"
    sheet.append(["Part", "Net", "Gross"])
    sheet.append(["Bolt", 4.5, "=B2*1.19"])
    sheet.append(["Nut", 1.5, "=B3*1.19"])
    data = saved_workbook(workbook)
    assert warnings_of("a.xlsx", data)["formulas_without_values"].startswith(
        "formulas without a value, which are read as empty: Prices!C2, Prices!C3;"
    )

    computed = io.BytesIO()  # as a spreadsheet program saves it
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(computed, "w") as after:
        for name in before.namelist():
            part = before.read(name)
            if name == "xl/worksheets/sheet1.xml":
                part = re.sub(rb"(</f>)(<v ?/>|<v></v>)", rb"\1<v>5.36</v>", part, count=1)
            after.writestr(name, part)
    assert "empty: Prices!C3;" in warnings_of("a.xlsx", computed.getvalue())["formulas_without_values"]


def test_hidden_sheets_and_slides_are_left_out_and_named() -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["seen"])
    secret = workbook.create_sheet("Secret")
    secret.append(["unseen"])
    secret.sheet_state = "hidden"
    data = saved_workbook(workbook)
    assert "unseen" not in parse("a.xlsx", data).text
    assert warnings_of("a.xlsx", data) == {"hidden_content": "hidden sheets are left out: Secret"}

    presentation = pptx.Presentation()
    for title in ("One", "Two", "Three"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = title
    presentation.slides[1]._element.set("show", "0")
    out = io.BytesIO()
    presentation.save(out)
    parsed = parse("a.pptx", out.getvalue())
    assert parsed.text == "One\n\nThree"
    assert len(parsed.pages) == 3
    assert warnings_of("a.pptx", out.getvalue()) == {"hidden_content": "hidden slides are left out: 2"}


def test_parts_of_a_docx_that_are_not_read_are_named() -> None:
    document = docx.Document()
    document.add_paragraph("The penalty is as follows.")
    assert warnings_of("a.docx", samples._saved(document)) == {}
    document.add_comment(document.paragraphs[0].runs, text="Is that so?")
    document.paragraphs[0]._p.append(
        parse_xml(f"<w:r {nsdecls('w')}><w:sym w:font='Webdings' w:char='F041'/></w:r>")
    )
    assert warnings_of("a.docx", samples._saved(document)) == {
        "left_out": "left out: comments, symbols of the font Webdings"
    }


@pytest.mark.parametrize(
    ("words", "warned", "rest_read"), [(5, False, True), (30, True, False), (500, False, False)]
)
def test_a_main_part_hides_no_page_and_what_it_leaves_out_is_said(
    words: int, warned: bool, rest_read: bool
) -> None:
    rest = "<div>The guarantee of the lamp is 7 years.</div>" * 5
    page = f"<html><body>{rest}<main>{'word ' * words}</main></body></html>"
    assert ("left_out" in warnings_of("a.html", page.encode())) is warned
    assert ("7 years" in parse("a.html", page.encode()).text) is rest_read


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.csv", "a.html", "a.json", "a.py"])
def test_every_format_of_text_says_that_its_encoding_was_guessed(name: str) -> None:
    text = '{"Größe": "für Köln"}' if name == "a.json" else "# Größe; für Köln\n"
    assert "cp1252" in warnings_of(name, text.encode("cp1252"))["encoding_guessed"]


def test_every_kind_of_warning_can_be_sent() -> None:
    assert set(get_args(ParsedKind)) < set(get_args(SentKind))
