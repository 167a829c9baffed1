"""E-mails: who wrote what to whom and when, as text; what is attached, as files of their own.

A mail is a document, and holds others: its attachments are read by the parsers of their own formats and are
named `mail.eml/report.pdf`. Pictures in the text, and formats that are not read, are named in the result.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import HeaderParseError
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Limits, ParsedDocument, ParseWarning, Unparsable, list_places
from services.dataprep.parsing.formats import html
from services.dataprep.parsing.layout import Layout

SUFFIXES = (".eml", ".msg")

_PLAIN_SHARE = 0.2
"""A plain text of less than this of the HTML's only says that there is HTML."""

_DEEP = 20
_CLOSED = {"application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted"}
_OF_PROTOCOL = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
_HEADERS = ("From", "To", "Cc", "Date", "Reply-To")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file; `inline` is one that the text shows, such as a logo."""

    name: str
    data: bytes
    inline: bool = False


@dataclass(slots=True)
class Mail:
    """`headers` are those shown; `texts` are the parts of its body, each as HTML or not."""

    subject: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    texts: list[tuple[str, bool]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    warnings: list[ParseWarning] = field(default_factory=list)
    date: str = ""


def is_mail(name: str) -> bool:
    """Tell an e-mail by its name's suffix."""
    return name.lower().endswith(SUFFIXES)


def read_mail(data: bytes, name: str, encoding: str = "") -> Mail:
    """Read the e-mail called `name`. Raises `Unparsable`, `ModuleNotFoundError`."""
    return _read_msg(data) if name.lower().endswith(".msg") else _read_eml(data, encoding)


def write_mail(mail: Mail, limits: Limits, supported: Sequence[str]) -> ParsedDocument:
    """Lay out headers and body; attachments whose name ends in none of `supported` are warned of."""
    layout = Layout(limits)
    layout.warn(*mail.warnings)
    headers = mail.headers
    layout.describe(
        subject=mail.subject,
        sender=headers.get("From"),
        recipients=headers.get("To"),
        date=mail.date or headers.get("Date"),
    )
    layout.add_heading(1, mail.subject)
    for header, value in mail.headers.items():
        layout.add_line(f"{header}: {value}")
    attached = [attachment.name for attachment in mail.attachments if not attachment.inline]
    if attached:
        layout.add_line(f"Attachments: {', '.join(attached)}")
    for text, is_html in mail.texts:
        if not is_html:
            layout.add_paragraph(text)
            continue
        body = html.parse(text.encode(), Limits(encoding="utf-8", block=limits.block), ".html")
        layout.add_document(body)
    pictures = sum(attachment.inline for attachment in mail.attachments)
    left_out = [name for name in attached if not name.lower().endswith(tuple(supported))]
    left_out += [f"{pictures} pictures in its text"] if pictures else []
    if left_out:
        layout.warn(ParseWarning("left_out", f"attachments that are not read: {list_places(left_out)}"))
    return layout.finish()


def list_attachments(mail: Mail, supported: Sequence[str]) -> Iterator[Attachment]:
    """List the attachments that can be read, each with a name of its own."""
    taken: set[str] = set()
    for attachment in mail.attachments:
        if attachment.inline or not attachment.name.lower().endswith(tuple(supported)):
            continue
        path = PurePosixPath(attachment.name)
        name, count = path.name, 1
        while name in taken:
            count += 1
            name = f"{path.stem} ({count}){path.suffix}"
        taken.add(name)
        yield Attachment(name, attachment.data)


def _clean_name(name: str) -> str:
    """Take the last part of a path, as a name of a file."""
    return " ".join(name.replace("\\", "/").rsplit("/", 1)[-1].split()).strip(". ") or "attachment"


def _read_eml(data: bytes, encoding: str) -> Mail:
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not message.keys():
        raise Unparsable("invalid", "is no e-mail: it has no headers; save it anew")
    if message.get_content_type() in _CLOSED:
        raise Unparsable("invalid", "is encrypted: save it decrypted")
    mail = Mail(_header_of(message, "Subject"))
    mail.headers = {name: text for name in _HEADERS if (text := _header_of(message, name))}
    if "Date" in mail.headers:
        mail.date, mail.headers["Date"] = _write_date(mail.headers["Date"])
    _read_part(message, mail, encoding, 0)
    return mail


def _header_of(message: EmailMessage, name: str) -> str:
    """Read a header, decoded; one that breaks the rules as it stands."""
    try:
        text = ", ".join(str(value) for value in message.get_all(name, []))
    except (HeaderParseError, ValueError, IndexError, AttributeError, TypeError, LookupError):
        text = "\ufffd"
    if "\ufffd" in text:  # letters that are not ASCII, and no word of their encoding
        raw = ", ".join(str(value) for key, value in message.raw_items() if key.lower() == name.lower())
        text = decode(raw.encode("ascii", "surrogateescape")).text if raw else ""
    return " ".join(text.split())


