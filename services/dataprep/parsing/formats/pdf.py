"""PDF: the text of every page by pdfium, as people read it; tables as rows, form values, notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from services.dataprep.parsing.document import (
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    Unparsable,
    list_places,
)
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.running_lines import drop_running_lines

if TYPE_CHECKING:
    import pypdfium2 as pdfium

    from services.dataprep.parsing.ocr import RecognisedPage
    from services.dataprep.parsing.page_layout import Part

FORMAT = Format(
    title="PDF",
    position=50,
    suffixes=(".pdf",),
    content_types={"application/pdf": ".pdf"},
    magic=b"%PDF-",
    called="a PDF",
    read_with="pypdfium2",
    sections="pages, read by their layout; tables as rows, with and without ruling lines; form values, notes",
    left_out="scans, without the extra `dataprep-ocr`; repeated page headers and footers",
)

MAX_PIXELS = 60_000_000
"""A larger page is rendered smaller."""

_HEADER_WITHIN = 1024
"""Readers accept a PDF whose header comes within its first kilobyte."""

_DATE = re.compile(r"D:(\d{4})(\d\d)(\d\d)")
_END_MARKS = (b"%%EOF", b"startxref", b"trailer")
_END_WITHIN = 4096
"""Where none of them is near the end, pdfium would read what is there and say nothing of the rest."""


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the pages in order."""
    if FORMAT.magic not in data[:_HEADER_WITHIN]:
        raise Unparsable("unsupported", "is not a PDF, though its name says so")
    if not any(mark in data[-_END_WITHIN:] for mark in _END_MARKS):
        raise Unparsable("invalid", "is a broken PDF: it lacks its end, as if it was cut off; send it again")
    with closing(_open(data)) as document:
        pages = drop_running_lines(_read_pages(document, limits))
        return _lay_out(document, pages, limits)


def _read_pages(document: pdfium.PdfDocument, limits: Limits) -> list[list[Part]]:
    count = len(document)
    if count > limits.pages:
        raise Unparsable("too_large", f"has {count} pages, more than {limits.pages}: split it")
    pages: list[list[Part]] = []
    characters = 0
    for number in range(count):
        pages.append(_read_page(document, number))
        characters += sum(len(part) for part in pages[-1] if isinstance(part, str))
        if characters > limits.characters:
            raise Unparsable("too_large", f"holds more than {limits.characters} characters of text: split it")
    return pages


def _lay_out(document: pdfium.PdfDocument, pages: Sequence[list[Part]], limits: Limits) -> ParsedDocument:
    layout = Layout(limits)
    own = document.get_metadata_dict()
    layout.describe(
        document_title=own.get("Title"),
        author=own.get("Author"),
        subject=own.get("Subject"),
        keywords=own.get("Keywords"),
        created=_read_date(own.get("CreationDate", "")),
    )
    textless: list[int] = []
    recognised: list[int] = []
    sure = 1.0
    for number, parts in enumerate(pages, start=1):
        layout.start_page()
        for part in parts:
            if isinstance(part, str):
                layout.add_paragraph(part)
            else:
                layout.add_table(part)
        if any(parts) or not _has_objects(document, number - 1):
            continue
        page = _recognise(document, number) if limits.ocr else None
        if page is None or not page.text:
            textless.append(number)
        else:
            layout.add_recognised(page.text, page.boxes)
            recognised.append(number)
            sure = min(sure, page.sure)
    way_out = "it is no scan that OCR can read" if limits.ocr else "scanned perhaps: run OCR on it first"
    if not layout.length:
        raise Unparsable("invalid", f"is a PDF without text, {way_out}", needs_ocr=not limits.ocr)
    if textless:
        layout.warn(ParseWarning("pages_without_text", f"{_count_pages(textless)} no text, {way_out}"))
    if recognised:
        layout.warn_recognised(recognised, sure)
    return layout.finish()


def _read_date(text: str) -> str:
    """Read `D:20260303140500+01'00'` as a day; empty for anything else."""
    match = _DATE.match(text)
    return "-".join(match.groups()) if match else ""


def _count_pages(numbers: Sequence[int]) -> str:
    return f"page {numbers[0]} has" if len(numbers) == 1 else f"pages {list_places(numbers)} have"


def _has_objects(document: pdfium.PdfDocument, number: int) -> bool:
    """Whether a page shows anything at all; one that is blank misses nothing."""
    with closing(document[number]) as page:
        return next(iter(page.get_objects()), None) is not None


def _recognise(document: pdfium.PdfDocument, number: int) -> RecognisedPage:
    """Read a page's text from its picture."""
    from services.dataprep.parsing.ocr import SCALE, recognise

    with closing(document[number - 1]) as page:
        width, height = page.get_size()
        scale = min(SCALE, (MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
        return recognise(page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3], number)


def _open(data: bytes) -> pdfium.PdfDocument:
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    try:
        document = pdfium.PdfDocument(data)
        document.init_forms()
        return document
    except pdfium.PdfiumError as error:
        if error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            raise Unparsable("invalid", "is encrypted: save it without a password") from None
        raise Unparsable("invalid", "is a broken PDF: open it in a reader and save it again") from None


def _read_page(document: pdfium.PdfDocument, number: int) -> list[Part]:
    """Read the page's text and tables in the order in which they are read."""
    import pypdfium2 as pdfium

    from services.dataprep.parsing.pdf_text import read_page

    try:
        with closing(document[number]) as page:
            return read_page(document, page)
    except pdfium.PdfiumError:
        raise Unparsable(
            "invalid", f"is a broken PDF: page {number + 1} cannot be read; save it again"
        ) from None
