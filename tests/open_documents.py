"""OpenDocument files and EPUBs, made by code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO

_NAMES = ("office", "text", "table", "style", "presentation")
_DECLARED = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in _NAMES)
_DECLARED += ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
_DECLARED += ' xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"'


def _pack(kind: str, members: Mapping[str, str]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


def open_document(kind: str, body: str, *, styles: str = "", master: str = "") -> bytes:
    """A file of `kind` (text, spreadsheet, presentation) with this body and these automatic styles."""
    content = (
        f"<office:document-content {_DECLARED}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    whole = f"<office:document-styles {_DECLARED}><office:master-styles>{master}</office:master-styles></office:document-styles>"
    manifest = "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>"
    return _pack(
        f"application/vnd.oasis.opendocument.{kind}",
        {"content.xml": content, "styles.xml": whole, "META-INF/manifest.xml": manifest},
    )


def epub(
    chapters: Mapping[str, str], *, title: str = "Tides", more: Mapping[str, str] | None = None
) -> bytes:
    """A book whose chapters are listed in this order; those that are empty are listed and missing."""
    items = "".join(
        f'<item id="c{at}" href="{name}" media-type="application/xhtml+xml"/>'
        for at, name in enumerate(chapters)
    )
    order = "".join(f'<itemref idref="c{at}"/>' for at in range(len(chapters)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>{title}</dc:title><dc:creator>An Author</dc:creator></metadata>"
        f"<manifest>{items}</manifest><spine>{order}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    held = {f"OEBPS/{name}": text for name, text in chapters.items() if text}
    return _pack(
        "application/epub+zip",
        {"META-INF/container.xml": container, "OEBPS/book.opf": package, **held, **(more or {})},
    )