def _write_date(text: str) -> tuple[str, str]:
    """Write a date as ISO 8601, empty where it is none, and as people read it."""
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return "", text
    return date.isoformat(), date.strftime("%Y-%m-%d %H:%M %z").strip()


def _read_part(part: EmailMessage, mail: Mail, encoding: str, depth: int) -> None:
    if depth > _DEEP:
        raise Unparsable("too_large", "nests its parts too deeply to be read: forward it anew")
    kind = part.get_content_type()
    name = part.get_filename() or ""
    is_attached = part.get_content_disposition() == "attachment" or bool(
        name and part.get_content_maintype() != "text"
    )
    if kind == "message/rfc822":
        held = part.get_payload()
        inner = held[0] if isinstance(held, list) and held else None
        if isinstance(inner, EmailMessage):
            title = _clean_name(name or _header_of(inner, "Subject") or "message")
            title = title if title.lower().endswith(".eml") else f"{title[:100]}.eml"
            mail.attachments.append(Attachment(title, inner.as_bytes(policy=email.policy.default)))
    elif kind == "multipart/alternative":
        _choose_alternative(part, mail, encoding, depth)
    elif part.is_multipart():
        for child in part.iter_parts():
            if isinstance(child, EmailMessage):
                _read_part(child, mail, encoding, depth + 1)
    elif kind in _OF_PROTOCOL:
        return
    elif kind in {"text/plain", "text/html"} and not is_attached:
        mail.texts.append((_decode_text(part, mail, encoding), kind == "text/html"))
    elif kind in _CLOSED:
        mail.warnings.append(ParseWarning("left_out", "a part of it is encrypted"))
    else:
        inline = part.get_content_disposition() != "attachment" and part.get("Content-ID") is not None
        data = part.get_payload(decode=True)
        fallback = f"attachment.{part.get_content_subtype()}"
        mail.attachments.append(
            Attachment(_clean_name(name or fallback), data if isinstance(data, bytes) else b"", inline)
        )


def _choose_alternative(part: EmailMessage, mail: Mail, encoding: str, depth: int) -> None:
    """Take the plain text, or the HTML where the plain one is next to nothing; and what belongs to either."""
    read: list[Mail] = []
    for child in part.iter_parts():
        if isinstance(child, EmailMessage):
            read.append(Mail())
            _read_part(child, read[-1], encoding, depth + 1)
    size = [sum(len(text) for text, _ in other.texts) for other in read]
    plain = [at for at, other in enumerate(read) if other.texts and not any(html for _, html in other.texts)]
    rich = [at for at, other in enumerate(read) if other.texts and at not in plain]
    chosen = (
        plain[-1:] if plain and (not rich or size[plain[-1]] >= _PLAIN_SHARE * size[rich[-1]]) else rich[-1:]
    )
    for at, other in enumerate(read):
        mail.texts += other.texts if at in chosen else []
        mail.attachments += other.attachments
        mail.warnings += other.warnings if at in chosen else []


def _decode_text(part: EmailMessage, mail: Mail, encoding: str) -> str:
    data = part.get_payload(decode=True)
    decoded = decode(
        data if isinstance(data, bytes) else b"", named=encoding, declared=part.get_content_charset() or None
    )
    mail.warnings += [warning for warning in decoded.warnings if warning not in mail.warnings]
    return decoded.text


def _read_msg(data: bytes) -> Mail:
    import oxmsg  # noqa: PLC0415 - it comes with an extra

    if not data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise Unparsable("unsupported", "is not an Outlook message, though its name says so")
    try:
        message = oxmsg.Message.load(data)
        mail = Mail(message.subject)
        sent: datetime | None = message.sent_date
        recipients = ", ".join(f"{person.name} <{person.email_address}>" for person in message.recipients)
        shown = {
            "From": message.sender,
            "To": recipients,
            "Date": sent and sent.strftime("%Y-%m-%d %H:%M %z"),
        }
        mail.date = sent.isoformat() if sent else ""
        mail.headers = {name: " ".join(text.split()) for name, text in shown.items() if text}
        body, html = message.body, message.html_body
        if body and body.strip():
            mail.texts.append((body, False))
        elif html:
            mail.texts.append((html, True))
        for attachment in message.attachments:
            held = attachment.file_bytes if attachment.attached_by_value else None
            name = _clean_name(attachment.file_name or "attachment")
            mail.attachments.append(
                Attachment(name if held is not None else f"{name} (a message)", held or b"")
            )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Unparsable("invalid", "is a broken Outlook message: save it again") from error
    return mail
