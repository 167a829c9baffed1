"""A valid file of every format, made by code; the malformed ones are made from these."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage

import docx
import openpyxl
import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from tests.open_documents import epub, open_document
from tests.outlook import outlook_message

Rows = Sequence[Sequence[object]]
TABLE: Rows = [["Harbour", "Tide", 2024], ["Brest", "7.1 m", 12], ["Saint-Malo", "13.5 m", 8]]


def pdf(pages: Sequence[Sequence[str]], *, ruled: Rows = (), trailer: bytes = b"") -> bytes:
    """A PDF with these lines of text on its pages, and below those of the first a table with ruling lines."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * index) for index in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(pages), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for index, lines in enumerate(pages):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (5 + 2 * index)
        )
        shown = b"".join(b"(%b)Tj T* " % line.encode("latin-1") for line in lines)
        body = b"BT /F1 12 Tf 14 TL 50 750 Td " + shown + b"ET" + _ruled(ruled if not index else ())
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(body), body))
    return assemble_pdf(objects, trailer)


def assemble_pdf(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalog."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, table)
    return bytes(out)


def _ruled(rows: Rows) -> bytes:
    """Cells of 100 by 20 points from (50, 600) down, their text, and a rectangle around each."""
    out = bytearray()
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            x, y = 50 + 100 * c, 580 - 20 * r
            out += b" %d %d 100 20 re S BT /F1 10 Tf %d %d Td (%b)Tj ET" % (
                x,
                y,
                x + 5,
                y + 6,
                str(cell).encode("latin-1"),
            )
    return bytes(out)


def encrypted_pdf() -> bytes:
    """Encrypted with a password that nobody knows: its checks are arbitrary bytes."""
    entry = b"<" + b"5a" * 32 + b">"
    encryption = b"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O %b/U %b>>/ID[<00><00>]" % (entry, entry)
    return pdf([["secret"]], trailer=encryption)


def make_docx(rows: Rows = TABLE) -> bytes:
    document = docx.Document()
    document.add_heading("Tides of Brittany", 0)
    document.add_paragraph("The moon pulls the water.")
    document.add_heading("Harbours", 1)
    document.add_paragraph("deep ones", style="List Bullet")
    document.add_paragraph("shallow ones", style="List Number")
    document.add_heading("By height", 2)
    table = document.add_table(rows=0, cols=len(rows[0]))
    for row in rows:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            cell.text = str(value)
    document.add_paragraph("After the table.")
    return _saved(document)


def make_mail(attachments: Mapping[str, bytes]) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "Ana <ana@example.org>", "Tides of Brittany"
    message.set_content("The moon pulls the water.")
    for name, data in attachments.items():
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def _sheet(rows: Rows) -> str:
    cells = (
        "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row)
        for row in rows
    )
    written = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    return f"<table:table table:name='Heights'>{written}</table:table>"


def make_pptx(slides: int = 2) -> bytes:
    presentation = pptx.Presentation()
    for number in range(1, slides + 1):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = f"Slide title {number}"
        slide.placeholders[1].text = f"First point {number}\nSecond point"
        slide.notes_slide.notes_text_frame.text = f"Say it slowly {number}"
    frame = slide.shapes.add_table(len(TABLE), len(TABLE[0]), Inches(1), Inches(3), Inches(6), Inches(1))
    for row, values in zip(frame.table.rows, TABLE, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = str(value)
    untitled = presentation.slides.add_slide(presentation.slide_layouts[6])
    untitled.shapes.add_textbox(0, 0, Inches(2), Inches(1)).text_frame.text = "Text without a title"
    figures = CategoryChartData()
    figures.categories = ["spring", "neap"]
    figures.add_series("metres", (13.5, 5.0))
    untitled.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, Inches(2), Inches(4), Inches(3), figures)
    return _saved(presentation)


def make_xlsx(sheets: Mapping[str, Rows] | None = None) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in (sheets or {"Heights": TABLE}).items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    return _saved(workbook)


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def repacked(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """The ZIP file with members replaced, added or (None) left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in [*old.namelist(), *(name for name in changes if name not in old.namelist())]:
            content = changes[name] if name in changes else old.read(name)
            if content is not None:
                new.writestr(name, content)
    return out.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def encrypted_zip(data: bytes) -> bytes:
    """With the flag set in both of a member's headers: what a reader goes by."""
    out = bytearray(data)
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := out.find(magic, at + 1)) >= 0:
            out[at + flags] |= 1
    return bytes(out)


def encrypted_office() -> bytes:
    """What Office saves with a password: a compound file with a stream of this name."""
    return (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500)
    )


RECORDS = [{"harbour": "Brest", "tide": {"height": 7.1}}, {"harbour": "Saint-Malo", "tide": {"height": 13.5}}]
RST = b"Tides\n=====\n\nThe moon.\n\nNeap\n----\n\nSmall ones.\n"


def valid() -> dict[str, bytes]:
    """A file of every format by its name."""
    return {
        "plain.txt": "Grüße vom Meer".encode(),
        "guide.md": b"# Tides\n\nThe moon pulls the water.\n\n## Neap\n\nSmall ones.\n",
        "guide.rst": RST,
        "page.html": b"<title>t</title><h1>Sea</h1><p>Waves &amp; wind",
        "paper.pdf": pdf([["Tides follow the moon."], ["Second page"]], ruled=TABLE),
        "report.docx": make_docx(),
        "talk.pptx": make_pptx(),
        "book.xlsx": make_xlsx(),
        "table.csv": b"harbour;tide\nBrest;7,1\nSaint-Malo;13,5\n",
        "table.tsv": b"harbour\ttide\nBrest\t7.1\n",
        "data.json": json.dumps(RECORDS).encode(),
        "data.jsonl": b"\n".join(json.dumps(record).encode() for record in RECORDS),
        "code.py": b"def tide(moon):\n    return moon * 2\n",
        "config.yaml": b"harbour:\n  name: Brest\n",
        "mail.eml": make_mail({"tides.csv": b"harbour;tide\nBrest;7,1\n"}),
        "mail.msg": outlook_message(
            "Tides", "The moon pulls the water.", {"more.txt": b"Neap tides are small."}
        ),
        "book.epub": epub({"one.xhtml": "<html><body><h1>Sea</h1><p>Waves and wind.</p></body></html>"}),
        "letter.odt": open_document("text", "<text:h>Tides</text:h><text:p>The moon pulls.</text:p>"),
        "prices.ods": open_document("spreadsheet", _sheet(TABLE)),
        "talk.odp": open_document(
            "presentation",
            "<draw:page><draw:frame><draw:text-box><text:p>Tides</text:p>"
            "</draw:text-box></draw:frame></draw:page>",
        ),
        "memo.rtf": rb"{\rtf1\ansi Gr\'fc\'dfe vom Meer\par}",
        "feed.xml": b"<tides><harbour name='Brest'>7.1 m</harbour></tides>",
    }
