"""The parsers: one file per format, each with `parse(data, limits, suffix) -> ParsedDocument`.

A format is one file here and one line in `FORMATS`. The modules are imported when first needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Protocol, cast

from services.dataprep.parsing import archives
from services.dataprep.parsing.document import Limits, ParsedDocument, Unparsable
from services.dataprep.parsing.signatures import contradicts
from services.dataprep.parsing.symbols import SUFFIXES

EXTRA = "dataprep-office"
"""The extra that brings what the office formats need."""

FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "text": (".txt", ".text", ".log", ".xml"),
        "markdown": (".md", ".markdown"),
        "rst": (".rst",),
        "html": (".html", ".htm", ".xhtml"),
        "pdf": (".pdf",),
        "docx": (".docx",),
        "pptx": (".pptx",),
        "xlsx": (".xlsx", ".xlsm"),
        "csv": (".csv", ".tsv"),
        "json": (".json", ".jsonl", ".ndjson"),
        "code": tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes),
    }
)
SUPPORTED = ", ".join([*(suffix for suffixes in FORMATS.values() for suffix in suffixes), *archives.SUFFIXES])
"""What may be sent: archives become the files in them before a parser sees any."""


class _Parser(Protocol):
    def parse(self, data: bytes, limits: Limits, suffix: str, /) -> ParsedDocument: ...


def _parser(format_: str) -> _Parser:
    try:
        return cast(_Parser, importlib.import_module(f"{__name__}.{format_}"))
    except ModuleNotFoundError as error:
        raise Unparsable(
            "unsupported",
            f"is {format_}, which this installation does not read, for want of {error.name}: install it "
            f"with pip install 'ragline[{EXTRA}]'",
        ) from None


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def format_of(name: str) -> str:
    """The format by the name's suffix. Raises `Unparsable` that lists what is supported."""
    suffix = _suffix(name)
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
    if actual := contradicts(data, format_):
        raise Unparsable("unsupported", f"is {actual}, not {format_}")
    limits = limits or Limits()
    document = _parser(format_).parse(data, limits, _suffix(name))
    if len(document.text) > limits.characters:
        raise Unparsable("too_large", f"holds more than {limits.characters} characters of text: split it")
    if not document.text.strip():
        raise Unparsable("invalid", "holds no text: there is nothing to ingest")
    return document
