"""Plain text: the decoded file, unchanged."""

from __future__ import annotations

from services.dataprep.decoding import decode
from services.dataprep.document import Limits, ParsedDocument


def parse(data: bytes, _: Limits, _suffix: str) -> ParsedDocument:
    return ParsedDocument(decode(data))
