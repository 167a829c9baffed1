"""EPUB: a book's chapters in their order, each read as HTML."""

from __future__ import annotations

import posixpath
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import unquote

from services.dataprep.parsing.document import (
    Format,
    Limits,
    ParsedDocument,
    ParseWarning,
    Unparsable,
    list_places,
)
from services.dataprep.parsing.layout import Layout
from services.dataprep.parsing.office import blame_file, open_package

if TYPE_CHECKING:
    from lxml import etree

FORMAT = Format(
    title="EPUB",
    position=45,
    suffixes=(".epub",),
    content_types={"application/epub+zip": ".epub"},
    package_part="META-INF/container.xml",
    called="an EPUB",
    read_with="lxml",
    sections="headings of the chapters",
    left_out="chapters that are missing or protected, which the result names",
)

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out title, authors and the chapters in the book's order."""
    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    with blame_file(FORMAT.title), zipfile.ZipFile(package) as archive:
        container = _read(archive, _CONTAINER)
        root = container.find(".//{*}rootfile")
        place = "" if root is None else root.get("full-path") or ""
        book = _read(archive, place)
        layout.add_heading(1, " ".join((book.findtext(".//{*}metadata/{*}title") or "").split()))
        about = {
            name: [found.text for found in book.findall(f".//{{*}}metadata/{{*}}{name}") if found.text]
            for name in ("creator", "date", "language")
        }
        layout.describe(
            document_title=book.findtext(".//{*}metadata/{*}title"),
            author=", ".join(about["creator"]),
            date=next(iter(about["date"]), None),
            language=next(iter(about["language"]), None),
        )
        for creator in book.findall(".//{*}metadata/{*}creator"):
            layout.add_line(creator.text or "")
        left_out = _write_chapters(archive, book, posixpath.dirname(place), limits, layout)
    if left_out:
        layout.warn(ParseWarning("left_out", f"left out: {list_places(left_out)}"))
    return layout.finish()


def _write_chapters(
    archive: zipfile.ZipFile, book: etree._Element, folder: str, limits: Limits, layout: Layout
) -> list[str]:
    """Write the chapters, and return those that cannot be read."""
    from services.dataprep.parsing.formats import html

    items = {item.get("id"): item for item in book.findall(".//{*}manifest/{*}item")}
    protected = set()
    if _ENCRYPTION in archive.namelist():
        encryption = _read(archive, _ENCRYPTION)
        protected = {unquote(found.get("URI") or "") for found in encryption.iter("{*}CipherReference")}
    left_out: list[str] = []
    before = layout.length
    for reference in book.findall(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        href = "" if item is None else unquote(item.get("href") or "")
        path = posixpath.normpath(posixpath.join(folder, href))
        if not href or path not in archive.namelist():
            left_out.append(f"the chapter {href or reference.get('idref')}, which is missing")
        elif path in protected:
            left_out.append(f"the chapter {href}, which is protected")
        elif "html" in (item.get("media-type") or "" if item is not None else ""):
            layout.add_document(html.parse(archive.read(path), limits, ".xhtml"))
    if protected and layout.length == before:
        raise Unparsable("invalid", "is protected by its seller (DRM): nothing of it can be read")
    return left_out


def _read(archive: zipfile.ZipFile, name: str) -> etree._Element:
    from lxml import etree

    return etree.fromstring(archive.read(name), etree.XMLParser(resolve_entities=False, no_network=True))
