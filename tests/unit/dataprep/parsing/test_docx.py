"""What a DOCX shows and its paragraphs do not hold: equations, symbols, list numbers, notes, page headers."""

from __future__ import annotations

import docx
import pytest
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from lxml import etree

from services.dataprep.parsing.equations import write_equation
from services.dataprep.parsing.registry import parse
from services.dataprep.parsing.symbols import read_symbol
from tests import samples

MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
NUMBERING = f"""<w:numbering {nsdecls("w")}>
<w:abstractNum w:abstractNumId="1">
  <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:pStyle w:val="Heading1"/><w:lvlText w:val="%1"/></w:lvl>
  <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="2">
  <w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%1)"/></w:lvl>
  <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%2."/></w:lvl>
  <w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="*"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="2"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="2"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
</w:numbering>"""


def text_of(document: Document) -> str:
    return parse("a.docx", samples._saved(document)).text


def math(inner: str) -> etree._Element:
    return etree.fromstring(f"<m:oMath {MATH}>{inner}</m:oMath>")


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (run("P = 0.05 x days"), "P = 0.05 x days"),
        (
            f"<m:f><m:num>{run('a+b')}</m:num><m:den>{run('c')}</m:den></m:f>",
            "(a+b)/c",
        ),
        (f"<m:sSup><m:e>{run('x')}</m:e><m:sup>{run('n+1')}</m:sup></m:sSup>", "x^(n+1)"),
        (
            f"<m:sSubSup><m:e>{run('v')}</m:e><m:sub>{run('0')}</m:sub><m:sup>{run('2')}</m:sup></m:sSubSup>",
            "v_0^2",
        ),
        (f"<m:rad><m:radPr><m:degHide m:val='1'/></m:radPr><m:deg/><m:e>{run('n')}</m:e></m:rad>", "√(n)"),
        (f"<m:rad><m:deg>{run('3')}</m:deg><m:e>{run('n')}</m:e></m:rad>", "root(3, n)"),
        (
            f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{run('i=1')}</m:sub><m:sup>{run('n')}</m:sup>"
            f"<m:e>{run('i')}</m:e></m:nary>",
            "∑_(i=1)^n i",
        ),
        (
            f"<m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr><m:e>{run('a')}</m:e></m:d>{run('+1')}",
            "[a]+1",
        ),
        (f"<m:func><m:fName>{run('sin')}</m:fName><m:e>{run('x')}</m:e></m:func>", "sin(x)"),
        (
            f"<m:m><m:mr><m:e>{run('1')}</m:e><m:e>{run('0')}</m:e></m:mr><m:mr><m:e>{run('0')}</m:e>"
            f"<m:e>{run('1')}</m:e></m:mr></m:m>",
            "[1, 0; 0, 1]",
        ),
        (f"<m:borderBox><m:e>{run('kept')}</m:e></m:borderBox>", "kept"),
    ],
)
def test_equations_are_lines_of_text(inner: str, text: str) -> None:
    assert write_equation(math(inner)) == text


def test_equations_stand_where_they_are_in_the_sentence_and_as_paragraphs() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Penalty: ")
    equation = f"<m:oMath {MATH} {nsdecls('w')}>{run('P = 0.05 x days')}</m:oMath>"
    paragraph._p.append(parse_xml(equation))
    paragraph.add_run(" at most.")
    alone = document.add_paragraph()
    alone._p.append(parse_xml(f"<m:oMathPara {MATH} {nsdecls('w')}>{equation}</m:oMathPara>"))
    assert text_of(document) == "Penalty: P = 0.05 x days at most.\n\nP = 0.05 x days"


@pytest.mark.parametrize(
    ("font", "code", "following", "character"),
    [
        ("Symbol", 0xF06D, "m", "μ"),
        ("Symbol", 0xF0B5, "m tolerance", "µ"),
        ("Symbol", 0xF0B5, " x", "∝"),
        ("Symbol", 0xF0B0, "C", "°"),
        ("Symbol", 0x61, "", "\u03b1"),
        ("Wingdings", 0xF0FE, "", "☑"),
        ("Calibri", 0x2713, "", "✓"),
        ("Webdings", 0xF041, "", None),
    ],
)
def test_symbols_of_fonts(font: str, code: int, following: str, character: str | None) -> None:
    assert read_symbol(font, code, following) == character


