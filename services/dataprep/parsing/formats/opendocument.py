"""ODT, ODS, ODP: LibreOffice's documents, spreadsheets and slides."""

from __future__ import annotations

import zipfile

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

FORMAT = Format(
    title="OpenDocument",
    position=85,
    suffixes=(".odt", ".ods", ".odp"),
    content_types={
        "application/vnd.oasis.opendocument.text": ".odt",
        "application/vnd.oasis.opendocument.spreadsheet": ".ods",
        "application/vnd.oasis.opendocument.presentation": ".odp",
    },
    package_part="content.xml",
    called="an OpenDocument file",
    read_with="lxml",
    sections="headings; sheets, with the numbers of the rows; a slide is a page, its title the section",
    left_out="hidden sheets and slides, equations, comments, which the result names; deleted text",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the content by what it is, whatever the suffix says."""
    from lxml import etree

    from services.dataprep.parsing.open_document import OFFICE, Reader

    package = open_package(data, limits, FORMAT.title)
    layout = Layout(limits)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    with blame_file(FORMAT.title), zipfile.ZipFile(package) as archive:
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise Unparsable("invalid", "is encrypted: save it without a password")
        content = etree.fromstring(archive.read("content.xml"), parser)
        styles = (
            etree.fromstring(archive.read("styles.xml"), parser)
            if "styles.xml" in archive.namelist()
            else None
        )
        reader = Reader(content, styles, layout)
        body = content.find(f"{OFFICE}body")
        for part in [] if body is None else list(body):
            reader.write(part)
    if reader.hidden:
        layout.warn(
            ParseWarning(
                "hidden_content", f"hidden {reader.hidden_kind} are left out: {list_places(reader.hidden)}"
            )
        )
    if reader.left_out:
        counted = [f"{count} {name}" for name, count in reader.left_out.items()]
        layout.warn(ParseWarning("left_out", f"left out: {list_places(counted)}"))
    return layout.finish()
