"""MSG: an Outlook e-mail's headers and body; its attachments are documents of their own."""

from __future__ import annotations

from services.dataprep.parsing.document import Format, Limits, ParsedDocument

FORMAT = Format(
    title="MSG",
    position=115,
    suffixes=(".msg",),
    content_types={"application/vnd.ms-outlook": ".msg"},
    takes=("an old or an encrypted Office file",),
    read_with="python-oxmsg",
    sections="the subject; attachments become documents of their own",
    left_out="pictures in the text, attached messages, attachments of other formats, which the result names",
)


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Lay out the e-mail."""
    from services.dataprep.parsing.mail import read_mail, write_mail
    from services.dataprep.parsing.registry import supported_suffixes

    return write_mail(read_mail(data, "a.msg", limits.encoding), limits, supported_suffixes())