def test_symbols_and_readings_are_part_of_their_words() -> None:
    document = docx.Document()
    word = nsdecls("w")
    first = document.add_paragraph("Legacy: ")
    first._p.append(parse_xml(f"<w:r {word}><w:sym w:font='Symbol' w:char='F0B5'/></w:r>"))
    first.add_run("m tolerance 25")
    typed = document.add_paragraph("Angle ").add_run("\uf061")
    typed.font.name = "Symbol"
    document.add_paragraph()._p.append(
        parse_xml(
            f"<w:r {word}><w:ruby><w:rt><w:r><w:t>とうきょう</w:t></w:r></w:rt>"
            "<w:rubyBase><w:r><w:t>東京</w:t></w:r></w:rubyBase></w:ruby></w:r>"
        )
    )
    document.add_paragraph("See ")._p.append(
        parse_xml(f"<w:fldSimple {word} w:instr=' REF a '><w:r><w:t>clause 4</w:t></w:r></w:fldSimple>")
    )
    assert text_of(document) == "Legacy: µm tolerance 25\n\nAngle \u03b1\n\n東京(とうきょう)\n\nSee clause 4"


def number(document: Document, text: str, name: int, level: int = 0) -> None:
    properties = document.add_paragraph(text)._p.get_or_add_pPr()
    properties.append(
        parse_xml(f"<w:numPr {nsdecls('w')}><w:ilvl w:val='{level}'/><w:numId w:val='{name}'/></w:numPr>")
    )


def test_list_numbers_are_counted_as_word_counts_them() -> None:
    document = docx.Document()
    numbering = document.part.numbering_part.element
    for child in list(numbering):
        numbering.remove(child)
    for child in parse_xml(NUMBERING):
        numbering.append(child)
    heading = document.styles["Heading 1"].element.get_or_add_pPr()
    heading.append(parse_xml(f"<w:numPr {nsdecls('w')}><w:numId w:val='1'/></w:numPr>"))
    document.add_heading("Scope", 1)
    number(document, "first", 1, 1)
    number(document, "second", 1, 1)
    document.add_heading("Terms", 1)
    number(document, "again", 1, 1)
    for text, level in [("c", 0), ("roman", 1), ("roman", 1), ("dot", 2), ("d", 0), ("roman", 1)]:
        number(document, text, 2, level)
    number(document, "anew", 3)
    number(document, "next", 3)
    number(document, "of no list", 0)
    document.add_paragraph("no list that is defined", style="List Number")
    parsed = parse("a.docx", samples._saved(document))
    assert parsed.text.replace("\n\n", "\n").split("\n") == [
        *("1 Scope", "1.1 first", "1.2 second", "2 Terms", "2.1 again"),
        *("(c) c", "I. roman", "II. roman", "- dot", "(d) d", "I. roman", "(a) anew", "(b) next"),
        *("- of no list", "- no list that is defined"),
    ]
    assert [section.path for section in parsed.sections] == [("1 Scope",), ("2 Terms",)]


def add_notes(document: Document, kind: str, texts: list[str]) -> None:
    notes = "".join(
        f"<w:{kind} w:id='{at}'><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:{kind}>"
        for at, text in enumerate(texts, start=2)
    )
    blob = f"<w:{kind}s {nsdecls('w')}>{notes}</w:{kind}s>".encode()
    part = Part(PackURI(f"/word/{kind}s.xml"), "application/xml", blob, document.part.package)
    document.part.relate_to(part, getattr(RELATIONSHIP_TYPE, f"{kind.upper()}S"))


def refer(document: Document, text: str, kind: str, name: int) -> None:
    paragraph = document.add_paragraph(text)
    reference = OxmlElement(f"w:{kind}Reference")
    reference.set(qn("w:id"), str(name))
    paragraph.add_run()._r.append(reference)
    paragraph.add_run(" of the invoice.")


def test_notes_come_behind_the_paragraph_that_refers_to_them() -> None:
    document = docx.Document()
    add_notes(document, "footnote", ["Sixty days for public bodies.", "Nobody refers to it."])
    add_notes(document, "endnote", ["See the tariff."])
    refer(document, "Due within thirty days", "footnote", 2)
    refer(document, "Sent with the copy", "endnote", 2)
    assert text_of(document) == (
        "Due within thirty days of the invoice.\nFootnote 1: Sixty days for public bodies.\n\n"
        "Sent with the copy of the invoice.\nEndnote 1: See the tariff."
    )


def test_page_headers_and_footers_come_once_and_without_page_numbers() -> None:
    document = docx.Document()
    document.add_paragraph("The text.")
    document.sections[0].header.paragraphs[0].text = "CONTRACT NO. HX-2291"
    footer = document.sections[0].footer.paragraphs[0]
    footer.text = "Page "
    footer._p.append(
        parse_xml(f"<w:fldSimple {nsdecls('w')} w:instr=' PAGE '><w:r><w:t>7</w:t></w:r></w:fldSimple>")
    )
    document.add_section().header.is_linked_to_previous = False
    document.sections[1].header.paragraphs[0].text = "CONTRACT NO. HX-2291"
    assert text_of(document) == "The text.\n\nPage header: CONTRACT NO. HX-2291\n\nPage footer: Page"
    blank = docx.Document()
    blank.add_paragraph("The text.")
    blank.sections[0].footer.paragraphs[0].text = "- -"
    assert text_of(blank) == "The text."
