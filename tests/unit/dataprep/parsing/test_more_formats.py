"""OpenDocument, EPUB, RTF, XML: what becomes text, and what is said of the rest."""

from __future__ import annotations

import pytest

from services.dataprep.parsing.document import Unparsable
from services.dataprep.parsing.registry import format_of, parse
from tests.open_documents import epub, open_document


def kinds(name: str, data: bytes) -> dict[str, str]:
    return {warning.kind: warning.message for warning in parse(name, data).warnings}


def test_odt_headings_lists_tables_notes_and_page_headers() -> None:
    body = (
        "<text:h text:outline-level='1'>Service</text:h>"
        "<text:p>Due<text:s text:c='2'/>within thirty days<text:note text:note-class='footnote'><text:note-citation>1"
        "</text:note-citation><text:note-body><text:p>Sixty for public bodies.</text:p></text:note-body></text:note>"
        " of the invoice.</text:p><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:list text:style-name='L1'><text:list-item><text:p>Inspect</text:p><text:list><text:list-item>"
        "<text:p>inner</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>Close</text:p>"
        "</text:list-item></text:list>"
        "<text:h text:outline-level='2'>Fees</text:h>"
        "<table:table><table:table-header-rows><table:table-row><table:table-cell table:number-rows-spanned='2'>"
        "<text:p>Region</text:p></table:table-cell><table:table-cell table:number-columns-spanned='2'><text:p>Revenue"
        "</text:p></table:table-cell><table:covered-table-cell/></table:table-row><table:table-row>"
        "<table:covered-table-cell/><table:table-cell><text:p>H1</text:p></table:table-cell><table:table-cell>"
        "<text:p>H2</text:p></table:table-cell></table:table-row></table:table-header-rows><table:table-row>"
        "<table:table-cell><text:p>North</text:p></table:table-cell><table:table-cell><text:p>110</text:p>"
        "</table:table-cell><table:table-cell><text:p>120</text:p></table:table-cell></table:table-row></table:table>"
        "<text:p>Before <draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame>"
        "<office:annotation><text:p>Really?</text:p></office:annotation></text:p>"
    )
    styles = "<text:list-style style:name='L1'><text:list-level-style-number text:level='1' style:num-suffix='.'/></text:list-style>"
    master = (
        "<style:master-page><style:header><text:p>CONTRACT HX-2291</text:p></style:header>"
        "<style:footer><text:p>Page <text:page-number>7</text:page-number></text:p></style:footer></style:master-page>"
    )
    data = open_document("text", body, styles=styles, master=master)
    parsed = parse("a.odt", data)
    assert parsed.text.split("\n\n") == [
        "Service",
        "Due  within thirty days of the invoice.\nFootnote 1: Sixty for public bodies.\n1. Inspect\n- inner\n2. Close",
        "Fees",
        "| Region | Revenue H1 | Revenue H2 |\n|---|---|---|\n| North | 110 | 120 |",
        "Before \nboxed",
        "Page header: CONTRACT HX-2291",
        "Page footer: Page",
    ]
    assert [section.path for section in parsed.sections][:2] == [("Service",), ("Service", "Fees")]
    assert kinds("a.odt", data) == {"left_out": "left out: 1 comments"}


def test_ods_cells_as_shown_merged_labels_and_hidden_sheets() -> None:
    def cell(text: str, more: str = "") -> str:
        return f"<table:table-cell {more}><text:p>{text}</text:p></table:table-cell>"

    rows = [
        cell("Region") + cell("Share") + cell("Cost"),
        cell("North", "table:number-rows-spanned='2'") + cell("15.5%") + cell("1,234.50 EUR"),
        "<table:covered-table-cell/>" + cell("21.0%", "table:number-columns-repeated='2'"),
        "<table:table-cell table:number-columns-repeated='16384'/>",
    ]
    sheet = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    sheet += "<table:table-row table:number-rows-repeated='1048570'><table:table-cell/></table:table-row>"
    hidden = f"<table:table table:name='Secret' table:style-name='H'><table:table-row>{cell('unseen')}</table:table-row></table:table>"
    styles = "<style:style style:name='H'><style:table-properties table:display='false'/></style:style>"
    data = open_document(
        "spreadsheet", f"<table:table table:name='Budget'>{sheet}</table:table>{hidden}", styles=styles
    )
    parsed = parse("a.ods", data)
    assert parsed.text == (
        "| Region | Share | Cost |\n|---|---|---|\n| North | 15.5% | 1,234.50 EUR |\n| North | 21.0% | 21.0% |"
    )
    assert parsed.sections[0].path == ("Budget", "rows 2-3")
    assert kinds("a.ods", data) == {"hidden_content": "hidden sheets are left out: Secret"}


