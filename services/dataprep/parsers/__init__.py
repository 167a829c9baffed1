"""The parsers: one file per format, each with `parse(data, limits) -> ParsedDocument`.

A format is one file here and one line in `FORMATS`. The modules are imported when first needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Protocol, cast

from services.dataprep.document import Limits, ParsedDocument, Unparsable

FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "text": (".txt", ".text"),
        "markdown": (".md", ".markdown"),
        "html": (".html", ".htm"),
        "pdf": (".pdf",),
    }
)
SUPPORTED = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes)

_FOREIGN = (
    (b"%PDF-", "pdf", "a PDF"),
    (b"PK\x03\x04", "", "a ZIP archive (or a DOCX, XLSX, PPTX, EPUB or ODT, which are not read)"),
    (b"\xd0\xcf\x11\xe0", "", "an old Office file, which is not read"),
    (b"\x1f\x8b", "", "a gzip archive"),
    (b"\x89PNG", "", "a PNG image"),
    (b"\xff\xd8\xff", "", "a JPEG image"),
)
"""Magic bytes that tell a file apart from what its suffix says: the bytes, their format here, its name."""


class _Parser(Protocol):
    def parse(self, data: bytes, limits: Limits) -> ParsedDocument: ...


def format_of(name: str) -> str:
    """The format by the name's suffix. Raises `Unparsable` that lists what is supported."""
    suffix = PurePosixPath(name).suffix.lower()
    for format_, suffixes in FORMATS.items():
        if suffix in suffixes:
            return format_
    what = f"has the suffix {suffix!r}" if suffix else "has no suffix"
    raise Unparsable("unsupported", f"{what}: supported are {SUPPORTED}")


def parse(name: str, data: bytes, limits: Limits | None = None) -> ParsedDocument:
    """The document in `data`. Raises `Unparsable` where it is empty, broken or not what its name says."""
    format_ = format_of(name)
    if not data:
        raise Unparsable("invalid", "is empty: there is nothing to ingest")
    for magic, actual, description in _FOREIGN:
        if actual != format_ and data.startswith(magic):
            raise Unparsable("unsupported", f"is {description}, not {format_}")
    limits = limits or Limits()
    module = cast(_Parser, importlib.import_module(f"{__name__}.{format_}"))
    document = module.parse(data, limits)
    if len(document.text) > limits.characters:
        raise Unparsable("too_large", f"holds more than {limits.characters} characters of text: split it")
    if not document.text.strip():
        raise Unparsable("invalid", "holds no text: there is nothing to ingest")
    return document
