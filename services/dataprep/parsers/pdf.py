"""PDF: the text of every page by pdfium, pages separated by an empty line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pypdfium2 as pdfium
from pypdfium2 import raw

from services.dataprep.document import Limits, ParsedDocument, Unparsable

_HEADER_WITHIN = 1024
"""Readers accept a PDF whose header comes within its first kilobyte."""

_HYPHEN = re.compile(r"[\x02\ufffe\u00ad](?:\r\n|\r|\n)?")
"""How pdfium shows a hyphen that only breaks the line: the word goes on behind it."""

_UNWANTED = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\ufffe\uffff]|\r(?=\n)")


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    if b"%PDF-" not in data[:_HEADER_WITHIN]:
        raise Unparsable("unsupported", "is not a PDF, though its name says so")
    with closing(_open(data)) as document:
        count = len(document)
        if count > limits.pages:
            raise Unparsable("too_large", f"has {count} pages, more than {limits.pages}: split it")
        return _joined(_pages(document), limits)


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            raise Unparsable("invalid", "is encrypted: save it without a password") from None
        raise Unparsable("invalid", "is a broken PDF: open it in a reader and save it again") from None


def _pages(document: pdfium.PdfDocument) -> Iterator[str]:
    for number in range(len(document)):
        try:
            with closing(document[number]) as page, closing(page.get_textpage()) as text:
                yield _UNWANTED.sub("", _HYPHEN.sub("", text.get_text_bounded())).strip()
        except pdfium.PdfiumError:
            raise Unparsable(
                "invalid", f"is a broken PDF: page {number + 1} cannot be read; save it again"
            ) from None


def _joined(pages: Iterator[str], limits: Limits) -> ParsedDocument:
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for text in pages:
        separator = "\n\n" if text and length else ""
        starts.append(length + len(separator))
        parts += [separator, text]
        length += len(separator) + len(text)
        if length > limits.characters:
            raise Unparsable("too_large", f"holds more than {limits.characters} characters of text: split it")
    if not length:
        raise Unparsable("invalid", "is a PDF without text, scanned perhaps: run OCR on it first")
    return ParsedDocument("".join(parts), pages=tuple(starts))
