"""EML: an e-mail's headers and body; its attachments are documents of their own."""

from __future__ import annotations

from services.dataprep.parsing.document import Format, Limits, ParsedDocument

FORMAT = Format(
    title="EML",
    position=110,
    suffixes=(".eml",),
    content_types={"message/rfc822": ".eml"},
    read_with="the standard library",
    sections="the subject; attachments become documents of their own",
    left_out="pictures in the text, attachments of other formats, which the result names",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the e-mail."""
    from services.dataprep.parsing.mail import read_mail, write_mail
    from services.dataprep.parsing.registry import supported_suffixes

    return write_mail(read_mail(data, "a.eml", limits.encoding), limits, supported_suffixes())
