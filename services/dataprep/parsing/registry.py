"""The file formats: which there are, which one a file is of, and reading it.

Each module of `formats/` is a format: it declares `FORMAT` and exports `parse` (`document.FormatModule`). The
modules are found by listing the folder; nothing else lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import PurePosixPath
from typing import cast

from services.dataprep.parsing import archives, formats
from services.dataprep.parsing.document import Format, FormatModule, Limits, ParsedDocument, Unparsable

EXTRA = "dataprep-office"
"""The extra that brings what the office formats need."""

_BROKEN_ZIP = "a broken ZIP archive"
_OLD_OFFICE = "an old or an encrypted Office file"
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLD_OFFICE),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
)
"""First bytes of files that are of no format here, and what errors call them."""

_WAYS_OUT = {
    ".doc": "save it as DOCX",
    ".dot": "save it as DOCX",
    ".xls": "save it as XLSX",
    ".xlsb": "save it as XLSX",
    ".ppt": "save it as PPTX",
    ".pages": "export it as DOCX",
    ".numbers": "export it as XLSX",
    ".key": "export it as PPTX",
    ".wpd": "save it as DOCX",
    ".mbox": "save its messages as EML",
    ".pst": "save its messages as MSG or EML",
    ".7z": "pack it as ZIP",
    ".rar": "pack it as ZIP",
}
"""What to do with files that people have and no parser here reads."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def all_formats() -> dict[str, Format]:
    """List the formats by the names of their modules, in the order in which people read them."""
    declared = {
        module.name: _load(module.name).FORMAT
        for module in pkgutil.iter_modules(formats.__path__)
        if not module.name.startswith("_")
    }
    return dict(sorted(declared.items(), key=lambda item: (item[1].position, item[0])))


def supported_suffixes() -> list[str]:
    """List the suffixes of what may be sent: an archive becomes the files in it before a parser sees any.

    Those of pictures are among them where this installation has OCR.
    """
    declared = all_formats()
    if find_spec("rapidocr") is None:
        declared.pop("image", None)
    return [
        *(suffix for format_ in declared.values() for suffix in format_.suffixes),
        *archives.SUFFIXES,
    ]


def suffix_of_type(content_type: str) -> str:
    """Give the suffix that a file of this content type gets; empty for a type of no format."""
    suffixes = (format_.content_types.get(content_type) for format_ in all_formats().values())
    return next(filter(None, suffixes), "")


def format_of(name: str) -> str:
    """Tell a file's format by its name's suffix. Raises `Unparsable` that lists what is supported."""
    suffix = _suffix_of(name)
    for format_name, format_ in all_formats().items():
        if suffix in format_.suffixes:
            return format_name
    if suffix in _WAYS_OUT:
        raise Unparsable("unsupported", f"has the suffix {suffix!r}, which is not read: {_WAYS_OUT[suffix]}")
    what = f"has the suffix {suffix!r}" if suffix else "has no suffix"
    raise Unparsable("unsupported", f"{what}: supported are {', '.join(supported_suffixes())}")


def parse(name: str, data: bytes, limits: Limits | None = None) -> ParsedDocument:
    """Read the file `data` called `name`. Raises `Unparsable` where it is empty, broken or misnamed."""
    format_name = format_of(name)
    if not data:
        raise Unparsable("invalid", "is empty: there is nothing to ingest")
    if actual := find_contradiction(data, format_name):
        raise Unparsable("unsupported", f"is {actual}, not {format_name}")
    limits = limits or Limits()
    try:
        document = _load(format_name).parse(data, limits, _suffix_of(name))
    except ModuleNotFoundError as error:
        raise Unparsable(
            "unsupported",
            f"is {format_name}, which this installation does not read, for want of {error.name}: install it "
            f"with pip install 'ragline[{EXTRA}]'",
        ) from None
    if len(document.text) > limits.characters:
        raise Unparsable("too_large", f"holds more than {limits.characters} characters of text: split it")
    if not document.text.strip():
        raise Unparsable("invalid", "holds no text: there is nothing to ingest")
    return document


def find_contradiction(data: bytes, format_name: str) -> str:
    """Say what the file is instead of `format_name`; empty where its content does not contradict its name."""
    declared = all_formats()
    actual, called = _recognise(data, declared)
    if actual == format_name:
        return ""
    if called in declared[format_name].takes:
        return ""
    if declared[format_name].package_part and called in {_BROKEN_ZIP, _OLD_OFFICE}:
        return ""  # its parser knows more about these
    return called


def _recognise(data: bytes, declared: dict[str, Format]) -> tuple[str, str]:
    """Tell by its content the file's format, empty where it is of none here, and what errors call it."""
    for name, format_ in declared.items():
        if format_.magic and data.startswith(format_.magic):
            return name, format_.called
    for magic, called in _FOREIGN:
        if data.startswith(magic):
            return "", called
    return _recognise_package(data, declared) if data.startswith(_ZIP) else ("", "")


def _recognise_package(data: bytes, declared: dict[str, Format]) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return "", _BROKEN_ZIP
    packages = [(format_.package_part, name, format_.called) for name, format_ in declared.items()]
    for part, name, called in packages:
        if part and any(member.startswith(part) for member in members):
            return name, called
    return "", "a ZIP archive"


def _suffix_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _load(name: str) -> FormatModule:
    return cast(FormatModule, importlib.import_module(f"{formats.__name__}.{name}"))
