"""Plain text: the decoded file, unchanged."""

from __future__ import annotations

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Limits, ParsedDocument


def parse(data: bytes, _: Limits, _suffix: str) -> ParsedDocument:
    return ParsedDocument(decode(data))
