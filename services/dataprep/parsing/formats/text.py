"""Plain text: the decoded file, unchanged."""

from __future__ import annotations

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, ParsedDocument

FORMAT = Format(
    title="text",
    position=10,
    suffixes=(".txt", ".text", ".log"),
    content_types={"text/plain": ".txt"},
    read_with="chardet",
    sections="-",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Decode the file."""
    decoded = decode(data, named=limits.encoding)
    return ParsedDocument(decoded.text, warnings=decoded.warnings)
