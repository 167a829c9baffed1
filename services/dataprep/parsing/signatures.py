"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import zipfile
from io import BytesIO

_SIGNATURES = (
    (b"%PDF-", "pdf", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole", "an old or an encrypted Office file"),
    (b"\x1f\x8b", "", "a gzip archive"),
    (b"BZh", "", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "", "a RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "", "a PNG image"),
    (b"\xff\xd8\xff", "", "a JPEG image"),
    (b"GIF8", "", "a GIF image"),
    (b"\x7fELF", "", "a program"),
    (b"MZ\x90\0", "", "a program"),
    (b"SQLite format 3\0", "", "an SQLite database"),
    (b"{\\rtf", "", "an RTF document"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_CONTENTS = (
    ("word/", "docx", "a DOCX"),
    ("ppt/", "pptx", "a PPTX"),
    ("xl/", "xlsx", "an XLSX"),
    ("META-INF/container.xml", "", "an EPUB"),
    ("content.xml", "", "an OpenDocument file"),
)
OFFICE = frozenset({"docx", "pptx", "xlsx"})


def signature(data: bytes) -> tuple[str, str] | None:
    """The format, as far as it is one here, and its name with an article; None for what says nothing."""
    for magic, format_, description in _SIGNATURES:
        if data.startswith(magic):
            return format_, description
    return _packed(data) if data.startswith(_ZIP) else None


def _packed(data: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return "zip", "a broken ZIP archive"
    for prefix, format_, description in _CONTENTS:
        if any(name.startswith(prefix) for name in names):
            return format_, description
    return "", "a ZIP archive"


def contradicts(data: bytes, format_: str) -> str:
    """What the file is instead of `format_`; empty where nothing speaks against that."""
    found = signature(data)
    if found is None or found[0] == format_:
        return ""
    if format_ in OFFICE and found[0] in {"zip", "ole"}:  # its parser knows more about these
        return ""
    return found[1]
