"""Source code: the decoded file, unchanged, with a section for every definition, named by its symbols."""

from __future__ import annotations

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Limits, Outline, ParsedDocument
from services.dataprep.parsing.symbols import symbols


def parse(data: bytes, _: Limits, suffix: str) -> ParsedDocument:
    text = decode(data)
    outline = Outline()
    for symbol in symbols(text, suffix):
        outline.add(symbol.indent, symbol.name, start=symbol.start, body=symbol.body)
    return ParsedDocument(text, outline.sections)