def test_odp_slides_in_the_order_on_them_with_notes() -> None:
    def frame(text: str, y: float, more: str = "") -> str:
        return (
            f"<draw:frame svg:x='1cm' svg:y='{y}cm' svg:width='9cm' svg:height='1cm' {more}>"
            f"<draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"
        )

    slide = frame("Second", 8) + frame("First", 4) + frame("Plan", 1, "presentation:class='title'")
    notes = f"<presentation:notes>{frame('Say it.', 1)}</presentation:notes>"
    body = f"<draw:page>{slide}{notes}</draw:page><draw:page draw:style-name='H'>{frame('unseen', 1)}</draw:page>"
    styles = "<style:style style:name='H'><style:drawing-page-properties presentation:visibility='hidden'/></style:style>"
    data = open_document("presentation", body, styles=styles)
    assert parse("a.odp", data).text == "Plan\n\nFirst\n\nSecond\n\nNotes: Say it."
    assert kinds("a.odp", data) == {"hidden_content": "hidden slides are left out: 2"}


def test_an_epub_is_its_chapters_in_order() -> None:
    chapters = {
        "two.xhtml": "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>First chapter</h1><p>The moon pulls.</p></body></html>",
        "a%20b.xhtml": "",
        "one.xhtml": "<!DOCTYPE html><html><body><h1>Second</h1><h2>Part</h2><p>The sun too.</p></body></html>",
    }
    data = epub(chapters)
    parsed = parse("a.epub", data)
    assert (
        parsed.text
        == "Tides\nAn Author\n\nFirst chapter\n\nThe moon pulls.\n\nSecond\n\nPart\n\nThe sun too."
    )
    assert [section.path for section in parsed.sections] == [
        *(("Tides",), ("First chapter",), ("Second",), ("Second", "Part"))
    ]
    assert kinds("a.epub", data) == {"left_out": "left out: the chapter a b.xhtml, which is missing"}
    encryption = "<encryption><CipherReference URI='OEBPS/two.xhtml'/></encryption>"
    protected = epub(
        {"two.xhtml": chapters["two.xhtml"]}, title="", more={"META-INF/encryption.xml": encryption}
    )
    with pytest.raises(Unparsable, match=r"protected|holds no text"):
        parse("a.epub", protected)


def test_rtf_text_in_its_code_page_and_tables() -> None:
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Die Pr\'fcfung kostet 4,50 \'80.\par "
        rb"Wasser \u228?nderung\par\trowd\cellx1\cellx2 Part\cell Price\cell\row\trowd Bolt\cell 4\cell\row "
        rb"\pard After.\par}"
    )
    assert parse("a.rtf", data).text == (
        "Die Prüfung kostet 4,50 €.\n\nWasser änderung\n\n| Part | Price |\n|---|---|\n| Bolt | 4 |\n\nAfter."
    )
    with pytest.raises(Unparsable, match="is not RTF"):
        parse("a.rtf", b"plain text")


def test_xml_is_values_with_their_paths_and_expands_nothing() -> None:
    source = (
        b"<?xml version='1.0' encoding='iso-8859-1'?><!DOCTYPE catalog [<!ENTITY house 'Press'>]>"
        b"<c:catalog xmlns:c='urn:x'><!-- no --><book id='b1'><title lang='de'>Gez\xe4hlte Tage</title>"
        b"<price>4.50</price></book><book id='b2'><title>Tides <i>of</i> Brittany</title><by>&house;</by></book></c:catalog>"
    )
    parsed = parse("a.xml", source)
    assert parsed.text == (
        "book:\n  - id: b1\n    title:\n      lang: de\n      text: Gezählte Tage\n    price: 4.50\n"
        "  - id: b2\n    title: Tides of Brittany\n    by: &house;"
    )
    assert parsed.sections[0].path == ("catalog",)
    assert parsed.warnings == ()
    broken = b"<a><b>text</a>"
    assert parse("a.xml", broken).text == "<a><b>text</a>"
    assert "not well-formed" in kinds("a.xml", broken)["left_out"]


@pytest.mark.parametrize(
    ("name", "way"), [("a.doc", "DOCX"), ("dir/b.XLS", "XLSX"), ("c.ppt", "PPTX"), ("d.pst", "EML")]
)
def test_old_formats_are_refused_with_the_way_out(name: str, way: str) -> None:
    with pytest.raises(Unparsable, match=f"save .* as .*{way}") as caught:
        format_of(name)
    assert caught.value.reason == "unsupported"
