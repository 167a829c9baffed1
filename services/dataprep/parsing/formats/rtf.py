"""RTF: its paragraphs, and its tables as rows."""

from __future__ import annotations

from itertools import groupby

from services.dataprep.parsing.document import Format, Limits, ParsedDocument, Unparsable

FORMAT = Format(
    title="RTF",
    position=65,
    suffixes=(".rtf",),
    content_types={"application/rtf": ".rtf", "text/rtf": ".rtf"},
    magic=b"{\\rtf",
    called="an RTF document",
    read_with="striprtf",
    sections="-; tables as rows",
    left_out="pictures, notes, page headers",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the text; a line that ends in a bar is a row of a table."""
    from striprtf.striprtf import rtf_to_text

    from services.dataprep.parsing.layout import Layout

    if not data.startswith(FORMAT.magic):
        raise Unparsable("unsupported", "is not RTF, though its name says so")
    try:
        text = rtf_to_text(data.decode("cp1252", "replace"), errors="replace")
    except (ValueError, LookupError, IndexError, KeyError, TypeError, AttributeError):
        raise Unparsable("invalid", "is a broken RTF: open it in a text program and save it again") from None
    layout = Layout(limits)
    for is_table, lines in groupby(text.splitlines(), key=lambda line: line.rstrip().endswith("|")):
        if is_table:
            layout.add_table(
                [cell.strip() for cell in line.rstrip().removesuffix("|").split("|")] for line in lines
            )
        else:
            for line in lines:
                layout.add_paragraph(line)
    return layout.finish()
